# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server of short answers over HTTP/1.1 (RFC 9112), for health and metrics, that no client can occupy.

Anybody who reaches the port may open connections and send nothing, or half a request. So connections, bytes and time
are limited, which aiohttp's server does not do: the oldest connection makes room for a new one, and one that has not
sent its request in time ends. A request's body is not read, and each connection has one request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple, cast

LOG = logging.getLogger(__name__)
CONNECTIONS = 128  # at the same time
SECONDS = 5.0  # for a request to come, and then for its answer to be taken
LARGEST_HEAD = 16384  # bytes of a request's line and header fields
HEAD_END = b"\r\n\r\n"
VERSIONS = ("HTTP/1.0", "HTTP/1.1")


class Request(NamedTuple):
    """The first line of a request; ``path`` is empty for what is none.

    :ivar path: without its query.
    """

    method: str = ""
    path: str = ""
    version: str = "HTTP/1.1"

    @classmethod
    def parse(cls, head: bytes) -> Request:
        """Return the request that begins so."""
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or words[2] not in VERSIONS or not words[1].startswith("/"):
            return cls()
        return cls(words[0], words[1].partition("?")[0], words[2])


class Answer(NamedTuple):
    """An answer.

    :ivar fields: more header fields.
    """

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    fields: Mapping[str, str] = {}

    def pack(self, request: Request) -> bytes:
        """Return the bytes of the answer. The one to HEAD has no body (RFC 9110, 9.3.2)."""
        fields = {
            "Content-Type": self.content_type,
            "Content-Length": str(len(self.body)),
            "Connection": "close",
            **self.fields,
        }
        lines = [f"{request.version} {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join(lines).encode() + HEAD_END + (b"" if request.method == "HEAD" else self.body)


# Called with a request's path, without its query.
Responder = Callable[[str], Awaitable[Answer]]


class HttpServer:
    """Listening ports whose connections have one limit together.

    :param connections: how many there may be at the same time.
    :param seconds: until a request must have come.
    """

    def __init__(self, connections: int = CONNECTIONS, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._limit = connections
        self._connections: dict[_Connection, None] = {}  # the oldest first

    async def listen(self, host: str | None, port: int, respond: Responder) -> asyncio.AbstractServer:
        """Listen at a port. What is connected when the result is closed has its limit of time.

        :param host: an address of this host; None: all addresses.
        :raises OSError: the port can't be opened.
        """
        return await asyncio.get_running_loop().create_server(lambda: _Connection(self, respond), host, port)

    def opened(self, connection: _Connection) -> None:
        """Take in a new connection; the oldest makes room for it."""
        if len(self._connections) >= self._limit:
            oldest = next(iter(self._connections))
            del self._connections[oldest]
            oldest.abort()
        self._connections[connection] = None

    def closed(self, connection: _Connection) -> None:
        """Take in the end of a connection."""
        self._connections.pop(connection, None)

    def close(self) -> None:
        """End all connections."""
        for connection in list(self._connections):
            connection.abort()


class _Connection(asyncio.Protocol):
    """A connection with one request."""

    def __init__(self, server: HttpServer, respond: Responder) -> None:
        self._server = server
        self._respond = respond
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._work: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._limit_time()
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.closed(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._work is not None:
            self._work.cancel()

    def data_received(self, data: bytes) -> None:
        if self._work is not None:  # a body: not needed
            return
        self._received += data
        head, end, _body = self._received.partition(HEAD_END)
        if end or len(self._received) > LARGEST_HEAD:
            self._received = b""
            self._work = asyncio.ensure_future(self._answer(head if end else None))

    def eof_received(self) -> bool:
        return self._work is not None  # a client may close its side when it has sent the request

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _limit_time(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._server.seconds, self.abort)

    async def _answer(self, head: bytes | None) -> None:
        """Answer a request; None: it was too large."""
        request = Request.parse(head or b"")
        if head is None:
            answer = Answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, b"the request is too large\n")
        elif not request.path:
            answer = Answer(HTTPStatus.BAD_REQUEST, b"this is no request of HTTP/1.1\n")
        else:
            try:
                answer = await self._respond(request.path)
            except Exception:
                LOG.exception("%s could not be answered", request.path)
                answer = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"the log has the reason\n")
        if self._transport is not None and not self._transport.is_closing():
            self._limit_time()
            self._transport.write(answer.pack(request))
            self._transport.write_eof()
