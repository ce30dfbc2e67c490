# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the rows of the liveness check (W10) on a real database: routes go and come beside modules' calls."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.connection import Connection
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.converge import converge_rows, read_rows
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.egress import (
    QUERIES,
    Egress,
    Health,
    Selected,
    egress_gateways,
    select,
)


def check(nb, *dead, away=()):
    """Return the lines of the plan of one round of the check.

    After it these gateways are dead, and the next hops of those do not answer.
    """

    def connect():
        return Connection(nb.remote, "OVN_Northbound")

    connection = connect()
    found = egress_gateways(read_rows(connection, QUERIES))
    connection.close()
    health = {address: Health(one.name not in dead, answered=True) for one in found for address in one.router_ips}
    health |= {
        address: Health(one.name not in (*dead, *away), answered=True) for one in found for address in one.probe_ips
    }
    families = select(found, health)
    return [
        item.describe()
        for item in converge_rows(
            connect, Egress(tuple(Selected(one, families[one.name]) for one in found)), "check"
        ).plan
    ]


def hops(nb):
    """The last part of each default route's next hop."""
    return [hop.rpartition(".")[2] for prefix, hop in nb.routes() if prefix == "0.0.0.0/0"]


def test_a_round_without_news_writes_nothing(nb):
    """Protects the database against a check that writes several times a second."""
    nb.build(gateways=(1, 2, 3))
    before = nb.everything()
    assert check(nb) == []
    assert nb.everything() == before


def test_a_dead_gateway_loses_its_route_and_gets_it_back(nb):
    """Protects pods' traffic, and the way back: afterwards the database is what it was."""
    nb.build(gateways=(1, 2, 3))
    before = nb.content()
    check(nb, "node2")
    assert hops(nb) == ["2", "4"]
    assert check(nb, "node2") == []
    check(nb)
    assert nb.content() == before


def test_a_gateway_whose_uplink_is_away_gets_no_egress(nb):
    """Protects pods' traffic: also from modules, which give the route back only when the next hop answers again."""
    nb.build(gateways=(1, 2), dual=True)
    before = nb.content()
    check(nb, away=["node1"])
    assert (
        hops(nb) == ["3"]
        and nb.rows("Logical_Router", ["name", "==", "GR_node1"])[0]["external_ids"][1].count(
            ["k8s.ovn.org/egress", "down"]
        )
        == 1
    )
    assert not nb.build(gateways=(1, 2), dual=True)["changed"]
    check(nb)
    assert nb.content() == before


def test_all_dead_means_all_routes(nb):
    """Protects against a check that cuts the cluster off."""
    nb.build(gateways=(1, 2))
    check(nb, "node1")
    check(nb, "node1", "node2")
    assert hops(nb) == ["2", "3"]


def test_modules_leave_a_dead_gateway_without_its_route(nb):
    """Protects against two writers that undo each other, each time that a play runs."""
    nb.build(gateways=(1, 2))
    check(nb, "node2")
    assert not nb.gateway(2)["changed"] and not nb.build(gateways=(1, 2))["changed"]
    assert nb.gateway(2, physical_ip=["10.55.0.99/24"])["changed"]
    assert hops(nb) == ["2"]
    check(nb)
    assert hops(nb) == ["2", "3"]
    assert not nb.gateway(2, physical_ip=["10.55.0.99/24"])["changed"]


def test_a_dead_gateway_is_removed_and_comes_anew(nb):
    """Protects removal of what is marked, and the new gateway against the old one's mark."""
    nb.build(gateways=(1, 2))
    check(nb, "node2")
    nb.remove_gateway("node2")
    assert "down" not in str(nb.content())
    nb.gateway(2)
    assert hops(nb) == ["2", "3"]


def test_routes_of_others_are_left(nb):
    """Protects an operator's own default route."""
    nb.build(gateways=(1,))
    nb.transact(
        {
            "op": "insert",
            "table": "Logical_Router_Static_Route",
            "uuid-name": "r",
            "row": {"ip_prefix": "0.0.0.0/0", "nexthop": "100.64.0.200"},
        },
        {
            "op": "mutate",
            "table": "Logical_Router",
            "where": [["name", "==", "ovn_cluster_router"]],
            "mutations": [["static_routes", "insert", ["set", [["named-uuid", "r"]]]]],
        },
    )
    assert check(nb) == []
    assert hops(nb) == ["2", "200"]


def test_a_gateway_without_a_way_out_gets_no_route(nb):
    """Protects against default traffic into a dead end; it does not count as a gateway that is left, either."""
    nb.build(gateways=(1,))
    nb.gateway(2, default_gw=[])
    assert check(nb) == []
    assert check(nb, "node1") == []
    assert hops(nb) == ["2"]
