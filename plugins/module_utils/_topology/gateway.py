# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A gateway in the Northbound database: a router on one chassis, between the join switch and the physical network.

Egress: the cluster router has one default route for each gateway, and one policy that sends the gateway's share of the
pods there. Both are removed while the gateway is dead; the program ``ovn-k8s-egress`` on the masters decides that
(:mod:`.egress`). A distributed router can't run BFD for its routes, and an HA chassis group would send all traffic
through one gateway at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import addressing, names
from .._common.address_rules import probe_address
from .._ovsdb.rows import Owner, Ref, Row, SetMembers
from .cluster import LEARNING, router_peer
from .egress_rows import egress_rows, share_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from .egress_slots import Share

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
        for table, role in (
            ("NAT", "snat"),
            ("NAT", "hop"),
            ("Logical_Router_Policy", "pinned"),
            ("Logical_Router_Policy", "share"),
        )
        for version in (4, 6)
    ),
)
PINNED_PRIORITY = 100


@dataclass(frozen=True)
class Gateway:
    """Settings of a gateway.

    :ivar node: Kubernetes' name of its host.
    :ivar cluster_subnets: the pods' networks.
    :ivar physical_ips: its addresses on the physical network with prefix length, at most one of each family.
    :ivar next_hops: the external routers, of the same families; empty: none beyond the physical network.
    :ivar bridge: the bridge that is connected to the physical network.
    :ivar chassis: the host's system-id; None: not known now.
    :ivar mac: its MAC on the physical network: the NIC's, so that networks that filter MACs let it pass; None: not
        known now.
    :ivar mtu: of the pods' network, in bytes. Larger packets from the physical network are answered with an ICMP error,
        since no tunnel would take them.
    :ivar physical_mtu: of its NIC, in bytes; None: not known now. Where it is smaller than the pods' network's, larger
        packets of pods are answered with an ICMP error.
    :ivar shared: whether the host uses the NIC too, with the same addresses and MAC.
    :ivar pinned: subnets of pods whose traffic to the physical network uses this gateway only; None: as the database
        has it.
    """

    node: str
    cluster_subnets: tuple[str, ...]
    physical_ips: tuple[str, ...]
    next_hops: tuple[str, ...]
    bridge: str
    chassis: str | None = None
    mac: str | None = None
    mtu: int | None = None
    physical_mtu: int | None = None
    shared: bool = False
    pinned: tuple[str, ...] | None = None

    @property
    def owner(self) -> Owner:
        """Return the owner of the gateway's rows."""
        return Owner("Gateway", names.node_name(self.node))


@dataclass(frozen=True)
class Place:
    """A gateway's place in the cluster.

    :ivar joins: the join subnets.
    :ivar offset: the gateway's offset in each of them.
    """

    joins: tuple[str, ...]
    offset: int

    def join_ips(self) -> tuple[str, ...]:
        """Return the gateway's addresses on the join switch, with prefix length."""
        return tuple(addressing.nth(join, self.offset) for join in self.joins)


def rows(
    gateway: Gateway,
    place: Place,
    down: Collection[int] = (),
    host_ips: Iterable[str] = (),
    shares: Mapping[int, Share] | None = None,
) -> list[Row]:
    """Return the gateway's rows in the Northbound database, in the order in which a packet from a pod meets them.

    :param gateway: with its chassis and MAC.
    :param place: its place in the cluster, which :func:`.gateway_checks.check_place` accepts.
    :param down: IP versions whose default traffic does not go through it now.
    :param host_ips: the host's addresses in the overlay, where host and gateway share the NIC.
    :param shares: IP version -> the gateway's share of the pods.
    """
    routes_of = {addressing.family(hop) for hop in gateway.next_hops} - set(down)
    return [
        *_pinned_rows(gateway, place),
        *egress_rows(gateway.owner, place.join_ips(), routes_of),
        *share_rows(
            gateway.owner,
            place.join_ips(),
            {version: share for version, share in (shares or {}).items() if version in routes_of},
        ),
        *(_shared_address_rows(gateway, host_ips) if gateway.shared else ()),
        *_router_rows(gateway, place),
        *_cluster_rows(gateway, place),
        *_next_hop_rows(gateway),
        *_probe_rows(gateway, place),
        *_external_rows(gateway),
    ]


def _pinned_rows(gateway: Gateway, place: Place) -> list[Row]:
    """Return policies of the cluster router for the pinned subnets. It applies policies before routes, and they stay
    while the gateway is dead."""
    out = []
    for join_ip in map(_bare, place.join_ips()):
        version = addressing.family(join_ip)
        sources = [subnet for subnet in gateway.pinned or () if addressing.family(subnet) == version]
        own_networks = [*gateway.cluster_subnets, *place.joins, *map(_bare, gateway.physical_ips)]
        if sources:
            internal = ", ".join(subnet for subnet in own_networks if addressing.family(subnet) == version)
            match = f"ip{version}.src == {{{', '.join(sorted(sources))}}} && ip{version}.dst != {{{internal}}}"
            columns = {"priority": PINNED_PRIORITY, "match": match, "action": "reroute", "nexthops": (join_ip,)}
            out.append(
                Row(
                    "Logical_Router_Policy",
                    gateway.owner,
                    f"pinned-{version}",
                    parent=names.CLUSTER_ROUTER,
                    columns=columns,
                )
            )
    return out


