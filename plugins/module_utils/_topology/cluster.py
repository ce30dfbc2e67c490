# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cluster's own rows: one distributed router, one join switch, and the load balancer groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import addressing, names
from .._common.address_rules import join_network
from .._ovsdb.rows import Owner, Row
from .problems import Problem, families, judge, network_problems, raise_first

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

OWNER = Owner("Cluster", "cluster")
ROLES = (  # every row with owner keys that a cluster may have, or had in an earlier release: (table, role)
    ("Logical_Router", "router"),
    ("Logical_Router_Port", "router-to-join"),
    ("Logical_Switch", "join"),
    ("Logical_Switch_Port", "join-to-router"),
)
JOIN_SUBNETS = {4: "100.64.0.0/16", 6: "fd98::/64"}  # by IP version, where the user names none
# Neighbours that a router learns are rows of the Southbound database, and pods announce themselves: without these
# options (ovn-nb(5), Logical_Router) each address that ever was there would stay. Seconds.
LEARNING = {"always_learn_from_arp_request": "false", "mac_binding_age_threshold": "300"}


@dataclass(frozen=True)
class Cluster:
    """Settings of the cluster.

    :ivar subnets: the pods' networks, one of each family at most.
    :ivar join_subnets: the networks between the cluster router and the gateway routers, of the same families;
        empty: :data:`JOIN_SUBNETS`.
    """

    subnets: tuple[str, ...]
    join_subnets: tuple[str, ...] = ()

    def joins(self) -> tuple[str, ...]:
        """Return the join subnets: the user's, else one for each family of the pods' networks."""
        return self.join_subnets or tuple(JOIN_SUBNETS[addressing.family(subnet)] for subnet in self.subnets)


def problems(cluster: Cluster, gateways: int = 0) -> Iterator[Problem]:
    """Yield what can't work.

    :param gateways: the number of gateways that the join networks must have addresses for.
    """
    found = list(network_problems("cluster_subnets", cluster.subnets))
    yield from found
    if found:
        return
    join_subnets = cluster.joins()
    found = list(network_problems("join_subnets", join_subnets))
    yield from found
    if found:
        return
    joins, pods = ", ".join(join_subnets), ", ".join(cluster.subnets)
    if families(join_subnets) != families(cluster.subnets):
        yield Problem("join_subnets", f"must have a network of each family of the pods' network {pods}", "", joins)
    for join in join_subnets:
        for subnet in cluster.subnets:
            if addressing.overlap(subnet, join):
                yield Problem("join_subnets", f"overlaps the pods' network {subnet}", "choose another one", join)
        yield from judge("join_subnets", "", join_network, join, gateways)


def check(cluster: Cluster, gateways: int = 0) -> None:
    """Refuse what can't work; :raises SettingsError: the first of :func:`problems`."""
    raise_first(problems(cluster, gateways))


def rows(cluster: Cluster) -> list[Row]:
    """Return the cluster's rows, in the order in which a packet from a pod to the physical network meets them."""
    router = names.CLUSTER_ROUTER
    router_port, switch_port = names.router_to_join(router), names.join_to_router(router)
    addresses = tuple(addressing.nth(subnet, addressing.ROUTER) for subnet in cluster.joins())
    # For the watcher: no service and no node has an address in them.
    networks = {
        names.CLUSTER_SUBNETS_KEY: ",".join(cluster.subnets),
        names.JOIN_SUBNETS_KEY: ",".join(cluster.joins()),
    }
    return [
        Row("Load_Balancer_Group", OWNER, "lb-group", names.LB_GROUP_ALL, kind="named"),
        Row("Load_Balancer_Group", OWNER, "lb-group-switches", names.LB_GROUP_SWITCHES, kind="named"),
        Row("Load_Balancer_Group", OWNER, "lb-group-routers", names.LB_GROUP_ROUTERS, kind="named"),
        Row(
            "Logical_Router",
            OWNER,
            "router",
            router,
            columns={"external_ids": {names.CLUSTER_ROUTER_MARK: "yes"}, "options": LEARNING},
        ),
        Row(
            "Logical_Router_Port",
            OWNER,
            "router-to-join",
            router_port,
            router,
            {"networks": addresses, "mac": addressing.mac_of(addresses), "external_ids": {names.JOIN_MARK: "yes"}},
        ),
        Row("Logical_Switch", OWNER, "join", names.JOIN_SWITCH, columns={"external_ids": networks}),
        Row("Logical_Switch_Port", OWNER, "join-to-router", switch_port, names.JOIN_SWITCH, router_peer(router_port)),
    ]


def absent_rows() -> list[Row]:
    """Return the rows without owner keys that are removed with the cluster."""
    return [
        Row("Load_Balancer_Group", OWNER, "lb-group", name, kind="named", present=False)
        for name in (
            names.LB_GROUP_ALL,
            names.LB_GROUP_SWITCHES,
            names.LB_GROUP_ROUTERS,
            names.LB_GROUP_SWITCHES_RANGES,
            names.LB_GROUP_ROUTERS_RANGES,
        )
    ]


def router_peer(router_port: str) -> dict[str, Any]:
    """Return the columns of a switch port that is connected to ``router_port`` (ovn-nb(5), Logical_Switch_Port, type
    router)."""
    return {"type": "router", "options": {"router-port": router_port}, "addresses": ("router",)}
