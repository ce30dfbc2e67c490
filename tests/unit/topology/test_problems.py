# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the one check of settings: each problem has its field, for modules, commands and the inventory alike.

That modules refuse the same is in tests/integration/topology/test_arguments.py, commands in
tests/integration/programs/test_overlay.py.
"""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import SettingsError
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import cluster, gateway_checks, node
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.cluster import Cluster
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.gateway import Gateway, Place
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.node import Node

V4 = ("192.168.0.0/16",)
SUBNET = ("192.168.2.0/24",)


def gateway(ips=("10.55.0.1/24",), hops=("10.55.0.254",), cluster_subnets=V4, **more):
    """A gateway on node1."""
    return Gateway("node1", cluster_subnets, ips, hops, "breth1", **more)


CLUSTER_PROBLEMS = [
    (Cluster(("127.0.0.0/8",)), 0, "cluster_subnets", "127.0.0.0/8"),
    (Cluster(("224.0.0.0/4",)), 0, "cluster_subnets", "224.0.0.0/4"),
    (Cluster(("169.254.0.0/16",)), 0, "cluster_subnets", "169.254.0.0/16"),
    (Cluster(V4, ("100.64.0.0/26",)), 31, "join_subnets", "100.64.0.0/26"),
    (Cluster(V4, ("192.168.4.0/24",)), 0, "join_subnets", "192.168.4.0/24"),
    (Cluster(V4, ("fd98::/64",)), 0, "join_subnets", "fd98::/64"),
]


@pytest.mark.parametrize(("settings", "gateways", "field", "value"), CLUSTER_PROBLEMS)
def test_a_cluster_that_can_not_work(settings, gateways, field, value):
    """Protects hosts against a change that the Northbound database could not follow."""
    assert [(problem.field, problem.value) for problem in cluster.problems(settings, gateways)] == [(field, value)]
    with pytest.raises(SettingsError):
        cluster.check(settings, gateways)


def test_a_join_network_that_is_large_enough():
    """Protects against a judgment that refuses too much: 30 gateways fit into the half of a /26, 31 do not."""
    assert list(cluster.problems(Cluster(V4, ("100.64.0.0/26",)), 30)) == []


@pytest.mark.parametrize(
    ("settings", "mtu", "field"),
    [
        (Node("n", SUBNET, V4), 68, "mtu"),
        (Node("n", (*SUBNET, "fd10:0:0:2::/64"), (*V4, "fd10::/48")), 1279, "mtu"),
        (Node("n", SUBNET, ("127.0.0.0/8",)), None, "cluster_subnets"),
        (Node("n", ("10.0.0.0/24",), V4), None, "node_subnets"),
        (Node("n", ("192.168.2.0/30",), V4), None, "node_subnets"),
        (Node("n", SUBNET, (*V4, "fd10::/48")), None, "node_subnets"),
    ],
)
def test_a_node_that_can_not_work(settings, mtu, field):
    """Protects the order: a node is refused before anything is changed."""
    assert [problem.field for problem in node.problems(settings, mtu)] == [field]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (gateway(("224.0.0.5/8",), ()), "physical_ips"),
        (gateway(("10.55.0.255/24",), ()), "physical_ips"),
        (gateway(()), "physical_ips"),
        (gateway(("192.168.9.1/24",), ()), "physical_ips"),
        (gateway(hops=("10.56.0.1",)), "next_hops"),
        (gateway(hops=("224.0.0.1",)), "next_hops"),
        (gateway(mtu=68), "mtu"),
        (gateway(pinned=("10.1.0.0/24",)), "pinned_subnets"),
        (gateway(cluster_subnets=("169.254.0.0/16",)), "cluster_subnets"),
    ],
)
def test_a_gateway_that_can_not_work(settings, field):
    """Protects the order: a gateway is refused before anything is changed."""
    assert [problem.field for problem in gateway_checks.problems(settings)] == [field]


def test_a_physical_network_that_overlaps_the_join_network():
    """Protects the gateway router against two networks with the same addresses."""
    place = Place(("100.64.0.0/16",), 2)
    assert list(gateway_checks.place_problems(gateway(), place)) == []
    (problem,) = gateway_checks.place_problems(gateway(("100.64.7.7/24",), ()), place)
    assert (problem.field, problem.subject) == ("physical_ips", "gateway node1")


def test_a_problem_names_option_object_and_value():
    """Protects users of modules and commands: the sentence says what, where, which value, and what would be right."""
    (problem,) = gateway_checks.problems(gateway(hops=("10.55.0.1",)))
    assert str(problem.error()) == (
        "default_gw of gateway node1 '10.55.0.1' is the gateway's own address: give the external router's"
    )
