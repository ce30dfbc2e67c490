# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long it takes from the news of a policy until it is in force on the chassis of its pods.

OVN tells it by a number that goes from NB_Global to every chassis and back (ovn-nb(5): nb_cfg; ovn-sb(5),
Chassis_Private: nb_cfg): ovn-controller writes it when the flows of all before it are in Open vSwitch. Each such number
wakes every chassis, and has each write a row. So it is a sample: one policy at a time, no more often than each
:data:`SHORTEST` seconds, and in large clusters so seldom that chassis write :data:`WRITES` rows a second on average.
The number is raised by the very transaction that writes the policy's ACLs, so it arrives with them, not after them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

SHORTEST = 10.0  # seconds between two samples
WRITES = 10  # rows a second that chassis write for samples
LONGEST = 60.0  # seconds after which a sample counts as unseen: a chassis may be away
TABLE = "NB_Global"
RAISE: tuple[dict[str, Any], ...] = (
    {"op": "mutate", "table": TABLE, "where": [], "mutations": [["nb_cfg", "+=", 1]]},
    {"op": "select", "table": TABLE, "where": [], "columns": ["nb_cfg"]},
)
# Called with what was measured, and its seconds.
Observe = Callable[[str, float], object]


class Changes:
    """Since when objects are changed, and not as desired yet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed: dict[str, float] = {}  # not planned since
        self._planned: dict[str, float] = {}

    def changed(self, key: str) -> None:
        """Take in the news of a change."""
        self._changed.setdefault(key, self._clock())

    def planned(self, key: str) -> None:
        """Take in that an object is planned with all changes so far."""
        since = self._changed.pop(key, None)
        if since is not None:
            self._planned.setdefault(key, since)

    def since(self, key: str) -> float | None:
        """Return since when the oldest change of an object waits, among those that are planned."""
        return self._planned.get(key)

    def done(self, key: str) -> float | None:
        """Take in that what was planned is done; return how long it took. None: nothing was changed."""
        since = self._planned.pop(key, None)
        return None if since is None else self._clock() - since

    def clear(self) -> None:
        """Forget all."""
        self._changed.clear()
        self._planned.clear()


@dataclass
class Sample:
    """One policy on its way.

    :ivar number: None: its transaction is under way.
    :ivar waiting: chassis that have not written the number yet.
    :ivar in_southbound, in_force: when northd had written it, and the last chassis.
    """

    changed: float
    waiting: set[str]
    begun: float
    number: int | None = None
    committed: float = 0.0
    in_southbound: float | None = None
    in_force: float | None = None


class Enforcement:
    """The samples.

    :param since: returns since when a policy is changed (:meth:`Changes.since`).
    :param chassis_of: returns the chassis that a policy's pods are on.
    :param all_chassis: returns how many chassis there are.
    :param observe: called with "policy_in_force": all of it; "policy_ovn": from the commit in the Northbound database
        on; "policy_northd": of that, until northd has it in the Southbound database; "policy_chassis": the rest.

    :ivar unseen: samples that were given up.
    """

    def __init__(
        self,
        since: Callable[[str], float | None],
        chassis_of: Callable[[str], Iterable[str]],
        all_chassis: Callable[[], int],
        observe: Observe,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._since = since
        self._chassis_of = chassis_of
        self._all_chassis = all_chassis
        self._observe = observe
        self._clock = clock
        self._sample: Sample | None = None
        self._next = 0.0
        self._applied: dict[str, int] = {}  # chassis -> its number
        self.unseen = 0

    # For the engine.

    def operations(self, policies: Collection[str]) -> list[dict[str, Any]]:
        """Return what goes along with a transaction that writes policies; nothing where none of them is a sample."""
        now = self._clock()
        if self._sample is not None and now - self._sample.begun > LONGEST:
            self._sample = None
            self.unseen += 1
        if now < self._next or (self._sample is not None and self._sample.number is not None):
            return []
        since = {key: changed for key in policies if (changed := self._since(key)) is not None}
        for key in sorted(since, key=lambda key: since[key]):
            chassis = set(self._chassis_of(key))
            if chassis:
                self._sample = Sample(since[key], chassis, now)
                return [dict(one) for one in RAISE]
        return []

    def written(self, results: list[Any]) -> None:
        """Take in the results of these operations, which were committed."""
        sample = self._sample
        if sample is None:
            return
        rows = results[-1]["rows"]
        if not rows:  # a database that ovn-northd or ovn-nbctl has not initialized yet
            self._sample = None
            return
        sample.committed = self._clock()
        number = sample.number = int(rows[0]["nb_cfg"])
        self._next = sample.committed + max(SHORTEST, self._all_chassis() / WRITES)
        sample.waiting = {one for one in sample.waiting if self._applied.get(one, 0) < number}
        self._look(sample)

    # Events.

    def in_southbound(self, number: int) -> None:
        """Take in up to which number northd has written everything (ovn-sb(5), SB_Global: nb_cfg)."""
        sample = self._sample
        if sample is None or sample.number is None or sample.in_southbound is not None:
            return
        if number >= sample.number:
            sample.in_southbound = self._clock()
            self._look(sample)

    def applied(self, chassis: str, number: int | None) -> None:
        """Take in up to which number a chassis has everything in force; None: it is gone."""
        if number is None:
            self._applied.pop(chassis, None)
        else:
            self._applied[chassis] = number
        sample = self._sample
        if sample is None or sample.number is None or chassis not in sample.waiting:
            return
        if number is None or number >= sample.number:
            sample.waiting.discard(chassis)
            self._look(sample)

    def _look(self, sample: Sample) -> None:
        """Tell a sample that has arrived everywhere. After a lost connection the two may be told in any order."""
        if not sample.waiting and sample.in_force is None:
            sample.in_force = self._clock()
        if sample.in_force is None or sample.in_southbound is None:
            return
        self._sample = None
        middle = min(sample.in_southbound, sample.in_force)
        self._observe("policy_in_force", sample.in_force - sample.changed)
        self._observe("policy_ovn", sample.in_force - sample.committed)
        self._observe("policy_northd", middle - sample.committed)
        self._observe("policy_chassis", sample.in_force - middle)
