# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Messages of the route family (rtnetlink(7)) and their attributes as bytes.

All attributes are declared as plain bytes. The library's own declarations know fewer attributes the older it is, and
a route that moves must not lose an attribute that nothing here reads.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .libraries import pyroute2_core
from .plain import RTATTR, TYPE_MASK, PlainMessage, is_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ATTRIBUTES_OF_A_MESSAGE = 64  # more than any message of the route family has

IP_VERSIONS = {socket.AF_INET: 4, socket.AF_INET6: 6}
AF_OF_VERSION = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True)
class Messages:
    """The message classes, subclasses of pyroute2's ``nlmsg``."""

    link: Any
    address: Any
    route: Any
    neighbour: Any
    rule: Any
    qdisc: Any
    namespace: Any
    address_label: Any


def messages() -> Messages:
    """Return the message classes. They exist once the library is loaded; inside :func:`.plain.plain_messages` it is not
    needed.

    :raises HostError: the library is missing.
    """
    return _messages(is_plain())


@lru_cache(maxsize=2)
def _messages(plain: bool) -> Messages:
    base = PlainMessage if plain else pyroute2_core().nlmsg
    return Messages(
        link=_message_class(base, "ifinfomsg", "family:B pad:B type:H index:i flags:I change:I"),
        address=_message_class(base, "ifaddrmsg", "family:B prefixlen:B flags:B scope:B index:I"),
        route=_message_class(
            base, "rtmsg", "family:B dst_len:B src_len:B tos:B table:B proto:B scope:B type:B flags:I"
        ),
        neighbour=_message_class(base, "ndmsg", "family:B pad:B pad2:H index:i state:H flags:B type:B"),
        rule=_message_class(
            base, "fib_rule_hdr", "family:B dst_len:B src_len:B tos:B table:B res1:B res2:B action:B flags:I"
        ),
        address_label=_message_class(base, "ifaddrlblmsg", "family:B reserved:B prefixlen:B flags:B index:I seq:I"),
        namespace=_message_class(base, "rtgenmsg", "family:B pad:3x"),
        qdisc=_message_class(base, "tcmsg", "family:B pad:3x index:i handle:I parent:I info:I"),
    )


def _message_class(base: Any, name: str, fields: str) -> Any:
    """Make the class of a message.

    :param base: what encodes and decodes it.
    :param name: the kernel's struct of the header.
    :param fields: its members in order, each ``name:format`` with a format of :mod:`struct`.
    """
    members = {
        "nla_map": tuple((number, str(number), "cdata") for number in range(1, ATTRIBUTES_OF_A_MESSAGE)),
        "fields": tuple(tuple(field.split(":")) for field in fields.split()),
    }
    return type(name, (base,), members)


def set_attributes(message: Any, attributes: Mapping[int, bytes]) -> None:
    """Give the message these attributes, sorted by their numbers."""
    message["attrs"] = [[str(int(number)), value] for number, value in sorted(attributes.items())]


def attributes_of(message: Any) -> dict[int, bytes]:
    """Return the attributes of a message: number to value."""
    return {int(name): value for name, value in message["attrs"] if name.isdigit()}


def attribute(number: int, value: bytes) -> bytes:
    """Return one attribute as ``struct rtattr``, padded to 4 bytes. The value may be a chain of nested attributes."""
    return RTATTR.pack(RTATTR.size + len(value), number) + value + bytes(-len(value) % 4)


def chain(attributes: Mapping[int, bytes]) -> bytes:
    """Return a chain of attributes, sorted by their numbers."""
    return b"".join(attribute(number, value) for number, value in sorted(attributes.items()))


def nested(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the value of each attribute of a chain."""
    while len(data) >= RTATTR.size:
        length, kind = RTATTR.unpack_from(data)
        if length < RTATTR.size:
            return
        yield kind & TYPE_MASK, data[RTATTR.size : length]
        data = data[align(length) :]


def align(length: int) -> int:
    """Return the length rounded up to 4 bytes (linux/netlink.h, NLMSG_ALIGN)."""
    return (length + 3) & ~3


def selected(attributes: Mapping[int, bytes], numbers: Iterable[int]) -> tuple[tuple[int, bytes], ...]:
    """Return those of the attributes that have one of the numbers, as pairs of number and value."""
    return tuple((int(number), bytes(attributes[number])) for number in numbers if number in attributes)


def pack_number(number: int) -> bytes:
    """Return an unsigned number of 32 bits in the byte order of this machine."""
    return struct.pack("I", number)


def unpack_number(data: bytes) -> int:
    """Return the unsigned number of 32 bits."""
    return int(struct.unpack("I", data)[0])


def pack_name(name: str) -> bytes:
    """Return a name as the kernel's C string."""
    return name.encode() + b"\0"


def unpack_name(data: bytes) -> str:
    """Return the name in a C string."""
    return data.rstrip(b"\0").decode()


def pack_mac(mac: str) -> bytes:
    """Return the 6 bytes of a MAC such as ``aa:bb:cc:dd:ee:ff``."""
    return bytes.fromhex(mac.replace(":", ""))


def pack_ip(ip: str) -> bytes:
    """Return the 4 or 16 bytes of an IP address."""
    return socket.inet_pton(AF_OF_VERSION[6 if ":" in ip else 4], ip)


def unpack_ip(data: bytes) -> str:
    """Return the text of an IP address of 4 or 16 bytes."""
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, bytes(data))
