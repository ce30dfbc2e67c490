# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a node is: in the Northbound database a switch for its pods, and on the host the port that joins it to them."""

from __future__ import annotations

from dataclasses import dataclass

from .._common import addressing, names
from .._common.errors import SettingsError
from .._host.commands import command_files
from .._host.desired import Address, File, HostState, Link, Route, Sysctl
from .._ovsdb.rows import Owner, Ref, Row, SetMembers
from .cluster import one_of_each, router_peer

ROLES = (  # every row that a node may have, or had in an earlier release: (table, role)
    ("Logical_Switch", "switch"),
    ("Logical_Switch_Port", "management-port"),
    ("Logical_Switch_Port", "switch-to-router"),
    ("Logical_Router_Port", "router-to-switch"),
)
FORWARDING = "net.ipv4.ip_forward"


@dataclass(frozen=True)
class Node:
    """Settings of a node.

    :ivar name: Kubernetes' name of the host.
    :ivar subnets: its pods' subnets, one of each family of the cluster's.
    :ivar cluster_subnets: the pods' networks of the whole cluster.
    :ivar chassis: the host's system-id, by which a node is recognised under a new name; None where it isn't known.
    """

    name: str
    subnets: tuple
    cluster_subnets: tuple
    chassis: str | None = None

    @property
    def owner(self):
        """Whose rows a node's are."""
        return Owner("Node", names.node_name(self.name))

    def management_addresses(self):
        """The host's own addresses on the node switch, with prefix."""
        return tuple(addressing.nth(subnet, addressing.HOST) for subnet in self.subnets)


def check(node):
    """Refuse settings that can't work; :raises SettingsError: in one sentence."""
    one_of_each("cluster_ip_subnet", node.cluster_subnets)
    one_of_each("minion_switch_subnet", node.subnets)
    for subnet in node.subnets:
        if not addressing.inside(subnet, node.cluster_subnets):
            raise SettingsError(
                "minion_switch_subnet {} of node {} is outside the cluster's network {}: choose one inside it".format(
                    subnet, node.name, ", ".join(node.cluster_subnets)
                )
            )
        if addressing.network(subnet).num_addresses < 8:
            raise SettingsError(
                f"minion_switch_subnet {subnet} of node {node.name} is too small for the router, the host and pods: "
                "take /29 (IPv6: /125) or larger"
            )
    if sorted(map(addressing.family, node.subnets)) != sorted(map(addressing.family, node.cluster_subnets)):
        raise SettingsError(
            "minion_switch_subnet {} of node {} must have a subnet of each family of the cluster's network {}".format(
                ", ".join(node.subnets), node.name, ", ".join(node.cluster_subnets)
            )
        )


def check_apart(nodes, others):
    """Refuse subnets that two nodes share; ``others`` is node name -> subnets of nodes that exist. :raises SettingsError: in one sentence."""
    held = [(node.owner.name, subnet) for node in nodes for subnet in node.subnets]
    held += [(name, subnet) for name, subnets in others.items() for subnet in subnets]
    clash = addressing.first_overlap(held)
    if clash:
        # The one that is asked for now comes first in the sentence.
        (mine, subnet), (other, theirs) = sorted(clash, key=lambda one: one[0] in others)
        raise SettingsError(
            f"minion_switch_subnet {subnet} of node {mine} overlaps {theirs} of node {other}: give each node a subnet of its own"
        )


def rows(node):
    """The node's rows in the Northbound database, in the order in which a packet from a pod meets them."""
    owner, name = node.owner, node.owner.name
    router_port = names.router_to_switch(name)
    gateways = tuple(addressing.nth(subnet, addressing.ROUTER) for subnet in node.subnets)
    hosts = node.management_addresses()
    host_port = " ".join([addressing.mac_of(hosts)] + [cidr.split("/")[0] for cidr in hosts])
    other_config = {"subnet": None, "ipv6_prefix": None}
    for subnet in node.subnets:
        if addressing.family(subnet) == 4:
            other_config["subnet"] = subnet
        else:
            other_config["ipv6_prefix"] = subnet.split("/")[0]
    external_ids = {names.SUBNETS_KEY: ",".join(node.subnets)}
    if node.chassis:
        external_ids[names.CHASSIS_KEY] = node.chassis
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


