# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the promise: one call, one transaction, makes the database what its settings say, whatever it was."""

from __future__ import annotations

import pytest
from northbound import gateway_settings, node_settings

FAMILIES = {"v4": {}, "dual": {"dual": True}}
V6 = {"cluster_ip_subnet": ["fd10:128::/48"]}
V6_NODE = {"minion_switch_subnet": ["fd10:128:0:1::/64"]}
V6_GATEWAY = {"physical_ip": ["fd55::1/64"], "default_gw": ["fd55::fe"]}


@pytest.mark.parametrize("options", FAMILIES.values(), ids=FAMILIES)
def test_w6_a_second_run_changes_nothing(nb, options):
    """Protects against faults of a second gateway-init: a duplicate SNAT row, and marks that changed.

    Not even a row's version changes.
    """
    nb.master(**options)
    nb.node(1, **options)
    nb.gateway(1, **options)
    nb.gateway(2, **options)
    before = nb.everything()
    for again in (
        lambda: nb.master(**options),
        lambda: nb.node(1, **options),
        lambda: nb.gateway(1, **options),
        lambda: nb.gateway(2, **options),
    ):
        result = again()
        assert result["changed"] is False and result["plan"] == []
    assert nb.everything() == before


def test_a_second_run_of_everything_changes_nothing(nb):
    """Protects the site play's one call for the whole cluster, which reads in another way than a call for one node."""
    assert nb.build(nodes=range(1, 13), gateways=(1, 2, 3), dual=True)["changed"]
    before = nb.everything()
    assert nb.build(nodes=range(1, 13), gateways=(1, 2, 3), dual=True)["plan"] == []
    assert nb.everything() == before


def test_ipv6_alone(nb):
    """Protects clusters without IPv4: made once, unchanged the second time, and gone."""
    for _time in range(2):
        results = [nb.master(**V6), nb.node(1, **V6, **V6_NODE), nb.gateway(1, **V6, **V6_GATEWAY)]
    assert [result["changed"] for result in results] == [False] * 3
    assert nb.egress() == [("::/0", "fd98::2")]
    assert nb.routes("GR_node1") == [("::/0", "fd55::fe"), ("fd10:128::/48", "fd98::1")]
    nb.call("ovn_master_init", state="absent")
    assert nb.content() == {}


def test_the_marks_of_programs_go(nb):
    """Protects a database that stays after a removal: what the watcher and the egress program wrote to its one global
    row goes, and what others have there stays."""
    ids = [["of-others", "1"], ["k8s.ovn.org/writer-a", "x"], ["k8s.ovn.org/writer-b", "y"]]
    nb.transact({"op": "insert", "table": "NB_Global", "row": {"external_ids": ["map", ids]}})
    nb.master()
    for check in (True, False):
        result = nb.call("ovn_master_init", state="absent", check=check)
        assert result["plan"][-1]["keys"] == ["k8s.ovn.org/writer-a", "k8s.ovn.org/writer-b"]
    assert [row["external_ids"] for row in nb.rows("NB_Global")] == [["map", [["of-others", "1"]]]]
    assert nb.call("ovn_master_init", state="absent")["plan"] == []


def test_one_call_and_many_calls_make_the_same(nb, fresh):
    """Protects the modules against making different things than the site play's one call."""
    other = fresh()
    other.master()
    for number in (1, 2):
        other.node(number)
    for number in (1, 2):
        other.gateway(number)
    nb.build()
    assert nb.content() == other.content()
    assert nb.transactions() == ["ovn.kubernetes: ovn_master_init"]


