# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a gateway is: a router on one chassis between the join switch and the physical network.

Egress: the cluster router has one default route for each gateway (ECMP), and a route goes while its gateway is dead
(the program ``egress`` on the masters decides). A distributed router can't run BFD for its routes, and an HA chassis
group would send all traffic through one gateway at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from .._common import addressing, names
from .._common.address_rules import probe_address
from .._common.errors import SettingsError
from .._host.desired import HostState, IngressDrop, Link, NoOffload, Unaddressed
from .._nic.uplink import uplink_rows
from .._ovsdb.rows import ListMember, Owner, Ref, Row, SetMembers
from .cluster import router_peer

ROLES = (  # every row that a gateway may have, or had in an earlier release: (table, role)
    ("Logical_Router", "router"),
    ("Logical_Switch", "external"),
    *(("Logical_Router_Port", role) for role in ("router-to-join", "router-to-external")),
    *(("Logical_Switch_Port", role) for role in ("join-to-router", "external-to-router", "localnet")),
    *(
        ("Logical_Router_Static_Route", f"{role}-{version}")
        for role in ("egress", "cluster", "outside", "probe")
        for version in (4, 6)
    ),
    *(
        (table, f"{role}-{version}")
        for table, role in (("NAT", "snat"), ("NAT", "hop"), ("Logical_Router_Policy", "pinned"))
        for version in (4, 6)
    ),
)
PINNED_PRIORITY = 100


@dataclass(frozen=True)
class Gateway:
    """Settings of a gateway.

    :ivar node: Kubernetes' name of its host.
    :ivar cluster_subnets: the pods' networks.
    :ivar physical_ips: its addresses outside, with prefix, at most one of each family.
    :ivar next_hops: the routers outside, of the same families; empty: no way beyond the physical network.
    :ivar bridge: the bridge that leads to the physical network.
    :ivar chassis: the host's system-id; None: not known now.
    :ivar mtu: of the pods' network: larger packets from outside are answered with it (ICMP), since no tunnel would take them.
    :ivar pinned: subnets of pods whose traffic to the outside goes through this gateway alone; None: as the database has it.
    :ivar mac: its MAC outside: the NIC's, so that networks that filter MACs let it pass; None: not known now.
    :ivar shared: whether the host has the NIC too, and the same addresses and MAC.
    """

    node: str
    cluster_subnets: tuple
    physical_ips: tuple
    next_hops: tuple
    bridge: str
    chassis: str | None = None
    mac: str | None = None
    mtu: int | None = None
    shared: bool = False
    pinned: tuple | None = None

    @property
    def owner(self):
        """Whose rows a gateway's are."""
        return Owner("Gateway", names.node_name(self.node))


def check(gateway):
    """Refuse settings that can't work; :raises SettingsError: in one sentence."""
    seen = set()
    if not gateway.physical_ips:
        raise SettingsError(
            f"physical_ip of gateway {gateway.node} is empty: give its address outside, like 10.33.74.138/24"
        )
    for cidr in gateway.physical_ips:
        what = f"physical_ip of gateway {gateway.node}"
        face = addressing.interface(cidr, what)
        if face.version in seen:
            raise SettingsError(
                "{} names two addresses of one family: {}".format(what, ", ".join(gateway.physical_ips))
            )
        seen.add(face.version)
        edges = (face.network.network_address, face.network.broadcast_address)
        if face.version == 4 and face.network.prefixlen < 31 and face.ip in edges:
            raise SettingsError(
                f"{what} {cidr} is the network's own or broadcast address: choose a host address in {face.network}"
            )
        for subnet in gateway.cluster_subnets:
            if addressing.overlap(str(face.network), subnet):
                raise SettingsError(
                    f"{what} {cidr} lies in the cluster's network {subnet}: the physical network must be another one"
                )
    for hop in gateway.next_hops:
        what = f"default_gw of gateway {gateway.node}"
        ip = addressing.address(hop, what)
        mine = [face for face in map(addressing.interface, gateway.physical_ips) if face.version == ip.version]
        if not mine:
            raise SettingsError(f"{what} {hop} has no physical_ip of its family beside it: give one")
        if ip == mine[0].ip:
            raise SettingsError(f"{what} {hop} is the gateway's own address: give the router's")
        if (
            ip not in mine[0].network
            and mine[0].network.num_addresses > 1
            and not (ip.version == 6 and ip.is_link_local)
        ):
            raise SettingsError(
                f"{what} {hop} is not in the physical network {mine[0].network}: "
                f"give a router there, or a physical_ip with prefix /{ip.max_prefixlen}"
            )
    _check_pinned(gateway)


