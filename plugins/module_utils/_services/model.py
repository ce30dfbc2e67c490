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

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from .._common import addressing, names
from .._common.remotes import with_port
from .._kube.reference import Reference
from . import default_routers, link_local, source_ranges

# Leave out services that another proxy serves, and headless ones (the API server's well-known labels).
LABEL_SELECTOR = "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless"
SERVICE_NAME_LABEL = "kubernetes.io/service-name"  # of an endpoint slice
DEFAULT_AFFINITY_TIMEOUT = 10800  # seconds: the API server's own default (ClientIPConfig)
AFFINITY_WAYS = ("hash", "timeout")  # what users may choose by an annotation
SHOWN = 50  # characters of a user's text that an event shows
MAXIMUM_AFFINITY_TIMEOUT = 65535  # seconds, ovn-nb(5): the idle timeout of a flow has 16 bits
PROTOCOLS = ("TCP", "UDP", "SCTP")
# Types of services that have node ports.
NODE_PORT_TYPES = ("NodePort", "LoadBalancer")
# Limits of one object, so that none occupies the program: of the ports of a service and of a slice, of the ports of all
# addresses outside of a service, and of the endpoints behind all of its ports.
MAXIMUM_PORTS, MAXIMUM_CLAIMS, MAXIMUM_TARGETS = 1000, 1000, 50000
MAXIMUM_BACKENDS = 1_000_000  # of all its virtual addresses together: 20 MB of rows
MAXIMUM_SLICE_PORTS = 50000  # of all its slices together
MAXIMUM_HINTED = 1000  # endpoints at all ports of a service whose hints count: each host has a list of its own then
MAXIMUM_HINTS = 8  # of one endpoint: the API server allows no more (EndpointHints of discovery.k8s.io/v1)
ZONE_LABEL = "topology.kubernetes.io/zone"  # of a node
MAXIMUM_NODE_ADDRESSES = 16
AUTOSCALER_TAINT = "ToBeDeletedByClusterAutoscaler"  # of a node that the cluster autoscaler is about to delete
# How many own addresses of one IP version a host has: the node's, and the gateway's where it is another one.
ADDRESSES_OF_A_HOST = 2
LINK_LOCAL = ("169.254.", "fe")  # how such addresses begin, among others
IP_VERSIONS = {"IPv4": 4, "IPv6": 6}  # addressType of an endpoint slice -> IP version


class Target(NamedTuple):
    """Where a connection goes: an address and a port.

    ``str()`` gives ``ip:port``, with brackets around an IPv6 address.
    """

    address: str
    port: int

    def __str__(self) -> str:
        return with_port(self.address, self.port)


