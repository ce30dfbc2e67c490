# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A netlink socket of the route family (netlink(7), rtnetlink(7)): send a request, receive its replies.

The messages are pyroute2's. The library's own sockets need five times as long for a message as the kernel does, and
many pods that start at once send hundreds of messages.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Any

from .constants import NlFlag, NlMsg, Rtm
from .messages import align, messages
from .plain import HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

ERROR_CODE = struct.Struct("i")  # struct nlmsgerr begins with it: a negative errno, 0 when there is no error
DUMP_ATTEMPTS = 10
RECEIVE_BYTES = 1 << 17  # the kernel sends at most 32 KiB at a time


class RouteSocket:
    """A socket in the network namespace of the thread that makes it. Use it as a context manager.

    Errors of the kernel are raised as OSError with its errno.

    :param reply_classes: type of a reply to the class that decodes it. None: all that this folder reads.
    :param most: replies to one message, for namespaces that others fill; None: any number.
    """

    def __init__(self, reply_classes: Mapping[int, Any] | None = None, most: int | None = None) -> None:
        self._most = most
        self._reply_classes = _reply_classes() if reply_classes is None else reply_classes
        self._sequence = 0
        self._names: dict[int, str] = {}
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))

    def __enter__(self) -> RouteSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def request(self, message: Any, kind: int, flags: int) -> tuple[Any, ...]:
        """Send a message and return all replies to it.

        The kernel marks a dump that it was interrupted in by a change (NLM_F_DUMP_INTR). Such a dump is requested
        again.

        :param kind: a type of :class:`.constants.Rtm`.
        :param flags: of :class:`.constants.NlFlag`, without REQUEST.
        :raises OSError: the error of the kernel. EINTR: all attempts at the dump were interrupted.
        """
        for _attempt in range(DUMP_ATTEMPTS):
            replies, interrupted = self._request(message, kind, flags)
            if not interrupted:
                return tuple(replies)
        raise OSError(errno.EINTR, "the kernel's list changes faster than it can be read")

    def _request(self, message: Any, kind: int, flags: int) -> tuple[list[Any], bool]:
        """Send once. Return the replies, and whether the dump was interrupted."""
        self._sequence += 1
        header = message["header"]
        header["type"], header["flags"], header["sequence_number"] = kind, NlFlag.REQUEST | flags, self._sequence
        message.encode()
        self._socket.send(message.data)
        replies: list[Any] = []
        interrupted = False
        while True:
            data, offset = self._socket.recv(RECEIVE_BYTES), 0
            while offset < len(data):
                length, reply_type, reply_flags, sequence, _port = HEADER.unpack_from(data, offset)
                if sequence == self._sequence:
                    interrupted = interrupted or bool(reply_flags & NlFlag.DUMP_INTR)
                    if reply_type in (NlMsg.ERROR, NlMsg.DONE):
                        _raise_error(data, offset)
                        return replies, interrupted
                    reply = self._reply_classes[reply_type](data[offset : offset + length])
                    reply.decode()
                    replies.append(reply)
                    if self._most is not None and len(replies) > self._most:
                        raise OSError(errno.E2BIG, f"there are more than {self._most}")
                    if not reply_flags & NlFlag.MULTI and not flags & NlFlag.ACK:
                        return replies, interrupted
                offset += align(length)

    def link_name(self, index: int) -> str:
        """Return the name of a link. ``#index`` stands for a link that no longer exists."""
        if index not in self._names:
            try:
                self._names[index] = socket.if_indextoname(index)
            except OSError:
                return f"#{index}"
        return self._names[index]


def _reply_classes() -> dict[int, Any]:
    classes = messages()
    return {
        Rtm.NEWLINK: classes.link,
        Rtm.NEWADDR: classes.address,
        Rtm.NEWROUTE: classes.route,
        Rtm.NEWNEIGH: classes.neighbour,
        Rtm.NEWRULE: classes.rule,
        Rtm.NEWQDISC: classes.qdisc,
        Rtm.NEWNSID: classes.namespace,
        Rtm.NEWADDRLABEL: classes.address_label,
    }


def _raise_error(data: bytes, offset: int) -> None:
    """Raise the error of a message of the kernel, if it is one; ``offset`` is where the message begins."""
    code = -ERROR_CODE.unpack_from(data, offset + HEADER.size)[0]
    if code:
        raise OSError(code, os.strerror(code))