def _shared_address_rows(gateway: Gateway, host_ips: Iterable[str]) -> list[Row]:
    """Return routes to the shared address through the host's management port: the gateway router has the address, but
    no way to the host."""
    physical_ips = {addressing.family(cidr): _bare(cidr) for cidr in gateway.physical_ips}
    port = (names.router_to_switch(gateway.owner.name),)
    return [
        _route(
            gateway.owner, f"host-{version}", names.CLUSTER_ROUTER, addressing.single(physical_ips[version]), ip, port
        )
        for version, ip in ((addressing.family(ip), ip) for ip in host_ips)
        if version in physical_ips
    ]


def _router_rows(gateway: Gateway, place: Place) -> list[Row]:
    """Return the gateway router with its port of the join switch."""
    owner, router = gateway.owner, names.gateway_router(gateway.owner.name)
    join_port, join_ips = names.router_to_join(router), place.join_ips()
    return [
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
                    **LEARNING,
                },
                "load_balancer_group": SetMembers(
                    (Ref("Load_Balancer_Group", names.LB_GROUP_ALL), Ref("Load_Balancer_Group", names.LB_GROUP_ROUTERS))
                ),
                "external_ids": {
                    names.PHYSICAL_IPS_KEY: ",".join(gateway.physical_ips),
                    names.NEXT_HOPS_KEY: ",".join(gateway.next_hops) or None,
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


def _cluster_rows(gateway: Gateway, place: Place) -> list[Row]:
    """Return routes back to the pods, and the source NAT of their traffic."""
    owner, router = gateway.owner, names.gateway_router(gateway.owner.name)
    physical_ips = {addressing.family(cidr): _bare(cidr) for cidr in gateway.physical_ips}
    cluster_router = {
        addressing.family(join): addressing.nth(join, addressing.ROUTER, prefix=False) for join in place.joins
    }
    out = []
    for subnet in gateway.cluster_subnets:
        version = addressing.family(subnet)
        out.append(_route(owner, f"cluster-{version}", router, subnet, cluster_router[version]))
        if version in physical_ips:
            columns = {
                "type": "snat",
                "logical_ip": subnet,
                "external_ip": physical_ips[version],
                "external_port_range": names.SHARED_PORTS if gateway.shared else "",
            }
            out.append(Row("NAT", owner, f"snat-{version}", parent=router, columns=columns))
    return out


def _next_hop_rows(gateway: Gateway) -> list[Row]:
    """Return the default routes of the gateway router."""
    router, port = names.gateway_router(gateway.owner.name), (names.router_to_external(gateway.owner.name),)
    hops = sorted((addressing.family(hop), hop) for hop in gateway.next_hops)
    return [
        _route(gateway.owner, f"outside-{version}", router, addressing.ANYWHERE[version], hop, port)
        for version, hop in hops
    ]


def _probe_rows(gateway: Gateway, place: Place) -> list[Row]:
    """Return rows by which the masters probe the next hops (:mod:`.egress`): the gateway translates an address of the
    join network to each."""
    hops = {addressing.family(hop): hop for hop in gateway.next_hops}
    router = names.gateway_router(gateway.owner.name)
    out = []
    for join in place.joins:
        version = addressing.family(join)
        address, hop = probe_address(join, place.offset), hops.get(version)
        # A router can't tell a link-local destination's side: it has such a network on each of its ports.
        if address and hop and not addressing.address(hop).is_link_local:
            join_ip = addressing.nth(join, place.offset, prefix=False)
            columns = {"type": "dnat", "logical_ip": hop, "external_ip": address}
            out += [
                _route(gateway.owner, f"probe-{version}", names.CLUSTER_ROUTER, addressing.single(address), join_ip),
                Row("NAT", gateway.owner, f"hop-{version}", parent=router, columns=columns),
            ]
    return out


def _external_rows(gateway: Gateway) -> list[Row]:
    """Return the router's port of the external switch, and that switch with its port to the physical network."""
    owner, name = gateway.owner, gateway.owner.name
    router_port, switch = names.router_to_external(name), names.external_switch(name)
    return [
        Row(
            "Logical_Router_Port",
            owner,
            "router-to-external",
            router_port,
            names.gateway_router(name),
            {"networks": gateway.physical_ips, "mac": gateway.mac, **_mtu_columns(gateway)},
        ),
        Row("Logical_Switch", owner, "external", switch),
        Row(
            "Logical_Switch_Port",
            owner,
            "external-to-router",
            names.external_to_router(name),
            switch,
            dict(router_peer(router_port), addresses=(gateway.mac,)),
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


def _mtu_columns(gateway: Gateway) -> dict[str, dict[str, str | None]]:
    """Return what the outer port has of the NIC's MTU; nothing where that is not known.

    The router answers packets that don't fit (gateway_mtu, ovn-nb(5)). It compares the size of each packet then, so it
    has the option only where packets of pods may be larger.
    """
    outside = gateway.physical_mtu
    if not outside:
        return {}
    is_smaller = gateway.mtu is None or outside < gateway.mtu
    return {
        "options": {"gateway_mtu": str(outside) if is_smaller else None},
        "external_ids": {names.PHYSICAL_MTU_KEY: str(outside)},
    }


def _route(owner: Owner, role: str, router: str, prefix: str, next_hop: str, output_port: Sequence[str] = ()) -> Row:
    columns = {"ip_prefix": prefix, "nexthop": next_hop, "output_port": tuple(output_port)}
    return Row("Logical_Router_Static_Route", owner, role, parent=router, columns=columns)


def _bare(cidr: str) -> str:
    """Return an address without its prefix length."""
    return cidr.split("/")[0]
