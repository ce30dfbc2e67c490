# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who may answer for an address of an EgressIP, and until when: leases, which the holder's own program obeys.

The granter (the acting master) and each holder (a node with a gateway) are state machines without I/O, and without
clocks of their own: whoever calls them says what time it is, in seconds of a monotonic clock of that host. No time of
one host is ever compared with a time of another: only durations are, which all clocks measure nearly alike
(:data:`MARGIN`).

A holder asks again and again, each time with a number. A lease that it gets begins for the holder when it has *asked*,
and for the granter when it *answers*, which is later. So it ends at the holder first, however long a message was on
its way.

Three things end what a holder does, and each is enough:

- its program closes the flows at the end of the lease (:data:`LEASE`);
- the one flow by which all of them pass, the gate, has a time-out of Open vSwitch's own (:data:`GATE`), and only a
  fresh answer renews it: so a program that is killed, or stands still, holds nothing;
- the granter gives the address to nobody else until all of that is over (:data:`HOLD`).

A granter has an authority of its own, which ends :data:`PROOF` after it has asked the Northbound database for a
proof that it acts, and got one: a write under its mark (:mod:`.._ovsdb.fence`) that was committed. A read would not do:
a member of a cluster that leads no more answers it until it knows. Who begins to act has written a mark of its own
before, so each proof of another one was committed, and asked for, earlier. It renews at once the leases that the
database tells of, and moves nothing until all that the former granter can have granted is over.

A request counts only with the granter's own number, its term, which an answer has told: so nothing counts that was sent
before it began to act, whoever sends it again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

ASK = 0.15  # seconds between two requests of a holder
ASK_WAITING = 0.04  # the same of one that is to hold an address which another one may still answer for
ASK_IDLE = 1.0  # the same of a node that may hold nothing
LEASE = 1.0  # seconds from a request until the program closes
FRESH = 0.2  # seconds after a request in which its answer may renew the gate
GATE = 1.0  # seconds until Open vSwitch removes the gate (hard_timeout, ovs-ofctl(8): whole seconds)
EXPIRY = 0.6  # seconds until it does so: it looks at each dump of its revalidators, each 0.5 s (max-revalidator)
MARGIN = 0.1  # seconds, for all else: the flow's way, and clocks that go at different speeds
HOLD = FRESH + GATE + EXPIRY + MARGIN  # seconds from an answer until its holder does not answer for sure
SILENT = 0.7  # seconds without a request after which a node's addresses are prepared elsewhere
PROOF = 5.0  # seconds from the question for a proof until the granter grants nothing any more
LATE = 10.0  # seconds in which a node guards what it is offered: flows, and rows of Open vSwitch
BARRED = 60.0  # seconds for which it gets nothing otherwise
FORGOTTEN = 3600.0  # seconds without a request after which a node is forgotten
MOST_FORMER = 64  # sessions of a node that are over, and remembered
ANEW = 5.0  # seconds without an answer after which a holder begins another session
MOST_OF_NODE = 60  # addresses of one node: so many fit into a message


class Request(NamedTuple):
    """What a holder asks.

    :ivar session: a number of the holder's program, made at its start.
    :ivar number: of the request, in its session; it grows.
    :ivar guarded: the addresses that it would hold: without a lease its flows keep them closed.
    :ivar is_sure: all others are closed. Without it that is not known, since the bridge does not answer.
    :ivar term: the granter's, as it has told; 0: it has told none yet.
    """

    node: str
    session: int
    number: int
    guarded: frozenset[str]
    is_sure: bool = True
    term: int = 0


class Answer(NamedTuple):
    """What it is told.

    :ivar offered: the addresses that it is to guard, and may ask for.
    :ivar granted: those among them that it may answer for now.
    :ivar assignable: it may hold addresses, and goes on asking often.
    :ivar term: the granter's. The answer to a request with another one tells nothing else.
    """

    session: int
    number: int
    offered: frozenset[str]
    granted: frozenset[str]
    assignable: bool = True
    term: int = 0


class Busy(NamedTuple):
    """Who may still answer for an address, and until when."""

    node: str
    until: float


@dataclass
class _Node:
    session: int | None = None
    number: int = 0
    heard: float = float("-inf")
    guarded: frozenset[str] = frozenset()
    former: deque[int] = field(default_factory=lambda: deque(maxlen=MOST_FORMER))  # sessions that are over
    asks_often: bool = False  # it was told to
    unsure: float | None = None  # since when its bridge does not answer
    lacks: float | None = None  # since when it does not guard an address that it is offered
    barred: float = float("-inf")  # until when it is no candidate, since it has not guarded one in time
    granted: frozenset[str] = frozenset()  # addresses that it may answer for still, and others


