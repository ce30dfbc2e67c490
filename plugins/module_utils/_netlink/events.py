# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's news about links and addresses (rtnetlink(7)), for programs that stay. What they say is read anew: that can't be missed."""

from __future__ import annotations

import errno
import os
import socket

from .._common.errors import HostError
from .rtnetlink import Rtnl

GROUPS = 0x1 | 0x10 | 0x100  # RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR


def subscribe():
    """A socket that becomes readable whenever a link or an address changes."""
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    events.bind((0, GROUPS))
    return events


def drain(events):
    """Read away what the socket has: that something changed is all that it tells."""
    while True:
        try:
            events.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # so many that some were lost; one is enough
                raise HostError(f"the kernel's news can't be read: {os.strerror(error.errno)}") from error


def addresses_of(link):
    """All addresses on a link, without prefix, link-local ones too; none where there is no such link."""
    try:
        with Rtnl() as rtnl:
            return tuple(sorted({address.ip for address in rtnl.addresses({link})}))
    except OSError as error:
        raise HostError(f"the addresses of {link} can't be read: {error.strerror}") from error
