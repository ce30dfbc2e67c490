# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of several API servers with the same objects a client asks.

One is asked until it can't be reached, or can't serve: its database is away, it is on its way down, or a balancer
before it has no server. Where all can't serve, or all refuse the same thing, no other one is better, so such a change
is made now and then only: it ends all watches.
"""

from __future__ import annotations

import logging
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from .._common.retry import Pause

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

LOG = logging.getLogger("kubernetes")
CONNECT_TIMEOUT = 3.0  # seconds for a connection, where another server can be asked
# Replies of a server that can't serve. All others, for example 404, say that it can.
CANNOT_SERVE = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
# What can't be asked of another server at once (a watch, a write) must fail so often, and for so many seconds, without
# a success in between: an election of etcd is over before.
FAULTS, FAULT_SECONDS = 3, 2.0
STAY = Pause(2.0, longest=60.0, jitter=0.3)  # at a server, before another one is taken that may be no better
QUIET = 120.0  # seconds after which a fault counts no more, and after such a change the pause is short again
LONGEST_RETRY_AFTER = 30.0  # seconds that are waited when a server asks for more
SECONDS = re.compile(r"[0-9]{1,9}")


class _Faults(NamedTuple):
    """How often something has failed without a success in between, first and last when."""

    times: int
    first: float
    last: float


class Servers:
    """One is asked until it can't be reached or can't serve, and then the next.

    :param urls: the servers' URLs.
    :param now: returns the seconds of a monotonic clock.
    """

    def __init__(self, urls: Sequence[str], now: Callable[[], float] = time.monotonic) -> None:
        self._urls = urls
        self._now = now
        self._place = 0
        self._faults: dict[str, _Faults] = {}  # of the current one, by what failed
        self._changes = 0
        self._stays_until = float("-inf")

    @property
    def current(self) -> str:
        """The URL of the one that is asked now."""
        return self._urls[self._place]

    def in_turn(self) -> list[str]:
        """Return the URLs of all, the current one first."""
        return [*self._urls[self._place :], *self._urls[: self._place]]

    def leave(self, url: str) -> bool:
        """Ask the next one from now on, since this one can't be reached; return whether that is so: it is not where
        another caller has left this one.
        """
        return url == self.current and self._take((self._place + 1) % len(self._urls), "can't be reached")

    def fault(self, url: str, work: str) -> bool:
        """Take in that a server could not serve; return whether another one is asked from now on.

        :param work: what has failed: counted until the same succeeds.
        """
        if url != self.current or len(self._urls) == 1:
            return False
        now, before = self._now(), self._faults.get(work)
        if before is None or now - before.last > QUIET:
            before = _Faults(0, now, now)
        faults = self._faults[work] = _Faults(before.times + 1, before.first, now)
        if faults.times < FAULTS or now - faults.first < FAULT_SECONDS:
            return False
        return self._change((self._place + 1) % len(self._urls))

    def success(self, url: str, work: str) -> None:
        """Take in that a server has served."""
        if url == self.current:
            self._faults.pop(work, None)

    def prefer(self, url: str, to: Collection[str]) -> bool:
        """Take in that a server has served what others could not; return whether it is asked from now on, instead of
        one of those.
        """
        return self.current in to and self._change(self._urls.index(url))

    def connect_timeout(self, timeout: float) -> float:
        """Return the seconds for a connection.

        :param timeout: those for a reply.
        """
        return timeout if len(self._urls) == 1 else min(timeout, CONNECT_TIMEOUT)

    def _change(self, place: int) -> bool:
        now = self._now()
        if now < self._stays_until:
            return False
        if now > self._stays_until + QUIET:
            self._changes = 0
        self._stays_until = now + STAY.seconds(self._changes)
        self._changes += 1
        return self._take(place, "can't serve")

    def _take(self, place: int, reason: str) -> bool:
        if place == self._place:
            return False
        before, self._place = self.current, place
        self._faults.clear()
        LOG.warning("the API server %s %s: %s is asked from now on", before, reason, self.current)
        return True


def retry_after(headers: Mapping[str, str]) -> float:
    """Return after how many seconds the server wants to be asked again (RFC 9110, 10.2.3), 0 when it does not say.

    API servers give seconds; a date, which others may give, counts as nothing.
    """
    text = headers.get("Retry-After", "")
    return float(text) if SECONDS.fullmatch(text) else 0.0
