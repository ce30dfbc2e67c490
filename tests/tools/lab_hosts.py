# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The lab's hosts, our playbooks on them, and pods.

Pods are network namespaces on logical ports that the tests make themselves.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import ansible_calls
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAB = ROOT / "molecule" / "lab" / "lab"
INVENTORY = ROOT / "inventory" / "lab"
HOSTS = ("ovn-master", "ovn-node1", "ovn-node2")
MASTERS = tuple(
    yaml.safe_load((INVENTORY / "hosts.yml").read_text(encoding="utf-8"))["all"]["children"]["ovn_masters"]["hosts"]
)  # the hosts with the databases
CONFIG = ROOT / ".cache" / "lab" / "ssh_config"
# Where the databases have several masters the local one may not lead: OVN's commands go to the leader, by the list of
# remotes that our programs have (names.CENTRAL_ACCESS). Environment: ovn-nbctl(8), ovn-sbctl(8), "Environment".
_TO_THE_LEADER = """if [ -e /etc/ovn-kubernetes/central.json ]; then eval "$(python3 -c '
import json
access = json.load(open("/etc/ovn-kubernetes/central.json"))
files = [f"--{key}={access[name]}" for key, name in
         (("private-key", "private_key"), ("certificate", "certificate"), ("ca-cert", "ca_cert")) if access.get(name)]
for command, database in (("NB", "northbound"), ("SB", "southbound")):
    print(f"export OVN_{command}_DB={access[database]} OVN_{command}CTL_OPTIONS=\\"{chr(32).join(files)}\\"")
')"; fi
"""
_RUNTIME = pathlib.Path("/run/ovn-kubernetes-lab")  # what the lab keeps of its running hosts
# Each process of tests has connections of its own; they end a moment after it.
_SHARED = (
    *("-o", "ControlMaster=auto", "-o", "ControlPersist=20"),
    *("-o", f"ControlPath={_RUNTIME}/ssh-{os.getpid()}-%n"),
)


def lab(*arguments, limit=180):
    """A command of the lab; its output. Connections to hosts that it may switch off end before."""
    if arguments[0] != "exec":
        _end_connections()
    return subprocess.run([str(LAB), *arguments], check=True, capture_output=True, text=True, timeout=limit).stdout


def on(host, command, check=True, limit=60, anew=False):
    """A shell command on a host, over ssh; its output.

    On a master the commands ovn-nbctl and ovn-sbctl speak with the leader.

    :param anew: over a new connection, ten times as dear as the one that is there.
    """
    if "ovn-nbctl" in command or "ovn-sbctl" in command:
        command = _TO_THE_LEADER + command
    shared = () if anew else _SHARED
    done = subprocess.run(
        ["ssh", "-n", "-F", str(CONFIG), *shared, host, command],
        check=False,
        capture_output=True,
        text=True,
        timeout=limit,
    )
    if check and done.returncode:
        raise AssertionError(f"{host}: {command}: {done.stdout}{done.stderr}")
    return done.stdout if check else done


def on_masters(command, check=True, limit=60):
    """A shell command on all hosts with databases at the same time; their outputs, one after the other."""
    with ThreadPoolExecutor(len(MASTERS)) as pool:
        done = list(pool.map(lambda host: on(host, command, check, limit), MASTERS))
    return "".join(one if check else one.stdout for one in done)


def wait(question, seconds=60, what="the condition", pause=0.2):
    """The first true answer to ``question()``.

    :param pause: seconds from an answer to the next question; long for one that costs its host much.
    """
    until = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < until, f"{what} did not come true in {seconds} s"
        time.sleep(pause)


def inside(host, command, check=True, limit=60):
    """A shell command on a host without any network, with less around it than ``lab exec`` has; its output."""
    pid = (_RUNTIME / f"{host}.pid").read_text(encoding="ascii").strip()
    environment = (
        "/usr/bin/env",
        "-i",
        "HOME=/root",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    )
    return subprocess.run(
        ["nsenter", "--target", pid, "--all", "--wdns=/", *environment, "sh", "-c", command],
        check=check,
        capture_output=True,
        text=True,
        timeout=limit,
    ).stdout


def _end_connections():
    for path in _RUNTIME.glob(f"ssh-{os.getpid()}-*"):
        command = ["ssh", "-F", str(CONFIG), "-O", "exit", "-o", f"ControlPath={path}", "host"]
        subprocess.run(command, check=False, capture_output=True, timeout=20)


@dataclass
class Play:
    """What a playbook's run has shown."""

    code: int
    output: str
    changed: dict
    plans: list

    def ok(self):
        """The run itself, which must have worked."""
        assert self.code == 0, self.output[-6000:]
        return self


