# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the names that operators and other tools know, and that no two of them collide."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names


def test_the_names_of_the_topology():
    """Protects what is written in documentation and in other tools: these names never change."""
    assert (names.CLUSTER_ROUTER, names.JOIN_SWITCH, names.INTEGRATION_BRIDGE) == (
        "ovn_cluster_router",
        "join",
        "br-int",
    )
    router = names.gateway_router("n1")
    assert [
        names.router_to_switch("n1"),
        names.switch_to_router("n1"),
        names.management_port("n1"),
        router,
        names.external_switch("n1"),
        names.router_to_join(router),
        names.join_to_router(router),
        names.router_to_external("n1"),
        names.external_to_router("n1"),
        names.external_port("breth1", "n1"),
        names.uplink_bridge("eth1"),
    ] == [
        "rtos-n1",
        "stor-n1",
        "k8s-n1",
        "GR_n1",
        "ext_n1",
        "rtoj-GR_n1",
        "jtor-GR_n1",
        "rtoe-GR_n1",
        "etor-GR_n1",
        "breth1_n1",
        "breth1",
    ]


def test_w24_links_that_are_too_long_do_not_collide():
    """Protects hosts whose names begin alike: names were cut at 11 characters, and two of them became one."""
    nodes = [f"kube-minion-{number:04d}.example.org" for number in range(100)]
    links = {names.management_link(node) for node in nodes}
    assert len(links) == len(nodes)
    assert all(len(link) <= names.IFNAMSIZ for link in links)
    assert links == {names.management_link(node) for node in nodes}


@pytest.mark.parametrize(("name", "link"), [("eth1", "breth1"), ("enp0s31f6abcd", "brenp0s31f6abcd")])
def test_a_name_that_fits_is_kept(name, link):
    """Protects names that people know, up to the very last character that fits."""
    assert names.uplink_bridge(name) == link and len(link) <= names.IFNAMSIZ


def test_a_name_that_just_does_not_fit_is_cut():
    """Protects the limit itself: 16 characters are one too many."""
    link = names.uplink_bridge("enp0s31f6abcde")
    assert (
        len(link) == names.IFNAMSIZ and link.startswith("brenp0s31-") and link != names.uplink_bridge("enp0s31f6abcdf")
    )


def test_w25_one_rule_for_node_names():
    """Protects against a host under two names."""
    assert names.node_name("Kube-Minion1.Example.ORG") == "kube-minion1.example.org"
