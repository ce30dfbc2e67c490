# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A service with its endpoint slices: which endpoints a client gets, by their state, their node and their hints."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .model import ADDRESSES_OF_A_HOST, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .endpoint_slices import Endpoint, EndpointSlice
    from .model import Service, ServicePort
    from .nodes import Place

# Limits of one service, so that none occupies the program: of the endpoints behind all of its ports.
MAXIMUM_TARGETS = 50000
MAXIMUM_BACKENDS = 1_000_000  # of all its virtual addresses together: 20 MB of rows
MAXIMUM_SLICE_PORTS = 50000  # of all its slices together
MAXIMUM_HINTED = 1000  # endpoints at all ports of a service whose hints count: each host has a list of its own then


class Hinted(NamedTuple):
    """The ready endpoints of one port and IP version, by whom they are for.

    :ivar by_node: node -> endpoints; empty unless each endpoint has hints of nodes.
    :ivar by_zone: zone -> endpoints; empty unless each endpoint has hints of zones.
    """

    by_node: Mapping[str, list[Target]]
    by_zone: Mapping[str, list[Target]]

    def of(self, place: Place) -> list[Target] | None:
        """Return the endpoints for a place; None: all of them, as for a place that no hint names."""
        return self.by_node.get(place.node) or self.by_zone.get(place.zone)


class ServiceState:
    """A service with its endpoint slices.

    :ivar slices: those with endpoints, without endpoints beyond :data:`MAXIMUM_TARGETS` and :data:`MAXIMUM_BACKENDS`,
        for all ports of the service together; and without slices beyond :data:`MAXIMUM_SLICE_PORTS`.
    :ivar left_out: how many endpoints were left out.
    """

    def __init__(self, service: Service, slices: Iterable[EndpointSlice]) -> None:
        self.service = service
        self.slices: list[EndpointSlice] = []
        self.left_out = 0
        ports = max(len(service.ports), 1)
        addresses = len(service.cluster_ips) + len(service.external_ips) + ADDRESSES_OF_A_HOST
        if service.source_ranges is not None:
            addresses += len(service.balancer_ips)  # switches and gateways' routers have load balancers of their own
        room = min(MAXIMUM_TARGETS // ports, MAXIMUM_BACKENDS // (ports * addresses))
        slice_ports = MAXIMUM_SLICE_PORTS
        for part in slices:
            kept = part.endpoints[:room] if len(part.ports) <= slice_ports else ()
            self.left_out += len(part.endpoints) - len(kept)
            if kept:
                room -= len(kept)
                slice_ports -= len(part.ports)
                self.slices.append(part if len(kept) == len(part.endpoints) else part._replace(endpoints=kept))
        self._numbers = [{(one.name, one.protocol): one.port for one in part.ports} for part in self.slices]
        self._on_node: dict[str | None, list[tuple[int, Endpoint]]] = {}  # node -> number of a slice, and an endpoint
        self._hinted: dict[tuple[str, str, int], Hinted | None] = {}  # name and protocol of a port, and IP version

    def targets(self, port: ServicePort, version: int, node: str | None = None) -> list[Target]:
        """Return the endpoints behind one of its ports, sorted by their text.

        Endpoints that are ready count. When none is, those count that still serve while they terminate (KEP-1669).

        :param version: IP version of the endpoints.
        :param node: only endpoints on this node; None: on all nodes.
        """
        ready: set[Target] = set()
        draining: set[Target] = set()
        for place, endpoint in self._endpoints(node):
            number = self._numbers[place].get((port.name, port.protocol))
            if number is not None and self.slices[place].version == version:
                if endpoint.ready:
                    ready.add(Target(endpoint.address, number))
                elif endpoint.draining:
                    draining.add(Target(endpoint.address, number))
        return sorted(ready or draining, key=str)

    def targets_for(self, place: Place, port: ServicePort, version: int) -> list[Target]:
        """Return the endpoints behind one of its ports for a client at a place, as kube-proxy chooses them.

        (CategorizeEndpoints of its topology.go): hints of nodes come before those of zones, and count only when each
        ready endpoint has some, and one of them is for this place.
        """
        hinted = self.hinted(port, version)
        found = hinted.of(place) if hinted is not None else None
        return self.targets(port, version) if found is None else found

    def hinted(self, port: ServicePort, version: int) -> Hinted | None:
        """Return the endpoints behind one of its ports by their hints; None: they don't count."""
        key = port.name, port.protocol, version
        if key not in self._hinted:
            self._hinted[key] = self._by_hint(port, version)
        return self._hinted[key]

    def _by_hint(self, port: ServicePort, version: int) -> Hinted | None:
        if not self.has_hints():
            return None
        by_node: dict[str, set[Target]] = {}
        by_zone: dict[str, set[Target]] = {}
        all_nodes = all_zones = True
        for place, endpoint in self._endpoints(None):
            number = self._numbers[place].get((port.name, port.protocol))
            if number is None or not endpoint.ready or self.slices[place].version != version:
                continue
            all_nodes, all_zones = all_nodes and bool(endpoint.for_nodes), all_zones and bool(endpoint.for_zones)
            for node in endpoint.for_nodes:
                by_node.setdefault(node, set()).add(Target(endpoint.address, number))
            for zone in endpoint.for_zones:
                by_zone.setdefault(zone, set()).add(Target(endpoint.address, number))
        found = Hinted(_sorted(by_node) if all_nodes else {}, _sorted(by_zone) if all_zones else {})
        return found if found.by_node or found.by_zone else None

    def has_hints(self) -> bool:
        """Return whether endpoints have hints, and are few enough for them.

        An affinity that OVN learns comes before hints: it can't learn at the template variables that they need.
        """
        if self.service.learned_affinity is not None:
            return False
        count = sum(len(part.endpoints) for part in self.slices) * len(self.service.ports)
        return count <= MAXIMUM_HINTED and any(part.has_hints() for part in self.slices)

    def _endpoints(self, node: str | None) -> Iterable[tuple[int, Endpoint]]:
        """Return the endpoints of one node, or all of them, each with the number of its slice."""
        everything = ((place, one) for place, part in enumerate(self.slices) for one in part.endpoints)
        if node is None:
            return everything
        if not self._on_node:
            for place, one in everything:
                self._on_node.setdefault(one.node, []).append((place, one))
        return self._on_node.get(node, ())

    def nodes(self) -> list[str]:
        """Return the nodes that its endpoints are on, ready or not, sorted."""
        return sorted({endpoint.node for part in self.slices for endpoint in part.endpoints if endpoint.node})


def _sorted(targets: Mapping[str, set[Target]]) -> dict[str, list[Target]]:
    return {key: sorted(some, key=str) for key, some in targets.items()}
