# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's events about nftables' tables and chains (linux/netfilter/nfnetlink.h, nf_tables.h), for programs that
keep running."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .constants import NETLINK_NETFILTER
from .messages import align
from .plain import HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator

NFNLGRP_NFTABLES = 7
NFNL_SUBSYS_NFTABLES = 10
NFT_MSG_DELTABLE, NFT_MSG_DELCHAIN = 2, 5
NFPROTO_INET, NFPROTO_NETDEV = 1, 5  # linux/netfilter.h


def subscribe() -> socket.socket:
    """Return a socket that becomes readable when a table or a chain of nftables changes.

    :raises HostError: the kernel has no nftables, or refuses.
    """
    try:
        events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_NETFILTER)
        events.bind((0, 1 << (NFNLGRP_NFTABLES - 1)))
    except OSError as error:
        raise HostError(f"the kernel does not tell of changes of nftables: {error.strerror}") from error
    return events


def has_removed(events: socket.socket, family: int = NFPROTO_NETDEV) -> bool:
    """Receive all events that have arrived. Return whether a table or a chain of the family was removed; True also when
    events were lost.

    :raises HostError: the socket can't be read.
    """
    found = False
    while True:
        try:
            found = any(_removals(events.recv(1 << 16), family)) or found
        except BlockingIOError:
            return found
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                reason = os.strerror(error.errno or 0)
                raise HostError(f"the kernel's events of nftables can't be read: {reason}") from error
            found = True


def _removals(data: bytes, family: int) -> Iterator[bool]:
    """Yield for each event of a datagram whether it is a removal. After the header comes struct nfgenmsg, whose first
    byte is the family."""
    while len(data) > HEADER.size:
        length, kind, *_rest = HEADER.unpack_from(data)
        yield (
            kind >> 8 == NFNL_SUBSYS_NFTABLES
            and kind & 0xFF in (NFT_MSG_DELTABLE, NFT_MSG_DELCHAIN)
            and data[HEADER.size] == family
        )
        data = data[max(align(length), HEADER.size) :]
