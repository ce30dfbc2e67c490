# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods' traffic on its way through the cluster router: the real ovn-northd reads the rows."""

from __future__ import annotations

import pytest
from egress_round import check
from northd import Northd

PODS = [(node, pod) for node in (1, 2) for pod in (3, 4, 5, 16)]
OUTSIDE = {4: "203.0.113.1", 6: "2001:db8::1"}


class Network:
    """A database with pods, and ovn-northd."""

    def __init__(self, nb):
        self.nb, self.northd = nb, Northd(nb)
        self._macs = {}
        for node, pod in PODS:
            ips = [self.ip(node, pod, version) for version in (4, 6)]
            self._macs[node, pod] = self.northd.pod(f"pod{node}-{pod}", node, *ips)

    @staticmethod
    def ip(node, pod, version=4):
        """The address of a pod."""
        return f"192.168.{node}.{pod}" if version == 4 else f"fd10:128:0:{node:x}::{pod:x}"

    def way(self, node, pod, destination):
        """The gateways that a pod's packet may go to."""
        version = 6 if ":" in destination else 4
        router = self.northd.nbctl("get", "Logical_Router_Port", f"rtos-node{node}", "mac").strip().strip('"')
        packet = [
            f'inport == "pod{node}-{pod}"',
            f"eth.src == {self._macs[node, pod]} && eth.dst == {router}",
            f"ip{version}.src == {self.ip(node, pod, version)} && ip{version}.dst == {destination}",
            "ip.ttl == 64 && tcp && tcp.src == 40000 && tcp.dst == 443",
        ]
        return self.northd.gateways(f"node{node}", " && ".join(packet))

    def ways(self, version):
        """Pod -> the one gateway of its packets to the outside."""
        self.northd.sync()
        found = {pod: self.way(*pod, OUTSIDE[version]) for pod in PODS}
        assert all(len(gateways) == 1 for gateways in found.values()), found
        return {pod: min(gateways) for pod, gateways in found.items()}


@pytest.fixture
def network(nb):
    """Two nodes, and three gateways."""
    nb.build(nodes=(1, 2), gateways=(1, 2, 3), dual=True)
    made = Network(nb)
    yield made
    made.northd.remove()


@pytest.mark.parametrize("version", [4, 6])
def test_a_pod_keeps_its_gateway_while_it_lives(network, version):
    """Protects connections: a pod's packets change their gateway when that one dies, and for no other reason."""
    check(network.nb)
    before = network.ways(version)
    assert set(before.values()) == {"node1", "node2", "node3"}
    check(network.nb, "node2")
    dead = network.ways(version)
    assert {pod for pod in PODS if dead[pod] != before[pod]} == {pod for pod in PODS if before[pod] == "node2"}
    assert set(dead.values()) == {"node1", "node3"}
    check(network.nb)
    assert network.ways(version) == dead


def test_only_what_a_default_route_takes_has_a_share(network):
    """Protects everything else that the cluster router routes: gateways themselves and their probes, pods, hosts, and
    routes that an operator has added there."""
    for route in (
        ("lr-route-add", "ovn_cluster_router", "198.51.100.0/24", "100.64.0.2"),
        ("lr-route-add", "ovn_cluster_router", "198.51.101.0/24", "100.64.0.4"),
        ("--policy=src-ip", "lr-route-add", "ovn_cluster_router", "192.168.2.16/32", "100.64.0.3"),
        ("lr-route-add", "ovn_cluster_router", "10.44.0.12/32", "192.168.2.2", "rtos-node2"),
        ("lr-route-add", "GR_node1", "203.0.113.0/24", "10.55.0.7"),  # on another router: no reason to go elsewhere
    ):
        network.northd.nbctl(*route)
    check(network.nb)
    network.northd.sync()
    for pod in ((1, 3), (1, 4), (1, 5)):  # of three gateways
        assert network.way(*pod, "198.51.100.9") == {"node1"}
        assert network.way(*pod, "198.51.101.9") == {"node3"}
        assert network.way(*pod, "100.64.0.3") == {"node2"}
        assert network.way(*pod, "100.64.255.253") == {"node1"}
        assert network.way(*pod, "192.168.2.4") == network.way(*pod, "10.44.0.12") == set()
    assert network.way(2, 16, OUTSIDE[4]) == {"node2"}


def test_without_shares_the_routes_take_all(network):
    """Protects pods of an overlay where the check has not run yet, or does not run at all."""
    network.northd.sync()
    assert network.way(1, 3, OUTSIDE[4]) <= {"node1", "node2", "node3"} and network.way(1, 3, OUTSIDE[4])
