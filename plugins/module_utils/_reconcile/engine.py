# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The loop of :mod:`._ovsdb.converge`, run for ever: what is wanted of one object comes from memory, what is there from a replica.

Whatever happens only marks an object's key; its whole difference is planned anew then. Keys that are marked while a
transaction is under way go into the next one together. A key that fails is tried again after a pause of its own, and
one that spoils a transaction is taken out of it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time

from .._common.errors import Conflict, DatabaseError, Disconnected, LockLost
from .._ovsdb.difference import difference
from .._ovsdb.plan import Plan
from .._ovsdb.rows import SetMembers
from .._ovsdb.schema import PARENTS
from .._ovsdb.transaction import operations

LOG = logging.getLogger("ovn-k8s-watcher")
BATCH = 500  # keys in one transaction
WINDOW = 0.004  # seconds between two transactions under load, in which keys gather
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0


class NotYet(Exception):
    """An object can't be made now; the text is one sentence. Tried again, and when what it waits for comes."""


class Engine:
    """Keys to be converged, and the loop that does it.

    :param replica: :class:`._ovsdb.replica.Replica`, with a lock.
    :param lock: its name.
    :param kinds: kind -> planner. A planner has ``tables``; ``owner(name)``; ``desired(name)``: the rows, may raise NotYet;
        ``done(name, changes)``: called when the rows are as wanted; ``failed(name, text)``: called when they can't be now.
    :param told: called with (seconds, keys, operations) after each transaction.
    """

    def __init__(self, replica, lock, kinds, told=None):
        self.kinds = kinds
        self.failing = {}  # key -> (tries, sentence)
        self.retries = self.transactions = self.conflicts = 0
        self.busy_since = None
        self.active = False
        self._replica = replica
        self._lock = lock
        self._told = told or (lambda seconds, keys, operations: None)
        self._marked = {}
        self._wake = asyncio.Event()
        self._timers = {}

    def __len__(self):
        return len(self._marked)

    def mark(self, kind, name):
        """Say that something about this object may differ."""
        self._marked[kind, name] = None
        self._wake.set()

    def start(self):
        """Begin (again) to write: this program holds the lock, and knows what there is."""
        self.active = True
        self._wake.set()

    def stop(self):
        """Stop writing; what is marked stays so."""
        self.active = False

    async def run(self):
        """Converge what is marked, for ever."""
        last = 0.0
        while True:
            await self._wake.wait()
            if not self.active or not self._marked:
                self._wake.clear()
                continue
            pause = last + WINDOW - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            keys = list(self._marked)[:BATCH]
            for key in keys:
                del self._marked[key]
            self.busy_since = time.monotonic()
            await self._converge(keys)
            self.busy_since = None
            last = time.monotonic()

    async def _converge(self, keys):
        """Plan these keys and write the plans in one transaction."""
        plans, quiet = {}, []
        for key in keys:
            plan = self._plan(key)
            if plan is None:
                continue
            if plan[0]:
                plans[key] = plan
            else:
                quiet.append(key)
        if plans and await self._write(plans):
            for key, (changes, _named, again) in plans.items():
                for change in changes:
                    LOG.info("%s %s: %s", key[0].lower(), key[1], change.describe())
                if again:
                    self.mark(*key)
                else:
                    self._done(key, changes)
        for key in quiet:
            self._done(key, [])

    def _plan(self, key):
        """(changes, rows by name, whether to plan again afterwards); None when the object can't be planned now."""
        kind, name = key
        planner = self.kinds[kind]
        try:
            own = self._replica.owned(planner.owner(name), planner.tables)
            try:
                wanted = planner.desired(name)
            except NotYet as exc:
                if own:  # what it had elsewhere goes now
                    return difference([], own, {}), {}, True
                self._failed(key, str(exc))
                return None
            holders = {(row.table, row.role): row.parent for row in wanted if row.parent is not None}
            # What hangs on another switch or in another group goes first, and is made anew where it belongs.
            astray = [
                row
                for row in own
                if (row.table, row.role) in holders
                and row.table in PARENTS
                and getattr(self._replica.parent(row.table, row.uuid), "name", None) != holders[row.table, row.role]
            ]
            if astray:
                return difference([], astray, {}), {}, True
            named = self._named(wanted)
            return difference(wanted, own, named), named, False
        except DatabaseError as exc:
            self._failed(key, str(exc))
        except Exception as exc:
            LOG.exception("%s %s can't be planned", kind.lower(), name)
            self._failed(key, f"{type(exc).__name__}: {exc}")
        return None

    def _named(self, wanted):
        """(table, name) -> row, for the wanted rows' holders and names."""
        named = {}
        for row in wanted:
            keys = [(row.table, row.name)] if row.name is not None else []
            keys += [(PARENTS[row.table][0], row.parent)] if row.parent is not None else []
            keys += [
                (ref.table, ref.name)
                for value in row.columns.values()
                if isinstance(value, SetMembers)
                for ref in value.refs
            ]
            for key in keys:
                found = self._replica.named(*key)
                if found is not None:
                    named[key] = found
        return named

    async def _write(self, plans):
        """Write the plans in one transaction; whether all of it was done."""
        changes = [change for plan, _named, _again in plans.values() for change in plan]
        named = {name: row for _plan, rows, _again in plans.values() for name, row in rows.items()}
        started = time.monotonic()
        try:
            sent = operations(Plan(changes, named), "ovn-k8s-watcher", self._lock)
            await self._replica.transact(sent)
        except (Disconnected, LockLost) as exc:
            # Whether it was written shows in the replica when it is connected again.
            LOG.warning("%s; %d objects wait", exc, len(plans))
            self.stop()
            for key in plans:
                self.mark(*key)
            return False
        except Conflict:
            self.conflicts += 1
            await asyncio.sleep(random.uniform(0.001, 0.02))
            for key in plans:
                self.mark(*key)
            return False
        except DatabaseError as exc:
            if len(plans) == 1:
                self._failed(next(iter(plans)), str(exc))
                return False
            # One of them spoils it: each half by itself, until it is found.
            keys = list(plans)
            for part in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
                await self._converge(part)
            return False
        self.transactions += 1
        self._told(time.monotonic() - started, len(plans), len(sent))
        return True

    def _done(self, key, changes):
        self.failing.pop(key, None)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        try:
            self.kinds[key[0]].done(key[1], changes)
        except Exception as exc:
            LOG.exception("%s %s: what follows its rows went wrong", key[0].lower(), key[1])
            self._failed(key, f"{type(exc).__name__}: {exc}")

    def _failed(self, key, sentence):
        """Note it, and try again later; the log has each sentence once."""
        tries, before = self.failing.get(key, (0, None))
        self.failing[key] = (tries + 1, sentence)
        if sentence != before:
            LOG.warning("%s %s: %s", key[0].lower(), key[1], sentence)
            try:
                self.kinds[key[0]].failed(key[1], sentence)
            except Exception:
                LOG.exception("%s %s: the failure could not be reported", key[0].lower(), key[1])
        self.later(key, min(FIRST_PAUSE * 2**tries, LONGEST_PAUSE))

    def later(self, key, seconds):
        """Mark a key after a pause, with jitter."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

        def now():
            self._timers.pop(key, None)
            self.retries += 1
            self.mark(*key)

        self._timers[key] = asyncio.get_running_loop().call_later(seconds * random.uniform(0.7, 1.0), now)
