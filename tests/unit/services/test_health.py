# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects health checks of load balancers outside."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import health as module
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.health import (
    HealthChecks,
    HealthPorts,
    ProxyHealth,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.host_rules import HealthCheck


def free_port():
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


async def ask(port, request=b"GET / HTTP/1.1\r\nHost: node1\r\n\r\n"):
    """The whole answer at a port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return (await asyncio.wait_for(reader.read(), 10)).decode()
    finally:
        writer.close()


def test_a_health_check_whose_port_is_taken(caplog):
    """Protects load balancers outside: the port is tried again, and one line in the log is enough."""

    async def story():
        health = HealthPorts()
        with socket.create_server(("0.0.0.0", 0)) as other:
            port = other.getsockname()[1]
            for _time in range(2):
                await health.answer({port: HealthCheck("ns", "web", 1)})
        await health.answer({port: HealthCheck("ns", "web", 1)})
        assert (await ask(port)).startswith("HTTP/1.1 200 OK")
        await health.answer({})

    asyncio.run(story())
    assert len(caplog.records) == 1 and "the health check of service ns/web can't be answered at port" in caplog.text


def test_a_proxy_port_that_is_taken(caplog):
    """Protects hosts with kube-proxy beside us: it keeps its port, services have their checks, and one line says so."""

    async def story():
        with socket.create_server(("0.0.0.0", 0)) as other:
            health = HealthPorts(other.getsockname()[1])
            for _time in range(2):
                await health.tell(True, True)
            port = free_port()
            await health.answer({port: HealthCheck("ns", "web", 1)})
            assert (await ask(port)).startswith("HTTP/1.1 200")
        await health.tell(True, True)
        await health.answer({})
        assert (await ask(health._proxy_port, LIVEZ)).startswith("HTTP/1.1 200")

    asyncio.run(story())
    assert len(caplog.records) == 1 and "kube-proxy's health checks can't be answered at port" in caplog.text


LIVEZ = b"GET /livez HTTP/1.1\r\n\r\n"


def test_the_health_of_kube_proxy(monkeypatch):
    """Protects hosts behind a cloud's load balancer: as kube-proxy does, 503 before the rules are there, when they are
    stale, and while the node is being deleted; /livez does not ask for the latter (KEP-3836). Health checks of services
    fail with stale rules too.
    """
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    proxy = ProxyHealth()

    def status(path):
        answer = asyncio.run(proxy.respond(path))
        return answer.status, json.loads(answer.body) if answer.status != 404 else None

    assert status("/healthz")[0] == status("/livez")[0] == 503 and proxy.is_healthy()
    proxy.tell(True, True)
    code, content = status("/healthz")
    assert code == 200 and content["nodeEligible"] is True and content["lastUpdated"] == content["currentTime"]
    assert status("/livez")[0] == 200 and list(status("/livez")[1]) == ["lastUpdated", "currentTime"]
    proxy.tell(True, False)
    assert status("/healthz")[0] == 503 and status("/healthz")[1]["nodeEligible"] is False
    assert status("/livez")[0] == 200 and status("/metrics")[0] == 404
    now[0] += module.STALE
    proxy.tell(False, True)
    assert status("/healthz")[0] == status("/livez")[0] == 503 and not proxy.is_healthy()
    web = module._answer_of(HealthCheck("ns", "web", 2), proxy.is_healthy())
    assert web.status == 503 and json.loads(web.body)["serviceProxyHealthy"] is False
    proxy.tell(True, True)
    assert status("/healthz")[0] == 200


def test_health_checks_are_answered_by_a_process_of_their_own():
    """Protects the program that gives pods their interfaces: the process answers, it does not wait for a client that
    never ends its request when a port closes, and the program learns that it has ended.
    """
    health = HealthChecks.start()

    async def story():
        port = free_port()
        await health.answer({port: HealthCheck("ns", "web", 2)})
        while True:
            try:
                answer = await ask(port)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
        assert answer.startswith("HTTP/1.1 200") and "X-Load-Balancing-Endpoint-Weight: 2" in answer
        await health.answer({port: HealthCheck("ns", "web", 0)})
        while not answer.startswith("HTTP/1.1 503"):
            answer = await ask(port)
        unfinished = await asyncio.open_connection("127.0.0.1", port)
        unfinished[1].write(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n")
        await asyncio.wait_for(health.answer({}), 1)
        ended = asyncio.ensure_future(health.ended())
        await asyncio.sleep(0)
        assert not ended.done()
        unfinished[1].close()
        health._channel.shutdown(socket.SHUT_RDWR)  # as when the process ends
        with pytest.raises(HostError, match="has ended"):
            await asyncio.wait_for(ended, 5)
        with pytest.raises(HostError, match="does not take them"):
            await health.answer({})

    asyncio.run(story())
    health.close()
