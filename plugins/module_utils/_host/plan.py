# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wanted and found host state make the plan: a pure function."""

from __future__ import annotations

from dataclasses import replace

from .._common.errors import HostError
from .._common.files import FileContent
from .._nic.managers.model import NETWORK_MANAGER
from .current import (
    ADVERTISED,
    KERNEL,
    LINK_SCOPE,
    NODAD,
    PERMANENT,
    SECONDARY,
    UNICAST,
    UNIVERSE,
    FoundAddress,
    FoundRoute,
    Nexthop,
    family,
    normal_address,
    normal_prefix,
)
from .steps import (
    AddressStep,
    DropStep,
    FileStep,
    HandoverStep,
    LinkStep,
    MoveStep,
    OffloadStep,
    ResolverStep,
    RouteStep,
    SysctlStep,
    oldest_first,
)

DEFAULT_METRIC = {4: 0, 6: 1024}  # IPv6: IP6_RT_PRIO_USER of the kernel


def difference(have, want):
    """The plan, in the order in which it is to be done.

    Settings of the whole host come first; then drops that go, since a NIC must hear its neighbours' answers before it has addresses; then
    addresses and routes that change links; then links with their settings, which must be
    set before addresses are (disable_ipv6), addresses, routes; then what touches packets; then files, which tell others that all is ready,
    and the network managers that read them.

    :param have: a :class:`.found.Have` that was read for ``want``.
    :param want: a :class:`.state.HostState`.
    :returns: list of steps (see :mod:`.steps`), empty when all is as wanted.
    :raises HostError: for what can't be planned.
    """
    moves, addresses, routes = _moves(have, want)
    first, last = _files(have, want)
    return (
        first
        + _sysctls(have, want, of_links=False)
        + [DropStep(nic, False) for nic in _names(want.absent_drops) if nic in have.drops]
        + moves
        + _resolvers(have, want)
        + [step for link in want.links for step in _link(have.links.get(link.name), link)]
        + _sysctls(have, want, of_links=True)
        + _addresses_and_routes(want, addresses, routes)
        + [step for given in want.given for step in _given(have, given)]
        + [step for link in want.offloads for step in _offload(have, link.link)]
        + [DropStep(nic, True) for nic in _names(want.drops) if nic not in have.drops]
        + last
    )


def _names(drops):
    return list(dict.fromkeys(drop.link for drop in drops))


# Kernel settings.


def _sysctls(have, want, of_links):
    steps = []
    for wish in want.sysctls:
        found = have.sysctls.get(wish)
        if (wish.link is not None) == of_links and (found is None or found.split() != wish.value.split()):
            steps.append(SysctlStep(wish.key, wish.parts, wish.link, wish.value, found))
    return steps


# Addresses and routes of whole links and routes.


def _moves(have, want):
    """(steps, addresses and routes as they are after these steps)."""
    addresses, routes, steps = list(have.addresses), list(have.routes), []
    ways = [(up.bridge, up.nic) if up.restore else (up.nic, up.bridge) for up in want.uplinks] + [
        (plain.nic, None) for plain in want.plains
    ]
    for source, target in ways:
        step = _move(source, target, have, addresses, routes)
        if step:
            steps.append(step)
            taken_addresses, taken_routes = set(step.taken_addresses), set(step.taken_routes)
            addresses = [address for address in addresses if address not in taken_addresses] + list(
                step.given_addresses
            )
            routes = [
                route
                for route in routes
                if route not in taken_routes and not (route.links == {source} and route.protocol == KERNEL)
            ]
            routes += step.given_routes
    return steps, addresses, routes


