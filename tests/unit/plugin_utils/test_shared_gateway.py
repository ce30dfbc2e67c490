# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a NIC that host and pods share: what is derived from the NIC, and what is refused."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.filter.problems import problems
from ansible_collections.ovn.kubernetes.plugins.filter.settings import settings

NODE1, NODE2 = "ovn-node1", "ovn-node2"


@pytest.fixture
def shared(cluster):
    """A cluster with facts, whose ovn-node1 shares eth0."""
    return (
        cluster.without(NODE1, "ovn_gateway_interface", "ovn_gateway_ip", "ovn_gateway_next_hop")
        .on(NODE1, ovn_gateway_shared_interface="eth0")
        .with_facts()
    )


def found(cluster):
    return problems(cluster.hostvars, cluster.groups)


def gateway(cluster):
    return settings(cluster.hostvars, cluster.groups, NODE1)["gateway"]


def in_bridge(cluster):
    """The facts once the NIC is in its bridge."""
    facts = cluster.hostvars[NODE1]["ansible_facts"]
    facts["breth0"] = dict(facts["eth0"], device="breth0")
    facts["eth0"] = {"device": "eth0", "mtu": 1500, "ipv6": [{"address": "fe80::1", "prefix": "64", "scope": "link"}]}
    facts["default_ipv4"]["interface"] = "breth0"
    facts["interfaces"] = [*facts["interfaces"], "breth0"]
    return cluster


@pytest.mark.parametrize("moved", [False, True])
def test_addresses_and_next_hops_are_the_nics(shared, moved):
    """Protects the defaults, before and after the NIC was moved into its bridge; only of the cluster's IP versions."""
    if moved:
        in_bridge(shared)
    assert found(shared) == []
    wanted = {
        "physical_interface": "",
        "shared_interface": "eth0",
        "bridge_interface": "breth0",
        "physical_ips": ["10.44.0.12/24"],
        "default_gws": ["10.44.0.1"],
    }
    assert gateway(shared) == wanted
    assert gateway(shared.dual()) == dict(wanted, physical_ips=["10.44.0.12/24", "fd44::12/64"])


def test_another_next_hop(shared):
    """Protects gateways whose pods use another router than the host."""
    shared.on(NODE1, ovn_gateway_next_hop="10.44.0.9")
    assert found(shared) == [] and gateway(shared)["default_gws"] == ["10.44.0.9"]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"ovn_gateway_shared_interface": "eth9"},
            'ovn_gateway_shared_interface "eth9" is no NIC of this host: write one of br-x, eth0, eth1, lo',
        ),
        (
            {"ovn_gateway_ip": "10.44.0.99/24"},
            'ovn_gateway_ip "10.44.0.99/24" is not an address of the shared NIC eth0, which has "10.44.0.12/24", '
            '"fd44::12/64": '
            "leave it out, or write one of these",
        ),
        (
            {"ovn_gateway_next_hop": "10.9.9.9"},
            'ovn_gateway_next_hop "10.9.9.9" is not in the physical network 10.44.0.0/24: give a router there, or '
            "the gateway's address as 10.44.0.12/32",
        ),
    ],
)
def test_what_is_refused(shared, variables, sentence):
    """Protects against a gateway without a NIC to share, or with another address than its host."""
    assert found(shared.on(NODE1, **variables)) == ["ovn-node1: " + sentence]


def test_a_nic_without_an_address(shared):
    """Protects against a gateway router without an address."""
    facts = shared.hostvars[NODE1]["ansible_facts"]
    facts["interfaces"] = [*facts["interfaces"], "eth2"]
    assert found(shared.on(NODE1, ovn_gateway_shared_interface="eth2")) == [
        'ovn-node1: ovn_gateway_shared_interface "eth2" has no address, and ovn_gateway_ip is not set: give the '
        "NIC an address, or set ovn_gateway_ip"
    ]


def test_a_default_route_that_is_not_the_hosts_best(shared):
    """Protects egress through a NIC beside a better one, such as a management network: its own routers count."""
    facts = shared.hostvars[NODE1]["ansible_facts"]
    facts["default_ipv4"] = {**facts["default_ipv4"], "interface": "eth1", "gateway": "10.66.0.1"}
    assert gateway(shared)["default_gws"] == []
    facts["ovn_kubernetes"] = {"routers": {"eth0": ["10.44.0.1", "fd44::1"], "eth1": ["10.66.0.1"]}}
    assert gateway(shared)["default_gws"] == ["10.44.0.1"]
    assert gateway(shared.dual())["default_gws"] == ["10.44.0.1", "fd44::1"]
    facts["ovn_kubernetes"]["routers"] = {"eth0": ["fe80::1"], "breth0": ["10.44.0.2"]}
    assert gateway(shared)["default_gws"] == ["10.44.0.2", "fe80::1"]
    facts["ovn_kubernetes"]["routers"] = {"eth1": ["10.66.0.1"]}
    assert gateway(shared)["default_gws"] == []
