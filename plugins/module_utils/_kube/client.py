# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A client of the Kubernetes API (REST, lists in pages, watches) for asyncio programs, with connections that stay open.

It needs aiohttp only. A whole Kubernetes library needs 68 MB of memory and half a second before its first request.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from .._common.errors import APIRefused, APIUnreachable, ClientMissing, KubernetesError
from .._common.tasks import end
from .decode import decode
from .servers import CANNOT_SERVE, Servers, retry_after
from .transport import set_keepalive, tls_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
    from typing import Any

    import aiohttp

    from .settings import Settings

    Object = dict[str, Any]  # an object of the API, as JSON has it
    Query = Mapping[str, str]

MISSING_LIBRARY = "the Python library 'aiohttp' is missing on this host: install python3-aiohttp"
PAGE = 500  # objects in one page of a list, at most
LARGEST_PAGE = 1 << 24  # bytes: an object may have 1.5 MiB. A page that has more is requested with fewer objects
FEWER = 8
CONNECTIONS = 48
REPEATS = 3  # of what a server refuses by 429 and asks to be asked again
SHORT_WATCH = 1.0  # seconds: a server that ends a watch sooner can't serve
WRITES = "writes"
MASK = "********"
SHOWN = 1000  # characters of an error that a message shows; the server puts what users have written into it
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
JSON, MERGE_PATCH, APPLY_PATCH = "application/json", "application/merge-patch+json", "application/apply-patch+yaml"


class _TooLarge(Exception):
    """A reply has more bytes than it may have."""


class Page(NamedTuple):
    """One page of a list.

    :ivar items: the objects.
    :ivar version: the resourceVersion of the list.
    """

    items: list[Any]
    version: str


class IssuedToken(NamedTuple):
    """A bound token of a service account.

    :ivar expires: when it expires (RFC 3339).
    """

    token: str
    expires: str

    def __repr__(self) -> str:
        """Return the text without the token: somebody may log it."""
        return f"{type(self).__name__}(expires={self.expires!r})"


