# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""How many flows a rule of a network policy is in br-int of a host with three pods that it is for, by its peers and
ports: real ovn-northd, ovn-controller and Open vSwitch, without hosts. With clusters of one IP version and of both.

Run it as root with `tests/bench/run policy_flows [PEERS [PORTS]]`: pods that the rule names, and ports of each of two
protocols.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [
    str(ROOT / ".cache" / "collections"),
    str(ROOT / "tests" / "tools"),
    str(ROOT / "tests" / "integration" / "policies"),
]

import network_namespace
from northbound import Northbound
from northd import Northd
from packets import Node
from policy_world import PolicyWorld

OWN = 3  # pods on the host


def ports(count, *protocols, width=0):
    """So many ports of each protocol, apart from each other; each as wide as a range of this many more."""
    return [
        {"protocol": protocol, "port": 1000 + 200 * one, **({"endPort": 1000 + 200 * one + width} if width else {})}
        for protocol in protocols
        for one in range(count)
    ]


async def measure(nb, northd, peers, count):
    """Print the flows of some rules."""
    async with PolicyWorld(nb) as world:
        world.namespace("a")
        world.namespace("b", team="b")
        for number in range(OWN):
            world.pod(f"a/p{number}", 1)
        for number in range(peers):
            world.pod(f"b/p{number}", 2, [("http", 8000 + number % 10)])
        await world.settled()
        node = Node(northd)
        try:
            for number in range(OWN):
                node.plug(world, f"a/p{number}")
            await asyncio.to_thread(northd.nbctl, "--wait=hv", "--timeout=300", "sync")
            before = node.flows()
            team = [{"namespaceSelector": {"matchLabels": {"team": "b"}}}]
            for label, spec in (
                ("no rule", None),
                ("no ports", {"to": team}),
                (f"{count} ports of TCP", {"to": team, "ports": ports(count, "TCP")}),
                (f"{count} ports each of TCP and UDP", {"to": team, "ports": ports(count, "TCP", "UDP")}),
                (f"{count} ranges of 100 ports", {"to": team, "ports": ports(count, "TCP", width=99)}),
                ("a named port with 10 numbers", {"to": team, "ports": [{"port": "http"}]}),
                (f"{count} ports each, everybody", {"ports": ports(count, "TCP", "UDP")}),
            ):
                started = time.perf_counter()
                world.policy("a/p", podSelector={}, policyTypes=["Egress"], egress=[] if spec is None else [spec])
                await world.settled()
                await asyncio.to_thread(northd.nbctl, "--wait=hv", "--timeout=300", "sync")
                seconds = time.perf_counter() - started
                print(
                    f"    {label}: {node.flows() - before} flows of {len(world.acls())} ACLs, after {seconds:.2f} s",
                    flush=True,
                )
        finally:
            node.remove()


def main():
    """Measure with databases of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peers", nargs="?", type=int, default=200)
    parser.add_argument("ports", nargs="?", type=int, default=50)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    for dual in (False, True):
        print(f"  {options.peers} peers, {'both IP versions' if dual else 'IPv4'}:", flush=True)
        with network_namespace.namespace():
            nb = Northbound()
            nb.build(nodes=(1, 2), gateways=(1,), dual=dual)
            northd = Northd(nb)
            try:
                asyncio.run(measure(nb, northd, options.peers, options.ports))
            finally:
                northd.remove()
                nb.remove()


if __name__ == "__main__":
    main()
