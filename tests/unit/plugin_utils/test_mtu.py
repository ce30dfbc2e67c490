# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the MTU of pods: what fits into the tunnels on all ways between hosts."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.filter.overlay_networks import networks

from .settings_of import MASTER, NODE1, NODE2, of, refused


@pytest.mark.parametrize(
    ("address", "mtu"),
    [
        ("10.44.0.13", 1442),  # the default route's link
        ("10.66.0.13", 8942),  # another link
        ("10.77.0.13", 1242),  # a further address of a link whose fact has another name than the link
        ("fd44::13", 1422),  # IPv6 costs 20 bytes more
    ],
)
def test_mtu_follows_the_link_of_the_tunnel(cluster, address, mtu):
    """Protects the MTU against being taken from another link than that of the tunnels."""
    cluster.with_facts().groups.update(ovn_masters=[NODE2], ovn_nodes=[], ovn_gateways=[])
    assert of(cluster.on(NODE2, ovn_encap_ip=address), NODE2)["mtu"] == mtu


def test_mtu_is_the_smallest_one(cluster):
    """Protects pods on hosts with large frames against those behind a narrow link; hosts without facts don't count."""
    cluster.with_facts(mtu=9000).hostvars[NODE2]["ansible_facts"]["default_ipv4"]["mtu"] = 1400
    assert of(cluster, NODE1)["mtu"] == 1342
    del cluster.hostvars[NODE2]["ansible_facts"]
    assert of(cluster, NODE1)["mtu"] == 8942


LOOPBACK = {"ipv4": {"address": "127.0.0.1"}, "type": "loopback", "device": "lo", "mtu": 65536}


def on_the_loopback(cluster, ways=None, link="lo", mtu=1500):
    """Give each host a tunnel address on its loopback, or on a link like it."""
    cluster.with_facts(mtu=mtu)
    for number, host in enumerate((MASTER, NODE1, NODE2), 11):
        facts = cluster.on(host, ovn_encap_ip=f"10.255.0.{number}").hostvars[host]["ansible_facts"]
        second = [{"address": f"10.255.0.{number}", "netmask": "255.255.255.255", "network": f"10.255.0.{number}"}]
        facts.update({link: {**LOOPBACK, "device": link, "ipv4_secondaries": second}})
        facts["interfaces"] = [*facts["interfaces"], link]
        facts["all_ipv4_addresses"] = [*facts["all_ipv4_addresses"], f"10.255.0.{number}"]
        if ways:
            cluster.own(host, way_mtus=ways)
    return cluster


@pytest.mark.parametrize("link", ["lo", "dummy0"])
def test_a_tunnel_address_on_the_loopback_has_the_mtu_of_the_way_out(cluster, link):
    """Protects hosts that announce their address with BGP from tunnels with the loopback's MTU of 65536."""
    assert of(on_the_loopback(cluster, link=link), NODE1)["mtu"] == 1442


@pytest.mark.parametrize(("ways", "mtu"), [({"IPv4": 9000, "IPv6": 1400}, 8942), ({"IPv6": 9000}, 1442)])
def test_the_ways_to_the_other_hosts_decide(cluster, ways, mtu):
    """Protects the MTU on hosts with a fabric beside the network of the default route."""
    assert of(on_the_loopback(cluster, ways), NODE1)["mtu"] == mtu


def test_the_least_of_all_hosts_ways(cluster):
    """Protects hosts with large frames against one that is behind less."""
    on_the_loopback(cluster, {"IPv4": 9000}).own(NODE2, way_mtus={"IPv4": 1400})
    assert of(cluster, NODE1)["mtu"] == 1342


def test_each_host_is_asked_for_the_ways_to_all_tunnel_addresses(cluster):
    """Protects the MTU against hosts that nobody has asked for: those whose addresses the inventory does not have yet
    are not known, and a wrong one is for the validation."""
    cluster.on(MASTER, ovn_encap_ip="10.255.0.11").on(NODE1, ovn_encap_ip="fd55:0::12").on(NODE2, ovn_encap_ip="no")
    assert networks(cluster.hostvars, cluster.groups)["tunnel_addresses"] == ["10.255.0.11", "fd55::12"]


def test_ovn_mtu_is_compared_with_the_way_out(cluster):
    """Protects the validation: on the loopback everything seemed to fit."""
    on_the_loopback(cluster, {"IPv4": 1500}).everywhere(ovn_mtu=8942)
    assert "ovn_mtu 8942 does not fit through the underlay's 1500" in "".join(cluster.problems())


def test_the_default_routes_source_address_on_the_loopback(cluster):
    """Protects hosts whose default route has a source address elsewhere: Ansible gives that link's MTU."""
    cluster.with_facts()
    for host in (MASTER, NODE1, NODE2):
        cluster.hostvars[host]["ansible_facts"]["default_ipv4"]["mtu"] = 65536
    assert of(cluster, NODE1)["mtu"] == 1442


def test_mtu_does_not_rise_while_a_host_is_not_known(cluster):
    """Protects a host behind a narrow link that a run leaves out, or can't reach, from packets that it can't
    receive."""
    cluster.with_facts(mtu=9000)
    cluster.hostvars[MASTER]["ansible_facts"]["k8s_ovn_master"] = {"device": "k8s-ovn-master", "mtu": 1342}
    assert of(cluster, NODE1)["mtu"] == 8942
    del cluster.hostvars[NODE2]["ansible_facts"]
    assert of(cluster, NODE1)["mtu"] == 1342


def test_underlay_too_narrow_for_ipv6(cluster):
    """Protects IPv6 from links below its minimum (RFC 8200)."""
    text = refused(cluster.dual().with_facts(mtu=1300), NODE1)
    assert (
        "ovn-master: ovn_mtu is not set, and the underlay leaves only 1242 bytes where the pods need 1280: raise "
        "the underlay's MTU" in text
    )
