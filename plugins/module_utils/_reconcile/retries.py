# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Objects that could not be converged, and when each is tried again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from .._common.retry import Pause

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

K = TypeVar("K")
RETRY_PAUSE = Pause(0.5, longest=30.0, jitter=0.3)
STUCK = 30.0  # seconds of failures after which an object counts as stuck


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
    :ivar since: when the first of them was, by the monotonic clock.
    :ivar waits: it only waits for something that it depends on; who has made the object is told that by an event.
    """

    attempts: int
    reason: str
    since: float
    waits: bool = False


def after(failure: Failure | None, reason: str, waits: bool = False) -> Failure:
    """Return the failure after one more failed attempt; None: it is the first one."""
    attempts, since = (failure.attempts, failure.since) if failure else (0, time.monotonic())
    return Failure(attempts + 1, reason, since, waits)


def stuck(failing: Mapping[K, Failure]) -> dict[K, Failure]:
    """Return what has failed for long, and does not only wait for something."""
    limit = time.monotonic() - STUCK
    return {key: failure for key, failure in failing.items() if failure.since < limit and not failure.waits}


class Retries:
    """The failures of all keys, and one timer at most for each.

    :param mark: called with a key when it is time to try it again.

    :ivar failing: keys that can't be converged now.
    :ivar count: how often a key was tried again.
    """

    def __init__(self, mark: Callable[[Key], object]) -> None:
        self.failing: dict[Key, Failure] = {}
        self.count = 0
        self._mark = mark
        self._timers: dict[Key, asyncio.TimerHandle] = {}

    def failed(self, key: Key, reason: str, waits: bool) -> bool:
        """Note a failure, and try again later; return whether its reason is new."""
        before = self.failing.get(key)
        self.failing[key] = after(before, reason, waits)
        self.later(key, RETRY_PAUSE.seconds(before.attempts if before else 0))
        return before is None or before.reason != reason

    def done(self, key: Key) -> None:
        """Forget the failures of a key."""
        self.failing.pop(key, None)
        self._cancel(key)

    def later(self, key: Key, seconds: float) -> None:
        """Try a key again after some seconds."""
        self._cancel(key)

        def mark() -> None:
            self._timers.pop(key, None)
            self.count += 1
            self._mark(key)

        self._timers[key] = asyncio.get_running_loop().call_later(seconds, mark)

    def clear(self) -> None:
        """Forget everything."""
        self.failing.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def stuck(self) -> dict[Key, Failure]:
        """Return the keys that have failed for long, and do not only wait for something."""
        return stuck(self.failing)

    def _cancel(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
