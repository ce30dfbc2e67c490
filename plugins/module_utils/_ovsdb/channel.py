# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""JSON-RPC of OVSDB (RFC 7047, 4) for asyncio: requests and notifications on one connection.

The ``ovs`` library has a poll loop of its own and, without its C extension, a parser that needs a millisecond for each
row.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from typing import TYPE_CHECKING, NamedTuple, cast

from .._common.errors import DatabaseError, DatabaseUnreachable, Disconnected
from .replies import NOT_A_REMOTE
from .tls import REFUSED, tls_context
from .values import decode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from .tls import MaybeTls


class _Waiting(NamedTuple):
    """A request whose reply has not come."""

    reply: asyncio.Future[dict[str, Any]]
    on_result: Callable[[Any], None] | None


class Channel(asyncio.Protocol):
    """An open connection to an ovsdb-server.

    :param on_notification: called with (method, params) of each notification, in the order in which they come.

    :ivar closed: set when the connection was lost or closed.
    :ivar last_received: when the server last sent something, by the event loop's clock.
    """

    def __init__(self, remote: str, on_notification: Callable[[str, list[Any]], None]) -> None:
        self.remote = remote
        self.closed = asyncio.Event()
        self.last_received = 0.0
        self._on_notification = on_notification
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._received: list[bytes] = []  # a part of a message
        self._transport: asyncio.Transport | None = None
        self._decoder = json.JSONDecoder(object_hook=_compact)

    @classmethod
    async def open(
        cls,
        remote: str,
        on_notification: Callable[[str, list[Any]], None],
        timeout: float = 10.0,
        tls: MaybeTls = None,
    ) -> Channel:
        """Connect to ``unix:PATH``, ``tcp:ADDRESS:PORT`` or ``ssl:ADDRESS:PORT``.

        :raises DatabaseUnreachable: with the reason.
        :raises DatabaseError: the TLS files can't be used.
        """
        loop = asyncio.get_running_loop()
        kind, _colon, target = remote.partition(":")
        host, _colon, port = target.rpartition(":")
        channel = cls(remote, on_notification)
        connecting: Awaitable[Any]
        if kind == "unix" and target:
            connecting = loop.create_unix_connection(lambda: channel, target)
        elif kind in ("tcp", "ssl") and host and port.isdigit():
            context = tls_context(tls) if kind == "ssl" else None
            connecting = loop.create_connection(lambda: channel, host.strip("[]"), int(port), ssl=context)
        else:
            raise DatabaseUnreachable(f"{remote}: {NOT_A_REMOTE}")
        try:
            await asyncio.wait_for(connecting, timeout)
        except asyncio.TimeoutError:
            raise DatabaseUnreachable(f"{remote}: no reply in time") from None
        except ssl.SSLError:
            raise DatabaseUnreachable(f"{remote}: {REFUSED}") from None
        except OSError as exc:
            raise DatabaseUnreachable(f"{remote}: {exc.strerror or exc}") from None
        return channel

    async def request(
        self,
        method: str,
        params: list[Any],
        timeout: float,
        on_result: Callable[[Any], None] | None = None,
    ) -> Any:
        """Send a request, and return its result.

        :param timeout: seconds for the reply; then the connection is closed.
        :param on_result: called with the result before later messages of the server are handled.
        :raises Disconnected: the reply did not come.
        :raises DatabaseError: the server refused the request.
        """
        if self.closed.is_set():
            raise Disconnected(f"the connection to {self.remote} is closed")
        number = next(self._numbers)
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = _Waiting(reply, on_result)
        self._send({"method": method, "params": params, "id": number})
        try:
            message = await asyncio.wait_for(reply, timeout)
        except asyncio.TimeoutError:
            self.close()
            raise Disconnected(f"{self.remote} did not reply to {method} within {timeout:.0f} s") from None
        finally:
            self._waiting.pop(number, None)
        if message.get("error") is not None:
            raise DatabaseError(f"{self.remote} refused {method}: {message['error']}")
        return message["result"]

    def close(self) -> None:
        """Close the connection. It may be closed already."""
        if self._transport is not None:
            self._transport.abort()

    def _send(self, message: dict[str, Any]) -> None:
        if self._transport is None:
            raise AssertionError("asyncio has not connected this channel")
        self._transport.write(json.dumps(message, separators=(",", ":")).encode())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast("asyncio.Transport", transport)
        self.last_received = asyncio.get_running_loop().time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio: no reply comes any more."""
        self.closed.set()
        for waiting in self._waiting.values():
            if not waiting.reply.done():
                waiting.reply.set_exception(
                    Disconnected(f"the connection to {self.remote} was lost before the reply came")
                )

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: split the data into messages, and handle them.

        Messages are JSON objects without a separator, so only data that ends with a brace can end a message.
        """
        self.last_received = asyncio.get_running_loop().time()
        self._received.append(data)
        if not data.endswith(b"}"):
            return
        received, self._received = b"".join(self._received), []  # the content of a large database is there once
        try:
            text = received.decode()
        except UnicodeDecodeError:
            self.close()
            return
        del received
        start, end = 0, len(text)
        while start < end:
            try:
                message, start = self._decoder.raw_decode(text, start)
            except ValueError:
                break
            self._handle(message)
        if start < end:
            self._received = [text[start:].encode()]

    def _handle(self, message: dict[str, Any]) -> None:
        if message.get("method") == "echo":
            self._send({"result": message["params"], "error": None, "id": message["id"]})
        elif "method" in message:
            self._on_notification(message["method"], message["params"])
        else:
            waiting = self._waiting.get(message.get("id", 0))
            if waiting is not None and not waiting.reply.done():
                if waiting.on_result is not None and message.get("error") is None:
                    waiting.on_result(message["result"])
                waiting.reply.set_result(message)


def _compact(item: dict[str, Any]) -> dict[str, Any]:
    """Return an object of a message, and of a row of a monitor's content (ovsdb-server(7), 4.1.14) the decoded values.

    So of a large database there are never more lists and texts at one time than its rows have in the end.
    """
    row = item.get("initial")
    if len(item) == 1 and isinstance(row, dict):
        item["initial"] = {column: decode(value) for column, value in row.items()}
    return item
