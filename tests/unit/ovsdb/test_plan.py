# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what users read of a plan: its lines, its diff, and the module's result."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.difference import difference
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.plan import shown
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import (
    CurrentRow,
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


def test_what_the_user_reads(as_current):
    """Protects plan and diff: a line for each value before and after, the label as the row is called now."""
    desired = row(
        {
            "other_config": {"subnet": "192.168.2.0/24", "gone": None},
            "networks": ("a",),
            "group": SetMembers((Ref("T", "g"),)),
        }
    )
    (change,) = difference(
        [desired],
        [as_current(desired, other_config={"subnet": "192.168.1.0/24", "gone": "x"}, networks=(), group=())],
        {},
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


def test_what_the_user_reads_of_a_new_and_of_a_gone_row(as_current):
    """Protects the two ends of a row's life; a row that says nothing is still by_name."""
    (new,) = difference([row()], [], {})
    assert (
        new.before() == []
        and "Logical_Switch sw name=sw" in new.after()
        and new.describe() == "Logical_Switch sw: insert"
    )
    (gone,) = difference([], [as_current(row())], {})
    assert (
        gone.after() == []
        and "Logical_Switch sw name=sw" in gone.before()
        and gone.describe() == "Logical_Switch sw: delete"
    )
    assert "columns" not in gone.as_dict()
    (emptied,) = difference([row({"column": ()})], [as_current(row(), column="x")], {})
    assert emptied.after() == ["Logical_Switch sw"]


@pytest.mark.parametrize(
    ("column", "before", "after", "expected"),
    [
        ("vips", [f"192.168.{n}.3:8080" for n in range(1000)], ["192.168.7.9:8080"], "vips 10.96.0.1:80: "),
        ("addresses", [f"10.0.{n}.1" for n in range(1000)], ["10.1.0.1"], "addresses "),
        ("match", [f"10.0.{n}.1" for n in range(1000)], ["10.1.0.1"], "match "),
    ],
)
def test_a_line_has_counts_of_what_is_long(as_current, column, before, after, expected):
    """Protects the log and what users read: the change of one member of a long value costs no pages."""

    def value(members):
        text = ", ".join(members)
        return {"vips": {"10.96.0.1:80": text}, "addresses": tuple(members), "match": f"ip4.dst == {{{text}}}"}[column]

    desired = row({column: value(before[:-1] + after)})
    (change,) = difference([desired], [as_current(desired, **{column: value(before)})], {})
    assert change.describe() == f"Logical_Switch sw: {expected}1 added, 1 removed, 1000 in all"


def test_a_line_has_counts_of_many_keys(as_current):
    """Protects the log from maps of many keys."""
    many = {f"LOCAL_{number}": "192.168.1.3:8080" for number in range(1000)}
    (change,) = difference([row({"variables": many})], [as_current(row(), variables={})], {})
    assert change.describe() == "Logical_Switch sw: variables 1000 added, 0 removed, 1000 in all"


def test_shown_values_are_plain():
    """Protects the module's result, which goes out as JSON."""
    assert shown({"b": (Ref("T", "x"),), "a": 1}) == {"a": 1, "b": ["x"]}
