# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Try again until a deadline, and wait for a condition: the one place for such loops, for threads and for asyncio.

All times are seconds. All deadlines use the monotonic clock, so a change of the host's time does not move them.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Union

    Errors = Union[type[BaseException], tuple[type[BaseException], ...]]

T = TypeVar("T")


@dataclass(frozen=True)
class Clock:
    """The clock of a loop; tests pass their own.

    :ivar now: the current time of a monotonic clock.
    :ivar sleep: block for so many seconds.
    """

    now: Callable[[], float] = field(default=lambda: time.monotonic())  # pylint: disable=unnecessary-lambda
    sleep: Callable[[float], None] = field(default=lambda seconds: time.sleep(seconds))  # pylint: disable=unnecessary-lambda


async def _sleep_async(seconds: float) -> None:
    """Pause a coroutine."""
    import asyncio  # here: it takes longer to load than everything else that a short module needs

    await asyncio.sleep(seconds)


@dataclass(frozen=True)
class AsyncClock:
    """As :class:`Clock`, for coroutines.

    :ivar now: the current time of a monotonic clock.
    :ivar sleep: a coroutine function that pauses for so many seconds.
    """

    now: Callable[[], float] = field(default=lambda: time.monotonic())  # pylint: disable=unnecessary-lambda
    sleep: Callable[[float], Awaitable[None]] = field(
        default=lambda seconds: _sleep_async(seconds)  # pylint: disable=unnecessary-lambda
    )


CLOCK = Clock()
ASYNC_CLOCK = AsyncClock()


@dataclass(frozen=True)
class Pause:
    """The pause between two attempts.

    :ivar first: seconds after the first attempt.
    :ivar longest: the pause doubles after each attempt up to this; None: it stays the same.
    :ivar jitter: share of the pause that is random, 0 to 1, so that two programs in conflict do not stay in step.
    """

    first: float
    longest: float | None = None
    jitter: float = 0.0

    def seconds(self, attempt: int) -> float:
        """Return the pause after an attempt; the first attempt is number 0."""
        longest = self.first if self.longest is None else self.longest
        pause = min(self.first * float(1 << min(attempt, 32)), longest)
        return pause * random.uniform(1 - self.jitter, 1) if self.jitter else pause


def retry(
    work: Callable[[], T],
    errors: Errors,
    timeout: float,
    pause: Pause,
    on_timeout: Callable[[BaseException], BaseException] | None = None,
    clock: Clock = CLOCK,
) -> T:
    """Call ``work`` until it raises none of ``errors``, and return its result.

    The last attempt starts when the deadline is reached, not later.

    :param errors: exceptions after which another attempt makes sense. All others end the loop at once.
    :param timeout: seconds from now to the deadline.
    :param on_timeout: gets the last error, returns the exception to raise at the deadline; None: the last error itself.
    :raises BaseException: as ``work`` or ``on_timeout`` say.
    """
    loop = _Attempts(timeout, pause, clock.now)
    while True:
        try:
            return work()
        except errors as error:
            seconds = loop.next_pause()
            if seconds is None:
                _give_up(error, on_timeout)
                raise
        clock.sleep(seconds)


def wait_until(condition: Callable[[], T], timeout: float, pause: Pause, clock: Clock = CLOCK) -> T:
    """Call ``condition`` until its result is true in the sense of ``if``.

    :param timeout: seconds from now to the deadline; the condition is checked at least once, and once at the deadline.
    :returns: the condition's last result, which is false in the sense of ``if`` when the deadline has passed.
    """
    loop = _Attempts(timeout, pause, clock.now)
    while True:
        result = condition()
        if result:
            return result
        seconds = loop.next_pause()
        if seconds is None:
            return result
        clock.sleep(seconds)


async def retry_async(
    work: Callable[[], Awaitable[T]],
    errors: Errors,
    timeout: float,
    pause: Pause,
    on_timeout: Callable[[BaseException], BaseException] | None = None,
    clock: AsyncClock = ASYNC_CLOCK,
) -> T:
    """As :func:`retry`; ``work`` is a coroutine function."""
    loop = _Attempts(timeout, pause, clock.now)
    while True:
        try:
            return await work()
        except errors as error:
            seconds = loop.next_pause()
            if seconds is None:
                _give_up(error, on_timeout)
                raise
        await clock.sleep(seconds)


async def wait_until_async(
    condition: Callable[[], Awaitable[T]], timeout: float, pause: Pause, clock: AsyncClock = ASYNC_CLOCK
) -> T:
    """As :func:`wait_until`; ``condition`` is a coroutine function."""
    loop = _Attempts(timeout, pause, clock.now)
    while True:
        result = await condition()
        if result:
            return result
        seconds = loop.next_pause()
        if seconds is None:
            return result
        await clock.sleep(seconds)


def _give_up(error: BaseException, on_timeout: Callable[[BaseException], BaseException] | None) -> None:
    """Raise what the caller wants at the deadline; return when that is the error itself."""
    if on_timeout is not None:
        raise on_timeout(error) from error


class _Attempts:
    """Count attempts, and say how long to pause before the next one."""

    def __init__(self, timeout: float, pause: Pause, now: Callable[[], float]) -> None:
        self._now = now
        self._deadline = now() + timeout
        self._pause = pause
        self._attempt = 0

    def next_pause(self) -> float | None:
        """Return the seconds until the next attempt, at the deadline at the latest; None when that has passed."""
        left = self._deadline - self._now()
        if left <= 0:
            return None
        seconds = min(self._pause.seconds(self._attempt), left)
        self._attempt += 1
        return seconds
