# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which gateways carry the cluster's default traffic: those that reach their next hops, and do so lastingly.

Each gateway gets two kinds of probes. One goes to its router, at its join address. The other goes to an address that
the gateway translates to its next hop (:func:`.._common.address_rules.probe_address`).
Many routers do not answer an echo, so a probe of a next hop counts only when the next hop of another gateway answers.
When nobody answers, more likely this host itself is cut off, and all stays as it is.

A gateway that goes and returns again and again returns later each time (route flap damping, as RFC 2439 does it).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .._common import addressing
from .egress_rows import Flaps

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from .egress import EgressGateway

    HealthByAddress = Mapping[str, "Health"]
    Versions = Mapping[str, frozenset[int]]

DEAD_AFTER, ALIVE_AFTER = 3, 3  # rounds in a row without, and with, a reply
FIRST_HOLD, LONGEST_HOLD = 5.0, 600.0  # seconds of answers until the second return, and at most
QUIET = 1800.0  # seconds after which it is forgotten that a gateway went


@dataclass(frozen=True)
class Health:
    """What the probes of an address have shown.

    :ivar alive: the verdict.
    :ivar against: the last probes in a row that contradict the verdict.
    :ivar answered: whether there was ever a reply.
    """

    alive: bool = True
    against: int = 0
    answered: bool = False

    def after(self, reply: bool) -> Health:
        """Return the health after one more probe."""
        answered = self.answered or reply
        if reply == self.alive:
            return Health(self.alive, 0, answered)
        against = self.against + 1
        if against >= (DEAD_AFTER if self.alive else ALIVE_AFTER):
            return Health(not self.alive, 0, answered)
        return Health(self.alive, against, answered)


def judge(
    gateways: Iterable[EgressGateway], health: HealthByAddress, replies: Mapping[str, object]
) -> dict[str, Health]:
    """Return the health of each address after one more round.

    An address without a health yet starts with the mark in the database. Where no router answers, or no next hop of an
    IP version does, the round says nothing of any of them: they would be found dead in one order and alive in another.

    :param health: of the earlier rounds.
    :param replies: address -> whether it replied.
    """
    gateways = list(gateways)
    heard = {kind for gateway in gateways for kind, address in kinds(gateway) if replies.get(address)}
    judged = {}
    for gateway in gateways:
        for kind, address in kinds(gateway):
            is_down = _is_router_down(gateway) if kind == ROUTER else addressing.family(address) in gateway.down
            old = health.get(address) or Health(not is_down)
            judged[address] = old.after(bool(replies.get(address))) if kind in heard else replace(old, against=0)
    return judged


ROUTER, HOP = "router", "next hop IPv"


def kinds(gateway: EgressGateway) -> Iterator[tuple[str, str]]:
    """Yield each address to probe with its kind: those of a kind are judged beside each other."""
    for address in gateway.router_ips:
        yield ROUTER, address
    for address in gateway.probe_ips:
        yield f"{HOP}{addressing.family(address)}", address


def _is_router_down(gateway: EgressGateway) -> bool:
    """Return whether the mark says that the whole gateway is down."""
    return bool(gateway.down) and gateway.down >= gateway.versions


def select(
    gateways: Sequence[EgressGateway], health: HealthByAddress, held: Collection[tuple[str, int]] = ()
) -> dict[str, frozenset[int]]:
    """Return gateway's name -> the IP versions whose default traffic goes through it.

    :param health: of all addresses of the gateways.
    :param held: gateway's name and IP version of those that must wait, unless there is no other.
    """
    selected: dict[str, set[int]] = {gateway.name: set() for gateway in gateways}
    for version in (4, 6):
        able = _select_version(gateways, health, version)
        for gateway in [one for one in able if (one.name, version) not in held] or able:
            selected[gateway.name].add(version)
    return {name: frozenset(versions) for name, versions in selected.items()}


