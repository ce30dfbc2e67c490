# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What the watcher costs under the loads of the original's measurements, and what the API server takes in the same run.

Run it with `. tests/tools/activate; python tests/bench/watcher.py [pods]`. By default there are 5,000 pods in the large
load, and 10,000 for the restart.
"""

from __future__ import annotations

import asyncio
import functools
import json
import pathlib
import ssl
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".cache" / "collections"), str(ROOT / "tests" / "tools")]

import aiohttp
from database_server import wait_for
from kubernetes_server import Kubernetes
from northbound import Northbound, gateway_settings, node_settings
from preloaded import start_anew
from watcher_process import PROGRAM, Watcher

PODS, SERVICES, SLICES = (
    "/api/v1/namespaces/{}/pods",
    "/api/v1/namespaces/{}/services",
    "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
)
NODES = 45


def say(text):
    """A line at once."""
    print(text, flush=True)


def environment():
    """What the watcher's unit sets."""
    unit = ROOT / "roles" / "master" / "files" / "ovn-k8s-watcher.service"
    lines = [line.partition("=")[2] for line in unit.read_text().splitlines() if line.startswith("Environment=")]
    return dict(one.split("=") for line in lines for one in line.split())


class Load:
    """A bare client that makes many objects at once."""

    def __init__(self, api):
        self.api = api

    def run(self, work):
        """Run a coroutine function with a session; its result."""

        async def main():
            connector = aiohttp.TCPConnector(limit=32, ssl=ssl.create_default_context(cafile=str(self.api.ca_file)))
            async with aiohttp.ClientSession(
                self.api.url, connector=connector, headers={"Authorization": f"Bearer {self.api.admin}"}
            ) as session:
                return await work(session)

        return asyncio.run(main())

    @staticmethod
    async def all(requests):
        """Wait for many requests; :raises AssertionError: when one fails."""

        async def one(request):
            async with request as answer:
                text = await answer.text()
                assert answer.status < 300, text

        gate = asyncio.Semaphore(64)

        async def gated(request):
            async with gate:
                await one(request())

        await asyncio.gather(*(gated(request) for request in requests))

    def pods(self, namespace, count, first=0, nodes=NODES):
        """Make pods, spread over the nodes."""

        async def work(session):
            await self.all(
                [
                    lambda n=n: session.post(
                        PODS.format(namespace),
                        json={
                            "metadata": {"name": f"p{n}"},
                            "spec": {"nodeName": f"node{n % nodes + 1}", "containers": [{"name": "c", "image": "i"}]},
                        },
                    )
                    for n in range(first, first + count)
                ]
            )

        self.run(work)

    def services(self, namespace, count, kind="ClusterIP"):
        """Make services of four endpoints each."""

        async def work(session):
            await self.all(
                [
                    lambda n=n: session.post(
                        SERVICES.format(namespace),
                        json={"metadata": {"name": f"s{n}"}, "spec": {"type": kind, "ports": [{"port": 80}]}},
                    )
                    for n in range(count)
                ]
            )
            await self.all(
                [
                    lambda n=n: session.post(
                        SLICES.format(namespace),
                        json={
                            "metadata": {"name": f"s{n}-1", "labels": {"kubernetes.io/service-name": f"s{n}"}},
                            "addressType": "IPv4",
                            "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
                            "endpoints": [
                                {"addresses": [f"192.168.{e + 1}.{n % 200 + 3}"], "conditions": {"ready": True}}
                                for e in range(4)
                            ],
                        },
                    )
                    for n in range(count)
                ]
            )

        self.run(work)

    def patches(self, namespace, count):
        """Seconds that the API server itself takes for a merge patch of annotations.

        They are as long as those that a watcher writes.
        """
        notes = {
            "bare": '{"ip_address": "192.168.1.3/24", "mac_address": "0a:58:c0:a8:01:03", "gateway_ip": "192.168.1.1"}',
            "k8s.ovn.org/bare-networks": '{"default": {"ip_addresses": ["192.168.1.3/24"], "mac_address": '
            '"0a:58:c0:a8:01:03", '
            '"gateway_ips": ["192.168.1.1"], "ip_address": "192.168.1.3/24", "gateway_ip": "192.168.1.1"}}',
        }

        async def work(session):
            started = time.monotonic()
            await self.all(
                [
                    lambda n=n: session.patch(
                        f"{PODS.format(namespace)}/p{n}/status",
                        data=json.dumps({"metadata": {"annotations": notes}}),
                        headers={"Content-Type": "application/merge-patch+json"},
                    )
                    for n in range(count)
                ]
            )
            return (time.monotonic() - started) / count

        return self.run(work)

    def namespace(self, name):
        """Make a namespace."""
        self.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def annotated(self, namespace):
        """How many pods have their annotation."""
        return sum(
            "ovn" in (item["metadata"].get("annotations") or {}) for item in self.api.items(PODS.format(namespace))
        )

    def clear(self, namespace):
        """Delete the pods, services and slices of a namespace."""

        async def work(session):
            for path in (PODS, SERVICES, SLICES):
                items = self.api.items(path.format(namespace))
                await self.all(
                    [
                        lambda item=item, path=path: session.delete(
                            f"{path.format(namespace)}/{item['metadata']['name']}", json={"gracePeriodSeconds": 0}
                        )
                        for item in items
                    ]
                )

        self.run(work)