class Claim(NamedTuple):
    """A port of an address outside that a service is to be reached at."""

    address: str
    protocol: str
    port: int

    def __str__(self) -> str:
        return f"{self.protocol} port {self.port} of {self.address}"


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
    :ivar affinity_timeout: seconds without a new connection after which the client gets another endpoint; None: a hash
        of the client's address selects it, without a time-out.
    :ivar internal_local: whether ``internalTrafficPolicy`` is Local.
    :ivar external_local: whether ``externalTrafficPolicy`` is Local.
    :ivar health_port: the ``healthCheckNodePort``, None: there is none.
    :ivar uid: the object's.
    :ivar created: when the object was created (RFC 3339, in UTC): the older one of two services keeps an address.
    :ivar balancer_ips: those of ``external_ips`` that a load balancer has given.
    :ivar source_ranges: the networks whose clients may reach ``balancer_ips``, sorted, none within another; None:
        everybody may.
    :ivar unusable: addresses that can't be any machine's, in words.
    :ivar unserved: what else of the object is not served, in words.
    :ivar taken: ports of ``external_ips`` that another one has (:class:`.address_book.AddressBook`).
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
    uid: str = ""
    created: str = ""
    balancer_ips: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()
    taken: frozenset[Claim] = frozenset()
    unserved: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] | None = None

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
            for port in (spec.get("ports") or ())[:MAXIMUM_PORTS]
        )
        most = MAXIMUM_CLAIMS // max(len(ports), 1)
        given, written = _load_balancer_addresses(item), spec.get("externalIPs") or ()
        ranges = source_ranges.of(item)
        balancer_ips = tuple(
            ip for ip in _usable(given) if ranges.networks is None or of_version(ranges.networks, addressing.family(ip))
        )
        refused = set(_usable(given)) - set(balancer_ips)
        balancer_ips = balancer_ips[:most]
        external_ips = tuple(
            ip for ip in _usable([*written[: most - len(balancer_ips)], *balancer_ips]) if ip not in refused
        )
        unusable = [f"{text} is no address of a machine" for text in _unusable([*written, *given])]
        return cls(
            meta["namespace"],
            meta["name"],
            cluster_ips,
            external_ips,
            ports,
            spec.get("sessionAffinity") == "ClientIP",
            _affinity_timeout(item),
            spec.get("internalTrafficPolicy") == "Local",
            spec.get("externalTrafficPolicy") == "Local" and (has_node_ports or bool(external_ips)),
            spec.get("healthCheckNodePort") or None,
            meta.get("uid") or "",
            meta.get("creationTimestamp") or "",
            balancer_ips,
            tuple(unusable[:MAXIMUM_CLAIMS]),
            unserved=(
                *_unserved(item, most),
                *([f"addresses of its load balancer: {ranges.problem}"] if refused or ranges.networks == () else []),
            ),
            source_ranges=ranges.networks,
        )

    @property
    def key(self) -> str:
        """``namespace/name``, for messages and owner keys."""
        return f"{self.namespace}/{self.name}"

    @property
    def reference(self) -> Reference:
        """The service, for events about it."""
        return Reference("Service", self.namespace, self.name, self.uid)

    @property
    def ip_versions(self) -> list[int]:
        """The IP versions of its cluster addresses, sorted."""
        return sorted({addressing.family(ip) for ip in self.cluster_ips})

    @property
    def has_node_ports(self) -> bool:
        """Whether connections to the nodes' own addresses reach it."""
        return any(port.node_port for port in self.ports)

    def port_key(self, port: ServicePort) -> tuple[str, str, str, str]:
        """Return what names one of its ports in the cluster."""
        return self.namespace, self.name, port.name, port.protocol

    def claims(self) -> Iterator[Claim]:
        """Yield the ports of its addresses outside."""
        for address in self.external_ips:
            for port in self.ports:
                yield Claim(address, port.protocol, port.port)

    def ranges_of(self, address: str) -> tuple[str, ...] | None:
        """Return the networks whose clients may reach one of its addresses outside; None: everybody may."""
        if self.source_ranges is None or address not in self.balancer_ips:
            return None
        version = addressing.family(address)
        ranges = tuple(of_version(self.source_ranges, version))
        return None if addressing.ANYWHERE[version] in ranges else ranges

    def external_ips_of(self, port: ServicePort) -> list[str]:
        """Return its addresses outside that serve a port."""
        return [ip for ip in self.external_ips if Claim(ip, port.protocol, port.port) not in self.taken]

    @property
    def learned_affinity(self) -> int | None:
        """The seconds for which OVN remembers a client's endpoint; None: a hash selects it."""
        seconds = self.affinity_timeout
        return seconds if seconds is not None and seconds <= MAXIMUM_AFFINITY_TIMEOUT else None

    def affinity_gaps(self, userspace: bool) -> list[str]:
        """Return which parts of its affinity are not served as Kubernetes has them, each with the reason.

        :param userspace: whether a host has the userspace datapath.
        """
        if self.affinity_timeout is None:
            return []
        if self.learned_affinity is None:
            return [f"session affinity has no time-out: OVN counts to {MAXIMUM_AFFINITY_TIMEOUT} s at most"]
        gaps = []
        if userspace:
            gaps.append(
                "in the userspace datapath the first connection of each client, and of one that was away for "
                f"{self.learned_affinity} s, is lost: Open vSwitch translates repeated packets before OVN has found "
                f"the endpoint that it has learned; the annotation {names.AFFINITY_ANNOTATION}: hash loses none, and "
                "has no time-out"
            )
        untimed = []
        if self.internal_local:
            untimed.append("at its cluster addresses (internalTrafficPolicy is Local)")
        if self.external_local:
            untimed.append("at addresses outside and node ports (externalTrafficPolicy is Local)")
        elif self.has_node_ports:
            untimed.append("at node ports of gateways' addresses")
            if 6 in self.ip_versions:
                untimed.append("of IPv6 addresses for pods of the same host")
        if untimed:
            gaps.append(
                f"session affinity has no time-out {' and '.join(untimed)}: OVN can't learn where template variables "
                "stand for addresses"
            )
        return gaps

    @property
    def is_local(self) -> bool:
        """Whether a part of its traffic goes to endpoints on the same node only."""
        return self.internal_local or (self.external_local and (self.has_node_ports or bool(self.external_ips)))


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
                for address in _usable(entry["addresses"][:1])
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


