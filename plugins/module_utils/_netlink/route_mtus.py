# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What fits through the kernel's routes: each destination with the least MTU of its links (rtnetlink(7)).

It needs no library: facts are gathered before anything is installed.
"""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import itertools
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common.names import MANAGEMENT_PREFIX
from .constants import RT_TABLE_LOCAL, RT_TABLE_MAIN, Fra, Iff, NlFlag, NlMsg, Rta, Rtax, Rtm, RtmF, Rtn
from .messages import AF_OF_VERSION, IP_VERSIONS, RTATTR, align, nested, unpack_number
from .routes import NO_ROUTE, RTNEXTHOP
from .socket import HEADER, RECEIVE_BYTES, raise_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .._common.addressing import IPAddress, IPNetwork

RTMSG = struct.Struct("BBBBBBBBI")  # struct rtmsg (linux/rtnetlink.h)
MOST_ASKED = 2000  # networks that the kernel is asked for
SIOCGIFFLAGS, SIOCGIFMTU = 0x8913, 0x8921  # netdevice(7)
IFREQ = struct.Struct("16si20x")  # struct ifreq with ifr_mtu
IFREQ_FLAGS = struct.Struct("16sH22x")  # struct ifreq with ifr_flags


def read_route_mtus() -> list[tuple[str, int]]:
    """Return network and MTU of the ways to other hosts.

    They are the routes of the main table; of several to one network the one that is used. Where the host has policy
    routing, the networks of all its tables and rules count, and the kernel's own lookup says which way is used; not
    with more than :data:`MOST_ASKED` networks.

    :raises OSError: the kernel can't be asked.
    """
    with _Kernel() as kernel:
        main, others = kernel.routes()
        if not others:
            return list(main.items())
        networks = sorted(map(ipaddress.ip_network, {*main, *others}), key=lambda one: (one.version, one))
        if len(networks) > MOST_ASKED:
            return list(main.items())
        asked = [
            (str(network), kernel.mtu_to_some_address(network, itertools.islice(networks, index, None)))
            for index, network in enumerate(networks, 1)
        ]
    return [(network, mtu) for network, mtu in asked if mtu is not None]


def read_way_mtu(destination: str, source: str) -> int | None:
    """Return the MTU of the way by which the kernel sends a packet to another host; None: there is none.

    :param source: the address that the packet comes from; one that this host does not have counts as none.
    :raises OSError: the kernel can't be asked.
    """
    with _Kernel() as kernel:
        try:
            found = kernel.look_up(ipaddress.ip_address(destination), ipaddress.ip_address(source))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            found = kernel.look_up(ipaddress.ip_address(destination))
    return found.mtu if found else None


@dataclass(frozen=True)
class _Route:
    """A route.

    :ivar mtu: the least one of its links and of its own; None: it leads to no other host.
    """

    table: int
    type: int
    network: str
    metric: int
    mtu: int | None


class _Kernel:
    """A socket for routes and rules. Use it as a context manager."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._sequence = 0
        self._mtus: dict[int, int | None] = {}  # number of a link -> its MTU

    def __enter__(self) -> _Kernel:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def routes(self) -> tuple[dict[str, int], set[str]]:
        """Return the networks of the main table with their MTUs, and the networks of other tables and of rules."""
        used: dict[str, tuple[int, int]] = {}  # network -> metric, MTU
        others: set[str] = set()
        for family in IP_VERSIONS:
            for body in self._request(family, Rtm.GETROUTE, NlFlag.DUMP, RTMSG.pack(family, *bytes(7), 0)):
                route = self._route(body)
                if route.mtu is None or route.table == RT_TABLE_LOCAL:
                    continue
                if route.table != RT_TABLE_MAIN:
                    others.add(route.network)
                    continue
                # Equal metrics: next hops that the kernel lists one by one.
                way = route.metric, route.mtu
                used[route.network] = min(used.get(route.network, way), way)
            others.update(self._destinations_of_rules(family))
        return {network: mtu for network, (_metric, mtu) in used.items()}, others

    def _destinations_of_rules(self, family: int) -> Iterator[str]:
        for body in self._request(family, Rtm.GETRULE, NlFlag.DUMP, RTMSG.pack(family, *bytes(7), 0)):
            length, address = body[1], dict(nested(body[RTMSG.size :])).get(Fra.DST)
            if address is not None:
                yield f"{ipaddress.ip_address(address)}/{length}"

    def mtu_to_some_address(self, network: IPNetwork, following: Iterable[IPNetwork]) -> int | None:
        """Return the MTU of the way to a network, to an address that is in no narrower one.

        :param following: the networks that follow it in their order: first those that are a part of it.
        """
        number, last = int(network.network_address), int(network.broadcast_address)
        number += 1 if last > number + 1 else 0
        for part in following:
            first = int(part.network_address)
            if part.version != network.version or first > last:
                break
            if first <= number <= int(part.broadcast_address):
                number = int(part.broadcast_address) + 1
        for candidate in (number, number + 1):  # the first one may be the host's own
            if candidate <= last:
                found = self.look_up(type(network.network_address)(candidate))
                if found is None or found.type != Rtn.LOCAL:
                    return found.mtu if found else None
        return None

    def look_up(self, destination: IPAddress, source: IPAddress | None = None) -> _Route | None:
        """Return the route by which the kernel sends a packet, with all its next hops; None: it would not send it.

        :raises OSError: EINVAL, the source is not an address of this host.
        """
        bits, family = destination.max_prefixlen, AF_OF_VERSION[destination.version]
        header = RTMSG.pack(family, bits, bits if source else 0, 0, 0, 0, 0, 0, RtmF.FIB_MATCH)
        attributes = [(Rta.DST, destination.packed), *([(Rta.SRC, source.packed)] if source else [])]
        packed = b"".join(RTATTR.pack(RTATTR.size + len(value), kind) + value for kind, value in attributes)
        try:
            (body,) = self._request(family, Rtm.GETROUTE, 0, header + packed)
        except OSError as error:
            if error.errno in NO_ROUTE and not (source and error.errno == errno.EINVAL):
                return None
            raise
        return self._route(body)

    def _request(self, family: int, kind: int, flags: int, body: bytes) -> list[bytes]:
        """Return the replies to a request, each as its struct with its attributes."""
        self._sequence += 1
        header = HEADER.pack(HEADER.size + len(body), kind, NlFlag.REQUEST | flags, self._sequence, 0)
        self._socket.send(header + body)
        found: list[bytes] = []
        while True:
            data, offset = self._socket.recv(RECEIVE_BYTES), 0
            while offset < len(data):
                length, reply, reply_flags, sequence, _port = HEADER.unpack_from(data, offset)
                if sequence == self._sequence:
                    if reply in (NlMsg.ERROR, NlMsg.DONE):
                        raise_error(data, offset)
                        return found
                    found.append(data[offset + HEADER.size : offset + length])
                    if not reply_flags & NlFlag.MULTI:
                        return found
                offset += align(length)

    def _route(self, body: bytes) -> _Route:
        family, length, _source, _tos, table, _protocol, _scope, kind, flags = RTMSG.unpack_from(body)
        attributes = dict(nested(body[RTMSG.size :]))
        if Rta.TABLE in attributes:
            table = unpack_number(attributes[Rta.TABLE])
        address = ipaddress.ip_address(attributes.get(Rta.DST, bytes(4 if family == socket.AF_INET else 16)))
        metric = unpack_number(attributes[Rta.PRIORITY]) if Rta.PRIORITY in attributes else 0
        leads_out = kind == Rtn.UNICAST and not flags & RtmF.CLONED
        leads_out = leads_out and not address.is_link_local and not address.is_multicast
        return _Route(table, kind, f"{address}/{length}", metric, self._mtu(attributes) if leads_out else None)

    def _mtu(self, attributes: dict[int, bytes]) -> int | None:
        """Return the least MTU of a route's links and of its own; None where it has no link that leads out."""
        links = [unpack_number(attributes[Rta.OIF])] if Rta.OIF in attributes else []
        links += _nexthop_links(attributes.get(Rta.MULTIPATH, b""))
        for link in links:
            if link not in self._mtus:
                self._mtus[link] = _link_mtu(link)
        through = [mtu for mtu in (self._mtus[link] for link in links) if mtu is not None]
        if not through:
            return None
        metrics = dict(nested(attributes.get(Rta.METRICS, b"")))
        return min([*through, *([unpack_number(metrics[Rtax.MTU])] if Rtax.MTU in metrics else [])])


def _nexthop_links(data: bytes) -> list[int]:
    """Return the numbers of the links of a chain of struct rtnexthop."""
    links = []
    while len(data) >= RTNEXTHOP.size:
        length, _flags, _hops, link = RTNEXTHOP.unpack_from(data)
        links.append(link)
        if length < RTNEXTHOP.size:
            break
        data = data[align(length) :]
    return links


def _link_mtu(index: int) -> int | None:
    """Return the MTU of a link; None for the loopback, for the overlay's own, and for a link that is gone."""
    try:
        name = socket.if_indextoname(index).encode()
        if name.startswith(MANAGEMENT_PREFIX.encode()):
            return None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            flags = IFREQ_FLAGS.unpack(fcntl.ioctl(any_socket, SIOCGIFFLAGS, IFREQ_FLAGS.pack(name, 0)))[1]
            mtu = int(IFREQ.unpack(fcntl.ioctl(any_socket, SIOCGIFMTU, IFREQ.pack(name, 0)))[1])
    except OSError:
        return None
    return None if flags & Iff.LOOPBACK else mtu
