# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Answer the health checks of load balancers outside the cluster (``healthCheckNodePort``): has this host endpoints of
the service?

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
from collections.abc import Mapping
from http import HTTPStatus

from .._common.errors import HostError
from .._common.http_server import Answer, HttpServer
from .host_rule_records import HealthCheck

LOG = logging.getLogger("ovn-k8s-node")
CONNECTIONS = 512  # at the same time, at all ports together
LARGEST_MESSAGE = 1 << 24  # bytes; each node port can have one check of some 100 bytes
NOBODY = 65534  # the user that owns nothing (systemd's and Debian's number): the process needs no rights
SEND_TIMEOUT = 10.0  # seconds for the process to take a message


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
        text = json.dumps({str(port): check for port, check in checks.items()}) + "\n"
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
    """One listening port for each service with health checks, at all of the host's addresses."""

    def __init__(self) -> None:
        self._server = HttpServer(CONNECTIONS)
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
            await self.answer({int(port): HealthCheck(*check) for port, check in json.loads(message).items()})

    async def answer(self, checks: dict[int, HealthCheck]) -> None:
        """Answer these checks, and no others."""
        self._checks = checks
        self._failed &= set(checks)
        for port in set(self._listening) - set(checks):
            self._listening.pop(port).close()
        for port in sorted(set(checks) - set(self._listening)):
            await self._open(port)

    async def _open(self, port: int) -> None:
        async def respond(_path: str) -> Answer:
            return _answer_of(self._checks.get(port))

        try:
            self._listening[port] = await self._server.listen(None, port, respond)
            self._failed.discard(port)
        except OSError as exc:
            check = self._checks[port]
            if port not in self._failed:
                LOG.error(
                    "the health check of service %s/%s can't be answered at port %d: %s; trying again",
                    check.namespace,
                    check.name,
                    port,
                    exc.strerror or exc,
                )
            self._failed.add(port)


def _answer_of(check: HealthCheck | None) -> Answer:
    """Return the answer of kube-proxy (pkg/proxy/healthcheck/service_health.go): load balancers read it."""
    if check is None:  # the service went while the client was connected
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"")
    content = {
        "service": {"namespace": check.namespace, "name": check.name},
        "localEndpoints": check.endpoints,
        "serviceProxyHealthy": True,
    }
    return Answer(
        HTTPStatus.OK if check.endpoints else HTTPStatus.SERVICE_UNAVAILABLE,
        json.dumps(content).encode(),
        "application/json",
        {"X-Load-Balancing-Endpoint-Weight": str(check.endpoints)},
    )