class Held(NamedTuple):
    """Who is to hold an address, as the Northbound database says it.

    :ivar settled: nobody else can answer for it any more, and this one may have a lease.
    """

    node: str
    settled: bool


class Granter:
    """The granter's side.

    :param now: when it has begun to act: no transaction of another one is committed any more.
    :param decided: address -> who is to hold it, as the database says it then.
    :param term: a random number.
    :param is_first: nobody has ever acted before.

    :ivar authority: until when it may grant.
    :ivar pending: the addresses that are not settled.
    """

    def __init__(self, now: float, decided: Mapping[str, Held], term: int = 0, is_first: bool = False) -> None:
        self._term = term
        self.authority = float("-inf")
        # The former granter may still renew what is settled, until its authority ends; so may this one. All else waits.
        self._inherited = {address: held.node for address, held in decided.items() if held.settled}
        self.alone_from = now if is_first else now + PROOF + HOLD
        self._busy: dict[str, Busy] = {}
        self._nodes: dict[str, _Node] = {}
        self.pending: Mapping[str, Held] = {}
        self._offered: dict[str, frozenset[str]] = {}
        self.decided = decided

    @property
    def decided(self) -> Mapping[str, Held]:
        """Address -> who is to hold it, as the database says it now. Only what is committed counts: of two granters the
        former one commits nothing.
        """
        return self._decided

    @decided.setter
    def decided(self, decided: Mapping[str, Held]) -> None:
        self._decided = decided
        self.pending = {address: held for address, held in decided.items() if not held.settled}
        by_node: dict[str, list[str]] = {}
        for address, held in decided.items():
            by_node.setdefault(held.node, []).append(address)
        self._offered = {node: frozenset(sorted(some)[:MOST_OF_NODE]) for node, some in by_node.items()}

    def proved(self, asked: float) -> None:
        """Take in a proof that this granter acts.

        :param asked: when it was asked for.
        """
        self.authority = max(self.authority, asked + PROOF)

    def is_silent(self, node: str, now: float) -> bool:
        """Return whether a node should have asked again, or can't hold anything: its bridge does not answer, or it does
        not guard what it is offered.
        """
        one = self._nodes.get(node)
        if one is None or now - one.heard >= SILENT + (0.0 if one.asks_often else ASK_IDLE):
            return True
        return now < one.barred or (one.unsure is not None and now - one.unsure >= SILENT)

    def guards(self, address: str, node: str) -> bool:
        """Return whether a node keeps an address closed without a lease."""
        return node in self._nodes and address in self._nodes[node].guarded

    def guarded(self, node: str) -> frozenset[str]:
        """Return the addresses that a node is to hold, and keeps closed without a lease."""
        return self.offered(node) & self._nodes[node].guarded if node in self._nodes else frozenset()

    def is_free(self, address: str, node: str, now: float) -> bool:
        """Return whether nobody but this node can answer for an address."""
        if now < self.alone_from:
            return self._inherited.get(address) == node
        busy = self._busy.get(address)
        return busy is None or busy.node == node or now >= busy.until

    def take_in(self, request: Request, now: float, assignable: bool = True) -> Answer | None:
        """Take in a request, and return the answer; None: there is none."""
        if request.term != self._term:
            nothing: frozenset[str] = frozenset()
            return Answer(request.session, request.number, nothing, nothing, assignable, self._term)
        node = self._nodes.setdefault(request.node, _Node())
        if request.session in node.former:
            return None
        if node.session != request.session:
            if node.session is not None:
                node.former.append(node.session)
            node.session, node.number = request.session, 0
        elif request.number > node.number and now >= self.alone_from and request.is_sure:
            self._release(request, node)
        if request.number <= node.number:
            return None
        node.number, node.heard, node.guarded = request.number, now, request.guarded
        self._judge(node, request, now)
        if now >= self.authority:
            return None
        node.asks_often = assignable
        offered = self.offered(request.node)
        granted = frozenset(one for one in offered & request.guarded if self.is_free(one, request.node, now))
        for one in granted:
            self._busy[one] = Busy(request.node, now + HOLD)
        if granted - node.granted:
            node.granted |= granted
        return Answer(request.session, request.number, offered, granted, assignable, self._term)

    def _judge(self, node: _Node, request: Request, now: float) -> None:
        """Take in what a node can't do."""
        node.unsure = None if request.is_sure else now if node.unsure is None else node.unsure
        if request.guarded.issuperset(self.offered(request.node)):
            node.lacks = None
        elif node.lacks is None:
            node.lacks = now
        elif now - node.lacks >= LATE:
            node.lacks, node.barred = None, now + BARRED

    def _release(self, request: Request, node: _Node) -> None:
        """Take in that a holder has closed what it does not ask for any more, and knows it: it answers for that only
        after a further lease. Requests of a session come in their order, or not at all.
        """
        released = node.granted - request.guarded
        for address in released:
            if address in self._busy and self._busy[address].node == request.node:
                del self._busy[address]
        if released:
            node.granted -= released

    def offered(self, node: str) -> frozenset[str]:
        """Return the addresses that a node is to hold."""
        return self._offered.get(node, frozenset())

    def prune(self, now: float) -> None:
        """Forget what is over."""
        for address in [one for one, busy in self._busy.items() if now >= busy.until]:
            del self._busy[address]
        for name in [name for name, node in self._nodes.items() if now - node.heard > FORGOTTEN]:
            del self._nodes[name]


