# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What one host's own network stack does for services, and for pods with host ports.

A node port leads to the service's cluster address, where OVN's load balancer chooses the endpoint. Addresses outside
do so too, for the host's own connections and for what comes in by whatever NIC, as in kube-proxy. So the host's rules
name endpoints only in three cases: a service whose traffic from outside stays on the host, a service with an endpoint
at the host's own address, and one with session affinity, since OVN sees the host's address in the client's place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from .._common import addressing
from .._netlink.listening import Listener, LocalHost
from .._pods.model import PodHostPorts
from .addresses import of_version
from .host_rule_records import (
    HealthCheck,
    HostPortRule,
    HostRules,
    NodePortRule,
    NodePortTargets,
    PortRule,
    ServiceAddressRule,
)
from .model import Service, ServicePort, Target
from .nodes import Place
from .service_state import ServiceState

NOTHING_LOCAL = LocalHost()
MAXIMUM_BALANCED = 1000  # endpoints of one port among which a host chooses by the client's address


def needs_rules(service: Service) -> bool:
    """Return whether hosts need rules or answers for a service, whatever its endpoints are."""
    return service.has_node_ports or service.health_port is not None or bool(service.external_ips)


def names_endpoints(service: Service) -> bool:
    """Return whether the rules may name its endpoints, wherever these are."""
    by_client = service.affinity and not service.learned_affinity and needs_rules(service)
    return service.external_local or by_client or (service.internal_local and bool(service.external_ips))


def host_rules(
    node: str,
    link: str,
    pod_networks: Iterable[str],
    hosts: Mapping[str, Sequence[str]],
    states: Iterable[ServiceState],
    pods: Iterable[PodHostPorts] = (),
    local: LocalHost = NOTHING_LOCAL,
    zone: str = "",
) -> HostRules:
    """Return the rules of one host.

    An address of another host is left to that host, and a port that this host's own programs listen on is theirs.

    :param node: the name of the host's node.
    :param link: the link of its management port.
    :param hosts: name of a node -> its own addresses, of all nodes.
    :param states: services that need rules, or have an endpoint at this host's own addresses.
    :param pods: the host's pods with host ports.
    :param local: the host's own addresses and listening programs.
    :param zone: that the host is in; empty: not known.
    """
    place = Place(node, zone)
    node_ports: list[NodePortRule] = []
    addresses: list[ServiceAddressRule] = []
    outside: list[ServiceAddressRule] = []
    here = {*hosts.get(node, ()), *local.addresses}
    elsewhere = {ip for name, own in hosts.items() if name != node for ip in own} - here
    for state in states:
        for port in state.service.ports:
            cluster: dict[int, tuple[Target, ...]] = {}
            for ip in state.service.cluster_ips:
                version = addressing.family(ip)
                cluster[version], own = _cluster_targets(place, hosts.get(node, ()), state, port, ip)
                addresses += own
            outside += [
                rule
                for rule in _external_addresses(place, hosts.get(node, ()), state, port, cluster)
                if rule.address not in elsewhere
                and not (rule.address in here and local.listens(rule.protocol, rule.address, rule.port))
            ]
            if port.node_port:
                to = {version: _by_client(place, state, port, version, targets) for version, targets in cluster.items()}
                node_ports.append(_node_port(node, port.node_port, state, port, hosts, to))
    host_ports = _host_ports(pods)
    return HostRules(
        link,
        tuple(pod_networks),
        tuple(sorted(ip for own_addresses in hosts.values() for ip in own_addresses)),
        tuple(sorted(node_ports, key=lambda rule: (rule.protocol, rule.port))),
        tuple(sorted(addresses, key=_order)),
        host_ports,
        tuple(sorted(outside, key=_order)),
        _kept_ports(host_ports, local),
    )


def _order(rule: ServiceAddressRule) -> tuple[int, str, str, int]:
    return rule.version, rule.address, rule.protocol, rule.port


def _kept_ports(host_ports: Iterable[HostPortRule], local: LocalHost) -> tuple[Listener, ...]:
    """Return what programs of the host listen on, of the ports that lead to pods too."""
    ports = {(rule.protocol, rule.port) for rule in host_ports}
    kept = [listener for listener in local.listeners if (listener.protocol, listener.port) in ports]
    return tuple(sorted(kept, key=lambda one: (one.protocol, one.port, one.address or "")))


def _cluster_targets(
    place: Place, own_addresses: Sequence[str], state: ServiceState, port: ServicePort, ip: str
) -> tuple[tuple[Target, ...], list[ServiceAddressRule]]:
    """Return where connections to a cluster address go, and the rule for the host's own connections to it.

    OVN balances. But when an endpoint is at the host's own address, a packet that went through OVN would come back with
    the host's own source address, and the host drops that. So the host balances then.
    """
    service, version = state.service, addressing.family(ip)
    local = service.internal_local
    targets = tuple(state.targets(port, version, place.node) if local else state.targets_for(place, port, version))
    if not any(target.address in own_addresses for target in targets):
        return (Target(ip, port.port),), []
    rule = ServiceAddressRule(version, port.protocol.lower(), ip, port.port, targets, service.affinity)
    return (tuple(state.targets_for(place, port, version)) if local else targets), [rule]


