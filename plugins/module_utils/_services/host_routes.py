# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The routes between pods and the hosts' own addresses: through the host's management port, without a gateway.

Pods reach hosts through the overlay. One kind of packet must not go straight to the host that it is for: the answer to
a connection of another host to a node port, or to an address outside, with ``externalTrafficPolicy: Local``. The pod's
host has translated it and has kept the client's address, so the answer must go back through the pod's host. A routing
policy on the cluster router does that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .._common import addressing, names
from .._ovsdb.rows import Row
from .addresses import of_version
from .host import Host
from .service_state import ServiceState

# (table, role) of the rows; a host has one route for each of its addresses, whose role begins so.
ROLES = (
    ("Logical_Router_Static_Route", "host-"),
    ("Logical_Router_Policy", "replies-4"),
    ("Logical_Router_Policy", "replies-6"),
)
REPLIES_PRIORITY = 110  # above the policies that send a subnet's traffic to one gateway


def rows(host: Host, states: Sequence[ServiceState]) -> list[Row]:
    """Return the routes and the routing policies of one host.

    There is no route to an address that a gateway on a shared NIC has too, since that gateway's rows route it; nor to
    one inside the pods' subnets.

    :param states: services that keep a part of their traffic on the host.
    """
    result: list[Row] = []
    management = {
        addressing.family(subnet): addressing.nth(subnet, addressing.HOST, prefix=False) for subnet in host.subnets
    }
    for version, next_hop in sorted(management.items()):
        result += [
            _route(host, ip, next_hop)
            for ip in of_version(host.addresses, version)
            if ip not in host.gateway_addresses and not _is_inside(ip, host.subnets)
        ]
        sources = sorted(ip for ip in _kept_clients_endpoints(host, version, states) if _is_inside(ip, host.subnets))
        if sources:
            result.append(_reply_policy(host, version, next_hop, sources))
    return result


def _route(host: Host, ip: str, next_hop: str) -> Row:
    """Return the route to one address of the host."""
    return Row(
        "Logical_Router_Static_Route",
        host.owner,
        f"host-{ip}",
        parent=names.CLUSTER_ROUTER,
        columns={
            "ip_prefix": addressing.single(ip),
            "nexthop": next_hop,
            "output_port": (names.router_to_switch(host.name),),
        },
    )


def _reply_policy(host: Host, version: int, next_hop: str, sources: list[str]) -> Row:
    """Return the policy that sends answers to hosts back through the host that has translated the node port."""
    ip, hosts = f"ip{version}", names.HOST_ADDRESSES[version]
    return Row(
        "Logical_Router_Policy",
        host.owner,
        f"replies-{version}",
        parent=names.CLUSTER_ROUTER,
        columns={
            "priority": REPLIES_PRIORITY,
            "action": "reroute",
            "nexthops": (next_hop,),
            "match": f"{ip}.src == {{{', '.join(sources)}}} && {ip}.dst == ${hosts}",
        },
    )


def _kept_clients_endpoints(host: Host, version: int, states: Sequence[ServiceState]) -> set[str]:
    """Return the addresses of the host's endpoints that are reached with the client's address kept."""
    return {
        target.address
        for state in states
        if state.service.external_local
        for port in state.service.ports
        for target in state.targets(port, version, host.name)
    }


def _is_inside(ip: str, subnets: Iterable[str]) -> bool:
    return addressing.inside(addressing.single(ip), subnets)
