# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the node's server, which gives pods their interfaces, against its part for services."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.retry import Pause
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import host_reconcile
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.nodes import Node
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.service_cidrs import Accepted


async def until(condition):
    """Wait for it."""

    async def turn():
        while not condition():
            await asyncio.sleep(0.005)

    await asyncio.wait_for(turn(), 10)


@contextlib.asynccontextmanager
async def running(monkeypatch, write, answer, tell=None, **more):
    """Services whose rules go to ``write``, and checks to ``answer``, with everything known from the start."""
    monkeypatch.setattr(host_reconcile.nftables, "write", write)
    monkeypatch.setattr(host_reconcile.nftables, "current_udp_rules", dict)
    monkeypatch.setattr(host_reconcile.nftables, "has_rules", lambda: True)
    monkeypatch.setattr(host_reconcile.nftables, "exists", lambda: True)
    services = host_reconcile.HostServices("node1", (), None, {}, answer, tell=tell, **more)
    for informer in services._informers:
        informer.synced.set()
    task = asyncio.ensure_future(services._keep())
    yield services
    task.cancel()


def test_a_fault_of_services_does_not_end_the_program(monkeypatch):
    """Protects pods: whatever is raised is reported, and tried again; after that there is no problem."""
    written, answered, faults = [], [], [ValueError("odd"), RecursionError("deep")]

    def write(rules):
        if faults:
            raise faults.pop(0)
        written.append(rules)

    async def answer(checks):
        answered.append(checks)

    monkeypatch.setattr(host_reconcile, "PAUSE", Pause(0.02))
    monkeypatch.setattr(host_reconcile, "CHECK_INTERVAL", 0.02)

    async def story():
        async with running(monkeypatch, write, answer) as services:
            await until(lambda: services.problem() == "the rules of services could not be made: RecursionError: deep")
            await until(lambda: written and services.problem() is None)
            count = len(answered)
            await until(lambda: len(answered) > count)  # a health check's port may be free now

    asyncio.run(story())


def test_a_network_of_services_that_the_kernel_refuses(monkeypatch):
    """Protects all that a host serves elsewhere: its rules are made although a network of services has no route. That
    is said, and tried again.
    """
    written, told, faults = [], [], [HostError("no route")]

    def converge(_objects):
        if faults:
            raise faults[0]
        return Accepted((), {})

    async def answer(_checks):
        pass

    async def tell(is_fresh, _is_eligible):
        told.append(is_fresh)

    monkeypatch.setattr(host_reconcile, "CHECK_INTERVAL", 0.02)

    async def story():
        async with running(monkeypatch, written.append, answer, tell) as services:
            monkeypatch.setattr(services._networks, "converge", converge)
            await until(lambda: written and services.problem() == "no route")
            services._node_changed("node2", None, Node("node2", ("10.0.0.2",)))
            services.nodes.store["node2"] = Node("node2", ("10.0.0.2",))
            await until(lambda: len(written) == 2)
            faults.clear()
            await until(lambda: services.problem() is None)

    asyncio.run(story())
    assert all(told)


def test_the_routers_of_a_host_are_told_once_at_least(monkeypatch):
    """Protects a host's router from the first service that names it: all others know it before, also without services;
    and a host that has many routes from reading them at each change.
    """
    reads, told, written = [], [], []

    def read():
        reads.append(1)
        return frozenset(["10.44.0.1"])

    async def answer(_checks):
        pass

    monkeypatch.setattr(host_reconcile, "read_next_hops", read)

    async def story():
        async with running(monkeypatch, written.append, answer, on_routers=told.append) as services:
            await until(lambda: written and told == [{"10.44.0.1"}])
            services.nodes.store["node2"] = Node("node2", ("10.0.0.2",))
            services._node_changed("node2", None, Node("node2", ("10.0.0.2",)))
            await until(lambda: len(written) == 2)

    asyncio.run(story())
    assert len(reads) == 1


def test_what_load_balancers_of_clouds_are_told(monkeypatch):
    """Protects hosts behind a cloud's load balancer: it learns whether the rules are as they should be, and whether the
    node is being deleted, also while they are not.
    """
    told, faults = [], []

    def write(_rules):
        if faults:
            raise HostError("full")

    async def answer(_checks):
        pass

    async def tell(is_fresh, is_eligible):
        told.append((is_fresh, is_eligible))

    monkeypatch.setattr(host_reconcile, "PAUSE", Pause(0.02))

    async def story():
        async with running(monkeypatch, write, answer, tell) as services:
            await until(lambda: told == [(True, True)])
            services._node_changed("node2", None, Node("node2", (), is_leaving=True))
            await until(lambda: told[1:] == [(True, True)])
            faults.append(1)
            services._written = None
            services._node_changed("node1", None, Node("node1", (), is_leaving=True))
            await until(lambda: told[-1] == (False, False))
            faults.clear()
            await until(lambda: told[-1] == (True, False))
            services._node_changed("node1", None, Node("node1", ()))
            await until(lambda: told[-1] == (True, True))
            services._node_changed("node1", Node("node1", ()), None)
            await until(lambda: told[-1] == (True, False))

    asyncio.run(story())


def test_pods_are_served_while_rules_are_written(monkeypatch):
    """Protects pods while many services change: the loop that serves them goes on meanwhile, and has at least half of
    the time.
    """
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
        async with running(monkeypatch, write, answer) as services:
            for number in range(4):
                services.nodes.store["node2"] = Node("node2", (f"10.0.0.{number}",))
                services._node_changed("node2", None, services.nodes.store["node2"])
                await until(begun.is_set)
                begun.clear()
                turned.set()

    asyncio.run(story())
    assert all(later[0] - earlier[1] >= earlier[1] - earlier[0] for earlier, later in zip(writes, writes[1:]))


def test_a_table_that_another_program_removes_is_written_again_soon(monkeypatch):
    """Protects services on a host whose firewall is loaded anew: the table alone is looked for far more often than
    everything is checked.
    """
    written, there = [], [True]

    def write(rules):
        written.append(rules)
        there[0] = True

    async def answer(_checks):
        pass

    monkeypatch.setattr(host_reconcile, "CHECK_INTERVAL", 600.0)
    monkeypatch.setattr(host_reconcile, "TABLE_INTERVAL", 0.02)

    async def story():
        async with running(monkeypatch, write, answer):
            monkeypatch.setattr(host_reconcile.nftables, "exists", lambda: there[0])
            await until(lambda: len(written) == 1)
            there[0] = False
            await until(lambda: len(written) == 2)

    asyncio.run(story())
    assert there == [True]


def test_who_follows_the_own_node_hears_of_each_change():
    """Protects the node's condition: a change of it that is none for services is heard too, and none of other nodes."""
    heard = []

    async def story():
        services = host_reconcile.HostServices("node1", (), None, {}, None, on_node_object=heard.append)
        for name, version in (("node1", "1"), ("node2", "1"), ("Node1", "2")):
            services.nodes._put({"metadata": {"name": name, "resourceVersion": version}})

    asyncio.run(story())
    assert [one["metadata"]["resourceVersion"] for one in heard] == ["1", "2"]
