# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What calls of the modules cost against a real ovsdb-server on this machine: their Northbound part, without a host.

Each line: median of the repetitions, in brackets the fastest and the slowest, and what it means.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "tools"), str(ROOT / ".cache" / "collections")]

from module_calls import call, call_at_once
from northbound import Northbound, gateway_settings
from preloaded import start_anew

REPETITIONS = 15
WIDE = ["10.0.0.0/8"]  # a pods' network with room for 1,000 nodes
SIZES = (10, 100, 1000)
GATEWAY = dict(gateway_settings(1), physical_ip=["172.16.0.1/24"], default_gw=["172.16.0.254"])


def node(number):
    """Settings of a node in the wide network."""
    return {
        "node_name": f"node{number}",
        "minion_switch_subnet": [f"10.{number // 250}.{number % 250}.0/24"],
        "chassis": f"id-{number}",
    }


def timed(work):
    """Seconds that a call takes, which must succeed, and its result."""
    started = time.perf_counter()
    result = work()
    took = time.perf_counter() - started
    if result.get("failed"):
        sys.exit("bench: " + result["msg"])
    return took, result


def measured(work, changed, before=None, repetitions=REPETITIONS):
    """Times of repeated calls; ``before`` is what puts things back between them, and is not counted."""
    times = []
    for _repetition in range(repetitions):
        if before:
            before()
        took, result = timed(work)
        if result["changed"] != changed:
            sys.exit(f"bench: the call should say changed={changed}: {result['plan'][:3]}")
        times.append(took)
    return times


def show(name, times, meaning):
    """One line."""
    middle = statistics.median(times) * 1000
    print(
        (
            f"  {name:<34} {middle:9.1f} ms  ({min(times) * 1000:.1f} .. {max(times) * 1000:.1f}, "
            f"n={len(times)})  {meaning}"
        ),
        flush=True,
    )


def json_parser():
    """Which parser the library ovs has here: distributions build it with the fast one."""
    try:
        import ovs._json  # noqa: F401
    except ImportError:
        return "pure Python"
    return "C"


class Wide(Northbound):
    """A database whose cluster has the wide network."""

    def run(self, module, **options):
        """One call inside this process."""
        return call(
            module, **dict({"part": "northbound", "northbound": self.remote, "cluster_ip_subnet": WIDE}, **options)
        )


def one_call(nb):
    """Cluster, node and gateway: the first call and a second one; inside the module, and as a process."""
    calls = {
        "ovn_master_init": ({}, lambda: nb.run("ovn_master_init", state="absent")),
        "ovn_minion_init": (node(1), lambda: nb.run("ovn_minion_init", state="absent", node_name="node1")),
        "ovn_gateway": (GATEWAY, lambda: nb.run("ovn_gateway", state="absent", node_name="node1")),
    }
    nb.run("ovn_master_init")
    for module, (options, away) in calls.items():
        show(
            f"{module}, first",
            measured(lambda: nb.run(module, **options), True, away),
            "inside the module: from its arguments to its result",
        )
        show(f"{module}, unchanged", measured(lambda: nb.run(module, **options), False), "the same call again")
    for module, (options, _away) in calls.items():
        arguments = dict({"part": "northbound", "northbound": nb.remote, "cluster_ip_subnet": WIDE}, **options)
        times = measured(lambda: call_at_once([(module, arguments)], start=start_anew)[0], False, repetitions=5)
        show(
            f"{module}, whole process",
            times,
            "unchanged, with the interpreter's start and all imports (most of it Ansible's)",
        )
    empty = [sys.executable, "-c", "import ansible.module_utils.basic"]
    times = [
        timed(lambda: {"rc": subprocess.run(empty, check=True, timeout=60).returncode})[0] for _repetition in range(5)
    ]
    show("(a module that does nothing)", times, "interpreter and Ansible alone, for comparison")


def whole_cluster(nb):
    """50 nodes and 5 gateways in one call."""
    settings = {
        "nodes": [node(number) for number in range(50)],
        "gateways": [
            gateway_settings(number, physical_ip=[f"172.16.0.{number}/24"], default_gw=["172.16.0.254"])
            for number in range(1, 6)
        ],
    }
    nb.run("ovn_master_init")

    def away():
        nb.run("ovn_master_init", state="absent")

    written = len(nb.transactions())
    _took, result = timed(lambda: nb.run("ovn_master_init", **settings))
    if len(nb.transactions()) != written + 1:
        sys.exit("bench: it took more than one transaction")
    print(f"  50 nodes and 5 gateways are {len(result['plan'])} rows in one transaction")
    show(
        "50 nodes + 5 gateways, first",
        measured(lambda: nb.run("ovn_master_init", **settings), True, away, 7),
        "all rows of an empty database at once",
    )
    show(
        "50 nodes + 5 gateways, unchanged",
        measured(lambda: nb.run("ovn_master_init", **settings), False, repetitions=7),
        "the same call again",
    )
    show(
        "50 nodes + 5 gateways, removed",
        measured(
            lambda: nb.run("ovn_master_init", state="absent"), True, lambda: nb.run("ovn_master_init", **settings), 7
        ),
        "state=absent for everything",
    )


