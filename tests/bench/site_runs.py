# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Whole site runs on the lab's hosts, and verify after them: seconds and tasks at 1, 3 and 10 hosts.

Takes the lab down and up again: site_runs.py [HOSTS]...
"""

from __future__ import annotations

import concurrent.futures
import pathlib
import re
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from lab_hosts import INVENTORY, lab, on, play

PACKAGES = (
    "openvswitch-switch ovn-host ovn-central python3-openvswitch python3-pyroute2 python3-nftables python3-icmplib "
    "python3-systemd"
)
WARM = f"DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends {PACKAGES} >/dev/null"


def inventory(hosts, folder):
    """An inventory of so many hosts.

    The first one is the master and a node too; the second one, where there is one, is a gateway.
    """
    nodes = [f"ovn-node{number}" for number in range(1, hosts)]
    text = "ovn_masters: {hosts: {ovn-master: {}}}\n"
    text += "ovn_nodes: {hosts: {" + ", ".join(f"{name}: {{}}" for name in ["ovn-master", *nodes]) + "}}\n"
    if nodes:
        text += (
            "ovn_gateways: {hosts: {ovn-node1: {ovn_gateway_interface: eth1, ovn_gateway_ip: "
            "10.55.0.11/24, ovn_gateway_next_hop: 10.55.0.254}}}\n"
        )
    group_vars = pathlib.Path(folder) / "group_vars"
    group_vars.mkdir(exist_ok=True)
    variables = (INVENTORY / "group_vars" / "all.yml").read_text()
    (group_vars / "all.yml").write_text(
        re.sub("^lab_cache: .*", f"lab_cache: {INVENTORY.parents[1]}/.cache/lab", variables, flags=re.M)
    )
    path = pathlib.Path(folder) / "hosts.yml"
    path.write_text(text)
    return path, ["ovn-master", *nodes]


def measure(hosts):
    """Two runs on hosts that have the packages."""
    with tempfile.TemporaryDirectory() as folder:
        path, names = inventory(hosts, folder)
        lab("up", "--fresh", *names, limit=600)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: on(name, WARM, limit=600), names))
        for run in ("first", "second"):
            began = time.monotonic()
            done = play("site", only=[path], limit=1200).ok()
            seconds = time.monotonic() - began
            tasks = [int(ok) for ok in re.findall(r": ok=(\d+)", done.output)]
            changed = sum(done.changed.values())
            print(
                (
                    f"site run, {hosts:>2} hosts, {run:<6}: {seconds:6.1f} s; "
                    f"tasks per host {min(tasks)} to {max(tasks)}; changed {changed}"
                ),
                flush=True,
            )
        began = time.monotonic()
        play("verify", only=[path]).ok()
        print(f"verify,   {hosts:>2} hosts: {time.monotonic() - began:6.1f} s", flush=True)
        lab("down", *names)


if __name__ == "__main__":
    for count in [int(argument) for argument in sys.argv[1:]] or [1, 3, 10]:
        measure(count)
