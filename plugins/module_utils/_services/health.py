# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Answer the health checks of load balancers outside the cluster: has this host endpoints of the service
(``healthCheckNodePort``), and does it serve services at all (kube-proxy's ``/healthz`` and ``/livez``)?

These ports are open to everybody, so a process of its own serves them: whatever clients do there, the program that
gives pods their interfaces keeps its file descriptors and its processor time. It is a child of that program, which
sends it the answers over a pair of sockets, and it ends with it.
"""

from __future__ import annotations

import asyncio

# asyncio would load it when the process can't read it any more.
import concurrent.futures.thread  # noqa: F401  # pylint: disable=unused-import
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from http import HTTPStatus

from .._common import names
from .._common.errors import HostError
from .._common.http_server import Answer, HttpServer, Responder
from .host_rule_records import HealthCheck

LOG = logging.getLogger("ovn-k8s-node")
CONNECTIONS = 512  # at the same time, at all ports together
LARGEST_MESSAGE = 1 << 24  # bytes; each node port can have one check of some 100 bytes
NOBODY = 65534  # the user that owns nothing (systemd's and Debian's number): the process needs no rights
SEND_TIMEOUT = 10.0  # seconds for the process to take a message
# Seconds after which rules that could not be made as they should be are stale: kube-proxy's too, by default.
STALE = 60.0
PROXY = "proxy"  # the key of a message about the rules; that of a message about a check is its port


class HealthChecks:
    """The program's side: what is to be answered."""

    def __init__(self, channel: socket.socket, process: int) -> None:
        self._channel = channel
        self._process = process

    @classmethod
    def start(cls) -> HealthChecks:
        """Start the process. Threads and event loops must not exist yet: the process would not have them."""
        ours, its = socket.socketpair()
        process = os.fork()
        if process:
            its.close()
            ours.setblocking(False)
            return cls(ours, process)
        gc.freeze()  # what is in memory already is not looked at again, so the two processes share it
        status = 1
        try:
            ours.close()
            _serve(its)
            status = 0
        except Exception:
            LOG.exception("the health checks of services are not answered any more")
        finally:
            sys.stderr.flush()
            os._exit(status)

    async def answer(self, checks: Mapping[int, HealthCheck]) -> None:
        """Answer these checks, and no others. A port that could not be opened is tried again by the next call.

        :param checks: by port.
        :raises HostError: the process does not take them.
        """
        await self._send({str(port): check for port, check in checks.items()})

    async def tell(self, is_fresh: bool, is_eligible: bool) -> None:
        """Take in how this host serves services.

        :param is_fresh: the rules are now as they should be.
        :param is_eligible: this node stays in the cluster.
        :raises HostError: the process does not take it.
        """
        await self._send({PROXY: [is_fresh, is_eligible]})

    async def _send(self, message: object) -> None:
        text = json.dumps(message) + "\n"
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(self._channel, text.encode()), SEND_TIMEOUT)
        except (OSError, asyncio.TimeoutError):
            self._channel.shutdown(socket.SHUT_RDWR)  # a part of a message may be sent
            raise HostError("the process that answers health checks of services does not take them") from None

    async def ended(self) -> None:
        """Wait until the process has ended. :raises HostError: then; only a new start of the program can repair it."""
        while await asyncio.get_running_loop().sock_recv(self._channel, 1):
            pass
        raise HostError("the process that answers health checks of services has ended")

    def close(self) -> None:
        """End the process."""
        self._channel.close()
        os.waitpid(self._process, 0)


def _serve(channel: socket.socket) -> None:
    """Be the process: answer until the program has ended."""
    for number in (signal.SIGTERM, signal.SIGINT):  # systemd sends them to all processes of the unit
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(PermissionError):  # started without the unit, by a user, or with fewer capabilities
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    asyncio.run(HealthPorts().follow(channel))


