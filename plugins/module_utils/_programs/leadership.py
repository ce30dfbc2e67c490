# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of several watchers acts: the one with the OVSDB lock, and only one that hears the API server may have it.

A watcher that does not hear would delete the ports of pods that it has not heard of.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Any

from .._common.errors import DatabaseError
from .._kube.health import HealthCheck
from .._kube.informer import Informer
from .._ovsdb.replica import Replica
from .._reconcile.engine import Engine

LOG = logging.getLogger("ovn-k8s-watcher")
AGAIN = 0.2  # seconds until a watcher with the lock tries again to take over
PATIENCE = 10.0  # seconds in which a watch that was interrupted may begin again before the lock is given up


class Leadership:
    """Takes the lock, gives it up, and starts and stops the engine.

    :param replica: the Northbound database, with the lock.
    :param api_health: of the API server.
    :param begin: marks everything for the engine.

    :ivar synced: an event that is set when everything was known for the first time.
    """

    def __init__(
        self,
        replica: Replica,
        engine: Engine,
        informers: Collection[Informer[Any]],
        api_health: HealthCheck,
        begin: Callable[[], object],
    ) -> None:
        self.synced = asyncio.Event()
        self._replica = replica
        self._engine = engine
        self._informers = informers
        self._api_health = api_health
        self._begin = begin
        self._giving_up: asyncio.TimerHandle | None = None
        self._called = asyncio.Event()  # the lock is here, and the engine stands still
        replica.want_lock(False)
        engine.stop()

    def problem(self) -> str | None:
        """Return why this watcher may not know what the API server has, in one sentence; None when it knows it."""
        problems = (informer.problem() for informer in self._informers)
        return next(filter(None, problems), self._api_health.problem)

    def update(self) -> None:
        """Take in that the replica's connection, its lock, a watch or the API server came or went."""
        if not self.synced.is_set():
            return
        if self.problem() is None:
            self._keep_lock()
            self._replica.want_lock(True)
        elif not self._engine.active or self._api_health.problem is not None:
            self._give_up()
        elif self._giving_up is None:
            self._giving_up = asyncio.get_running_loop().call_later(PATIENCE, self._give_up)
        if not self._has_lock():
            self._stand_by()
        elif not self._engine.active:
            self._called.set()

    async def run(self) -> None:
        """Begin when everything is known, since what is missing then does not exist; act whenever the lock comes."""
        for informer in self._informers:
            await informer.synced.wait()
        await self._replica.ready.wait()
        self.synced.set()
        LOG.info("everything is known: %s", ", ".join(f"{len(one.store)} {one.kind}" for one in self._informers))
        try:
            while True:
                self.update()
                await self._called.wait()
                self._called.clear()
                # The last check was some seconds ago, and the other watcher may have gone for the same reason.
                await self._api_health.now()
                if self._may_begin() and await self._take_over() and self._may_begin():
                    LOG.info("this watcher acts")
                    self._engine.start()
                    self._begin()
        finally:
            self._keep_lock()

    def _may_begin(self) -> bool:
        return self._has_lock() and self.problem() is None and not self._engine.active

    async def _take_over(self) -> bool:
        """Let nothing be committed that was sent before; return whether it is so. If not, it is tried again."""
        try:
            await self._engine.take_over()
        except DatabaseError as exc:
            LOG.warning("this watcher can't act yet: %s", exc)
            asyncio.get_running_loop().call_later(AGAIN, self.update)
            return False
        return True

    def _has_lock(self) -> bool:
        return self._replica.connected and self._replica.locked

    def _keep_lock(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def _give_up(self) -> None:
        self._keep_lock()
        self._replica.want_lock(False)

    def _stand_by(self) -> None:
        """Stop writing, and forget what was to be written: whoever acts next looks at everything."""
        if self._engine.active:
            lost = self.problem() or "another watcher holds the lock"
            LOG.warning("standing by: %s", lost if self._replica.connected else "the Northbound database is away")
        self._engine.stop()
