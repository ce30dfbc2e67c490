# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Neighbours: those that somebody configured, and whether one answers ARP or neighbour discovery.

The kernel itself asks for a neighbour's link-layer address, and no packet filter of the host keeps it from doing so.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import TYPE_CHECKING, Any, Union

from .._common.retry import Pause, wait_until
from .constants import Nda, NlFlag, Ntf, NtfExt, Nud, Rtm
from .links import link_index
from .messages import (
    AF_OF_VERSION,
    attributes_of,
    messages,
    pack_ip,
    pack_mac,
    pack_number,
    set_attributes,
    unpack_ip,
    unpack_number,
)
from .records import KernelNeighbour
from .socket import RouteSocket

if TYPE_CHECKING:
    from collections.abc import Set

    IPAddress = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

KNOWN = Nud.REACHABLE | Nud.STALE | Nud.DELAY | Nud.PROBE | Nud.NOARP | Nud.PERMANENT
NEVER_ASKED = Nud.NOARP | Nud.PERMANENT
DISCARD_PORT = 9  # RFC 863
POLL = Pause(0.02)
# The flags that a request may set. The others report a state.
SETTABLE_FLAGS = Ntf.PROXY | Ntf.EXT_LEARNED | Ntf.STICKY | Ntf.ROUTER


def read_neighbours(kernel: RouteSocket, links: Set[str]) -> list[KernelNeighbour]:
    """Return the neighbours of these links that somebody configured, and the addresses for which the host answers."""
    found = []
    for family in AF_OF_VERSION.values():
        for flags in (0, Ntf.PROXY):
            message = messages().neighbour()
            message["family"], message["flags"] = family, int(flags)
            for reply in kernel.request(message, Rtm.GETNEIGH, NlFlag.DUMP):
                neighbour = _from_reply(kernel.link_name(reply["index"]), reply)
                if neighbour.link in links and neighbour.configured:
                    found.append(neighbour)
    return found


def add_neighbour(kernel: RouteSocket, neighbour: KernelNeighbour) -> bool:
    """Add a neighbour to its link, in the place of what the kernel has learnt there."""
    kernel.request(_request(neighbour), Rtm.NEWNEIGH, NlFlag.ACK | NlFlag.CREATE | NlFlag.REPLACE)
    return True


def remove_neighbour(kernel: RouteSocket, neighbour: KernelNeighbour) -> bool:
    """Remove a neighbour from its link. Return False when the link does not have it."""
    try:
        kernel.request(_request(neighbour), Rtm.DELNEIGH, NlFlag.ACK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV):
            return False
        raise
    return True


def _request(neighbour: KernelNeighbour) -> Any:
    message = _message(ipaddress.ip_address(neighbour.ip), link_index(neighbour.link))
    is_managed = bool(neighbour.more_flags & NtfExt.MANAGED)  # the kernel itself asks for the address of such a one
    message["state"], message["flags"] = 0 if is_managed else neighbour.state, neighbour.flags
    attributes: dict[int, bytes] = {Nda.DST: pack_ip(neighbour.ip)}
    if neighbour.mac and not is_managed:
        attributes[Nda.LLADDR] = pack_mac(neighbour.mac)
    if neighbour.protocol:
        attributes[Nda.PROTOCOL] = bytes([neighbour.protocol])
    if neighbour.more_flags:
        attributes[Nda.FLAGS_EXT] = pack_number(neighbour.more_flags)
    set_attributes(message, attributes)
    return message


def _from_reply(link: str, reply: Any) -> KernelNeighbour:
    attributes = attributes_of(reply)
    more_flags = unpack_number(attributes[Nda.FLAGS_EXT]) if Nda.FLAGS_EXT in attributes else 0
    return KernelNeighbour(
        link,
        unpack_ip(attributes[Nda.DST]),
        attributes[Nda.LLADDR].hex(":") if Nda.LLADDR in attributes else None,
        reply["state"],
        int(reply["flags"] & SETTABLE_FLAGS),
        int(more_flags & NtfExt.MANAGED),
        attributes[Nda.PROTOCOL][0] if Nda.PROTOCOL in attributes else 0,
    )


def neighbour_answers(link: str, ip: str, timeout: float) -> bool:
    """Return whether the neighbour told its link-layer address in time.

    The kernel does not ask some neighbours, such as those of a point-to-point link. For them the result is True.

    :param timeout: in seconds.
    """
    try:
        return _answers(link_index(link), ipaddress.ip_address(ip), link, timeout)
    except OSError:  # there is no such link, or it has no address to ask from
        return False


def neighbour_is_asked(link: str, ip: str) -> bool:
    """Return whether the kernel asks the neighbour at all: an answer of one that it does not ask proves nothing."""
    try:
        with RouteSocket() as kernel:
            return not _state(kernel, link_index(link), ipaddress.ip_address(ip)) & NEVER_ASKED
    except OSError:
        return False


def _answers(index: int, ip: IPAddress, link: str, timeout: float) -> bool:
    with RouteSocket() as kernel:
        if _state(kernel, index, ip) & NEVER_ASKED:
            return True
        _forget(kernel, index, ip)
        with socket.socket(AF_OF_VERSION[ip.version], socket.SOCK_DGRAM) as datagrams:
            datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
            datagrams.sendto(b"", (str(ip), DISCARD_PORT, *((0, index) if ip.version == 6 else ())))
        return bool(wait_until(lambda: _state(kernel, index, ip) & KNOWN, timeout, POLL))


def _message(ip: IPAddress, index: int) -> Any:
    message = messages().neighbour()
    message["family"], message["index"] = AF_OF_VERSION[ip.version], index
    return message


def _state(kernel: RouteSocket, index: int, ip: IPAddress) -> int:
    """Return the state of the neighbour (:class:`.constants.Nud`), 0 when the kernel does not know it."""
    for reply in kernel.request(_message(ip, 0), Rtm.GETNEIGH, NlFlag.DUMP):
        if reply["index"] == index and attributes_of(reply).get(Nda.DST) == ip.packed:
            return int(reply["state"])
    return 0


def _forget(kernel: RouteSocket, index: int, ip: IPAddress) -> None:
    """Delete what the kernel knows of the neighbour, so that it asks again."""
    message = _message(ip, index)
    set_attributes(message, {Nda.DST: ip.packed})
    try:
        kernel.request(message, Rtm.DELNEIGH, NlFlag.ACK)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
