# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the flows of a shared NIC from what changes while the gateway helper waits for an answer."""

from __future__ import annotations

import asyncio
import types

from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import flow_keeper


def test_bridges_come_and_go_while_flows_are_deleted(monkeypatch):
    """Protects the program: it ended when Open vSwitch's rows changed in this moment."""
    keeper = flow_keeper.FlowKeeper("breth0", None, "unix:/nonexistent")
    rows = {"Bridge": {number: types.SimpleNamespace(name=f"br{number}") for number in range(3)}, "Open_vSwitch": {}}
    monkeypatch.setattr(keeper, "_local", types.SimpleNamespace(rows=rows))
    cleared = []

    async def delete(bridge):
        rows["Bridge"].pop(len(cleared))
        rows["Bridge"][f"new{len(cleared)}"] = types.SimpleNamespace(name="new")
        cleared.append(bridge)
        return 0

    monkeypatch.setattr(flow_keeper, "delete_flows", delete)
    asyncio.run(keeper._clear_other_bridges())
    assert sorted(cleared) == ["br0", "br1", "br2"]