# What changes in the settings of node 1 or of the gateway on it.
CHANGES = {
    "subnet": ("node", {"minion_switch_subnet": ["192.168.9.0/24"]}),
    "subnet's size": ("node", {"minion_switch_subnet": ["192.168.0.0/23"]}),
    "chassis": ("node", {"chassis": "another"}),
    "node's name": ("node", {"node_name": "kube-minion1"}),
    "gateway's address": ("gateway", {"physical_ip": ["10.55.0.77/24"]}),
    "gateway's network": ("gateway", {"physical_ip": ["172.16.0.5/29"], "default_gw": ["172.16.0.1"]}),
    "next hop": ("gateway", {"default_gw": ["10.55.0.253"]}),
    "no next hop": ("gateway", {"default_gw": []}),
    "NIC": ("gateway", {"physical_interface": "eth2", "physical_mac": "52:54:00:00:00:99"}),
    "bridge": ("gateway", {"physical_interface": None, "bridge_interface": "br-outside"}),
    "gateway's chassis": ("gateway", {"chassis": "another"}),
    "gateway's name": ("gateway", {"node_name": "kube-minion1"}),
    "gateway's second family": (
        "gateway",
        {"physical_ip": ["10.55.0.1/24", "fd55::1/64"], "default_gw": ["10.55.0.254", "fd55::fe"]},
    ),
}


@pytest.mark.parametrize(("what", "change"), CHANGES.values(), ids=CHANGES)
def test_w7_what_changed_is_moved_without_leftovers(nb, fresh, what, change):
    """Protects against an incomplete move: minion-init with another subnet left the router on the old one.

    It still ended without an error.
    """
    nb.master()
    nb.node(1)
    nb.node(2)
    nb.gateway(1)
    other = fresh()
    other.master()
    other.node(1, **(change if what == "node" else {}))
    other.node(2)
    other.gateway(1, **(change if what == "gateway" else {}))

    before = len(nb.transactions())
    call = nb.node if what == "node" else nb.gateway
    planned = call(1, check=True, **change)
    result = call(1, **change)
    assert result["changed"] and planned["plan"] == result["plan"]
    assert len(nb.transactions()) == before + 1
    assert nb.content() == other.content()
    assert not call(1, **change)["changed"]


def test_rename_keeps_the_rows_themselves(nb):
    """Protects pods' ports, load balancers and join addresses: a rename changes rows' names, and makes no new rows."""
    nb.build(nodes=(1,), gateways=(1,))
    before = nb.everything()
    changes = [nb.node(1, node_name="kube-minion1"), nb.gateway(1, node_name="kube-minion1")]
    assert {item["operation"] for result in changes for item in result["plan"]} == {"update"}
    after = nb.everything()
    assert {table: set(rows) for table, rows in after.items()} == {table: set(rows) for table, rows in before.items()}
    assert nb.content()["Logical_Switch"][0]["name"] == "kube-minion1"
    assert any("name node1 -> kube-minion1" in item["text"] for item in changes[0]["plan"])


def test_two_nodes_exchange_subnets_in_one_call(nb, fresh):
    """Protects a move that has no order of steps in which each step would be right."""
    nb.build(gateways=())
    other = fresh()
    swapped = [
        node_settings(1, minion_switch_subnet=["192.168.2.0/24"]),
        node_settings(2, minion_switch_subnet=["192.168.1.0/24"]),
    ]
    other.master(nodes=swapped)
    nb.master(nodes=swapped)
    assert nb.content() == other.content()


def test_two_nodes_exchange_names_in_one_call(nb, fresh):
    """Protects against rows of both being taken for the same one."""
    nb.build(gateways=())
    swapped = [node_settings(1, node_name="node2"), node_settings(2, node_name="node1")]
    other = fresh()
    other.master(nodes=swapped)
    nb.master(nodes=swapped)
    assert nb.content() == other.content()


def test_a_whole_cluster_moves_to_other_networks(nb, fresh):
    """Protects the move of every network at once: pods', join and physical."""
    moved = {
        "cluster_ip_subnet": ["10.128.0.0/14"],
        "join_subnet": ["100.70.0.0/24"],
        "nodes": [node_settings(number, minion_switch_subnet=[f"10.128.{number}.0/24"]) for number in (1, 2)],
        "gateways": [
            gateway_settings(number, physical_ip=[f"172.16.0.{number}/24"], default_gw=["172.16.0.254"])
            for number in (1, 2)
        ],
    }
    nb.build()
    nb.master(**moved)
    other = fresh()
    other.master(**moved)
    assert nb.content() == other.content()
    assert nb.join_addresses() == ["100.70.0.1/24", "100.70.0.2/24", "100.70.0.3/24"]