def _move(source, target, have, addresses, routes):
    own = [address for address in addresses if address.link == source]
    taken_addresses = tuple(address for address in own if address.settled)
    taken_routes = tuple(route for route in routes if source in route.links and not route.automatic(own))
    if target is None:
        # Without addresses the link's own traffic has no use for routes; one that also leads elsewhere keeps its other ways.
        given = tuple(_without(route, source) for route in taken_routes if route.links != {source})
        return MoveStep(source, None, taken_addresses, taken_routes, (), given) if taken_addresses else None
    taken_rules = tuple(rule for rule in have.rules if source in rule.links)
    if not taken_addresses and not taken_routes and not taken_rules:
        return None
    for route in taken_routes:
        if route.nexthop_object is not None:
            raise HostError(
                "route %s on %s uses the nexthop object %d, which can't change its link: %s"
                % (
                    route.destination,
                    source,
                    route.nexthop_object,
                    "give the route its next hop itself (ip route replace %s via ...)" % route.destination,
                )
            )
    there = {address.cidr for address in addresses if address.link == target}
    given_routes = tuple(route.on(source, target) for route in taken_routes)
    link = have.links.get(target)
    return MoveStep(
        source,
        target,
        taken_addresses,
        taken_routes,
        tuple(address.on(target) for address in taken_addresses if address.cidr not in there),
        tuple(route for route in given_routes if route not in routes),
        raise_target=False if link and link.up else link,
        taken_rules=taken_rules,
        given_rules=tuple(rule.on(source, target) for rule in taken_rules if rule.on(source, target) not in have.rules),
    )


def _resolvers(have, want):
    ways = [(up.bridge, up.nic) if up.restore else (up.nic, up.bridge) for up in want.uplinks]
    return [ResolverStep(source, target, have.resolvers[source]) for source, target in ways if source in have.resolvers]


def _without(route, link):
    return replace(route, nexthops=tuple(hop for hop in route.nexthops if hop.link != link))


# Single links.


def _link(found, wish):
    if found is None:
        return [LinkStep(wish.name, True, wish.mtu, wish.mac, promiscuous=wish.promiscuous or None)]
    mac = wish.mac.lower() if wish.mac else None
    changes = {
        "up": None if found.up else True,
        "mtu": wish.mtu if wish.mtu is not None and wish.mtu != found.mtu else None,
        "mac": mac if mac is not None and mac != found.mac else None,
        "promiscuous": wish.promiscuous if wish.promiscuous not in (None, found.promiscuous) else None,
    }
    return [LinkStep(wish.name, found=found, **changes)] if any(value is not None for value in changes.values()) else []


def _addresses_and_routes(want, addresses, routes):
    """What goes from owned links, then what comes.

    The kernel removes more than it is asked to: a secondary address with its primary, an address' routes with it, and all IPv4 routes of a
    link with its last IPv4 address. What is wanted of that is removed by a step of its own and added again, so that undoing is exact.
    """
    owned = {link.name for link in want.links if link.owned}
    wishes = list(dict.fromkeys((wish.link, normal_address(wish.cidr)) for wish in want.addresses))
    going = [
        address
        for address in addresses
        if address.link in owned and address.removable and (address.link, address.cidr) not in wishes
    ]
    going += [
        address
        for address in addresses
        if address not in going and any(_takes_along(other, address) for other in going)
    ]
    staying = [address for address in addresses if address not in going]
    arriving = [
        _new_address(*wish) for wish in wishes if wish not in {(address.link, address.cidr) for address in staying}
    ]

    wanted_routes = [_new_route(wish) for wish in want.routes]
    flushed = {
        link
        for link in owned
        if any(address.link == link and address.family == 4 for address in going)
        and not any(address.link == link and address.family == 4 for address in staying)
    }
    leaving, kept = [], []
    for route in routes:
        unwanted = route.protocol not in (KERNEL, ADVERTISED) and not any(_same(route, wish) for wish in wanted_routes)
        lost = (route.family == 4 and route.links & flushed) or any(route.source == address.ip for address in going)
        goes = not route.automatic(addresses) and route.links <= owned and (unwanted or lost)
        (leaving if goes else kept).append(route)
    coming = []
    for wish in dict.fromkeys(wanted_routes):
        if any(_same(route, wish) for route in kept):
            continue
        for rival in [route for route in kept if route.key == wish.key and route.tos == 0 and route.type == UNICAST]:
            if rival.protocol == KERNEL:
                raise HostError(
                    "route %s to %s can't be made: %s has an address in that network; choose another network or take the address away"
                    % (wish.destination, wish.nexthops[0].link, ", ".join(sorted(rival.links)))
                )
            kept.remove(rival)
            leaving.append(rival)
        coming.append(wish)
    return (
        [RouteStep(route, False) for route in reversed(leaving)]
        + [AddressStep(address, False) for address in reversed(oldest_first(going))]
        + [AddressStep(address, True) for address in arriving]
        + [RouteStep(route, True) for route in coming]
    )