def _select_version(
    gateways: Sequence[EgressGateway], health: HealthByAddress, version: int
) -> Sequence[EgressGateway]:
    """Return the gateways for one IP version: those whose next hops answer, else all that answer, else all."""
    able = [gateway for gateway in gateways if version in gateway.versions]
    # Of a router with both families one reply is enough: the same Open vSwitch forwards both.
    alive = [gateway for gateway in able if any(health[address].alive for address in gateway.router_ips)]
    hops = {}
    for gateway in able:
        address = gateway.probe_ip(version)
        if address:
            hops[gateway.name] = health[address]
    leading: list[EgressGateway] = []
    if any(hop.alive and hop.answered for hop in hops.values()):
        leading = [gateway for gateway in alive if gateway.name not in hops or hops[gateway.name].alive]
    return leading or alive or able


@dataclass(frozen=True)
class Presence:
    """How steadily a gateway carries the traffic of an IP version.

    :ivar carries: whether it does.
    :ivar flaps: how often it went, without :data:`QUIET` seconds in between.
    :ivar went: when it went the last time.
    :ivar good_since: since when it has answered without a break, while it does not carry traffic; None: it does not.
    """

    carries: bool
    flaps: int = 0
    went: float = float("-inf")
    good_since: float | None = None

    @property
    def hold(self) -> float:
        """Return for how many seconds it must answer until it returns: none at first, then twice as many each time."""
        return 0.0 if self.flaps < 2 else min(FIRST_HOLD * 2.0 ** min(self.flaps - 2, 32), LONGEST_HOLD)

    def after(self, is_good: bool, now: float) -> Presence:
        """Return the presence after one more round.

        :param is_good: whether the probes say that it can carry traffic.
        """
        if self.carries:
            if is_good:
                return self
            return Presence(False, (0 if now - self.went > QUIET else self.flaps) + 1, now)
        if not is_good:
            return replace(self, good_since=None)
        since = now if self.good_since is None else self.good_since
        return replace(self, carries=now - since >= self.hold, good_since=since)


@dataclass
class Liveness:
    """What one program has seen of all gateways.

    :ivar health: of each address.
    :ivar presence: of each gateway, by its name, and IP version.
    :ivar selected: gateway's name -> the IP versions whose default traffic goes through it; empty before the first
        round.
    :ivar epoch: seconds from 1970 to the beginning of the monotonic clock, by which the database remembers when a
        gateway went.
    """

    health: dict[str, Health] = field(default_factory=dict)
    presence: dict[tuple[str, int], Presence] = field(default_factory=dict)
    selected: dict[str, frozenset[int]] = field(default_factory=dict)
    epoch: float = 0.0

    def take_in(self, gateways: Sequence[EgressGateway], replies: Mapping[str, object], now: float) -> None:
        """Take in the replies of one round.

        :param now: the time of a monotonic clock, in seconds.
        """
        self.health = judge(gateways, self.health, replies)
        good = select(gateways, self.health)
        self.presence = {
            (gateway.name, version): (
                self.presence.get((gateway.name, version)) or self._remembered(gateway, version, now)
            ).after(version in good[gateway.name], now)
            for gateway in gateways
            for version in sorted(gateway.versions)
        }
        held = {key for key, presence in self.presence.items() if not presence.carries}
        self.selected = select(gateways, self.health, held)
        for name, versions in self.selected.items():
            for key in held.intersection((name, version) for version in versions):
                # There was no other. Its pods keep it when another one returns.
                self.presence[key] = replace(self.presence[key], carries=True, good_since=None)

    def _remembered(self, gateway: EgressGateway, version: int, now: float) -> Presence:
        """Return the presence of a gateway that this program has not seen yet: what another master has seen counts."""
        presence, flaps = Presence(version not in gateway.down), gateway.flaps.get(version)
        if flaps is None:
            return presence
        return replace(presence, flaps=flaps.times, went=min(flaps.when - self.epoch, now))

    def flaps(self, gateway: str, now: float) -> dict[int, Flaps]:
        """Return IP version -> how often a gateway went, for the database; without what is forgotten."""
        return {
            version: Flaps(presence.flaps, round(presence.went + self.epoch))
            for (name, version), presence in self.presence.items()
            if name == gateway and presence.flaps and now - presence.went <= QUIET
        }

    def waiting(self, gateway: str, version: int, now: float) -> float:
        """Return for how many seconds more a gateway that answers must go on doing so; 0: it does not wait."""
        presence = self.presence.get((gateway, version))
        if presence is None or presence.carries or presence.good_since is None:
            return 0.0
        return max(presence.hold - (now - presence.good_since), 0.0)
