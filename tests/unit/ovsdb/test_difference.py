# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the plan: what differs is in it, what does not is not, and nobody else's row is ever taken."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import Conflict, DatabaseError
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.difference import difference
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import (
    CurrentRow,
    ExactMap,
    ListMember,
    Owner,
    Ref,
    Row,
    SetMembers,
)

NODE = Owner("Node", "node1")
OTHER = Owner("Node", "node2")
GROUP = CurrentRow("Load_Balancer_Group", "uuid-group", {"name": "all"}, {"name": "all"})


def row(columns=None, owner=NODE, name="sw", table="Logical_Switch", role="switch", **more):
    """Return a desired row."""
    return Row(table, owner, role, name, columns=columns or {}, **more)


def plan(desired, own=(), by_name=None, renamed_owners=None):
    """The plan as (kind, label, columns)."""
    return [
        (change.kind, change.label(), change.columns)
        for change in difference(list(desired), list(own), by_name or {}, renamed_owners)
    ]


# desired value, current value, (before, after) or None when nothing differs.
VALUES = {
    "text": ("a", "a", None),
    "another text": ("a", "b", ("b", "a")),
    "text where nothing is": ("a", "", ("", "a")),
    "number": (1400, 1500, (1500, 1400)),
    "set": (("a", "b"), ("b", "a"), None),
    "set of one, which comes bare": (("a",), "a", None),
    "larger set": (("a", "b"), "a", (("a",), ("a", "b"))),
    "smaller set": (("a",), ("a", "b"), (("a", "b"), ("a",))),
    "empty set": ((), (), None),
    "optional value that goes": ((), "a", (("a",), ())),
    "keys": ({"a": "1"}, {"a": "1", "others": "2"}, None),
    "a whole map": (ExactMap(a="1"), {"a": "1"}, None),
    "a whole map with a key too many": (
        ExactMap(a="1"),
        {"a": "1", "others": "2"},
        ({"others": "2"}, {"others": None}),
    ),
    "another value of a key": ({"a": "1"}, {"a": "0", "others": "2"}, ({"a": "0"}, {"a": "1"})),
    "new key": ({"a": "1", "b": "2"}, {"a": "1"}, ({"b": None}, {"b": "2"})),
    "key that goes": ({"a": None}, {"a": "1", "others": "2"}, ({"a": "1"}, {"a": None})),
    "key that is not there": ({"a": None}, {"others": "2"}, None),
    "member": ({"a": ListMember("p", "x")}, {"a": "o:y,p:x"}, None),
    "new member": ({"a": ListMember("p", "x")}, {"a": "o:y"}, ({"a": "o:y"}, {"a": "o:y,p:x"})),
    "member that goes": ({"a": ListMember("p", None)}, {"a": "o:y,p:x"}, ({"a": "o:y,p:x"}, {"a": "o:y"})),
    "last member that goes": ({"a": ListMember("p", None)}, {"a": "p:x"}, ({"a": "p:x"}, {"a": None})),
    "reference": (SetMembers((Ref("Load_Balancer_Group", "all"),)), ("uuid-group", "uuid-foreign"), None),
    "bare reference": (SetMembers((Ref("Load_Balancer_Group", "all"),)), "uuid-group", None),
    "missing reference": (
        SetMembers((Ref("Load_Balancer_Group", "all"),)),
        ("uuid-foreign",),
        ((), (Ref("Load_Balancer_Group", "all"),)),
    ),
    "reference to a row that is still to be made": (
        SetMembers((Ref("Load_Balancer_Group", "new"),)),
        (),
        ((), (Ref("Load_Balancer_Group", "new"),)),
    ),
}


@pytest.mark.parametrize(("value", "current", "expected"), VALUES.values(), ids=VALUES)
def test_each_kind_of_value(as_current, value, current, expected):
    """Protects how a column is held: exactly, by its keys, by its members; the rest of it is somebody else's."""
    desired = row({"column": value})
    changes = plan([desired], [as_current(desired, column=current)], {("Load_Balancer_Group", "all"): GROUP})
    assert changes == ([] if expected is None else [("update", "Logical_Switch sw", {"column": expected})])


