# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a bridge parts the host's traffic from the pods', where both share one NIC, its MAC and its addresses.

Three ports: the NIC, the patch port to the integration bridge (the gateway router's way out), and LOCAL, the host. What leaves the router
through the patch port is remembered (conntrack); what comes in goes to whoever it answers. docs/gateways.md has the picture.

The router's SNAT takes source ports that the host's kernel does not take by itself (names.SHARED_PORTS), so the two never
open one connection twice. Packets with a VLAN tag, and between other ports, are left to the bridge as it was (NORMAL).
"""

from __future__ import annotations

from dataclasses import dataclass

from .._common import addressing, names

ZONE = 64000
PODS = "0x1"
UNTAGGED = "vlan_tci=0x0000/0x1fff"
LOOK = f"ct(table=1,zone={ZONE})"
REMEMBER = f"ct(commit,zone={ZONE},exec(set_field:{PODS}->ct_mark))"
ANY_IP = ("ip", "ipv6")
DISCOVERY = (133, 134, 135, 136, 137)  # RFC 4861
ERRORS = {"icmp": (3, 4, 11, 12), "icmp6": (1, 2, 3, 4)}  # RFC 792, RFC 4443
ECHO_REPLY = {"icmp": 0, "icmp6": 129}
NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}


@dataclass(frozen=True)
class SharedNic:
    """What the flows are made from.

    :ivar nic, patch: OpenFlow numbers of the ports.
    :ivar mac: of the bridge, the host and the router.
    :ivar addresses: the host's own on the bridge, without prefix, link-local ones too.
    :ivar tunnels: (address, UDP port) of the overlay's tunnels that end here.
    :ivar services: (address, protocol, port) that the gateway router balances, node ports above all.
    """

    nic: int
    patch: int
    mac: str
    addresses: tuple
    tunnels: tuple = ()
    services: tuple = ()


def flows(shared):
    """The flows, as ovs-ofctl(8) writes them."""
    lines = [
        *_fragments(shared),
        *_tunnels(shared),
        *_services(shared),
        *_neighbours(shared),
        *_outward(shared),
        *_inward(shared),
        *_by_connection(shared),
    ]
    return tuple(f"cookie={names.FLOW_COOKIE:#x},{line}" for line in lines)


def _from(port, *match):
    return ",".join((f"in_port={port}", UNTAGGED, *match))


def _fragments(shared):
    """Only the first fragment names a port: conntrack puts them together, and knows the ports for all."""
    for family in ANY_IP:
        yield f"priority=210,{_from(shared.nic, family, 'nw_frag=yes', f'dl_dst={shared.mac}')},actions={LOOK}"
        yield f"priority=210,{_from(shared.patch, family, 'nw_frag=yes')},actions={REMEMBER},output:{shared.nic}"


def _tunnels(shared):
    """The overlay's own packets: the shortest way, without conntrack."""
    for address, port in shared.tunnels:
        udp, ip = ("udp6", "ipv6") if addressing.family(address) == 6 else ("udp", "nw")
        yield f"priority=200,{_from(shared.nic, udp, f'{ip}_dst={address}', f'tp_dst={port}')},actions=LOCAL"
        yield f"priority=200,{_from('LOCAL', udp, f'{ip}_src={address}', f'tp_dst={port}')},actions=output:{shared.nic}"


def _services(shared):
    """To the load balancers of the gateway router, and back; its own conntrack is the one that counts, and a second costs a recirculation."""
    for address, protocol, port in shared.services:
        version = addressing.family(address)
        match, ip = (protocol + "6", "ipv6") if version == 6 else (protocol, "nw")
        yield f"priority=120,{_from(shared.nic, match, f'{ip}_dst={address}', f'tp_dst={port}')},actions=output:{shared.patch}"
        yield f"priority=120,{_from(shared.patch, match, f'{ip}_src={address}', f'tp_src={port}')},actions=output:{shared.nic}"


def _neighbours(shared):
    """Both ask for neighbours, so both see what is told about them; questions for an address of both are the host's to answer, once."""
    for address in shared.addresses:
        question = (
            ("icmp6", "icmp_type=135", f"nd_target={address}")
            if addressing.family(address) == 6
            else ("arp", "arp_op=1", f"arp_tpa={address}")
        )
        yield f"priority=110,{_from(shared.nic, *question)},actions=LOCAL"
    both = f"actions=LOCAL,output:{shared.patch}"
    yield f"priority=100,{_from(shared.nic, 'arp', f'dl_dst={shared.mac}')},{both}"
    for kind in DISCOVERY:
        yield f"priority=100,{_from(shared.nic, 'icmp6', f'icmp_type={kind}', f'dl_dst={shared.mac}')},{both}"
        yield f"priority=100,{_from(shared.patch, 'icmp6', f'icmp_type={kind}')},actions=output:{shared.nic}"


def _outward(shared):
    """What the pods begin is remembered. What the host begins need not be: what is not the pods' is the host's."""
    for family in ANY_IP:
        yield f"priority=90,{_from(shared.patch, family)},actions={REMEMBER},output:{shared.nic}"
    # Never NORMAL for these two: the bridge would learn one MAC on two ports, in turns.
    yield f"priority=80,{_from(shared.patch)},actions=output:{shared.nic}"
    yield f"priority=80,{_from('LOCAL')},actions=output:{shared.nic}"


def _inward(shared):
    """Whatever comes for the MAC of both; broadcasts and multicasts go to both by NORMAL."""
    for family in ANY_IP:
        yield f"priority=50,{_from(shared.nic, family, f'dl_dst={shared.mac}')},actions={LOOK}"
    yield f"priority=40,{UNTAGGED},dl_dst={shared.mac},actions=LOCAL"
    yield "priority=1,actions=NORMAL"


def _by_connection(shared):
    """Table 1: what conntrack knows."""
    both = f"actions=LOCAL,output:{shared.patch}"
    for family, kind in ECHO_REPLY.items():
        # The identifier of an echo is no port that could be kept apart; who did not ask ignores the answer.
        yield f"table=1,priority=110,ct_mark={PODS},{family},icmp_type={kind},{both}"
    for family in ANY_IP:
        yield f"table=1,priority=100,ct_mark={PODS},{family},actions=output:{shared.patch}"
    for address, protocol, port in shared.services:
        family, ip = ("ipv6", "ct_ipv6") if addressing.family(address) == 6 else ("ip", "ct_nw")
        match = f"ct_state=-inv+trk,{family},{ip}_dst={address},ct_nw_proto={NUMBERS[protocol]},ct_tp_dst={port}"
        yield f"table=1,priority=90,{match},actions=output:{shared.patch}"
    for family, kinds in ERRORS.items():
        for kind in kinds:
            # About the host's packets, or about a service's: either drops what is not about its own.
            yield f"table=1,priority=80,{family},icmp_type={kind},{both}"
    yield "table=1,priority=0,actions=LOCAL"
