# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a resident program tells over HTTP: ``/healthz``, ``/readyz``, and ``/metrics`` for Prometheus."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from .._common.errors import ClientMissing, KubernetesError
from .._kube.client import MISSING_LIBRARY

if TYPE_CHECKING:
    from aiohttp import web

NO_PROMETHEUS = "the Python library 'prometheus_client' is missing on this host: install python3-prometheus-client"


def prometheus() -> Any:
    """Return the library prometheus_client. :raises KubernetesError: when it is missing."""
    try:
        import prometheus_client
    except ImportError:
        raise KubernetesError(NO_PROMETHEUS) from None
    return prometheus_client


async def listen(
    address: str, problem: Callable[[], str | None], pages: Mapping[str, Callable[[], Awaitable[object]]] | None = None
) -> web.AppRunner:
    """Serve at ``ADDRESS:PORT``, until ``cleanup()`` of the result is called.

    :param problem: returns why the program does not work now, in one sentence; None when it works.
    :param pages: path -> returns what to answer there as JSON.
    :raises KubernetesError: when a library is missing, or the address can't be used.
    """
    try:
        from aiohttp import web
    except ImportError:
        raise ClientMissing(MISSING_LIBRARY) from None
    library = prometheus()

    async def healthy(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_request: web.Request) -> web.Response:
        reason = problem()
        return web.Response(text=f"{reason or 'ok'}\n", status=503 if reason else 200)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=library.generate_latest(), headers={"Content-Type": library.CONTENT_TYPE_LATEST})

    def page(content: Callable[[], Awaitable[object]]) -> Any:
        async def answer(_request: web.Request) -> web.Response:
            return web.Response(text=json.dumps(await content()) + "\n", content_type="application/json")

        return answer

    application = web.Application()
    application.add_routes([web.get(path, page(content)) for path, content in (pages or {}).items()])
    application.add_routes([web.get("/healthz", healthy), web.get("/readyz", ready), web.get("/metrics", metrics)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    host, _colon, port = address.rpartition(":")
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    except (OSError, ValueError) as exc:
        await runner.cleanup()
        raise KubernetesError(
            f"{address} can't be listened on: {exc}; write an address of this host and a free port"
        ) from None
    return runner
