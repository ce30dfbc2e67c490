# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's links, read and changed (rtnetlink(7), RTM_GETLINK, RTM_SETLINK and RTM_DELLINK)."""

from __future__ import annotations

import errno
import select
import socket
import time
from typing import TYPE_CHECKING, Any

from .._common.errors import HostError
from .constants import ARPHRD_ETHER, Iff, Ifla, IflaInet6, IflaInfo, IflaVxlan, NlFlag, Rtm, RtmGrp
from .messages import (
    attribute,
    attributes_of,
    messages,
    nested,
    pack_ip,
    pack_mac,
    pack_name,
    pack_number,
    set_attributes,
    unpack_ip,
    unpack_name,
    unpack_number,
)
from .records import KernelLink, LinkKind, LinkOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .socket import RouteSocket

# Kinds of links whose IFLA_LINK is their other end. Of all other kinds it is the link that their packets come from and
# leave through: VLANs, macvlans, tunnels over one link, ports of a switch (ip-link(8)).
PAIRS = ("veth", "netkit", "vxcan")


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
        ethernet=reply["type"] == ARPHRD_ETHER,
        kind=_kind(reply),
        master=master,
        master_kind=_kind(master_reply) if master_reply else None,
    )


def read_stacked_links(kernel: RouteSocket, index: int, namespace: int | None = None) -> dict[str, str]:
    """Return the links that take their packets from a link, such as its VLANs: name to kind.

    :param index: the number of that link.
    :param namespace: the number by which this socket's network namespace knows that of the link; None: it is the same.
    """
    stacked = {}
    for reply in kernel.request(messages().link(), Rtm.GETLINK, NlFlag.DUMP):
        attributes, kind = attributes_of(reply), _kind(reply)
        # With this attribute the number is of a link in another network namespace.
        where = unpack_number(attributes[Ifla.LINK_NETNSID]) if Ifla.LINK_NETNSID in attributes else None
        if kind not in PAIRS and where == namespace and index in _lower_links(attributes, reply["index"]):
            stacked[unpack_name(attributes[Ifla.IFNAME])] = kind or "link"
    return stacked


def _lower_links(attributes: Mapping[int, bytes], own: int) -> set[int]:
    """Return the numbers of the links below one. A VXLAN tells its link beside its other settings."""
    info = dict(nested(attributes.get(Ifla.LINKINFO, b"")))
    found = [attributes[Ifla.LINK]] if Ifla.LINK in attributes else []
    if info.get(IflaInfo.KIND, b"").rstrip(b"\0") == b"vxlan":
        found += [value for number, value in nested(info.get(IflaInfo.DATA, b"")) if number == IflaVxlan.LINK]
    return {unpack_number(value) for value in found} - {own}


def read_options(kernel: RouteSocket, name: str) -> LinkOptions | None:
    """Return the options of a link, or None when there is no such link."""
    reply = _get_link(kernel, name)
    if reply is None:
        return None
    attributes, flags = attributes_of(reply), reply["flags"]
    families = dict(nested(attributes.get(Ifla.AF_SPEC, b"")))
    token = dict(nested(families.get(socket.AF_INET6, b""))).get(IflaInet6.TOKEN, b"")
    return LinkOptions(
        arp=not flags & Iff.NOARP,
        multicast=bool(flags & Iff.MULTICAST),
        all_multicast=bool(flags & Iff.ALLMULTI),
        group=unpack_number(attributes[Ifla.GROUP]) if Ifla.GROUP in attributes else 0,
        token=unpack_ip(token) if any(token) else None,
    )


def set_options(kernel: RouteSocket, name: str, options: LinkOptions) -> None:
    """Give a link these options. A link whose kernel accepts no router advertisements can have no token."""
    message = messages().link()
    message["index"] = link_index(name)
    for flag, value in (
        (Iff.NOARP, not options.arp),
        (Iff.MULTICAST, options.multicast),
        (Iff.ALLMULTI, options.all_multicast),
    ):
        message["flags"] |= flag if value else 0
        message["change"] |= flag
    set_attributes(message, {Ifla.GROUP: pack_number(options.group)})
    kernel.request(message, Rtm.SETLINK, NlFlag.ACK)
    if options.token is not None:
        message = messages().link()
        message["index"] = link_index(name)
        token = attribute(IflaInet6.TOKEN, pack_ip(options.token))
        set_attributes(message, {Ifla.AF_SPEC: attribute(socket.AF_INET6, token)})
        kernel.request(message, Rtm.SETLINK, NlFlag.ACK)


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


def remove_link(kernel: RouteSocket, name: str) -> bool:
    """Remove a link that a program has made. Return False when there is no such link."""
    message = messages().link()
    try:
        message["index"] = link_index(name)
        kernel.request(message, Rtm.DELLINK, NlFlag.ACK)
    except OSError as error:
        if error.errno == errno.ENODEV:
            return False
        raise
    return True


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
