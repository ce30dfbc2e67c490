# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's addresses, read, added and removed (rtnetlink(7), RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR)."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING, Any

from .constants import INFINITY, Ifa, IfaFlag, NlFlag, Rtm
from .links import link_index
from .messages import (
    AF_OF_VERSION,
    IP_VERSIONS,
    attributes_of,
    messages,
    pack_ip,
    pack_name,
    pack_number,
    set_attributes,
    unpack_ip,
    unpack_name,
    unpack_number,
)
from .records import KernelAddress

if TYPE_CHECKING:
    from collections.abc import Container

    from .socket import RouteSocket

# The flags that a request may set. The others report a state.
SETTABLE_FLAGS = (
    IfaFlag.NODAD | IfaFlag.HOMEADDRESS | IfaFlag.MANAGETEMPADDR | IfaFlag.NOPREFIXROUTE | IfaFlag.MCAUTOJOIN
)
HEADER_FLAGS = 0xFF  # the bits that the header has room for
CACHEINFO = struct.Struct("IIII")  # struct ifa_cacheinfo: preferred and valid lifetime, two time stamps


def read_addresses(kernel: RouteSocket, links: Container[str] | None = None) -> list[KernelAddress]:
    """Return all addresses of these links. None: of all links."""
    addresses = []
    for reply in kernel.request(messages().address(), Rtm.GETADDR, NlFlag.DUMP):
        link = kernel.link_name(reply["index"])
        if reply["family"] in IP_VERSIONS and (links is None or link in links):
            addresses.append(_from_reply(link, reply))
    return addresses


def add_address(kernel: RouteSocket, address: KernelAddress) -> bool:
    """Add an address to its link. Return False when the link has it already."""
    flags = address.flags & SETTABLE_FLAGS
    try:
        # The kernel tests an IPv6 address for a second or two before it uses it (RFC 4862, 5.4).
        # The test is left out: an address that moves from a link in use has no duplicate.
        kernel.request(
            _message(address, flags | IfaFlag.NODAD if address.version == 6 else flags),
            Rtm.NEWADDR,
            NlFlag.ACK | NlFlag.CREATE | NlFlag.EXCL,
        )
    except OSError as error:
        if error.errno == errno.EEXIST:
            return False
        raise
    if address.version == 6 and not flags & IfaFlag.NODAD:
        kernel.request(_message(address, flags), Rtm.NEWADDR, NlFlag.ACK | NlFlag.REPLACE)
    return True


def remove_address(kernel: RouteSocket, address: KernelAddress) -> bool:
    """Remove an address from its link. Return False when the link does not have it."""
    try:
        kernel.request(_message(address, 0), Rtm.DELADDR, NlFlag.ACK)
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.EADDRNOTAVAIL):
            return False
        raise
    return True


def _message(address: KernelAddress, flags: int) -> Any:
    message = messages().address()
    ip, prefix_length = address.cidr.split("/")
    message["family"], message["prefixlen"] = AF_OF_VERSION[address.version], int(prefix_length)
    message["scope"], message["index"] = address.scope, link_index(address.link)
    message["flags"] = flags & HEADER_FLAGS
    attributes: dict[int, bytes] = {
        Ifa.LOCAL: pack_ip(ip),
        Ifa.ADDRESS: pack_ip(address.peer or ip),
        Ifa.FLAGS: pack_number(flags),
    }
    if address.broadcast:
        attributes[Ifa.BROADCAST] = pack_ip(address.broadcast)
    if address.label:
        attributes[Ifa.LABEL] = pack_name(address.label)
    if address.metric:
        attributes[Ifa.RT_PRIORITY] = pack_number(address.metric)
    if (address.preferred, address.valid) != (INFINITY, INFINITY):
        # The kernel takes no address that has ended already. One of which less than a second is left ends by itself.
        attributes[Ifa.CACHEINFO] = CACHEINFO.pack(address.preferred, max(1, address.valid), 0, 0)
    if address.protocol:
        attributes[Ifa.PROTO] = bytes([address.protocol])
    set_attributes(message, attributes)
    return message


def _from_reply(link: str, reply: Any) -> KernelAddress:
    attributes = attributes_of(reply)
    # IFA_ADDRESS is the peer's address where there is a peer, and IFA_LOCAL is then the link's own (linux/if_addr.h).
    address, local = attributes.get(Ifa.ADDRESS), attributes.get(Ifa.LOCAL)
    own = unpack_ip(local or address or b"")
    preferred = valid = INFINITY
    if Ifa.CACHEINFO in attributes:
        preferred, valid, _created, _updated = CACHEINFO.unpack_from(attributes[Ifa.CACHEINFO])
    flags = unpack_number(attributes[Ifa.FLAGS]) if Ifa.FLAGS in attributes else reply["flags"]
    if flags & IfaFlag.DEPRECATED:  # of a permanent IPv4 address the kernel tells no lifetimes
        preferred = 0
    return KernelAddress(
        link,
        f"{own}/{reply['prefixlen']}",
        peer=unpack_ip(address) if address and local and address != local else None,
        broadcast=unpack_ip(attributes[Ifa.BROADCAST]) if Ifa.BROADCAST in attributes else None,
        scope=reply["scope"],
        flags=flags,
        label=unpack_name(attributes[Ifa.LABEL]) if Ifa.LABEL in attributes else None,
        metric=unpack_number(attributes[Ifa.RT_PRIORITY]) if Ifa.RT_PRIORITY in attributes else None,
        preferred=preferred,
        valid=valid,
        protocol=attributes[Ifa.PROTO][0] if Ifa.PROTO in attributes else 0,
    )
