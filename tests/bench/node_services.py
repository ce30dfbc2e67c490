# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What services cost a node: memory of its server, a change's way to nftables, and what pods notice of many changes.

The server runs with nftables and with Open vSwitch's database of its own, in a network namespace on this machine; the
API server is a stand-in. By default there are 1,000 services with node ports, of two endpoints each.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
import threading
import time

from cni import show, timed, used

# isort: split
import network_namespace
from database_server import wait_for
from node_server import Node
from preloaded import start_anew

SINGLE, REST, STORM, PAUSE = 20, 0.5, 300, 0.01


def service(number, node_port):
    """A service with a node port."""
    return {
        "metadata": {"namespace": "ns", "name": f"s{number}"},
        "spec": {
            "type": "NodePort",
            "clusterIPs": [f"10.96.{number // 250}.{number % 250 + 1}"],
            "ports": [{"protocol": "TCP", "port": 80, "nodePort": node_port}],
        },
    }


def endpoints(number):
    """Its endpoint slice."""
    ready = [
        {
            "addresses": [f"192.168.{place}.{number % 250 + 3}"],
            "nodeName": f"node{place}",
            "conditions": {"ready": True},
        }
        for place in (1, 2)
    ]
    return {
        "metadata": {"namespace": "ns", "name": f"s{number}-1", "labels": {"kubernetes.io/service-name": f"s{number}"}},
        "addressType": "IPv4",
        "ports": [{"protocol": "TCP", "port": 8080}],
        "endpoints": ready,
    }


def written(node):
    """How often the server has written its table."""
    return node.text().count("services: ")


def measure(folder, count):
    """All figures."""
    node = Node(folder, vswitchd=False, start=start_anew)
    node.api.others = {
        "nodes": [
            {
                "metadata": {"name": f"node{place}"},
                "status": {"addresses": [{"type": "InternalIP", "address": f"10.0.0.{place}"}]},
            }
            for place in (1, 2)
        ]
    }
    try:
        node.start()
        wait_for(lambda: written(node), "the first table")
        print(f"  no service: {used(node.server)[1]:.1f} MiB", flush=True)
        node.stop()
        node.api.others |= {
            "services": [service(number, 30000 + number) for number in range(count)],
            "endpointslices": list(map(endpoints, range(count))),
        }
        began = time.perf_counter()
        node.start(wait=False)
        wait_for(lambda: f"services: {count} node ports" in node.text(), "the table", 60)
        print(
            (
                f"  {count} services: {used(node.server)[1]:.1f} MiB; "
                f"{time.perf_counter() - began:.2f} s from the start to their table"
            ),
            flush=True,
        )
        wait_for(node._serves, "the server to be ready")
        alone = [timed(node, "STATUS", container=None, ifname=None, version="1.1.0") for _time in range(SINGLE)]
        took, before = [], used(node.server)[0]
        for number in range(SINGLE):
            time.sleep(REST)
            tables, began = written(node), time.perf_counter()
            node.api.change("MODIFIED", service(number, 32000 + number), "services")
            while written(node) == tables:
                time.sleep(0.001)
            took.append(time.perf_counter() - began)
        cpu = (used(node.server)[0] - before) / SINGLE
        show("a service's change to nftables", took, f"{cpu * 1000:.0f} ms of processor time each")
        show("STATUS, idle", alone, "the plugin's way to the server and back")
        tables, before, began = written(node), used(node.server)[0], time.perf_counter()
        storm = threading.Thread(
            target=lambda: [
                (node.api.change("MODIFIED", service(number % count, 32100 + number), "services"), time.sleep(PAUSE))
                for number in range(STORM)
            ]
        )
        storm.start()
        beside = []
        while storm.is_alive():
            beside.append(timed(node, "STATUS", container=None, ifname=None, version="1.1.0"))
        lasted = time.perf_counter() - began
        show(
            f"STATUS, {STORM / lasted:.0f} changes a second",
            beside,
            f"{written(node) - tables} tables in {lasted:.1f} s, "
            f"{(used(node.server)[0] - before) / lasted * 100:.0f} % of a processor",
        )
        print(f"  afterwards: {used(node.server)[1]:.1f} MiB")
    finally:
        node.remove()


def main():
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("services", nargs="?", type=int, default=1000)
    print("A node's services: its server, nftables")
    with tempfile.TemporaryDirectory(prefix="ovn-bench-") as folder, network_namespace.namespace():
        measure(pathlib.Path(folder), parser.parse_args().services)


if __name__ == "__main__":
    main()
