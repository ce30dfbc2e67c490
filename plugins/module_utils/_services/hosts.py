# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way between pods and the hosts' own addresses: through the host's management port, without a gateway.

A pod reaches a host through the overlay. One kind of packet must not go straight to the host that it is for: answers to another host's
connection to a node port that stays on the pod's host (externalTrafficPolicy Local). The pod's host has translated the node port and has kept
the client's address, so the answer goes back through it.
"""

from __future__ import annotations

from .._common import addressing, names
from .._ovsdb.rows import Row
from . import unserved
from .northbound import backends, host_owner

ROLES = (  # every row that a host may have by the watcher: (table, role); a host has one "host-" for each of its addresses
    ("Chassis_Template_Var", "variables"),
    ("Logical_Router_Static_Route", "host-"),
    ("Logical_Router_Policy", "replies-4"),
    ("Logical_Router_Policy", "replies-6"),
    *unserved.ROLES,
)
REPLIES_PRIORITY = 110  # above source subnets that are pinned to a gateway


def ways(name, subnets, addresses, gateway_addresses, others, services):
    """The rows of one host.

    :param subnets: of its pods.
    :param addresses: its own; those among ``gateway_addresses`` have their way already (a shared NIC's), those in the pods' subnets need none.
    :param others: addresses of all hosts.
    :param services: (service, its slices) of those that keep some traffic on the host.
    """
    owner, out = host_owner(name), []
    management = {
        addressing.family(subnet): addressing.nth(subnet, addressing.HOST, prefix=False) for subnet in subnets
    }
    for version, via in sorted(management.items()):
        mine = [
            ip
            for ip in addresses
            if addressing.family(ip) == version and ip not in gateway_addresses and not _inside(ip, subnets)
        ]
        out += [
            Row(
                "Logical_Router_Static_Route",
                owner,
                f"host-{ip}",
                parent=names.CLUSTER_ROUTER,
                columns={
                    "ip_prefix": addressing.single(ip),
                    "nexthop": via,
                    "output_port": (names.router_to_switch(name),),
                },
            )
            for ip in mine
        ]
        sources = sorted(ip for ip in _kept(name, version, services) if _inside(ip, subnets))
        hosts = sorted(ip for ip in others if addressing.family(ip) == version)
        if sources and hosts:
            out.append(
                Row(
                    "Logical_Router_Policy",
                    owner,
                    f"replies-{version}",
                    parent=names.CLUSTER_ROUTER,
                    columns={
                        "priority": REPLIES_PRIORITY,
                        "action": "reroute",
                        "nexthops": (via,),
                        "match": "ip{0}.src == {{{1}}} && ip{0}.dst == {{{2}}}".format(
                            version, ", ".join(sources), ", ".join(hosts)
                        ),
                    },
                )
            )
    return out


def _kept(name, version, services):
    """Addresses of the host's endpoints that node ports reach with their client's address kept."""
    found = set()
    for service, slices in services:
        if service.external_local and service.node_ports:
            for port in service.ports:
                found.update(pair.rpartition(":")[0].strip("[]") for pair in backends(port, version, slices, name))
    return found


def _inside(ip, subnets):
    return addressing.inside(addressing.single(ip), subnets)
