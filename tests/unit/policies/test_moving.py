# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods while the ACLs of network policies move into their tier: in which order they do."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import Owner, Row
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import tiers
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.moving import Move
from ansible_collections.ovn.kubernetes.plugins.module_utils._reconcile.planning import NotReady

DROP, ALLOW = "drop", "allow-related"


def desired(*actions):
    """The desired rows of a policy."""
    owner = Owner("NetworkPolicy", "a/x")
    return [Row("ACL", owner, one, columns=tiers.columns("to-lport", tiers.NETWORK, 1, one, "ip")) for one in actions]


def started(lacking, missing=(), **policies):
    """A move, begun with the rows that policies have."""
    rows = {}
    for name, (tier, *actions) in policies.items():
        for action in actions:
            columns = {"tier": tier, "action": action}
            rows[f"{name}-{action}"] = SimpleNamespace(owner=Owner("NetworkPolicy", f"a/{name}"), columns=columns)
    replica = SimpleNamespace(rows={"ACL": rows}, missing_columns=lambda _table: missing)
    move = Move(replica, lambda: lacking)
    move.begin()
    return move


def in_tiers(move, key, *actions):
    """Action -> tier of the rows of a policy that may be written now."""
    return {row.columns["action"]: row.columns["tier"] for row in move.rows(key, desired(*actions))}


def test_the_order():
    """Protects pods of several policies: what isolates moves first, for all policies, and then what lets through; and
    nothing before all switches pass on. A new policy waits for nothing.
    """
    lacking = {"node1"}
    move = started(lacking, x=(0, DROP, ALLOW), y=(0, DROP), z=(0, ALLOW))
    assert in_tiers(move, "a/new", DROP, ALLOW) == {DROP: 2, ALLOW: 2}
    for key in ("a/x", "a/y"):
        with pytest.raises(NotReady, match="not all switches") as held:
            move.rows(key, desired(DROP, ALLOW))
        assert held.value.keeps_rows
    lacking.clear()
    assert in_tiers(move, "a/x", DROP, ALLOW) == {DROP: 2, ALLOW: 0}
    assert in_tiers(move, "a/z", ALLOW) == {ALLOW: 0}
    assert move.done("a/x") == set() == move.done("a/z")
    assert in_tiers(move, "a/x", DROP, ALLOW) == {DROP: 2, ALLOW: 0}
    assert move.done("a/y") == {"a/x", "a/z"}
    for key in ("a/x", "a/z"):
        assert in_tiers(move, key, DROP, ALLOW) == {DROP: 2, ALLOW: 2}
        assert move.done(key) == set()


def test_nothing_to_move():
    """Protects policies that are in their tier, and databases that have none: nothing is held up."""
    assert in_tiers(started({"node1"}, x=(2, DROP, ALLOW)), "a/x", DROP, ALLOW) == {DROP: 2, ALLOW: 2}
    assert len(started({"node1"}, ("tier",)).rows("a/x", desired(DROP, ALLOW))) == 2
