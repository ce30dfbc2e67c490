# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects desired and current rows: their owner keys, their names, and the queries that find them."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import (
    ListMember,
    Owner,
    Query,
    Row,
    by_name,
    includes,
)

NODE = Owner("Node", "node1")


@pytest.mark.parametrize(
    ("text", "value", "merged"),
    [
        (None, "br1", "physnet:br1"),
        ("", "br1", "physnet:br1"),
        ("physnet:br0", "br1", "physnet:br1"),
        ("a:b,physnet:br0,c:d", "br1", "a:b,physnet:br1,c:d"),
        ("a:b", "br1", "a:b,physnet:br1"),
        (" a:b , physnet:br0 ", "br1", "a:b,physnet:br1"),
        ("physnet:br0,physnet:br2", "br1", "physnet:br1"),
        ("physnet2:br0", "br1", "physnet2:br0,physnet:br1"),
        ("a:b,physnet:br0", None, "a:b"),
        ("physnet:br0", None, None),
        (None, None, None),
        ("a:b", None, "a:b"),
    ],
)
def test_a_member_of_a_comma_separated_text(text, value, merged):
    """Protects other members, like an operator's own bridge mappings, and their order."""
    assert ListMember("physnet", value).merged(text) == merged


def test_a_row_carries_its_owner_and_its_name():
    """Protects what makes rows ours: the four keys, beside other external_ids of the row."""
    row = Row("Logical_Switch", NODE, "switch", "node1", columns={"external_ids": {"more": "yes"}})
    assert row.all_columns() == {
        "name": "node1",
        "external_ids": {
            "more": "yes",
            "k8s.ovn.org/owner-controller": "ovn.kubernetes",
            "k8s.ovn.org/owner-type": "Node",
            "k8s.ovn.org/name": "node1",
            "k8s.ovn.org/id": "ovn.kubernetes:Node:node1:switch",
        },
    }
    assert row.columns == {"external_ids": {"more": "yes"}}


@pytest.mark.parametrize("kind", ["named", "shared"])
def test_a_row_of_others_gets_no_owner(kind):
    """Protects rows that we only look up, or hold some keys in, from being taken for ours."""
    assert Row("Load_Balancer_Group", NODE, "group", "all", kind=kind).all_columns() == {"name": "all"}


def test_the_one_row_of_open_vswitch_has_no_name():
    """Protects against a column that this table does not have."""
    row = Row("Open_vSwitch", NODE, "settings", ".", kind="shared", columns={"external_ids": {"a": "b"}})
    assert row.all_columns() == {"external_ids": {"a": "b"}}
    assert row.label() == "Open_vSwitch"


def test_labels():
    """Protects how plans and errors call a row: by its name, else by what it is to whom."""
    assert Row("NAT", Owner("Gateway", "node1"), "snat-4").label() == "NAT snat-4 of node1"
    assert Row("Logical_Switch", NODE, "switch", "node1").label() == "Logical_Switch node1"


def test_queries_ask_for_what_is_needed_only():
    """Protects calls in large clusters: conditions and columns go to the server."""
    query = Query("NAT", (includes("external_ids", {"b": "2", "a": "1"}),), ("type",))
    assert query.operation() == {
        "op": "select",
        "table": "NAT",
        "where": [["external_ids", "includes", ["map", [["a", "1"], ["b", "2"]]]]],
        "columns": ["_uuid", "type"],
    }
    assert by_name("Logical_Switch", "join", ("name",)).where == (("name", "==", "join"),)
    assert by_name("Open_vSwitch", ".", ("external_ids",)).where == ()


def test_a_current_row_knows_its_role_and_keeps_what_came():
    """Protects guards, which compare with what came over the wire, to the letter."""
    query = Query("NAT", (), ("type", "external_ids"))
    raw = {
        "_uuid": ["uuid", "1-2"],
        "type": "snat",
        "external_ids": ["map", [["k8s.ovn.org/id", "ovn.kubernetes:Gateway:fd::1:snat-4"]]],
    }
    row = query.current_row(raw)
    assert (row.uuid, row.name, row.role, row.external_id("nothing")) == ("1-2", None, "snat-4", None)
    assert row.raw == {"type": "snat", "external_ids": raw["external_ids"]}
    assert query.current_row(dict(raw, external_ids=["map", []])).role is None


def test_a_current_row_knows_its_owner():
    """Protects rows of others: without owner keys there is no owner."""
    query = Query("NAT", (), ("external_ids",))
    keys = [[key, value] for key, value in NODE.keys("snat-4").items()]
    assert query.current_row({"_uuid": ["uuid", "1"], "external_ids": ["map", keys]}).owner == NODE
    assert query.current_row({"_uuid": ["uuid", "1"], "external_ids": ["map", [["a", "b"]]]}).owner is None
