# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pairs of virtual links, veth(4): one end here, the other in a pod's network namespace."""

from __future__ import annotations

import os
import socket
import struct

from .rtnetlink import (
    CREATE,
    EXCLUSIVE,
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_MTU,
    NEWLINK,
    NOARP,
    SETLINK,
    Rtnl,
    attribute,
    index_of,
)
from .socket import ACK

DELLINK = 17
IFLA_LINKINFO, IFLA_AF_SPEC, IFLA_NET_NS_FD = 18, 26, 28
INFO_KIND, INFO_DATA, VETH_INFO_PEER = 1, 2, 1
ADDR_GEN_MODE, NO_ADDRESS = 8, 1  # linux/if_link.h: IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE


def make_pair(outer, namespace, inner, mac, mtu, quiet):
    """Make both ends by one message of the kernel: there are two, or none.

    :param outer: name of the end here, which is up afterwards.
    :param namespace: an open file; ``inner``, ``mac``: name and MAC of the end in it, which is still down.
    :param quiet: the host's stack does not speak on the outer end (userspace datapath: it would hear the pod's packets too).
    :returns: the MAC of the outer end.
    :raises OSError: EEXIST when one of the names is taken.
    """
    own = bytes([0x02]) + os.urandom(5)  # a local unicast address
    peer = struct.pack("BBHiII", 0, 0, 0, 0, 0, 0) + b"".join(
        (  # struct ifinfomsg
            attribute(IFLA_ADDRESS, bytes.fromhex(mac.replace(":", ""))),
            attribute(IFLA_IFNAME, inner.encode() + b"\0"),
            attribute(IFLA_MTU, struct.pack("I", mtu)),
            attribute(IFLA_NET_NS_FD, struct.pack("I", namespace)),
        )
    )
    with _Pairs() as rtnl:
        rtnl.make(
            outer,
            own,
            mtu,
            attribute(INFO_KIND, b"veth") + attribute(INFO_DATA, attribute(VETH_INFO_PEER, peer)),
            NOARP if quiet else 0,
        )
        try:
            rtnl.without_own_addresses(outer)
            rtnl.set_link(outer, up=True)
            return own.hex(":")
        except BaseException:
            rtnl.remove(outer)
            raise


def remove_pair(outer):
    """Remove both ends; :returns: False when there is no such link."""
    with _Pairs() as rtnl:
        return rtnl.remove(outer)


def outer_end(outer):
    """The end here as a :class:`.found.FoundLink`, None when there is none."""
    return outer_ends((outer,))[0]


def outer_ends(names):
    """The same for several."""
    with Rtnl() as rtnl:
        return [rtnl.link(name) for name in names]


class _Pairs(Rtnl):
    """Makes and removes links."""

    def make(self, name, mac, mtu, kind, flags):
        """Make a link of the kind that its attributes say; :raises OSError: EEXIST when there is one of that name."""
        message = self._link()
        message["flags"] = message["change"] = flags
        message["attrs"] = [
            [str(IFLA_ADDRESS), mac],
            [str(IFLA_IFNAME), name.encode() + b"\0"],
            [str(IFLA_MTU), struct.pack("I", mtu)],
            [str(IFLA_LINKINFO), kind],
        ]
        self.ask(message, NEWLINK, ACK | CREATE | EXCLUSIVE)

    def remove(self, name):
        """:returns: False when there is none."""
        message = self._link()
        try:
            message["index"] = index_of(name)
            self.ask(message, DELLINK, ACK)
        except OSError as error:
            if error.errno == 19:  # ENODEV
                return False
            raise
        return True

    def without_own_addresses(self, name):
        """The kernel gives the link no IPv6 address of its own; one that knows no IPv6 does not anyway."""
        message = self._link()
        message["index"] = index_of(name)
        message["attrs"] = [
            [str(IFLA_AF_SPEC), attribute(socket.AF_INET6, attribute(ADDR_GEN_MODE, bytes([NO_ADDRESS])))]
        ]
        try:
            self.ask(message, SETLINK, ACK)
        except OSError as error:
            if error.errno != 97:  # EAFNOSUPPORT
                raise
