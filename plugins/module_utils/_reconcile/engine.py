# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The loop of :mod:`._ovsdb.converge`, run for ever: desired rows come from memory, current rows from a replica.

An event only marks an object's key. The whole difference of a marked object is planned then. Keys that are marked while
a transaction is under way go into the next one together. Objects that share a row, such as the old and the new name of
a host, are planned together. A key that fails is tried again after a pause of its own. A key whose rows the database
refuses is found by halving the batch, so it stops no other.
Kinds take turns, and planning pauses after a while: many objects that cost much delay others for a moment only.
A program that does not act has no keys: when it begins to act, everything is looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from typing import TYPE_CHECKING

from .._common.errors import Conflict, DatabaseError, Disconnected, LockLost
from .._common.retry import Pause
from .._ovsdb.fence import Fence
from .._ovsdb.plan import Plan
from .._ovsdb.transaction import operations
from .planning import NotReady, plan_object
from .retries import RETRY_PAUSE, Failure, Key, Retries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .._ovsdb.plan import Change
    from .._ovsdb.replica import Replica
    from .._ovsdb.rows import CurrentRow
    from .planning import ObjectPlan, Planner

LOG = logging.getLogger("ovn-k8s-watcher")
BATCH = 500  # keys in one transaction
PLANNING_TIME = 0.03  # seconds after which the other keys of a batch wait for the next one: all else waits meanwhile
GATHER_TIME = 0.004  # seconds between two transactions, in which more keys are marked
CONFLICT_PAUSE = Pause(0.02, jitter=0.95)


