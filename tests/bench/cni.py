# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What a pod's interface costs: the CNI plugin and the node's server against a real Open vSwitch.

Open vSwitch runs in a network namespace on this machine. The API server and ovn-controller are stand-ins that answer
at once, so that only our programs and Open vSwitch are measured.
The original took 0.75 s for an ADD and 0.45 s for a DEL of a pod whose annotation was there.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [
    str(ROOT / "tests" / "tools"),
    str(ROOT / ".cache" / "collections"),
]

import network_namespace
from node_server import Netns, Node, answer, network, pod
from preloaded import start_anew

IDLE, BURST = 30, 100


def show(name, seconds, meaning):
    """One line: median, 99th percentile and the slowest."""
    ordered = sorted(seconds)
    middle, high = statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(
        f"  {name:<34} P50 {middle * 1000:7.1f} ms  P99 {high * 1000:7.1f} ms  (n={len(ordered)})  {meaning}",
        flush=True,
    )


def timed(node, *arguments, **more):
    """Seconds of one call, which must succeed."""
    began = time.perf_counter()
    code, result = node.cni(*arguments, **more)
    took = time.perf_counter() - began
    if code:
        sys.exit(f"bench: {result}")
    return took


def used(process):
    """(seconds of processor time, MiB of memory) of a process so far."""
    stat = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines())
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"), int(status["VmRSS"].split()[0]) / 1024


def burst(places, call):
    """Seconds of each of many calls that begin at once; ``call(number, place)`` starts one."""
    took, started = {}, threading.Barrier(len(places) + 1)

    def one(number, place):
        started.wait()
        began = time.perf_counter()
        code, result = answer(call(number, place))
        took[number] = time.perf_counter() - began
        if code:
            print(f"bench: {result}", file=sys.stderr)
            del took[number]

    threads = [threading.Thread(target=one, args=item) for item in enumerate(places)]
    for thread in threads:
        thread.start()
    started.wait()
    for thread in threads:
        thread.join()
    if len(took) != len(places):
        sys.exit("bench: not every ADD of the burst succeeded")
    return list(took.values())


def measure(folder):
    """All figures."""
    node = Node(folder, start=start_anew)
    places = []
    try:
        plugin = []
        for _time in range(IDLE):
            began = time.perf_counter()
            subprocess.run(["/usr/bin/perl", "-c", node.plugin], check=True, stderr=subprocess.DEVNULL)
            plugin.append(time.perf_counter() - began)
        show("interpreter with the plugin read", plugin, "part of every call below")
        node.start(patience=100)  # as on a host
        places = [Netns(folder / f"p{number}") for number in range(BURST)]
        for number in range(BURST):
            for name in ("i", "b"):
                node.api.change("ADDED", pod(f"{name}{number}", annotation=network(number + 10)))
        show(
            "STATUS",
            [timed(node, "STATUS", container=None, ifname=None, version="1.1.0") for _time in range(IDLE)],
            "the way to the server and back",
        )
        adds, deletes = [], []
        for number in range(IDLE):
            adds.append(timed(node, "ADD", container=f"i{number}", netns=places[number].path, name=f"i{number}"))
            deletes.append(timed(node, "DEL", container=f"i{number}", netns=places[number].path, name=f"i{number}"))
        show("ADD, idle", adds, "goal: under 60 ms; the original: 750 ms")
        show("DEL, idle", deletes, "the original: 450 ms")
        show(
            f"STATUS, {BURST} at once",
            burst(places, lambda number, place: node.call("STATUS", container=None, ifname=None, version="1.1.0")),
            "what this machine needs to start so many programs",
        )
        before, switch = used(node.server), used(node.database.daemon)
        began, children = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        took = burst(
            places, lambda number, place: node.call("ADD", container=f"b{number}", netns=place.path, name=f"b{number}")
        )
        whole, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        show(f"ADD, {BURST} at once", took, "goal: P99 under 1 s")
        plugins = now.ru_utime + now.ru_stime - children.ru_utime - children.ru_stime
        print(
            f"  the burst: {whole:.2f} s; processor time: server {used(node.server)[0] - before[0]:.2f} s, "
            f"plugins {plugins:.2f} s, "
            f"ovs-vswitchd {used(node.database.daemon)[0] - switch[0]:.2f} s"
        )
        node.stop()
        began = time.perf_counter()
        node.configuration.unlink()
        node.start()
        print(f"  restart with {BURST} pods until ready: {time.perf_counter() - began:.2f} s")
        time.sleep(3)  # what a start does after it is ready is not idle
        before, began = used(node.server), time.perf_counter()
        time.sleep(10)
        after = used(node.server)
        print(
            f"  idle with {BURST} pods: {after[1]:.1f} MiB, "
            f"{(after[0] - before[0]) / (time.perf_counter() - began) * 100:.2f} % of a processor"
        )
    finally:
        node.remove()
        for place in places:
            place.remove()


def main():
    """The program."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print("CNI: one node, Open vSwitch with the userspace datapath")
    with tempfile.TemporaryDirectory(prefix="ovn-bench-") as folder, network_namespace.namespace():
        measure(pathlib.Path(folder))


if __name__ == "__main__":
    main()