class Holder:
    """A holder's side.

    The caller does what it says: it keeps closed whatever is not in :meth:`allowed`, and says with :meth:`narrow` what
    it is about to close, with :meth:`closed` and :meth:`guards` what it has done. At first nothing is known to be
    closed.

    :param session: a random number.
    """

    def __init__(self, node: str, session: int) -> None:
        self._node = node
        self._session = session
        self._number = 0
        self._floor = 0  # answers to requests before this one are refused
        self._term = 0  # the granter's, as it has told
        self._heard: float | None = None  # when an answer came, or the first request was made
        self._asked: dict[int, tuple[float, frozenset[str]]] = {}  # number -> when, and what was guarded
        self._guarded: frozenset[str] = frozenset()
        self._is_sure = False
        self.offered: frozenset[str] = frozenset()
        self.granted: frozenset[str] = frozenset()
        self.until = float("-inf")
        self.renewable = float("-inf")  # until when the bridge may take a gate by the last answer
        self.assignable = False

    def guards(self, addresses: Collection[str]) -> None:
        """Take in which addresses are closed without a lease, from now on; others are closed for good."""
        self._guard(frozenset(addresses))
        self._is_sure = True

    def narrow(self, addresses: Collection[str] = ()) -> None:
        """Open no others than these from now on. What was open may be so still, until :meth:`closed`."""
        new = self._guarded.intersection(addresses)
        if new != self._guarded:
            self._is_sure = False
        self._guard(new)

    def fails(self) -> None:
        """Take in that the bridge does not answer: nothing is guarded, and what is closed is not known."""
        self._guard(frozenset())
        self._is_sure = False

    def closed(self) -> None:
        """Take in that all that is not guarded (any more) is closed."""
        self._is_sure = True

    def _guard(self, new: frozenset[str]) -> None:
        if self._guarded - new:
            self._floor = self._number + 1
        self._guarded = new
        self.granted &= new

    def ask(self, now: float) -> Request:
        """Return the next request."""
        if self._heard is None:
            self._heard = now
        elif now - self._heard >= ANEW:  # the granter may take another program, which has ended, for this one
            self._session, self._heard, self._asked = (self._session + 1) % 2**63, now, {}
        self._number += 1
        self._asked = {number: one for number, one in self._asked.items() if now - one[0] < LEASE}
        self._asked[self._number] = (now, self._guarded)
        return Request(self._node, self._session, self._number, self._guarded, self._is_sure, self._term)

    def take_in(self, answer: Answer, now: float) -> bool:
        """Take in an answer; return whether it is fresh, so that the gate may be renewed."""
        asked = self._asked.get(answer.number)
        if asked is None or answer.session != self._session or answer.number < self._floor:
            return False
        self._heard = now
        if answer.term != self._term:
            self._term = answer.term
            return False
        self._asked = {number: one for number, one in self._asked.items() if number > answer.number}
        self.offered, self.assignable = answer.offered, answer.assignable
        if now - asked[0] >= FRESH:
            return False
        self._floor = answer.number
        self.granted = answer.granted & asked[1] & self._guarded
        self.until, self.renewable = asked[0] + LEASE, asked[0] + FRESH
        return True

    def pause(self) -> float:
        """Return the seconds until the next request."""
        if self.offered - self.granted:
            return ASK_WAITING
        return ASK if self.assignable or self.offered else ASK_IDLE

    def allowed(self, now: float) -> frozenset[str]:
        """Return the addresses that this node may answer for now."""
        return self.granted if now < self.until else frozenset()
