# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lead this host's packets to further networks of services into the overlay: one route for each ServiceCIDR that the
host's settings don't have.

The routes have a number of their own for who made them, so that the host's other parts leave them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from .._common.addressing import family, networks_overlap
from .._common.errors import HostError
from .._host.used import Networks, read_uses
from .._netlink.constants import RtProt
from .._netlink.records import DEFAULT_METRIC, KernelRoute, Nexthop
from .._netlink.routes import add_route, read_all_routes, remove_route
from .._netlink.socket import RouteSocket
from .service_cidrs import Accepted, ServiceCIDR, accepted


class Changes(NamedTuple):
    """What differs."""

    removed: Sequence[KernelRoute]
    added: Sequence[KernelRoute]


def difference(current: Iterable[KernelRoute], wanted: Sequence[KernelRoute], configured: Collection[str]) -> Changes:
    """Return which routes are removed and which are added.

    :param configured: networks of the host's settings: a route there that we made stays, since the host's own part
        takes it for its own.
    """
    routes = list(current)
    kept = {(route.key, route.nexthops) for route in wanted}
    return Changes(
        [
            route
            for route in routes
            if route.protocol == RtProt.SERVICES
            and (route.key, route.nexthops) not in kept
            and route.destination not in configured
        ],
        [new for new in wanted if not any((route.key, route.nexthops) == (new.key, new.nexthops) for route in routes)],
    )


class HostNetworks:
    """The routes of one host.

    :param link: the node's management port.
    :param pod_networks: the networks of all pods.
    :param configured: the further networks that the host's settings have: the services', and the join network.
    :param routers: IP version -> the router of the node's subnet.
    :param peers: address -> what it is for this host, such as "the API server".
    """

    def __init__(
        self,
        link: str,
        pod_networks: Sequence[str],
        configured: Sequence[str],
        routers: Mapping[int, str],
        peers: Mapping[str, str],
    ) -> None:
        self._link = link
        self._pod_networks = tuple(pod_networks)
        self._configured = tuple(configured)
        self._routers = routers
        self._peers = peers
        self._has_routes = True  # or may have, of an earlier run

    def converge(self, objects: Sequence[ServiceCIDR]) -> Accepted:
        """Make the routes; return the networks of services as far as this host goes. It blocks.

        :raises HostError: the kernel refused.
        """
        candidates = [text for text in accepted((), objects, self._overlap).networks if not self._is_configured(text)]
        uses = read_uses(Networks((), candidates), {self._link}, self._peers) if candidates else []
        used = {use.network: f"overlaps {use.text}" for use in uses}
        result = accepted(self._configured, objects, lambda text: self._overlap(text) or used.get(text))
        wanted = [self._route(text) for text in result.networks if text in candidates and family(text) in self._routers]
        if not wanted and not self._has_routes:
            return result  # a host may have a router's hundred thousands of routes, and this is asked all the time
        self._has_routes = True
        try:
            with RouteSocket() as kernel:
                removed, added = difference(read_all_routes(kernel), wanted, self._configured)
                for route in removed:
                    remove_route(kernel, route)
                for route in added:
                    add_route(kernel, route)
        except OSError as exc:
            raise HostError(f"the routes to networks of services can't be made: {exc.strerror}") from None
        self._has_routes = bool(wanted)
        return result

    def _overlap(self, text: str) -> str | None:
        found = ipaddress.ip_network(text)
        for other in self._pod_networks:
            if networks_overlap(found, ipaddress.ip_network(other)):
                return f"overlaps the pods' network {other}"
        return None

    def _is_configured(self, text: str) -> bool:
        """Return whether a route of the host's settings leads there already."""
        found = ipaddress.ip_network(text)
        others = map(ipaddress.ip_network, self._configured)
        return any(networks_overlap(found, other) and found.prefixlen >= other.prefixlen for other in others)

    def _route(self, destination: str) -> KernelRoute:
        version = family(destination)
        hop = Nexthop(self._link, self._routers[version])
        return KernelRoute(destination, (hop,), metric=DEFAULT_METRIC[version], protocol=RtProt.SERVICES)
