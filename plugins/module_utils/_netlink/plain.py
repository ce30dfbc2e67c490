# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Netlink messages without a library, for a host on which nothing is installed yet.

What the overlay would take from a host is read before the first package is installed.
"""

from __future__ import annotations

import contextlib
import contextvars
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = struct.Struct("IHHII")  # struct nlmsghdr: length, type, flags, sequence number, port
RTATTR = struct.Struct("HH")  # struct rtattr: length and type, whose two highest bits are flags
TYPE_MASK = 0x3FFF  # linux/netlink.h, NLA_TYPE_MASK

_IS_USED = contextvars.ContextVar("plain messages", default=False)


@contextlib.contextmanager
def plain_messages() -> Iterator[None]:
    """Inside the block all messages are plain ones."""
    before = _IS_USED.set(True)
    try:
        yield
    finally:
        _IS_USED.reset(before)


def is_plain() -> bool:
    """Return whether messages are plain ones now."""
    return _IS_USED.get()


class PlainMessage(dict[str, Any]):
    """A message with the interface of pyroute2's ``nlmsg``, as far as this folder uses it.

    :cvar fields: the members of the header's struct: (name, format of :mod:`struct`).
    """

    fields: tuple[tuple[str, str], ...] = ()

    def __init__(self, data: bytes = b"") -> None:
        super().__init__(dict.fromkeys(self._names(), 0), header={}, attrs=[])
        self.data = bytes(data)

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name, kind in cls.fields if not kind.endswith("x")]

    @classmethod
    def _struct(cls) -> struct.Struct:
        return struct.Struct("=" + "".join(kind for _name, kind in cls.fields))

    def encode(self) -> None:
        """Make ``data`` of the fields."""
        body = self._struct().pack(*(int(self[name]) for name in self._names()))
        for number, value in self["attrs"]:
            body += bytes(-len(body) % 4)
            body += RTATTR.pack(RTATTR.size + len(value), int(number)) + value
        header = self["header"]
        self.data = (
            HEADER.pack(HEADER.size + len(body), header["type"], header["flags"], header["sequence_number"], 0) + body
        )

    def decode(self) -> None:
        """Make the fields of ``data``."""
        shape = self._struct()
        self.update(zip(self._names(), shape.unpack_from(self.data, HEADER.size)))
        offset, attributes = HEADER.size + shape.size, []
        while offset + RTATTR.size <= len(self.data):
            length, kind = RTATTR.unpack_from(self.data, offset)
            if length < RTATTR.size:
                break
            value = self.data[offset + RTATTR.size : offset + length]
            attributes.append([str(kind & TYPE_MASK), value])
            offset += (length + 3) & ~3
        self["attrs"] = attributes
