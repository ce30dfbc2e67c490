# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Our playbooks and roles as they are, with modules in the place of ours that only write down how they were called: for
tests of the plays' own order and decisions, which need no hosts."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import subprocess

import ansible_cores
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Ansible puts a module below ansible_remote_tmp, which names the host.
MODULE = """#!{python}
# WANT_JSON
import json, os, pathlib, sys
arguments = {{key: value for key, value in json.load(open(sys.argv[1])).items() if not key.startswith("_")}}
folder = pathlib.Path(os.environ["STAND_IN"])
host = pathlib.Path(__file__).relative_to(folder / "remote").parts[0]
with open(folder / "calls", "a") as calls:
    calls.write(json.dumps([host, "{name}", arguments]) + "\\n")
answers = json.loads((folder / "answers").read_text())
print(json.dumps(dict(answers["{name}"], **answers.get("{name} " + host, {{}}))))
"""
FACTS = {
    "os_family": "Debian",
    "distribution": "Debian",
    "interfaces": ["lo", "eth0", "eth1"],
    "default_ipv4": {"address": "10.44.0.11", "interface": "eth0", "mtu": 1500, "prefix": "24", "gateway": "10.44.0.1"},
    "default_ipv6": {},
    "eth0": {"device": "eth0", "mtu": 1500, "ipv4": {"address": "10.44.0.11", "prefix": "24"}},
    "eth1": {"device": "eth1", "mtu": 1500},
    "ovn_kubernetes": {"system_id": "", "node": "", "subnets": [], "problem": "", "in_use": [], "gateway": False},
}
OVERLAY = {
    "nodes": {},
    "gateways": {},
    "chassis": {},
    "leftover_subnets": {},
    "pod_subnets": {},
    "kubernetes_nodes": None,
    "join_subnets": [],
}
HOST = {
    "missing": [],
    "moves": [],
    "found": [],
    "others": [],
    "tokens": {},
    "chassis": "",
    "waits": False,
    "openvswitch_settings": [],
}
ANSWERS = {
    "ovn_facts": {"ansible_facts": {f"ansible_{name}": value for name, value in FACTS.items()}},
    "ovn_host": HOST,
    "ovn_info": OVERLAY,
    "ovn_chassis": {},
    "ovn_gateway": {},
    "ovn_kubernetes_access": {"accounts": {}},
    "ovn_kubernetes_token": {"tokens": {}},
    "ovn_master_init": {},
    "ovn_minion_init": {},
    "ovn_services": {"found": []},
    "ovn_verify": {},
    "nics_to_bridge": {},
}


# The user is root, whom permissions do not stop.
READ_ONLY = 'cd "$1"; shift; mount --bind "$PWD" "$PWD"; mount -o remount,ro,bind "$PWD"; cd "$PWD"; exec "$@"'


class Plays:
    """An inventory of a master and two nodes, one of them a gateway.

    :ivar folder: of the collection and of all that the modules write.
    :ivar project: of the inventory and users' own playbooks. Plays run in it, and can't write there, as in AWX.
    :ivar hosts: host to its variables.
    :ivar groups: group to hosts.
    :ivar variables: of all hosts.
    :ivar answers: module, or module and host with a space between, to its result.
    """

    def __init__(self, folder, core=ansible_cores.OWN):
        self.folder, self.project = folder, folder / "project"
        self.python = str(ansible_cores.programs(core) / "python")
        self.project.mkdir()
        collection = folder / "ansible_collections" / "ovn" / "kubernetes"
        (collection / "plugins" / "modules").mkdir(parents=True)
        for name in ("galaxy.yml", "meta", "playbooks", "roles"):
            (collection / name).symlink_to(ROOT / name)
        for name in ("action", "filter", "lookup", "plugin_utils", "module_utils"):
            (collection / "plugins" / name).symlink_to(ROOT / "plugins" / name)
        for name in ANSWERS:
            text = MODULE.format(python=self.python, name=name)
            (collection / "plugins" / "modules" / f"{name}.py").write_text(text, encoding="utf-8")
        self.hosts = {
            name: {"ovn_encap_ip": f"10.44.0.{number}"}
            for number, name in enumerate(("ovn-master", "ovn-node1", "ovn-node2"), 11)
        }
        self.hosts["ovn-node1"].update(ovn_gateway_interface="eth1", ovn_gateway_ip="10.55.0.12/24")
        self.groups = {"ovn_masters": ["ovn-master"], "ovn_nodes": ["ovn-node1", "ovn-node2"]}
        self.groups["ovn_gateways"] = ["ovn-node1"]
        self.variables = {"ovn_cluster_subnet": "192.168.0.0/16"}
        self.answers = copy.deepcopy(ANSWERS)

    def facts(self, host, **facts):
        """Let the host have these facts, in the place of those that all have."""
        gathered = {f"ansible_{name}": value for name, value in {**FACTS, **facts}.items()}
        self.answers[f"ovn_facts {host}"] = {"ansible_facts": gathered}

    def play(self, *plays):
        """Write a user's own playbook, and return its path."""
        path = self.project / "play.yml"
        path.write_text(yaml.safe_dump(list(plays), sort_keys=False), encoding="utf-8")
        return path

    def run(self, playbook, *arguments, **environment):
        """Run a playbook; the exit code, what was said, and the calls in their order: host, module, arguments."""
        own = {"ansible_connection": "local", "ansible_python_interpreter": self.python}
        hosts = {
            name: {**own, "ansible_remote_tmp": str(self.folder / "remote" / name), **variables}
            for name, variables in self.hosts.items()
        }
        children = {name: {"hosts": {member: {} for member in members}} for name, members in self.groups.items()}
        inventory = {"all": {"vars": self.variables, "hosts": hosts, "children": children}}
        (self.project / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
        (self.folder / "ansible.cfg").write_text("[defaults]\ninternal_poll_interval = 0.005\n", encoding="utf-8")
        (self.folder / "answers").write_text(json.dumps(self.answers), encoding="utf-8")
        calls = self.folder / "calls"
        calls.write_text("")
        command = [self.python, "-m", "ansible", "playbook", "-i", "hosts.yml", str(playbook), *map(str, arguments)]
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-ec", READ_ONLY, "sh", str(self.project), *command],
            cwd=self.folder,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(self.folder),
                "ANSIBLE_HOME": str(self.folder / "home"),
                "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
                "LC_ALL": "C.UTF-8",
                "PYTHONDONTWRITEBYTECODE": "1",
                "COLUMNS": "4000",
                "STAND_IN": str(self.folder),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )
        said = done.stdout + done.stderr
        return done.returncode, said, [tuple(json.loads(line)) for line in calls.read_text().splitlines()]
