# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects flows on a bridge against needless changes, and flows of other cookies."""

from __future__ import annotations

import asyncio

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._openflow import flows
from ansible_collections.ovn.kubernetes.plugins.module_utils._openflow.flows import CookieFlows

# As diff-flows writes them.
CURRENT = "priority=9,ip cookie=0x1 actions=drop"
SAME_MATCH = "priority=9,ip cookie=0x1 actions=NORMAL"
OTHER = "priority=8,arp cookie=0x1 actions=NORMAL"


@pytest.fixture
def plan(monkeypatch):
    """A function that plans from current flows and the output of diff-flows."""

    def run(current, desired, output=""):
        async def compare(*_flows):
            return output

        async def read(_self):
            return current

        monkeypatch.setattr(flows, "_compare", compare)
        monkeypatch.setattr(CookieFlows, "current", read)
        return asyncio.run(CookieFlows("br0", 1).plan(desired))

    return run


def test_flows_are_added_to_a_bridge_without_any(plan):
    """Protects the start of ovs-vswitchd: nothing is compared then."""
    assert plan([], [CURRENT]) == [f"flow add {CURRENT}"]


def test_a_flow_with_the_same_match_is_overwritten(plan):
    """Protects packets against a moment without the flow."""
    assert plan([CURRENT], [SAME_MATCH], f"-{CURRENT}\n+{SAME_MATCH}\n") == [f"flow add {SAME_MATCH}"]


def test_only_flows_of_the_cookie_are_deleted(plan):
    """Protects a flow of another cookie with the same match and priority."""
    deletion = "flow delete_strict priority=9,ip cookie=0x1/-1"
    assert plan([CURRENT], [OTHER], f"-{CURRENT}\n+{OTHER}\n") == [deletion, f"flow add {OTHER}"]
