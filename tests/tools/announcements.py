# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What a link hears of its neighbours' announcements: gratuitous ARP and unsolicited neighbour advertisements."""

from __future__ import annotations

import ipaddress
import socket
from typing import NamedTuple

from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.namespace import inside, opened

ETH_P_ALL = 3  # linux/if_ether.h
BROADCAST, ALL_NODES = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"
ADVERTISEMENT = 136  # RFC 4861, 4.4


class Announcement(NamedTuple):
    """One of them.

    :ivar to: the MAC to which the frame went.
    :ivar mac: who has the address.
    """

    to: str
    mac: str
    ip: str


class Listener:
    """Hears what comes to a link from its start on.

    :param namespace: path of its network namespace; None: this thread's.
    """

    def __init__(self, link, namespace=None):
        if namespace is None:
            self._socket = self._open(link)
        else:
            with opened(str(namespace)) as handle, inside(handle):
                self._socket = self._open(link)

    @staticmethod
    def _open(link):
        frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        frames.bind((link, ETH_P_ALL))
        return frames

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self._socket.close()

    def hear(self, wanted, timeout=20.0):
        """Wait until all of these addresses were announced; return the announcements of any address so far.

        :raises TimeoutError: they were not.
        """
        heard = set()
        self._socket.settimeout(timeout)
        while not wanted <= {one.ip for one in heard}:
            heard |= set(_announcements(self._socket.recv(2000)))
        return heard


def _announcements(frame):
    """Return what a frame announces: one address, or none."""
    to, sender, kind, packet = frame[:6].hex(":"), frame[6:12].hex(":"), frame[12:14].hex(), frame[14:]
    if kind == "0806" and packet[14:18] == packet[24:28]:  # ARP: the sender's address is the target's
        yield Announcement(to, packet[8:14].hex(":"), str(ipaddress.ip_address(packet[14:18])))
    # ICMPv6 right after IPv6's header; flags: override alone; its option is the target's MAC
    if kind == "86dd" and packet[6] == socket.IPPROTO_ICMPV6 and packet[40] == ADVERTISEMENT:
        mac = packet[66:72].hex(":")
        if packet[44:48].hex() == "20000000" and packet[64:66].hex() == "0201" and sender == mac:
            yield Announcement(to, mac, str(ipaddress.ip_address(packet[48:64])))
