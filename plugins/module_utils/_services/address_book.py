# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of a service's addresses are served: an address of somebody else is not.

Whoever may make a service may write any address into its ``externalIPs``, and the API server checks little more than
its syntax (CVE-2020-8554). Watcher and node servers judge by the same rules; a node server can't read the Northbound
database, so its settings tell it of gateways.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .claims import Claimant, Claims, claimants
from .endpoint_slices import EndpointSlice
from .index import Index
from .model import Claim, Service

if TYPE_CHECKING:
    from .._common.addressing import IPNetwork

SERVICES_USE = "the services' network"  # the use of the networks that cluster addresses are from
API_SERVICE = "default/kubernetes"  # whose endpoints are the API servers
LONGEST_MESSAGE = 900  # characters; an event of the API server may have 1,024
# Ports of a host's own programs: SSH, etcd, the API server, OVN's databases, Kubernetes' programs, tunnels. No service
# gets them at a host's address, wherever that is allowed: for a pod's connection nobody knows what the host listens on.
HOST_PORTS = {
    "TCP": {22, 2379, 2380, 6443, 6641, 6642, 6643, 6644, 10248, 10249, 10250, 10256, 10257, 10259},
    "UDP": {4789, 6081},
}
ADVICE = "only ovn_external_ip_networks may have hosts' own addresses"


class Owner(NamedTuple):
    """Who has an address.

    :ivar name: in words, as "node node1".
    :ivar is_host: the administrator may allow services at its addresses.
    :ivar ports: (protocol, port) that its programs are known to listen on.
    :ivar node: the node whose address it is by the inventory or the Northbound database; empty: they don't say.
    :ivar reported: only its kubelet says so.
    """

    name: str
    is_host: bool = True
    ports: frozenset[tuple[str, int]] = frozenset()
    node: str = ""
    reported: bool = False


EXTERNAL_ROUTER = Owner("an external router", is_host=False)


class Served(NamedTuple):
    """A service without the addresses that are not served.

    :ivar refusals: what is not served, and why, in words.
    """

    service: Service
    refusals: tuple[str, ...] = ()


def not_served(parts: Sequence[str]) -> str:
    """Return what is not served as one text for an event; empty: there is nothing."""
    return listed("not served: ", parts)


def listed(beginning: str, parts: Sequence[str]) -> str:
    """Return sentences as one text for an event, those that say the same of several things as one; empty: there are
    none.

    A text that would be too long says how many there are.
    """
    if not parts:
        return ""
    subjects: dict[str, list[str]] = {}
    for part in parts:
        subject, verb, rest = part.partition(" is ")
        subjects.setdefault(verb + rest, []).append(subject)
    sentences = [
        f"{', '.join(several)}: each{rest}" if len(several) > 1 and rest else "; ".join(one + rest for one in several)
        for rest, several in subjects.items()
    ]
    text = beginning + "; ".join(sentences)
    if len(text) <= LONGEST_MESSAGE:
        return text
    end = f" ... ({len(parts)} in all)"
    return text[: LONGEST_MESSAGE - len(end)] + end


