# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The OpenFlow flows of a bridge whose NIC, MAC and addresses the host shares with the gateway router.

The bridge has three ports: the NIC, the patch port to the integration bridge (there is the gateway router), and LOCAL
(the host). Packets that leave the router through the patch port are committed to conntrack. Incoming packets go to the
one whose connection they belong to. docs/gateways.md has the picture, :mod:`.flow_table` the priorities with their
meaning.

The router's SNAT takes source ports that the host's kernel does not choose by itself (names.SHARED_PORTS), so the two
never open the same connection twice. That needs a protocol with ports, or with an identifier as ICMP has it. Of others
(ESP, AH, GRE, IP in IP) SNAT changes the address only: two connections with one peer are one for conntrack. So they
are the host's, and those of pods are dropped. Packets with a VLAN tag, and packets between other ports, are forwarded
as without the flows (NORMAL).
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .._common import addressing, names
from .._common.icmp import IcmpType, Icmpv6Type
from . import flow_table

if TYPE_CHECKING:
    from collections.abc import Iterator

ZONE = 64000  # conntrack zone
PODS_MARK = "0x1"  # ct_mark of the pods' connections
UNTAGGED = "vlan_tci=0x0000/0x1fff"
TRACK = f"ct(table={flow_table.CONNECTIONS},zone={ZONE})"
COMMIT = f"ct(commit,zone={ZONE},exec(set_field:{PODS_MARK}->ct_mark))"
TRACK_PODS_FRAGMENT = f"ct(table={flow_table.PODS_FRAGMENTS},zone={ZONE})"
ANY_IP = ("ip", "ipv6")
# The protocols whose connections SNAT keeps apart, by IP version.
KEPT_APART = {4: ("tcp", "udp", "sctp", "icmp"), 6: ("tcp6", "udp6", "sctp6", "icmp6")}
KEPT_APART_IPV6 = (socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_SCTP, socket.IPPROTO_ICMPV6)
NEIGHBOUR_DISCOVERY = (
    Icmpv6Type.ROUTER_SOLICITATION,
    Icmpv6Type.ROUTER_ADVERTISEMENT,
    Icmpv6Type.NEIGHBOUR_SOLICITATION,
    Icmpv6Type.NEIGHBOUR_ADVERTISEMENT,
    Icmpv6Type.REDIRECT,
)
ERRORS = {
    "icmp": (IcmpType.DEST_UNREACH, IcmpType.SOURCE_QUENCH, IcmpType.TIME_EXCEEDED, IcmpType.PARAMETERPROB),
    "icmp6": (Icmpv6Type.DEST_UNREACH, Icmpv6Type.PKT_TOOBIG, Icmpv6Type.TIME_EXCEED, Icmpv6Type.PARAMPROB),
}
ECHO_REPLIES = {"icmp": IcmpType.ECHOREPLY, "icmp6": Icmpv6Type.ECHO_REPLY}
ARP_REQUEST = 1  # RFC 826
PROTOCOL_NUMBERS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}


class Tunnel(NamedTuple):
    """The end of the overlay's tunnels on this host: address and UDP port."""

    address: str
    port: int


class ServiceEndpoint(NamedTuple):
    """What a load balancer of the gateway router serves: address, protocol (tcp, udp, sctp) and port.

    :ivar keeps_client: whether the pod sees the client's address.
    """

    address: str
    protocol: str
    port: int
    keeps_client: bool = False


@dataclass(frozen=True)
class SharedNic:
    """What the flows are made from.

    :ivar nic_port: OpenFlow number of the NIC's port.
    :ivar patch_port: OpenFlow number of the patch port.
    :ivar mac: MAC of the bridge, the host and the router.
    :ivar addresses: the host's addresses on the bridge without prefix length, link-local ones too.
    :ivar tunnels: the overlay's tunnels that end at one of the addresses.
    :ivar services: what the gateway router balances, node ports above all.
    :ivar hosts: the cluster's other hosts, by address. Pods answer them through the overlay, past the router.
    :ivar drops_invalid: whether TCP segments that conntrack calls invalid are dropped at the pods' ports. In the
        userspace datapath they have their connection's mark. Where the kernel's conntrack takes up no connections in
        their middle (``nf_conntrack_tcp_loose`` is 0) the host's own are invalid too, since they are not tracked.
    """

    nic_port: int
    patch_port: int
    mac: str
    addresses: tuple[str, ...]
    tunnels: tuple[Tunnel, ...] = ()
    services: tuple[ServiceEndpoint, ...] = ()
    drops_invalid: bool = False
    hosts: tuple[str, ...] = ()


