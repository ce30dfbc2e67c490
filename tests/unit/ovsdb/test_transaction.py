# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the operations that a plan becomes: guards first, sets mutated and never overwritten, references within the transaction."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import DatabaseError
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.difference import difference
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.plan import Plan, Read
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import (
    CurrentRow,
    Owner,
    Query,
    Ref,
    Row,
    SetMembers,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.transaction import operations
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.undo import undo, with_uuids

NODE = Owner("Node", "node1")
SWITCH = Row("Logical_Switch", NODE, "switch", "sw")
PORT = Row("Logical_Switch_Port", NODE, "port", "port", "sw")
GROUP = CurrentRow("Load_Balancer_Group", "uuid-group", {"name": "all"}, {"name": "all"})


def made(wanted, own=(), named=None, reads=()):
    """The operations, by what they do: (waits, others); the comment is checked and left out."""
    named = named or {}
    ops = operations(Plan(difference(list(wanted), list(own), named), named, reads), "who asked")
    assert ops[-1] == {"op": "comment", "comment": "who asked"}
    waits = [op for op in ops if op["op"] == "wait"]
    assert all(op["timeout"] == 0 for op in waits)
    return waits, [op for op in ops[:-1] if op["op"] != "wait"]


def test_what_the_plan_was_made_from_must_still_be_so():
    """Protects allocations: each answer that was asked for is compared to the letter."""
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
    """Protects large clusters: who holds the lock that its rows are written under need not have the server search for each new name."""
    plan = difference(
        [SWITCH, PORT, Row("Load_Balancer", NODE, "lb", "lb", "all")], [], {("Load_Balancer_Group", "all"): GROUP}
    )
    ops = operations(Plan(plan, {("Load_Balancer_Group", "all"): GROUP}), "who asked", lock="ours")
    assert ops[0] == {"op": "assert", "lock": "ours"}
    assert [(op["table"], op["where"]) for op in ops if op["op"] == "wait"] == [
        ("Load_Balancer_Group", [["_uuid", "==", ["uuid", "uuid-group"]]])
    ]


def test_a_load_balancer_goes_by_itself(as_found):
    """Protects against load balancers that are only taken out of their group: they would stay for ever."""
    _waits, others = made([], [as_found(Row("Load_Balancer", NODE, "lb", "lb", "all"))])
    assert [op["op"] for op in others] == ["delete"]


def test_a_new_row_must_not_be_there_yet():
    """Protects against doubles: neither by its keys nor by its name."""
    waits, others = made([SWITCH])
    assert [(op["table"], op["where"][0][0], op["rows"]) for op in waits] == [
        ("Logical_Switch", "external_ids", []),
        ("Logical_Switch", "name", []),
    ]
    assert [op["op"] for op in others] == ["insert"]


def test_a_new_row_hangs_on_its_holder(as_found):
    """Protects rows that would go at once when nothing refers to them, and the holder's other members."""
    waits, others = made([SWITCH, PORT], [as_found(SWITCH)], {("Logical_Switch", "sw"): as_found(SWITCH)})
    assert [op["op"] for op in others] == ["insert", "mutate"]
    ((column, how, members),) = others[1]["mutations"]
    assert (others[1]["table"], column, how) == ("Logical_Switch", "ports", "insert")
    assert members == ["set", [["named-uuid", others[0]["uuid-name"]]]]
    assert waits[-1]["where"][0][0] == "_uuid" and waits[-1]["table"] == "Logical_Switch"


def test_a_missing_holder_is_said_in_words():
    """Protects users who make a node before the cluster."""
    with pytest.raises(DatabaseError, match=r"^Logical_Switch sw does not exist: make it first \(ovn_master_init\)$"):
        made([PORT])


def test_a_changed_row_must_be_as_it_was_read(as_found):
    """Protects others' writes: the whole old column is compared, as it came."""
    wanted = Row("Logical_Switch", NODE, "switch", "sw", columns={"other_config": {"subnet": "2"}})
    waits, others = made([wanted], [as_found(wanted, other_config={"subnet": "1", "others": "x"})])
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


def test_references_are_added(as_found):
    """Protects load balancers of others (W30)."""
    wanted = Row(
        "Logical_Switch",
        NODE,
        "switch",
        "sw",
        columns={"load_balancer_group": SetMembers((Ref("Load_Balancer_Group", "all"),))},
    )
    _waits, others = made(
        [wanted], [as_found(wanted, load_balancer_group=("uuid-foreign",))], {("Load_Balancer_Group", "all"): GROUP}
    )
    assert others[0]["mutations"] == [["load_balancer_group", "insert", ["set", [["uuid", "uuid-group"]]]]]


def test_values_are_set(as_found):
    """Protects plain columns and whole sets."""
    wanted = Row("Logical_Router_Port", NODE, "port", "port", "router", {"networks": ("b", "a"), "mac": "m"})
    _waits, others = made([wanted], [as_found(wanted, networks="c", mac="n")], {("Logical_Router", "router"): GROUP})
    assert [(op["op"], op["row"]) for op in others] == [("update", {"mac": "m", "networks": ["set", ["b", "a"]]})]


def test_a_row_goes_from_its_holder(as_found):
    """Protects the holder's other members."""
    _waits, others = made([], [as_found(SWITCH), as_found(PORT)])
    assert [(op["op"], op["table"]) for op in others] == [("mutate", "Logical_Switch"), ("delete", "Logical_Switch")]
    assert others[0]["mutations"][0][:2] == ["ports", "delete"]


def test_what_was_done_can_be_taken_back(as_found):
    """Protects a host whose kernel part failed: new rows go, changed ones have their old values again, others' stay."""
    bridge = Row("Bridge", NODE, "bridge", "br", ".", {"fail_mode": ("secure",), "other_config": {"a": "1", "b": "2"}})
    port = Row("Port", NODE, "port", "p", "br")
    have = as_found(bridge, fail_mode=(), other_config={"a": "0", "others": "x"})
    named = {("Bridge", "br"): have, ("Open_vSwitch", "."): GROUP}
    plan = with_uuids(difference([bridge, port], [have], named))
    (new,) = (op["uuid"] for op in operations(Plan(plan, named), "x") if op["op"] == "insert")
    back = undo(plan)
    assert [op["op"] for op in back] == ["mutate", "mutate", "update"]
    assert back[0]["mutations"] == [["ports", "delete", ["set", [["uuid", new]]]]]
    assert back[1]["mutations"] == [
        ["other_config", "delete", ["set", ["a", "b"]]],
        ["other_config", "insert", ["map", [["a", "0"]]]],
    ]
    assert back[2]["row"] == {"fail_mode": ["set", []]}
