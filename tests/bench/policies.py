# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What network policies cost the watcher: the time from an object's event to its rows in the Northbound database, and
how much of it is planning, with 1 policy and with 1,000, among 5,000 pods on 45 nodes.

Run it with `tests/bench/run policies [PODS [POLICIES]]`. There is no API server: the watcher's objects are in this
process, beside a real database. With `--northd` each change is also followed until the real ovn-northd has it in the
Southbound database. `--hostile` measures something else: how long a pod of somebody else waits for its port while users
make what costs most.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".cache" / "collections"), str(ROOT / "tests" / "tools")]

from northbound import Northbound, gateway_settings, node_settings
from northd import Northd
from policy_world import PolicyWorld

PORTS = [{"port": 443}, {"port": 30000, "endPort": 30999}, {"protocol": "UDP", "port": 53}]
NUMBERS, NAMED = 40, 300  # of a named port among all pods: more than are served; policies that have the name
NODES, NAMESPACES, APPS, TIMES = 45, 50, 20, 20


def policy(number):
    """The spec of a policy, each with a peer selector and a port of its own, beside others of two protocols."""
    peers = [
        {"podSelector": {"matchLabels": {"app": f"app{number % APPS}"}}},
        {
            "namespaceSelector": {"matchLabels": {"team": f"t{number % 10}"}},
            "podSelector": {"matchLabels": {"n": str(number)}},
        },
    ]
    return {
        "podSelector": {"matchLabels": {"app": f"app{(number + 1) % APPS}"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": peers, "ports": [{"port": 1000 + number}, *PORTS]}],
        "egress": [
            {"to": peers},
            {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": [f"10.{number % 250}.0.0/16"]}}]},
        ],
    }


class Bench:
    """One world, and what its changes cost."""

    def __init__(self, world, northd):
        self.world, self.northd = world, northd
        self.planned = 0.0
        engine = world.cluster.engine
        plan = engine._plan

        def timed(key):
            started = time.perf_counter()
            try:
                return plan(key)
            finally:
                self.planned += time.perf_counter() - started

        engine._plan = timed

    async def cost(self, change):
        """Seconds until the rows of a change are written, and how many of them were spent on the event and on plans."""
        self.planned = 0.0
        started = time.perf_counter()
        change()
        self.planned += time.perf_counter() - started
        await self.world.settled()
        return time.perf_counter() - started, self.planned

    async def show(self, label, changes):
        """Print the median of some changes."""
        costs, sums = [], []
        for change in changes:
            costs.append(await self.cost(change))
            if self.northd is not None:
                started = time.perf_counter()
                await asyncio.to_thread(self.northd.sync)
                sums.append(time.perf_counter() - started)
        written, planned = (statistics.median(one) for one in zip(*costs))
        behind = f", ovn-northd {statistics.median(sums):.2f} s more" if sums else ""
        print(f"    {label}: {written * 1e3:.1f} ms, of them planning {planned * 1e3:.2f} ms{behind}", flush=True)


async def measure(nb, northd, pods, policies):
    """All figures."""
    async with PolicyWorld(nb) as world:
        bench = Bench(world, northd)
        for number in range(NAMESPACES):
            world.namespace(f"ns{number}", team=f"t{number % 10}")

        def pod(number, **labels):
            key = f"ns{number % NAMESPACES}/p{number}"
            named = [("http", 8000 + number % NUMBERS)]
            world.pod(key, number % NODES + 1, named, app=f"app{number % APPS}", n=str(number % 1000), **labels)

        def some(count):
            for number in range(count):
                pod(number)

        seconds, _planned = await bench.cost(lambda: some(pods))
        print(f"  {pods} pods without policies: {seconds:.1f} s", flush=True)
        have = 0
        for count in (1, policies):

            def make(first=have, last=count):
                for number in range(first, last):
                    world.policy(f"ns{number % NAMESPACES}/n{number}", **policy(number))

            seconds, planned = await bench.cost(make)
            rows = {one: len(world.cluster.replica.rows[one]) for one in ("ACL", "Port_Group", "Address_Set")}
            print(f"  {count} policies: {seconds:.2f} s until written, planning {planned:.2f} s; {rows}", flush=True)
            if northd is not None:
                started = time.perf_counter()
                await asyncio.to_thread(northd.sync)
                print(f"    ovn-northd has them after {time.perf_counter() - started:.1f} s more", flush=True)
            have = count
            every = range(pods // TIMES, pods, pods // TIMES)
            await bench.show("a new pod", [lambda n=n: pod(pods + count * 100 + n) for n in range(TIMES)])
            await bench.show("a pod with another label", [lambda n=n: pod(n, app2="x", tier=str(count)) for n in every])

            def moved(number):
                key = f"ns{number % NAMESPACES}/p{number}"
                named = [("http", 8000 + number % NUMBERS)]
                world.pod(key, number % NODES + 1, named, app=f"app{(number + 1 + count) % APPS}", n=str(number % 1000))

            await bench.show("a pod that changes its groups", [lambda n=n: moved(n) for n in every])
            await bench.show(
                "a namespace with another label",
                [lambda n=n: world.namespace(f"ns{n}", team=f"t{(n + 1 + count) % 10}") for n in range(TIMES)],
            )
            await bench.show(
                "a new policy",
                [lambda n=n: world.policy(f"ns{n}/new{count}", **policy(5000 + n)) for n in range(TIMES)],
            )
            await bench.show(
                "a policy that goes",
                [lambda n=n: world.delete("networkpolicies", f"ns{n}/new{count}") for n in range(TIMES)],
            )
            started = time.perf_counter()
            world.cluster.policies.begin()
            at_once = time.perf_counter() - started
            seconds, planned = await bench.cost(world.begin)
            print(
                f"    a watcher that begins: {seconds:.2f} s, of them planning {planned:.2f} s, and {at_once:.2f} s "
                "for a look at all policies at once",
                flush=True,
            )
        await named(world, bench, pod, 2 * pods)


async def named(world, bench, pod, first):
    """What policies cost that have a port's name in common, for which all pods have more numbers than are served.

    :param first: a number that no pod has yet.
    """

    def make():
        for number in range(NAMED):
            rule = {"ports": [{"port": "http"}]}
            key = f"ns{number % NAMESPACES}/named{number}"
            world.policy(key, podSelector={}, policyTypes=["Egress"], egress=[rule])

    seconds, planned = await bench.cost(make)
    print(f"  {NAMED} policies with a named port: {seconds:.2f} s until written, planning {planned:.2f} s", flush=True)
    known = [NUMBERS * (first + n) for n in range(TIMES)]
    await bench.show("a new pod, whose number is served", [lambda n=n: pod(n) for n in known])
    await bench.show("a new pod, whose number has no room", [lambda n=n: pod(n + NUMBERS - 1) for n in known])


KINDS = ("NetworkPolicy", "PolicyPods", "PolicyPeers")
TURN = 0.01  # seconds between two looks at whether the loop still turns


class Others:
    """Somebody else, whose pods come while hostile objects do."""

    def __init__(self, world):
        self.world, self.count, self.longest = world, 0, 0.0

    async def turn(self):
        """Note the longest time for which nothing else could be done, for ever."""
        last = time.perf_counter()
        while True:
            await asyncio.sleep(TURN)
            now = time.perf_counter()
            self.longest = max(self.longest, now - last - TURN)
            last = now

    async def wait(self):
        """Seconds until a new pod has its port."""
        self.count += 1
        key, started = f"good/p{self.count}", time.perf_counter()
        self.world.pod(key, self.count % NODES + 1)
        while self.world.port(key) is None:
            await asyncio.sleep(0.001)
        return time.perf_counter() - started

    async def show(self, label, change):
        """Print how long they wait during a change, one pod after the other."""
        self.longest, started = 0.0, time.perf_counter()
        change()
        at_once = time.perf_counter() - started
        waits = [await self.wait()]
        engine = self.world.cluster.engine
        own = 5  # keys that these pods mark themselves
        while len(engine) > own or any(engine._marked[kind] for kind in KINDS):
            waits.append(await self.wait())
        lasted = time.perf_counter() - started
        print(
            f"  {label}: {lasted:.1f} s; the event {at_once:.2f} s, others wait {max(waits):.2f} s at most "
            f"({len(waits)} pods), the loop stood for {self.longest:.2f} s",
            flush=True,
        )


def hostile_policies():
    """What costs most, as label -> spec."""
    names = [f"p{number}" for number in range(10)]
    every = [{"matchExpressions": [{"key": f"no{n}", "operator": "DoesNotExist"}]} for n in range(100)]
    peers = [{"namespaceSelector": {}, "podSelector": one} for one in every]
    blocks = [
        {
            "ipBlock": {
                "cidr": f"10.{n >> 4}.{(n & 15) * 16}.0/20",
                "except": [f"10.{n >> 4}.{(n & 15) * 16}.{m}/32" for m in (7, 99)],
            }
        }
        for n in range(1000)
    ]
    ports = [{"port": name} for name in names]
    rules = [{"from": [peers[n % 100]], "ports": [{"port": n % 60_000 + 1}]} for n in range(10_000)]
    return {
        "100 peers that select all pods, 10 names of ports": {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [{"to": peers, "ports": ports}],
        },
        "10,000 rules": {"podSelector": {}, "ingress": rules},
        "1,000 ipBlocks with exceptions, in 4 rules": {
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [{"to": blocks[n::4], "ports": [{"port": n + 1}]} for n in range(4)],
        },
    }


async def measure_hostile(nb, pods):
    """How long others wait for each."""
    async with PolicyWorld(nb) as world:
        for number in range(NAMESPACES):
            world.namespace(f"ns{number}", team=f"t{number % 10}")
        world.namespace("good")

        def pod(number, **labels):
            ports = [(f"p{one}", 1024 + (number + one) % 5000) for one in range(10)]
            world.pod(f"ns{number % NAMESPACES}/p{number}", number % NODES + 1, ports, app="x", **labels)

        for number in range(pods):
            pod(number)
        await world.settled()
        others = Others(world)
        turning = asyncio.create_task(others.turn())
        try:
            print(f"  among {pods} pods:", flush=True)
            await others.show("nothing", lambda: None)
            for label, spec in hostile_policies().items():
                await others.show(label, lambda spec=spec: world.policy("ns1/hostile", **spec))
                await others.show("it goes", lambda: world.delete("networkpolicies", "ns1/hostile"))
            for count in range(4):
                world.policy(
                    f"ns{count}/team",
                    podSelector={"matchLabels": {"tier": f"t{count}"}},
                    ingress=[
                        {"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"tier": f"t{count}"}}}]}
                    ],
                )
            await world.settled()
            await others.show("all pods get other labels", lambda: [pod(n, tier=f"t{n % 4}") for n in range(pods)])
            began = time.perf_counter()
            world.cluster.policies.begin()
            print(f"  a watcher that begins: {time.perf_counter() - began:.3f} s at once", flush=True)
            await world.settled()
        finally:
            turning.cancel()


def main():
    """Measure with a database of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pods", nargs="?", type=int, default=5000)
    parser.add_argument("policies", nargs="?", type=int, default=1000)
    parser.add_argument("--northd", action="store_true")
    parser.add_argument("--hostile", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    nb = Northbound()
    northd = None
    try:
        nodes = [node_settings(n, minion_switch_subnet=[f"192.168.{n}.0/24"]) for n in range(1, NODES + 1)]
        nb.master(nodes=nodes, gateways=[gateway_settings(1)])
        northd = Northd(nb) if options.northd else None
        if options.hostile:
            asyncio.run(measure_hostile(nb, options.pods))
        else:
            asyncio.run(measure(nb, northd, options.pods, options.policies))
    finally:
        if northd is not None:
            northd.remove()
        nb.remove()


if __name__ == "__main__":
    main()
