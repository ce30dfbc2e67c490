# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A node in the Northbound database: a switch for its pods, and its port of the cluster router."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import address_rules, addressing, names
from .._ovsdb.rows import Owner, Ref, Row, SetMembers
from .cluster import router_peer
from .problems import Problem, families, judge, network_problems, raise_first

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ROLES = (  # every row that a node may have, or had in an earlier release: (table, role)
    ("Logical_Switch", "switch"),
    ("Logical_Switch_Port", "management-port"),
    ("Logical_Switch_Port", "switch-to-router"),
    ("Logical_Router_Port", "router-to-switch"),
)
SMALLEST_SUBNET = 8  # addresses: network, router, host, broadcast, and some pods


@dataclass(frozen=True)
class Node:
    """Settings of a node.

    :ivar name: Kubernetes' name of the host.
    :ivar subnets: its pods' subnets, one of each family of the cluster's.
    :ivar cluster_subnets: the pods' networks of the whole cluster.
    :ivar chassis: the host's system-id, which identifies a node under a new name; None: not known.
    :ivar encap_ips: the host's tunnel addresses; empty: not known.
    """

    name: str
    subnets: tuple[str, ...]
    cluster_subnets: tuple[str, ...]
    chassis: str | None = None
    encap_ips: tuple[str, ...] = ()

    @property
    def owner(self) -> Owner:
        """Return the owner of the node's rows."""
        return Owner("Node", names.node_name(self.name))

    def management_addresses(self) -> tuple[str, ...]:
        """Return the host's addresses on the node switch, with prefix length."""
        return tuple(addressing.nth(subnet, addressing.HOST) for subnet in self.subnets)


def problems(node: Node, mtu: int | None = None) -> Iterator[Problem]:
    """Yield what can't work.

    :param mtu: the pods' MTU in bytes; None: not set.
    """
    subject = f"node {node.name}"
    found = [
        *network_problems("cluster_subnets", node.cluster_subnets),
        *network_problems("node_subnets", node.subnets, subject),
    ]
    yield from found
    if found:
        return
    cluster = ", ".join(node.cluster_subnets)
    for subnet in node.subnets:
        if not addressing.inside(subnet, node.cluster_subnets):
            problem = f"is outside the pods' network {cluster}"
            yield Problem("node_subnets", problem, "choose one inside it", subnet, subject)
        elif addressing.network(subnet).num_addresses < SMALLEST_SUBNET:
            problem = "is too small for the router, the host and pods"
            yield Problem("node_subnets", problem, "take /29 (IPv6: /125) or larger", subnet, subject)
    if families(node.subnets) < families(node.cluster_subnets):
        problem = f"must have a subnet of each family of the pods' network {cluster}"
        yield Problem("node_subnets", problem, "", ", ".join(node.subnets), subject)
    if mtu is not None:
        yield from judge("mtu", "", address_rules.mtu, mtu, families(node.cluster_subnets))


def check(node: Node, mtu: int | None = None) -> None:
    """Refuse what can't work; :raises SettingsError: the first of :func:`problems`."""
    raise_first(problems(node, mtu))


def overlap_problems(nodes: Iterable[Node], others: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Yield the subnet that two nodes share.

    :param others: node name -> subnets of nodes that exist beside these.
    """
    pairs = [(node.owner.name, subnet) for node in nodes for subnet in node.subnets]
    pairs += [(name, subnet) for name, subnets in others.items() for subnet in subnets]
    overlap = addressing.first_overlap(pairs)
    if overlap:
        # The node of this call comes first in the sentence.
        (name, subnet), (other, other_subnet) = sorted(overlap, key=lambda labelled: labelled.label in others)
        problem = f"overlaps {other_subnet} of node {other}"
        yield Problem("node_subnets", problem, "give each node a subnet of its own", subnet, f"node {name}")


def rows(node: Node) -> list[Row]:
    """Return the node's rows in the Northbound database, in the order in which a packet from a pod meets them."""
    owner, name = node.owner, node.owner.name
    router_port = names.router_to_switch(name)
    gateways = tuple(addressing.nth(subnet, addressing.ROUTER) for subnet in node.subnets)
    hosts = node.management_addresses()
    host_port = " ".join([addressing.mac_of(hosts)] + [cidr.split("/")[0] for cidr in hosts])
    other_config: dict[str, str | None] = {"subnet": None, "ipv6_prefix": None}
    for subnet in node.subnets:
        if addressing.family(subnet) == 4:
            other_config["subnet"] = subnet
        else:
            other_config["ipv6_prefix"] = subnet.split("/")[0]
    external_ids = {names.SUBNETS_KEY: ",".join(node.subnets)}
    if node.chassis:
        external_ids[names.CHASSIS_KEY] = node.chassis
    if node.encap_ips:
        external_ids[names.ENCAP_IPS_KEY] = ",".join(node.encap_ips)
    return [
        Row(
            "Logical_Switch",
            owner,
            "switch",
            name,
            columns={
                "other_config": other_config,
                "external_ids": external_ids,
                "load_balancer_group": SetMembers(
                    (
                        Ref("Load_Balancer_Group", names.LB_GROUP_ALL),
                        Ref("Load_Balancer_Group", names.LB_GROUP_SWITCHES),
                    )
                ),
            },
        ),
        Row(
            "Logical_Switch_Port",
            owner,
            "management-port",
            names.management_port(name),
            name,
            {"addresses": (host_port,)},
        ),
        Row(
            "Logical_Switch_Port",
            owner,
            "switch-to-router",
            names.switch_to_router(name),
            name,
            router_peer(router_port),
        ),
        Row(
            "Logical_Router_Port",
            owner,
            "router-to-switch",
            router_port,
            names.CLUSTER_ROUTER,
            {"networks": gateways, "mac": addressing.mac_of(gateways)},
        ),
    ]
