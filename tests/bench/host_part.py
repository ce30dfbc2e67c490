# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What the host part of a call costs: a real kernel, ovsdb-server and ovs-vswitchd in a network namespace.

ovs-vswitchd uses the userspace datapath.

Each line: median of the repetitions, in brackets the fastest and the slowest, and what it means.
"""

from __future__ import annotations

import os
import sys
import time

from calls import REPETITIONS, call, call_at_once, measured, show
from network_namespace import ip, load_nftables, namespace
from preloaded import start_anew
from vswitch import Vswitch

HERE = {"part": "host", "cluster_ip_subnet": ["192.168.0.0/16"], "node_name": "node1"}
NODE = dict(HERE, minion_switch_subnet=["192.168.1.0/24"], southbound="tcp:10.44.0.11:6642", datapath_type="netdev")
GATEWAY = dict(HERE, physical_interface="eth1", physical_ip=["10.55.0.12/24"], default_gw=["10.55.0.254"])
# The kept files of a process of its own are where this process has them.
PROLOGUE = """
import sys
sys.path.insert(0, {tools!r})
from network_namespace import load_nftables
load_nftables()
import importlib
for where, name, path in {kept!r}:
    setattr(importlib.import_module(where), name, path)
"""


def host():
    """A host's links as the lab has them: one that carries the tunnels, one for the outside."""
    for nic, address in (("eth0", "10.44.0.12/24"), ("eth1", "10.55.0.12/24")):
        ip(f"link add {nic} type veth peer name {nic}p")
        ip(f"link set {nic}p up")
        ip(f"link set {nic} up")
        ip(f"address add {address} dev {nic}")
    ip("route add default via 10.44.0.1")


def main():
    """Measure both modules that have a part on hosts."""
    print(__doc__.strip())
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the start")
    load_nftables()
    with namespace():
        host()
        vswitch = Vswitch()
        kept = []
        vswitch.keep_here(
            lambda module, name, path: (setattr(module, name, path), kept.append((module.__name__, name, path)))
        )
        prologue = PROLOGUE.format(
            tools=os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + "/tools", kept=kept
        )
        try:
            for module, options in (("ovn_minion_init", NODE), ("ovn_gateway", GATEWAY)):
                options = dict(options, open_vswitch=vswitch.remote)

                def run(module=module, **more):
                    return call(module, **dict(options, **more))

                def away(module=module):
                    return call(module, part="host", state="absent", node_name="node1", open_vswitch=vswitch.remote)

                show(
                    f"{module}, host, first",
                    measured(run, True, away, 7),
                    "inside the module; ovs-vswitchd making the ports is most of it",
                )
                began = time.process_time()
                times = measured(run, False, repetitions=REPETITIONS)
                used = (time.process_time() - began) * 1000 / REPETITIONS
                show(
                    f"{module}, host, unchanged",
                    times,
                    f"the same call again; {used:.1f} ms of processor time in the module; goal: below 150 ms",
                )
                times = measured(
                    lambda: call_at_once([(module, options)], prologue, start_anew)[0], False, repetitions=5
                )
                show(f"{module}, host, whole process", times, "unchanged, with the interpreter's start and all imports")
        finally:
            vswitch.remove()


if __name__ == "__main__":
    main()