class Bench:
    """One cluster of nodes, one watcher at a time."""

    def __init__(self):
        self.api = Kubernetes()
        self.load = Load(self.api)
        self.nb = Northbound()
        self.nb.master(
            nodes=[node_settings(n, minion_switch_subnet=[f"192.168.{n}.0/24"]) for n in range(1, NODES + 1)],
            gateways=[gateway_settings(n) for n in (1, 2)],
        )
        start = functools.partial(start_anew, **environment())
        self.watcher = Watcher(self.nb.remote, self.api, start=start, program=PROGRAM)

    def start(self):
        """Start the watcher; seconds until it has nothing left to do."""
        started = time.monotonic()
        self.watcher.start()
        wait_for(self.watcher.idle, "the watcher to be idle", 120)
        return time.monotonic() - started

    def wait(self, annotations):
        """Wait until so many annotations are written and nothing is left to do.

        Each check costs the watcher a few milliseconds.
        """

        def done():
            figures = self.watcher.figures()
            if figures["ovn_k8s_watcher_annotations"] >= annotations and self.watcher.idle():
                return True
            time.sleep(0.02 if annotations - figures["ovn_k8s_watcher_annotations"] < 100 else 0.3)
            return False

        wait_for(done, "all to be done", 300)

    def burst(self, pods, services, label):
        """Into a running watcher."""
        namespace = self.load.namespace(f"burst-{pods}-{services}")
        cpu, done = self.watcher.cpu(), self.watcher.figure("ovn_k8s_watcher_annotations")
        started = time.monotonic()
        self.load.pods(namespace, pods)
        if services:
            self.load.services(namespace, services)
        made = time.monotonic() - started
        self.wait(done + pods)
        took = time.monotonic() - started
        say(
            f"{label}: {took:.2f} s from the first request on, of which creating them took {made:.2f} s: "
            f"{took - made:.2f} s beyond it; "
            f"watcher CPU {self.watcher.cpu() - cpu:.2f} s, memory {self.watcher.memory():.0f} MiB, "
            f"processes started {len(self.watcher.children())}"
        )
        return namespace

    def cold(self, pods, services, label, before=None):
        """They exist when the watcher starts."""
        self.watcher.kill()
        namespace = self.load.namespace(f"cold-{pods}-{services}")
        self.load.pods(namespace, pods)
        if services:
            self.load.services(namespace, services)
        if before:
            before(namespace)
        started = time.monotonic()
        self.watcher.start()
        ready = time.monotonic() - started
        self.wait(pods)
        took = time.monotonic() - started
        say(
            f"{label}: {took:.2f} s from the program's start on (of which {ready:.2f} s until it knew everything); "
            f"watcher CPU {self.watcher.cpu():.2f} s, memory {self.watcher.memory():.0f} MiB"
        )
        return namespace, took - ready

    def ratio(self, pods):
        """The rate of annotations beside what the API server takes."""
        bares, count = [], min(pods, 1000)
        namespace, took = self.cold(
            pods,
            0,
            f"{pods} pods that are there when it starts",
            lambda namespace: bares.append(self.load.patches(namespace, count)),
        )
        self.watcher.kill()
        bares.append(self.load.patches(namespace, count))
        bare = statistics.mean(bares)  # before and after: on a shared machine they differ
        say(
            f"  annotations {pods / took:.0f}/s; the API server takes {1 / bare:.0f}/s from a bare client: "
            f"ratio {bare * pods / took:.2f}"
        )
        self.start()

    def restart(self):
        """With nothing changed."""
        before = self.nb.everything()
        count = sum(
            len(informer)
            for informer in [
                self.nb.rows("Logical_Switch_Port", ["external_ids", "includes", ["map", [["pod", "true"]]]])
            ]
        )
        self.watcher.kill()
        took = self.start()
        same = self.nb.everything() == before
        say(
            f"restart with {count} pods, nothing changed: {took:.2f} s until it acts and is idle; "
            f"database untouched: {same}; "
            f"annotations written: {self.watcher.figure('ovn_k8s_watcher_annotations'):.0f}; "
            f"CPU {self.watcher.cpu():.2f} s, memory {self.watcher.memory():.0f} MiB"
        )

    def idle(self, count=20):
        """One pod in an idle cluster: from the event to the annotation, both as a watch of the API server sees them."""
        namespace = self.load.namespace("idle")
        path = PODS.format(namespace)

        async def work(session):
            times, seen = [], {}
            version = self.api.get(path)["metadata"]["resourceVersion"]
            async with session.get(path, params={"watch": "true", "resourceVersion": version}) as stream:
                for number in range(count):
                    await asyncio.sleep(0.1)
                    async with session.post(
                        path,
                        json={
                            "metadata": {"name": f"i{number}"},
                            "spec": {"nodeName": "node1", "containers": [{"name": "c", "image": "i"}]},
                        },
                    ) as answer:
                        assert answer.status == 201
                    while True:
                        event = json.loads(await stream.content.readline())
                        assert event["type"] != "ERROR", event
                        name, notes = (
                            event["object"]["metadata"]["name"],
                            event["object"]["metadata"].get("annotations") or {},
                        )
                        seen.setdefault(name, time.monotonic())
                        if name == f"i{number}" and "ovn" in notes:
                            times.append(time.monotonic() - seen[name])
                            break
            return times

        times = sorted(self.load.run(work))
        say(
            "one pod in an idle cluster, event to annotation: "
            f"median {statistics.median(times) * 1000:.1f} ms, slowest of {count} {times[-1] * 1000:.1f} ms"
        )
        cpu, started = self.watcher.cpu(), time.monotonic()
        time.sleep(5)
        say(f"idle CPU {(self.watcher.cpu() - cpu) / (time.monotonic() - started) * 100:.2f} %")

    def new_node(self, services, number):
        """What a new node costs beside so many services with node ports."""
        namespace = self.load.namespace(f"node-ports-{services}")
        self.load.services(namespace, services, "NodePort")
        wait_for(
            lambda: (
                len(
                    self.nb.rows(
                        "Load_Balancer", ["external_ids", "includes", ["map", [["k8s.ovn.org/kind", "Service"]]]]
                    )
                )
                >= 2 * services
            ),
            "the load balancers",
            120,
        )
        wait_for(self.watcher.idle, "the watcher to be idle", 120)
        before = len(self.nb.transactions())
        self.nb.call(
            "ovn_minion_init", **(node_settings(number) | {"minion_switch_subnet": [f"192.168.{number}.0/24"]})
        )
        started = time.monotonic()
        self.api.add_node(f"node{number}", f"10.0.0.{number}")
        wait_for(
            lambda: f"10.0.0.{number}" in str(self.nb.rows("Chassis_Template_Var", ["chassis", "==", f"id-{number}"])),
            "the node's variables",
            120,
        )
        took = time.monotonic() - started
        wait_for(self.watcher.idle, "the watcher to be idle", 120)
        count = len(self.nb.transactions()) - before - 1
        say(
            f"a new node beside {services} services with node ports: "
            f"{took * 1000:.0f} ms, {count} transactions of the watcher"
        )
        self.load.clear(namespace)

    def remove(self):
        """End all."""
        self.watcher.remove()
        self.api.remove()
        self.nb.remove()


def main():
    """Print the figures."""
    large = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    bench = Bench()
    try:
        say(
            f"empty cluster of {NODES} nodes: {bench.start():.2f} s from the program's start on; "
            f"memory {bench.watcher.memory():.0f} MiB"
        )
        first = bench.burst(200, 50, "200 pods and 50 services into a running watcher (original 15.2 s, 709 processes)")
        bench.idle()
        bench.restart()
        bench.load.clear(first)
        bench.new_node(10, NODES + 1)
        bench.new_node(1000, NODES + 2)
        bench.cold(200, 50, "200 pods and 50 services that are there when it starts (original 19.7 s)")
        bench.ratio(large)
        bench.burst(large, 0, f"{large} pods more into the running watcher")
        bench.restart()
    except BaseException:
        say(bench.watcher.text()[-3000:])
        raise
    finally:
        bench.remove()


if __name__ == "__main__":
    main()
