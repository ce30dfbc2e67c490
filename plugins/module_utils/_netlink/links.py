# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's links, read and changed (rtnetlink(7), RTM_GETLINK and RTM_SETLINK)."""

from __future__ import annotations

import errno
import select
import socket
import time
from typing import TYPE_CHECKING, Any

from .._common.errors import HostError
from .constants import Iff, Ifla, IflaInfo, NlFlag, Rtm, RtmGrp
from .messages import (
    attributes_of,
    messages,
    nested,
    pack_mac,
    pack_name,
    pack_number,
    set_attributes,
    unpack_name,
    unpack_number,
)
from .records import KernelLink, LinkKind

if TYPE_CHECKING:
    from .socket import RouteSocket

# Kinds of links that take their packets from another link (ip-link(8)).
STACKED_KINDS = ("vlan", "macvlan", "macvtap", "ipvlan", "ipvtap")


def link_index(name: str) -> int:
    """Return the number of a link.

    :raises OSError: ENODEV, there is no such link.
    """
    try:
        return socket.if_nametoindex(name)
    except OSError:
        raise OSError(errno.ENODEV, f"there is no link {name}") from None


def read_link(kernel: RouteSocket, name: str) -> KernelLink | None:
    """Return a link, or None when there is no such link."""
    reply = _get_link(kernel, name)
    if reply is None:
        return None
    attributes, flags = attributes_of(reply), reply["flags"]
    return KernelLink(
        name,
        up=bool(flags & Iff.UP),
        mtu=unpack_number(attributes[Ifla.MTU]),
        mac=attributes.get(Ifla.ADDRESS, b"").hex(":"),
        promiscuous=bool(flags & Iff.PROMISC),
        no_arp=bool(flags & Iff.NOARP),
    )


def read_kind(kernel: RouteSocket, name: str) -> LinkKind | None:
    """Return what a link is, or None when there is no such link."""
    reply = _get_link(kernel, name)
    if reply is None:
        return None
    attributes = attributes_of(reply)
    index = unpack_number(attributes[Ifla.MASTER]) if Ifla.MASTER in attributes else 0
    master = kernel.link_name(index) if index else None
    master_reply = _get_link(kernel, master) if master else None
    return LinkKind(
        loopback=bool(reply["flags"] & Iff.LOOPBACK),
        kind=_kind(reply),
        master=master,
        master_kind=_kind(master_reply) if master_reply else None,
    )


def read_stacked_links(kernel: RouteSocket, name: str) -> dict[str, str]:
    """Return the links that take their packets from this link, such as its VLANs: name to kind."""
    lower, stacked = link_index(name), {}
    for reply in kernel.request(messages().link(), Rtm.GETLINK, NlFlag.DUMP):
        attributes, kind = attributes_of(reply), _kind(reply)
        if (
            kind in STACKED_KINDS
            and Ifla.LINK in attributes
            and unpack_number(attributes[Ifla.LINK]) == lower
            # With this attribute the number is of a link in another network namespace.
            and Ifla.LINK_NETNSID not in attributes
        ):
            stacked[unpack_name(attributes[Ifla.IFNAME])] = kind
    return stacked


def set_link(
    kernel: RouteSocket,
    name: str,
    up: bool | None = None,
    mtu: int | None = None,
    mac: str | None = None,
    promiscuous: bool | None = None,
    no_arp: bool | None = None,
) -> None:
    """Change those settings of a link that are not None."""
    message = messages().link()
    message["index"] = link_index(name)
    for flag, value in ((Iff.UP, up), (Iff.PROMISC, promiscuous), (Iff.NOARP, no_arp)):
        if value is not None:
            message["flags"] |= flag if value else 0
            message["change"] |= flag
    attributes: dict[int, bytes] = {}
    if mtu is not None:
        attributes[Ifla.MTU] = pack_number(mtu)
    if mac is not None:
        attributes[Ifla.ADDRESS] = pack_mac(mac)
    set_attributes(message, attributes)
    kernel.request(message, Rtm.SETLINK, NlFlag.ACK)


def wait_for_link(name: str, timeout: float) -> None:
    """Wait until a link exists.

    :param timeout: in seconds.
    :raises HostError: the link did not appear in time.
    """
    deadline = time.monotonic() + timeout
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as events:
        events.bind((0, RtmGrp.LINK))
        while True:
            try:
                link_index(name)
                return
            except OSError:
                remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise HostError(
                    f"link {name} did not appear within {timeout:g} s: "
                    "look at what should make it (ovs-vswitchd's log, ovs-vsctl show)"
                )
            if select.select([events], [], [], remaining)[0]:
                _receive_event(events)


def _receive_event(events: socket.socket) -> None:
    """Receive one event. ENOBUFS says that some were lost, which is an event too."""
    try:
        events.recv(1 << 16)
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise


def _get_link(kernel: RouteSocket, name: str) -> Any:
    """Return the reply for a link, or None when there is no such link."""
    message = messages().link()
    set_attributes(message, {Ifla.IFNAME: pack_name(name)})
    try:
        (reply,) = kernel.request(message, Rtm.GETLINK, 0)
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.ERANGE):  # ERANGE: the name is longer than any link's
            return None
        raise
    return reply


def _kind(reply: Any) -> str | None:
    """Return the kind in ``IFLA_INFO_KIND``. Hardware has none."""
    kind = dict(nested(attributes_of(reply).get(Ifla.LINKINFO, b""))).get(IflaInfo.KIND)
    return unpack_name(kind) if kind else None
