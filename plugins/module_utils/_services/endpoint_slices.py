# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Endpoint slices of Kubernetes, with the hints of their endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .._common import addressing, names
from .addresses import usable
from .model import MAXIMUM_PORTS

SERVICE_NAME_LABEL = "kubernetes.io/service-name"  # of an endpoint slice
MAXIMUM_HINTS = 8  # of one endpoint: the API server allows no more (EndpointHints of discovery.k8s.io/v1)
IP_VERSIONS = {"IPv4": 4, "IPv6": 6}  # addressType of an endpoint slice -> IP version


class Endpoint(NamedTuple):
    """An address behind a service.

    :ivar node: the node that it is on, None where the slice does not say.
    :ivar draining: whether it terminates, and still serves.
    :ivar for_zones: the zones that it is for, by its hints (KEP-2433); empty: there are none.
    :ivar for_nodes: the nodes that it is for, by its hints (KEP-3015); empty: there are none.
    """

    address: str
    node: str | None
    ready: bool
    draining: bool
    for_zones: tuple[str, ...] = ()
    for_nodes: tuple[str, ...] = ()


class SlicePort(NamedTuple):
    """A port of an endpoint slice; name and protocol are those of the service's port."""

    name: str
    protocol: str
    port: int


class EndpointSlice(NamedTuple):
    """An endpoint slice.

    :ivar service: key of its service.
    :ivar version: IP version of its addresses.
    """

    service: str
    version: int
    ports: tuple[SlicePort, ...]
    endpoints: tuple[Endpoint, ...]

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> EndpointSlice | None:
        """Make a slice from an object; None for one that belongs to no service, or has host names for addresses."""
        service = (item["metadata"].get("labels") or {}).get(SERVICE_NAME_LABEL)
        version = IP_VERSIONS.get(item["addressType"])
        if not service or version is None:
            return None
        endpoints: list[Endpoint] = []
        for entry in item.get("endpoints") or ():
            conditions, node = entry.get("conditions") or {}, entry.get("nodeName")
            # An unset "ready" counts as true, an unset "serving" as "ready" (EndpointConditions of
            # discovery.k8s.io/v1).
            ready = conditions.get("ready") is not False
            serving = conditions.get("serving", ready) is not False
            draining = serving and bool(conditions.get("terminating"))
            zones, nodes = _hints(entry, "forZones"), _hints(entry, "forNodes")
            # The addresses of an endpoint are interchangeable (Endpoint of discovery.k8s.io/v1): the first is enough.
            endpoints += [
                Endpoint(
                    address,
                    names.node_name(node) if node else None,
                    ready,
                    draining,
                    zones,
                    tuple(map(names.node_name, nodes)),
                )
                for address in usable(entry["addresses"][:1])
                if addressing.family(address) == version
            ]
        ports = tuple(
            SlicePort(port.get("name") or "", port.get("protocol") or "TCP", port["port"])
            for port in (item.get("ports") or ())[:MAXIMUM_PORTS]
            if port.get("port")
        )
        return cls(f"{item['metadata']['namespace']}/{service}", version, ports, tuple(endpoints))

    def has_hints(self) -> bool:
        """Return whether one of its endpoints has hints."""
        return any(endpoint.for_zones or endpoint.for_nodes for endpoint in self.endpoints)

    def has_endpoint_at(self, addresses: Iterable[str]) -> bool:
        """Return whether one of its endpoints has one of these addresses."""
        return any(endpoint.address in addresses for endpoint in self.endpoints)


def _hints(entry: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    """Return the names that the hints of an endpoint have."""
    hints = (entry.get("hints") or {}).get(kind) or ()
    return tuple(hint["name"] for hint in hints[:MAXIMUM_HINTS])
