# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The flows of a gateway's bridge by which a node answers for an address of an EgressIP only while it has a lease.

Packets from the gateway's router with the address, and packets to it, pass a flow of their own, the gate of this
address, which has a time-out and which the holder's program renews. Without it they go nowhere. They pass no conntrack
of the bridge: the host does not have the address, so all of its packets are the router's.

On such a bridge the router's patch port is a trunk of a VLAN that no packet has (ovs-vswitchd.conf.db(5), Port.trunks).
NORMAL leads nothing to it or from it then, so a bridge that has lost its flows, or has none yet, is closed. What passes
has flows, to which VLANs of ports don't matter.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from .._common import names
from .._common.addressing import family
from .._common.icmp import Icmpv6Type
from .._openflow.matches import UNTAGGED, from_holder, to_holder

PRIORITY = 290  # above all flows of a shared NIC
CLASSIFY, GATES, PASSED = 0, 20, 21  # OpenFlow tables
GATE_COOKIE = names.EGRESS_IP_COOKIE + 1  # of the gates, which the comparison of all other flows leaves alone
PASSING = 2  # priority: below all flows of a shared NIC but NORMAL
NO_VLAN = 4095  # IEEE 802.1Q reserves it
MANY = "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00"  # multicast and broadcast
BROADCAST, ALL_NODES = b"\xff" * 6, "ff02::1"
OVERRIDE = 0x20000000  # RFC 4861, 4.4; not solicited
ICMPV6, HOPS = 58, 255


def flows(nic_port: int, patch_port: int, mac: str, registers: Mapping[str, int]) -> tuple[str, ...]:
    """Return the flows in the syntax of ovs-ofctl(8), without the gates; none where there are no addresses.

    :param mac: the router's, and the NIC's.
    :param registers: address -> the number that its gate matches.
    """
    lines = [
        *(line for address, number in sorted(registers.items()) for line in _of(address, number, nic_port, patch_port)),
        f"table={PASSED},priority=1,in_port={nic_port},actions=output:{patch_port}",
        f"table={PASSED},priority=1,in_port={patch_port},actions=output:{nic_port}",
        # What NORMAL does not do between the two.
        f"priority={PASSING},in_port={nic_port},{MANY},actions=NORMAL,output:{patch_port}",
        f"priority={PASSING},in_port={nic_port},dl_dst={mac},actions=NORMAL,output:{patch_port}",
        f"priority={PASSING},in_port={patch_port},actions=NORMAL,output:{nic_port}",
    ]
    return tuple(f"cookie={names.EGRESS_IP_COOKIE:#x},{line}" for line in lines) if registers else ()


def _of(address: str, number: int, nic_port: int, patch_port: int) -> Iterator[str]:
    """Yield the flows of one address."""
    for port, matches in ((patch_port, from_holder(address)), (nic_port, to_holder(address))):
        for match in matches:
            start = f"priority={PRIORITY},in_port={port},{UNTAGGED},{match}"
            yield f"{start},actions=set_field:{number:#x}->reg0,resubmit(,{GATES})"


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
