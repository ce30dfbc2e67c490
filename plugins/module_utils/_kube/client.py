# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The API server's own language (REST, lists in pages, watches) over kept-alive connections, for asyncio programs.

aiohttp is all that it takes; a whole Kubernetes library costs 68 MB of memory and half a second before its first request.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl

from .._common.errors import APIRefused, APIUnreachable, KubernetesError

MISSING_LIBRARY = "the Python library 'aiohttp' is missing on this host: install python3-aiohttp"
PAGE = 500  # objects in one page of a list
CONNECTIONS = 48
# An API server has nothing to say of objects that do not change, so silence means nothing; a path that is dead shows within half a minute.
PROBES = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


class Client:
    """A client of one API server; make it and use it inside a running event loop.

    :param settings: :class:`.settings.Settings`.
    :param agent: the User-Agent, by which the server's log knows who asked.
    :raises KubernetesError: when the CA can't be used.
    """

    def __init__(self, settings, agent="ovn-kubernetes", timeout=15.0):
        try:
            import aiohttp
        except ImportError:
            raise KubernetesError(MISSING_LIBRARY) from None
        self.settings = settings
        self._aiohttp = aiohttp
        self._token = self._token_stamp = None
        self._watches = set()  # answers that are being read
        secure = None
        if settings.server.startswith("https:"):
            try:
                secure = ssl.create_default_context(cafile=settings.ca_file)
            except (OSError, ssl.SSLError) as exc:
                raise KubernetesError(f"the CA in {settings.ca_file} can't be used: {exc}") from None
            if settings.certificate_file:
                try:
                    secure.load_cert_chain(settings.certificate_file, settings.key_file)
                except (OSError, ssl.SSLError) as exc:
                    raise KubernetesError(
                        f"the client certificate in {settings.certificate_file} can't be used: {exc}"
                    ) from None
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=timeout)
        connector = (
            aiohttp.TCPConnector(limit=CONNECTIONS, ssl=secure) if secure else aiohttp.TCPConnector(limit=CONNECTIONS)
        )
        self._session = aiohttp.ClientSession(
            connector=connector, headers={"User-Agent": agent, "Accept": "application/json"}, json_serialize=json.dumps
        )

    async def close(self):
        """End all connections."""
        await self._session.close()

    async def get(self, path, **query):
        """An object or a list."""
        return await self._request("GET", path, query)

    async def pages(self, path, query=None):
        """Yields (items, resourceVersion of the list), page by page."""
        query = dict(query or {}, limit=str(PAGE))
        while True:
            page = await self._request("GET", path, query)
            meta = page.get("metadata") or {}
            yield page.get("items") or [], meta.get("resourceVersion", "")
            if not meta.get("continue"):
                return
            query["continue"] = meta["continue"]

    async def watch(self, path, version, query=None, seconds=300):
        """Yields each event (a dict with type and object) after ``version``, bookmarks among them, until the server ends the watch."""
        query = dict(
            query or {}, watch="true", allowWatchBookmarks="true", resourceVersion=version, timeoutSeconds=str(seconds)
        )
        rest = b""
        patience = self._aiohttp.ClientTimeout(
            total=None, connect=self._timeout.connect, sock_read=seconds + self._timeout.total
        )
        try:
            async with self._session.get(
                self._url(path), params=query, headers=self._headers(), timeout=patience
            ) as answer:
                await self._check(answer, path)
                self._probe(answer)
                self._watches.add(answer)
                try:
                    async for chunk in answer.content.iter_any():
                        lines = (rest + chunk).split(b"\n")
                        rest = lines.pop()
                        for line in lines:
                            if line:
                                yield json.loads(line)
                finally:
                    self._watches.discard(answer)
        except (self._aiohttp.ClientError, OSError, asyncio.TimeoutError) as exc:
            raise APIUnreachable(self._sentence(path, exc)) from None
        except ValueError:
            raise APIUnreachable(f"the watch of {path} at {self.settings.server} does not speak JSON") from None

    def end_watches(self):
        """End the connections of all watches; whoever watches is told as of any that is lost."""
        for answer in self._watches:
            answer.close()

    @staticmethod
    def _probe(answer):
        """Let the kernel look whether the other end of a connection is still there."""
        transport = answer.connection and answer.connection.transport
        link = transport and transport.get_extra_info("socket")
        if link is not None:
            for option in PROBES:
                link.setsockopt(*option)

    async def patch(self, path, body):
        """Merge ``body`` into an object (RFC 7386)."""
        return await self._request("PATCH", path, {}, body, "application/merge-patch+json")

    async def create(self, path, body):
        """Make an object."""
        return await self._request("POST", path, {}, body)

    async def apply(self, path, body, manager, dry=False):
        """Make the fields of ``body`` those of the object, which is made when it is not there (server-side apply); what it is then, or would be."""
        query = {"fieldManager": manager, "force": "true"}
        if dry:
            query["dryRun"] = "All"
        return await self._request("PATCH", path, query, body, "application/apply-patch+yaml")

    async def delete(self, path):
        """Delete an object."""
        return await self._request("DELETE", path, {})

    async def token(self, namespace, account, seconds, audiences=()):
        """A bound token of a service account (TokenRequest): (token, when it expires). Asked for as oneself, whomever one acts as."""
        spec = {"expirationSeconds": seconds}
        if audiences:
            spec["audiences"] = list(audiences)
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await self._request("POST", path, {}, body, headers=self._credential())
        return answer["status"]["token"], answer["status"]["expirationTimestamp"]

    async def _request(self, method, path, query, body=None, kind="application/json", headers=None):
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = self._headers() if headers is None else headers
        if body is not None:
            headers = {**headers, "Content-Type": kind}
        try:
            async with self._session.request(
                method, self._url(path), params=query, data=data, headers=headers, timeout=self._timeout
            ) as answer:
                await self._check(answer, path)
                return json.loads(await answer.read())
        except (self._aiohttp.ClientError, OSError, asyncio.TimeoutError) as exc:
            raise APIUnreachable(self._sentence(path, exc)) from None
        except ValueError:
            raise APIUnreachable(f"{path} at {self.settings.server} does not answer with JSON") from None

    async def _check(self, answer, path):
        """Raise what an error's answer says."""
        if answer.status < 400:
            return
        text = await answer.text()
        try:
            status = json.loads(text)
            message, reason = status.get("message") or text, status.get("reason") or ""
        except (ValueError, AttributeError):
            message, reason = text.strip()[:200], ""
        if answer.status == 401:
            self._token_stamp = None
            message = (
                f"the token in {self.settings.token_file} is not accepted"
                if self.settings.token_file
                else "it wants a token: name a token_file"
            )
        raise APIRefused(f"the API server refused {path}: {message} ({answer.status})", answer.status, reason)

    def _headers(self):
        """Who asks, and as whom."""
        headers = self._credential()
        if self.settings.user:
            headers["Impersonate-User"] = self.settings.user
        if self.settings.group:
            headers["Impersonate-Group"] = self.settings.group
        return headers

    def _credential(self):
        """The token, read again when its file changed."""
        path = self.settings.token_file
        if not path:
            return {}
        try:
            now = os.stat(path)
            stamp = (now.st_mtime_ns, now.st_ino, now.st_size)
            if stamp != self._token_stamp:
                with open(path, encoding="ascii") as file:
                    self._token = file.read().strip()
                self._token_stamp = stamp
        except (OSError, UnicodeDecodeError) as exc:
            raise KubernetesError(
                f"the token in {path} can't be read: {getattr(exc, 'strerror', None) or 'it is not text'}"
            ) from None
        return {"Authorization": f"Bearer {self._token}"}

    def _url(self, path):
        return self.settings.server.rstrip("/") + path

    def _sentence(self, path, exc):
        return f"the API server {self.settings.server} can't be reached for {path}: {exc or type(exc).__name__}"
