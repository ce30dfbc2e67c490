# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Health checks of outer load balancers (``healthCheckNodePort``): a host says of a service whether it has endpoints of it now."""

from __future__ import annotations

import logging

LOG = logging.getLogger("ovn-k8s-node")


class HealthChecks:
    """One listening port for each service that wants it, at all of the host's addresses."""

    def __init__(self):
        self._checks = {}
        self._runners = {}
        self._refused = set()

    async def answer(self, checks):
        """Answer these and no others: port -> :class:`._services.host_rules.Check`. Who asks again has ports tried again that were somebody else's."""
        self._checks = dict(checks)
        self._refused &= set(checks)
        for port in set(self._runners) - set(checks):
            await self._runners.pop(port).cleanup()
        for port in sorted(set(checks) - set(self._runners)):
            await self._open(port)

    async def _open(self, port):
        from aiohttp import web

        async def check(_request):
            one = self._checks[port]
            # What kube-proxy answers, word for word: balancers read it.
            return web.json_response(
                {
                    "service": {"namespace": one.namespace, "name": one.name},
                    "localEndpoints": one.endpoints,
                    "serviceProxyHealthy": True,
                },
                status=200 if one.endpoints else 503,
                headers={"X-Load-Balancing-Endpoint-Weight": str(one.endpoints)},
            )

        application = web.Application()
        application.add_routes([web.route("*", "/{path:.*}", check)])
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, None, port).start()
        except OSError as exc:
            await runner.cleanup()
            one = self._checks[port]
            if port not in self._refused:
                LOG.error(
                    "the health check of service %s/%s can't be answered at port %d: %s; trying again",
                    one.namespace,
                    one.name,
                    port,
                    exc.strerror or exc,
                )
            self._refused.add(port)
            return
        self._refused.discard(port)
        self._runners[port] = runner

    async def close(self):
        """End all."""
        await self.answer({})
