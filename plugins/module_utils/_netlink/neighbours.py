# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a neighbour on a link answers now: the kernel asks it anew for its link-layer address, which no packet filter of its keeps it from telling."""

from __future__ import annotations

import errno
import ipaddress
import socket
import time

from .libraries import netlink
from .rtnetlink import DUMP, NUMBERS, attributes_of, index_of
from .socket import ACK, Asking

NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30
NDA_DST = 1
REACHABLE, STALE, DELAY, PROBE, NOARP, PERMANENT = 0x02, 0x04, 0x08, 0x10, 0x40, 0x80
KNOWN = REACHABLE | STALE | DELAY | PROBE | NOARP | PERMANENT
NOT_ASKED = NOARP | PERMANENT
DISCARD = 9  # a datagram to this port is for nobody
LOOK = 0.02  # seconds


def answers(link, ip, patience):
    """Whether the neighbour has told its link-layer address within ``patience`` seconds; one that nobody ever asks, as on a point-to-point link, has."""
    try:
        return _answers(index_of(link), ipaddress.ip_address(ip), link, time.monotonic() + patience)
    except OSError:  # there is no such link, or no address on it from which to ask
        return False


def _answers(index, ip, link, deadline):
    with Asking({NEWNEIGH: _message_class()}) as asking:
        if _state(asking, index, ip) & NOT_ASKED:
            return True
        _forget(asking, index, ip)
        with socket.socket(NUMBERS[ip.version], socket.SOCK_DGRAM) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
            one.sendto(b"", (str(ip), DISCARD, *((0, index) if ip.version == 6 else ())))
        while not _state(asking, index, ip) & KNOWN:
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK)
    return True


def _message_class():
    nlmsg = netlink().nlmsg
    return type(
        "NeighbourMessage",
        (nlmsg,),
        {
            "nla_map": tuple((number, str(number), "cdata") for number in range(1, 16)),
            "fields": (
                ("family", "B"),
                ("pad", "B"),
                ("pad2", "H"),
                ("index", "i"),
                ("state", "H"),
                ("flags", "B"),
                ("type", "B"),
            ),
        },
    )


def _message(ip, index):
    message = _message_class()()
    message["family"], message["index"] = NUMBERS[ip.version], index
    return message


def _state(asking, index, ip):
    """What the kernel knows of the neighbour, 0: nothing."""
    for reply in asking.ask(_message(ip, 0), GETNEIGH, DUMP):
        if reply["index"] == index and attributes_of(reply).get(NDA_DST) == ip.packed:
            return reply["state"]
    return 0


def _forget(asking, index, ip):
    message = _message(ip, index)
    message["attrs"] = [[str(NDA_DST), ip.packed]]
    try:
        asking.ask(message, DELNEIGH, ACK)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
