# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ACLs of network policies move into their tier where the database had none before (OVN 23.03), or an earlier watcher
had put them into the first one. No pod is open meanwhile, and nothing is cut that is allowed:

1. each switch gets its ACLs that pass on to the next tier;
2. what isolates moves: in the first tier there is only what lets through then;
3. what lets through moves: of a policy, when all that isolates its pods has moved.

A policy of which the ACLs can't be written holds up those with pods of its own, and no others. Until all have moved
some decide before the tier Admin, so no cluster network policy is enforced as it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from .._ovsdb.replica import Replica
from .._ovsdb.rows import Row
from .._reconcile.planning import NotReady
from . import tiers
from .acls import DROP, KIND

SHOWN = 3  # policies that a sentence names


class Move:
    """The move.

    :param lacking: returns the nodes whose switches are not known to pass on.
    :param share_pods: returns whether two policies of one namespace may be for the same pod.

    :ivar waiting: policies that wait for these switches; they are enforced where they are.
    """

    def __init__(
        self, replica: Replica, lacking: Callable[[], Iterable[str]], share_pods: Callable[[str, str], bool]
    ) -> None:
        self._replica = replica
        self._lacking = lacking
        self._share_pods = share_pods
        self._isolating: dict[str, set[str]] = {}  # namespace -> policies that isolate in the first tier
        self.waiting: set[str] = set()
        self._held: dict[str, set[str]] = {}  # namespace -> policies that let through in the first tier
        self._failing: set[str] = set()  # those that isolate there and can't be written
        self._staying: set[str] = set()  # those that let through there also by their last plan

    @property
    def is_under_way(self) -> bool:
        """Whether something of a network policy is in the first tier."""
        return bool(self._isolating or self._held)

    def __str__(self) -> str:
        """Return what of cluster network policies does not hold meanwhile, and what it waits for."""
        some = sorted(set().union(*self._isolating.values(), *self._held.values()))
        told = ", ".join(some[:SHOWN]) + (f" and {len(some) - SHOWN} more" if len(some) > SHOWN else "")
        return f"it is not enforced yet: ACLs of network policies decide before it until they have moved, of {told}"

    def begin(self) -> None:
        """Find out what is in the first tier, though the database has others."""
        for one in (self._isolating, self._held, self._failing, self._staying):
            one.clear()
        if not tiers.are_served(self._replica.missing_columns("ACL")):
            return
        for row in self._replica.rows["ACL"].values():
            if row.owner is not None and row.owner.type == KIND and row.columns["tier"] != tiers.NETWORK:
                which = self._isolating if row.columns["action"] == DROP else self._held
                which.setdefault(_namespace(row.owner.name), set()).add(row.owner.name)

    def rows(self, key: str, rows: Sequence[Row]) -> list[Row]:
        """Return the rows of a policy, in the tiers that they may be in now.

        :raises NotReady: they must stay where they are.
        """
        self._staying.discard(key)
        if _has(self._isolating, key) and any(True for _one in self._lacking()):
            self.waiting.add(key)
            raise NotReady("not all switches pass on to later tiers yet", keeps_rows=True)
        if not _has(self._held, key) or not self._is_held_up(key):
            return list(rows)
        self._staying.add(key)
        return [row if row.columns["action"] == DROP else _first(row) for row in rows]

    def _is_held_up(self, key: str) -> bool:
        """Return whether something isolates pods of a policy in the first tier. While others of its namespace move it
        waits for them without a look at pods.
        """
        others = self._isolating.get(_namespace(key), set())
        return any(one == key or one not in self._failing or self._share_pods(key, one) for one in others)

    def done(self, key: str) -> set[str]:
        """Take in that the rows of a policy are written; return the policies that are to be planned again."""
        self._failing.discard(key)
        if _discard(self._isolating, key):
            return self._released(key)
        if key not in self._staying:
            _discard(self._held, key)
        return set()

    def failed(self, key: str) -> set[str]:
        """Take in that the rows of a policy can't be written; return the policies that are to be planned again."""
        if not _has(self._isolating, key) or key in self.waiting or key in self._failing:
            return set()
        self._failing.add(key)
        return self._released(key)

    def _released(self, key: str) -> set[str]:
        """Return the policies that may be held up no more: all that isolates in their namespace has moved, or can't."""
        namespace = _namespace(key)
        return set(self._held.get(namespace, ())) if self._isolating.get(namespace, set()) <= self._failing else set()


def _namespace(key: str) -> str:
    return key.partition("/")[0]


def _has(policies: dict[str, set[str]], key: str) -> bool:
    return key in policies.get(_namespace(key), ())


def _discard(policies: dict[str, set[str]], key: str) -> bool:
    """Take a policy out; return whether it was there."""
    if not _has(policies, key):
        return False
    policies[_namespace(key)].discard(key)
    if not policies[_namespace(key)]:
        del policies[_namespace(key)]
    return True


def _first(row: Row) -> Row:
    return replace(row, columns={**row.columns, "tier": tiers.FIREWALL})
