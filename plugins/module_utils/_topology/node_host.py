# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A node on its own host: what its Open vSwitch and its kernel must have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .._common import addressing, names
from .._host.commands import command_files
from .._host.desired import Address, File, HostState, Link, Route, Sysctl
from .._host.drop_watch import DropWatch
from .._host.liberal_conntrack import LiberalConntrack
from .._ovsdb import access
from .._ovsdb.rows import Owner, Row
from .node import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FORWARDING = "net.ipv4.ip_forward"


@dataclass(frozen=True)
class NodeHost:
    """Settings of a node's own host.

    :ivar node: the node.
    :ivar southbound: remote of the Southbound database, for ovn-controller.
    :ivar encap_type: the kind of the tunnels.
    :ivar encap_ip: the tunnels' address on this host.
    :ivar mtu: of the pods' network, in bytes.
    :ivar datapath_type: ``system`` or ``netdev``.
    :ivar routes: more networks that are reached through the overlay: the services', the join network.
    :ivar own_links: the overlay's links on this host, also of a former name: their routes may be replaced, those of
        other links are somebody's own.
    :ivar programs: whether the archive of the programs is on this host, so that its commands belong into the PATH.
    :ivar scale: more keys of ovn-controller's, such as ``ovn-monitor-all``; None: the key goes.
    :ivar saved_forwarding: net.ipv4.ip_forward before the node came; None: not known.
    :ivar saved_hostname: external_ids:hostname of Open vSwitch before the node came, "" where there was none;
        None: not known.
    """

    node: Node
    southbound: str
    encap_type: str
    encap_ip: str
    mtu: int
    datapath_type: str
    routes: tuple[str, ...] = ()
    own_links: frozenset[str] = frozenset()
    programs: bool = False
    scale: Mapping[str, str | None] = field(default_factory=dict)
    saved_forwarding: str | None = None
    saved_hostname: str | None = None


def rows(host: NodeHost) -> list[Row]:
    """Return the node's rows in the host's own Open_vSwitch database."""
    node = host.node
    owner, name = Owner("Node", "host"), node.owner.name
    link = names.management_link(name)
    netdev = host.datapath_type == "netdev"
    datapath = "netdev" if netdev else ""
    saved = {
        key: value
        for key, value in ((names.FORWARDING_KEY, host.saved_forwarding), (names.HOSTNAME_KEY, host.saved_hostname))
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
                    **host.scale,
                }
            },
        ),
        *tls_rows(host.southbound),
        # The desired value is never empty: without a value ovn-controller writes "system", which means the same.
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
                "external_ids": saved,
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


def tls_rows(southbound: str) -> list[Row]:
    """Return the row from which ovn-controller takes its key and certificates for a Southbound database at ``ssl``.

    It reads the row and the files live, at each new connection. A row that nobody owns and that says the same, as
    ``ovs-vsctl set-ssl`` writes it, is taken over; any other one is refused before (:mod:`.foreign`), since Open
    vSwitch has one for all its own connections.
    """
    if not access.uses_tls(southbound):
        return []
    columns = {**access.CHASSIS_TLS, "bootstrap_ca_cert": False}
    return [Row("SSL", Owner("Node", "host"), "tls", ".", ".", columns, kind="known")]


def state(host: NodeHost) -> HostState:
    """Return the node's state of the host's kernel and files."""
    node, link = host.node, names.management_link(host.node.owner.name)
    router_ips = {
        addressing.family(subnet): addressing.nth(subnet, addressing.ROUTER, prefix=False) for subnet in node.subnets
    }
    routes = [
        Route(link, subnet, router_ips[addressing.family(subnet)], replaces=host.own_links)
        for subnet in node.cluster_subnets + host.routes
        if addressing.family(subnet) in router_ips
    ]
    return HostState(
        links=(Link(link, mtu=host.mtu),),
        addresses=tuple(Address(link, cidr) for cidr in node.management_addresses()),
        routes=tuple(routes),
        # With several NICs the reply to a pod may take another way than the request: loose mode, not strict (RFC 3704).
        sysctls=(Sysctl(FORWARDING, "1"), Sysctl(f"net/ipv4/conf/{link}/rp_filter", "2")),
        files=command_files(host.programs),
        companions=(DropWatch(), LiberalConntrack()) if host.datapath_type == "netdev" else (),
    )


def absent_rows(saved_hostname: str | None = None, scale: Iterable[str] = ()) -> list[Row]:
    """Return the rows of a host without the node. Rows with the node's owner keys beside them are deleted.

    :param scale: the keys of :attr:`NodeHost.scale` that it has.
    :param saved_hostname: external_ids:hostname before the node came, "": there was none; None: it stays as it is.
    """
    owner = Owner("Node", "host")
    keys: dict[str, str | None] = dict.fromkeys(
        ("ovn-remote", "ovn-encap-type", "ovn-encap-ip", "ovn-bridge-datapath-type", *scale)
    )
    if saved_hostname is not None:
        keys["hostname"] = saved_hostname or None
    return [
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


def absent_state(saved_forwarding: str | None = None) -> HostState:
    """Return the state of the kernel and files of a host without the node.

    :param saved_forwarding: net.ipv4.ip_forward before the node came; None: it stays as it is.
    """
    return HostState(
        sysctls=(Sysctl(FORWARDING, saved_forwarding),) if saved_forwarding else (),
        files=(File(names.CNI_CONFIGURATION, None), *command_files(False)),
    )
