# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what one call asks of the database, and what it makes of the answers: rows, renames, others' addresses."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import SettingsError
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.cluster import Cluster
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.gateway import Gateway
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.node import Node
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.overlay import (
    GATEWAYS,
    JOIN_PORT,
    JOIN_PORTS,
    NODES,
    PODS,
    RANGES,
    Overlay,
    gateway_owner,
    node_owner,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.overlay_queries import FEW_OWNERS

V4 = ("192.168.0.0/16",)


def node(number, name=None, **more):
    """A node."""
    return Node(
        name or f"node{number}",
        more.get("subnets", (f"192.168.{number}.0/24",)),
        V4,
        more.get("chassis", f"id-{number}"),
    )


def gateway(number, name=None, **more):
    """A gateway."""
    return Gateway(
        name or f"node{number}",
        V4,
        more.get("ips", (f"10.55.0.{number}/24",)),
        ("10.55.0.254",),
        "breth1",
        more.get("chassis", f"id-{number}"),
        "52:54:00:00:00:01",
    )


@pytest.fixture
def rows_of(as_current):
    """The found rows of an overlay whose cluster, nodes and gateways were made at once."""

    def make(**settings):
        overlay = Overlay(cluster=Cluster(V4), **settings)
        return as_current(overlay.rows([], {}, {}))

    return make


def join_addresses(overlay, current=(), reads=None, renamed=None):
    """Gateway -> its address on the join switch."""
    rows = overlay.rows(list(current), renamed or {}, reads or {})
    return {
        row.owner.name: row.columns["networks"]
        for row in rows
        if row.role == "router-to-join" and row.owner.type == "Gateway"
    }


def test_an_unchanged_object_reads_no_others(rows_of):
    """Protects the cost of a call: it does not grow with the number of other nodes and gateways."""
    current = rows_of(nodes=(node(1),), gateways=(gateway(1),))
    assert Overlay(nodes=(node(1),)).reads(current, {}) == {}
    assert set(Overlay(gateways=(gateway(1),)).reads(current, {})) == {JOIN_PORT}


def test_a_new_or_changed_object_reads_the_others(rows_of):
    """Protects uniqueness: who takes a subnet or an address has to know all that are taken."""
    current = rows_of(nodes=(node(1),), gateways=(gateway(1),))
    assert set(Overlay(nodes=(node(2),)).reads([], {})) == {NODES, RANGES}
    assert set(Overlay(nodes=(node(1, subnets=("192.168.9.0/24",)),)).reads(current, {})) == {NODES, PODS}
    assert set(Overlay(gateways=(gateway(2),)).reads([], {})) == {JOIN_PORT, JOIN_PORTS, GATEWAYS, RANGES}
    assert set(Overlay(gateways=(gateway(1, ips=("10.55.0.9/24",)),)).reads(current, {})) == {JOIN_PORT, GATEWAYS}
    assert set(Overlay(cluster=Cluster(V4), gateways=(gateway(2),)).reads([], {})) == {JOIN_PORTS, GATEWAYS, RANGES}


def test_few_owners_have_queries_of_their_own_and_many_share_them():
    """Protects both ends: a call for a node does not read the cluster, one for the cluster does not ask 1,000 times."""
    few, many = Overlay(nodes=(node(1),)), Overlay(nodes=tuple(node(number) for number in range(1, FEW_OWNERS + 2)))
    assert all("node1" in str(query.where) or "id-1" in str(query.where) for query in few.owned_queries())
    assert not any("node1" in str(query.where) for query in many.owned_queries())
    assert len(many.owned_queries()) == len(
        Overlay(nodes=tuple(node(number) for number in range(1, 50))).owned_queries()
    )
    assert (
        len({query.table for query in Overlay(everything=True).owned_queries()})
        == len(Overlay(everything=True).owned_queries())
        == 12
    )
    assert all("k8s.ovn.org/owner-type" in str(query.where) for query in many.owned_queries()), (
        "pods and services are many, and of no interest"
    )


def test_rows_of_other_owners_are_left_out(rows_of):
    """Protects nodes that the call does not name."""
    current = rows_of(nodes=(node(1), node(2)), gateways=(gateway(1),))
    mine = Overlay(nodes=(node(1),)).owned_rows(current, {})
    assert {(row.external_id("k8s.ovn.org/owner-type"), row.external_id("k8s.ovn.org/name")) for row in mine} == {
        ("Node", "node1")
    }
    assert len(Overlay(everything=True).owned_rows(current, {})) == len(current)


def test_a_renamed_host_is_known_by_its_chassis(rows_of):
    """Protects renames: the rows of a chassis that has another name now stay its rows, for nodes and for gateways."""
    current = rows_of(nodes=(node(1), node(2)), gateways=(gateway(1),))
    assert Overlay(nodes=(node(1, "kube"),)).renamed_owners(current) == {("Node", "node1"): "kube"}
    assert Overlay(gateways=(gateway(1, "kube"),)).renamed_owners(current) == {("Gateway", "node1"): "kube"}
    assert Overlay(nodes=(node(1, "kube", chassis=None),)).renamed_owners(current) == {}
    assert Overlay(nodes=(node(1, "kube", chassis="unknown"),)).renamed_owners(current) == {}
    # Both names are in the call: two hosts, not one with a new name.
    assert Overlay(nodes=(node(1, "node2"), node(2, "node1"))).renamed_owners(current) == {}


def test_the_system_id_of_a_host_that_says_nothing(rows_of):
    """Protects a host of the call that keeps its row, since its own part has failed: nobody else gets its system-id.
    One that says another one leaves it, and so does one that is removed."""
    current = rows_of(nodes=(node(1), node(2)), gateways=(gateway(1), gateway(2)))
    for kind, make in (("nodes", node), ("gateways", gateway)):
        silent = Overlay(**{kind: (make(1, chassis=None), make(2, chassis="id-1"))})
        with pytest.raises(SettingsError) as caught:
            silent.renamed_owners(current)
        text = str(caught.value)
        assert text.startswith(f"{kind[:-1]} node2 has the system-id id-1 of {kind[:-1]} node1: give the clone its own")
        assert text.endswith(f"where {kind[:-1]} node1 has another one by now, converge it too")
        said = Overlay(**{kind: (make(1, chassis="id-9"), make(2, chassis="id-1"))})
        assert said.renamed_owners(current) == {}
        assert Overlay(**{kind: (make(1, chassis=None), make(2))}).renamed_owners(current) == {}
        assert (
            Overlay(**{kind: (make(2, "node2", chassis="id-1"),)}, absent=(make(1).owner,)).renamed_owners(current)
            == {}
        )


def test_a_gateway_keeps_its_offset(rows_of):
    """Protects routes through a gateway: under a new name, when the join subnet moves, when an earlier one is gone."""
    current = rows_of(gateways=(gateway(1), gateway(2)))
    assert join_addresses(Overlay(cluster=Cluster(V4), gateways=(gateway(2),)), current) == {
        "node2": ("100.64.0.3/16",)
    }
    assert join_addresses(Overlay(cluster=Cluster(V4, ("100.70.0.0/24",)), gateways=(gateway(2),)), current) == {
        "node2": ("100.70.0.3/24",)
    }
    renamed = Overlay(cluster=Cluster(V4), gateways=(gateway(2, "kube"),))
    assert join_addresses(renamed, current, renamed=renamed.renamed_owners(current)) == {"kube": ("100.64.0.3/16",)}


def test_a_new_gateway_gets_the_lowest_free_offset(rows_of):
    """Protects against doubles (W8): all addresses on the join switch count, whoever's they are."""
    taken = [row for row in rows_of(gateways=(gateway(1), gateway(2))) if row.role == "router-to-join"]
    assert join_addresses(
        Overlay(cluster=Cluster(V4), gateways=(gateway(3), gateway(4))), reads={JOIN_PORTS: taken}
    ) == {
        "node3": ("100.64.0.4/16",),
        "node4": ("100.64.0.5/16",),
    }
    without_first = [row for row in taken if row.name != "rtoj-GR_node1"]
    assert join_addresses(Overlay(cluster=Cluster(V4), gateways=(gateway(3),)), reads={JOIN_PORTS: without_first}) == {
        "node3": ("100.64.0.2/16",)
    }


def test_the_join_subnets_come_from_the_cluster_router(rows_of):
    """Protects a call that is about a gateway only; without a cluster it says what to do first."""
    joins = [row for row in rows_of() if row.name == "rtoj-ovn_cluster_router"]
    assert join_addresses(Overlay(gateways=(gateway(1),)), reads={JOIN_PORT: joins}) == {"node1": ("100.64.0.2/16",)}
    with pytest.raises(
        SettingsError,
        match=(
            r"^the cluster router does not exist in the Northbound database: "
            r"make the cluster first \(ovn_master_init\)$"
        ),
    ):
        Overlay(gateways=(gateway(1),)).rows([], {}, {})


def test_a_full_join_subnet_is_refused(rows_of):
    """Protects the broadcast address, and whoever has to choose a larger subnet."""
    small = Cluster(V4, ("100.64.0.0/30",))
    assert join_addresses(Overlay(cluster=small, gateways=(gateway(1),))) == {"node1": ("100.64.0.2/30",)}
    with pytest.raises(
        SettingsError, match=r"^join_subnet '100\.64\.0\.0/30' has no address left for gateway node2: make it larger$"
    ):
        join_addresses(Overlay(cluster=small, gateways=(gateway(1), gateway(2))))


def test_an_unknown_chassis_or_mac_stays_as_it_is(rows_of):
    """Protects chassis and MAC of a gateway on a call from elsewhere; a new one gets what can be derived."""
    unknown = Gateway("node1", V4, ("10.55.0.1/24",), ("10.55.0.254",), "breth1")
    for current, chassis, mac in (
        (rows_of(gateways=(gateway(1),)), "id-1", "52:54:00:00:00:01"),
        ([], "node1", "0a:58:0a:37:00:01"),
    ):
        rows = {row.role: row for row in Overlay(cluster=Cluster(V4), gateways=(unknown,)).rows(current, {}, {})}
        assert rows["router"].columns["options"]["chassis"] == chassis
        assert rows["router-to-external"].columns["mac"] == mac


def test_the_mark_of_a_dead_gateway_is_heeded(rows_of):
    """Protects traffic against a module that gives a dead gateway its default route back."""
    current = rows_of(gateways=(gateway(1),))
    for row in current:
        if row.name == "GR_node1":
            row.columns["external_ids"]["k8s.ovn.org/egress"] = "down"
    roles = [row.role for row in Overlay(cluster=Cluster(V4), gateways=(gateway(1),)).rows(current, {}, {})]
    assert "outside-4" in roles and "egress-4" not in roles


def test_others_subnets_and_addresses_are_refused(rows_of):
    """Protects nodes and gateways that the call does not name; those that it moves or removes don't count."""
    others = {
        NODES: [row for row in rows_of(nodes=(node(1),)) if row.role == "switch"],
        GATEWAYS: [row for row in rows_of(gateways=(gateway(1),)) if row.name == "GR_node1"],
    }
    with pytest.raises(
        SettingsError,
        match=(
            r"^minion_switch_subnet of node node2 '192\.168\.1\.0/25' overlaps 192\.168\.1\.0/24 of node node1: "
            r"give each node"
        ),
    ):
        Overlay(nodes=(node(2, subnets=("192.168.1.0/25",)),)).rows([], {}, others)
    with pytest.raises(
        SettingsError,
        match=r"^physical_ip of gateway node2 '10\.55\.0\.1/16' is gateway node1's already: give each gateway",
    ):
        Overlay(cluster=Cluster(V4), gateways=(gateway(2, ips=("10.55.0.1/16",)),)).rows([], {}, others)
    both = Overlay(nodes=(node(2, subnets=("192.168.1.0/24",)), node(1, subnets=("192.168.2.0/24",))))
    assert both.rows([], {}, others)
    assert Overlay(nodes=(node(2, subnets=("192.168.1.0/24",)),), absent=(node_owner("Node1"),)).rows([], {}, others)


def test_owners_are_lower_case():
    """Protects removal under a name that is written otherwise (W25)."""
    assert (node_owner("Node1").name, gateway_owner("NODE1").name) == ("node1", "node1")


def test_two_hosts_with_one_system_id_are_refused():
    """Protects clones of a machine: OVN would take both for one chassis."""
    with pytest.raises(
        SettingsError,
        match=r"^chassis of node node2 'id-1' is node node1's too: give the clone its own",
    ):
        Overlay(nodes=(node(1), node(2, chassis="id-1"))).check()
    Overlay(nodes=(node(1), node(2)), gateways=(gateway(1), gateway(2))).check()
    Overlay(nodes=(node(1, chassis=None), node(2, chassis=None))).check()
