# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the plan: what differs is in it, what does not is not, and nobody else's row is ever taken."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import Conflict, DatabaseError
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.difference import difference
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.plan import shown
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
    """A wanted row."""
    return Row(table, owner, role, name, columns=columns or {}, **more)


def plan(wanted, own=(), named=None, aliases=None):
    """The plan as (kind, label, columns)."""
    return [
        (change.kind, change.label(), change.columns)
        for change in difference(list(wanted), list(own), named or {}, aliases)
    ]


# wanted value, what is there, (before, after) or None where nothing differs.
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


@pytest.mark.parametrize(("value", "have", "expected"), VALUES.values(), ids=VALUES)
def test_each_kind_of_value(as_found, value, have, expected):
    """Protects how a column is held: exactly, by its keys, by its members; the rest of it is somebody else's."""
    wanted = row({"column": value})
    changes = plan([wanted], [as_found(wanted, column=have)], {("Load_Balancer_Group", "all"): GROUP})
    assert changes == ([] if expected is None else [("update", "Logical_Switch sw", {"column": expected})])


def test_a_new_row_has_all_its_values():
    """Protects inserts: no key without a value, no member of an empty text, references by name."""
    wanted = row(
        {
            "a": {"x": "1", "y": None, "z": ListMember("p", "q"), "gone": ListMember("p", None)},
            "b": ("1", "2"),
            "c": SetMembers((Ref("Load_Balancer_Group", "all"),)),
        }
    )
    ((kind, label, columns),) = plan([wanted])
    assert (kind, label) == ("insert", "Logical_Switch sw")
    assert columns["a"] == (None, {"x": "1", "z": "p:q"})
    assert columns["b"] == (None, ("1", "2"))
    assert columns["c"] == (None, (Ref("Load_Balancer_Group", "all"),))
    assert columns["name"] == (None, "sw")
    assert columns["external_ids"] == (None, NODE.keys("switch"))


def test_the_order_of_the_plan(as_found):
    """Protects readers and references: inserts and updates as policy orders them, deletes after them in the opposite order."""
    first, second, third = (row(name=name, role=name) for name in "abc")
    old = [as_found(row(name=name, role=name)) for name in ("x", "y", "z")]
    changes = plan([first, second, third], [*old, as_found(second, name="before")])
    assert [(kind, label) for kind, label, _columns in changes] == [
        ("insert", "Logical_Switch a"),
        ("update", "Logical_Switch before"),
        ("insert", "Logical_Switch c"),
        ("delete", "Logical_Switch z"),
        ("delete", "Logical_Switch y"),
        ("delete", "Logical_Switch x"),
    ]


def test_a_second_row_of_the_same_role_goes(as_found):
    """Protects against doubles (W6), however they came."""
    wanted = row()
    double = as_found(wanted)
    assert plan([wanted], [as_found(wanted), double]) == [
        ("delete", "Logical_Switch sw", {column: (value, None) for column, value in double.columns.items()})
    ]


def test_a_new_name_is_an_update(as_found):
    """Protects rows from being made anew: they are known by owner and role."""
    assert plan([row(name="new")], [as_found(row(name="old"))]) == [
        ("update", "Logical_Switch old", {"name": ("old", "new")})
    ]


def test_a_renamed_owner_keeps_its_rows(as_found):
    """Protects a renamed node: name and owner keys move in place, other keys stay."""
    wanted = row(owner=OTHER, name="node2")
    old = as_found(row(owner=NODE, name="node1"))
    ((kind, label, columns),) = plan([wanted], [old], aliases={("Node", "node1"): "node2"})
    assert (kind, label) == ("update", "Logical_Switch node1")
    assert columns["name"] == ("node1", "node2")
    assert columns["external_ids"][1] == {
        "k8s.ovn.org/name": "node2",
        "k8s.ovn.org/id": "ovn.kubernetes:Node:node2:switch",
    }


def test_a_row_under_the_new_name_comes_before_one_under_the_old(as_found):
    """Protects half a rename: what has the right name is kept, what is left under the old one goes."""
    wanted = row(owner=OTHER, name="node2")
    old, new = as_found(row(owner=NODE, name="node1")), as_found(wanted)
    for own in ([old, new], [new, old]):
        assert [
            (kind, label) for kind, label, _columns in plan([wanted], own, aliases={("Node", "node1"): "node2"})
        ] == [("delete", "Logical_Switch node1")]


@pytest.mark.parametrize("table", ["Bridge", "Port", "Interface"])
def test_a_name_that_can_not_change_means_a_new_row(as_found, table):
    """Protects against an update that the schema of Open vSwitch forbids."""
    changes = plan([row(table=table, name="new")], [as_found(row(table=table, name="old"))])
    assert [(kind, label) for kind, label, _columns in changes] == [
        ("insert", f"{table} new"),
        ("delete", f"{table} old"),
    ]


def test_a_foreign_row_of_that_name_is_refused(as_found):
    """Protects other users of the database, and names them."""
    wanted = row()
    for theirs, whom in (
        (as_found(wanted, owned=False), r"somebody else \(it carries no owner keys of ours\)"),
        (as_found(row(owner=OTHER)), "Node node2"),
    ):
        with pytest.raises(
            DatabaseError,
            match=f"^Logical_Switch sw exists already and belongs to {whom}: give this one another name, or remove that row$",
        ):
            plan([wanted], named={("Logical_Switch", "sw"): theirs})


