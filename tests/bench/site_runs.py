# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Whole site runs on the lab's hosts, and verify after them, at 1, 3 and 10 hosts (at most 60), beside a play with one
empty task.

For each run seconds, tasks of a host, forks of the controller, core-seconds of controller and hosts; for the unchanged
run also what each kind of task costs. Ansible is started as users start it. Takes these hosts of the lab down and up
again: site_runs.py [HOSTS]...
"""

from __future__ import annotations

import collections
import concurrent.futures
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from lab_hosts import INVENTORY, lab, on

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


EMPTY = """
- {name: Nothing, hosts: "ovn_masters:ovn_nodes", gather_facts: false, tasks: [{name: Nothing, ansible.builtin.ping: }]}
"""


def cores_of_hosts(names):
    """Core-seconds that the hosts have used since their boot, by name."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        shown = pool.map(lambda name: on(name, "cat /sys/fs/cgroup/cpu.stat"), names)
        return {name: int(re.search(r"usage_usec (\d+)", text)[1]) / 1e6 for name, text in zip(names, shown)}


def cores_here():
    """Core-seconds of the controllers that have ended, without connections of ssh that stay open."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(what, path, playbook, names):
    """One run of a playbook, in a line; what its tasks cost."""
    costs = path.with_name("costs")
    environment = {
        **os.environ,
        "ANSIBLE_CALLBACK_PLUGINS": str(pathlib.Path(__file__).with_name("callbacks")),
        "ANSIBLE_CALLBACKS_ENABLED": "task_costs",
        "ANSIBLE_NOCOLOR": "1",
        "TASK_COSTS": str(costs),
    }
    costs.unlink(missing_ok=True)
    at_hosts, here, began = cores_of_hosts(names), cores_here(), time.monotonic()
    command = ["ansible-playbook", "-i", str(path), playbook]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=3000)
    seconds, here = time.monotonic() - began, cores_here() - here
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    used = sorted(value - at_hosts[name] for name, value in cores_of_hosts(names).items())
    recap = re.findall(r": ok=(\d+) +changed=(\d+)", done.stdout)
    tasks = [json.loads(line) for line in costs.read_text(encoding="utf-8").splitlines()]
    counts = [int(ok) for ok, _changed in recap]
    forks = sum(task["hosts"] for task in tasks)
    print(
        f"{what}: {seconds:6.1f} s; tasks of a host {min(counts)} to {max(counts)}; forks {forks}; "
        f"changed {sum(int(changed) for _ok, changed in recap)}; core-seconds: controller {here:.1f}, "
        f"a host {used[0]:.1f} to {used[-1]:.1f}, all hosts {sum(used):.1f}",
        flush=True,
    )
    return tasks


def show(tasks):
    """What each kind of task costs, the dearest first."""
    kinds = collections.defaultdict(lambda: [0, 0, 0.0, 0.0])
    for task in tasks:
        action = (
            task["action"] if task["hosts"] > task["skipped"] or not task["hosts"] else f"{task['action']}, skipped"
        )
        for number, value in enumerate((1, task["hosts"], task["seconds"], task["cores"])):
            kinds[action][number] += value
    print("    tasks  forks  seconds  core-seconds of the controller")
    for action, (count, forks, seconds, cores) in sorted(kinds.items(), key=lambda kind: -kind[1][2]):
        print(f"    {count:>5}  {forks:>5}  {seconds:7.2f}  {cores:12.2f}  {action}")


def measure(hosts):
    """Two runs on hosts that have the packages, and the floor."""
    with tempfile.TemporaryDirectory() as folder:
        path, names = inventory(hosts, folder)
        empty = pathlib.Path(folder, "empty.yml")
        empty.write_text(EMPTY)
        lab("up", "--fresh", *names, limit=1200)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: on(name, WARM, limit=600), names))
        run(f"site run, {hosts:>2} hosts, first ", path, "ovn.kubernetes.site", names)
        tasks = run(f"site run, {hosts:>2} hosts, second", path, "ovn.kubernetes.site", names)
        run(f"one task, {hosts:>2} hosts        ", path, str(empty), names)
        run(f"verify,   {hosts:>2} hosts        ", path, "ovn.kubernetes.verify", names)
        show(tasks)
        lab("down", *names)


if __name__ == "__main__":
    for count in [int(argument) for argument in sys.argv[1:]] or [1, 3, 10]:
        measure(count)
