# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's events about links and addresses (rtnetlink(7)), for programs that keep running.

An event says only that something changed. Its reader reads the state anew, so that a lost event does no harm.
"""

from __future__ import annotations

import errno
import os
import socket

from .._common.errors import HostError
from .addresses import read_addresses
from .constants import RtmGrp
from .socket import RouteSocket

GROUPS = RtmGrp.LINK | RtmGrp.IPV4_IFADDR | RtmGrp.IPV6_IFADDR


def subscribe() -> socket.socket:
    """Return a socket that becomes readable whenever a link or an address changes."""
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    events.bind((0, int(GROUPS)))
    return events


def drain(events: socket.socket) -> None:
    """Receive and discard all events that have arrived.

    :raises HostError: the socket can't be read.
    """
    while True:
        try:
            events.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # ENOBUFS: some events were lost
                reason = os.strerror(error.errno or 0)
                raise HostError(f"the kernel's events can't be read: {reason}") from error


def addresses_of(link: str) -> tuple[str, ...]:
    """Return all addresses of a link, link-local ones too, sorted and without prefix lengths. A missing link has none.

    :raises HostError: the kernel can't be read.
    """
    try:
        with RouteSocket() as kernel:
            return tuple(sorted({address.ip for address in read_addresses(kernel, {link})}))
    except OSError as error:
        raise HostError(f"the addresses of {link} can't be read: {error.strerror}") from error
