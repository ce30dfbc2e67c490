# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What one event costs the watcher in a cluster of few nodes, and of many: seconds, processor time, bytes of the log.

The Northbound database is a real one. Events come from the program itself, and nobody answers for the API server: a
real one needs a minute to make 1,000 nodes. A service with `externalTrafficPolicy: Local` has an endpoint on each node.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "tools"), str(ROOT / ".cache" / "collections")]

from northbound import Northbound, gateway_settings, node_settings

from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.settings import Settings
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.cluster import Cluster

SLICE = 100  # endpoints in one slice, as Kubernetes makes them
META = {"namespace": "default", "resourceVersion": "1"}


class Api:
    """An API server that takes everything and has nothing."""

    settings = Settings("http://127.0.0.1:1", service_subnets=("10.96.0.0/16",))
    server = settings.server

    async def get(self, _path, **_query):
        """An empty list."""
        return {"metadata": {"resourceVersion": "1"}, "items": []}

    async def ready(self):
        """It can serve."""

    async def patch(self, _path, _body):
        """Take it."""

    create = patch


def node(number, *more):
    """A node."""
    own = (f"172.16.{number // 250}.{number % 250 + 1}", *more)
    return {
        "metadata": {"name": f"node{number}"},
        "status": {"addresses": [{"type": "InternalIP", "address": address} for address in own]},
    }


def service(port):
    """The service."""
    return {
        "metadata": {**META, "name": "web"},
        "spec": {
            "type": "NodePort",
            "clusterIPs": ["10.96.0.9"],
            "externalTrafficPolicy": "Local",
            "ports": [{"port": port, "nodePort": 30080, "protocol": "TCP"}],
        },
    }


def endpoints(number, nodes):
    """One of its slices."""
    return {
        "metadata": {**META, "name": f"web-{number}", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [f"10.{128 + one // 250}.{one % 250}.9"],
                "nodeName": f"node{one}",
                "conditions": {"ready": True},
            }
            for one in nodes
        ],
    }


async def measure(remote, count, log):
    """All figures of one cluster."""
    cluster = Cluster(Api(), remote)
    engine = cluster.engine

    def put(kind, body):
        cluster.informers[kind]._handle({"type": "MODIFIED", "object": body}, "1")

    async def work():
        longest, last = 0.0, time.monotonic()
        while not engine.active or engine.busy_since or len(engine):
            await asyncio.sleep(0.001)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        return longest

    tasks = [asyncio.create_task(one) for one in (cluster.replica.run(), engine.run())]
    await cluster.replica.ready.wait()
    for informer in cluster.informers.values():
        informer.synced.set()
        informer.current = True
    for number in range(1, count + 1):
        put("nodes", node(number))
    put("services", service(80))
    for first in range(1, count + 1, SLICE):
        put("endpointslices", endpoints(first, range(first, min(first + SLICE, count + 1))))
    tasks.append(asyncio.create_task(cluster.leadership.run()))
    await work()
    for what, kind, body in (
        ("a node has one more InternalIP", "nodes", node(7, "172.17.0.7")),
        ("a service with externalTrafficPolicy Local has another port", "services", service(81)),
        ("one of its endpoints goes", "endpointslices", endpoints(1, range(2, min(SLICE, count) + 1))),
    ):
        log.truncate(0)
        log.seek(0)
        began, cpu = time.monotonic(), time.process_time()
        put(kind, body)
        longest = await work()
        print(
            f"  {what}: {(time.monotonic() - began) * 1000:.0f} ms, processor time "
            f"{(time.process_time() - cpu) * 1000:.0f} ms, others wait for {longest * 1000:.0f} ms at most, "
            f"log {len(log.getvalue())} bytes",
            flush=True,
        )
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main():
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("nodes", nargs="*", type=int, default=[10, 1000])
    log = io.StringIO()
    logging.basicConfig(stream=log, level=logging.INFO)
    for count in parser.parse_args().nodes:
        print(f"events: {count} nodes")
        nb = Northbound()
        try:
            subnets = [f"10.{128 + number // 250}.{number % 250}.0/24" for number in range(1, count + 1)]
            nodes = [
                node_settings(number) | {"minion_switch_subnet": [subnet]} for number, subnet in enumerate(subnets, 1)
            ]
            nb.master(
                cluster_ip_subnet=["10.128.0.0/9"], nodes=nodes, gateways=[gateway_settings(one) for one in (1, 2)]
            )
            asyncio.run(measure(nb.remote, count, log))
        finally:
            nb.remove()


if __name__ == "__main__":
    main()
