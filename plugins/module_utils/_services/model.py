# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Services, endpoint slices and nodes of Kubernetes, as the watcher and the node's server keep them in memory.

``from_object`` makes a record from an object of the API server. It keeps only what rules and rows need, so that 10,000
services stay small.

Addresses are texts in their usual spelling. Text such as ``ip:port`` is made at the edge only, by ``str()`` of a
:class:`Target`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .._common import addressing, names

# Leave out services that another proxy serves, and headless ones (the API server's well-known labels).
LABEL_SELECTOR = "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless"
SERVICE_NAME_LABEL = "kubernetes.io/service-name"  # of an endpoint slice
DEFAULT_AFFINITY_TIMEOUT = 10800  # seconds: the API server's own default (ClientIPConfig)
MAXIMUM_AFFINITY_TIMEOUT = 65535  # seconds, ovn-nb(5): the idle timeout of a flow has 16 bits
PROTOCOLS = ("TCP", "UDP", "SCTP")
# Types of services that have node ports.
NODE_PORT_TYPES = ("NodePort", "LoadBalancer")
IP_VERSIONS = {"IPv4": 4, "IPv6": 6}  # addressType of an endpoint slice -> IP version


class Target(NamedTuple):
    """Where a connection goes: an address and a port.

    ``str()`` gives ``ip:port``, with brackets around an IPv6 address.
    """

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class ServicePort(NamedTuple):
    """A port of a service.

    :ivar name: as the ports of the endpoint slices have it; empty for a service with one port.
    :ivar protocol: one of PROTOCOLS.
    :ivar node_port: the port on all nodes; None: there is none.
    """

    name: str
    protocol: str
    port: int
    node_port: int | None


class Service(NamedTuple):
    """A service with addresses of its own.

    :ivar external_ips: its ``externalIPs``, then the addresses of its load balancer.
    :ivar affinity: whether all connections of a client go to the same endpoint (``sessionAffinity: ClientIP``).
    :ivar affinity_timeout: seconds without a new connection after which the client may get another endpoint; None: no
        limit.
    :ivar internal_local: whether ``internalTrafficPolicy`` is Local.
    :ivar external_local: whether ``externalTrafficPolicy`` is Local.
    :ivar health_port: the ``healthCheckNodePort``, None: there is none.
    """

    namespace: str
    name: str
    cluster_ips: tuple[str, ...]
    external_ips: tuple[str, ...]
    ports: tuple[ServicePort, ...]
    affinity: bool
    affinity_timeout: int | None
    internal_local: bool
    external_local: bool
    health_port: int | None

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> Service | None:
        """Make a service from an object; None for one without addresses of its own (headless, ``ExternalName``)."""
        meta, spec = item["metadata"], item["spec"]
        kind = spec.get("type") or "ClusterIP"
        cluster_ips = _usable(spec.get("clusterIPs") or [spec.get("clusterIP")])
        if kind == "ExternalName" or not cluster_ips:
            return None
        has_node_ports = kind in NODE_PORT_TYPES
        ports = tuple(
            ServicePort(
                port.get("name") or "",
                port.get("protocol") or "TCP",
                port["port"],
                port.get("nodePort") if has_node_ports else None,
            )
            for port in spec.get("ports") or ()
        )
        return cls(
            meta["namespace"],
            meta["name"],
            cluster_ips,
            _usable([*(spec.get("externalIPs") or ()), *_load_balancer_addresses(item)]),
            ports,
            spec.get("sessionAffinity") == "ClientIP",
            _affinity_timeout(item),
            spec.get("internalTrafficPolicy") == "Local",
            spec.get("externalTrafficPolicy") == "Local" and has_node_ports,
            spec.get("healthCheckNodePort") or None,
        )

    @property
    def key(self) -> str:
        """``namespace/name``, for messages and owner keys."""
        return f"{self.namespace}/{self.name}"

    @property
    def ip_versions(self) -> list[int]:
        """The IP versions of its cluster addresses, sorted."""
        return sorted({addressing.family(ip) for ip in self.cluster_ips})

    @property
    def has_node_ports(self) -> bool:
        """Whether connections to the nodes' own addresses reach it."""
        return any(port.node_port for port in self.ports)

    @property
    def is_local(self) -> bool:
        """Whether a part of its traffic goes to endpoints on the same node only."""
        return self.internal_local or (self.external_local and (self.has_node_ports or bool(self.external_ips)))


