# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One connection to a bridge for what must be done at once: flows with a time-out, and frames.

It speaks the part of OpenFlow 1.3 (ONF TS-006) that this needs. All else is done by ovs-ofctl (:mod:`.flows`), which
takes some ten milliseconds to start.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Iterable

from .._common.errors import FlowError

VERSION = 4  # of the protocol: 1.3
HEADER = struct.Struct("!BBHI")  # version, type, length, transaction
HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, PACKET_OUT, FLOW_MOD, BARRIER_REQUEST, BARRIER_REPLY = (
    0,
    1,
    2,
    3,
    13,
    14,
    20,
    21,
)
ADD, DELETE = 0, 3  # commands of FLOW_MOD
ANY = 0xFFFFFFFF  # port, group, buffer: none, or all
TABLE = 0xFFFFFFF9  # port: by the bridge's flows
GOTO_TABLE = 1  # instruction
REGISTER = 0x00010004  # NXM_NX_REG0 as the header of a match field (ovs-fields(7))
FLOW = struct.Struct("!QQBBHHHIIIHxx")
TIMEOUT = 1.0  # seconds for ovs-vswitchd to answer
LARGEST = 1 << 16


class BridgeConnection:
    """The connection; it is made when it is needed, and again when it has ended.

    The bridge takes messages in their order. A bridge that is late is not left: what was sent to it waits there, and
    only what follows on the same connection is sure to come after it.

    :param socket: path of the bridge's management socket.
    """

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._transaction = 0
        self._received = b""  # the beginning of a message
        self._refused = ""  # what the bridge has refused since the last barrier

    async def send(self, messages: Iterable[bytes]) -> None:
        """Send messages of the functions below, and wait until the bridge has taken them.

        :raises FlowError: it does not take them, or not within a second: then it may do so later.
        """
        try:
            await asyncio.wait_for(self._send(messages), TIMEOUT)
        except asyncio.TimeoutError:
            raise FlowError(f"{self._socket}: no answer") from None
        except OSError as exc:
            self.close()
            raise FlowError(f"{self._socket}: {exc}") from None

    def post(self, messages: Iterable[bytes]) -> None:
        """Send messages where there is a connection, and don't wait: the bridge takes them after all else."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(b"".join(messages))

    async def _send(self, messages: Iterable[bytes]) -> None:
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_unix_connection(self._socket)
            self._writer.write(HEADER.pack(VERSION, HELLO, HEADER.size, 0))
        self._transaction += 1
        transaction = self._transaction
        self._writer.write(b"".join(messages) + HEADER.pack(VERSION, BARRIER_REQUEST, HEADER.size, transaction))
        await self._writer.drain()
        while transaction > self._take_in(self._writer):
            data = await self._reader.read(LARGEST)
            if not data:
                raise ConnectionResetError("the bridge has ended the connection")
            self._received += data
        refused, self._refused = self._refused, ""
        if refused:
            raise FlowError(f"{self._socket}: the bridge refuses a message: error {refused}")

    def _take_in(self, writer: asyncio.StreamWriter) -> int:
        """Take in the messages that are whole; return the last transaction that the bridge has taken, 0 for none."""
        taken = 0
        while len(self._received) >= HEADER.size:
            _version, kind, length, transaction = HEADER.unpack_from(self._received)
            length = max(length, HEADER.size)
            if len(self._received) < length:
                break
            body, self._received = self._received[HEADER.size : length], self._received[length:]
            if kind == ERROR:
                self._refused = body[:4].hex()
            elif kind == ECHO_REQUEST:
                writer.write(HEADER.pack(VERSION, ECHO_REPLY, length, transaction) + body)
            elif kind == BARRIER_REPLY:
                taken = transaction
        return taken

    def close(self) -> None:
        """End the connection."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
        self._reader = self._writer = None
        self._received, self._refused = b"", ""


def _message(kind: int, body: bytes) -> bytes:
    return HEADER.pack(VERSION, kind, HEADER.size + len(body), 0) + body


def _match(register: int | None) -> bytes:
    """Return a match of register 0; None: of everything."""
    if register is None:
        return struct.pack("!HH4x", 1, 4)
    return struct.pack("!HHII4x", 1, 12, REGISTER, register)


def gate(cookie: int, table: int, register: int, following: int, seconds: int) -> bytes:
    """Return the message that adds a flow, or begins its time-out anew: packets with this register go on.

    :param following: the table where they go on.
    :param seconds: until Open vSwitch removes it.
    """
    body = FLOW.pack(cookie, 0, table, ADD, 0, seconds, 1, ANY, ANY, ANY, 0)
    return _message(FLOW_MOD, body + _match(register) + struct.pack("!HHB3x", GOTO_TABLE, 8, following))


def no_gate(cookie: int, table: int, register: int | None) -> bytes:
    """Return the message that deletes such a flow; of None all of this cookie."""
    body = FLOW.pack(cookie, (1 << 64) - 1, table, DELETE, 0, 0, 1, ANY, ANY, ANY, 0)
    return _message(FLOW_MOD, body + _match(register))


def frame(data: bytes, port: int) -> bytes:
    """Return the message that gives the bridge a frame as if it had come from a port: its flows lead it on."""
    action = struct.pack("!HHIH6x", 0, 16, TABLE, 0)
    return _message(PACKET_OUT, struct.pack("!IIH6x", ANY, port, len(action)) + action + data)
