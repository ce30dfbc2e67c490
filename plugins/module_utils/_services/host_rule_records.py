# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rules of a host for services, and for pods with host ports, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Union

from .._netlink.listening import Listener
from .model import Target


@dataclass(frozen=True)
class NodePortTargets:
    """Where a node port leads, of one IP version.

    :ivar cluster: the service's cluster address, or all its endpoints.
    :ivar local: the endpoints on this host, when traffic from outside stays here (``externalTrafficPolicy: Local``);
        else None.
    :ivar other_hosts: the node port at hosts that have endpoints, for this host's own connections when it has none.
    """

    version: int
    cluster: tuple[Target, ...]
    local: tuple[Target, ...] | None = None
    other_hosts: tuple[Target, ...] = ()


@dataclass(frozen=True)
class NodePortRule:
    """A port of each of the host's own addresses that leads to a service.

    :ivar protocol: tcp, udp or sctp.
    :ivar affinity: whether a client keeps its endpoint.
    """

    protocol: str
    port: int
    targets: tuple[NodePortTargets, ...]
    affinity: bool = False


@dataclass(frozen=True)
class ServiceAddressRule:
    """An address of a service.

    :ivar version: the IP version.
    :ivar protocol: tcp, udp or sctp.
    :ivar targets: where the connections go.
    :ivar affinity: whether a client keeps its endpoint.
    :ivar local: the endpoints on this host, for connections that come in, when traffic from outside stays here
        (``externalTrafficPolicy: Local``); else None.
    :ivar sources: the networks whose clients may connect, none within another; None: everybody may.
    """

    version: int
    protocol: str
    address: str
    port: int
    targets: tuple[Target, ...]
    affinity: bool = False
    local: tuple[Target, ...] | None = None
    sources: tuple[str, ...] | None = None


@dataclass(frozen=True)
class HostPortRule:
    """A port of the host that leads to a pod (``hostPort``).

    :ivar version: the IP version.
    :ivar protocol: tcp, udp or sctp.
    :ivar address: of the host; None: all addresses of the IP version.
    :ivar target: the pod's address and port.
    """

    version: int
    protocol: str
    port: int
    address: str | None
    target: Target


@dataclass(frozen=True)
class HostRules:
    """All rules of one host.

    :ivar link: the link of the management port.
    :ivar pod_networks: the networks of all pods.
    :ivar host_addresses: own addresses of all hosts, sorted.
    :ivar service_addresses: cluster addresses, for the host's own connections only: of services with an endpoint at
        the host.
    :ivar outside_addresses: addresses outside, for the host's own connections and for those that come in.
    :ivar kept_ports: ports of ``host_ports`` that programs of the host listen on, and keep.
    """

    link: str
    pod_networks: tuple[str, ...]
    host_addresses: tuple[str, ...]
    node_ports: tuple[NodePortRule, ...] = ()
    service_addresses: tuple[ServiceAddressRule, ...] = ()
    host_ports: tuple[HostPortRule, ...] = ()
    outside_addresses: tuple[ServiceAddressRule, ...] = ()
    kept_ports: tuple[Listener, ...] = ()


# What is done with one port of a protocol.
PortRule = Union[NodePortRule, ServiceAddressRule, HostPortRule]


class HealthCheck(NamedTuple):
    """The answer to a load balancer outside that checks this host.

    :ivar endpoints: how many ready endpoints of the service are on this host.
    """

    namespace: str
    name: str
    endpoints: int