def _takes_along(primary, address):
    """Whether removing one address makes the kernel remove the other."""
    return (
        primary.family == 4
        and address.link == primary.link
        and address.network == primary.network
        and bool(address.flags & SECONDARY)
        and not primary.flags & SECONDARY
    )


def _same(route, wish):
    """Whether a found route is a wanted one, whoever made it."""
    return (
        route.key == wish.key
        and route.tos == 0
        and route.type == UNICAST
        and len(route.nexthops) == 1
        and (route.nexthops[0].link, route.nexthops[0].via) == (wish.nexthops[0].link, wish.nexthops[0].via)
    )


def _new_address(link, cidr):
    return FoundAddress(link, cidr, flags=PERMANENT | (NODAD if family(cidr) == 6 else 0))


def _new_route(wish):
    destination = normal_prefix(wish.destination)
    via = normal_address(wish.via).partition("/")[0] if wish.via else None
    metric = wish.metric if wish.metric is not None else DEFAULT_METRIC[family(destination)]
    direct = via is None and family(destination) == 4
    return FoundRoute(
        destination, (Nexthop(wish.link, via),), wish.table, metric, scope=LINK_SCOPE if direct else UNIVERSE
    )


# Packets and files.


def _offload(have, link):
    on = have.offloads.get(link)
    if on is None:
        return [OffloadStep(link, ())]
    return [OffloadStep(link, tuple(on))] if on else []


def _given(have, given):
    """A NIC that is no longer there gets nothing."""
    if have.links.get(given.nic) is None:
        return []
    there = {address.cidr for address in have.addresses if address.link == given.nic}
    taken = {(route.key, route.tos) for route in have.routes}
    addresses = tuple(address for address in given.addresses if address.cidr not in there)
    routes = tuple(route for route in given.routes if (route.key, route.tos) not in taken)
    off = tuple(name for name in given.offloads if name not in (have.offloads.get(given.nic) or ()))
    link = have.links[given.nic]
    move = MoveStep(
        None, given.nic, given_addresses=addresses, given_routes=routes, raise_target=False if link.up else link
    )
    return ([move] if addresses or routes else []) + ([OffloadStep(given.nic, off, on=True)] if off else [])


def _files(have, want):
    """(what comes first of all, what comes last). Managers are told after their files have changed, in either direction: so a step stands first
    of which only the inverse does anything, unless the manager must be told early. NetworkManager, once it has a NIC back, must let go of it before
    addresses leave the NIC again, lest it gives it what it had: there the inverse of what comes last tells it too."""
    steps = [step for file in want.files for step in _file(have.files.get(file.path), file)]
    changed = {step.path for step in steps}
    wishes = [wish for wish in want.handovers if changed.intersection(wish.paths)]
    tellings = [
        HandoverStep(
            wish.manager,
            wish.nic,
            wish.bridge,
            wish.to_bridge,
            profile=wish.profile,
            tells_back=wish.manager == NETWORK_MANAGER and not wish.to_bridge,
        )
        for wish in wishes
    ]
    return [telling.first(wish.early) for wish, telling in zip(wishes, tellings)], steps + tellings


def _file(found, wish):
    wanted = None if wish.content is None else FileContent(wish.content, wish.mode)
    return [] if found == wanted else [FileStep(wish.path, wanted, found)]
