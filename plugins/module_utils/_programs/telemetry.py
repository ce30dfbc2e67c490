# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a resident program tells over HTTP: ``/healthz``, ``/readyz``, and ``/metrics`` for Prometheus."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from .._common.errors import KubernetesError
from .._common.http_server import Answer, HttpServer
from . import certificate_metrics

CONNECTIONS = 32  # at the same time
NO_PROMETHEUS = "the Python library 'prometheus_client' is missing on this host: install python3-prometheus-client"


def prometheus() -> Any:
    """Return the library prometheus_client. :raises KubernetesError: when it is missing."""
    try:
        import prometheus_client
    except ImportError:
        raise KubernetesError(NO_PROMETHEUS) from None
    return prometheus_client


class Telemetry:
    """The pages, until they are closed."""

    def __init__(self, server: HttpServer, listening: asyncio.AbstractServer) -> None:
        self._server = server
        self._listening = listening

    def close(self) -> None:
        """Serve no more."""
        self._listening.close()
        self._server.close()


async def listen(
    address: str, problem: Callable[[], str | None], pages: Mapping[str, Callable[[], Awaitable[object]]] | None = None
) -> Telemetry:
    """Serve at ``ADDRESS:PORT``.

    :param problem: returns why the program does not work now, in one sentence; None when it works.
    :param pages: path -> returns what to answer there as JSON.
    :raises KubernetesError: when a library is missing, or the address can't be used.
    """
    library = prometheus()
    certificate_metrics.register(library)

    async def respond(path: str) -> Answer:
        if path == "/healthz":
            return Answer(HTTPStatus.OK, b"ok\n")
        if path == "/readyz":
            reason = problem()
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE if reason else HTTPStatus.OK, f"{reason or 'ok'}\n".encode())
        if path == "/metrics":
            return Answer(HTTPStatus.OK, library.generate_latest(), library.CONTENT_TYPE_LATEST)
        if pages and path in pages:
            text = json.dumps(await pages[path]()) + "\n"
            return Answer(HTTPStatus.OK, text.encode(), "application/json")
        return Answer(HTTPStatus.NOT_FOUND, b"there is no such page\n")

    server = HttpServer(CONNECTIONS)
    host, _colon, port = address.rpartition(":")
    try:
        return Telemetry(server, await server.listen(host.strip("[]"), int(port), respond))
    except (OSError, ValueError, OverflowError) as exc:
        raise KubernetesError(
            f"{address} can't be listened on: {exc}; write an address of this host and a free port"
        ) from None
