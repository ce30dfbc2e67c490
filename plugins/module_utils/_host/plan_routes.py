# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of a host's plan that adds and removes single addresses and routes. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .._netlink.constants import IfaFlag, Rtn, RtProt, RtScope
from .._netlink.records import (
    DEFAULT_METRIC,
    KernelAddress,
    KernelRoute,
    Nexthop,
    ip_version,
    normal_address,
    normal_prefix,
)
from .steps.moves import oldest_first
from .steps.routes import AddressStep, RouteStep, route_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .desired import Address, HostState, Route
    from .plan_moves import Network
    from .steps.base import Step


@dataclass(frozen=True)
class _Addresses:
    """The addresses of a plan.

    :ivar removed: those that are removed.
    :ivar added: those that are added.
    :ivar kept: those that are neither.
    """

    removed: Sequence[KernelAddress]
    added: Sequence[KernelAddress]
    kept: Sequence[KernelAddress]


def plan_addresses_and_routes(desired: HostState, network: Network) -> list[Step]:
    """Plan what is removed from owned links, and what is added to any link.

    The kernel removes more than it is told to: a secondary address with its primary one, the routes of an address
    with it, and all IPv4 routes of a link with its last IPv4 address. What of that is desired is removed by a step of
    its own and added again, so that the inverse of the plan is exact.

    :param network: what the host has when this part of the plan begins.
    :raises HostError: a route belongs to an address of another link, or is somebody's own.
    """
    owned = {link.name for link in desired.links if link.owned}
    addresses, routes = network.addresses, network.routes
    changed = _plan_addresses(desired, addresses, owned)
    new_routes = list(dict.fromkeys(_new_route(route) for route in desired.routes))
    replaced = {_new_route(route): route.replaces for route in desired.routes}
    removed = [
        route
        for route in routes
        if route.links <= owned
        and not route.made_by_kernel(addresses)
        and (_is_unwanted(route, new_routes) or _is_lost(route, changed, owned))
    ]
    kept = [route for route in routes if route not in removed]
    added = []
    for new in new_routes:
        if any(_is_same(route, new) for route in kept):
            continue
        for rival in _rivals(new, kept):
            links = replaced[new]
            if links is not None and not rival.links <= owned | links:
                raise HostError(
                    f"this host has the route {route_text(rival)} already, and the overlay needs {new.destination}: "
                    "remove that route, or choose another network"
                )
            kept.remove(rival)
            removed.append(rival)
        added.append(new)
    return [
        *[RouteStep(route, False) for route in reversed(removed)],
        *[AddressStep(address, False) for address in reversed(oldest_first(changed.removed))],
        *[AddressStep(address, True) for address in changed.added],
        *[RouteStep(route, True) for route in added],
    ]


def _plan_addresses(desired: HostState, addresses: Sequence[KernelAddress], owned: set[str]) -> _Addresses:
    new = list(dict.fromkeys(_new_address(address) for address in desired.addresses))
    names = {(address.link, address.cidr) for address in new}
    removed = [
        address
        for address in addresses
        if address.link in owned and address.removable and (address.link, address.cidr) not in names
    ]
    removed += [
        address
        for address in addresses
        if address not in removed and any(_removes_too(primary, address) for primary in removed)
    ]
    kept = [address for address in addresses if address not in removed]
    present = {(address.link, address.cidr) for address in kept}
    return _Addresses(removed, [address for address in new if (address.link, address.cidr) not in present], kept)


def _removes_too(primary: KernelAddress, address: KernelAddress) -> bool:
    """Return whether the kernel removes an address together with another one.

    Secondary IPv4 addresses go with their primary one (net.ipv4.conf.*.promote_secondaries is 0 by default).
    """
    return (
        primary.version == 4
        and address.link == primary.link
        and address.network == primary.network
        and bool(address.flags & IfaFlag.SECONDARY)
        and not primary.flags & IfaFlag.SECONDARY
    )


def _is_unwanted(route: KernelRoute, new_routes: Sequence[KernelRoute]) -> bool:
    """Return whether a route of owned links is not desired. Those of the kernel, of router advertisements and of the
    node server stay.
    """
    if route.protocol in (RtProt.KERNEL, RtProt.RA, RtProt.SERVICES):
        return False
    return not any(_is_same(route, new) for new in new_routes)


def _is_lost(route: KernelRoute, addresses: _Addresses, owned: set[str]) -> bool:
    """Return whether the kernel removes a route together with the addresses that are removed."""
    if any(route.source == address.ip for address in addresses.removed):
        return True
    return route.version == 4 and any(
        link in owned and _has_ipv4(link, addresses.removed) and not _has_ipv4(link, addresses.kept)
        for link in route.links
    )


def _has_ipv4(link: str, addresses: Sequence[KernelAddress]) -> bool:
    return any(address.link == link and address.version == 4 for address in addresses)


def _rivals(new: KernelRoute, routes: Sequence[KernelRoute]) -> list[KernelRoute]:
    """Return the routes that a new one replaces.

    :raises HostError: the kernel made one of them for an address.
    """
    rivals = [route for route in routes if route.key == new.key and route.tos == 0 and route.type == Rtn.UNICAST]
    for rival in rivals:
        if rival.protocol == RtProt.KERNEL:
            link, others = new.nexthops[0].link, ", ".join(sorted(rival.links))
            raise HostError(
                f"route {new.destination} to {link} can't be made: {others} has an address in that network; "
                "choose another network or take the address away"
            )
    return rivals


def _is_same(route: KernelRoute, new: KernelRoute) -> bool:
    """Return whether a current route is a desired one. Who made it does not matter."""
    if route.key != new.key or route.tos != 0 or route.type != Rtn.UNICAST or len(route.nexthops) != 1:
        return False
    hop, new_hop = route.nexthops[0], new.nexthops[0]
    return hop.link == new_hop.link and hop.via == new_hop.via


def _new_address(desired: Address) -> KernelAddress:
    cidr = normal_address(desired.cidr)
    no_dad = IfaFlag.NODAD if ip_version(cidr) == 6 else 0
    return KernelAddress(desired.link, cidr, flags=int(IfaFlag.PERMANENT | no_dad))


def _new_route(desired: Route) -> KernelRoute:
    destination = normal_prefix(desired.destination)
    version = ip_version(destination)
    via = normal_address(desired.via).partition("/")[0] if desired.via else None
    return KernelRoute(
        destination,
        (Nexthop(desired.link, via),),
        desired.table,
        DEFAULT_METRIC[version] if desired.metric is None else desired.metric,
        scope=RtScope.LINK if via is None and version == 4 else RtScope.UNIVERSE,
    )
