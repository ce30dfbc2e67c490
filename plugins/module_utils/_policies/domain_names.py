# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The addresses of domain names that policies name: asked for again and again, as long as a policy names them.

An address stays for its record's time to live (RFC 1035, 3.2.1), and for LINGER after that: pods may have it from a
cache. When no answer comes, or the server fails, a name keeps what it has for KEPT (RFC 8767 has the reasons); also
when this program is late with its question. An answer without addresses is an answer.

Who answers is not trusted: times have bounds, and so has the number of addresses. Addresses that no machine outside of
the cluster has are left out: whoever serves a name could open the cluster's own networks with them.

Wildcards (``*.example.com``) are refused: which names they stand for shows only in the answers that pods get, and those
don't come this way.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from .._common import addressing
from .._common.tasks import end
from .question_turns import Turn, Turns
from .selectors import Unreadable

LOG = logging.getLogger("ovn-k8s-watcher")
VERSIONS = (4, 6)
MAXIMUM_NAMES = 1000  # of all policies
MAXIMUM_ADDRESSES = 100  # of a name, of each IP version
LONGEST_NAME = 253  # characters of a name without the last dot (RFC 1035, 2.3.4)
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
SHORTEST, LONGEST = 5.0, 1800.0  # seconds that an answer counts, whatever it says
MOST_QUESTIONS = 100  # in a second: with many names, answers count for longer
LINGER = 60.0  # seconds: twice what a cluster's cache keeps answers by default (CoreDNS: 30 s)
KEPT = 3600.0  # seconds
RETRY, LONGEST_RETRY = 5.0, 60.0  # seconds after a failure
SLOW = 1.0  # seconds: an answer that takes longer counts as slow
LONGEST_SILENCE = 600.0  # seconds after failures that take so long: they have a place each time


class Answer(NamedTuple):
    """What a name server says of a name.

    :ivar ttl: seconds.
    """

    addresses: tuple[str, ...]
    ttl: float


class NoAnswer(Exception):
    """No server has answered, or it can't answer. The text says why."""


# Returns the addresses of a name of an IP version. :raises NoAnswer:
Ask = Callable[[str, int], Awaitable[Answer]]


def parse(value: object) -> str:
    """Return a domain name in lower case, without the last dot.

    :raises Unreadable: it is none, or has a wildcard.
    """
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME + 1:
        raise Unreadable("a domain name that is none")
    name = value.lower().removesuffix(".")
    if name.startswith("*."):
        raise Unreadable(f"domain name {value!r}: names with a wildcard are not served, only whole ones")
    labels = name.split(".")
    if len(name) > LONGEST_NAME or not all(map(LABEL.fullmatch, labels)) or labels[-1].isdigit():
        raise Unreadable("a domain name that is none")
    return name


class _Side:
    """A name's addresses of one IP version.

    :ivar expires: address -> until when it stays.
    :ivar last: those of the last answer, which stay until the next one, or until ``holds``.
    :ivar due: when it is asked for next.
    :ivar failures: how many attempts have failed since the last answer.
    :ivar kept_until: addresses stay until then, since no answer comes; 0: an answer came.
    :ivar is_asked: its question is under way, or waits for a place.
    :ivar is_slow: the last question has taken long, or there was none.
    :ivar is_known: an answer has come, or none for too long.
    :ivar is_partial: it has more addresses than are served.
    """

    __slots__ = (
        "due",
        "expires",
        "failures",
        "holds",
        "is_asked",
        "is_known",
        "is_partial",
        "is_slow",
        "kept_until",
        "last",
        "problem",
    )

    def __init__(self, now: float) -> None:
        self.expires: dict[str, float] = {}
        self.due = now
        self.failures = 0
        self.last: frozenset[str] = frozenset()
        self.kept_until = self.holds = 0.0
        self.is_asked = self.is_known = self.is_partial = False
        self.is_slow = True
        self.problem = ""

    def prune(self, now: float) -> bool:
        """Forget the addresses whose time is over; return whether there were some."""
        if now < self.kept_until:
            return False
        if self.kept_until:
            self.is_known = True
        gone = [one for one in self.expires if self._until(one) <= now]
        for one in gone:
            del self.expires[one]
        return bool(gone)

    def _until(self, address: str) -> float:
        until = self.expires[address]
        return max(until, self.holds) if address in self.last else until

    def next(self, now: float) -> float:
        """Return when there is something to do."""
        times = [self.kept_until] if now < self.kept_until else list(map(self._until, self.expires))
        return min([*times, *([] if self.is_asked else [self.due])], default=now + LONGEST)


