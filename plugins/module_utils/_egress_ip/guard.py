# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The flows of a gateway's bridge by which a node answers for an address of an EgressIP only while it has a lease.

Packets from the gateway's router with the address, and packets to it, pass a flow of their own, the gate of this
address, which has a time-out and which the holder's program renews. Without it they go nowhere. They pass no conntrack
of the bridge: the host does not have the address, so all of its packets are the router's.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping

from .._common import names
from .._common.addressing import family
from .._common.icmp import Icmpv6Type

PRIORITY = 290  # above all flows of a shared NIC
CLASSIFY, GATES, PASSED = 0, 20, 21  # OpenFlow tables
GATE_COOKIE = names.EGRESS_IP_COOKIE + 1  # of the gates, which the comparison of all other flows leaves alone
UNTAGGED = "vlan_tci=0x0000/0x1fff"
ADDRESS = re.compile(r"(?:nw_src|ipv6_src)=([0-9a-fA-F:.]+)")
BROADCAST, ALL_NODES = b"\xff" * 6, "ff02::1"
OVERRIDE = 0x20000000  # RFC 4861, 4.4; not solicited
ICMPV6, HOPS = 58, 255


def flows(nic_port: int, patch_port: int, registers: Mapping[str, int]) -> tuple[str, ...]:
    """Return the flows in the syntax of ovs-ofctl(8), without the gates.

    :param registers: address -> the number that its gate matches.
    """
    lines = [
        *(line for address, number in sorted(registers.items()) for line in _of(address, number, nic_port, patch_port)),
        f"table={PASSED},priority=1,in_port={nic_port},actions=output:{patch_port}",
        f"table={PASSED},priority=1,in_port={patch_port},actions=output:{nic_port}",
    ]
    return tuple(f"cookie={names.EGRESS_IP_COOKIE:#x},{line}" for line in lines) if registers else ()


def _of(address: str, number: int, nic_port: int, patch_port: int) -> Iterator[str]:
    """Yield the flows of one address: its packets, and what asks for it or tells of it."""
    if family(address) == 4:
        matches = (
            (patch_port, f"ip,nw_src={address}"),
            (patch_port, f"arp,arp_spa={address}"),
            (nic_port, f"ip,nw_dst={address}"),
            (nic_port, f"arp,arp_tpa={address}"),
        )
    else:
        asks, tells = Icmpv6Type.NEIGHBOUR_SOLICITATION, Icmpv6Type.NEIGHBOUR_ADVERTISEMENT
        matches = (
            (patch_port, f"ipv6,ipv6_src={address}"),
            (patch_port, f"icmp6,icmp_type={tells:d},nd_target={address}"),
            (nic_port, f"ipv6,ipv6_dst={address}"),
            (nic_port, f"icmp6,icmp_type={asks:d},nd_target={address}"),
        )
    for port, match in matches:
        start = f"priority={PRIORITY},in_port={port},{UNTAGGED},{match}"
        yield f"{start},actions=set_field:{number:#x}->reg0,resubmit(,{GATES})"


def addresses_in(lines: Iterable[str]) -> set[str]:
    """Return the addresses that flows of an earlier program keep."""
    found = (ADDRESS.search(line) for line in lines)
    return {str(ipaddress.ip_address(one[1])) for one in found if one}


def announcement(address: str, mac: str) -> bytes:
    """Return the frame that tells neighbours who has an address now: a gratuitous ARP request (RFC 5227, 3) or an
    unsolicited neighbour advertisement (RFC 4861, 7.2.6).

    :param mac: the gateway's.
    """
    source, ip = bytes.fromhex(mac.replace(":", "")), ipaddress.ip_address(address).packed
    if family(address) == 4:
        arp = b"\x00\x01\x08\x00\x06\x04\x00\x01" + source + ip + b"\x00" * 6 + ip
        return BROADCAST + source + b"\x08\x06" + arp + b"\x00" * 18  # to the least length of a frame
    to = ipaddress.ip_address(ALL_NODES).packed
    body = (
        bytes([Icmpv6Type.NEIGHBOUR_ADVERTISEMENT, 0, 0, 0]) + OVERRIDE.to_bytes(4, "big") + ip + b"\x02\x01" + source
    )
    total = _sum(ip + to + len(body).to_bytes(4, "big") + bytes([0, 0, 0, ICMPV6]) + body)
    body = body[:2] + total.to_bytes(2, "big") + body[4:]
    header = b"\x60\x00\x00\x00" + len(body).to_bytes(2, "big") + bytes([ICMPV6, HOPS]) + ip + to
    return b"\x33\x33" + to[-4:] + source + b"\x86\xdd" + header + body


def _sum(data: bytes) -> int:
    """Return the checksum of the Internet (RFC 1071)."""
    total = sum(int.from_bytes(data[place : place + 2], "big") for place in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
