# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Services of Kubernetes, as the watcher and the node's server keep them in memory.

``from_object`` makes a record from an object of the API server. It keeps only what rules and rows need, so that 10,000
services stay small.

Addresses are texts in their usual spelling. Text such as ``ip:port`` is made at the edge only, by ``str()`` of a
:class:`Target`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .._common import addressing
from .._common.remotes import with_port
from .._kube.reference import Reference
from . import affinity, source_ranges
from .addresses import of_version, unusable, usable

# Leave out services that another proxy serves, and headless ones (the API server's well-known labels).
LABEL_SELECTOR = "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless"
PROTOCOLS = ("TCP", "UDP", "SCTP")
# Types of services that have node ports.
NODE_PORT_TYPES = ("NodePort", "LoadBalancer")
# Limits of one object, so that none occupies the program: of the ports of a service and of a slice, and of the ports of
# all addresses outside of a service.
MAXIMUM_PORTS, MAXIMUM_CLAIMS = 1000, 1000
# How many own addresses of one IP version a host has: the node's, and the gateway's where it is another one.
ADDRESSES_OF_A_HOST = 2


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
        cluster_ips = usable(spec.get("clusterIPs") or [spec.get("clusterIP")])
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
            ip for ip in usable(given) if ranges.networks is None or of_version(ranges.networks, addressing.family(ip))
        )
        refused = set(usable(given)) - set(balancer_ips)
        balancer_ips = balancer_ips[:most]
        external_ips = tuple(
            ip for ip in usable([*written[: most - len(balancer_ips)], *balancer_ips]) if ip not in refused
        )
        no_machines = [f"{text} is no address of a machine" for text in unusable([*written, *given])]
        return cls(
            meta["namespace"],
            meta["name"],
            cluster_ips,
            external_ips,
            ports,
            spec.get("sessionAffinity") == "ClientIP",
            affinity.timeout(item),
            spec.get("internalTrafficPolicy") == "Local",
            spec.get("externalTrafficPolicy") == "Local" and (has_node_ports or bool(external_ips)),
            spec.get("healthCheckNodePort") or None,
            meta.get("uid") or "",
            meta.get("creationTimestamp") or "",
            balancer_ips,
            tuple(no_machines[:MAXIMUM_CLAIMS]),
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
        return affinity.learned(self.affinity_timeout)

    @property
    def is_local(self) -> bool:
        """Whether a part of its traffic goes to endpoints on the same node only."""
        return self.internal_local or (self.external_local and (self.has_node_ports or bool(self.external_ips)))


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
    spec, wrong = item["spec"], affinity.unknown_way(item)
    ports, written = len(spec.get("ports") or ()), len(spec.get("externalIPs") or ())
    given = len(_load_balancer_addresses(item))
    if ports > MAXIMUM_PORTS:
        yield f"{ports - MAXIMUM_PORTS} of its ports: a service has {MAXIMUM_PORTS} at most"
    if written + given > most:
        yield (f"{written + given - most} of its addresses outside: addresses times ports are {MAXIMUM_CLAIMS} at most")
    if wrong:
        yield wrong
