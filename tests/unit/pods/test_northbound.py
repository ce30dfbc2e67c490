# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what a pod becomes: its port, and the annotations that nodes and tools read."""

from __future__ import annotations

import json

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import CurrentRow
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods import northbound as pods

WHERE = pods.Place("node1", ("192.168.1.0/24", "fd10:0:0:1::/64"), "id-1")
CIDRS = ("192.168.1.3/24", "fd10:0:0:1::3/64")


def pod(phase="Running", annotations=None, **spec):
    """A pod object."""
    spec = dict({"nodeName": "Node1"}, **spec)
    return {
        "metadata": {"namespace": "ns", "name": "web-0", "uid": "u1", "annotations": annotations},
        "spec": spec,
        "status": {"phase": phase},
    }


def test_the_port_is_locked_to_its_addresses():
    """Protects against pods that take others' addresses (W15), and against a port on the wrong host."""
    (row,) = pods.rows(pods.trim(pod()), WHERE, CIDRS)
    line = ("0a:58:c0:a8:01:03 192.168.1.3 fd10:0:0:1::3",)
    assert (row.name, row.parent) == ("ns_web-0", "node1")
    assert row.columns["addresses"] == row.columns["port_security"] == line
    assert row.columns["options"] == {"iface-id-ver": "u1", "requested-chassis": "id-1"}
    assert row.all_columns()["external_ids"].items() >= {"namespace": "ns", "pod": "true"}.items()


@pytest.mark.parametrize("item", [pod(hostNetwork=True), pod(nodeName=None), pod("Succeeded"), pod("Failed")])
def test_pods_without_a_port(item):
    """Protects addresses (W18): pods on the host's network and completed ones have none."""
    assert pods.trim(item) is None


def test_the_annotation_is_what_readers_of_before_expect():
    """Protects the plugin's contract: exactly three texts, the address with its prefix; and that of today's tools beside it."""
    mine, today = map(json.loads, pods.annotations(WHERE._replace(subnets=WHERE.subnets[:1]), CIDRS[:1]))
    assert mine == {"ip_address": "192.168.1.3/24", "mac_address": "0a:58:c0:a8:01:03", "gateway_ip": "192.168.1.1"}
    assert today == {
        "default": {
            "ip_addresses": ["192.168.1.3/24"],
            "mac_address": "0a:58:c0:a8:01:03",
            "gateway_ips": ["192.168.1.1"],
            "ip_address": "192.168.1.3/24",
            "gateway_ip": "192.168.1.1",
        }
    }


def test_both_families_are_annotated():
    """Protects dual stack (W17)."""
    today = json.loads(pods.annotations(WHERE, CIDRS)[1])["default"]
    assert (today["ip_addresses"], today["gateway_ips"]) == (list(CIDRS), ["192.168.1.1", "fd10:0:0:1::1"])
    assert "ip_address" not in today


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "nonsense",
        "[]",
        "3",
        '{"default": 3}',
        '{"default": {"ip_addresses": [3]}}',
        '{"ip_address": null}',
        '{"ip_address": "x/24"}',
    ],
)
def test_annotations_that_say_nothing_are_no_error(text):
    """Protects all other pods from one whose annotation somebody has edited (W1)."""
    made = pods.trim(pod(annotations={"ovn": text, "k8s.ovn.org/pod-networks": text}))
    assert pods.addresses_of_annotation(made) == ()


def test_addresses_come_back_from_annotations_and_ports():
    """Protects running pods when the database is lost, and addresses of ports that are not ours."""
    texts = pods.annotations(WHERE, CIDRS)
    made = pods.trim(pod(annotations={"ovn": texts[0], "k8s.ovn.org/pod-networks": texts[1]}))
    assert pods.addresses_of_annotation(made) == ("192.168.1.3", "fd10:0:0:1::3")
    assert pods.addresses_of_annotation(made._replace(networks="broken")) == ("192.168.1.3",)
    port = CurrentRow(
        "Logical_Switch_Port",
        "u",
        {"addresses": ("0a:58:c0:a8:01:03 192.168.1.3 fd10::3", "unknown", "router", "52:54:00:00:00:01 dynamic")},
        {},
    )
    assert pods.addresses_of_port(port) == ("192.168.1.3", "fd10::3")
