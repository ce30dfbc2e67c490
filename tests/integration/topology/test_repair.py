# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects repair: the plan names exactly what somebody deleted or changed by hand, and the next run repairs that."""

from __future__ import annotations

import pytest
from database_server import references

HOLDERS = {
    "Logical_Switch_Port": [("Logical_Switch", "ports")],
    "Logical_Router_Port": [("Logical_Router", "ports")],
    "Logical_Router_Static_Route": [("Logical_Router", "static_routes")],
    "NAT": [("Logical_Router", "nat")],
    "Load_Balancer_Group": [("Logical_Switch", "load_balancer_group"), ("Logical_Router", "load_balancer_group")],
}


def delete(nb, table, uuid):
    """Take a row out of whatever holds it, and away. Returns how many rows hold it by a column of ours beside."""
    one = ["set", [["uuid", uuid]]]
    operations = [
        {"op": "mutate", "table": holder, "where": [[column, "includes", one]], "mutations": [[column, "delete", one]]}
        for holder, column in HOLDERS.get(table, [])
    ]
    results = nb.transact(*operations, {"op": "delete", "table": table, "where": [["_uuid", "==", ["uuid", uuid]]]})
    return sum(result.get("count", 0) for result in results[:-1])


def test_each_row_that_is_deleted_comes_back_alone(nb):
    """Protects every single row: deleted by hand, the plan has it (with the rows that it held) and nothing else."""
    nb.build(nodes=(1,), gateways=(1,), dual=True)
    whole = nb.content()
    seen = []
    for table, rows in sorted(
        nb.everything().items(), key=lambda item: item[0] in ("Logical_Router", "Logical_Switch")
    ):
        for uuid, row in rows.items():
            if uuid not in nb.everything()[table]:
                continue  # went with its holder, and came back under another uuid
            holders = delete(nb, table, uuid)
            went = 1 + sum(
                len(references(row[column])) for column in ("ports", "static_routes", "nat") if column in row
            )
            updates = holders if table == "Load_Balancer_Group" else 0
            planned = nb.build(nodes=(1,), gateways=(1,), dual=True, check=True)["plan"]
            operations = sorted(item["operation"] for item in planned)
            assert operations == ["insert"] * went + ["update"] * updates, (table, row)
            assert {item["table"] for item in planned if item["operation"] == "insert"} <= {
                table,
                "Logical_Switch_Port",
                "Logical_Router_Port",
                "Logical_Router_Static_Route",
                "NAT",
            }
            if "name" in row:
                assert f"{table} {row['name']}" in [item["row"] for item in planned]
            assert nb.build(nodes=(1,), gateways=(1,), dual=True)["plan"] == planned
            assert nb.content() == whole
            seen.append(table)
    assert set(seen) == set(HOLDERS) | {"Logical_Switch", "Logical_Router"}


# table, name or None, column, a wrong value, and the words of the plan.
WRONG = {
    "router port's network": (
        "Logical_Router_Port",
        "rtos-node1",
        "networks",
        "1.2.3.4/24",
        "Logical_Router_Port rtos-node1: networks ['1.2.3.4/24'] -> ",
    ),
    "router port's MAC": (
        "Logical_Router_Port",
        "rtos-node1",
        "mac",
        "0a:00:00:00:00:01",
        "mac 0a:00:00:00:00:01 -> 0a:58:c0:a8:01:01",
    ),
    "switch's subnet": (
        "Logical_Switch",
        "node1",
        "other_config",
        ["map", [["subnet", "1.0.0.0/8"]]],
        "{'subnet': '1.0.0.0/8'} -> ",
    ),
    "management port's address": (
        "Logical_Switch_Port",
        "k8s-node1",
        "addresses",
        ["set", []],
        "addresses [] -> ['0a:58:c0:a8:01:02 192.168.1.2",
    ),
    "port's type": ("Logical_Switch_Port", "stor-node1", "type", "", "type  -> router"),
    "peer's options": (
        "Logical_Switch_Port",
        "stor-node1",
        "options",
        ["map", []],
        "options {'router-port': None} -> {'router-port': 'rtos-node1'}",
    ),
    "gateway's chassis": (
        "Logical_Router",
        "GR_node1",
        "options",
        ["map", []],
        "Logical_Router GR_node1: options 4 added",
    ),
    "groups": (
        "Logical_Router",
        "GR_node1",
        "load_balancer_group",
        ["set", []],
        "load_balancer_group [] -> ['clusterLBGroup', 'clusterRouterLBGroup']",
    ),
    "SNAT": ("NAT", None, "external_ip", "1.2.3.4", "external_ip 1.2.3.4 -> "),
    "name": ("Logical_Switch", "node1", "name", "mine", "Logical_Switch mine: name mine -> node1"),
}


@pytest.mark.parametrize(("table", "name", "column", "value", "words"), WRONG.values(), ids=WRONG)
def test_a_value_that_was_changed_by_hand_comes_back(nb, table, name, column, value, words):
    """Protects each kind of column against drift: shown in the plan with both values, mended alone."""
    nb.build(nodes=(1,), gateways=(1,))
    before = nb.content()
    where = [["name", "==", name]] if name else [["type", "==", "snat"]]
    nb.transact({"op": "update", "table": table, "where": where, "row": {column: value}})
    assert nb.content() != before
    (item,) = nb.build(nodes=(1,), gateways=(1,), check=True)["plan"]
    assert item["operation"] == "update" and words in item["text"]
    assert nb.build(nodes=(1,), gateways=(1,))["plan"] == [item]
    assert nb.content() == before


def test_a_leftover_of_ours_goes(nb):
    """Protects against an incomplete restore: a row that carries a node's keys and is not desired is deleted.

    The next call about the whole inventory does it.
    """
    nb.build(nodes=(1, 2), gateways=())
    before = nb.content()
    keys = [
        ["k8s.ovn.org/owner-controller", "ovn.kubernetes"],
        ["k8s.ovn.org/owner-type", "Node"],
        ["k8s.ovn.org/name", "node1"],
        ["k8s.ovn.org/id", "ovn.kubernetes:Node:node1:retired"],
    ]
    nb.transact(
        {
            "op": "insert",
            "table": "Logical_Switch_Port",
            "uuid-name": "old",
            "row": {"name": "old", "external_ids": ["map", keys]},
        },
        {
            "op": "mutate",
            "table": "Logical_Switch",
            "where": [["name", "==", "node2"]],
            "mutations": [["ports", "insert", ["set", [["named-uuid", "old"]]]]],
        },
    )
    assert [item["text"] for item in nb.build(nodes=(1, 2), gateways=())["plan"]] == ["Logical_Switch_Port old: delete"]
    assert nb.content() == before