class Client:
    """A client of an API server, or of several with the same objects; make it and use it inside a running event loop.

    Of several it uses one until that can't be reached or can't serve, and then the next (:mod:`.servers`). What may
    have come to one is not sent to another, unless it only reads: whether to repeat it is for the caller to see.
    A server that is busy (429) is asked again after the time that it names, as far as ``timeout`` allows.

    :param agent: the User-Agent, which the server's log shows.
    :param timeout: seconds for a reply.
    :param spread: take several servers in a random order, so that programs of many hosts with the same list have equal
        shares of them, also of those that are left when one fails.
    :raises KubernetesError: the CA or the client certificate can't be used.
    """

    def __init__(
        self, settings: Settings, agent: str = "ovn-kubernetes", timeout: float = 15.0, spread: bool = False
    ) -> None:
        try:
            import aiohttp
        except ImportError:
            raise ClientMissing(MISSING_LIBRARY) from None
        self.settings = settings
        self._aiohttp = aiohttp
        self._token = ""
        self._token_stamp: tuple[int, int, int] | None = None  # of the token's file when it was read
        self._watches: set[aiohttp.ClientResponse] = set()  # open ones
        self._opening: set[asyncio.Future[aiohttp.ClientResponse]] = set()  # watches that the server has not begun yet
        self._ended = 0  # how often all watches were ended: that is no fault of their server
        self._timeout_seconds = timeout
        servers = settings.servers
        self._servers = Servers(random.sample(servers, len(servers)) if spread else servers)
        context = tls_context(settings) if settings.server.startswith("https:") else None
        connector = (
            aiohttp.TCPConnector(limit=CONNECTIONS, ssl=context) if context else aiohttp.TCPConnector(limit=CONNECTIONS)
        )
        self._session = aiohttp.ClientSession(
            connector=connector, headers={"User-Agent": agent, "Accept": JSON}, json_serialize=json.dumps
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def get(self, path: str, **query: str) -> Object:
        """Return an object or a list."""
        return await self._request("GET", path, query)

    async def ready(self) -> None:
        """Ask whether the server can serve: its database is there, and it is not on its way down (``/readyz``).

        :raises APIRefused: it can't, nor can another one.
        """
        await self._reply("GET", "/readyz", {})

    async def pages(self, path: str, query: Query | None = None) -> AsyncIterator[Page]:
        """Yield the pages of a list."""
        parameters, limit = dict(query or {}), PAGE
        while True:
            try:
                most = LARGEST_PAGE if limit > 1 else None
                text = await self._reply("GET", path, {**parameters, "limit": str(limit)}, most=most)
            except _TooLarge:
                limit = max(1, limit // FEWER)
                continue
            if len(text) < LARGEST_PAGE // FEWER:
                limit = min(PAGE, 2 * limit)
            page = await self._decoded(path, text)
            meta = page.get("metadata") or {}
            yield Page(page.get("items") or [], meta.get("resourceVersion", ""))
            if not meta.get("continue"):
                return
            parameters["continue"] = meta["continue"]

    async def watch(
        self,
        path: str,
        version: str,
        query: Query | None = None,
        seconds: int = 300,
        on_open: Callable[[], object] = lambda: None,
    ) -> AsyncIterator[Object]:
        """Yield each event after ``version``, bookmarks too, until the server ends the watch.

        :param seconds: after which the server ends it.
        :param on_open: called once the server has begun it.
        :raises APIUnreachable: the connection ended before.
        :raises APIRefused: the API server refused the request.
        """
        parameters = {
            **(query or {}),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        timeout = self._aiohttp.ClientTimeout(
            total=None,
            connect=self._timeout_seconds,
            sock_connect=self._servers.connect_timeout(self._timeout_seconds),
            sock_read=seconds + self._timeout_seconds,
        )
        server, ended = self.server, self._ended
        incomplete: list[bytes] = []  # parts of a line
        try:
            request = self._session.get(
                server + path, params=parameters, headers=self._headers(), timeout=timeout, allow_redirects=False
            )
            async with await self._begun(request) as response:
                await self._check(response, path)
                set_keepalive(response)
                self._watches.add(response)
                began = time.monotonic()
                on_open()
                try:
                    async for chunk in response.content.iter_any():
                        first, *others = chunk.split(b"\n")
                        incomplete.append(first)
                        for other in others:
                            line = b"".join(incomplete)
                            incomplete = [other]
                            if line:
                                yield await decode(line)
                    if time.monotonic() - began < SHORT_WATCH:
                        self._fault(server, path)
                finally:
                    self._watches.discard(response)
                    if time.monotonic() - began >= SHORT_WATCH:
                        self._servers.success(server, path)
        except APIRefused as exc:
            if exc.status in CANNOT_SERVE:
                self._fault(server, path)
            raise
        except (self._aiohttp.ClientError, OSError, asyncio.TimeoutError) as exc:
            if ended == self._ended:
                self.leave(server)
            raise APIUnreachable(_unreachable(server, path, exc)) from None
        except ValueError:
            raise APIUnreachable(f"the watch of {path} at {server} does not send JSON") from None

    async def _begun(self, request: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
        """Return the response of a watch once the server has begun it, which it does at once.

        :raises asyncio.TimeoutError: it does not, or :meth:`end_watches` was called.
        """
        opening = asyncio.ensure_future(request)
        self._opening.add(opening)
        response = None
        try:
            await asyncio.wait({opening}, timeout=self._timeout_seconds)
            if opening.cancelled() or not opening.done():
                raise asyncio.TimeoutError("it does not begin the watch")
            response = opening.result()
            return response
        finally:
            self._opening.discard(opening)
            await end([opening])
            if response is None and not opening.cancelled() and opening.exception() is None:
                opening.result().close()

    @property
    def server(self) -> str:
        """The URL of the server that is asked now."""
        return self._servers.current

    def leave(self, server: str) -> None:
        """Ask another server from now on, if there is one; all watches begin again there."""
        if self._servers.leave(server):
            self.end_watches()

    def end_watches(self) -> None:
        """Close the connections of all watches. :meth:`watch` raises :class:`APIUnreachable` then."""
        self._ended += 1
        for response in list(self._watches):
            response.close()
        for opening in self._opening:
            opening.cancel()

    def _fault(self, server: str, work: str) -> None:
        """Take in that a server could not serve ``work``."""
        if self._servers.fault(server, work):
            self.end_watches()

    async def patch(self, path: str, body: Object) -> None:
        """Merge ``body`` into an object (RFC 7386). The reply has the whole object, and is not looked at."""
        await self._reply("PATCH", path, {}, body, MERGE_PATCH)

    async def strategic_patch(self, path: str, body: Object) -> Object:
        """Merge ``body`` into an object, members of its lists by their keys (strategic merge patch)."""
        return await self._request("PATCH", path, {}, body, STRATEGIC_PATCH)

    async def create(self, path: str, body: Object) -> Object:
        """Create an object in the collection ``path``."""
        return await self._request("POST", path, {}, body)

    async def apply(self, path: str, body: Object, manager: str, dry: bool = False) -> Object:
        """Set the fields of ``body`` by server-side apply, which creates the object when it does not exist.

        :param manager: the field manager.
        :param dry: change nothing.
        :returns: the object, or what it would be.
        """
        query = {"fieldManager": manager, "force": "true"}
        if dry:
            query["dryRun"] = "All"
        return await self._request("PATCH", path, query, body, APPLY_PATCH)

    async def delete(self, path: str) -> Object:
        """Delete an object."""
        return await self._request("DELETE", path, {})

    async def token(self, namespace: str, account: str, seconds: int, audiences: Iterable[str] = ()) -> IssuedToken:
        """Request a bound token of a service account (TokenRequest), without impersonation.

        :param seconds: its lifetime.
        """
        spec: Object = {"expirationSeconds": seconds}
        if audiences:
            spec["audiences"] = list(audiences)
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        reply = await self._request("POST", path, {}, body, headers=self._credential())
        return IssuedToken(reply["status"]["token"], reply["status"]["expirationTimestamp"])

    async def _request(
        self,
        method: str,
        path: str,
        query: Query,
        body: Object | None = None,
        content_type: str = JSON,
        headers: dict[str, str] | None = None,
    ) -> Object:
        """Return the reply's JSON.

        :param headers: instead of those with the credential and the impersonation.
        :raises APIUnreachable: there was no reply, or it was no JSON.
        :raises APIRefused: the API server replied with an error.
        :raises KubernetesError: the token can't be read.
        """
        return await self._decoded(path, await self._reply(method, path, query, body, content_type, headers))

    async def _reply(
        self,
        method: str,
        path: str,
        query: Query,
        body: Object | None = None,
        content_type: str = JSON,
        headers: dict[str, str] | None = None,
        most: int | None = None,
    ) -> bytes:
        """Return the reply's text, with the errors of :meth:`_request`.

        :param most: bytes that it may have.
        :raises _TooLarge: it has more.
        """
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = self._headers() if headers is None else headers
        if body is not None:
            headers = {**headers, "Content-Type": content_type}
        only_reads = method == "GET"
        refused: dict[str, APIRefused] = {}  # by servers that can't serve
        servers = self._servers.in_turn()
        for server in servers:
            is_last = server == servers[-1]
            try:
                text = await self._reply_of(server, method, path, query, data, headers, most)
            except (self._aiohttp.ClientError, OSError, asyncio.TimeoutError) as exc:
                self.leave(server)
                may_repeat = only_reads or isinstance(exc, self._aiohttp.ClientConnectorError)
                if is_last and refused:
                    break
                if is_last or not may_repeat:
                    raise APIUnreachable(_unreachable(server, path, exc)) from None
            except APIRefused as exc:
                if exc.status not in CANNOT_SERVE:
                    self._served(server, only_reads, refused)
                    raise
                refused[server] = exc
                if not only_reads:
                    self._fault(server, WRITES)
                    if exc.status != HTTPStatus.TOO_MANY_REQUESTS:
                        raise
            else:
                self._served(server, only_reads, refused)
                return text
        raise next(iter(refused.values()))

    def _served(self, server: str, only_reads: bool, refused: Mapping[str, APIRefused]) -> None:
        """Take in that a server has served what those of ``refused`` could not."""
        if not only_reads:
            self._servers.success(server, WRITES)
        if self._servers.prefer(server, refused):
            self.end_watches()

    async def _reply_of(
        self,
        server: str,
        method: str,
        path: str,
        query: Query,
        data: bytes | None,
        headers: dict[str, str],
        most: int | None,
    ) -> bytes:
        """Return the text of one server's reply. A busy server has not done what it was asked for (RFC 6585, 4), so it
        is asked again after the time that it names.
        """
        until = time.monotonic() + self._timeout_seconds
        for repeats in reversed(range(REPEATS)):
            left = max(0.1, until - time.monotonic())
            timeout = self._aiohttp.ClientTimeout(
                total=left, connect=left, sock_connect=self._servers.connect_timeout(left)
            )
            try:
                async with self._session.request(
                    method,
                    server + path,
                    params=query,
                    data=data,
                    headers=headers,
                    timeout=timeout,
                    allow_redirects=False,
                ) as response:
                    await self._check(response, path)
                    text = bytearray()
                    async for chunk in response.content.iter_any():
                        text += chunk
                        if most is not None and len(text) > most:
                            raise _TooLarge
                    return bytes(text)
            except APIRefused as exc:
                left = until - time.monotonic()
                is_busy = exc.status == HTTPStatus.TOO_MANY_REQUESTS and 0 < exc.retry_after < left
                if not (repeats and is_busy):
                    raise
                await asyncio.sleep(exc.retry_after)
        raise AssertionError("the last error was raised")

    async def _decoded(self, path: str, text: bytes) -> Object:
        """Return a reply's JSON. :raises APIUnreachable: it is none."""
        try:
            reply: Object = await decode(text)
        except ValueError:
            raise APIUnreachable(f"{path} at {self.server} does not reply with JSON") from None
        return reply

    async def _check(self, response: aiohttp.ClientResponse, path: str) -> None:
        """Raise the error of a reply.

        :raises APIRefused: the reply is an error.
        """
        if response.status < HTTPStatus.MULTIPLE_CHOICES:
            return
        text = await response.text()
        try:
            status = json.loads(text)
            message, reason = str(status.get("message") or text), str(status.get("reason") or "")
        except (ValueError, AttributeError, RecursionError):
            message, reason = text.strip(), ""
        if response.status == HTTPStatus.UNAUTHORIZED:
            self._token_stamp = None
            file = self.settings.token_file
            message = f"the token in {file} is not accepted" if file else "it requires a token: name a token_file"
        if response.status < HTTPStatus.BAD_REQUEST:  # the credential is for this server only, so it is not followed
            message = f"it redirects to {response.headers.get('Location', 'nowhere')}"
        if self._token:  # a proxy may show the headers of what it refuses
            message = message.replace(self._token, MASK)
        text = f"the API server refused {path}: {message:.{SHOWN}} ({response.status})"
        raise APIRefused(text, response.status, reason, retry_after(response.headers))

    def _headers(self) -> dict[str, str]:
        """Return the headers of the credential and the impersonation."""
        headers = self._credential()
        if self.settings.user:
            headers["Impersonate-User"] = self.settings.user
        if self.settings.group:
            headers["Impersonate-Group"] = self.settings.group
        return headers

    def _credential(self) -> dict[str, str]:
        """Return the header with the token, which is read again when its file changed.

        :raises KubernetesError: it can't be read.
        """
        path = self.settings.token_file
        if not path:
            return {}
        try:
            state = os.stat(path)
            stamp = (state.st_mtime_ns, state.st_ino, state.st_size)
            if stamp != self._token_stamp:
                with open(path, encoding="ascii") as file:
                    self._token = file.read().strip()
                self._token_stamp = stamp
        except (OSError, UnicodeDecodeError) as exc:
            reason = getattr(exc, "strerror", None) or "it is not text"
            raise KubernetesError(f"the token in {path} can't be read: {reason}") from None
        return {"Authorization": f"Bearer {self._token}"}


def _unreachable(server: str, path: str, exc: BaseException) -> str:
    return f"the API server {server} can't be reached for {path}: {exc or type(exc).__name__}"