class DomainNames:
    """The names that policies use, and their addresses.

    :param ask: asks a name server.
    :param on_change: called with a name whose addresses, or whose problem, are others now.
    :param is_active: returns whether this program acts; else it asks nobody.
    :param is_inside: returns whether an address is one of the cluster's own networks.
    :param clock: returns the time of a monotonic clock, in seconds.
    """

    def __init__(
        self,
        ask: Ask,
        on_change: Callable[[str], object],
        is_active: Callable[[], bool] = lambda: True,
        is_inside: Callable[[str], bool] = lambda _address: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._on_change = on_change
        self._is_active = is_active
        self._is_inside = is_inside
        self._clock = clock
        self._users: dict[str, set[str]] = {}
        self._sides: dict[tuple[str, int], _Side] = {}
        self._queue: list[tuple[float, str, int]] = []
        self._turns: Turns[tuple[str, int, _Side]] = Turns()
        self._wake = asyncio.Event()
        self._questions: set[asyncio.Task[None]] = set()

    # Who uses a name.

    def use(self, name: str, user: str, known: Iterable[str] = ()) -> bool:
        """Note that a policy uses a name; return False where there are too many names.

        :param known: addresses that it had before this program began: they stay until an answer comes.
        """
        users = self._users.get(name)
        if users is None:
            if not self.has_room():
                return False
            users = self._users[name] = set()
            self._begin(name, known)
        users.add(user)
        return True

    def _begin(self, name: str, known: Iterable[str]) -> None:
        """Ask for a name anew. What it had stays until there is an answer."""
        now, of_before = self._clock(), list(known)
        for version in VERSIONS:
            side = self._sides[name, version] = _Side(now)
            kept = [one for one in of_before if addressing.family(one) == version]
            side.expires = dict.fromkeys(kept[:MAXIMUM_ADDRESSES], now)
            side.kept_until = now + KEPT if kept else 0.0
            self._plan(name, version)

    def release(self, name: str, user: str) -> None:
        """Note that a policy does not use a name any more. A name without policies is forgotten."""
        users = self._users.get(name, set())
        users.discard(user)
        if name in self._users and not users:
            del self._users[name]
            for version in VERSIONS:
                del self._sides[name, version]

    def users(self, name: str) -> frozenset[str]:
        """Return the policies that use a name."""
        return frozenset(self._users.get(name, ()))

    def names(self) -> list[str]:
        """Return all names."""
        return list(self._users)

    # Questions.

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return the addresses of a name, sorted; none of one that nobody uses, or of which nothing is known."""
        sides = filter(None, (self._sides.get((name, version)) for version in VERSIONS))
        return tuple(sorted(address for side in sides for address in side.expires))

    def is_known(self, name: str) -> bool:
        """Return whether answers have come for a name, or did not come for too long."""
        return all(side.is_known for version in VERSIONS if (side := self._sides.get((name, version))) is not None)

    def partial(self, name: str) -> tuple[int, ...]:
        """Return the IP versions of which a name has more addresses than are served."""
        sides = ((version, self._sides.get((name, version))) for version in VERSIONS)
        return tuple(version for version, side in sides if side is not None and side.is_partial)

    def has_room(self) -> bool:
        """Return whether one more name is served."""
        return len(self._users) < MAXIMUM_NAMES

    def problem(self, name: str) -> str:
        """Return what is wrong with a name, in words; empty: nothing."""
        found = (side.problem for version in VERSIONS if (side := self._sides.get((name, version))) is not None)
        return "; ".join(dict.fromkeys(filter(None, found)))

    # The work.

    def begin(self, known: Callable[[str], Iterable[str]]) -> None:
        """Ask for all names, now that this program acts.

        :param known: returns the addresses of a name that whoever has acted until now has written.
        """
        for name in self._users:
            self._begin(name, known(name))

    async def run(self) -> None:
        """Ask for ever."""
        try:
            while True:
                self._wake.clear()
                pause = self._step() if self._is_active() else None
                try:
                    await asyncio.wait_for(self._wake.wait(), pause)
                except asyncio.TimeoutError:
                    continue
        finally:
            await end(self._questions)

    def _step(self) -> float | None:
        """Do what is due; return the seconds until the next thing is."""
        now = self._clock()
        while self._queue and self._queue[0][0] <= now:
            _when, name, version = heapq.heappop(self._queue)
            side = self._sides.get((name, version))
            if side is None:
                continue
            if side.prune(now):
                self._on_change(name)
            if side.due <= now and not side.is_asked:
                side.is_asked = True
                self._turns.add(self._users[name], side.is_slow, (name, version, side))
            self._plan(name, version)
        if len(self._turns) > 4 * len(self._sides) + 8:
            self._turns.keep(lambda one: self._is_current(*one))
        while found := self._turns.next():
            turn, one = found
            if not self._is_current(*one):
                self._turns.done(turn)
                continue
            question = asyncio.ensure_future(self._question(*one))
            self._questions.add(question)
            question.add_done_callback(functools.partial(self._answered, turn))
        return max(self._queue[0][0] - now, 0.0) if self._queue else None

    def _is_current(self, name: str, version: int, side: _Side) -> bool:
        return self._sides.get((name, version)) is side

    def _answered(self, turn: Turn, question: asyncio.Task[None]) -> None:
        self._turns.done(turn)
        self._questions.discard(question)
        self._wake.set()

    def _plan(self, name: str, version: int) -> None:
        """Queue a name: an entry of before that is left does no harm but a look."""
        when = self._sides[name, version].next(self._clock())
        heapq.heappush(self._queue, (when, name, version))
        if len(self._queue) > 8 * len(self._sides) + 8:
            self._queue = sorted({(side.next(self._clock()), *key) for key, side in self._sides.items()})
        self._wake.set()

    async def _question(self, name: str, version: int, side: _Side) -> None:
        asked = self._clock()
        try:
            answer: Answer | NoAnswer = await self._ask(name, version)
        except NoAnswer as exc:
            answer = exc
        except Exception as exc:  # whatever it is, the name must be asked for again
            LOG.exception("name servers could not be asked for %s", name)
            answer = NoAnswer(type(exc).__name__)
        side.is_asked, side.is_slow = False, self._clock() - asked >= SLOW
        if not self._is_current(name, version, side):
            return
        before = set(side.expires), side.problem, side.is_known, side.is_partial
        if isinstance(answer, NoAnswer):
            self._take_failure(side, answer)
        else:
            self._take(side, version, answer)
        self._plan(name, version)
        if before != (set(side.expires), side.problem, side.is_known, side.is_partial):
            self._on_change(name)

    def _take(self, side: _Side, version: int, answer: Answer) -> None:
        """Take in an answer."""
        now = self._clock()
        ttl = min(max(answer.ttl, SHORTEST, len(self._sides) / MOST_QUESTIONS), LONGEST)
        found = {one for text in answer.addresses if (one := addressing.unicast(text)) and not _is_local(one)}
        found = {one for one in found if addressing.family(one) == version}
        outside = {one for one in found if not self._is_inside(one)}
        # Those that it has come first, so that others don't come and go with each answer.
        served = sorted(outside, key=lambda one: (one not in side.expires, one))[:MAXIMUM_ADDRESSES]
        if side.kept_until:  # what was kept without an answer has no time of its own
            side.expires = {one: max(until, now + LINGER) for one, until in side.expires.items()}
        side.expires.update(dict.fromkeys(served, now + ttl + LINGER))
        side.due, side.failures, side.kept_until, side.is_known = now + ttl, 0, 0.0, True
        side.last, side.holds = frozenset(served), side.due + KEPT
        side.prune(now)
        side.is_partial = len(outside | side.expires.keys()) > MAXIMUM_ADDRESSES
        if len(side.expires) > MAXIMUM_ADDRESSES:  # those that linger go first
            last = sorted(side.expires, key=lambda one: (one not in served, -side.expires[one], one))
            side.expires = {one: side.expires[one] for one in last[:MAXIMUM_ADDRESSES]}
        side.problem = ""
        if len(outside) > MAXIMUM_ADDRESSES:
            side.problem = f"it has more than {MAXIMUM_ADDRESSES} IPv{version} addresses: the others don't count"
        elif len(outside) < len(set(answer.addresses)):
            side.problem = "it has addresses that no machine outside of the cluster has, which don't count"

    def _take_failure(self, side: _Side, reason: NoAnswer) -> None:
        """Take in that no answer came."""
        now = self._clock()
        if not side.kept_until:
            side.kept_until = now + KEPT
        side.prune(now)
        side.due = now + min(RETRY * 2 ** min(side.failures, 8), LONGEST_SILENCE if side.is_slow else LONGEST_RETRY)
        side.failures += 1
        side.problem = f"no name server says its addresses: {reason}"


def _is_local(address: str) -> bool:
    """Return whether an address is link-local (RFC 3927, RFC 4291): each host has its own, such as those of clouds'
    metadata.
    """
    packed = addressing.packed(address)
    return packed[:2] == b"\xa9\xfe" if len(packed) == 4 else packed[0] == 0xFE and packed[1] & 0xC0 == 0x80
