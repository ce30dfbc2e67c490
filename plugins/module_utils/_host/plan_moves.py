# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of a host's plan in which addresses and routes move between links. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .._netlink.constants import RtProt
from .steps.links import OffloadStep
from .steps.moves import MoveStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._netlink.records import KernelAddress, KernelRoute
    from .current import CurrentState
    from .desired import AddressMove, HostState, SavedNic
    from .steps.base import Step


@dataclass(frozen=True)
class Moves:
    """The moves of a plan.

    :ivar addresses, routes: what the host has after these steps.
    """

    steps: tuple[MoveStep, ...]
    addresses: tuple[KernelAddress, ...]
    routes: tuple[KernelRoute, ...]


def plan_moves(current: CurrentState, desired: HostState) -> Moves:
    """Plan the moves, each from the state that the moves before it leave.

    :raises HostError: a route can't move.
    """
    steps: list[MoveStep] = []
    addresses, routes = list(current.addresses), list(current.routes)
    planned: list[MoveStep | None] = []
    for move in desired.moves:
        planned.append(_plan_move(move, current, addresses, routes))
        addresses, routes = _after(planned[-1], addresses, routes)
    for unaddressed in desired.unaddressed:
        planned.append(_plan_removal(unaddressed.link, addresses, routes))
        addresses, routes = _after(planned[-1], addresses, routes)
    steps = [step for step in planned if step is not None]
    return Moves(tuple(steps), tuple(addresses), tuple(routes))


def _after(
    step: MoveStep | None, addresses: list[KernelAddress], routes: list[KernelRoute]
) -> tuple[list[KernelAddress], list[KernelRoute]]:
    """Return the addresses and the routes after a step."""
    if step is None or step.source is None:
        return addresses, routes
    taken_addresses, taken_routes = set(step.taken_addresses), set(step.taken_routes)
    addresses = [address for address in addresses if address not in taken_addresses]
    # The kernel removes the routes that it made for the addresses.
    routes = [
        route
        for route in routes
        if route not in taken_routes and not (route.links == {step.source} and route.protocol == RtProt.KERNEL)
    ]
    return addresses + list(step.given_addresses), routes + list(step.given_routes)


def _plan_removal(link: str, addresses: Sequence[KernelAddress], routes: Sequence[KernelRoute]) -> MoveStep | None:
    """Plan the removal of all addresses and routes of a link, None when it has no addresses.

    Without addresses the link's own traffic has no use for routes. A route with other next hops too keeps these.
    """
    own, own_routes = _configured(link, addresses, routes)
    if not own:
        return None
    rest = tuple(_without(route, link) for route in own_routes if route.links != {link})
    return MoveStep(link, None, own, own_routes, (), rest)


def _plan_move(
    move: AddressMove, current: CurrentState, addresses: Sequence[KernelAddress], routes: Sequence[KernelRoute]
) -> MoveStep | None:
    """Plan one move, None when the source has nothing that could move."""
    source, target = move.source, move.target
    own, own_routes = _configured(source, addresses, routes)
    rules = tuple(rule for rule in current.rules if source in rule.links)
    if not own and not own_routes and not rules:
        return None
    for route in own_routes:
        if route.nexthop_id is not None:
            raise HostError(
                f"route {route.destination} on {source} uses the nexthop object {route.nexthop_id}, which can't change "
                f"its link: give the route its next hop itself (ip route replace {route.destination} via ...)"
            )
    present = {address.cidr for address in addresses if address.link == target}
    moved_routes = tuple(route.moved(source, target) for route in own_routes)
    moved_rules = tuple(rule.moved(source, target) for rule in rules)
    link = current.links.get(target)
    return MoveStep(
        source,
        target,
        own,
        own_routes,
        tuple(address.moved_to(target) for address in own if address.cidr not in present),
        tuple(route for route in moved_routes if route not in routes),
        set_up=False if link and link.up else link,
        taken_rules=rules,
        given_rules=tuple(rule for rule in moved_rules if rule not in current.rules),
    )


def _configured(
    link: str, addresses: Sequence[KernelAddress], routes: Sequence[KernelRoute]
) -> tuple[tuple[KernelAddress, ...], tuple[KernelRoute, ...]]:
    """Return the addresses and routes of a link that the kernel did not make itself."""
    own = [address for address in addresses if address.link == link]
    own_routes = tuple(route for route in routes if link in route.links and not route.made_by_kernel(own))
    return tuple(address for address in own if address.configured), own_routes


def _without(route: KernelRoute, link: str) -> KernelRoute:
    return replace(route, nexthops=tuple(hop for hop in route.nexthops if hop.link != link))


def plan_saved_nic(current: CurrentState, saved: SavedNic) -> list[Step]:
    """Plan to give a NIC back what it had. A NIC that no longer exists gets nothing."""
    link = current.links.get(saved.nic)
    if link is None:
        return []
    present = {address.cidr for address in current.addresses if address.link == saved.nic}
    taken = {(route.key, route.tos) for route in current.routes}
    addresses = tuple(address for address in saved.addresses if address.cidr not in present)
    routes = tuple(route for route in saved.routes if (route.key, route.tos) not in taken)
    on = current.offloads.get(saved.nic) or ()
    off = tuple(name for name in saved.offloads if name not in on)
    steps: list[Step] = []
    if addresses or routes:
        set_up = False if link.up else link
        steps.append(MoveStep(None, saved.nic, given_addresses=addresses, given_routes=routes, set_up=set_up))
    if off:
        steps.append(OffloadStep(saved.nic, off, on=True))
    return steps
