# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What the alarm for ports at foreign chassis costs the egress program: processor seconds and memory of the first copy
of both databases, of a look at which nothing has changed, and of one after a chassis has changed.

Both databases are real ones. Arguments: chassis, of which each is a node and a gateway, and ports of pods.
"""

from __future__ import annotations

import argparse
import asyncio
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "tools"), str(ROOT / ".cache" / "collections")]

from database_server import Server
from northbound import Northbound, gateway_settings, node_settings
from northd import register

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.tasks import end
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.access import Access
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.binding_watch import Looks

BATCH = 500  # rows of one transaction


def memory(field="VmRSS"):
    """MiB that this process has, or ("VmHWM") has had at most (proc_pid_status(5))."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 2**10


def fill(southbound, chassis, ports):
    """Make chassis and bound ports, as ovn-northd and ovn-controllers do."""
    for number in range(chassis):
        address = f"172.16.{number // 250}.{number % 250 + 1}"
        register(southbound, f"3f2504e0-4f89-11d3-9a0c-0305e82c{number:04d}", f"node{number}", address)
    known = [row["_uuid"][1] for row in southbound.rows("Chassis")]
    datapath = {"op": "insert", "table": "Datapath_Binding", "row": {"tunnel_key": 1}}
    ((made,),) = (southbound.transact(datapath),)
    for begin in range(0, ports, BATCH):
        southbound.transact(
            *(
                {
                    "op": "insert",
                    "table": "Port_Binding",
                    "row": {
                        "logical_port": f"namespace-of-a-team_deployment-5d4f8c7b9-{number:05d}",
                        "datapath": ["uuid", made["uuid"][1]],
                        "tunnel_key": number + 1,
                        "chassis": ["uuid", known[number % chassis]],
                        "requested_chassis": ["uuid", known[number % chassis]],
                        "mac": f"0a:58:c0:a8:{number // 250 % 250:02x}:{number % 250:02x} 192.168.0.1",
                        "external_ids": ["map", [["namespace", "namespace-of-a-team"], ["pod", "true"]]],
                    },
                }
                for number in range(begin, min(begin + BATCH, ports))
            )
        )


async def measure(northbound, southbound):
    """Print all figures of this process."""
    before, began, used = memory(), time.monotonic(), time.process_time()
    looks = Looks(Access(northbound, None), Access(southbound, None))
    tasks = [asyncio.create_task(replica.run()) for replica in looks.replicas]
    for replica in looks.replicas:
        await replica.ready.wait()
    show("first copy", began, used)
    look("first look", looks)
    print(f"memory: {memory() - before:.1f} MiB more, {memory('VmHWM') - before:.1f} at most")
    look("nothing changed", looks)
    where = [["hostname", "==", "node0"]]
    await looks.replicas[1].transact(
        [{"op": "update", "table": "Chassis", "where": where, "row": {"hostname": "another"}}]
    )
    look("a chassis changed", looks)
    await end(tasks)


def look(what, looks):
    """Print what one look costs."""
    began, used = time.monotonic(), time.process_time()
    looks.look()
    show(what, began, used)


def show(what, began, used):
    """Print one figure."""
    print(f"{what}: {time.process_time() - used:.2f} s of a processor in {time.monotonic() - began:.2f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chassis", type=int, nargs="?", default=1000)
    parser.add_argument("ports", type=int, nargs="?", default=20000)
    parser.add_argument("--remotes", nargs=2, help="of databases that are there: measure")
    options = parser.parse_args()
    if options.remotes:
        asyncio.run(measure(*options.remotes))
        return
    print(f"bindings: {options.chassis} chassis, {options.ports} ports", flush=True)
    nb, southbound = Northbound(), Server("ovn-sb", "OVN_Southbound")
    try:
        numbers = range(1, options.chassis + 1)
        subnets = {number: f"10.{128 + number // 250}.{number % 250}.0/24" for number in numbers}
        outside = {number: f"172.20.{number // 250}.{number % 250 + 1}/16" for number in numbers}
        nb.master(
            cluster_ip_subnet=["10.128.0.0/9"],
            nodes=[node_settings(number, minion_switch_subnet=[subnets[number]]) for number in numbers],
            gateways=[
                gateway_settings(number, physical_ip=[outside[number]], default_gw=["172.20.255.254"])
                | {"physical_mac": f"52:54:00:00:{number // 250:02x}:{number % 250:02x}"}
                for number in numbers
            ],
        )
        fill(southbound, options.chassis, options.ports)
        # In a process of its own: this one has memory from which rows could come.
        command = [sys.executable, __file__, "--remotes", nb.remote, southbound.remote]
        subprocess.run(command, check=True, timeout=600)
    finally:
        nb.remove()
        southbound.remove()


if __name__ == "__main__":
    main()
