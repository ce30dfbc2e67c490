# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of some networks this host has and uses already: it would lose that if the networks were led elsewhere.

Links with their addresses, routes of every table in use, routers, name servers, other ends of tunnels, connections, and
peers that the caller names. What the host reaches through given links (the overlay's own) does not count.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .._common.addressing import networks_overlap, normalized, single
from .._common.errors import HostError
from .._netlink.addresses import read_addresses
from .._netlink.constants import RT_TABLE_LOCAL, Rtn, RtProt
from .._netlink.links import read_kind
from .._netlink.routes import look_up, read_all_routes
from .._netlink.rules import read_tables
from .._netlink.socket import RouteSocket
from .._netlink.tunnels import read_tunnel_remotes
from .ssh import connected_peers, session_peer
from .steps.routes import route_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from .._common.addressing import IPNetwork
    from .._netlink.records import KernelAddress, KernelRoute

# Where name servers are configured, also behind the stubs of systemd-resolved and NetworkManager (resolv.conf(5)).
RESOLVER_FILES = (
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
)
SERVED_ON = "dummy"  # the kind of link on which programs of Kubernetes serve a service's address


@dataclass(frozen=True)
class Networks:
    """Networks that are about to be led into the overlay.

    :ivar pods: those of pods.
    :ivar others: those of services and of routers. Connections to services are no sign of another use, nor are single
        addresses of services on a link of their own (NodeLocal DNSCache): kube-proxy or we translate them.
    :ivar accepted: those of them that this host leads there already, as it has saved. The connections of pods with this
        host are no sign of another use while a link is missing.
    """

    pods: Sequence[str]
    others: Sequence[str] = ()
    accepted: Collection[str] = ()

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self.pods, *self.others]))


class Use(NamedTuple):
    """A part of a network that the host uses.

    :ivar network: one of :class:`Networks`.
    :ivar text: the use, to be put behind ``overlaps``.
    """

    network: str
    text: str


@dataclass(frozen=True)
class HostNetwork:
    """What a host has and uses.

    :ivar tables: the tables that rules of policy routing use; None: all.
    :ivar session: where the caller's SSH connection comes from.
    :ivar peers: address -> what it is for the host, such as ``the API server``.
    :ivar name_servers: their addresses. One that it has no way to is not used.
    :ivar tunnels: the addresses of other ends of tunnels, with their links.
    :ivar connections: addresses with which it has connections, without those of pods with its servers.
    :ivar look_up: the kernel's route to an address now; None: there is none.
    :ivar kind_of: the kind of a link (ip-link(8)).
    """

    addresses: Sequence[KernelAddress]
    routes: Sequence[KernelRoute]
    tables: frozenset[int] | None
    look_up: Callable[[str], KernelRoute | None]
    session: str | None = None
    peers: Mapping[str, str] = field(default_factory=dict)
    name_servers: Collection[str] = ()
    tunnels: Mapping[str, str] = field(default_factory=dict)
    connections: Collection[str] = ()
    kind_of: Callable[[str], str | None] = lambda _link: None


def uses(networks: Networks, host: HostNetwork, own_links: Collection[str]) -> list[Use]:
    """Return for each network the first use of it, the one that hurts most.

    :param own_links: the overlay's own links on this host.
    """
    search = _Search(networks, host, frozenset(own_links))
    found = ((network, next(search.uses(network), None)) for network in networks)
    return [Use(network, text) for network, text in found if text]


@dataclass(frozen=True)
class _Search:
    """The search for uses of networks. A use is a clause."""

    networks: Networks
    host: HostNetwork
    own_links: frozenset[str]

    def uses(self, network: str) -> Iterator[str]:
        """Yield the uses of one network, the one that hurts most first."""
        host = self.host
        if host.session:
            yield from self._reached(network, {host.session: "from which this session comes"})
        for address in host.addresses:
            if address.link not in self.own_links and self._has(address, network):
                yield f"{address.cidr}, which {address.link} has"
        for route in host.routes:
            if _is_used(route, host.tables) and not (route.links and route.links <= self.own_links):
                yield from _uses_of_route(route, network)
        yield from self._reached(network, host.peers)
        servers = dict.fromkeys(host.name_servers, "a name server of this host")
        yield from self._reached(network, servers, also_lost=False)
        ends = {ip: f"the other end of the tunnel {link}" for ip, link in host.tunnels.items()}
        yield from self._reached(network, ends, also_lost=False)
        if network in self.networks.pods and network not in self.networks.accepted:
            connections = dict.fromkeys(host.connections, "with which this host has a connection")
            yield from self._reached(network, connections)

    def _reached(self, network: str, ips: Mapping[str, str], also_lost: bool = True) -> Iterator[str]:
        """Yield the addresses in the network that the host does not reach through its own links.

        :param also_lost: those too that it has no way to now.
        """
        for ip, text in ips.items():
            if not _is_inside(single(ip), network):
                continue
            route = self.host.look_up(ip)
            if route is None and also_lost:
                yield f"{ip}, {text}"
            elif route is not None and route.type != Rtn.LOCAL and not route.links <= self.own_links:
                yield f"{ip}, {text} (through {', '.join(sorted(route.links))})"

    def _has(self, address: KernelAddress, network: str) -> bool:
        """Return whether an address, or its network, is in a network of ours for something else than ours."""
        own = _parsed(address.network)
        if not networks_overlap(own, _parsed(network)) and not _is_inside(single(address.ip), network):
            return False
        is_single = str(own) == single(address.ip) and network not in self.networks.pods
        return not (is_single and self.host.kind_of(address.link) == SERVED_ON)


