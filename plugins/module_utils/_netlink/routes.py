# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's routes, read, added and removed (rtnetlink(7), RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE)."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING, Any

from .constants import RT_TABLE_COMPAT, USER_HZ, NlFlag, Rta, Rtm, RtmF, Rtn, RtnhF
from .links import link_index
from .messages import (
    AF_OF_VERSION,
    IP_VERSIONS,
    align,
    attributes_of,
    chain,
    messages,
    nested,
    pack_ip,
    pack_number,
    selected,
    set_attributes,
    unpack_ip,
    unpack_number,
)
from .records import KernelRoute, Nexthop, ip_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .socket import RouteSocket

ROUTE_EXTRA = (Rta.METRICS, Rta.PREF, Rta.TTL_PROPAGATE)
HOP_EXTRA = (Rta.FLOW, Rta.ENCAP_TYPE, Rta.ENCAP)
KEPT_HOP_FLAGS = RtnhF.PERVASIVE | RtnhF.ONLINK  # the others report a state
UNSPECIFIED = {4: "0.0.0.0", 6: "::"}
MOST_BITS = {4: 32, 6: 128}
# The kernel's answers for an address without a route, and for types of routes without a link (ip-route(8)).
NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL, errno.EAGAIN)
HEADER_TABLES = 256  # table numbers that the header has room for
RTNEXTHOP = struct.Struct("HBBi")  # struct rtnexthop: length, flags, hops, link
RTVIA_FAMILY = struct.Struct("H")  # struct rtvia begins with the address family
RTA_CACHEINFO_EXPIRES = struct.Struct("8xi")  # rta_expires of struct rta_cacheinfo, in ticks


def read_routes(kernel: RouteSocket, is_wanted: Callable[[KernelRoute], object]) -> list[KernelRoute]:
    """Return all routes of all tables for which ``is_wanted(route)`` is true.

    Cached routes are left out, and those without a link, such as blackholes.
    """
    return [route for route in read_all_routes(kernel) if route.nexthops and is_wanted(route)]


def read_all_routes(kernel: RouteSocket) -> list[KernelRoute]:
    """Return all routes of all tables and types. Cached routes are left out."""
    return [
        _from_reply(kernel, reply)
        for reply in kernel.request(messages().route(), Rtm.GETROUTE, NlFlag.DUMP)
        if reply["family"] in IP_VERSIONS and not reply["flags"] & RtmF.CLONED
    ]


def look_up(kernel: RouteSocket, ip: str, source: str | None = None, whole: bool = False) -> KernelRoute | None:
    """Return the route by which the kernel sends a packet of its own to an address now; None: it would not send it.

    The kernel has applied its rules of policy routing. ``destination`` is the address alone.

    :param source: the packet's own address; None: the kernel chooses it. Of IPv4 it must be on this host.
    :param whole: return the route as it is in its table, with all its next hops.
    """
    version = ip_version(ip)
    message = messages().route()
    message["family"], message["dst_len"] = AF_OF_VERSION[version], MOST_BITS[version]
    attributes: dict[int, bytes] = {Rta.DST: pack_ip(ip)}
    if source is not None:
        message["src_len"], attributes[Rta.SRC] = MOST_BITS[version], pack_ip(source)
    message["flags"] = RtmF.FIB_MATCH if whole else 0
    set_attributes(message, attributes)
    try:
        (reply,) = kernel.request(message, Rtm.GETROUTE, 0)
    except OSError as error:
        if error.errno in NO_ROUTE:
            return None
        raise
    route = _from_reply(kernel, reply)
    return route if route.type in (Rtn.UNICAST, Rtn.LOCAL) else None


def add_route(kernel: RouteSocket, route: KernelRoute) -> bool:
    """Add a route beside any others with the same destination. Return False when it exists already."""
    try:
        kernel.request(_message(route), Rtm.NEWROUTE, NlFlag.ACK | NlFlag.CREATE | NlFlag.APPEND)
    except OSError as error:
        if error.errno == errno.EEXIST:
            return False
        raise
    return True


def remove_route(kernel: RouteSocket, route: KernelRoute) -> bool:
    """Remove exactly this route. Return False when it does not exist."""
    try:
        kernel.request(_message(route), Rtm.DELROUTE, NlFlag.ACK)
    except OSError as error:
        if error.errno in (errno.ESRCH, errno.ENODEV):
            return False
        raise
    return True


