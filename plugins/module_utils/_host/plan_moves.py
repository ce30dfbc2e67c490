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
    from .._netlink.records import KernelAddress, KernelRoute
    from .current import CurrentState
    from .desired import AddressMove, HostState, SavedNic
    from .steps.base import Step


@dataclass(frozen=True)
class Network:
    """The addresses and routes of a host at one moment of a plan."""

    addresses: tuple[KernelAddress, ...]
    routes: tuple[KernelRoute, ...]

    def configured(self, link: str) -> Network:
        """Return the addresses and routes of a link that the kernel did not make itself."""
        own = [address for address in self.addresses if address.link == link]
        routes = tuple(route for route in self.routes if link in route.links and not route.made_by_kernel(own))
        return Network(tuple(address for address in own if address.configured), routes)

    def after(self, step: MoveStep) -> Network:
        """Return what the host has after a step. The kernel removes the routes that it made for the addresses."""
        addresses, routes, source = set(step.taken_addresses), set(step.taken_routes), {step.source}
        return Network(
            tuple(address for address in self.addresses if address not in addresses) + step.given_addresses,
            tuple(
                route
                for route in self.routes
                if route not in routes and not (route.links == source and route.protocol == RtProt.KERNEL)
            )
            + step.given_routes,
        )


@dataclass(frozen=True)
class Moves:
    """The moves of a plan.

    :ivar network: what the host has after these steps.
    """

    steps: tuple[MoveStep, ...]
    network: Network


def plan_moves(current: CurrentState, desired: HostState) -> Moves:
    """Plan the moves, each from what the host has after the moves before it.

    :raises HostError: a route can't move.
    """
    steps: list[MoveStep] = []
    network = Network(tuple(current.addresses), tuple(current.routes))
    for move in desired.moves:
        step = _plan_move(move, current, network)
        if step is not None:
            steps.append(step)
            network = network.after(step)
    for unaddressed in desired.unaddressed:
        step = _plan_removal(unaddressed.link, network)
        if step is not None:
            steps.append(step)
            network = network.after(step)
    return Moves(tuple(steps), network)


def _plan_removal(link: str, network: Network) -> MoveStep | None:
    """Plan the removal of all addresses and routes of a link, None when it has no addresses.

    Without addresses the link's own traffic has no use for routes. A route with other next hops too keeps these.
    """
    own = network.configured(link)
    if not own.addresses:
        return None
    rest = tuple(_without(route, link) for route in own.routes if route.links != {link})
    return MoveStep(link, None, own.addresses, own.routes, (), rest)


def _plan_move(move: AddressMove, current: CurrentState, network: Network) -> MoveStep | None:
    """Plan one move, None when the source has nothing that could move."""
    source, target = move.source, move.target
    own = network.configured(source)
    rules = tuple(rule for rule in current.rules if source in rule.links)
    neighbours = tuple(one for one in current.neighbours if one.link == source)
    if not own.addresses and not own.routes and not rules and not neighbours:
        return None
    for route in own.routes:
        if route.nexthop_id is not None:
            raise HostError(
                f"route {route.destination} on {source} uses the nexthop object {route.nexthop_id}, which can't change "
                f"its link: give the route its next hop itself (ip route replace {route.destination} via ...)"
            )
    present = {address.cidr for address in network.addresses if address.link == target}
    labels = dict(move.labels)
    given = (address.moved_to(target) for address in own.addresses if address.cidr not in present)
    moved_routes = tuple(route.moved(source, target) for route in own.routes)
    moved_rules = tuple(rule.moved(source, target) for rule in rules)
    link = current.links.get(target)
    return MoveStep(
        source,
        target,
        own.addresses,
        own.routes,
        tuple(replace(address, label=labels.get(address.cidr, address.label)) for address in given),
        tuple(route for route in moved_routes if route not in network.routes),
        set_up=False if link and link.up else link,
        taken_rules=rules,
        given_rules=tuple(rule for rule in moved_rules if rule not in current.rules),
        taken_neighbours=neighbours,
        given_neighbours=tuple(
            one for one in (one.moved_to(target) for one in neighbours) if one not in current.neighbours
        ),
    )


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
