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


def key(name):
    """The key of a policy: those that begin with b are in namespace b."""
    return f"{'b' if name.startswith('b') else 'a'}/{name}"


def started(lacking, missing=(), shared=(), **policies):
    """A move, begun with the rows that policies have.

    :param shared: pairs of policies that are for the same pods.
    """
    rows = {}
    for name, (tier, *actions) in policies.items():
        for action in actions:
            columns = {"tier": tier, "action": action}
            rows[f"{name}-{action}"] = SimpleNamespace(owner=Owner("NetworkPolicy", key(name)), columns=columns)
    replica = SimpleNamespace(rows={"ACL": rows}, missing_columns=lambda _table: missing)
    move = Move(replica, lambda: lacking, lambda one, other: (one, other) in shared)
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


def test_others_that_fail():
    """Protects cluster network policies from one network policy that can't be written: it holds up those that have
    pods of it, and no others, in its namespace and elsewhere. Until all have moved it is said that they have not.
    """
    stuck = {"x": (0, DROP, ALLOW), "near": (0, ALLOW), "far": (0, ALLOW), "last": (0, DROP), "b": (0, DROP, ALLOW)}
    move = started(set(), shared=[("a/near", "a/x")], **stuck)
    move.rows("b/b", desired(DROP, ALLOW))
    assert move.done("b/b") == {"b/b"} and in_tiers(move, "b/b", DROP, ALLOW) == {DROP: 2, ALLOW: 2}
    assert move.done("b/b") == set()
    assert move.failed("a/x") == set() and in_tiers(move, "a/far", ALLOW) == {ALLOW: 0}  # one is still on its way
    assert move.done("a/last") == {"a/x", "a/near", "a/far"} and move.failed("a/x") == set()
    assert in_tiers(move, "a/near", ALLOW) == {ALLOW: 0} and in_tiers(move, "a/far", ALLOW) == {ALLOW: 2}
    assert move.done("a/near") == move.done("a/far") == set()
    assert move.is_under_way and str(move).endswith("of a/near, a/x")
    assert in_tiers(move, "a/x", DROP, ALLOW) == {DROP: 2, ALLOW: 0}
    assert move.done("a/x") == {"a/near", "a/x"}
    for one in ("a/near", "a/x"):
        assert in_tiers(move, one, ALLOW) == {ALLOW: 2} and move.is_under_way
        move.done(one)
    assert not move.is_under_way


def test_nothing_to_move():
    """Protects policies that are in their tier, and databases that have none: nothing is held up."""
    assert in_tiers(started({"node1"}, x=(2, DROP, ALLOW)), "a/x", DROP, ALLOW) == {DROP: 2, ALLOW: 2}
    assert len(started({"node1"}, ("tier",)).rows("a/x", desired(DROP, ALLOW))) == 2
