# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Announce the addresses of a link to its neighbours.

IPv4: gratuitous ARP (RFC 5227, 3). IPv6: unsolicited neighbour advertisements (RFC 4861, 7.2.6).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING

from .messages import pack_mac

if TYPE_CHECKING:
    from collections.abc import Iterable

BROADCAST_MAC = b"\xff" * 6
ALL_NODES = ipaddress.ip_address("ff02::1").packed
ALL_NODES_MAC = bytes.fromhex("333300000001")  # RFC 2464, 7
NO_MAC = bytes(6)
HOP_LIMIT = 255  # RFC 4861, 4.4
ETHERNET_HEADER = struct.Struct("!6s6sH")
ARP_HEADER = struct.Struct("!HHBBH")  # RFC 826: hardware, protocol, their address lengths, operation
IPV6_HEADER = struct.Struct("!IHBB16s16s")  # RFC 8200, 3
ICMPV6_ADVERTISEMENT = struct.Struct("!BBHI16s")  # RFC 4861, 4.4: type, code, checksum, flags, target
ICMPV6_CHECKSUM_OFFSET = 2


class EtherType(IntEnum):
    """Protocols of an Ethernet frame (linux/if_ether.h, ETH_P_*)."""

    IP = 0x0800
    ARP = 0x0806
    IPV6 = 0x86DD


class ArpHardware(IntEnum):
    """Hardware types of an ARP packet (linux/if_arp.h, ARPHRD_*)."""

    ETHER = 1


class ArpOperation(IntEnum):
    """Operations of an ARP packet (linux/if_arp.h, ARPOP_*)."""

    REQUEST = 1


class Icmpv6(IntEnum):
    """Numbers of a neighbour advertisement (RFC 4861, 4.4 and 4.6.1): its type, and the option with the MAC."""

    NEIGHBOUR_ADVERTISEMENT = 136
    OPTION_TARGET_LINK_LAYER_ADDRESS = 2


class AdvertisementFlag(IntFlag):
    """Flags of a neighbour advertisement (RFC 4861, 4.4)."""

    OVERRIDE = 0x20000000


def announce(link: str, mac: str, cidrs: Iterable[str]) -> socket.socket:
    """Send one frame for each address.

    :param mac: the MAC that the addresses have, as aa:bb:cc:dd:ee:ff.
    :param cidrs: addresses with their prefix lengths.
    :returns: the socket that sent them. The caller closes it: closing takes the kernel up to 20 ms, more than all
        else here.
    :raises OSError: a frame can't be sent.
    """
    source = pack_mac(mac)
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC)
    try:
        packets.bind((link, 0))
        for cidr in cidrs:
            ip = ipaddress.ip_interface(cidr).ip
            packets.send(_gratuitous_arp(source, ip.packed) if ip.version == 4 else _advertisement(source, ip.packed))
    except BaseException:
        packets.close()
        raise
    return packets


def _gratuitous_arp(mac: bytes, ip: bytes) -> bytes:
    header = ARP_HEADER.pack(ArpHardware.ETHER, EtherType.IP, len(mac), len(ip), ArpOperation.REQUEST)
    return ETHERNET_HEADER.pack(BROADCAST_MAC, mac, EtherType.ARP) + header + mac + ip + NO_MAC + ip


def _advertisement(mac: bytes, ip: bytes) -> bytes:
    option = struct.pack("!BB", Icmpv6.OPTION_TARGET_LINK_LAYER_ADDRESS, 1) + mac  # the length is in units of 8 bytes
    body = ICMPV6_ADVERTISEMENT.pack(Icmpv6.NEIGHBOUR_ADVERTISEMENT, 0, 0, AdvertisementFlag.OVERRIDE, ip) + option
    pseudo_header = ip + ALL_NODES + struct.pack("!II", len(body), socket.IPPROTO_ICMPV6)  # RFC 8200, 8.1
    start, end = ICMPV6_CHECKSUM_OFFSET, ICMPV6_CHECKSUM_OFFSET + 2
    body = body[:start] + struct.pack("!H", _checksum(pseudo_header + body)) + body[end:]
    header = IPV6_HEADER.pack(6 << 28, len(body), socket.IPPROTO_ICMPV6, HOP_LIMIT, ip, ALL_NODES)
    return ETHERNET_HEADER.pack(ALL_NODES_MAC, mac, EtherType.IPV6) + header + body


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
