# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the programs of this host listen on, as proc_pid_net(5) lists it, the host's addresses, and the routers that
it uses."""

from __future__ import annotations

import contextlib
import ipaddress
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .._common.addressing import ANYWHERE
from .._common.errors import HostError
from .addresses import read_addresses
from .routes import read_routes
from .socket import RouteSocket

FOLDER = "/proc/self/net"
FILES = (("tcp", "tcp"), ("tcp", "tcp6"), ("udp", "udp"), ("udp", "udp6"))  # (protocol, file)
LISTENING, UNCONNECTED = "0A", "07"  # include/net/tcp_states.h: TCP_LISTEN, and TCP_CLOSE of a UDP socket
EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range"


class Listener(NamedTuple):
    """A socket that takes connections or datagrams.

    :ivar protocol: tcp or udp.
    :ivar address: that it is bound to; None: all addresses.
    """

    protocol: str
    address: str | None
    port: int


class LocalHost(NamedTuple):
    """This host's own addresses, and what its programs listen on."""

    addresses: frozenset[str] = frozenset()
    listeners: frozenset[Listener] = frozenset()

    def listens(self, protocol: str, address: str, port: int) -> bool:
        """Return whether a program has this port.

        :param protocol: tcp, udp or sctp.
        """
        return any(Listener(protocol, one, port) in self.listeners for one in (address, None))


def read_local_host() -> LocalHost:
    """Return what the kernel says now. :raises HostError: it can't be read."""
    try:
        with RouteSocket() as kernel:
            addresses = frozenset(address.ip for address in read_addresses(kernel))
    except OSError as error:
        raise HostError(f"this host's addresses can't be read: {error.strerror}") from error
    return LocalHost(addresses, read_listeners())


def read_next_hops() -> frozenset[str]:
    """Return the routers that this host's default routes lead to. :raises HostError: they can't be read."""
    anywhere = tuple(ANYWHERE.values())
    try:
        with RouteSocket() as kernel:
            routes = read_routes(kernel, lambda route: route.destination in anywhere)
    except OSError as error:
        raise HostError(f"this host's routes can't be read: {error.strerror}") from error
    return frozenset(hop.via for route in routes for hop in route.nexthops if hop.via)


def read_listeners() -> frozenset[Listener]:
    """Return the sockets that take connections or datagrams.

    Sockets of UDP clients look the same, so UDP ports that the kernel hands out to clients are left out.
    """
    lowest, highest = _ephemeral_ports()
    found = set()
    for protocol, file in FILES:
        with contextlib.suppress(OSError), open(f"{FOLDER}/{file}", encoding="ascii") as lines:  # without IPv6
            next(lines, None)
            for listener in parse(protocol, lines):
                if protocol == "tcp" or not lowest <= listener.port <= highest:
                    found.add(listener)
    return frozenset(found)


def parse(protocol: str, lines: Iterable[str]) -> Iterator[Listener]:
    """Yield the listeners in a table of the kernel, which has those of TCP first."""
    for line in lines:
        _number, local, _remote, state = line.split(None, 4)[:4]
        if protocol == "tcp" and state != LISTENING:
            return  # connections, which may be many
        if protocol == "udp" and state != UNCONNECTED:
            continue
        digits, _colon, port = local.partition(":")
        yield Listener(protocol, _address(digits), int(port, 16))


def _address(digits: str) -> str | None:
    """Return an address that the kernel printed as 32-bit numbers of this machine; None for the unspecified one."""
    packed = b"".join(struct.pack("=I", int(digits[place : place + 8], 16)) for place in range(0, len(digits), 8))
    ip = ipaddress.ip_address(packed)
    mapped = getattr(ip, "ipv4_mapped", None)
    return None if ip.is_unspecified else str(mapped or ip)


def _ephemeral_ports() -> tuple[int, int]:
    """Return the first and the last port that the kernel chooses for clients."""
    with contextlib.suppress(OSError, ValueError), open(EPHEMERAL, encoding="ascii") as file:
        lowest, highest = map(int, file.read().split())
        return lowest, highest
    return 32768, 60999