def play(name, *arguments, inventory=(), only=None, limit=600):
    """Run a playbook, one of ours by its name, on the lab.

    It takes the lab's inventory and what ``inventory`` adds; or ``only`` other ones.
    """
    inventories = [argument for one in only or [INVENTORY, *inventory] for argument in ("-i", str(one))]
    playbook = f"ovn.kubernetes.{name}" if isinstance(name, str) else str(name)
    code, output = ansible_calls.run("ansible-playbook", "-v", *inventories, playbook, *arguments, limit=limit)
    changed = {host: int(count) for host, count in re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", output, re.M)}
    plans = [
        operation["text"]
        for text in re.findall(r"=> (\{.*\"plan\": \[.*\})$", output, re.M)
        for operation in json.loads(text)["plan"]
    ]
    return Play(code, output, changed, plans)


def at_once(*calls):
    """Run several playbooks that change nothing at the same time; each one as the arguments of :func:`play`."""
    with ThreadPoolExecutor(len(calls)) as pool:
        runs = [pool.submit(play, *arguments, **options) for arguments, options in calls]
    return [run.result().ok() for run in runs]


def northbound(host="ovn-master"):
    """The Northbound database's rows of interest, without the rows' ids."""
    tables = (
        "Logical_Switch",
        "Logical_Switch_Port",
        "Logical_Router",
        "Logical_Router_Port",
        "Logical_Router_Static_Route",
        "NAT",
        "Load_Balancer_Group",
    )
    out = []
    shown = on(
        host,
        f"set -e; for table in {' '.join(tables)}; do ovn-nbctl --format=json list $table | tr -d '\\n'; echo; done",
    )
    for table, line in zip(tables, shown.splitlines(), strict=True):
        text = json.loads(line)
        for row in text["data"]:
            columns = {key: value for key, value in zip(text["headings"], row) if "uuid" not in key + json.dumps(value)}
            out.append((table, json.dumps(columns, sort_keys=True)))
    return sorted(out)


def network(host):
    """Addresses, routes, rules, drops and OVS ports of a host, as sorted lines.

    A tap whose Open vSwitch was restarted is UP, and until then UNKNOWN.
    """
    commands = (
        "ip -br addr show | sed 's/@if[0-9]*//; s/UNKNOWN/UP     /'",
        "ip route show",
        "ip -6 route show",
        "ip rule",
        "nft list ruleset",
        "ovs-vsctl --columns=name list Port 2>/dev/null || :",
    )
    return [sorted(text.splitlines()) for text in on(host, "set -e; " + "; echo ----; ".join(commands)).split("----\n")]


def subnet_of(node, master="ovn-master"):
    """The node's IPv4 subnet, as the Northbound database has it."""
    return on(master, f"ovn-nbctl get Logical_Switch {node} other_config:subnet").strip().strip('"')


DEMO_PODS = (
    ("ovn-node1", "demo-web", 50),
    ("ovn-node2", "demo-client", 51),
)  # (host, name, number); they stay when the demo ends


def remove_pod(host, name, master="ovn-master"):
    """Take a pod away, whether it is there or not."""
    on(host, f"ovs-vsctl --if-exists del-port br-int v{name}; ip netns del {name}", check=False)
    on(master, f"ovn-nbctl --if-exists lsp-del {name}", check=False)


class Pod:
    """A network namespace on a logical port of a node's switch.

    :ivar ip, ip6: its addresses; ``ip6`` None where the node has no IPv6 subnet.
    """

    def __init__(self, host, name, number, master="ovn-master"):
        self.host, self.name, self.master = host, name, master
        prefix = subnet_of(host, master).rsplit(".", 1)[0]
        self.ip, gateway = f"{prefix}.{number}", f"{prefix}.1"
        mac = "0a:58:" + ":".join(f"{int(part):02x}" for part in self.ip.split("."))
        prefix6 = (
            on(master, f"ovn-nbctl --if-exists get Logical_Switch {host} other_config:ipv6_prefix").strip().strip('"')
        )
        self.ip6 = f"{prefix6}{number:x}" if prefix6 else None
        second = (
            f"ip -n {name} addr add {self.ip6}/64 dev eth0 nodad; ip -n {name} -6 route add default via {prefix6}1"
            if prefix6
            else ":"
        )
        on(
            master,
            (
                f"ovn-nbctl --may-exist lsp-add {host} {name} -- lsp-set-addresses {name} '{mac} {self.ip} "
                f"{self.ip6 or ''}'"
            ),
        )
        mtu = on(host, f"cat /sys/class/net/k8s-{host}/mtu").strip()
        on(
            host,
            f"""set -e
            ovs-vsctl --if-exists del-port br-int v{name}
            ip netns del {name} 2>/dev/null || :; ip link del v{name} 2>/dev/null || :
            ip netns add {name}; ip link add v{name} type veth peer name eth0 netns {name}
            ip link set v{name} arp off addrgenmode none up mtu {mtu}
            ip -n {name} link set lo up; ip -n {name} link set eth0 address {mac} mtu {mtu} up
            ip -n {name} addr add {self.ip}/24 dev eth0; ip -n {name} route add default via {gateway}
            {second}
            ip netns exec {name} ethtool -K eth0 tx off >/dev/null
            ovs-vsctl --may-exist add-port br-int v{name} -- set Interface v{name} external_ids:iface-id={name}""",
        )
        wait(
            lambda: "true" in on(host, f"ovs-vsctl --if-exists get Interface v{name} external_ids:ovn-installed"),
            60,
            f"the port of {name}",
        )

    def run(self, command, check=True, limit=60):
        """A shell command in the pod."""
        return on(self.host, f"ip netns exec {self.name} sh -c {shlex.quote(command)}", check, limit)

    def reaches(self, address, seconds=30):
        """Whether an echo is answered; the first packets to a neighbour may be lost."""
        return wait(
            lambda: self.run(f"ping -c 1 -W 1 {address}", check=False).returncode == 0,
            seconds,
            f"{self.name} reaching {address}",
        )

    def remove(self):
        """Take it away again."""
        remove_pod(self.host, self.name, self.master)
