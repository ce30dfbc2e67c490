# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects hosts whose change failed half-way: what was written can be rolled back."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.difference import difference
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.plan import Plan
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import (
    CurrentRow,
    Owner,
    Row,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.transaction import operations
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.undo import committed_guard, undo, with_uuids

NODE = Owner("Node", "node1")
SWITCH = Row("Logical_Switch", NODE, "switch", "sw")
PORT = Row("Logical_Switch_Port", NODE, "port", "port", "sw")
GROUP = CurrentRow("Load_Balancer_Group", "uuid-group", {"name": "all"}, {"name": "all"})


def test_a_committed_plan_can_be_taken_back(as_current):
    """Protects a host whose kernel part failed: new rows go, changed ones get their old values again, others' stay."""
    bridge = Row("Bridge", NODE, "bridge", "br", ".", {"fail_mode": ("secure",), "other_config": {"a": "1", "b": "2"}})
    port = Row("Port", NODE, "port", "p", "br")
    current = as_current(bridge, fail_mode=(), other_config={"a": "0", "others": "x"})
    by_name = {("Bridge", "br"): current, ("Open_vSwitch", "."): GROUP}
    plan = with_uuids(difference([bridge, port], [current], by_name))
    (new,) = (op["uuid"] for op in operations(Plan(plan, by_name), "x") if op["op"] == "insert")
    back = undo(plan)
    assert [op["op"] for op in back] == ["mutate", "mutate", "update"]
    assert back[0]["mutations"] == [["ports", "delete", ["set", [["uuid", new]]]]]
    assert back[1]["mutations"] == [
        ["other_config", "delete", ["set", ["a", "b"]]],
        ["other_config", "insert", ["map", [["a", "0"]]]],
    ]
    assert back[2]["row"] == {"fail_mode": ["set", []]}


def test_only_a_committed_transaction_passes_its_guard(as_current):
    """Protects against undoing what was never written: the guard checks a new row by its UUID, else a changed value."""
    bridge = Row("Bridge", NODE, "bridge", "br", ".")
    (insert,) = with_uuids(difference([bridge], [], {("Open_vSwitch", "."): GROUP}))
    assert committed_guard([insert])["where"] == [["_uuid", "==", ["uuid", insert.uuid]]]
    desired = Row(
        "Bridge", NODE, "bridge", "br", ".", {"fail_mode": ("secure",), "other_config": {"a": "1", "b": None}}
    )
    current = as_current(desired, fail_mode=(), other_config={"a": "0", "b": "2"})
    changes = with_uuids(difference([desired], [current], {}))
    assert committed_guard(changes)["where"] == [
        ["_uuid", "==", ["uuid", current.uuid]],
        ["fail_mode", "==", ["set", ["secure"]]],
        ["other_config", "includes", ["map", [["a", "1"]]]],
        ["other_config", "excludes", ["map", [["b", "2"]]]],
    ]
