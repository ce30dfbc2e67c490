# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pairs of virtual links (veth(4)): the outer end on the host, the inner end in the network namespace of a pod."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING

from .constants import Iff, Ifla, IflaInet6, IflaInfo, In6AddrGenMode, NlFlag, Rtm, VethInfo
from .links import link_index, read_link, remove_link, set_link
from .messages import attribute, chain, messages, pack_mac, pack_name, pack_number, set_attributes
from .socket import RouteSocket

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .records import KernelLink

IFINFOMSG = struct.Struct("BBHiII")  # struct ifinfomsg: family, padding, type, index, flags, change
LOCAL_UNICAST = 0x02  # the first byte of a locally administered MAC (RFC 7042, 2.1)


def make_pair(outer: str, namespace: int, inner: str, mac: str, mtu: int, no_arp: bool) -> str:
    """Make both ends by one message: there are two links afterwards, or none.

    :param outer: name of the outer end, which is up afterwards.
    :param namespace: the open file of the pod's namespace.
    :param inner, mac: name and MAC of the inner end, which is still down afterwards.
    :param mtu: of both ends, in bytes.
    :param no_arp: the host's stack sends nothing on the outer end. With the userspace datapath it would receive the
        pod's packets too.
    :returns: the MAC of the outer end.
    :raises OSError: EEXIST, one of the names is taken.
    """
    outer_mac = bytes([LOCAL_UNICAST]) + os.urandom(5)
    peer = IFINFOMSG.pack(0, 0, 0, 0, 0, 0) + chain(
        {
            Ifla.ADDRESS: pack_mac(mac),
            Ifla.IFNAME: pack_name(inner),
            Ifla.MTU: pack_number(mtu),
            Ifla.NET_NS_FD: pack_number(namespace),
        }
    )
    with RouteSocket() as kernel:
        message = messages().link()
        message["flags"] = message["change"] = Iff.NOARP if no_arp else 0
        kind = chain({IflaInfo.KIND: b"veth", IflaInfo.DATA: attribute(VethInfo.PEER, peer)})
        set_attributes(
            message,
            {
                Ifla.ADDRESS: outer_mac,
                Ifla.IFNAME: pack_name(outer),
                Ifla.MTU: pack_number(mtu),
                Ifla.LINKINFO: kind,
            },
        )
        kernel.request(message, Rtm.NEWLINK, NlFlag.ACK | NlFlag.CREATE | NlFlag.EXCL)
        try:
            _disable_link_local_address(kernel, outer)
            set_link(kernel, outer, up=True)
            return outer_mac.hex(":")
        except BaseException:
            remove_link(kernel, outer)
            raise


def remove_pair(outer: str) -> bool:
    """Remove both ends. Return False when there is no such link."""
    with RouteSocket() as kernel:
        return remove_link(kernel, outer)


def outer_end(outer: str) -> KernelLink | None:
    """Return the outer end, or None when there is no such link."""
    return outer_ends((outer,))[0]


def outer_ends(names: Iterable[str]) -> list[KernelLink | None]:
    """Return the outer ends in the order of their names, None for each that does not exist."""
    with RouteSocket() as kernel:
        return [read_link(kernel, name) for name in names]


def _disable_link_local_address(kernel: RouteSocket, name: str) -> None:
    """Keep the kernel from making a link-local IPv6 address. EAFNOSUPPORT: the link has no IPv6 at all."""
    mode = attribute(IflaInet6.ADDR_GEN_MODE, bytes([In6AddrGenMode.NONE]))
    message = messages().link()
    message["index"] = link_index(name)
    set_attributes(message, {Ifla.AF_SPEC: attribute(socket.AF_INET6, mode)})
    try:
        kernel.request(message, Rtm.SETLINK, NlFlag.ACK)
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:
            raise
