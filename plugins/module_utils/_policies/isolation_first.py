# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""New network policies whose rows can't all be written at once: they isolate their pods first, and then let through
what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from .._common import names
from .._ovsdb.replica import Replica
from .._ovsdb.rows import Owner, Row
from . import acls
from .shared import FEW_PODS, Shared

LARGE = 20_000  # looks at pods for the sets that a policy lacks, beyond which they are not made with it at once


class IsolationFirst:
    """These policies.

    :param mark: called with the owner of rows that are missing.
    :param is_failing: returns whether the rows of an owner can't be made now.
    """

    def __init__(self, replica: Replica, mark: Callable[[Owner], object], is_failing: Callable[[Owner], bool]) -> None:
        self._replica = replica
        self._mark = mark
        self._is_failing = is_failing
        self._cautious: set[str] = set()  # new policies that failed: they isolate without waiting for what they allow
        self._waiting: dict[str, int] = {}  # policy -> how many of its rules have rows that its last plan left out

    def __contains__(self, key: str) -> bool:
        """Whether a policy isolates without waiting for what it allows."""
        return key in self._cautious

    def add(self, key: str) -> None:
        """Let a policy isolate without waiting."""
        self._cautious.add(key)

    def discard(self, key: str) -> None:
        """Take in that a policy is written as a whole, or gone."""
        self._cautious.discard(key)

    def among(self, keys: Collection[str]) -> set[str]:
        """Return those of some policies."""
        return self._cautious.intersection(keys)

    def lacks_many(self, used: Iterable[Shared], pods: int) -> bool | None:
        """Return whether the groups and sets that a policy lacks are made before it, one by one, since all of them
        take long. None: they would be, but one of them can't be made, and holds nothing up.

        :param used: what its ACLs name.
        :param pods: how many pods there are.
        """
        missing, looks = [], 0
        for one in used:
            if one.keeps_pods and not self._replica.owned(one.owner, (one.need.table,)):
                missing.append(one)
                looks += pods if one.port is None else FEW_PODS
        if looks <= LARGE:
            return False
        if any(self._is_failing(one.owner) for one in missing):
            return None
        for one in missing:
            self._mark(one.owner)
        return True

    def rows(self, key: str, rows: Sequence[Row]) -> list[Row]:
        """Return those rows of a policy that isolate, and those for which everything is there; of others all."""
        if key not in self._cautious:
            return list(rows)
        kept: list[Row] = []
        left_out: set[tuple[object, object]] = set()
        for row in rows:
            missing = [one for one in row.needs if not self._replica.owned(one.owner, (one.table,))]
            if not missing or row.columns["action"] == acls.DROP:
                kept.append(row)
            else:
                left_out.add((row.columns["direction"], row.columns["external_ids"][names.RULE_KEY]))
                for one in missing:
                    self._mark(one.owner)
        self._waiting[key] = len(left_out)
        return kept

    def left_out(self, key: str) -> int:
        """Return how many rules have rows that the last plan of a policy has left out, once."""
        return self._waiting.pop(key, 0)
