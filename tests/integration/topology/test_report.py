# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the controller plans from: the report of the Northbound database."""

from __future__ import annotations

from egress_round import check

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.connection import Connection
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.converge import read_rows
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import report


def read(nb):
    connection = Connection(nb.remote, names.NORTHBOUND)
    try:
        return read_rows(connection, report.NORTHBOUND)
    finally:
        connection.close()


def test_the_subnet_of_a_node_whose_switch_is_gone(nb):
    """Protects the node's pods: its port of the cluster router still knows the subnet, so that site makes the switch
    with it again."""
    nb.build(nodes=(1, 2), gateways=(1,), dual=True)
    rows = read(nb)
    assert report.leftover_subnets(rows) == {} and sorted(report.nodes(rows)) == ["node1", "node2"]
    nb.transact({"op": "delete", "table": "Logical_Switch", "where": [["name", "==", "node2"]]})
    rows = read(nb)
    assert sorted(report.nodes(rows)) == ["node1"]
    assert {name: sorted(subnets) for name, subnets in report.leftover_subnets(rows).items()} == {
        "node2": ["192.168.2.0/24", "fd10:128:0:2::/64"]
    }
    assert report.gateways(rows)["node1"]["join_ips"] == ["100.64.0.2", "fd98::2"]


def test_how_many_pods_each_gateway_has(nb):
    """Protects verify: a gateway without pods shows, and one that can have none does not."""
    nb.build(nodes=(1,), gateways=(1, 2), dual=True)
    nb.gateway(3, default_gw=[])
    assert report.gateways(read(nb))["node1"]["slots"] == {"IPv4": 0, "IPv6": 0}
    check(nb, "node2")
    check(nb)
    assert {name: gateway["slots"] for name, gateway in report.gateways(read(nb)).items()} == {
        "node1": {"IPv4": 256, "IPv6": 256},
        "node2": {"IPv4": 0, "IPv6": 0},
        "node3": {},
    }
    check(nb, away=["node2"])
    assert report.gateways(read(nb))["node2"]["slots"] == {}