def _check_pinned(gateway):
    """Refuse source subnets that can't be pinned; :raises SettingsError: in one sentence."""
    for subnet in gateway.pinned or ():
        what = f"source subnet of gateway {gateway.node}"
        net = addressing.network(subnet, what)
        if not addressing.inside(subnet, gateway.cluster_subnets):
            raise SettingsError(
                "{} {} is outside the cluster's network {}: name subnets of pods".format(
                    what, subnet, ", ".join(gateway.cluster_subnets)
                )
            )
        if net.version not in {addressing.family(hop) for hop in gateway.next_hops}:
            raise SettingsError(f"{what} {subnet} needs a default_gw of its family: give one")


def check_apart(gateways, others):
    """Refuse an address that two gateways share, and a next hop that is another gateway.

    :param others: node name -> addresses of gateways that exist.
    :raises SettingsError: in one sentence.
    """
    taken = {cidr.split("/")[0]: name for name, cidrs in others.items() for cidr in cidrs}
    for gateway in gateways:
        for cidr in gateway.physical_ips:
            other = taken.setdefault(cidr.split("/")[0], gateway.owner.name)
            if other != gateway.owner.name:
                raise SettingsError(
                    f"physical_ip {cidr} of gateway {gateway.node} is gateway {other}'s already: "
                    "give each gateway an address of its own"
                )
    for gateway in gateways:
        for hop in gateway.next_hops:
            if taken.get(hop, gateway.owner.name) != gateway.owner.name:
                raise SettingsError(
                    f"default_gw {hop} of gateway {gateway.node} is gateway {taken[hop]}'s address: give the router's outside"
                )


def mark(down, versions):
    """What a gateway's router is marked with while its default traffic of these families is to go elsewhere; None: nothing."""
    return (
        None
        if not down
        else "down"
        if down == versions
        else "down " + " ".join(f"IPv{version}" for version in sorted(down))
    )


def marked(text):
    """The families that a mark names: the inverse of :func:`mark`."""
    return frozenset(version for version in (4, 6) if text == "down" or f"IPv{version}" in (text or ""))


