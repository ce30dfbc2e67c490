# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ICMP echo requests to many addresses at once (RFC 792, RFC 4443), without a process and without a library."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from typing import TYPE_CHECKING

from .._common.icmp import IcmpType, Icmpv6Type

if TYPE_CHECKING:
    from collections.abc import Iterable

ECHO = {4: 8, 6: 128}  # types of the requests; Icmpv6Type and IcmpType have those of the replies
AGAIN = 0.25  # seconds after which an address that has not answered is asked again: the first packet may wait for ARP


def silent(addresses: Iterable[str], timeout: float) -> set[str]:
    """Return those of the addresses that do not answer.

    :param timeout: seconds for all of them together.
    :raises OSError: this process may not open raw sockets (raw(7)).
    """
    waiting = set(addresses)
    return {
        address
        for version in (4, 6)
        for address in _ask({one for one in waiting if (":" in one) == (version == 6)}, version, timeout)
    }


def _ask(waiting: set[str], version: int, timeout: float) -> set[str]:
    if not waiting:
        return set()
    family, protocol = (
        (socket.AF_INET, socket.IPPROTO_ICMP) if version == 4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
    )
    identity = os.urandom(2)
    end = time.monotonic() + timeout
    with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
        raw.setblocking(False)
        next_request = 0.0
        while waiting:
            now = time.monotonic()
            if now >= end:
                break
            if now >= next_request:
                _send(raw, waiting, version, identity)
                next_request = now + AGAIN
            if select.select([raw], [], [], max(0.0, min(next_request, end) - now))[0]:
                waiting = waiting - _answers(raw, version, identity)
    return waiting


def _send(raw: socket.socket, addresses: Iterable[str], version: int, identity: bytes) -> None:
    """Send one request to each address. What can't be sent gets no answer."""
    request = bytes([ECHO[version], 0, 0, 0]) + identity + b"\0\1" + b"ovn.kubernetes"
    if version == 4:  # the kernel computes the checksum of ICMPv6 (raw(7), RFC 3542)
        request = request[:2] + struct.pack("!H", checksum(request)) + request[4:]
    for address in addresses:
        try:
            raw.sendto(request, (address, 0))
        except OSError:
            continue


def _answers(raw: socket.socket, version: int, identity: bytes) -> set[str]:
    """Return the addresses whose replies have come."""
    found: set[str] = set()
    while True:
        try:
            packet, sender = raw.recvfrom(2048)
        except BlockingIOError:
            return found
        if version == 4:  # raw IPv4 sockets return the IP header too
            packet = packet[(packet[0] & 0xF) * 4 :]
        reply = IcmpType.ECHOREPLY if version == 4 else Icmpv6Type.ECHO_REPLY
        if len(packet) >= 8 and packet[0] == reply and packet[4:6] == identity:
            found.add(str(sender[0]))


def checksum(message: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    padded = message + b"\0" * (len(message) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