def test_a_new_row_has_all_its_values():
    """Protects inserts: no key without a value, no member of an empty text, references by name."""
    desired = row(
        {
            "a": {"x": "1", "y": None, "z": ListMember("p", "q"), "gone": ListMember("p", None)},
            "b": ("1", "2"),
            "c": SetMembers((Ref("Load_Balancer_Group", "all"),)),
        }
    )
    ((kind, label, columns),) = plan([desired])
    assert (kind, label) == ("insert", "Logical_Switch sw")
    assert columns["a"] == (None, {"x": "1", "z": "p:q"})
    assert columns["b"] == (None, ("1", "2"))
    assert columns["c"] == (None, (Ref("Load_Balancer_Group", "all"),))
    assert columns["name"] == (None, "sw")
    assert columns["external_ids"] == (None, NODE.keys("switch"))


def test_the_order_of_the_plan(as_current):
    """Protects readers and references: inserts and updates in the policy's order, then deletes in the opposite."""
    first, second, third = (row(name=name, role=name) for name in "abc")
    old = [as_current(row(name=name, role=name)) for name in ("x", "y", "z")]
    changes = plan([first, second, third], [*old, as_current(second, name="before")])
    assert [(kind, label) for kind, label, _columns in changes] == [
        ("insert", "Logical_Switch a"),
        ("update", "Logical_Switch before"),
        ("insert", "Logical_Switch c"),
        ("delete", "Logical_Switch z"),
        ("delete", "Logical_Switch y"),
        ("delete", "Logical_Switch x"),
    ]


def test_a_second_row_of_the_same_role_goes(as_current):
    """Protects against doubles (W6), however they came."""
    desired = row()
    double = as_current(desired)
    assert plan([desired], [as_current(desired), double]) == [
        ("delete", "Logical_Switch sw", {column: (value, None) for column, value in double.columns.items()})
    ]


def test_a_new_name_is_an_update(as_current):
    """Protects rows from being made anew: they are known by owner and role."""
    assert plan([row(name="new")], [as_current(row(name="old"))]) == [
        ("update", "Logical_Switch old", {"name": ("old", "new")})
    ]


def test_a_renamed_owner_keeps_its_rows(as_current):
    """Protects a renamed node: name and owner keys move in place, other keys stay."""
    desired = row(owner=OTHER, name="node2")
    old = as_current(row(owner=NODE, name="node1"))
    ((kind, label, columns),) = plan([desired], [old], renamed_owners={("Node", "node1"): "node2"})
    assert (kind, label) == ("update", "Logical_Switch node1")
    assert columns["name"] == ("node1", "node2")
    assert columns["external_ids"][1] == {
        "k8s.ovn.org/name": "node2",
        "k8s.ovn.org/id": "ovn.kubernetes:Node:node2:switch",
    }


def test_a_row_under_the_new_name_comes_before_one_under_the_old(as_current):
    """Protects half a rename: what has the right name is kept, what is left under the old one goes."""
    desired = row(owner=OTHER, name="node2")
    old, new = as_current(row(owner=NODE, name="node1")), as_current(desired)
    for own in ([old, new], [new, old]):
        assert [
            (kind, label) for kind, label, _columns in plan([desired], own, renamed_owners={("Node", "node1"): "node2"})
        ] == [("delete", "Logical_Switch node1")]


@pytest.mark.parametrize("table", ["Bridge", "Port", "Interface"])
def test_a_name_that_can_not_change_means_a_new_row(as_current, table):
    """Protects against an update that the schema of Open vSwitch forbids."""
    changes = plan([row(table=table, name="new")], [as_current(row(table=table, name="old"))])
    assert [(kind, label) for kind, label, _columns in changes] == [
        ("insert", f"{table} new"),
        ("delete", f"{table} old"),
    ]


def test_a_foreign_row_of_that_name_is_refused(as_current):
    """Protects other users of the database, and names them."""
    desired = row()
    for theirs, whom in (
        (as_current(desired, owned=False), r"somebody else \(it carries no owner keys of ours\)"),
        (as_current(row(owner=OTHER)), "Node node2"),
    ):
        with pytest.raises(
            DatabaseError,
            match=(
                f"^Logical_Switch sw exists already and belongs to {whom}: "
                "give this one another name, or remove that row$"
            ),
        ):
            plan([desired], by_name={("Logical_Switch", "sw"): theirs})


def test_a_row_of_ours_that_came_between_two_reads_is_looked_for_again(as_current):
    """Protects two calls at once: what the other one has just made is ours, and no reason to fail."""
    with pytest.raises(Conflict):
        plan([row()], by_name={("Logical_Switch", "sw"): as_current(row())})