def rows(gateway, joins, offset, down=(), hosts=()):
    """The gateway's rows in the Northbound database, in the order in which a packet from a pod meets them.

    :param gateway: with its chassis and MAC.
    :param joins: the join subnets.
    :param offset: this gateway's place in each of them.
    :param down: families whose default traffic of the cluster does not go through it now.
    :param hosts: its host's own addresses in the overlay, where the NIC is shared.
    """
    if {addressing.family(subnet) for subnet in gateway.cluster_subnets} - {addressing.family(join) for join in joins}:
        raise SettingsError(
            "cluster_ip_subnet {} of gateway {} has a family that the overlay's join network {} has not: "
            "converge the cluster first (ovn_master_init)".format(
                ", ".join(gateway.cluster_subnets), gateway.node, ", ".join(joins)
            )
        )
    owner, name = gateway.owner, gateway.owner.name
    router, switch = names.gateway_router(name), names.external_switch(name)
    join_port, outside_port = names.router_to_join(router), names.router_to_external(name)
    join_ips = tuple(addressing.nth(subnet, offset) for subnet in joins)
    cluster_ips = {
        addressing.family(subnet): addressing.nth(subnet, addressing.ROUTER, prefix=False) for subnet in joins
    }
    outside = {addressing.family(cidr): cidr.split("/")[0] for cidr in gateway.physical_ips}
    hops = {addressing.family(hop): hop for hop in gateway.next_hops}

    out = pinned_rows(gateway, joins, join_ips)
    out += egress_rows(owner, join_ips, hops.keys() - set(down))
    # The router has the host's address and no way to the host: pods reach it through the overlay.
    for ip in hosts if gateway.shared else ():
        version = addressing.family(ip)
        if version in outside:
            out.append(
                _route(
                    owner,
                    f"host-{version}",
                    names.CLUSTER_ROUTER,
                    addressing.single(outside[version]),
                    ip,
                    (names.router_to_switch(name),),
                )
            )
    out += [
        Row(
            "Logical_Switch_Port",
            owner,
            "join-to-router",
            names.join_to_router(router),
            names.JOIN_SWITCH,
            router_peer(join_port),
        ),
        Row(
            "Logical_Router",
            owner,
            "router",
            router,
            columns={
                # Answers of load balanced connections come back to the gateway that they went through.
                "options": {
                    "chassis": gateway.chassis,
                    "lb_force_snat_ip": "router_ip",
                    "always_learn_from_arp_request": "false",
                    "mac_binding_age_threshold": "300",
                },
                "load_balancer_group": SetMembers(
                    (Ref("Load_Balancer_Group", names.LB_GROUP_ALL), Ref("Load_Balancer_Group", names.LB_GROUP_ROUTERS))
                ),
                "external_ids": {
                    names.PHYSICAL_IPS_KEY: ",".join(gateway.physical_ips),
                    names.CHASSIS_KEY: gateway.chassis,
                },
            },
        ),
        Row(
            "Logical_Router_Port",
            owner,
            "router-to-join",
            join_port,
            router,
            {
                "networks": join_ips,
                "mac": addressing.mac_of(join_ips),
                "external_ids": {names.JOIN_MARK: "yes"},
                "options": {"gateway_mtu": str(gateway.mtu)} if gateway.mtu else {},
            },
        ),
    ]
    for subnet in gateway.cluster_subnets:
        version = addressing.family(subnet)
        out.append(_route(owner, f"cluster-{version}", router, subnet, cluster_ips[version]))
        if version in outside:
            out.append(
                Row(
                    "NAT",
                    owner,
                    f"snat-{version}",
                    parent=router,
                    columns={
                        "type": "snat",
                        "logical_ip": subnet,
                        "external_ip": outside[version],
                        "external_port_range": names.SHARED_PORTS if gateway.shared else "",
                    },
                )
            )
    out += [
        _route(owner, f"outside-{version}", router, addressing.ANYWHERE[version], hop, (outside_port,))
        for version, hop in sorted(hops.items())
    ]
    out += _probe_rows(owner, router, joins, offset, hops)
    return [
        *out,
        Row(
            "Logical_Router_Port",
            owner,
            "router-to-external",
            outside_port,
            router,
            {"networks": gateway.physical_ips, "mac": gateway.mac},
        ),
        Row("Logical_Switch", owner, "external", switch),
        Row(
            "Logical_Switch_Port",
            owner,
            "external-to-router",
            names.external_to_router(name),
            switch,
            dict(router_peer(outside_port), addresses=(gateway.mac,)),
        ),
        Row(
            "Logical_Switch_Port",
            owner,
            "localnet",
            names.external_port(gateway.bridge, name),
            switch,
            {"type": "localnet", "addresses": ("unknown",), "options": {"network_name": names.PHYSICAL_NETWORK}},
        ),
    ]


def _probe_rows(owner, router, joins, offset, hops):
    """The way by which masters ask whether the gateway leads outside: an address that it translates to its next hop (desired/egress.py)."""
    out = []
    for join in joins:
        version = addressing.family(join)
        address, hop = probe_address(join, offset), hops.get(version)
        # A router knows a link local address on each of its sides.
        if address and hop and not addressing.address(hop).is_link_local:
            out += [
                _route(
                    owner,
                    f"probe-{version}",
                    names.CLUSTER_ROUTER,
                    addressing.single(address),
                    addressing.nth(join, offset, prefix=False),
                ),
                Row(
                    "NAT",
                    owner,
                    f"hop-{version}",
                    parent=router,
                    columns={"type": "dnat", "logical_ip": hop, "external_ip": address},
                ),
            ]
    return out


