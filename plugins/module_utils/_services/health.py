# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Answer the health checks of load balancers outside the cluster (``healthCheckNodePort``): has this host endpoints of
the service?
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .host_rules import HealthCheck

if TYPE_CHECKING:
    from aiohttp import web

LOG = logging.getLogger("ovn-k8s-node")


class HealthChecks:
    """One listening port for each service with health checks, at all of the host's addresses."""

    def __init__(self) -> None:
        self._checks: dict[int, HealthCheck] = {}
        self._runners: dict[int, web.AppRunner] = {}
        self._failed: set[int] = set()  # ports that can't be opened, reported already

    async def answer(self, checks: Mapping[int, HealthCheck]) -> None:
        """Answer these checks, and no others. A port that could not be opened is tried again by the next call.

        :param checks: by port.
        """
        self._checks = dict(checks)
        self._failed &= set(checks)
        for port in set(self._runners) - set(checks):
            await self._runners.pop(port).cleanup()
        for port in sorted(set(checks) - set(self._runners)):
            await self._open(port)

    async def _open(self, port: int) -> None:
        from aiohttp import web

        async def respond(_request: web.Request) -> web.Response:
            check = self._checks[port]
            # The answer of kube-proxy (pkg/proxy/healthcheck/service_health.go): load balancers read it.
            return web.json_response(
                {
                    "service": {"namespace": check.namespace, "name": check.name},
                    "localEndpoints": check.endpoints,
                    "serviceProxyHealthy": True,
                },
                status=200 if check.endpoints else 503,
                headers={"X-Load-Balancing-Endpoint-Weight": str(check.endpoints)},
            )

        application = web.Application()
        application.add_routes([web.route("*", "/{path:.*}", respond)])
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, None, port).start()
        except OSError as exc:
            await runner.cleanup()
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
            return
        self._failed.discard(port)
        self._runners[port] = runner

    async def close(self) -> None:
        """Close all ports."""
        await self.answer({})
