# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects rows that are found by the UUID of their identity: an unchanged call searches no table, and a UUID that is
taken stops no change."""

from __future__ import annotations

import uuid

import pytest
from northbound import gateway_settings, node_settings

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible import overlay as overlay_modules
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.connection import Connection

CALLS = {
    "ovn_master_init": {},
    "ovn_minion_init": node_settings(1),
    "ovn_gateway": gateway_settings(1),
}
FIXED = ("Load_Balancer_Group",)  # three groups, whatever the cluster's size


@pytest.fixture
def operations_sent(monkeypatch):
    """Every operation that a module's call sends."""
    operations = []

    class Overheard(Connection):
        def _request(self, method, params, timeout=None):
            if method == "transact":
                operations.extend(params[1:])
            return super()._request(method, params, timeout)

    monkeypatch.setattr(overlay_modules, "Connection", Overheard)
    return operations


def row_uuid(identity):
    """Return a row's UUID, computed independently."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, "ovn.kubernetes:" + identity))


@pytest.mark.parametrize("module", CALLS)
def test_an_unchanged_call_searches_no_table(nb, operations_sent, module):
    """Protects the cost of a call in large clusters: ovsdb-server searches the whole table for each
    condition that is no UUID."""
    nb.build()
    operations_sent.clear()
    assert nb.call(module, **CALLS[module])["plan"] == []
    assert {operation["op"] for operation in operations_sent} == {"select"}
    scans = [
        operation
        for operation in operations_sent
        if operation["table"] not in FIXED and all(clause[:2] != ["_uuid", "=="] for clause in operation["where"])
    ]
    assert scans == []


def test_rows_have_the_uuid_of_their_identity(nb):
    """Protects rows that exist: with another rule none of them would be found
    without a search."""
    nb.build(nodes=(1,), gateways=())
    everything = nb.everything()
    assert list(everything["Logical_Switch"]) and row_uuid("Node:node1:switch") in everything["Logical_Switch"]
    assert row_uuid("Node:node1:router-to-switch") in everything["Logical_Router_Port"]


def test_a_uuid_that_a_renamed_node_keeps_is_not_needed(nb, fresh):
    """Protects a new host that gets the name of a renamed one: the renamed one's rows keep their UUIDs, the
    new one's get others."""
    nb.build(nodes=(1,), gateways=(1,))
    nb.node(1, node_name="older")
    nb.gateway(1, node_name="older")
    nb.node(2, node_name="node1")
    nb.gateway(2, node_name="node1")
    other = fresh()
    other.master()
    other.node(1, node_name="older")
    other.gateway(1, node_name="older")
    other.node(2, node_name="node1")
    other.gateway(2, node_name="node1")
    assert nb.content() == other.content()
    for number, name in ((1, "older"), (2, "node1")):
        assert nb.node(number, node_name=name)["plan"] == []
        assert nb.gateway(number, node_name=name)["plan"] == []
        nb.remove_gateway(name)
        nb.remove_node(name)
    assert "node1" not in str(nb.content()) and "older" not in str(nb.content())


def test_a_uuid_that_is_taken_in_the_last_moment(nb, monkeypatch):
    """Protects against a refusal by the server: the plan is made again, and the row gets another
    UUID."""
    nb.master()
    taken = row_uuid("Node:node1:switch")
    tries = []

    class Interrupted(Connection):
        def transact(self, operations):
            if operations[-1]["op"] == "comment":
                tries.append(operations)
                if len(tries) == 1:
                    nb.transact({"op": "insert", "table": "Logical_Switch", "uuid": taken, "row": {"name": "theirs"}})
            return super().transact(operations)

    monkeypatch.setattr(overlay_modules, "Connection", Interrupted)
    assert nb.node(1)["changed"]
    assert len(tries) == 2
    (row,) = nb.rows("Logical_Switch", ["name", "==", "node1"])
    assert row["_uuid"][1] != taken
    assert nb.node(1)["plan"] == []