class Engine:
    """Keys to converge, and the loop that converges them.

    :param replica: a replica with a lock.
    :param lock: the lock's name.
    :param planners: kind -> planner.
    :param on_transaction: called with (seconds, number of keys, number of operations) after each transaction.

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
        self.transactions = self.conflicts = 0
        self.busy_since: float | None = None
        self.active = False
        self._stopped = False
        self._retries = Retries(lambda key: self.mark(*key))
        self._replica = replica
        self._lock = lock
        self._fence: Fence | None = None
        self._on_transaction = on_transaction or (lambda _seconds, _keys, _operations: None)
        # Kind -> keys, in their order; the kind whose turn it is comes first.
        self._marked: dict[str, dict[Key, None]] = {kind: {} for kind in planners}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._marked.values()))

    @property
    def failing(self) -> Mapping[Key, Failure]:
        """Return the keys that can't be converged now."""
        return self._retries.failing

    @property
    def retries(self) -> int:
        """Return how often a key was tried again."""
        return self._retries.count

    def stuck(self) -> Mapping[Key, Failure]:
        """Return the keys that have failed for long, and do not only wait for something that they depend on."""
        return self._retries.stuck()

    def mark(self, kind: str, name: str) -> None:
        """Note that the rows of an object may not be as desired; nothing after :meth:`stop`."""
        if self._stopped:
            return
        self._marked[kind][Key(kind, name)] = None
        self._wake.set()

    def row_changed(self, *rows: CurrentRow | None) -> None:
        """Mark the objects that a row belongs to, and belonged to before it changed."""
        for owner in {row.owner for row in rows if row is not None}:
            if owner is not None and owner.type in self.planners:
                self.mark(*owner)

    def mark_later(self, kind: str, name: str, seconds: float) -> None:
        """Mark an object after a pause, which jitter makes shorter."""
        if not self._stopped:
            self._retries.later(Key(kind, name), Pause(seconds, jitter=RETRY_PAUSE.jitter).seconds(0))

    async def take_over(self) -> None:
        """Before :meth:`start`: where the database has several members, let what was sent before be refused.

        :raises DatabaseError: the lock is not ours, or the database is away.
        """
        self._fence = None
        if len(self._replica.remotes) > 1:
            fence = Fence(self._lock)
            _lock, marked, *_others = await self._replica.transact(fence.take())
            self._fence = fence if marked["count"] else None

    def start(self) -> None:
        """Begin to write: this program has the lock, and knows all objects. After :meth:`stop` the caller marks all."""
        self.active, self._stopped = True, False
        self._wake.set()

    def stop(self) -> None:
        """Stop writing, and forget all keys: another program writes now, and the next start marks everything."""
        self.active, self._stopped = False, True
        for keys in self._marked.values():
            keys.clear()
        self._retries.clear()

    async def run(self) -> None:
        """Converge marked keys for ever."""
        last = 0.0
        while True:
            await self._wake.wait()
            if not self.active or not len(self):
                self._wake.clear()
                continue
            pause = last + GATHER_TIME - time.monotonic()
            await asyncio.sleep(pause if pause > 0 and len(self) < BATCH else 0)
            self.busy_since = time.monotonic()
            await self._converge(self._next_batch())
            self.busy_since = None
            last = time.monotonic()

    def _next_batch(self) -> list[Key]:
        """Return the keys that come next, which are marked no more."""
        batch: list[Key] = []
        for keys in self._marked.values():
            batch += itertools.islice(keys, BATCH - len(batch))
        for key in batch:
            del self._marked[key.kind][key]
        last = next(iter(self._marked))
        self._marked[last] = self._marked.pop(last)
        return batch

    async def _converge(self, keys: Sequence[Key]) -> None:
        """Plan these keys and those that share a row with them, and write their plans in one transaction.

        Keys for which there was no time are marked again.
        """
        deadline = time.monotonic() + PLANNING_TIME
        plans: dict[Key, ObjectPlan] = {}
        groups: list[list[Key]] = []
        unchanged: list[Key] = []
        seen: set[Key] = set()
        for first in keys:
            if seen and time.monotonic() > deadline:
                self.mark(*first)
                continue
            group, rest = [], [first]
            while rest:
                key = rest.pop()
                if key in seen:
                    continue
                seen.add(key)
                plan = self._plan(key)
                if plan is not None and plan.plan.changes:
                    plans[key] = plan
                    group.append(key)
                    rest += [Key(*owner) for owner in plan.rivals if owner.type in self.planners]
                elif plan is not None:
                    unchanged.append(key)
            groups += [group] if group else []
        if plans and await self._write(plans, groups):
            for key, plan in plans.items():
                _log(key, plan.plan.changes)
                if plan.again:
                    self.mark(*key)
                else:
                    self._done(key, plan.plan.changes)
        for key in unchanged:
            LOG.debug("%s: nothing differs", key)
            self._done(key, [])

    def _plan(self, key: Key) -> ObjectPlan | None:
        """Return the plan of a key; None when it can't be planned now."""
        try:
            return plan_object(self._replica, self.planners[key.kind], key.name)
        except NotReady as exc:
            self._failed(key, str(exc), waits=True)
        except DatabaseError as exc:
            self._failed(key, str(exc))
        except Exception as exc:
            LOG.exception("%s can't be planned", key)
            self._failed(key, f"{type(exc).__name__}: {exc}")
        return None

    async def _write(self, plans: Mapping[Key, ObjectPlan], groups: Sequence[Sequence[Key]]) -> bool:
        """Write the plans in one transaction; return whether all of them were written here.

        :param groups: keys whose plans must not be parted.
        """
        whole = Plan(
            [change for plan in plans.values() for change in plan.plan.changes],
            {name: row for plan in plans.values() for name, row in plan.plan.by_name.items()},
        )
        started = time.monotonic()
        try:
            sent = operations(whole, "ovn-k8s-watcher", self._lock)
            if self._fence is not None:
                sent.insert(0, self._fence.guard())
            await self._replica.transact(sent)
        except (Disconnected, LockLost) as exc:
            # Whether the transaction was committed shows in the replica after the next connection. Whether the lock is
            # ours again already is not for this reply to say: the replica takes in all that came after it.
            LOG.warning("%s; %d objects wait", exc, len(plans))
            await self._again(plans)
            return False
        except Conflict:
            self.conflicts += 1
            LOG.debug("another program has changed the same rows: %d objects are planned again", len(plans))
            await self._look_at_fence()
            await self._again(plans)
            return False
        except DatabaseError as exc:
            await self._halve(groups, str(exc))
            return False
        self.transactions += 1
        self._on_transaction(time.monotonic() - started, len(plans), len(sent))
        return True

    async def _look_at_fence(self) -> None:
        """Begin anew, with a new connection, where another program has begun to act."""
        if self._fence is None:
            return
        with contextlib.suppress(DatabaseError):
            (found,) = await self._replica.transact([self._fence.question()])
            if not found["rows"]:
                LOG.warning("another program has begun to act: connecting again")
                self._replica.reconnect()

    async def _again(self, keys: Iterable[Key]) -> None:
        """Mark keys again after a moment."""
        await asyncio.sleep(CONFLICT_PAUSE.seconds(0))
        for key in keys:
            self.mark(*key)

    async def _halve(self, groups: Sequence[Sequence[Key]], reason: str) -> None:
        """Converge each half of the keys by itself: the database refuses the rows of one of them."""
        if len(groups) == 1:
            for key in groups[0]:
                self._failed(key, reason)
            return
        middle = len(groups) // 2
        for half in (groups[:middle], groups[middle:]):
            await self._converge([key for group in half for key in group])

    def _done(self, key: Key, changes: Sequence[Change]) -> None:
        self._retries.done(key)
        try:
            self.planners[key.kind].done(key.name, changes)
        except Exception as exc:
            LOG.exception("%s: an error after its rows were written", key)
            self._failed(key, f"{type(exc).__name__}: {exc}")

    def _failed(self, key: Key, reason: str, waits: bool = False) -> None:
        """Note a failure, and try again later. A new reason is logged and reported."""
        if self._stopped or not self._retries.failed(key, reason, waits):
            return
        LOG.warning("%s: %s", key, reason)
        try:
            self.planners[key.kind].failed(key.name, reason)
        except Exception:
            LOG.exception("%s: the failure could not be reported", key)


def _log(key: Key, changes: Iterable[Change]) -> None:
    """Log a line for each change; the whole contents at the level debug only."""
    for change in changes:
        LOG.info("%s: %s", key, change.describe())
        if LOG.isEnabledFor(logging.DEBUG):
            LOG.debug("%s: before: %s; after: %s", key, change.before(), change.after())
