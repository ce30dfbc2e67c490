# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the operations that a plan becomes: guards first, sets mutated and never overwritten.

References stay within the transaction.
"""

from __future__ import annotations

import json

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import DatabaseError
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.difference import difference
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.plan import Plan, Read
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import (
    CurrentRow,
    LargeSet,
    Owner,
    Query,
    Ref,
    Row,
    SetMembers,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.transaction import operations

NODE = Owner("Node", "node1")
SWITCH = Row("Logical_Switch", NODE, "switch", "sw")
PORT = Row("Logical_Switch_Port", NODE, "port", "port", "sw")
GROUP = CurrentRow("Load_Balancer_Group", "uuid-group", {"name": "all"}, {"name": "all"})


def made(desired, own=(), by_name=None, reads=()):
    """The operations, by what they do: (waits, others); the comment is checked and left out."""
    by_name = by_name or {}
    ops = operations(Plan(difference(list(desired), list(own), by_name), by_name, reads), "comment")
    assert ops[-1] == {"op": "comment", "comment": "comment"}
    waits = [op for op in ops if op["op"] == "wait"]
    assert all(op["timeout"] == 0 for op in waits)
    return waits, [op for op in ops[:-1] if op["op"] != "wait"]


def test_what_the_plan_was_made_from_must_still_be_so():
    """Protects allocations: each row that was read is compared exactly."""
    query = Query("Logical_Router_Port", (("name", "==", "x"),), ("networks",))
    waits, _others = made([SWITCH], reads=[Read(query, [{"networks": "1.2.3.4/24"}])])
    assert waits[0] == {
        "op": "wait",
        "timeout": 0,
        "table": "Logical_Router_Port",
        "where": [["name", "==", "x"]],
        "columns": ["networks"],
        "until": "==",
        "rows": [{"networks": "1.2.3.4/24"}],
    }


def test_a_lock_stands_for_looking_through_tables():
    """Protects large clusters: with the lock of its rows held, the server does not search for each new name."""
    plan = difference(
        [SWITCH, PORT, Row("Load_Balancer", NODE, "lb", "lb", "all")], [], {("Load_Balancer_Group", "all"): GROUP}
    )
    ops = operations(Plan(plan, {("Load_Balancer_Group", "all"): GROUP}), "comment", lock="ours")
    assert ops[0] == {"op": "assert", "lock": "ours"}
    assert [(op["table"], op["where"]) for op in ops if op["op"] == "wait"] == [
        ("Load_Balancer_Group", [["_uuid", "==", ["uuid", "uuid-group"]]])
    ]


def test_a_load_balancer_goes_by_itself(as_current):
    """Protects against load balancers that are only taken out of their group: they would stay for ever."""
    _waits, others = made([], [as_current(Row("Load_Balancer", NODE, "lb", "lb", "all"))])
    assert [op["op"] for op in others] == ["delete"]


def test_a_new_row_must_not_be_there_yet():
    """Protects against doubles: neither by its keys nor by its name."""
    waits, others = made([SWITCH])
    assert [(op["table"], op["where"][0][0], op["rows"]) for op in waits] == [
        ("Logical_Switch", "external_ids", []),
        ("Logical_Switch", "name", []),
    ]
    assert [op["op"] for op in others] == ["insert"]


def test_a_new_row_is_added_to_its_parent(as_current):
    """Protects rows that would go at once when nothing refers to them, and the parent's other members."""
    waits, others = made([SWITCH, PORT], [as_current(SWITCH)], {("Logical_Switch", "sw"): as_current(SWITCH)})
    assert [op["op"] for op in others] == ["insert", "mutate"]
    ((column, how, members),) = others[1]["mutations"]
    assert (others[1]["table"], column, how) == ("Logical_Switch", "ports", "insert")
    assert members == ["set", [["named-uuid", others[0]["uuid-name"]]]]
    assert waits[-1]["where"][0][0] == "_uuid" and waits[-1]["table"] == "Logical_Switch"


def test_a_missing_parent_is_said_in_words():
    """Protects users who make a node before the cluster."""
    with pytest.raises(DatabaseError, match=r"^Logical_Switch sw does not exist: make it first \(ovn_master_init\)$"):
        made([PORT])


def test_a_changed_row_must_be_as_it_was_read(as_current):
    """Protects others' writes: the whole old column is compared, as it came."""
    desired = Row("Logical_Switch", NODE, "switch", "sw", columns={"other_config": {"subnet": "2"}})
    waits, others = made([desired], [as_current(desired, other_config={"subnet": "1", "others": "x"})])
    assert waits[0]["columns"] == ["other_config"] and waits[0]["rows"] == [
        {"other_config": ["map", [["others", "x"], ["subnet", "1"]]]}
    ]
    assert others == [
        {
            "op": "mutate",
            "table": "Logical_Switch",
            "where": waits[0]["where"],
            "mutations": [
                ["other_config", "delete", ["set", ["subnet"]]],
                ["other_config", "insert", ["map", [["subnet", "2"]]]],
            ],
        }
    ]


def test_of_a_large_set_only_what_differs_is_sent(as_current):
    """Protects clusters of many hosts: guard and change of a set of 1,000 members are as long as the difference, and
    the guard still says that the members which differ are as they were read.
    """
    members = tuple(f"10.0.{number}.1" for number in range(1000))
    desired = Row("Address_Set", NODE, "addresses", "hosts", columns={"addresses": LargeSet(members)})
    current = as_current(desired, addresses=(*members[1:], "10.9.9.9"))
    waits, (change,) = made([desired], [current])
    assert waits[0]["where"][1:] == [
        ["addresses", "includes", ["set", ["10.9.9.9"]]],
        ["addresses", "excludes", ["set", ["10.0.0.1"]]],
    ]
    assert change["mutations"] == [
        ["addresses", "delete", ["set", ["10.9.9.9"]]],
        ["addresses", "insert", ["set", ["10.0.0.1"]]],
    ]
    assert len(json.dumps([waits, change])) < 1000
    assert made([desired], [as_current(desired)]) == ([], [])


def test_references_are_added(as_current):
    """Protects load balancers of others (W30)."""
    desired = Row(
        "Logical_Switch",
        NODE,
        "switch",
        "sw",
        columns={"load_balancer_group": SetMembers((Ref("Load_Balancer_Group", "all"),))},
    )
    _waits, others = made(
        [desired], [as_current(desired, load_balancer_group=("uuid-foreign",))], {("Load_Balancer_Group", "all"): GROUP}
    )
    assert others[0]["mutations"] == [["load_balancer_group", "insert", ["set", [["uuid", "uuid-group"]]]]]


def test_values_are_set(as_current):
    """Protects plain columns and whole sets."""
    desired = Row("Logical_Router_Port", NODE, "port", "port", "router", {"networks": ("b", "a"), "mac": "m"})
    _waits, others = made(
        [desired], [as_current(desired, networks="c", mac="n")], {("Logical_Router", "router"): GROUP}
    )
    assert [(op["op"], op["row"]) for op in others] == [("update", {"mac": "m", "networks": ["set", ["b", "a"]]})]


def test_a_row_goes_from_its_parent(as_current):
    """Protects the parent's other members."""
    _waits, others = made([], [as_current(SWITCH), as_current(PORT)])
    assert [(op["op"], op["table"]) for op in others] == [("mutate", "Logical_Switch"), ("delete", "Logical_Switch")]
    assert others[0]["mutations"][0][:2] == ["ports", "delete"]
