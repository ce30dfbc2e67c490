# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell the neighbours of a link whose addresses are new: gratuitous ARP (RFC 5227) and unsolicited neighbour advertisements (RFC 4861)."""

from __future__ import annotations

import ipaddress
import socket
import struct

ARP, IPV6 = 0x0806, 0x86DD
ALL_NODES, ALL_NODES_MAC = ipaddress.ip_address("ff02::1").packed, bytes.fromhex("333300000001")
ADVERTISEMENT, OVERRIDE, TARGET_MAC = 136, 0x20000000, 2  # RFC 4861, 4.4 and 4.6.1


def announce(link, mac, cidrs):
    """Send one frame for each address. :returns: the socket: to close one of this sort takes longer than all else, up to 20 ms. :raises OSError:"""
    source = bytes.fromhex(mac.replace(":", ""))
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC)
    try:
        raw.bind((link, 0))
        for cidr in cidrs:
            ip = ipaddress.ip_interface(cidr).ip
            raw.send(_arp(source, ip.packed) if ip.version == 4 else _advertisement(source, ip.packed))
    except BaseException:
        raw.close()
        raise
    return raw


def _arp(mac, ip):
    return b"\xff" * 6 + mac + struct.pack("!HHHBBH", ARP, 1, 0x0800, 6, 4, 1) + mac + ip + bytes(6) + ip


def _advertisement(mac, ip):
    body = struct.pack("!BBHI", ADVERTISEMENT, 0, 0, OVERRIDE) + ip + struct.pack("!BB", TARGET_MAC, 1) + mac
    pseudo = ip + ALL_NODES + struct.pack("!II", len(body), socket.IPPROTO_ICMPV6)
    body = body[:2] + struct.pack("!H", _checksum(pseudo + body)) + body[4:]
    return (
        ALL_NODES_MAC
        + mac
        + struct.pack("!HIHBB", IPV6, 6 << 28, len(body), socket.IPPROTO_ICMPV6, 255)
        + ip
        + ALL_NODES
        + body
    )


def _checksum(data):
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
