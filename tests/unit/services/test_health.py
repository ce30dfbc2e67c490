# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects health checks of load balancers outside."""

from __future__ import annotations

import asyncio
import socket

from aiohttp import ClientSession

from ansible_collections.ovn.kubernetes.plugins.module_utils._services.health import HealthChecks
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.host_rules import HealthCheck


def test_a_health_check_whose_port_is_taken(caplog):
    """Protects load balancers outside: the port is tried again, and one line in the log is enough."""

    async def story():
        health = HealthChecks()
        with socket.create_server(("0.0.0.0", 0)) as other:
            port = other.getsockname()[1]
            for _time in range(2):
                await health.answer({port: HealthCheck("ns", "web", 1)})
        await health.answer({port: HealthCheck("ns", "web", 1)})
        try:
            async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as got:
                assert got.status == 200
        finally:
            await health.close()

    asyncio.run(story())
    assert len(caplog.records) == 1 and "the health check of service ns/web can't be answered at port" in caplog.text
