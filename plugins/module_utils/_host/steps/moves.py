# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The step that moves the addresses, neighbours, routes and rules of a link to another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..._netlink.records import KernelAddress, KernelLink, KernelNeighbour, KernelRoute, KernelRule
from .base import Step
from .links import LinkStep
from .routes import AddressStep, NeighbourStep, RouteStep, RuleStep, route_values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .base import StepContext


@dataclass(frozen=True)
class MoveStep(Step):
    """Remove addresses, neighbours, routes and rules from the source, and add them to the target.

    As little as possible is unreachable meanwhile: the target gets its addresses and neighbours while the source still
    has them,
    then the routes change their links, and the source's addresses are removed last. So routes of other links that
    have one of the addresses as their source address stay valid throughout.

    :ivar source: None: things are only added.
    :ivar target: None: things are only removed.
    :ivar taken_addresses, taken_routes, taken_rules, taken_neighbours: of the source.
    :ivar given_addresses, given_routes, given_rules, given_neighbours: of the target, without those that it has
        already.
    :ivar set_up: the target as it is, when it has to be set up first. False: it is up. None: it does not exist yet.
    """

    source: str | None
    target: str | None
    taken_addresses: tuple[KernelAddress, ...] = ()
    taken_routes: tuple[KernelRoute, ...] = ()
    given_addresses: tuple[KernelAddress, ...] = ()
    given_routes: tuple[KernelRoute, ...] = ()
    set_up: KernelLink | bool | None = False
    taken_rules: tuple[KernelRule, ...] = ()
    given_rules: tuple[KernelRule, ...] = ()
    taken_neighbours: tuple[KernelNeighbour, ...] = ()
    given_neighbours: tuple[KernelNeighbour, ...] = ()

    atomic = False

    def parts(self) -> tuple[Step, ...]:
        steps: list[Step] = []
        if self.target is not None and not isinstance(self.set_up, bool):
            steps.append(LinkStep(self.target, up=True, current=self.set_up))
        steps += [AddressStep(address, True) for address in oldest_first(self.given_addresses)]
        steps += [NeighbourStep(neighbour, True) for neighbour in self.given_neighbours]
        steps += [RuleStep(rule, True) for rule in self.given_rules]
        steps += [RouteStep(route, False) for route in reversed(in_order(self.taken_routes))]
        steps += [RouteStep(route, True) for route in in_order(self.given_routes)]
        steps += [RuleStep(rule, False) for rule in reversed(self.taken_rules)]
        steps += [NeighbourStep(neighbour, False) for neighbour in reversed(self.taken_neighbours)]
        steps += [AddressStep(address, False) for address in reversed(oldest_first(self.taken_addresses))]
        return tuple(steps)

    def apply(self, context: StepContext) -> bool:
        changed = [part.apply(context) for part in self.parts()]
        return any(changed)

    def undo(self) -> MoveStep:
        # The target stays up: it may have been up before, and a link that is up does no harm.
        return MoveStep(
            self.target,
            self.source,
            self.given_addresses,
            self.given_routes,
            self.taken_addresses,
            self.taken_routes,
            taken_rules=self.given_rules,
            given_rules=self.taken_rules,
            taken_neighbours=self.given_neighbours,
            given_neighbours=self.taken_neighbours,
        )

    def describe(self) -> str:
        things = [address.cidr for address in self.taken_addresses or self.given_addresses]
        counts = {
            "route": len(self.taken_routes or self.given_routes),
            "rule": len(self.taken_rules or self.given_rules),
            "neighbour": len(self.taken_neighbours or self.given_neighbours),
        }
        things += [f"{count} {what}{'s' if count > 1 else ''}" for what, count in counts.items() if count]
        if self.target is None:
            return f"{', '.join(things)}: remove from {self.source}"
        verb = f"move from {self.source}" if self.source else "add"
        return f"{', '.join(things)}: {verb} to {self.target}"

    def as_dict(self) -> dict[str, Any]:
        operation = "remove" if self.target is None else "move" if self.source else "add"
        return {
            "kind": "uplink",
            "operation": operation,
            "from": self.source,
            "to": self.target,
            "addresses": [address.cidr for address in self.taken_addresses or self.given_addresses],
            "routes": [route_values(route) for route in self.taken_routes or self.given_routes],
        }

    def before(self) -> list[str]:
        return _things(self.taken_addresses, self.taken_routes, self.taken_rules, self.taken_neighbours)

    def after(self) -> list[str]:
        return _things(self.given_addresses, self.given_routes, self.given_rules, self.given_neighbours)


def in_order(routes: Iterable[KernelRoute]) -> list[KernelRoute]:
    """Sort routes so that each comes after the one to its router: networks on the link first, default routes last."""
    return sorted(routes, key=lambda route: (not route.direct, -int(route.destination.split("/")[1])))


def oldest_first(addresses: Iterable[KernelAddress]) -> list[KernelAddress]:
    """Return addresses in the order in which to add them, so that the kernel lists them in the same order again.

    The kernel lists new IPv4 addresses last, and new IPv6 addresses first.
    """
    addresses = list(addresses)
    return [address for address in addresses if address.version == 4] + [
        address for address in reversed(addresses) if address.version == 6
    ]


def _things(
    addresses: Iterable[KernelAddress],
    routes: Iterable[KernelRoute],
    rules: Iterable[KernelRule],
    neighbours: Iterable[KernelNeighbour],
) -> list[str]:
    return (
        [AddressStep(address, True).thing for address in addresses]
        + [RouteStep(route, True).thing for route in in_order(routes)]
        + [RuleStep(rule, True).thing for rule in rules]
        + [NeighbourStep(neighbour, True).thing for neighbour in neighbours]
    )
