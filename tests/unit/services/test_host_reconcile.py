# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the node's server, which gives pods their interfaces, against its part for services."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time

from aiohttp import ClientSession

from ansible_collections.ovn.kubernetes.plugins.module_utils._services import host_reconcile as host_services
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.health import HealthChecks
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.host_rules import Check
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.northbound import Host


async def until(condition):
    """Wait for it."""

    async def turn():
        while not condition():
            await asyncio.sleep(0.005)

    await asyncio.wait_for(turn(), 10)


@contextlib.asynccontextmanager
async def at_work(monkeypatch, write, answer):
    """Services whose rules go to ``write``, and checks to ``answer``, with all known from the start."""
    monkeypatch.setattr(host_services.service_rules, "write", write)
    monkeypatch.setattr(host_services.service_rules, "udp", dict)
    monkeypatch.setattr(host_services.service_rules, "whole", lambda: True)
    services = host_services.HostServices("node1", (), None, {}, answer)
    for informer in (services.services, services.nodes, services.slices):
        informer.synced.set()
    task = asyncio.ensure_future(services._keep())
    yield services
    task.cancel()


def test_a_fault_of_services_is_no_end(monkeypatch):
    """Protects pods: whatever is raised is said, and tried again; afterwards all is well."""
    written, answered, faults = [], [], [ValueError("odd"), RecursionError("deep")]

    def write(rules):
        if faults:
            raise faults.pop(0)
        written.append(rules)

    async def answer(checks):
        answered.append(checks)

    monkeypatch.setattr(host_services, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(host_services, "LOOK", 0.02)

    async def story():
        async with at_work(monkeypatch, write, answer) as services:
            await until(lambda: services.problem() == "the rules of services could not be made: RecursionError: deep")
            await until(lambda: written and services.problem() is None)
            asked = len(answered)
            await until(lambda: len(answered) > asked)  # a health check's port may be free now

    asyncio.run(story())


def test_pods_are_served_while_rules_are_written(monkeypatch):
    """Protects pods beside many services that change: the loop that gives them their interfaces goes on meanwhile, and has as much time without."""
    writes, begun, turned = [], threading.Event(), threading.Event()

    def write(_rules):
        began = time.monotonic()
        begun.set()
        assert turned.wait(10), "the loop stood still"
        turned.clear()
        time.sleep(0.05)
        writes.append((began, time.monotonic()))

    async def answer(_checks):
        pass

    async def story():
        async with at_work(monkeypatch, write, answer) as services:
            for number in range(4):
                services.nodes.store["node2"] = Host("node2", (f"10.0.0.{number}",))
                services._node_changed("node2", None, services.nodes.store["node2"])
                await until(begun.is_set)
                begun.clear()
                turned.set()

    asyncio.run(story())
    assert all(later[0] - earlier[1] >= earlier[1] - earlier[0] for earlier, later in zip(writes, writes[1:]))


def test_a_health_check_whose_port_is_taken(caplog):
    """Protects outer load balancers: the port is tried again, and one sentence is enough."""

    async def story():
        health = HealthChecks()
        with socket.create_server(("0.0.0.0", 0)) as other:
            port = other.getsockname()[1]
            for _time in range(2):
                await health.answer({port: Check("ns", "web", 1)})
        await health.answer({port: Check("ns", "web", 1)})
        try:
            async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as got:
                assert got.status == 200
        finally:
            await health.close()

    asyncio.run(story())
    assert len(caplog.records) == 1 and "the health check of service ns/web can't be answered at port" in caplog.text
