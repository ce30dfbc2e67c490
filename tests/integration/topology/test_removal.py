# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects removal (W9): no row of ours is left, in whatever order; egress stays as long as one gateway does (W10)."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import Owner
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.values import encode


def test_w9_removal_in_any_order_leaves_nothing(nb):
    """Protects against orphans: each order of removing two nodes and two gateways ends at what the cluster alone is."""
    nb.master()
    bare = nb.content()
    steps = [(remove, name) for remove in (nb.remove_node, nb.remove_gateway) for name in ("node1", "node2")]
    for order in itertools.permutations(steps):
        nb.build()
        for remove, name in order:
            assert remove(name)["changed"]
        assert nb.content() == bare
    nb.call("ovn_master_init", state="absent")
    assert nb.content() == {}


@pytest.mark.parametrize("dual", [False, True])
def test_w9_the_cluster_takes_all_with_it(nb, dual):
    """Protects the removal of everything: also nodes and gateways that the call does not name."""
    nb.build(dual=dual)
    keys = Owner("Host", "*").keys("addresses-4")
    nb.transact({"op": "insert", "table": "Address_Set", "row": {"name": "x", "external_ids": encode(keys)}})
    result = nb.call("ovn_master_init", state="absent")
    assert {item["operation"] for item in result["plan"]} == {"delete"}
    assert nb.content() == {}
    assert nb.transactions()[2:] == ["ovn.kubernetes: ovn_master_init"]


def test_removing_what_is_not_there_changes_nothing(nb):
    """Protects idempotence of removal, with a cluster and without one."""
    for _time in range(2):
        assert not nb.remove_node("node7")["changed"]
        assert not nb.remove_gateway("node7")["changed"]
        nb.master()
    nb.call("ovn_master_init", state="absent")
    assert not nb.call("ovn_master_init", state="absent")["changed"]


def test_several_are_removed_in_one_transaction(nb):
    """Protects the lists of the modules, with names in any case."""
    nb.build(nodes=(1, 2, 3), gateways=(1, 2, 3))
    before = len(nb.transactions())
    nb.call("ovn_gateway", state="absent", gateways=[{"node_name": "node1"}, {"node_name": "NODE3"}])
    nb.call("ovn_minion_init", state="absent", nodes=[{"node_name": "node1"}, {"node_name": "NODE3"}])
    assert len(nb.transactions()) == before + 2
    assert [row["name"] for row in nb.content()["Logical_Switch"]] == ["node2", "join", "ext_node2"]


def host_rows(nb, name):
    """What the watcher has written for a host."""

    def keys(role):
        mine = {
            "owner-controller": "ovn.kubernetes",
            "owner-type": "Host",
            "name": name,
            "id": f"ovn.kubernetes:Host:{name}:{role}",
        }
        return ["map", [["k8s.ovn.org/" + key, value] for key, value in mine.items()]]

    nb.transact(
        {"op": "insert", "table": "Chassis_Template_Var", "row": {"chassis": name, "external_ids": keys("variables")}},
        {
            "op": "insert",
            "table": "Logical_Router_Static_Route",
            "uuid-name": "r",
            "row": {"ip_prefix": "10.0.0.1/32", "nexthop": "192.168.1.2", "external_ids": keys("host-10.0.0.1")},
        },
        {
            "op": "insert",
            "table": "Logical_Router_Policy",
            "uuid-name": "p",
            "row": {"priority": 110, "match": "ip4", "action": "allow", "external_ids": keys("replies-4")},
        },
        {
            "op": "insert",
            "table": "ACL",
            "uuid-name": "a",
            "row": {
                "priority": 1000,
                "direction": "from-lport",
                "match": "ip4",
                "action": "drop",
                "external_ids": keys("unserved-4"),
            },
        },
        {
            "op": "mutate",
            "table": "Logical_Switch",
            "where": [["name", "==", name]],
            "mutations": [["acls", "insert", ["named-uuid", "a"]]],
        },
        {
            "op": "mutate",
            "table": "Logical_Router",
            "where": [["name", "==", "ovn_cluster_router"]],
            "mutations": [
                ["static_routes", "insert", ["named-uuid", "r"]],
                ["policies", "insert", ["named-uuid", "p"]],
            ],
        },
    )


@pytest.mark.parametrize("others", [0, 8])
def test_what_the_watcher_has_of_a_node_goes_with_it(nb, others):
    """Protects against a host's template variables, route, policy and ACL that nobody removes when no watcher runs.

    Another host's stay.
    """
    nb.build(nodes=(2,), gateways=())
    host_rows(nb, "node2")
    before = nb.content()
    nb.node(1)
    host_rows(nb, "node1")
    nb.call(
        "ovn_minion_init",
        state="absent",
        nodes=[{"node_name": f"node{number}"} for number in (1, *range(3, 3 + others))],
    )
    assert nb.content() == before


def test_w10_egress_goes_over_all_gateways_and_survives_each(nb):
    """Protects egress against the loss of any gateway: it was wired to the first one for ever."""
    nb.master()
    for order in itertools.permutations((1, 2, 3)):
        for number in (1, 2, 3):
            nb.gateway(number)
        left = {number: ("0.0.0.0/0", f"100.64.0.{number + 1}") for number in (1, 2, 3)}
        assert nb.egress() == sorted(left.values())
        for number in order:
            nb.remove_gateway(f"node{number}")
            del left[number]
            assert nb.egress() == sorted(left.values())


def test_w10_both_families_have_egress(nb):
    """Protects IPv6 egress beside IPv4's: a gateway takes default traffic only of families that it has a route for."""
    nb.master(dual=True)
    nb.gateway(1, dual=True)
    nb.gateway(2, dual=True, default_gw=["fd55::fe"])
    assert nb.egress() == [("0.0.0.0/0", "100.64.0.2"), ("::/0", "fd98::2"), ("::/0", "fd98::3")]


def test_a_free_join_address_is_used_again(nb):
    """Protects the join subnet against running out when gateways come and go, and the others against moving."""
    nb.master()
    for number in (1, 2, 3):
        nb.gateway(number)
    nb.remove_gateway("node2")
    nb.gateway(4)
    nb.gateway(5)
    assert nb.egress() == [("0.0.0.0/0", f"100.64.0.{last}") for last in (2, 3, 4, 5)]
    assert not nb.gateway(3)["changed"]