def _from_reply(kernel: RouteSocket, reply: Any) -> KernelRoute:
    attributes = attributes_of(reply)
    version = IP_VERSIONS[reply["family"]]
    hops: tuple[Nexthop, ...] = ()
    if Rta.MULTIPATH in attributes:
        hops = tuple(_unpack_hops(kernel, attributes[Rta.MULTIPATH]))
    elif Rta.OIF in attributes:
        hops = (_hop(kernel, unpack_number(attributes[Rta.OIF]), reply["flags"], 0, attributes),)
    prefix = unpack_ip(attributes[Rta.DST]) if Rta.DST in attributes else UNSPECIFIED[version]
    ticks = RTA_CACHEINFO_EXPIRES.unpack_from(attributes[Rta.CACHEINFO])[0] if Rta.CACHEINFO in attributes else 0
    return KernelRoute(
        f"{prefix}/{reply['dst_len']}",
        hops,
        table=unpack_number(attributes[Rta.TABLE]) if Rta.TABLE in attributes else reply["table"],
        metric=unpack_number(attributes[Rta.PRIORITY]) if Rta.PRIORITY in attributes else 0,
        source=unpack_ip(attributes[Rta.PREFSRC]) if Rta.PREFSRC in attributes else None,
        source_prefix=f"{unpack_ip(attributes[Rta.SRC])}/{reply['src_len']}" if Rta.SRC in attributes else None,
        type=reply["type"],
        scope=reply["scope"],
        protocol=reply["proto"],
        tos=reply["tos"],
        extra=selected(attributes, ROUTE_EXTRA),
        expires=max(1, ticks // USER_HZ) if ticks > 0 else None,
        nexthop_id=unpack_number(attributes[Rta.NH_ID]) if Rta.NH_ID in attributes else None,
    )


def _unpack_hops(kernel: RouteSocket, data: bytes) -> Iterator[Nexthop]:
    """Yield the next hops of ``RTA_MULTIPATH``."""
    while len(data) >= RTNEXTHOP.size:
        length, flags, hops, index = RTNEXTHOP.unpack_from(data)
        yield _hop(kernel, index, flags, hops, dict(nested(data[RTNEXTHOP.size : length])))
        data = data[align(length) :]


def _hop(kernel: RouteSocket, index: int, flags: int, hops: int, attributes: Mapping[int, bytes]) -> Nexthop:
    via = None
    if Rta.GATEWAY in attributes:
        via = unpack_ip(attributes[Rta.GATEWAY])
    elif Rta.VIA in attributes:  # a router of the other IP version (RFC 5549)
        via = unpack_ip(attributes[Rta.VIA][RTVIA_FAMILY.size :])
    return Nexthop(kernel.link_name(index), via, int(flags & KEPT_HOP_FLAGS), hops, selected(attributes, HOP_EXTRA))


def _message(route: KernelRoute) -> Any:
    message = messages().route()
    prefix, message["dst_len"] = _split(route.destination)
    message["family"], message["tos"], message["proto"] = AF_OF_VERSION[route.version], route.tos, route.protocol
    message["scope"], message["type"] = route.scope, route.type
    message["table"] = route.table if route.table < HEADER_TABLES else RT_TABLE_COMPAT
    attributes: dict[int, bytes] = dict(route.extra)
    attributes[Rta.TABLE] = pack_number(route.table)
    if message["dst_len"]:
        attributes[Rta.DST] = pack_ip(prefix)
    if route.source_prefix:
        source_prefix, message["src_len"] = _split(route.source_prefix)
        attributes[Rta.SRC] = pack_ip(source_prefix)
    if route.metric:
        attributes[Rta.PRIORITY] = pack_number(route.metric)
    if route.source:
        attributes[Rta.PREFSRC] = pack_ip(route.source)
    if route.expires:
        attributes[Rta.EXPIRES] = pack_number(route.expires)
    if len(route.nexthops) == 1:
        hop = route.nexthops[0]
        message["flags"] = hop.flags
        attributes[Rta.OIF] = pack_number(link_index(hop.link))
        attributes.update(_hop_attributes(hop, route.version))
    else:
        attributes[Rta.MULTIPATH] = b"".join(_pack_hop(hop, route.version) for hop in route.nexthops)
    set_attributes(message, attributes)
    return message


def _pack_hop(hop: Nexthop, version: int) -> bytes:
    attributes = chain(_hop_attributes(hop, version))
    return RTNEXTHOP.pack(RTNEXTHOP.size + len(attributes), hop.flags, hop.hops, link_index(hop.link)) + attributes


def _hop_attributes(hop: Nexthop, version: int) -> dict[int, bytes]:
    attributes: dict[int, bytes] = dict(hop.extra)
    if hop.via:
        via_version = ip_version(hop.via)
        if via_version == version:
            attributes[Rta.GATEWAY] = pack_ip(hop.via)
        else:
            attributes[Rta.VIA] = RTVIA_FAMILY.pack(AF_OF_VERSION[via_version]) + pack_ip(hop.via)
    return attributes


def _split(prefix: str) -> tuple[str, int]:
    """Return the address and the length of a prefix."""
    address, length = prefix.split("/")
    return address, int(length)