class Node(NamedTuple):
    """A node.

    :ivar name: in the overlay.
    :ivar addresses: its own, as its kubelet reports them (``InternalIP``).
    :ivar outer_addresses: its ``ExternalIP``.
    :ivar created: when the object was created (RFC 3339, in UTC).
    :ivar is_leaving: it is being deleted: load balancers outside are to send nothing new there (KEP-3836).
    :ivar zone: that it is in; empty: no label says so.
    :ivar link_local: what it carries for its own pods.
    :ivar routers: of its default routes.
    """

    name: str
    addresses: tuple[str, ...]
    outer_addresses: tuple[str, ...] = ()
    created: str = ""
    is_leaving: bool = False
    zone: str = ""
    link_local: tuple[str, ...] = ()
    routers: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        """Where its clients of services are."""
        return Place(self.name, self.zone)

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> Node:
        """Make a node from an object."""
        meta, entries = item["metadata"], (item.get("status") or {}).get("addresses") or ()
        annotations = meta.get("annotations") or {}

        def of_type(kind: str) -> tuple[str, ...]:
            return _usable(entry["address"] for entry in entries if entry["type"] == kind)[:MAXIMUM_NODE_ADDRESSES]

        return cls(
            names.node_name(meta["name"]),
            of_type("InternalIP"),
            of_type("ExternalIP"),
            meta.get("creationTimestamp") or "",
            bool(meta.get("deletionTimestamp"))
            or any(one.get("key") == AUTOSCALER_TAINT for one in (item.get("spec") or {}).get("taints") or ()),
            (meta.get("labels") or {}).get(ZONE_LABEL) or "",
            link_local.parse(annotations.get(names.LINK_LOCAL_ANNOTATION)),
            default_routers.parse(annotations.get(names.ROUTERS_ANNOTATION)),
        )


class Place(NamedTuple):
    """Where a client of a service is.

    :ivar node: the name of its node.
    :ivar zone: the zone of its node; empty: not known.
    """

    node: str
    zone: str = ""


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


def _hints(entry: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    """Return the names that the hints of an endpoint have."""
    hints = (entry.get("hints") or {}).get(kind) or ()
    return tuple(hint["name"] for hint in hints[:MAXIMUM_HINTS])


def of_version(addresses: Iterable[str], version: int) -> list[str]:
    """Return the addresses, or subnets, of one IP version."""
    return [address for address in addresses if addressing.family(address) == version]


def _load_balancer_addresses(item: Mapping[str, Any]) -> list[str]:
    """Return the addresses that the load balancer outside the cluster has given to the service."""
    if item["spec"].get("type") != "LoadBalancer":
        return []
    ingress = (item.get("status") or {}).get("loadBalancer", {}).get("ingress") or ()
    # ipMode Proxy: the load balancer itself must see the connection (KEP-1860).
    return [entry["ip"] for entry in ingress if entry.get("ip") and entry.get("ipMode", "VIP") == "VIP"]


def _unserved(item: Mapping[str, Any], most: int) -> Iterator[str]:
    """Yield what of an object is not served, and is no address.

    :param most: addresses outside that it may have.
    """
    spec, way = item["spec"], _affinity_way(item)
    ports, written = len(spec.get("ports") or ()), len(spec.get("externalIPs") or ())
    given = len(_load_balancer_addresses(item))
    if ports > MAXIMUM_PORTS:
        yield f"{ports - MAXIMUM_PORTS} of its ports: a service has {MAXIMUM_PORTS} at most"
    if written + given > most:
        yield (f"{written + given - most} of its addresses outside: addresses times ports are {MAXIMUM_CLAIMS} at most")
    if way not in (None, *AFFINITY_WAYS):
        ways = " nor ".join(AFFINITY_WAYS)
        yield f"the annotation {names.AFFINITY_ANNOTATION}: {way!r:.{SHOWN}} is neither {ways}, and counts as none"


def _affinity_way(item: Mapping[str, Any]) -> str | None:
    """Return how its affinity is to be served, as its user has chosen it; None: he has not."""
    way: str | None = (item["metadata"].get("annotations") or {}).get(names.AFFINITY_ANNOTATION)
    return way


def _affinity_timeout(item: Mapping[str, Any]) -> int | None:
    """Return the seconds after which a client gets another endpoint; None: a hash of its address selects the endpoint.

    OVN drops the first packet of a client to learn from it. So a time-out counts only where somebody has chosen it: the
    API server writes its default into each service.
    """
    spec, way = item["spec"], _affinity_way(item)
    if spec.get("sessionAffinity") != "ClientIP" or way == "hash":
        return None
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    seconds: int = config.get("timeoutSeconds") or DEFAULT_AFFINITY_TIMEOUT
    return seconds if seconds != DEFAULT_AFFINITY_TIMEOUT or way == "timeout" else None


def _usable(texts: Iterable[object]) -> tuple[str, ...]:
    """Return the texts that are unicast addresses of one machine, in their usual spelling, each once.

    The API server does not check all of these texts, and they go into rules that root loads. A link-local address is
    not one machine's: each link has its own, 169.254.169.254 for example.
    """
    return tuple(dict.fromkeys(ip for ip in map(addressing.unicast, texts) if ip and not _is_link_local(ip)))


def _unusable(texts: Iterable[object]) -> list[str]:
    """Return the addresses, in their usual spelling, that are none of one machine. Other text is left out."""
    found = dict.fromkeys(filter(None, map(addressing.normalized, texts)))
    return [text for text in found if addressing.unicast(text) is None or _is_link_local(text)]


def _is_link_local(ip: str) -> bool:
    return ip.startswith(LINK_LOCAL) and addressing.address(ip).is_link_local
