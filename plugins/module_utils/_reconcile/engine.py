# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The loop of :mod:`._ovsdb.converge`, run for ever: desired rows come from memory, current rows from a replica.

An event only marks an object's key. The whole difference of a marked object is planned then. Keys that are marked while
a transaction is under way go into the next one together. A key that fails is tried again after a pause of its own. A
key whose rows the database refuses is found by halving the batch, so it stops no other.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from .._common.errors import Conflict, DatabaseError, Disconnected, LockLost
from .._common.retry import Pause
from .._ovsdb.plan import Plan
from .._ovsdb.transaction import operations
from .planning import NotReady, plan_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .._ovsdb.plan import Change
    from .._ovsdb.replica import Replica
    from .planning import ObjectPlan, Planner

LOG = logging.getLogger("ovn-k8s-watcher")
BATCH = 500  # keys in one transaction
GATHER_TIME = 0.004  # seconds between two transactions, in which more keys are marked
RETRY_PAUSE = Pause(0.5, longest=30.0, jitter=0.3)
CONFLICT_PAUSE = Pause(0.02, jitter=0.95)


class Key(NamedTuple):
    """An object."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.lower()} {self.name}"


class Failure(NamedTuple):
    """The failed attempts of a key.

    :ivar attempts: how many there were in a row.
    :ivar reason: of the last one, in one sentence.
    """

    attempts: int
    reason: str


class Engine:
    """Keys to converge, and the loop that converges them.

    :param replica: a replica with a lock.
    :param lock: the lock's name.
    :param planners: kind -> planner.
    :param on_transaction: called with (seconds, number of keys, number of operations) after each transaction.

    :ivar failing: keys that can't be converged now.
    :ivar retries: how often a key was tried again.
    :ivar transactions: how many were committed.
    :ivar conflicts: how many met a conflict.
    :ivar busy_since: when the current batch began, by the monotonic clock; None: no batch is under way.
    :ivar active: this program writes.
    """

    def __init__(
        self,
        replica: Replica,
        lock: str,
        planners: Mapping[str, Planner],
        on_transaction: Callable[[float, int, int], None] | None = None,
    ) -> None:
        self.planners = planners
        self.failing: dict[Key, Failure] = {}
        self.retries = self.transactions = self.conflicts = 0
        self.busy_since: float | None = None
        self.active = False
        self._replica = replica
        self._lock = lock
        self._on_transaction = on_transaction or (lambda _seconds, _keys, _operations: None)
        self._marked: dict[Key, None] = {}  # a set that keeps its order
        self._wake = asyncio.Event()
        self._timers: dict[Key, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._marked)

    def mark(self, kind: str, name: str) -> None:
        """Note that the rows of an object may not be as desired."""
        self._marked[Key(kind, name)] = None
        self._wake.set()

    def mark_later(self, kind: str, name: str, seconds: float) -> None:
        """Mark an object after a pause, which jitter makes shorter."""
        self._mark_after(Key(kind, name), Pause(seconds, jitter=RETRY_PAUSE.jitter).seconds(0))

    def start(self) -> None:
        """Begin to write: this program has the lock, and knows all objects."""
        self.active = True
        self._wake.set()

    def stop(self) -> None:
        """Stop writing. Marked keys stay marked."""
        self.active = False

    async def run(self) -> None:
        """Converge marked keys for ever."""
        last = 0.0
        while True:
            await self._wake.wait()
            if not self.active or not self._marked:
                self._wake.clear()
                continue
            pause = last + GATHER_TIME - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            keys = list(self._marked)[:BATCH]
            for key in keys:
                del self._marked[key]
            self.busy_since = time.monotonic()
            await self._converge(keys)
            self.busy_since = None
            last = time.monotonic()

    async def _converge(self, keys: Sequence[Key]) -> None:
        """Plan these keys, and write their plans in one transaction."""
        plans, unchanged = {}, []
        for key in keys:
            plan = self._plan(key)
            if plan is not None and plan.plan.changes:
                plans[key] = plan
            elif plan is not None:
                unchanged.append(key)
        if plans and await self._write(plans):
            for key, plan in plans.items():
                for change in plan.plan.changes:
                    LOG.info("%s: %s", key, change.describe())
                if plan.again:
                    self.mark(*key)
                else:
                    self._done(key, plan.plan.changes)
        for key in unchanged:
            self._done(key, [])

    def _plan(self, key: Key) -> ObjectPlan | None:
        """Return the plan of a key; None when it can't be planned now."""
        try:
            return plan_object(self._replica, self.planners[key.kind], key.name)
        except (DatabaseError, NotReady) as exc:
            self._failed(key, str(exc))
        except Exception as exc:
            LOG.exception("%s can't be planned", key)
            self._failed(key, f"{type(exc).__name__}: {exc}")
        return None

    async def _write(self, plans: Mapping[Key, ObjectPlan]) -> bool:
        """Write the plans in one transaction; return whether all of them were written here."""
        whole = Plan(
            [change for plan in plans.values() for change in plan.plan.changes],
            {name: row for plan in plans.values() for name, row in plan.plan.by_name.items()},
        )
        started = time.monotonic()
        try:
            sent = operations(whole, "ovn-k8s-watcher", self._lock)
            await self._replica.transact(sent)
        except (Disconnected, LockLost) as exc:
            # Whether the transaction was committed shows in the replica after the next connection.
            LOG.warning("%s; %d objects wait", exc, len(plans))
            self.stop()
            self._mark_all(plans)
            return False
        except Conflict:
            self.conflicts += 1
            await asyncio.sleep(CONFLICT_PAUSE.seconds(0))
            self._mark_all(plans)
            return False
        except DatabaseError as exc:
            await self._halve(list(plans), str(exc))
            return False
        self.transactions += 1
        self._on_transaction(time.monotonic() - started, len(plans), len(sent))
        return True

    def _mark_all(self, keys: Mapping[Key, ObjectPlan]) -> None:
        for key in keys:
            self.mark(*key)

    async def _halve(self, keys: Sequence[Key], reason: str) -> None:
        """Converge each half of the keys by itself: the database refuses the rows of one of them."""
        if len(keys) == 1:
            self._failed(keys[0], reason)
            return
        middle = len(keys) // 2
        await self._converge(keys[:middle])
        await self._converge(keys[middle:])

    def _done(self, key: Key, changes: Sequence[Change]) -> None:
        self.failing.pop(key, None)
        self._cancel_timer(key)
        try:
            self.planners[key.kind].done(key.name, changes)
        except Exception as exc:
            LOG.exception("%s: an error after its rows were written", key)
            self._failed(key, f"{type(exc).__name__}: {exc}")

    def _failed(self, key: Key, reason: str) -> None:
        """Note a failure, and try again later. A new reason is logged and reported."""
        before = self.failing.get(key, Failure(0, ""))
        self.failing[key] = Failure(before.attempts + 1, reason)
        if reason != before.reason or not before.attempts:
            LOG.warning("%s: %s", key, reason)
            try:
                self.planners[key.kind].failed(key.name, reason)
            except Exception:
                LOG.exception("%s: the failure could not be reported", key)
        self._mark_after(key, RETRY_PAUSE.seconds(before.attempts))

    def _mark_after(self, key: Key, seconds: float) -> None:
        self._cancel_timer(key)

        def mark() -> None:
            self._timers.pop(key, None)
            self.retries += 1
            self.mark(*key)

        self._timers[key] = asyncio.get_running_loop().call_later(seconds, mark)

    def _cancel_timer(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