def _by_client(
    place: Place, state: ServiceState, port: ServicePort, version: int, targets: tuple[Target, ...]
) -> tuple[Target, ...]:
    """Return where connections of clients go that come to this host: with affinity, straight to the endpoints.

    Through the cluster address they would have the host's own address, and all clients one endpoint. Where affinity has
    a time-out they do: only OVN remembers clients.
    """
    if not state.service.affinity or state.service.learned_affinity:
        return targets
    endpoints = tuple(state.targets_for(place, port, version))
    return endpoints if 0 < len(endpoints) <= MAXIMUM_BALANCED else targets


def _external_addresses(
    place: Place,
    own_addresses: Sequence[str],
    state: ServiceState,
    port: ServicePort,
    cluster: Mapping[int, tuple[Target, ...]],
) -> Iterator[ServiceAddressRule]:
    """Yield the rules for connections to addresses outside: the host's own, which need not leave it first, and others.

    ``internalTrafficPolicy`` is not for these addresses, and ``externalTrafficPolicy`` not for the host's own
    connections: those may go to any endpoint.
    """
    service = state.service
    for version in (4, 6):
        addresses = of_version(service.external_ips_of(port), version)
        if not addresses:
            continue
        targets = tuple(state.targets_for(place, port, version)) if service.internal_local else cluster.get(version)
        if not targets:
            continue
        local = tuple(state.targets(port, version, place.node)) if service.external_local else None
        to = _by_client(place, state, port, version, targets)
        for ip in addresses:
            sources = _sources(service, ip, own_addresses)
            yield ServiceAddressRule(
                version, port.protocol.lower(), ip, port.port, to, service.affinity, local, sources
            )


def _sources(service: Service, ip: str, own_addresses: Sequence[str]) -> tuple[str, ...] | None:
    """Return the networks whose clients may connect to an address outside.

    A host that has the address itself (a balancer may have given it) connects to it from this very address. It may
    where its own address may, as in kube-proxy.
    """
    ranges = service.ranges_of(ip)
    if ranges is None or not any(_is_inside(own, ranges) for own in own_addresses):
        return ranges
    return ranges if _is_inside(ip, ranges) else (*ranges, addressing.single(ip))


def _is_inside(ip: str, networks: Sequence[str]) -> bool:
    return addressing.inside(addressing.single(ip), networks)


def _node_port(
    node: str,
    number: int,
    state: ServiceState,
    port: ServicePort,
    hosts: Mapping[str, Sequence[str]],
    cluster: Mapping[int, tuple[Target, ...]],
) -> NodePortRule:
    """Return the rule of one node port."""
    service, protocol = state.service, port.protocol.lower()
    if not service.external_local:
        targets = tuple(NodePortTargets(version, to) for version, to in cluster.items())
        return NodePortRule(protocol, number, targets, service.affinity)
    nodes = state.nodes()
    by_version = []
    for version, to in cluster.items():
        local = tuple(state.targets(port, version, node))
        other_hosts = tuple(
            Target(ip, number)
            for name in nodes
            if state.targets(port, version, name)
            for ip in of_version(hosts.get(name, ()), version)
        )
        by_version.append(NodePortTargets(version, to, local, other_hosts))
    return NodePortRule(protocol, number, tuple(by_version), service.affinity)


def _host_ports(pods: Iterable[PodHostPorts]) -> tuple[HostPortRule, ...]:
    """Return the rules of host ports, sorted; a port at one address comes before the same port at all addresses."""
    rules = {
        HostPortRule(addressing.family(ip), port.protocol, port.port, port.address, Target(ip, port.target_port))
        for pod in pods
        for port in pod.ports
        for ip in pod.addresses
        if port.address is None or addressing.family(port.address) == addressing.family(ip)
    }
    return tuple(
        sorted(
            rules,
            key=lambda rule: (
                rule.version,
                rule.protocol,
                rule.port,
                rule.address is None,
                rule.address or "",
                rule.target,
            ),
        )
    )


def udp_rules(rules: HostRules) -> dict[int, set[PortRule]]:
    """Return what the rules do with each UDP port."""
    result: dict[int, set[PortRule]] = {}
    everything: tuple[PortRule, ...] = (
        *rules.node_ports,
        *rules.host_ports,
        *rules.service_addresses,
        *rules.outside_addresses,
    )
    for rule in everything:
        if rule.protocol == "udp":
            result.setdefault(rule.port, set()).add(rule)
    return result


def changed_ports(old: Mapping[int, object], new: Mapping[int, object]) -> set[int]:
    """Return the ports for which old and new rules differ; conntrack must forget their clients."""
    return {port for port in {*old, *new} if old.get(port) != new.get(port)}


def health_checks(node: str, states: Iterable[ServiceState]) -> dict[int, HealthCheck]:
    """Return the health checks that a host answers, by their port."""
    result = {}
    for state in states:
        service = state.service
        if service.health_port is not None:
            ready = {
                endpoint.address
                for part in state.slices
                for endpoint in part.endpoints
                if endpoint.node == node and endpoint.ready
            }
            result[service.health_port] = HealthCheck(service.namespace, service.name, len(ready))
    return result
