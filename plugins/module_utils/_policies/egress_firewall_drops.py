# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The drops of an egress firewall, which say the same in any order, and also where OVN has no ``pass`` (23.03).

Each Deny loses what an Allow before it lets through: networks are subtracted. So nothing is allowed by a row, which
would end the stage: what is not dropped is for others to judge, such as network policies. A Deny becomes

- one drop of the networks that no Allow is about that has a port in common with it (REST);
- where Allows have ports, one for each group of ports that the same Allows are about, of what they leave of the other
  networks (PART);
- one of what they leave for protocols without ports (PORTLESS). OVN has no condition for those but a list of all: it
  compares a protocol's number with single ones only. They are dropped before load balancing, which does not change
  them: that is a stage by itself, in which other protocols may be allowed, since that says nothing of the next one.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Optional

from .egress_firewall_model import EVERYTHING
from .model import LAST_PORT, PortRange
from .model import merged as merged_ports
from .networks import Span, left_of, merged, networks
from .selectors import Unreadable

PROTOCOLS = ("sctp", "tcp", "udp")
ALL_PORTS = tuple(PortRange(protocol, 0, LAST_PORT) for protocol in PROTOCOLS)
MAXIMUM_PORTS = 200  # of the Allows before a Deny, each set of ports once
MAXIMUM_NETWORKS = 50000  # of all drops
MAXIMUM_DROPS = 500
MAXIMUM_WORK = 200000  # networks and ports that are looked at: some tenths of a second

REST, PART, PORTLESS, ALL = "rest", "part", "portless", "all"  # kinds of drops; ALL: where a firewall is too large

Ports = Optional[tuple[PortRange, ...]]  # None: all of all protocols


class Resolved(NamedTuple):
    """A rule whose networks are known.

    :ivar ports: None: all of all protocols.
    :ivar number: of the rule in its object.
    """

    is_allow: bool
    networks: tuple[Span, ...]
    ports: Ports
    number: int = 0


class Drop(NamedTuple):
    """What is dropped. No two drops of a firewall have the same number, kind and ports.

    :ivar number: of the Deny among those with other Allows before them, or other ports.
    :ivar kind: REST, PART, PORTLESS or ALL.
    :ivar ports: sorted and apart from each other; None: everything.
    :ivar rules: the numbers of the first and the last of these Denys in their object.
    """

    number: int
    kind: str
    ports: Ports
    networks: tuple[str, ...]
    rules: tuple[int, int] = (0, 0)

    @property
    def has_no_ports(self) -> bool:
        """Whether only protocols without ports are dropped."""
        return self.kind == PORTLESS


class Drops(NamedTuple):
    """The drops of a firewall.

    :ivar faults: what of it is closed since it is too much, in words.
    """

    drops: tuple[Drop, ...]
    faults: tuple[str, ...] = ()


def drops(rules: Iterable[Resolved], inside: Iterable[Span]) -> Drops:
    """Return what a firewall drops.

    :param inside: what no firewall is about: networks of the cluster.
    """
    compiler = _Compiler(inside)
    for number, group in enumerate(_groups(rules)):
        try:
            for port_set, spans in group.allows:
                compiler.allow(port_set, spans)
            compiler.deny(number, group)
        except Unreadable as exc:
            compiler.deny_all(number, group, exc)
            break
    return Drops(tuple(compiler.found), tuple(dict.fromkeys(compiler.faults)))


class _Group(NamedTuple):
    """Denys that have the same ports and the same Allows before them.

    :ivar allows: the Allows since the group before.
    :ivar rules: as those of a drop.
    """

    denied: list[Span]
    ports: Ports
    allows: list[tuple[Ports, tuple[Span, ...]]]
    rules: tuple[int, int]


