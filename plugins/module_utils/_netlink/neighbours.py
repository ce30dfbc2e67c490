# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a neighbour answers ARP or neighbour discovery.

The kernel itself asks for the neighbour's link-layer address, and no packet filter of the host keeps it from doing
so.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import TYPE_CHECKING, Any, Union

from .._common.retry import Pause, wait_until
from .constants import Nda, NlFlag, Nud, Rtm
from .links import link_index
from .messages import AF_OF_VERSION, attributes_of, messages, set_attributes
from .socket import RouteSocket

if TYPE_CHECKING:
    IPAddress = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

KNOWN = Nud.REACHABLE | Nud.STALE | Nud.DELAY | Nud.PROBE | Nud.NOARP | Nud.PERMANENT
NEVER_ASKED = Nud.NOARP | Nud.PERMANENT
DISCARD_PORT = 9  # RFC 863
POLL = Pause(0.02)


def neighbour_answers(link: str, ip: str, timeout: float) -> bool:
    """Return whether the neighbour told its link-layer address in time.

    The kernel does not ask some neighbours, such as those of a point-to-point link. For them the result is True.

    :param timeout: in seconds.
    """
    try:
        return _answers(link_index(link), ipaddress.ip_address(ip), link, timeout)
    except OSError:  # there is no such link, or it has no address to ask from
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