def test_a_row_of_ours_that_came_between_two_reads_is_looked_for_again(as_found):
    """Protects two calls at once: what the other one has just made is ours, and no reason to fail."""
    with pytest.raises(Conflict):
        plan([row()], named={("Logical_Switch", "sw"): as_found(row())})


def test_a_row_without_owner_is_adopted_where_that_is_wanted(as_found):
    """Protects br-int, which ovn-controller may have made: it gets our keys; one with an owner is refused all the same."""
    wanted = row({"column": "a"}, kind="adopted")
    ((kind, _label, columns),) = plan([wanted], named={("Logical_Switch", "sw"): as_found(wanted, owned=False)})
    assert kind == "update" and columns["external_ids"][1] == NODE.keys("switch")
    with pytest.raises(DatabaseError, match="belongs to Node node2"):
        plan([wanted], named={("Logical_Switch", "sw"): as_found(row(owner=OTHER))})


def test_a_shared_row_is_held_by_its_keys_and_never_goes(as_found):
    """Protects the one row of Open_vSwitch: our keys come and go in it."""
    wanted = row({"external_ids": {"a": "1"}}, kind="shared")
    theirs = as_found(wanted, owned=False, external_ids={"b": "2"})
    named = {("Logical_Switch", "sw"): theirs}
    assert plan([wanted], named=named) == [("update", "Logical_Switch sw", {"external_ids": ({"a": None}, {"a": "1"})})]
    assert plan([row({"external_ids": {"b": None}}, kind="shared", present=False)], named=named) == [
        ("update", "Logical_Switch sw", {"external_ids": ({"b": "2"}, {"b": None})})
    ]
    assert plan([row({"external_ids": {"b": None}}, kind="shared", present=False)]) == []
    with pytest.raises(
        DatabaseError, match=r"^Logical_Switch sw does not exist: make the cluster first \(ovn_master_init\)$"
    ):
        plan([wanted])


def test_a_named_row_is_ours_by_its_name(as_found):
    """Protects tables without external_ids."""
    wanted = Row("Load_Balancer_Group", NODE, "group", "all", kind="named")
    gone = Row("Load_Balancer_Group", NODE, "group", "all", kind="named", present=False)
    there = {("Load_Balancer_Group", "all"): GROUP}
    assert plan([wanted]) == [("insert", "Load_Balancer_Group all", {"name": (None, "all")})]
    assert plan([wanted], named=there) == []
    assert plan([gone]) == []
    assert plan([gone], named=there) == [("delete", "Load_Balancer_Group all", {"name": ("all", None)})]


def test_nothing_wanted_means_everything_of_ours_goes(as_found):
    """Protects removal: an empty desire."""
    assert [kind for kind, _label, _columns in plan([], [as_found(row()), as_found(row(role="x", name="x"))])] == [
        "delete"
    ] * 2


def test_what_the_user_reads(as_found):
    """Protects plan and diff: a line for each value before and after, the label as the row is called now."""
    wanted = row(
        {
            "other_config": {"subnet": "192.168.2.0/24", "gone": None},
            "networks": ("a",),
            "group": SetMembers((Ref("T", "g"),)),
        }
    )
    (change,) = difference(
        [wanted], [as_found(wanted, other_config={"subnet": "192.168.1.0/24", "gone": "x"}, networks=(), group=())], {}
    )
    assert change.describe() == (
        "Logical_Switch sw: group [] -> ['g'], networks [] -> ['a'], "
        "other_config {'gone': 'x', 'subnet': '192.168.1.0/24'} -> {'gone': None, 'subnet': '192.168.2.0/24'}"
    )
    assert change.before() == [
        "Logical_Switch sw other_config:gone=x",
        "Logical_Switch sw other_config:subnet=192.168.1.0/24",
    ]
    assert change.after() == [
        "Logical_Switch sw group=['g']",
        "Logical_Switch sw networks=['a']",
        "Logical_Switch sw other_config:subnet=192.168.2.0/24",
    ]
    assert change.as_dict() == {
        "operation": "update",
        "table": "Logical_Switch",
        "row": "Logical_Switch sw",
        "columns": {"group": ["g"], "networks": ["a"], "other_config": {"gone": None, "subnet": "192.168.2.0/24"}},
    }


def test_what_the_user_reads_of_a_new_and_of_a_gone_row(as_found):
    """Protects the two ends of a row's life; a row that says nothing is still named."""
    (new,) = difference([row()], [], {})
    assert (
        new.before() == []
        and "Logical_Switch sw name=sw" in new.after()
        and new.describe() == "Logical_Switch sw: insert"
    )
    (gone,) = difference([], [as_found(row())], {})
    assert (
        gone.after() == []
        and "Logical_Switch sw name=sw" in gone.before()
        and gone.describe() == "Logical_Switch sw: delete"
    )
    assert "columns" not in gone.as_dict()
    (emptied,) = difference([row({"column": ()})], [as_found(row(), column="x")], {})
    assert emptied.after() == ["Logical_Switch sw"]


def test_shown_values_are_plain():
    """Protects the module's result, which goes out as JSON."""
    assert shown({"b": (Ref("T", "x"),), "a": 1}) == {"a": 1, "b": ["x"]}