def _uses_of_route(route: KernelRoute, network: str) -> Iterator[str]:
    """Yield a route to a part of the network, and its routers there. A wider route keeps all else that it leads to."""
    if _is_inside(route.destination, network):
        yield f"the route {route_text(route)}"
    for hop in route.nexthops:
        if hop.via and _is_inside(single(hop.via), network):
            yield f"{hop.via}, the router of the route {route_text(route)}"


def _is_used(route: KernelRoute, tables: frozenset[int] | None) -> bool:
    """Return whether a route can be used. The kernel's own routes to the host's addresses are left out."""
    if route.table == RT_TABLE_LOCAL:
        return route.type == Rtn.LOCAL and route.protocol != RtProt.KERNEL
    return tables is None or route.table in tables


def _is_inside(inner: str, outer: str) -> bool:
    """Return whether a network lies within another one, or is the same."""
    one, other = _parsed(inner), _parsed(outer)
    return networks_overlap(one, other) and one.prefixlen >= other.prefixlen


@functools.lru_cache(maxsize=4096)  # each route is compared with each of our networks
def _parsed(network: str) -> IPNetwork:
    return ipaddress.ip_network(network)


def read_uses(networks: Networks, own_links: Collection[str], peers: Mapping[str, str] | None = None) -> list[Use]:
    """Read what this host has and uses, and return its uses of the networks as :func:`uses` does.

    :param peers: address -> what it is for this host, such as ``the API server``.
    :raises HostError: it can't be read.
    """
    try:
        with RouteSocket() as kernel:

            def kind_of(link: str) -> str | None:
                kind = read_kind(kernel, link)
                return kind.kind if kind else None

            session, addresses = session_peer(), read_addresses(kernel)
            own = {ipaddress.ip_address(address.ip) for address in addresses}
            host = HostNetwork(
                addresses,
                read_all_routes(kernel),
                read_tables(kernel),
                lambda ip: look_up(kernel, ip),
                str(session) if session else None,
                peers or {},
                name_servers(),
                read_tunnel_remotes(kernel),
                sorted(map(str, connected_peers(own))),
                kind_of,
            )
            return uses(networks, host, own_links)
    except OSError as error:
        raise HostError(f"this host's links, addresses and routes can't be read: {error.strerror}") from error


class Way(NamedTuple):
    """A route, or an address with its prefix length, which is the way to its network.

    :ivar via: the router; None: the destination is on the link.
    """

    destination: str
    via: str | None


def new_ways(ways: Sequence[Way], link: str, own_links: Collection[str]) -> dict[Way, bool]:
    """Return those of the ways that a link does not have yet, with whether the host has another way there now.

    :param own_links: the overlay's own links; a way through them is no other one.
    :raises HostError: the routes can't be read.
    """
    try:
        with RouteSocket() as kernel:
            routes, tables = read_all_routes(kernel), read_tables(kernel)
    except OSError as error:
        raise HostError(f"this host's routes can't be read: {error.strerror}") from error
    own = frozenset(own_links)
    here = {Way(route.destination, route.nexthops[0].via) for route in routes if route.links == {link}}
    others = [route for route in routes if _is_used(route, tables) and route.links and not route.links <= own]
    found = {}
    for way in ways:
        destination = str(ipaddress.ip_network(way.destination, strict=False))
        if Way(destination, way.via) not in here:
            found[way] = any(_is_inside(destination, route.destination) for route in others)
    return found


def name_servers() -> list[str]:
    """Return the addresses of this host's name servers."""
    found: dict[str, None] = {}
    for path in RESOLVER_FILES:
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                words = line.split()
                if len(words) > 1 and words[0] == "nameserver":
                    ip = normalized(words[1])
                    if ip and not ipaddress.ip_address(ip).is_loopback:
                        found[ip] = None
    return list(found)
