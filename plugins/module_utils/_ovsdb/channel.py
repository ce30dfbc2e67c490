# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""OVSDB's JSON-RPC (RFC 7047, 4) for programs that stay: requests and notifications over one asyncio transport.

The ``ovs`` library brings a poll loop of its own and, without its C part, a parser that costs a millisecond a row.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl

from .._common.errors import DatabaseError, DatabaseUnreachable, Disconnected
from .replies import NOT_A_REMOTE
from .tls import REFUSED, context


class Channel(asyncio.Protocol):
    """An open connection to an ovsdb-server.

    :param notified: called with (method, params) of each notification, in the order in which they come.
    """

    def __init__(self, remote, notified):
        self.remote = remote
        self.closed = asyncio.Event()
        self.heard = 0.0  # when the server last said something, by the loop's clock
        self._notified = notified
        self._numbers = itertools.count(1)
        self._waiting = {}
        self._pieces = []
        self._transport = None
        self._decoder = json.JSONDecoder()

    @classmethod
    async def open(cls, remote, notified, timeout=10.0, tls=None):
        """Connect to ``unix:PATH``, ``tcp:ADDRESS:PORT`` or ``ssl:ADDRESS:PORT``; :raises DatabaseUnreachable: with the reason."""
        loop = asyncio.get_running_loop()
        kind, _colon, where = remote.partition(":")
        host, _colon, port = where.rpartition(":")
        channel = cls(remote, notified)
        if kind == "unix" and where:
            opening = loop.create_unix_connection(lambda: channel, where)
        elif kind in ("tcp", "ssl") and host and port.isdigit():
            opening = loop.create_connection(
                lambda: channel, host.strip("[]"), int(port), ssl=context(tls) if kind == "ssl" else None
            )
        else:
            raise DatabaseUnreachable(f"{remote}: {NOT_A_REMOTE}")
        try:
            await asyncio.wait_for(opening, timeout)
        except asyncio.TimeoutError:
            raise DatabaseUnreachable(f"{remote}: no answer in time") from None
        except ssl.SSLError:
            raise DatabaseUnreachable(f"{remote}: {REFUSED}") from None
        except OSError as exc:
            raise DatabaseUnreachable(f"{remote}: {exc.strerror or exc}") from None
        return channel

    async def request(self, method, params, timeout=None, at_once=None):
        """The result of a request.

        :param at_once: called with the result before anything that the server said after it is looked at.
        :raises Disconnected: when the answer did not come.
        :raises DatabaseError: when the server refuses the request.
        """
        if self.closed.is_set():
            raise Disconnected(f"the connection to {self.remote} is closed")
        number = next(self._numbers)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer, at_once
        self._send({"method": method, "params": params, "id": number})
        try:
            message = await asyncio.wait_for(answer, timeout)
        except asyncio.TimeoutError:
            self.close()
            raise Disconnected(f"{self.remote} did not answer {method} within {timeout:.0f} s") from None
        finally:
            self._waiting.pop(number, None)
        if message.get("error") is not None:
            raise DatabaseError(f"{self.remote} refused {method}: {message['error']}")
        return message["result"]

    def close(self):
        """End the connection; twice is fine."""
        if self._transport is not None:
            self._transport.abort()

    def _send(self, message):
        self._transport.write(json.dumps(message, separators=(",", ":")).encode())

    def connection_made(self, transport):
        """The transport is there."""
        self._transport = transport
        self.heard = asyncio.get_running_loop().time()

    def connection_lost(self, exc):
        """Whoever waits for an answer will not get it."""
        self.closed.set()
        for answer, _at_once in self._waiting.values():
            if not answer.done():
                answer.set_exception(Disconnected(f"the connection to {self.remote} was lost before the answer came"))

    def data_received(self, data):
        """Messages follow each other without a mark between them; each is an object, so only what ends with a brace can be whole."""
        self.heard = asyncio.get_running_loop().time()
        self._pieces.append(data)
        if not data.endswith(b"}"):
            return
        try:
            text = b"".join(self._pieces).decode()
        except UnicodeDecodeError:
            self.close()
            return
        start, end = 0, len(text)
        while start < end:
            try:
                message, start = self._decoder.raw_decode(text, start)
            except ValueError:
                break
            self._take(message)
        self._pieces = [text[start:].encode()] if start < end else []

    def _take(self, message):
        if "method" in message:
            if message["method"] == "echo":
                self._send({"result": message["params"], "error": None, "id": message["id"]})
            else:
                self._notified(message["method"], message["params"])
        else:
            answer, at_once = self._waiting.get(message.get("id"), (None, None))
            if answer is not None and not answer.done():
                if at_once is not None and message.get("error") is None:
                    at_once(message["result"])
                answer.set_result(message)