class AddressBook:
    """Who has which address: the overlay's networks, hosts and routers, and services.

    :param services: key -> service, the informer's store.
    :param host_networks: the networks in which services may name hosts' own addresses.
    """

    def __init__(self, services: Mapping[str, Service], host_networks: Iterable[str] = ()) -> None:
        self._services = services
        self._host_networks = tuple(map(ipaddress.ip_network, host_networks))
        self._networks: tuple[tuple[IPNetwork, str], ...] = ()
        self._owners: dict[str, dict[str, Owner]] = {}  # address -> source -> owner
        self._of_source: dict[str, tuple[str, ...]] = {}  # source -> addresses
        self._routers: Index[str] = Index()  # of default routes: address -> nodes
        self._routers_of: dict[str, tuple[str, ...]] = {}  # node -> addresses
        self._cluster: Index[str] = Index()  # cluster addresses
        self._outer: Index[str] = Index()  # addresses outside
        self._claims = Claims()
        self._claimed_ports: Index[tuple[str, int]] = Index()
        self._node_ports: Index[tuple[str, int]] = Index()

    # What is known.

    def set_networks(self, networks: Iterable[tuple[str, str]]) -> bool:
        """Replace the overlay's networks, pairs of a network and its use in words; return whether they have changed."""
        new = tuple((ipaddress.ip_network(network), use) for network, use in networks)
        changed = new != self._networks
        self._networks = new
        return changed

    def set_owner(self, source: str, owner: Owner | None, addresses: Collection[str] = ()) -> set[str]:
        """Replace what one source says of an owner; return the keys of the services that this concerns.

        :param source: who says it, for example a row or an object.
        :param owner: None: there is none any more.
        """
        old = self._of_source.pop(source, ())
        before = {ip: self._owners[ip].pop(source) for ip in old}
        after = {} if owner is None else dict.fromkeys(addresses, owner)
        for ip in after:
            self._owners.setdefault(ip, {})[source] = after[ip]
        for ip in old:
            if not self._owners[ip]:
                del self._owners[ip]
        if after:
            self._of_source[source] = tuple(after)
        changed = {ip for ip in {*before, *after} if before.get(ip) != after.get(ip)}
        return self._cluster.of(changed) | self._outer.of(changed)

    def set_routers(self, node: str, routers: tuple[str, ...]) -> set[str]:
        """Replace the routers of default routes that a node tells; return the keys of the services that this concerns.

        Its host alone says so: no service loses an address for it that is its cluster address or a balancer's, and no
        node one of its own.
        """
        old = self._routers_of.pop(node, ())
        if routers:
            self._routers_of[node] = routers
        if old == routers:
            return set()
        self._routers.replace(node, old, routers)
        return self._outer.of({*old, *routers})

    def slice_changed(self, key: str, old: EndpointSlice | None, new: EndpointSlice | None) -> set[str]:
        """Take in a change of an endpoint slice: that of the API servers names hosts, which need not be nodes.

        Return the keys of the services that this concerns.
        """
        if API_SERVICE not in [part.service for part in (old, new) if part is not None]:
            return set()
        if new is None or new.service != API_SERVICE:
            return self.set_owner(f"slice {key}", None)
        owner = Owner("an API server", ports=frozenset((port.protocol, port.port) for port in new.ports))
        return self.set_owner(f"slice {key}", owner, [endpoint.address for endpoint in new.endpoints])

    def update(self, key: str, old: Service | None, new: Service | None) -> set[str]:
        """Take in a change of a service; return the keys of the other services that this concerns."""
        before, after = _Entries.of(old), _Entries.of(new)
        self._cluster.replace(key, before.cluster, after.cluster)
        self._outer.replace(key, before.outer, after.outer)
        self._claimed_ports.replace(key, before.claimed_ports, after.claimed_ports)
        self._node_ports.replace(key, before.node_ports, after.node_ports)
        cluster = before.cluster | after.cluster
        concerned = self._cluster.of(cluster) | self._outer.of(cluster)
        concerned |= self._claims.replace(before.claims, after.claims)
        if before.node_ports != after.node_ports:
            concerned |= self._claimed_ports.of(before.node_ports | after.node_ports)
        return concerned - {key}

    # What follows from it.

    def network_of(self, ip: str) -> tuple[str, str] | None:
        """Return the overlay's network that an address is in, and its use in words; None: it is in none."""
        address = ipaddress.ip_address(ip)
        for network, use in self._networks:
            if address.version == network.version and address in network:
                return str(network), use
        return None

    def known_within(self, network: IPNetwork) -> tuple[str, Owner] | None:
        """Return an address in a network that the inventory, the API server or a gateway's routes name, and its owner;
        None: there is none. What kubelets report of themselves does not count.
        """
        return next(((ip, owner) for ip, owner in self.known() if ipaddress.ip_address(ip) in network), None)

    def known(self) -> Iterator[tuple[str, Owner]]:
        """Yield such addresses with their owners."""
        for ip, owners in self._owners.items():
            yield from ((ip, one) for one in owners.values() if not one.reported)

    def owners(self, ip: str) -> Mapping[str, Owner]:
        """Return who has an address: source -> owner."""
        return self._owners.get(ip, {})

    def served(self, service: Service) -> Served:
        """Return the service with the addresses that are served."""
        cluster = {ip: self._why_not_cluster(service, ip) for ip in service.cluster_ips}
        outer = {ip: self._why_not_outer(service, ip) for ip in service.external_ips}
        claims = {one: self._why_not_port(service, one) for one in service.claims() if not outer[one.address]}
        reasons = (*cluster.items(), *outer.items(), *claims.items())
        refusals = tuple(f"{what} {reason}" for what, reason in reasons if reason) + service.unusable
        if not refusals:
            return Served(service)
        left = service._replace(
            cluster_ips=tuple(ip for ip, reason in cluster.items() if not reason),
            external_ips=tuple(ip for ip, reason in outer.items() if not reason),
            taken=frozenset(claim for claim, reason in claims.items() if reason),
        )
        return Served(left, refusals)

    def _why_not_cluster(self, service: Service, ip: str) -> str | None:
        """Return why a cluster address is not served; None when it is."""
        network = self.network_of(ip)
        if network and network[1] != SERVICES_USE:
            return f"is in {network[1]} {network[0]}"
        for owner in self.owners(ip).values():
            return f"is an address of {owner.name}"
        for key in self._cluster.get(ip):
            if self._is_older(key, service):
                return f"is a cluster address of service {key}"
        return None

    def _why_not_outer(self, service: Service, ip: str) -> str | None:
        """Return why an address outside is not served; None when it is."""
        network = self.network_of(ip)
        if network:
            return f"is in {network[1]} {network[0]}"
        for key in self._cluster.get(ip):
            return f"is a cluster address of service {key}"
        for owner in self.owners(ip).values():
            if not owner.is_host:
                return f"is an address of {owner.name}"
            if ip not in service.balancer_ips and not self._is_allowed(ip):
                return f"is an address of {owner.name}: {ADVICE}"
        if ip not in service.balancer_ips and not self.owners(ip) and self._routers.get(ip):
            return f"is an address of {EXTERNAL_ROUTER.name}"
        return None

    def _is_allowed(self, ip: str) -> bool:
        address = ipaddress.ip_address(ip)
        return any(address.version == network.version and address in network for network in self._host_networks)

    def _why_not_port(self, service: Service, claim: Claim) -> str | None:
        """Return why a port of an address outside is not served; None when it is."""
        port = claim.protocol, claim.port
        owners = self.owners(claim.address).values()
        if owners:
            if claim.port in HOST_PORTS.get(claim.protocol, ()) or any(port in owner.ports for owner in owners):
                return "is the host's own"
            for key in self._node_ports.get(port):
                return f"is a node port of service {key}"
        first = self._claims.first(claim)
        if first is not None and first.key != service.key:
            return f"is served for service {first.key}"
        return None

    def _is_older(self, key: str, service: Service) -> bool:
        """Return whether the service of this key was created before another one."""
        other = self._services.get(key)
        return other is not None and (other.created, key) < (service.created, service.key)


class _Entries(NamedTuple):
    """What the book has of a service."""

    cluster: frozenset[str] = frozenset()
    outer: frozenset[str] = frozenset()
    claims: Mapping[Claim, Claimant] = {}
    claimed_ports: frozenset[tuple[str, int]] = frozenset()
    node_ports: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def of(cls, service: Service | None) -> _Entries:
        """Return the entries of a service."""
        if service is None:
            return cls()
        claims = claimants(service)
        return cls(
            frozenset(service.cluster_ips),
            frozenset(service.external_ips),
            claims,
            frozenset((claim.protocol, claim.port) for claim in claims),
            frozenset((port.protocol, port.node_port) for port in service.ports if port.node_port),
        )