class _Compiler:
    """Makes the drops of one firewall.

    :ivar found: the drops.
    :ivar faults: what is closed since it is too much, in words.
    """

    def __init__(self, inside: Iterable[Span]) -> None:
        self.found: list[Drop] = []
        self.faults: list[str] = []
        self._inside = list(merged(inside))
        self._allowed: dict[Ports, list[Span]] = {}
        self._ports = 0
        self._networks, self._work = MAXIMUM_NETWORKS, MAXIMUM_WORK

    def allow(self, ports: Ports, spans: Iterable[Span]) -> None:
        """Take in an Allow."""
        if ports not in self._allowed:
            if self._ports + len(ports or ()) > MAXIMUM_PORTS:
                self.faults.append(
                    f"Allow rules before a Deny have more than {MAXIMUM_PORTS} ports: others don't count"
                )
                return
            self._ports += len(ports or ())
        self._allowed.setdefault(ports, []).extend(spans)

    def deny(self, number: int, group: _Group) -> None:
        """Take in Denys. :raises Unreadable: they are too much."""
        ports, rules = group.ports, group.rules
        self._spend((2 * (self._ports + len(ports or ())) + 1) * (self._ports + 1) // 4)
        port_sets = [one for one in self._allowed if _overlap(one, ports)]
        own = self._without(list(merged(group.denied)), self._inside)
        left = self._without(own, self._allowed_of(port_sets))  # what no Allow is about
        self._add(Drop(number, REST, None if ports is None else merged_ports(ports), networks(left), rules))
        others = self._without(own, left)
        if not others:
            return
        for part, covering in _port_groups(ports, port_sets):
            spans = self._without(others, self._allowed_of(covering))
            self._add(Drop(number, PART, part, networks(spans), rules))
        if ports is None:
            spans = self._without(others, self._allowed_of([one for one in port_sets if one is None]))
            self._add(Drop(number, PORTLESS, None, networks(spans), rules))

    def deny_all(self, number: int, group: _Group, reason: object) -> None:
        """Deny everything from a Deny on."""
        self.faults.append(f"everything is denied from a Deny on: its rules have {reason}")
        spans = (left for one in EVERYTHING for left in left_of(one, self._inside))
        self.found.append(Drop(number, ALL, None, networks(spans), group.rules))

    def _add(self, drop: Drop) -> None:
        if not drop.networks:
            return
        self._networks -= len(drop.networks)
        if self._networks < 0:
            raise Unreadable(f"more than {MAXIMUM_NETWORKS} networks, after what is allowed")
        if len(self.found) >= MAXIMUM_DROPS:
            raise Unreadable(f"more than {MAXIMUM_DROPS} parts")
        self.found.append(drop)

    def _allowed_of(self, port_sets: Iterable[Ports]) -> list[Span]:
        """Return the networks of the Allows with these ports, sorted and apart from each other."""
        found = [one for port_set in port_sets for one in self._allowed[port_set]]
        self._spend(len(found))
        return list(merged(found))

    def _without(self, spans: Sequence[Span], exceptions: Sequence[Span]) -> list[Span]:
        """Return what is left of networks; both are sorted and apart from each other."""
        self._spend(len(spans) + len(exceptions))
        return [left for one in spans for left in left_of(one, _near(one, exceptions))]

    def _spend(self, work: int) -> None:
        self._work -= work
        if self._work < 0:
            raise Unreadable("too many networks and ports that are parts of each other")


def _groups(rules: Iterable[Resolved]) -> Iterator[_Group]:
    """Yield Denys that have the same ports and the same Allows before them, as one, with the Allows since the last."""
    denied: dict[Ports, _Group] = {}
    allows: list[tuple[Ports, tuple[Span, ...]]] = []
    for rule in rules:
        if not rule.is_allow:
            known = denied.get(rule.ports, _Group([], rule.ports, [], (rule.number, rule.number)))
            known.denied.extend(rule.networks)
            denied[rule.ports] = known._replace(rules=(known.rules[0], rule.number))
            continue
        for group in denied.values():
            yield group._replace(allows=allows)
            allows = []
        denied = {}
        allows.append((rule.ports, rule.networks))
    for group in denied.values():
        yield group._replace(allows=allows)
        allows = []


def _near(one: Span, others: Sequence[Span]) -> Sequence[Span]:
    """Return those of others, sorted and apart from each other, that may overlap one."""
    first = bisect.bisect_left(others, Span(one.version, one.first, 0))
    last = bisect.bisect_right(others, Span(one.version, one.last, 1 << 128))
    return others[max(first - 1, 0) : last]


def _port_groups(ports: Ports, port_sets: Sequence[Ports]) -> Iterator[tuple[tuple[PortRange, ...], tuple[Ports, ...]]]:
    """Yield the parts of a Deny's ports that the same Allows are about, with those Allows' ports."""
    pieces: dict[tuple[int, ...], list[PortRange]] = {}
    for protocol in PROTOCOLS:
        own = [one for one in (ALL_PORTS if ports is None else ports) if one.protocol == protocol]
        if not own:
            continue
        edges = {0, LAST_PORT + 1}
        for one in (*own, *(port for ports_of in port_sets for port in ports_of or () if port.protocol == protocol)):
            edges.update((one.first, one.last + 1))
        ordered = sorted(edges)
        for first, after in zip(ordered, ordered[1:]):
            if any(one.first <= first <= one.last for one in own):
                covering = tuple(n for n, one in enumerate(port_sets) if _covers(one, protocol, first))
                pieces.setdefault(covering, []).append(PortRange(protocol, first, after - 1))
    for covering, ranges in pieces.items():
        yield merged_ports(ranges), tuple(port_sets[n] for n in covering)


def _covers(ports: Ports, protocol: str, number: int) -> bool:
    return ports is None or any(one.protocol == protocol and one.first <= number <= one.last for one in ports)


def _overlap(some: Ports, others: Ports) -> bool:
    """Return whether two sets of ports have one in common."""
    if some is None or others is None:
        return True
    return any(one[0] == two[0] and one.first <= two.last and two.first <= one.last for one in some for two in others)
