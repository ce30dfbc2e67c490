# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A netlink socket of the route family (netlink(7)): a message goes, its answers come.

The messages are pyroute2's. Its own sockets take five times as long for a message as the kernel does, and a burst of pods sends hundreds.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

REQUEST, ACK, MULTI, TORN = 0x001, 0x004, 0x002, 0x010
ERROR, DONE = 2, 3
TRIES = 10
LARGEST = 1 << 17  # bytes; the kernel gives 32 KiB at a time


class Asking:
    """The socket, in the network namespace of whoever makes it. Use it as a context.

    :param answers: kind of an answer -> its message class.
    """

    def __init__(self, answers):
        self._answers = answers
        self._number = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._socket.close()

    def ask(self, message, kind, flags):
        """All answers to a message; a list that the kernel calls torn, since it changed meanwhile, is asked for again.

        :raises OSError: the kernel's, with its errno.
        """
        for _try in range(TRIES):
            found, torn = self._ask(message, kind, flags)
            if not torn:
                return tuple(found)
        raise OSError(errno.EINTR, "the kernel's list changes faster than it can be read")

    def _ask(self, message, kind, flags):
        self._number += 1
        header = message["header"]
        header["type"], header["flags"], header["sequence_number"] = kind, REQUEST | flags, self._number
        message.encode()
        self._socket.send(message.data)
        found, torn = [], False
        while True:
            data, at = self._socket.recv(LARGEST), 0
            while at < len(data):
                length, said, marks, number, _port = struct.unpack_from("IHHII", data, at)
                if number == self._number:
                    torn = torn or bool(marks & TORN)
                    if said in (ERROR, DONE):
                        code = -struct.unpack_from("i", data, at + 16)[0]
                        if code:
                            raise OSError(code, os.strerror(code))
                        return found, torn
                    answer = self._answers[said](data[at : at + length])
                    answer.decode()
                    found.append(answer)
                    if not marks & MULTI and not flags & ACK:
                        return found, torn
                at += (length + 3) & ~3