@dataclass(frozen=True)
class NodeHost:
    """Settings of a node's own side: what its Open vSwitch and its kernel are to hold.

    :ivar node: the node.
    :ivar southbound: where ovn-controller finds the Southbound database.
    :ivar encap_type, encap_ip: the tunnels' kind, and their address on this host.
    :ivar mtu: of the pods' network, in bytes.
    :ivar datapath_type: system or netdev.
    :ivar forwarding: net.ipv4.ip_forward as it was before; None: not known.
    :ivar hostname: external_ids:hostname of Open vSwitch as it was before, "" where there was none; None: not known.
    :ivar routes: more networks that lead into the overlay (the services', the join network).
    :ivar programs: whether the archive of the programs is here, so that its commands belong into the PATH.
    """

    node: Node
    southbound: str
    encap_type: str
    encap_ip: str
    mtu: int
    datapath_type: str
    routes: tuple = ()
    programs: bool = False
    forwarding: str | None = None
    hostname: str | None = None


def host_rows(host):
    """The node's rows in the host's own Open_vSwitch database."""
    node = host.node
    owner, name = Owner("Node", "host"), node.owner.name
    link = names.management_link(name)
    netdev = host.datapath_type == "netdev"
    datapath = "netdev" if netdev else ""
    before = {
        key: value
        for key, value in ((names.FORWARDING_KEY, host.forwarding), (names.HOSTNAME_KEY, host.hostname))
        if value is not None
    }
    return [
        Row(
            "Open_vSwitch",
            owner,
            "settings",
            ".",
            kind="shared",
            columns={
                "external_ids": {
                    "ovn-remote": host.southbound,
                    "ovn-encap-type": host.encap_type,
                    "ovn-encap-ip": host.encap_ip,
                    "ovn-bridge-datapath-type": datapath or None,
                    "hostname": name,
                }
            },
        ),
        # ovn-controller writes "system" too where nothing else is said, so that one is wanted, not the empty text that means the same.
        Row(
            "Bridge",
            owner,
            "integration-bridge",
            names.INTEGRATION_BRIDGE,
            ".",
            {
                "fail_mode": ("secure",),
                "datapath_type": host.datapath_type,
                "other_config": {"disable-in-band": "true"},
                "external_ids": before,
            },
            kind="adopted",
        ),
        Row("Port", owner, "management-port", link, names.INTEGRATION_BRIDGE, {}),
        Row(
            "Interface",
            owner,
            "management-interface",
            link,
            link,
            {
                "type": "internal",
                "mac": (addressing.mac_of(node.management_addresses()),),
                "mtu_request": (host.mtu,),
                "external_ids": {"iface-id": names.management_port(name)},
            },
        ),
    ]


def host_state(host):
    """The node's state of the host's kernel and files."""
    node, link = host.node, names.management_link(host.node.owner.name)
    inward = {
        addressing.family(subnet): addressing.nth(subnet, addressing.ROUTER, prefix=False) for subnet in node.subnets
    }
    routes = [
        Route(link, subnet, inward[addressing.family(subnet)])
        for subnet in node.cluster_subnets + host.routes
        if addressing.family(subnet) in inward
    ]
    return HostState(
        links=(Link(link, mtu=host.mtu),),
        addresses=tuple(Address(link, cidr) for cidr in node.management_addresses()),
        routes=tuple(routes),
        # Answers to pods may come back another way than they went when the host has several NICs: loose, not strict (RFC 3704).
        sysctls=(Sysctl(FORWARDING, "1"), Sysctl(f"net/ipv4/conf/{link}/rp_filter", "2")),
        files=command_files(host.programs),
    )


def host_gone(forwarding=None, hostname=None):
    """What a host without the node holds: it has back what it had; rows go because nothing wants them.

    :param forwarding: net.ipv4.ip_forward as it was before the node came; None: as it is now.
    :param hostname: external_ids:hostname as it was, "": there was none; None: as it is now.
    """
    owner = Owner("Node", "host")
    keys = dict.fromkeys(("ovn-remote", "ovn-encap-type", "ovn-encap-ip", "ovn-bridge-datapath-type"))
    if hostname is not None:
        keys["hostname"] = hostname or None
    rows_ = [
        Row("Open_vSwitch", owner, "settings", ".", kind="shared", columns={"external_ids": keys}),
        Row(
            "Bridge",
            owner,
            "integration-bridge",
            names.INTEGRATION_BRIDGE,
            kind="released",
            columns={"external_ids": {names.FORWARDING_KEY: None, names.HOSTNAME_KEY: None}},
        ),
    ]
    return rows_, HostState(
        sysctls=(Sysctl(FORWARDING, forwarding),) if forwarding else (),
        files=(File(names.CNI_CONFIGURATION, None), *command_files(False)),
    )
