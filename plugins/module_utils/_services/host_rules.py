# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host does for services with its own stack: node ports at its own addresses, and health checks of outer load balancers.

A node port leads to the service's cluster address, where OVN balances it, and so do the host's own connections to an address outside. So the host
knows no endpoints, but for services whose traffic from outside stays on the host, and for those that have an endpoint of the host itself.
"""

from __future__ import annotations

from typing import NamedTuple

from .._common import addressing
from .._host.desired import HostPort, NodePort, OwnService, ServiceRules
from .northbound import backends


class Check(NamedTuple):
    """What a health check answers: how many ready endpoints of the service are here."""

    namespace: str
    name: str
    endpoints: int


def concerns(service):
    """Whether hosts have something to do for a service, whatever its endpoints are."""
    return service.node_ports or service.health_port is not None or bool(service.external_ips)


def rules(node, link, inside, hosts, services, pods=()):
    """The rules.

    :param node: name of the host's node, :param link: its management port's link, :param inside: the pods' networks.
    :param hosts: node name -> addresses.
    :param services: (service, its slices) of all that concern hosts, or have an endpoint of this one itself.
    :param pods: (host ports, addresses) of the host's pods: (protocol, port, address of the host or None, port of the pod).
    """
    mine, node_ports, own = hosts.get(node, ()), [], []
    for service, slices in services:
        for port in service.ports:
            cluster = []
            for ip in service.cluster_ips:
                version = addressing.family(ip)
                targets = ((ip, port.port),)
                found = tuple(map(_split, backends(port, version, slices, node if service.internal_local else None)))
                if any(address in mine for address, _number in found):
                    own.append(OwnService(version, port.protocol.lower(), ip, port.port, found, service.affinity))
                    targets = (
                        found if not service.internal_local else tuple(map(_split, backends(port, version, slices)))
                    )
                cluster.append((version, targets))
            own += _outside(service, port, slices, cluster)
            if port.node_port:
                node_ports.append(_node_port(node, service, port, slices, hosts, tuple(cluster)))
    return ServiceRules(
        link,
        tuple(inside),
        tuple(sorted(ip for addresses in hosts.values() for ip in addresses)),
        tuple(sorted(node_ports, key=lambda one: (one.protocol, one.port))),
        tuple(sorted(own, key=lambda one: (one.version, one.address, one.protocol, one.port))),
        _host_ports(pods),
    )


def _outside(service, port, slices, cluster):
    """The host's own connections to addresses outside need not leave first. The internal traffic policy is not theirs: they may go to any endpoint."""
    for ip in service.external_ips:
        version = addressing.family(ip)
        targets = (
            tuple(map(_split, backends(port, version, slices)))
            if service.internal_local
            else dict(cluster).get(version)
        )
        if targets:
            yield OwnService(version, port.protocol.lower(), ip, port.port, targets, service.affinity)


def _node_port(node, service, port, slices, hosts, cluster):
    if not service.external_local:
        return NodePort(port.protocol.lower(), port.node_port, cluster, affinity=service.affinity)
    local = tuple((version, tuple(map(_split, backends(port, version, slices, node)))) for version, _targets in cluster)
    nodes = sorted({endpoint.node for one in slices for endpoint in one.endpoints if endpoint.node})
    elsewhere = tuple(
        (
            version,
            tuple(
                (ip, port.node_port)
                for name in nodes
                if backends(port, version, slices, name)
                for ip in hosts.get(name, ())
                if addressing.family(ip) == version
            ),
        )
        for version, _targets in cluster
    )
    return NodePort(port.protocol.lower(), port.node_port, cluster, local, elsewhere, service.affinity)


def _host_ports(pods):
    """Those of one address go before those of all."""
    found = {
        HostPort(addressing.family(ip), protocol, port, where, (ip, target))
        for host_ports, addresses in pods
        for protocol, port, where, target in host_ports
        for ip in addresses
        if where is None or addressing.family(where) == addressing.family(ip)
    }
    return tuple(
        sorted(
            found,
            key=lambda one: (one.version, one.protocol, one.port, one.address is None, one.address or "", one.target),
        )
    )


def udp(rules_):
    """UDP port -> what these rules do with it."""
    found = {}
    for one in (*rules_.node_ports, *rules_.host_ports, *rules_.own):
        if one.protocol == "udp":
            found.setdefault(one.port, set()).add(one)
    return found


def stale(before, after):
    """Ports whose clients must not go on to where they went before: what is done with them differs."""
    return {port for port in {*before, *after} if before.get(port) != after.get(port)}


def checks(node, services):
    """port -> Check."""
    found = {}
    for service, slices in services:
        if service.health_port is not None:
            ready = {
                endpoint.address
                for one in slices
                for endpoint in one.endpoints
                if endpoint.node == node and endpoint.ready
            }
            found[service.health_port] = Check(service.namespace, service.name, len(ready))
    return found


def touches(slice_, addresses):
    """Whether one of a slice's endpoints is a host itself."""
    return slice_ is not None and any(endpoint.address in addresses for endpoint in slice_.endpoints)


def _split(pair):
    address, _colon, port = pair.rpartition(":")
    return address.strip("[]"), int(port)