class Endpoint(NamedTuple):
    """An address behind a service.

    :ivar node: the node that it is on, None where the slice does not say.
    :ivar draining: whether it terminates, and still serves.
    """

    address: str
    node: str | None
    ready: bool
    draining: bool


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
            endpoints += [
                Endpoint(address, names.node_name(node) if node else None, ready, draining)
                for address in _usable(entry["addresses"])
                if addressing.family(address) == version
            ]
        ports = tuple(
            SlicePort(port.get("name") or "", port.get("protocol") or "TCP", port["port"])
            for port in item.get("ports") or ()
            if port.get("port")
        )
        return cls(f"{item['metadata']['namespace']}/{service}", version, ports, tuple(endpoints))

    def has_endpoint_at(self, addresses: Iterable[str]) -> bool:
        """Return whether one of its endpoints has one of these addresses."""
        return any(endpoint.address in addresses for endpoint in self.endpoints)


class Node(NamedTuple):
    """A node: its name in the overlay, and its own addresses."""

    name: str
    addresses: tuple[str, ...]

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> Node:
        """Make a node from an object."""
        addresses = (item.get("status") or {}).get("addresses") or ()
        return cls(
            names.node_name(item["metadata"]["name"]),
            _usable(entry["address"] for entry in addresses if entry["type"] == "InternalIP"),
        )


class ServiceState(NamedTuple):
    """A service with its endpoint slices."""

    service: Service
    slices: Sequence[EndpointSlice]

    def targets(self, port: ServicePort, version: int, node: str | None = None) -> list[Target]:
        """Return the endpoints behind one of its ports, sorted by their text.

        Endpoints that are ready count. When none is, those count that still serve while they terminate (KEP-1669).

        :param version: IP version of the endpoints.
        :param node: only endpoints on this node; None: on all nodes.
        """
        ready: set[Target] = set()
        draining: set[Target] = set()
        for part in self.slices:
            if part.version != version:
                continue
            numbers = [one.port for one in part.ports if one.name == port.name and one.protocol == port.protocol]
            for endpoint in part.endpoints if numbers else ():
                if node is not None and endpoint.node != node:
                    continue
                if endpoint.ready or endpoint.draining:
                    group = ready if endpoint.ready else draining
                    group.update(Target(endpoint.address, number) for number in numbers)
        return sorted(ready or draining, key=str)

    def nodes(self) -> list[str]:
        """Return the nodes that its endpoints are on, ready or not, sorted."""
        return sorted({endpoint.node for part in self.slices for endpoint in part.endpoints if endpoint.node})


def of_version(addresses: Iterable[str], version: int) -> list[str]:
    """Return the addresses, or subnets, of one IP version."""
    return [address for address in addresses if addressing.family(address) == version]


def _load_balancer_addresses(item: Mapping[str, Any]) -> list[str]:
    """Return the addresses that the load balancer outside the cluster has given to the service."""
    spec = item["spec"]
    # OVN's load balancers can't restrict the client's addresses: refuse all rather than serve all.
    if spec.get("type") != "LoadBalancer" or spec.get("loadBalancerSourceRanges"):
        return []
    ingress = (item.get("status") or {}).get("loadBalancer", {}).get("ingress") or ()
    # ipMode Proxy: the load balancer itself must see the connection (KEP-1860).
    return [entry["ip"] for entry in ingress if entry.get("ip") and entry.get("ipMode", "VIP") == "VIP"]


def _affinity_timeout(item: Mapping[str, Any]) -> int | None:
    """Return the seconds for OVN's own affinity; None when the service's annotation does not ask for it, or the number
    is too large for OVN.
    """
    spec = item["spec"]
    annotations = item["metadata"].get("annotations") or {}
    if spec.get("sessionAffinity") != "ClientIP" or annotations.get(names.AFFINITY_ANNOTATION) != "timeout":
        return None
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    seconds: int = config.get("timeoutSeconds") or DEFAULT_AFFINITY_TIMEOUT
    return seconds if seconds <= MAXIMUM_AFFINITY_TIMEOUT else None


def _usable(texts: Iterable[object]) -> tuple[str, ...]:
    """Return the texts that are unicast addresses of one machine, in their usual spelling, each once.

    The API server does not check all of these texts, and they go into rules that root loads.
    """
    return tuple(dict.fromkeys(filter(None, map(addressing.unicast, texts))))