class HealthPorts:
    """One listening port for each service with health checks, and kube-proxy's, at all of the host's addresses.

    :param proxy_port: kube-proxy's.
    """

    def __init__(self, proxy_port: int = names.PROXY_HEALTH_PORT) -> None:
        self._server = HttpServer(CONNECTIONS)
        self._proxy = ProxyHealth()
        self._proxy_port = proxy_port
        self._checks: dict[int, HealthCheck] = {}
        self._listening: dict[int, asyncio.AbstractServer] = {}
        self._failed: set[int] = set()  # ports that can't be opened, reported already

    async def follow(self, channel: socket.socket) -> None:
        """Answer what the messages say, until the other side closes."""
        reader, _writer = await asyncio.open_connection(sock=channel, limit=LARGEST_MESSAGE)
        while True:
            message = await reader.readline()
            if not message.endswith(b"\n"):
                return
            content = json.loads(message)
            if PROXY in content:
                await self.tell(*content[PROXY])
            else:
                await self.answer({int(port): HealthCheck(*check) for port, check in content.items()})

    async def tell(self, is_fresh: bool, is_eligible: bool) -> None:
        """Take in how this host serves services, and answer kube-proxy's checks."""
        self._proxy.tell(is_fresh, is_eligible)
        if self._proxy_port not in self._listening:
            await self._open(self._proxy_port, self._proxy.respond, "kube-proxy's health checks")

    async def answer(self, checks: dict[int, HealthCheck]) -> None:
        """Answer these checks, and no others."""
        self._checks = checks
        self._failed &= {*checks, self._proxy_port}
        for port in set(self._listening) - set(checks) - {self._proxy_port}:
            self._listening.pop(port).close()
        for port in sorted(set(checks) - set(self._listening)):
            what = f"the health check of service {checks[port].namespace}/{checks[port].name}"
            await self._open(port, self._respond(port), what)

    def _respond(self, port: int) -> Responder:
        async def respond(_path: str) -> Answer:
            return _answer_of(self._checks.get(port), self._proxy.is_healthy())

        return respond

    async def _open(self, port: int, respond: Responder, what: str) -> None:
        try:
            self._listening[port] = await self._server.listen(None, port, respond)
            self._failed.discard(port)
        except OSError as exc:
            if port not in self._failed:
                LOG.error("%s can't be answered at port %d: %s; trying again", what, port, exc.strerror or exc)
            self._failed.add(port)


class ProxyHealth:
    """The health of this host's rules, as kube-proxy tells its own (pkg/proxy/healthcheck/proxy_health.go).

    It is healthy at its start, and as long as no change of the rules waits for longer than :data:`STALE`. A program
    that says nothing any more is not.
    """

    def __init__(self) -> None:
        self._fresh_at = time.monotonic()
        self._updated = ""
        self._is_eligible = True

    def tell(self, is_fresh: bool, is_eligible: bool) -> None:
        """Take in how the rules are now, and whether the node stays in the cluster."""
        self._is_eligible = is_eligible
        if is_fresh:
            self._fresh_at, self._updated = time.monotonic(), _now()

    def is_healthy(self) -> bool:
        """Return whether the rules are not stale."""
        return time.monotonic() - self._fresh_at < STALE

    async def respond(self, path: str) -> Answer:
        """Answer a request; ``/livez`` does not ask whether the node stays (KEP-3836)."""
        if path not in ("/healthz", "/livez"):
            return Answer(HTTPStatus.NOT_FOUND, b"404 page not found\n")
        now = _now()
        is_healthy = self.is_healthy() and bool(self._updated)
        content: dict[str, object] = {"lastUpdated": now if is_healthy else self._updated, "currentTime": now}
        if path == "/healthz":
            content["nodeEligible"] = self._is_eligible
            is_healthy = is_healthy and self._is_eligible
        return _json(is_healthy, content)


def _now() -> str:
    """Return the time as kube-proxy writes it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f +0000 UTC")


def _json(is_healthy: bool, content: object, fields: Mapping[str, str] | None = None) -> Answer:
    status = HTTPStatus.OK if is_healthy else HTTPStatus.SERVICE_UNAVAILABLE
    fields = {"X-Content-Type-Options": "nosniff", **(fields or {})}
    return Answer(status, json.dumps(content).encode(), "application/json", fields)


def _answer_of(check: HealthCheck | None, is_healthy: bool) -> Answer:
    """Return the answer of kube-proxy (pkg/proxy/healthcheck/service_health.go): load balancers read it."""
    if check is None:  # the service went while the client was connected
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"")
    content = {
        "service": {"namespace": check.namespace, "name": check.name},
        "localEndpoints": check.endpoints,
        "serviceProxyHealthy": is_healthy,
    }
    return _json(
        is_healthy and check.endpoints > 0, content, {"X-Load-Balancing-Endpoint-Weight": str(check.endpoints)}
    )