def pinned_rows(gateway, joins, join_ips):
    """Traffic of the pinned subnets to the outside: a policy of the cluster router, which goes before its routes. It stays while the gateway is dead."""
    out = []
    for version, join_ip in ((addressing.family(cidr), cidr.split("/")[0]) for cidr in join_ips):
        sources = [subnet for subnet in gateway.pinned or () if addressing.family(subnet) == version]
        inside = [
            subnet
            for subnet in (*gateway.cluster_subnets, *joins, *gateway.physical_ips)
            if addressing.family(subnet) == version
        ]
        if sources:
            match = "ip{0}.src == {{{1}}} && ip{0}.dst != {{{2}}}".format(
                version,
                ", ".join(sorted(sources)),
                ", ".join(subnet.split("/")[0] if subnet in gateway.physical_ips else subnet for subnet in inside),
            )
            out.append(
                Row(
                    "Logical_Router_Policy",
                    gateway.owner,
                    f"pinned-{version}",
                    parent=names.CLUSTER_ROUTER,
                    columns={"priority": PINNED_PRIORITY, "match": match, "action": "reroute", "nexthops": (join_ip,)},
                )
            )
    return out


def egress_rows(owner, join_ips, versions):
    """The default routes of the cluster through one gateway, of the families that it has a way out for."""
    return [
        _route(owner, f"egress-{version}", names.CLUSTER_ROUTER, addressing.ANYWHERE[version], cidr.split("/")[0])
        for version, cidr in ((addressing.family(cidr), cidr) for cidr in join_ips)
        if version in versions
    ]


def _route(owner, role, holder, prefix, nexthop, port=()):
    return Row(
        "Logical_Router_Static_Route",
        owner,
        role,
        parent=holder,
        columns={"ip_prefix": prefix, "nexthop": nexthop, "output_port": port},
    )


@dataclass(frozen=True)
class GatewayHost:
    """Settings of a gateway's own side.

    :ivar nic: the NIC that is the gateway's alone.
    :ivar nic_mac: its MAC.
    :ivar datapath_type: system or netdev.
    :ivar before: what the NIC had before, as text that its bridge keeps until the gateway goes; None: not known.
    """

    nic: str
    nic_mac: str
    datapath_type: str
    before: str | None = None


def host_rows(host):
    """The gateway's rows in the host's own Open_vSwitch database."""
    owner = Owner("Gateway", "host")
    bridge = names.uplink_bridge(host.nic)
    mapping = {"ovn-bridge-mappings": ListMember(names.PHYSICAL_NETWORK, bridge)}
    rows_ = uplink_rows(owner, host.nic, host.nic_mac, "netdev" if host.datapath_type == "netdev" else "")
    if host.before:
        rows_[0].columns["external_ids"][names.NIC_BEFORE_KEY] = host.before
    return [*rows_, Row("Open_vSwitch", owner, "settings", ".", kind="shared", columns={"external_ids": mapping})]


def host_state(host):
    """The gateway's state of the host's kernel: the NIC belongs to the gateway router alone."""
    netdev = host.datapath_type == "netdev"
    return HostState(
        links=(Link(host.nic, owned=False), Link(names.uplink_bridge(host.nic), owned=False)),
        unaddressed=(Unaddressed(host.nic),),
        no_offloads=(NoOffload(host.nic),) if netdev else (),
        drops=(IngressDrop(host.nic),) if netdev else (),
    )


def shared_host_rows(bridge):
    """The rows of a gateway whose host has the NIC too: the bridge is there already, and ovn-controller makes its way to it."""
    mapping = {"ovn-bridge-mappings": ListMember(names.PHYSICAL_NETWORK, bridge)}
    return [
        Row("Open_vSwitch", Owner("Gateway", "host"), "settings", ".", kind="shared", columns={"external_ids": mapping})
    ]


def host_gone(nic, before):
    """What a host without the gateway holds: the NIC has back what it had, ``before`` (:class:`._host.desired.SavedNic`, or None: not known)."""
    owner = Owner("Gateway", "host")
    mapping = {"ovn-bridge-mappings": ListMember(names.PHYSICAL_NETWORK, None)}
    rows_ = [Row("Open_vSwitch", owner, "settings", ".", kind="shared", columns={"external_ids": mapping})]
    state = (
        HostState()
        if nic is None
        else HostState(saved_nics=(before,) if before else (), absent_drops=(IngressDrop(nic),))
    )
    return rows_, state