def test_a_second_family_is_added(nb, fresh):
    """Protects the way from IPv4 to both families, and back."""
    nb.build()
    single = nb.content()
    nb.build(dual=True)
    other = fresh()
    other.build(dual=True)
    assert nb.content() == other.content()
    nb.build()
    assert nb.content() == single


def test_w25_names_are_lower_case_whoever_writes_them(nb):
    """Protects against a second node for the same host: only one of three commands made names lower case."""
    nb.master()
    nb.node(1, node_name="Node1")
    assert nb.node(1, node_name="NODE1")["plan"] == []
    nb.gateway(1, node_name="Node1")
    assert nb.gateway(1)["plan"] == []
    assert "Node1" not in str(nb.content())
    nb.remove_gateway("NODE1")
    nb.remove_node("nODE1")
    assert "node1" not in str(nb.content())


def test_a_gateway_keeps_what_is_not_known_now(nb):
    """Protects chassis and MAC on a call from a master, which does not see the host."""
    nb.master()
    nb.gateway(1)
    before = nb.everything()
    assert nb.gateway(1, chassis=None, physical_mac=None)["plan"] == []
    assert nb.everything() == before


def test_the_join_network_does_not_move_under_a_gateway(nb):
    """Protects against an incomplete move (W7): no call may leave a gateway behind in the old join network."""
    nb.build()
    assert nb.refused("ovn_master_init", join_subnet=["100.70.0.0/16"], gateways=[gateway_settings(1)]) == (
        "join_subnet '100.70.0.0/16' differs from the current one, and gateway node2 would keep its old address: "
        "name all gateways in the call"
    )


def outer_mtu(nb, name="rtoe-GR_node1"):
    (port,) = [row for row in nb.rows("Logical_Router_Port") if row["name"] == name]
    return dict(port["options"][1]).get("gateway_mtu")


KINDS = {"dedicated": {}, "shared": {"physical_interface": None, "bridge_interface": "br-outside"}}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("dual", [False, True], ids=["v4", "dual"])
def test_a_narrow_nic_outside_has_its_mtu_at_the_outer_port(nb, kind, dual):
    """Protects pods on jumbo tunnels: without the option their packets vanish at the NIC, and path MTU discovery with
    them. A NIC that takes all packets has no such option, which costs a comparison of each."""
    nb.master(dual=dual)
    nb.node(1, dual=dual)
    nb.gateway(1, dual=dual, mtu=8942, physical_mtu=1500, **kind)
    assert outer_mtu(nb) == "1500"
    assert nb.gateway(1, dual=dual, mtu=8942, **kind)["plan"] == []  # as where the host is not known in a run
    nb.gateway(1, dual=dual, mtu=1442, **kind)
    assert outer_mtu(nb) is None
    nb.gateway(1, dual=dual, mtu=8942, **kind)
    assert outer_mtu(nb) == "1500"
    nb.gateway(1, dual=dual, mtu=8942, physical_mtu=9000, **kind)
    assert outer_mtu(nb) is None


def test_gateways_that_the_call_names_are_gone_with_it(nb, fresh):
    """Protects hosts that have left ovn_gateways: rows go in the one transaction, others stay."""
    nb.build(nodes=(1, 2), gateways=(1, 2))
    other = fresh()
    other.build(nodes=(1, 2), gateways=(2,))
    arguments = {
        "nodes": [node_settings(1), node_settings(2)],
        "gateways": [gateway_settings(2)],
        "absent_gateways": ["Node1", "never-there"],
    }
    before = len(nb.transactions())
    planned = nb.master(check=True, **arguments)
    assert nb.master(**arguments)["plan"] == planned["plan"] != []
    assert len(nb.transactions()) == before + 1
    assert {row["name"] for row in nb.rows("Logical_Router")} == {row["name"] for row in other.rows("Logical_Router")}
    assert not nb.master(**arguments)["changed"]
    said = nb.refused("ovn_master_init", **{**arguments, "absent_gateways": ["node2"]})
    assert said == "gateways and absent_gateways both name node2: name it in one of them"
