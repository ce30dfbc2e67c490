# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""How long a network policy takes until it is in force on the chassis of its pods, with 1 policy and with 1,000, among
5,000 pods on 45 nodes: P50 and P99, and which part of it is the watcher's, ovn-northd's and the chassis'.

Run it as root with `tests/bench/run enforcement [PODS [POLICIES [TIMES]]]`. The watcher's objects are in this process;
the Northbound database, ovn-northd, and node 1's ovn-controller and Open vSwitch (userspace datapath, 20 pods plugged
in) are real, the other nodes have no chassis. It is measured as the watcher does, by nb_cfg, but of each policy.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import os
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [
    str(ROOT / ".cache" / "collections"),
    str(ROOT / "tests" / "tools"),
    str(ROOT / "tests" / "bench"),
    str(ROOT / "tests" / "integration" / "policies"),
]

import network_namespace
from northbound import Northbound, gateway_settings, node_settings
from northd import Northd
from packets import Node
from policies import APPS, NAMESPACES, NODES, policy
from policy_world import PolicyWorld

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import enforcement

PLUGGED = 20  # pods of node 1
PATIENCE = 120.0  # seconds for one policy
PARTS = {
    "policy_in_force": "in force",
    "policy": "watcher",
    "policy_northd": "ovn-northd",
    "policy_chassis": "ovn-controller",
}
TICK = os.sysconf("SC_CLK_TCK")


def percentile(values, part):
    """The smallest value that so many of them do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def seconds_of(pid):
    """The processor seconds of a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Bench:
    """One world, and what its policies take."""

    def __init__(self, northd):
        self.northd, self.seen = northd, {}
        self._measured = asyncio.Event()
        self.world = self.node = None
        self.plugged = 0

    def observe(self, what, seconds):
        """Take in what the watcher has measured."""
        self.seen.setdefault(what, []).append(seconds)
        if what == "policy_chassis":
            self._measured.set()

    def processors(self):
        """Program -> its processor seconds."""
        pids = {
            "ovn-northd": self.northd.pid,
            "ovn-controller": self.node.controller.pid,
            "ovs-vswitchd": self.node.vswitch.daemon.pid,
        }
        return {name: seconds_of(pid) for name, pid in pids.items()}

    async def change(self, work):
        """Change something, and wait until it is in force."""
        self._measured.clear()
        work()
        await asyncio.wait_for(self._measured.wait(), PATIENCE)
        await self.world.settled()

    async def in_force(self):
        """Wait until everything is in force."""
        await self.world.settled()
        await asyncio.to_thread(self.northd.nbctl, "--wait=hv", "--timeout=600", "sync")

    async def show(self, times):
        """Print what new policies for pods of node 1 take, one after the other."""
        self.seen.clear()
        before = self.processors()
        keys = []
        for number in range(times):
            pod = number % self.plugged * NODES
            selected = {"host": "1", "app": f"app{pod % APPS}"}
            spec = {**policy(7000 + number), "podSelector": {"matchLabels": selected}}
            key = f"ns{pod % NAMESPACES}/new{number}"
            keys.append(key)
            await self.change(lambda key=key, spec=spec: self.world.policy(key, **spec))
        used = {name: seconds - before[name] for name, seconds in self.processors().items()}
        for what, words in PARTS.items():
            values = self.seen[what]
            p50, p99 = (percentile(values, part) * 1e3 for part in (0.5, 0.99))
            print(f"    {words}: P50 {p50:.0f} ms, P99 {p99:.0f} ms ({len(values)} policies)", flush=True)
        told = ", ".join(f"{name} {seconds / times * 1e3:.0f} ms" for name, seconds in used.items())
        print(f"    processor time of each: {told}", flush=True)
        for key in keys:
            self.world.delete("networkpolicies", key)
        await self.in_force()


def many(world, pods):
    """Make namespaces and pods; pods of node 1 have a label that says so."""
    for number in range(NAMESPACES):
        world.namespace(f"ns{number}", team=f"t{number % 10}")
    for number in range(pods):
        labels = {"app": f"app{number % APPS}", "n": str(number % 1000), "host": str(number % NODES + 1)}
        world.pod(f"ns{number % NAMESPACES}/p{number}", number % NODES + 1, **labels)


async def measure(nb, northd, pods, policies, times):
    """All figures."""
    bench = Bench(northd)
    async with PolicyWorld(nb, northd.southbound.remote, bench.observe) as world:
        bench.world = world
        many(world, pods)
        await world.settled()
        await asyncio.to_thread(northd.sync)
        bench.node = Node(northd)
        try:
            for number in range(0, min(pods, PLUGGED * NODES), NODES):
                await asyncio.to_thread(bench.node.plug, world, f"ns{number % NAMESPACES}/p{number}")
                bench.plugged += 1
            have = 0
            for count in (1, policies):
                before, started = bench.processors(), time.monotonic()
                for number in range(have, count):
                    world.policy(f"ns{number % NAMESPACES}/n{number}", **policy(number))
                await world.settled()
                written = time.monotonic() - started
                await bench.in_force()
                whole = time.monotonic() - started
                used = {name: seconds - before[name] for name, seconds in bench.processors().items()}
                told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in used.items())
                print(f"  {count} policies, {pods} pods: {count - have} at once are written after {written:.1f} s and")
                print(f"    in force after {whole:.1f} s; processor time: {told}", flush=True)
                have = count
                await bench.show(times)
        finally:
            bench.node.remove()


def main():
    """Measure with databases of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pods", nargs="?", type=int, default=5000)
    parser.add_argument("policies", nargs="?", type=int, default=1000)
    parser.add_argument("times", nargs="?", type=int, default=100)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    enforcement.SHORTEST, enforcement.WRITES = 0.0, 1_000_000
    with network_namespace.namespace():
        nb, northd = Northbound(), None
        try:
            nodes = [node_settings(n, minion_switch_subnet=[f"192.168.{n}.0/24"]) for n in range(1, NODES + 1)]
            nb.master(nodes=nodes, gateways=[gateway_settings(1)])
            northd = Northd(nb)
            asyncio.run(measure(nb, northd, options.pods, options.policies, options.times))
        finally:
            if northd is not None:
                northd.remove()
            nb.remove()


if __name__ == "__main__":
    main()