def server_seconds(nb):
    """Processor time that the server has used so far (proc(5), stat)."""
    fields = (pathlib.Path("/proc") / str(nb.process.pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processor_time(nb, work, calls=200):
    """Where a call's processor time goes: milliseconds in the module, and in the server."""
    module, server = time.process_time(), server_seconds(nb)
    for _call in range(calls):
        work()
    return (time.process_time() - module) * 1000 / calls, (server_seconds(nb) - server) * 1000 / calls


def scale(nb):
    """The cost of a call in clusters of 10, 100 and 1,000 nodes, each in a server of its own, measured in turn."""
    servers = {SIZES[0]: nb}
    try:
        servers.update((size, Wide()) for size in SIZES[1:])
        for size, server in servers.items():
            for start in range(0, size, 200):
                timed(
                    lambda: server.run(
                        "ovn_master_init",
                        nodes=[node(number) for number in range(start, min(start + 200, size))],
                    )
                )
            timed(lambda: server.run("ovn_gateway", **GATEWAY))
        new = node(2000)
        ways = {
            "unchanged node": (
                lambda server, _size: server.run("ovn_minion_init", **node(5)),
                None,
                60,
                "must not grow with the number of other nodes",
            ),
            "unchanged gateway": (lambda server, _size: server.run("ovn_gateway", **GATEWAY), None, 60, "neither"),
            "new node": (
                lambda server, _size: server.run("ovn_minion_init", **new),
                lambda server: server.run("ovn_minion_init", state="absent", node_name="node2000"),
                REPETITIONS,
                "asks for all nodes' subnets, so that none is given twice",
            ),
            "batch of all, unchanged": (
                lambda server, size: server.run("ovn_master_init", nodes=[node(number) for number in range(size)]),
                None,
                5,
                "the site play's one call for the whole cluster",
            ),
        }
        for name, way in ways.items():
            _grows(name, servers, *way)
        for size, server in servers.items():
            module, used = processor_time(server, lambda: server.run("ovn_minion_init", **node(5)))
            print(
                f"  unchanged node, {size} nodes: processor time {module:.1f} ms in the module, "
                f"{used:.1f} ms in ovsdb-server"
            )
    finally:
        for size in SIZES[1:]:
            if size in servers:
                servers[size].remove()


def _grows(name, servers, work, away, repetitions, meaning):
    """One kind of call at all sizes: in turn, so that whatever else the machine does meets all of them."""
    times = {size: [] for size in servers}
    for _repetition in range(repetitions):
        for size, server in servers.items():
            times[size] += measured(lambda: work(server, size), away is not None, away and (lambda: away(server)), 1)
    for size, those in times.items():
        show(f"{name}, {size} nodes", those, meaning)
    few, many = times[SIZES[0]], times[SIZES[-1]]
    middle, fastest = (pick(many) / pick(few) for pick in (statistics.median, min))
    print(
        f"  {name}: {SIZES[-1]} nodes cost {middle:.2f} times what {SIZES[0]} nodes cost (of the fastest calls "
        f"{fastest:.2f} times)"
    )


MEASUREMENTS = {"one-call": one_call, "whole-cluster": whole_cluster, "scale": scale}


def main():
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="what to measure: {} (default: all)".format(", ".join(MEASUREMENTS))
    )
    parser.add_argument("--list", action="store_true", help="show the names and end")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(MEASUREMENTS))
    if unknown:
        parser.error("nothing is called {}; there are: {}".format(", ".join(unknown), ", ".join(MEASUREMENTS)))
    if options.list:
        print("\n".join(f"{name}: {work.__doc__.splitlines()[0]}" for name, work in MEASUREMENTS.items()))
        return
    print(__doc__.strip())
    print(
        f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the start, "
        f"JSON parser of the library ovs: {json_parser()}"
    )
    for name in options.names or MEASUREMENTS:
        print(f"{name}: {MEASUREMENTS[name].__doc__.splitlines()[0]}")
        nb = Wide()
        try:
            MEASUREMENTS[name](nb)
        finally:
            nb.remove()


if __name__ == "__main__":
    main()
