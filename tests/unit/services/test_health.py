# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects health checks of load balancers outside."""

from __future__ import annotations

import asyncio
import socket

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.health import HealthChecks, HealthPorts
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.host_rules import HealthCheck


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


def test_health_checks_are_answered_by_a_process_of_their_own():
    """Protects the program that gives pods their interfaces: the process answers, it does not wait for a client that
    never ends its request when a port closes, and the program learns that it has ended.
    """
    health = HealthChecks.start()

    async def story():
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
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
