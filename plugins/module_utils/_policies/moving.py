# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ACLs of network policies move into their tier where the database had none before (OVN 23.03), or an earlier watcher
had put them into the first one. No pod is open meanwhile, and nothing is cut that is allowed:

1. each switch gets its ACLs that pass on to the next tier;
2. what isolates moves: in the first tier there is only what lets through then;
3. what lets through moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from .._ovsdb.replica import Replica
from .._ovsdb.rows import Row
from .._reconcile.planning import NotReady
from . import tiers
from .acls import DROP, KIND


class Move:
    """The move.

    :param lacking: returns the nodes whose switches are not known to pass on.

    :ivar waiting: policies that wait for these switches; they are enforced where they are.
    """

    def __init__(self, replica: Replica, lacking: Callable[[], Iterable[str]]) -> None:
        self._replica = replica
        self._lacking = lacking
        self._isolating: set[str] = set()  # policies that isolate in the first tier
        self.waiting: set[str] = set()
        self._held: set[str] = set()  # policies that let through in the first tier

    def begin(self) -> None:
        """Find out what is in the first tier, though the database has others."""
        self._isolating.clear()
        self._held.clear()
        if not tiers.are_served(self._replica.missing_columns("ACL")):
            return
        for row in self._replica.rows["ACL"].values():
            if row.owner is not None and row.owner.type == KIND and row.columns["tier"] != tiers.NETWORK:
                (self._isolating if row.columns["action"] == DROP else self._held).add(row.owner.name)

    def rows(self, key: str, rows: Sequence[Row]) -> list[Row]:
        """Return the rows of a policy, in the tiers that they may be in now.

        :raises NotReady: they must stay where they are.
        """
        if key in self._isolating and any(True for _one in self._lacking()):
            self.waiting.add(key)
            raise NotReady("not all switches pass on to later tiers yet", keeps_rows=True)
        if not self._isolating or key not in self._held:
            return list(rows)
        return [row if row.columns["action"] == DROP else _first(row) for row in rows]

    def done(self, key: str) -> set[str]:
        """Take in that the rows of a policy are written; return the policies that are to be planned again."""
        if key in self._isolating:
            self._isolating.discard(key)
            if not self._isolating:
                return set(self._held)
        elif not self._isolating:
            self._held.discard(key)
        return set()


def _first(row: Row) -> Row:
    return replace(row, columns={**row.columns, "tier": tiers.FIREWALL})