def test_a_row_without_owner_is_adopted_where_that_is_wanted(as_current):
    """Protects br-int, which ovn-controller may have made: it gets our keys; one with an owner is still refused."""
    desired = row({"column": "a"}, kind="adopted")
    ((kind, _label, columns),) = plan([desired], by_name={("Logical_Switch", "sw"): as_current(desired, owned=False)})
    assert kind == "update" and columns["external_ids"][1] == NODE.keys("switch")
    with pytest.raises(DatabaseError, match="belongs to Node node2"):
        plan([desired], by_name={("Logical_Switch", "sw"): as_current(row(owner=OTHER))})


def test_a_shared_row_is_held_by_its_keys_and_never_goes(as_current):
    """Protects the one row of Open_vSwitch: our keys come and go in it."""
    desired = row({"external_ids": {"a": "1"}}, kind="shared")
    theirs = as_current(desired, owned=False, external_ids={"b": "2"})
    by_name = {("Logical_Switch", "sw"): theirs}
    assert plan([desired], by_name=by_name) == [
        ("update", "Logical_Switch sw", {"external_ids": ({"a": None}, {"a": "1"})})
    ]
    assert plan([row({"external_ids": {"b": None}}, kind="shared", present=False)], by_name=by_name) == [
        ("update", "Logical_Switch sw", {"external_ids": ({"b": "2"}, {"b": None})})
    ]
    assert plan([row({"external_ids": {"b": None}}, kind="shared", present=False)]) == []
    with pytest.raises(
        DatabaseError, match=r"^Logical_Switch sw does not exist: make the cluster first \(ovn_master_init\)$"
    ):
        plan([desired])


def test_a_named_row_is_ours_by_its_name(as_current):
    """Protects tables without external_ids."""
    desired = Row("Load_Balancer_Group", NODE, "group", "all", kind="named")
    gone = Row("Load_Balancer_Group", NODE, "group", "all", kind="named", present=False)
    there = {("Load_Balancer_Group", "all"): GROUP}
    assert plan([desired]) == [("insert", "Load_Balancer_Group all", {"name": (None, "all")})]
    assert plan([desired], by_name=there) == []
    assert plan([gone]) == []
    assert plan([gone], by_name=there) == [("delete", "Load_Balancer_Group all", {"name": ("all", None)})]


def test_nothing_wanted_means_everything_of_ours_goes(as_current):
    """Protects removal: an empty desire."""
    assert [kind for kind, _label, _columns in plan([], [as_current(row()), as_current(row(role="x", name="x"))])] == [
        "delete"
    ] * 2


def test_a_row_that_has_lost_its_keys_is_known_by_all_else(as_current):
    """Protects ours and others': without owner keys a row of our name is ours when nothing else differs, and only then,
    and never when another controller claims it.
    """
    desired = row({"column": "a"}, kind="known")
    lost = as_current(desired, owned=False)
    ((kind, _label, columns),) = plan([desired], by_name={("Logical_Switch", "sw"): lost})
    assert (kind, list(columns), columns["external_ids"][1]) == ("update", ["external_ids"], NODE.keys("switch"))
    claimed = as_current(desired, owned=False, external_ids={"k8s.ovn.org/owner-controller": "other"})
    for theirs in (as_current(desired, owned=False, column="b"), claimed):
        with pytest.raises(DatabaseError, match="belongs to somebody else"):
            plan([desired], by_name={("Logical_Switch", "sw"): theirs})


def test_of_two_rows_with_one_identity_the_one_with_the_name_stays(as_current):
    """Protects a row from another one to which somebody gave its owner keys."""
    right, other = as_current(row()), as_current(row(name="other"))
    for current in ([right, other], [other, right]):
        assert [(kind, label) for kind, label, _columns in plan([row()], current)] == [
            ("delete", "Logical_Switch other")
        ]


def test_a_row_without_its_role_is_known_by_its_name(as_current):
    """Protects a row whose identity somebody removed: it is restored, not made a second time."""
    keys = {key: value for key, value in NODE.keys("switch").items() if key != "k8s.ovn.org/id"}
    current = as_current(row(), external_ids=keys)
    ((kind, _label, columns),) = plan([row()], [current], {("Logical_Switch", "sw"): current})
    assert kind == "update" and list(columns["external_ids"][1]) == ["k8s.ovn.org/id"]
