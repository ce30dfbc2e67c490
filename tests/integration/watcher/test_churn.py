# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What is left in memory of objects that came and went: nothing. tests/bench/churn.py measures the same in MiB.

The watcher runs inside the test here, with a real database, so that its objects can be counted. Events come from the
test, because 2,000 pods and services of a real API server take a minute.
"""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest
from northbound import Northbound

from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.settings import Settings
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import kubernetes_events
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.cluster import Cluster

ROUND = 100  # of each kind at one time
NODES = 2
# The loop and the log are not the watcher's: pytest keeps all lines of the log.
NOT_HELD = (type, str, bytes, asyncio.AbstractEventLoop, logging.Logger)


class Api:
    """An API server that takes everything and has nothing."""

    settings = Settings("http://127.0.0.1:1", service_subnets=("10.96.0.0/16",))
    server = settings.server

    async def get(self, path, **query):
        return {"metadata": {"resourceVersion": "1"}, "items": []}

    async def ready(self):
        return None

    async def patch(self, path, body):
        return {}

    create = patch


def objects(number):
    """(kind, object) of a pod, a service with its slice, and a node."""
    meta = {"namespace": "default", "resourceVersion": str(number)}
    spec = {"nodeName": f"node{number % NODES + 1}" if number % 5 else f"gone{number}", "containers": []}
    address = f"10.96.{number // 250 % 250}.{number % 250 + 1}"
    policy = "Local" if number % 2 else "Cluster"
    port = {"port": 80, "nodePort": 30000 + number % 2000, "protocol": "TCP"}
    endpoint = {"addresses": ["192.168.1.9"], "nodeName": "node1", "conditions": {"ready": True}}
    yield "pods", {"metadata": {**meta, "name": f"p{number}", "uid": f"u{number}"}, "spec": spec, "status": {}}
    yield (
        "services",
        {
            "metadata": {**meta, "name": f"s{number}"},
            "spec": {"type": "NodePort", "clusterIPs": [address], "ports": [port], "externalTrafficPolicy": policy},
        },
    )
    yield (
        "endpointslices",
        {
            "metadata": {**meta, "name": f"l{number}", "labels": {"kubernetes.io/service-name": f"s{number}"}},
            "addressType": "IPv4",
            "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
            "endpoints": [endpoint],
        },
    )
    host = {"type": "InternalIP", "address": f"10.9.{number // 250 % 250}.{number % 250 + 1}"}
    yield "nodes", {"metadata": {"name": f"gone{number}"}, "status": {"addresses": [host]}}


def held(root):
    """How many objects the watcher holds, and how many members all its containers have."""
    seen, rest, members = set(), [root], 0
    while rest:
        one = rest.pop()
        if id(one) in seen or isinstance(one, NOT_HELD) or callable(one):
            continue
        seen.add(id(one))
        if isinstance(one, (dict, list, set, tuple, frozenset)):
            members += len(one)
        if type(one).__module__ != "builtins" or isinstance(one, (dict, list, set, tuple, frozenset)):
            rest += gc.get_referents(one)
    return len(seen), members


async def churn(cluster, first, count, idle):
    """Let objects come and go."""
    for start in range(first, first + count, ROUND):
        made = [one for number in range(start, start + ROUND) for one in objects(number)]
        for event in ("ADDED", "DELETED"):
            for kind, body in made:
                cluster.informers[kind]._handle({"type": event, "object": body}, "1")
            while not idle():
                await asyncio.sleep(0.002)


@pytest.mark.parametrize("acts", [True, False], ids=["acts", "stands by"])
def test_nothing_is_left_of_what_came_and_went(acts, monkeypatch):
    """Protects a master's memory: after 2,000 pods, services, slices and nodes came and went the watcher holds as many
    objects as before, also one that stands by.
    """
    monkeypatch.setattr(kubernetes_events, "RATE", 1e6)
    nb = Northbound()
    nb.build(nodes=tuple(range(1, NODES + 1)), gateways=(1,))

    async def main():
        cluster = Cluster(Api(), nb.remote)
        engine = cluster.engine

        def idle():
            return not (engine.busy_since or len(cluster.pods.annotator) or len(cluster.events) or len(engine))

        tasks = [asyncio.create_task(work) for work in (cluster.replica.run(), engine.run())]
        await asyncio.wait_for(cluster.replica.ready.wait(), 20)
        for informer in cluster.informers.values():
            informer.synced.set()
            informer.current = True
        if acts:
            tasks.append(asyncio.create_task(cluster.leadership.run()))
            while not engine.active:
                await asyncio.sleep(0.002)
        await churn(cluster, 0, 2 * ROUND, idle)
        before = held(cluster)
        await churn(cluster, 2 * ROUND, 2000, idle)
        after = held(cluster)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert max(after[0] - before[0], after[1] - before[1]) < 100, (before, after)
        assert not engine.failing

    try:
        asyncio.run(asyncio.wait_for(main(), 120))
    finally:
        nb.remove()
