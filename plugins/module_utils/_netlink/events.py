# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's events about links and addresses (rtnetlink(7)), for programs that keep running.

An event says only what has changed. Its reader reads the state anew, so that a lost event does no harm.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .addresses import read_addresses
from .constants import Ifla, Rtm, RtmGrp
from .messages import align, nested, unpack_name
from .plain import HEADER
from .socket import RouteSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

IFINFOMSG_BYTES = 16  # struct ifinfomsg
GROUPS = RtmGrp.LINK | RtmGrp.IPV4_IFADDR | RtmGrp.IPV6_IFADDR


def subscribe() -> socket.socket:
    """Return a socket that becomes readable whenever a link or an address changes."""
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    events.bind((0, int(GROUPS)))
    return events


def drain(events: socket.socket) -> set[str] | None:
    """Receive all events that have arrived. Return the links that changed; None: events were lost, so any may have.

    :raises HostError: the socket can't be read.
    """
    links: set[str] = set()
    lost = False
    while True:
        try:
            links.update(_links(events.recv(1 << 16)))
        except BlockingIOError:
            return None if lost else links
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                reason = os.strerror(error.errno or 0)
                raise HostError(f"the kernel's events can't be read: {reason}") from error
            lost = True


def _links(data: bytes) -> Iterator[str]:
    """Yield the names of the links in a datagram of events."""
    while len(data) >= HEADER.size:
        length, kind, *_rest = HEADER.unpack_from(data)
        if kind in (Rtm.NEWLINK, Rtm.DELLINK):
            name = dict(nested(data[HEADER.size + IFINFOMSG_BYTES : length])).get(Ifla.IFNAME)
            if name:
                yield unpack_name(name)
        data = data[max(align(length), HEADER.size) :]


def addresses_of(link: str) -> tuple[str, ...]:
    """Return all addresses of a link, link-local ones too, sorted and without prefix lengths. A missing link has none.

    :raises HostError: the kernel can't be read.
    """
    try:
        with RouteSocket() as kernel:
            return tuple(sorted({address.ip for address in read_addresses(kernel, {link})}))
    except OSError as error:
        raise HostError(f"the addresses of {link} can't be read: {error.strerror}") from error