def flows(shared: SharedNic) -> tuple[str, ...]:
    """Return the flows in the syntax of ovs-ofctl(8)."""
    lines = [
        *_fragments(shared),
        *_tunnels(shared),
        *_services(shared),
        *_neighbours(shared),
        *_outgoing(shared),
        *_incoming(shared),
        *_connections(shared),
        *_kept_clients(shared),
    ]
    return tuple(f"cookie={names.FLOW_COOKIE:#x},{line}" for line in lines)


def _untagged(port: int | str, *fields: str) -> str:
    """Return the match for packets without a VLAN tag from a port."""
    return ",".join((f"in_port={port}", UNTAGGED, *fields))


def _fragments(shared: SharedNic) -> Iterator[str]:
    """Yield the flows that let conntrack reassemble fragments: only the first one has the ports.

    All fragments of IPv4 have the protocol. Of IPv6 the first one alone has it, and conntrack says it of the others.
    """
    start = flow_table.FRAGMENT.prefix
    commit = f"{COMMIT},output:{shared.nic_port}"
    for family in (*KEPT_APART[4], "ipv6"):
        incoming = _untagged(shared.nic_port, family, "nw_frag=yes", f"dl_dst={shared.mac}")
        yield f"{start},{incoming},actions={TRACK}"
        outgoing = _untagged(shared.patch_port, family, "nw_frag=yes")
        yield f"{start},{outgoing},actions={TRACK_PODS_FRAGMENT if family == 'ipv6' else commit}"
    for number in KEPT_APART_IPV6:
        yield (f"{flow_table.PODS_FRAGMENT.prefix},ct_state=-inv+trk,ipv6,ct_nw_proto={number:d},actions={commit}")
    yield f"{flow_table.OTHER_FRAGMENT.prefix},actions=drop"


def _tunnels(shared: SharedNic) -> Iterator[str]:
    """Yield the flows of the overlay's tunnels, which need no conntrack."""
    start = flow_table.TUNNEL.prefix
    for address, port in shared.tunnels:
        udp, ip = ("udp6", "ipv6") if addressing.family(address) == 6 else ("udp", "nw")
        incoming = _untagged(shared.nic_port, udp, f"{ip}_dst={address}", f"tp_dst={port}")
        yield f"{start},{incoming},actions=LOCAL"
        outgoing = _untagged("LOCAL", udp, f"{ip}_src={address}", f"tp_dst={port}")
        yield f"{start},{outgoing},actions=output:{shared.nic_port}"


def _services(shared: SharedNic) -> Iterator[str]:
    """Yield the flows to the gateway router's load balancers and back. The router has its own conntrack."""
    start = flow_table.SERVICE.prefix
    for one in shared.services:
        address, protocol, port, _keeps_client = one
        transport, ip = (f"{protocol}6", "ipv6") if addressing.family(address) == 6 else (protocol, "nw")
        incoming = _untagged(shared.nic_port, transport, f"{ip}_dst={address}", f"tp_dst={port}")
        yield f"{start},{incoming},actions={_to_service(shared, one)}"
        outgoing = _untagged(shared.patch_port, transport, f"{ip}_src={address}", f"tp_src={port}")
        yield f"{start},{outgoing},actions=output:{shared.nic_port}"


def _neighbours(shared: SharedNic) -> Iterator[str]:
    """Yield the flows for ARP and neighbour discovery: the host answers requests, both see everything else."""
    for address in shared.addresses:
        request = (
            ("icmp6", f"icmp_type={Icmpv6Type.NEIGHBOUR_SOLICITATION:d}", f"nd_target={address}")
            if addressing.family(address) == 6
            else ("arp", f"arp_op={ARP_REQUEST}", f"arp_tpa={address}")
        )
        yield f"{flow_table.NEIGHBOUR_REQUEST.prefix},{_untagged(shared.nic_port, *request)},actions=LOCAL"
    start = flow_table.NEIGHBOUR.prefix
    both = f"actions=LOCAL,output:{shared.patch_port}"
    yield f"{start},{_untagged(shared.nic_port, 'arp', f'dl_dst={shared.mac}')},{both}"
    for icmp_type in NEIGHBOUR_DISCOVERY:
        message = ("icmp6", f"icmp_type={icmp_type:d}")
        yield f"{start},{_untagged(shared.nic_port, *message, f'dl_dst={shared.mac}')},{both}"
        yield f"{start},{_untagged(shared.patch_port, *message)},actions=output:{shared.nic_port}"


