# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the cluster itself is: one distributed router, one join switch, the load balancer groups."""

from __future__ import annotations

from dataclasses import dataclass

from .._common import addressing, names
from .._common.errors import SettingsError
from .._ovsdb.rows import Owner, Row

OWNER = Owner("Cluster", "cluster")
ROLES = (  # every row with owner keys that a cluster may have, or had in an earlier release: (table, role)
    ("Logical_Router", "router"),
    ("Logical_Router_Port", "router-to-join"),
    ("Logical_Switch", "join"),
    ("Logical_Switch_Port", "join-to-router"),
)
JOIN_SUBNETS = {4: "100.64.0.0/16", 6: "fd98::/64"}


@dataclass(frozen=True)
class Cluster:
    """Settings of the cluster.

    :ivar subnets: the pods' networks, one of each family at most.
    :ivar join_subnets: the network between the cluster router and the gateway routers, of the same families.
    """

    subnets: tuple
    join_subnets: tuple = ()

    def joins(self):
        """The join subnets, given or by default one for each family of the pods' networks."""
        return self.join_subnets or tuple(JOIN_SUBNETS[addressing.family(subnet)] for subnet in self.subnets)


def check(cluster):
    """Refuse settings that can't work; :raises SettingsError: in one sentence."""
    one_of_each("cluster_ip_subnet", cluster.subnets)
    one_of_each("join_subnet", cluster.joins())
    if sorted(map(addressing.family, cluster.subnets)) != sorted(map(addressing.family, cluster.joins())):
        raise SettingsError(
            "join_subnet {} must have a network of each family of cluster_ip_subnet {}".format(
                ", ".join(cluster.joins()), ", ".join(cluster.subnets)
            )
        )
    for subnet in cluster.subnets:
        for join in cluster.joins():
            if addressing.overlap(subnet, join):
                raise SettingsError(f"cluster_ip_subnet {subnet} overlaps join_subnet {join}: choose another one")


def one_of_each(what, subnets):
    """Refuse a list that is empty, names a family twice, or holds something that is no network."""
    if not subnets:
        raise SettingsError(f"{what} is empty: give one IPv4 network, one IPv6 network, or one of each")
    families = [addressing.network(subnet, what).version for subnet in subnets]
    if len(families) != len(set(families)):
        raise SettingsError(
            "{} {} has two networks of one family: give at most one IPv4 and one IPv6 network".format(
                what, ", ".join(subnets)
            )
        )


def rows(cluster):
    """The cluster's rows, in the order in which a packet from a pod to the outside meets them."""
    router = names.CLUSTER_ROUTER
    router_port, switch_port = names.router_to_join(router), names.join_to_router(router)
    addresses = tuple(addressing.nth(subnet, addressing.ROUTER) for subnet in cluster.joins())
    return [
        Row("Load_Balancer_Group", OWNER, "lb-group", names.LB_GROUP_ALL, kind="named"),
        Row("Load_Balancer_Group", OWNER, "lb-group-switches", names.LB_GROUP_SWITCHES, kind="named"),
        Row("Load_Balancer_Group", OWNER, "lb-group-routers", names.LB_GROUP_ROUTERS, kind="named"),
        Row("Logical_Router", OWNER, "router", router, columns={"external_ids": {names.CLUSTER_ROUTER_MARK: "yes"}}),
        Row(
            "Logical_Router_Port",
            OWNER,
            "router-to-join",
            router_port,
            router,
            {"networks": addresses, "mac": addressing.mac_of(addresses), "external_ids": {names.JOIN_MARK: "yes"}},
        ),
        Row("Logical_Switch", OWNER, "join", names.JOIN_SWITCH),
        Row("Logical_Switch_Port", OWNER, "join-to-router", switch_port, names.JOIN_SWITCH, router_peer(router_port)),
    ]


def gone():
    """The rows that carry no owner keys and go with the cluster."""
    return [
        Row("Load_Balancer_Group", OWNER, "lb-group", name, kind="named", present=False)
        for name in (names.LB_GROUP_ALL, names.LB_GROUP_SWITCHES, names.LB_GROUP_ROUTERS)
    ]


def router_peer(router_port):
    """Columns of a switch port that is the other end of ``router_port`` (ovn-nb(5), Logical_Switch_Port, type router)."""
    return {"type": "router", "options": {"router-port": router_port}, "addresses": ("router",)}
