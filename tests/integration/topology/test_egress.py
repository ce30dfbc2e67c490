# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the rows of the liveness check (W10) on a real database: routes go and come beside modules' calls."""

from __future__ import annotations

import pytest
from database_server import Client, wait_for
from egress_round import check

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.connection import Connection
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.converge import converge_rows, read_rows
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import egress
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.egress import (
    QUERIES,
    Egress,
    Selected,
    egress_gateways,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.egress_rows import shares_of
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.gateway import Gateway
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.overlay import Overlay


def hops(nb):
    """The last part of each default route's next hop."""
    return [hop.rpartition(".")[2] for prefix, hop in nb.routes() if prefix == "0.0.0.0/0"]


def test_a_round_without_news_writes_nothing(nb):
    """Protects the database against a check that writes several times a second."""
    nb.build(gateways=(1, 2, 3))
    check(nb)
    before = nb.everything()
    assert check(nb) == []
    assert nb.everything() == before


def test_a_dead_gateway_loses_its_route_and_gets_it_back(nb):
    """Protects pods' traffic, and the way back: afterwards the database is what it was."""
    nb.build(gateways=(1, 2, 3))
    check(nb)
    before = nb.routes()
    check(nb, "node2")
    assert hops(nb) == ["2", "4"]
    assert check(nb, "node2") == []
    check(nb)
    assert nb.routes() == before


def test_a_gateway_whose_uplink_is_away_gets_no_egress(nb):
    """Protects pods' traffic: also from modules, which give the route back only when the next hop answers again."""
    nb.build(gateways=(1, 2), dual=True)
    before = nb.routes()
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
    assert nb.routes() == before


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
    check(nb)
    assert check(nb) == []
    assert hops(nb) == ["2", "200"]


def test_a_gateway_without_a_way_out_gets_no_route(nb):
    """Protects against default traffic into a dead end; it does not count as a gateway that is left, either."""
    nb.build(gateways=(1,))
    nb.gateway(2, default_gw=[])
    check(nb)
    assert check(nb) == []
    assert check(nb, "node1") == []
    assert hops(nb) == ["2"] and set(slots(nb)) == {"node1"}


def slots(nb, version=4):
    """Gateway -> its slots, as its router's row and, by the next hop, its policy have them."""
    content = nb.everything()
    remembered = {
        row["name"].removeprefix("GR_"): set(share.slots)
        for row in content["Logical_Router"].values()
        for share in [shares_of(dict(row["external_ids"][1])).get(version)]
        if share
    }
    policies = {
        row["nexthops"]: row["match"]
        for row in content["Logical_Router_Policy"].values()
        if row["priority"] == 1 and f"ip{version}" in row["match"]
    }
    assert len(policies) == len(remembered)
    for name, own in remembered.items():
        hop = {4: f"100.64.0.{int(name[4:]) + 1}", 6: f"fd98::{int(name[4:]) + 1:x}"}[version]
        assert policies[hop].count("/") == (len(own) if len(own) < 256 else 0)
    return remembered


def moved(before, after):
    """The gateways of before that have lost slots."""
    return {name for name, own in before.items() if own - after.get(name, set())}


@pytest.mark.parametrize("version", [4, 6])
def test_only_a_dead_gateways_pods_move_and_none_when_it_returns(nb, version):
    """Protects connections through gateways that live: 152 of 257, and 295 of 400, were cut."""
    nb.build(gateways=(1, 2, 3), dual=True)
    check(nb)
    before = slots(nb, version)
    assert sorted(map(len, before.values())) == [85, 85, 86]
    check(nb, "node2")
    dead = slots(nb, version)
    assert moved(before, dead) == {"node2"} and sorted(map(len, dead.values())) == [128, 128]
    check(nb)
    assert slots(nb, version) == dead
    assert nb.egress().count(("0.0.0.0/0", "100.64.0.3")) == 1  # it is there for the next one that dies
    check(nb, "node1")
    assert moved(dead, slots(nb, version)) == {"node1"} and len(slots(nb, version)["node2"]) > 100


def test_a_rebalance_is_asked_for(nb):
    """Protects operators' choice of the moment, and check mode; a second run changes nothing."""
    nb.build(gateways=(1, 2, 3))
    check(nb)
    check(nb, "node2")
    check(nb)
    before = nb.everything()
    assert nb.build(gateways=(1, 2, 3), rebalance_egress=True, check=True)["changed"]
    assert nb.everything() == before
    assert nb.build(gateways=(1, 2, 3), rebalance_egress=True)["changed"]
    assert sorted(map(len, slots(nb).values())) == [85, 85, 86]
    assert not nb.build(gateways=(1, 2, 3), rebalance_egress=True)["changed"]
    assert check(nb) == []


def test_a_rebalance_by_the_command(nb, caplog):
    """Protects operators without Ansible; a gateway that is down gets nothing."""
    nb.build(gateways=(1, 2, 3))
    check(nb, "node2", "node3")
    check(nb, "node3")
    caplog.set_level("INFO")
    assert egress.main(["--rebalance", "--northbound", nb.remote]) == 0
    assert {name: len(own) for name, own in slots(nb).items()} == {"node1": 128, "node2": 128}
    assert any("reroute via 100.64.0.3" in line for line in caplog.messages) and max(map(len, caplog.messages)) < 300
    assert check(nb, "node3") == []


def test_modules_leave_the_shares(nb):
    """Protects connections against each site run, and against calls about one gateway; what is broken is mended."""
    nb.build(gateways=(1, 2))
    check(nb)
    before = slots(nb)
    assert not nb.gateway(2)["changed"] and not nb.build(gateways=(1, 2))["changed"]
    nb.gateway(1, physical_ip=["10.55.0.99/24"])
    nb.build(gateways=(1, 2, 3))
    assert slots(nb) == before
    nb.transact(
        {
            "op": "mutate",
            "table": "Logical_Router",
            "where": [["name", "==", "ovn_cluster_router"]],
            "mutations": [
                ["policies", "delete", ["set", [["uuid", u] for u in nb.everything()["Logical_Router_Policy"]]]]
            ],
        }
    )
    assert nb.build(gateways=(1, 2, 3))["changed"]
    assert slots(nb) == before


def test_a_share_without_slots_is_no_policy(nb):
    """Protects the cluster router against a policy that matches nothing and that ovn-northd can't parse: somebody else
    has written what the router's row remembers."""
    nb.build(gateways=(1,))
    nb.transact(
        {
            "op": "mutate",
            "table": "Logical_Router",
            "where": [["name", "==", "GR_node1"]],
            "mutations": [["external_ids", "insert", ["map", [["k8s.ovn.org/egress-slots-4", "8:700"]]]]],
        }
    )
    nb.build(gateways=(1,))
    assert not nb.everything()["Logical_Router_Policy"]
    check(nb)
    assert {name: len(own) for name, own in slots(nb).items()} == {"node1": 256}


def test_pinned_subnets_and_shares_are_beside_each_other(nb):
    """Protects the shares against a call that says which subnets are pinned, and pinned subnets against the check."""
    nb.build(gateways=(1, 2))
    check(nb)
    before = slots(nb)
    for pinned in (("192.168.1.0/24",), ()):
        made = Gateway("node1", ("192.168.0.0/16",), ("10.55.0.1/24",), ("10.55.0.254",), "breth1", pinned=pinned)
        converge_rows(lambda: Connection(nb.remote, "OVN_Northbound"), Overlay(gateways=(made,)), "pinned")
        check(nb)
        assert slots(nb) == before
        assert [row["priority"] for row in nb.rows("Logical_Router_Policy")].count(100) == len(pinned)


def test_a_gateway_that_is_removed_takes_its_share_along(nb):
    """Protects the pods of a gateway that is removed: they leave through the others at once."""
    nb.build(gateways=(1, 2, 3))
    check(nb)
    before = slots(nb)
    nb.remove_gateway("node2")
    assert set(slots(nb)) == {"node1", "node3"}
    check(nb)
    assert moved(before, slots(nb)) == {"node2"} and sorted(map(len, slots(nb).values())) == [128, 128]
    nb.remove_gateway("node1")
    nb.remove_gateway("node3")
    check(nb)
    assert nb.rows("Logical_Router_Policy") == []
    assert "egress-slots" not in str(nb.everything())


def test_everything_is_removed(nb):
    """Protects removal: the policies go with the cluster."""
    nb.build(gateways=(1, 2), dual=True)
    check(nb)
    nb.master(state="absent", cluster_ip_subnet=None)
    assert nb.rows("Logical_Router_Policy") == []


def test_slots_are_dealt_when_all_gateways_were_heard(nb):
    """Protects the first gateways of a cluster: who answers a moment later would have no pods until a rebalance."""
    nb.build(gateways=(1, 2))
    assert check(nb, begins=False) == [] and slots(nb) == {}
    check(nb)
    check(nb, "node1")
    check(nb, begins=False)
    assert len(slots(nb)["node2"]) == 256


def test_the_size_of_node_subnets_decides_once(nb):
    """Protects connections against a node whose subnet has another size."""
    small = {"minion_switch_subnet": ["192.168.0.64/26"], "node_name": "node9", "chassis": "id-9"}
    nb.build(nodes=(), gateways=(1, 2))
    nb.call("ovn_minion_init", **small)
    check(nb)
    before = str(slots(nb))
    nb.build(nodes=(1, 2, 3), gateways=(1, 2))
    check(nb)
    assert str(slots(nb)) == before
    assert "6:" in str(nb.rows("Logical_Router", ["name", "==", "GR_node1"]))


def test_only_the_master_with_the_lock_writes(nb):
    """Protects routes from a master that acts no more: the lock is looked at after the last read. It counts again when
    it was given back, also in the same breath.
    """
    nb.build(gateways=(1, 2))

    def connect():
        return Connection(nb.remote, "OVN_Northbound")

    connection, thief = connect(), Client(nb.socket)
    connection.lock(egress.LOCK)
    found = egress_gateways(read_rows(connection, QUERIES))
    dead = Egress(tuple(Selected(one, frozenset({4} if one.name == "node1" else ())) for one in found))
    thief.request("steal", [egress.LOCK])
    egress.write(connection, dead)
    assert hops(nb) == ["2", "3"] and egress.LOCK not in connection.locks
    thief.request("unlock", [egress.LOCK])
    thief.request("steal", [egress.LOCK])
    thief.close()
    wait_for(lambda: read_rows(connection, QUERIES) and egress.LOCK in connection.locks, "the lock to come back")
    egress.write(connection, dead)
    assert hops(nb) == ["2"]
    connection.close()