def _outgoing(shared: SharedNic) -> Iterator[str]:
    """Yield the flows to the NIC. Only the pods' connections are committed: every other one is the host's."""
    for protocol in (*KEPT_APART[4], *KEPT_APART[6]):
        match = _untagged(shared.patch_port, protocol)
        yield f"{flow_table.FROM_PODS.prefix},{match},actions={COMMIT},output:{shared.nic_port}"
    for family in ANY_IP:
        yield f"{flow_table.NOT_KEPT_APART.prefix},{_untagged(shared.patch_port, family)},actions=drop"
    # Not NORMAL for these two ports: the bridge would learn one MAC on both, in turns.
    for port in (shared.patch_port, "LOCAL"):
        yield f"{flow_table.OUTGOING.prefix},{_untagged(port)},actions=output:{shared.nic_port}"


def _incoming(shared: SharedNic) -> Iterator[str]:
    """Yield the flows for packets to the shared MAC. Broadcast and multicast reach both by NORMAL."""
    for protocol in (*KEPT_APART[4], *KEPT_APART[6]):
        match = _untagged(shared.nic_port, protocol, f"dl_dst={shared.mac}")
        yield f"{flow_table.INCOMING.prefix},{match},actions={TRACK}"
    yield f"{flow_table.FOR_HOST.prefix},{UNTAGGED},dl_dst={shared.mac},actions=LOCAL"
    yield f"{flow_table.REST.prefix},actions=NORMAL"


def _connections(shared: SharedNic) -> Iterator[str]:
    """Yield the flows of the table that packets enter after conntrack."""
    both = f"actions=LOCAL,output:{shared.patch_port}"
    for family, echo_reply in ECHO_REPLIES.items():
        start = flow_table.ECHO_REPLY.prefix
        yield f"{start},ct_mark={PODS_MARK},{family},icmp_type={echo_reply:d},{both}"
    for family in ANY_IP:
        start = flow_table.PODS_CONNECTION.prefix
        yield f"{start},ct_mark={PODS_MARK},{family},actions=output:{shared.patch_port}"
    for one in shared.services:
        address, protocol, port, _keeps_client = one
        family, ip = ("ipv6", "ct_ipv6") if addressing.family(address) == 6 else ("ip", "ct_nw")
        number = PROTOCOL_NUMBERS[protocol]
        match = f"ct_state=-inv+trk,{family},{ip}_dst={address},ct_nw_proto={number:d},ct_tp_dst={port}"
        yield f"{flow_table.SERVICE_FRAGMENT.prefix},{match},actions={_to_service(shared, one)}"
    for family, icmp_types in ERRORS.items():
        for icmp_type in icmp_types:
            yield f"{flow_table.ICMP_ERROR.prefix},{family},icmp_type={icmp_type:d},{both}"
    for family in ("tcp", "tcp6") if shared.drops_invalid else ():
        for ports in _pods_ports():
            match = f"ct_state=+inv+trk,{family},tcp_flags=-fin-syn-rst+ack,tp_dst={ports}"
            yield f"{flow_table.INVALID.prefix},{match},actions=drop"
    yield f"{flow_table.HOSTS_CONNECTION.prefix},actions=LOCAL"


def _to_service(shared: SharedNic, service: ServiceEndpoint) -> str:
    return f"resubmit(,{flow_table.KEPT_CLIENTS})" if service.keeps_client else f"output:{shared.patch_port}"


def _kept_clients(shared: SharedNic) -> Iterator[str]:
    """Yield the flows to load balancers that keep the client's address: the host balances for other hosts."""
    if not any(service.keeps_client for service in shared.services):
        return
    for address in shared.hosts:
        match = f"ipv6,ipv6_src={address}" if addressing.family(address) == 6 else f"ip,nw_src={address}"
        yield f"{flow_table.FROM_HOST.prefix},{match},actions=LOCAL"
    yield f"{flow_table.FROM_OTHERS.prefix},actions=output:{shared.patch_port}"


def _pods_ports() -> Iterator[str]:
    """Yield matches that cover the ports of the pods' connections, as value/mask."""
    first, last = map(ipaddress.IPv4Address, map(int, names.SHARED_PORTS.split("-")))
    for block in ipaddress.summarize_address_range(first, last):
        yield f"{int(block.network_address):#x}/{int(block.netmask) & 0xFFFF:#x}"
