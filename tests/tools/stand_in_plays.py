# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Our playbooks and roles as they are, with modules in the place of ours that only write down how they were called: for
tests of the plays' own order and decisions, which need no hosts.

What a role removes from a host is written down in the same way, since the host is this machine. Ansible is forked from
a process that has imported it; our controller's parts of modules are real.
"""

from __future__ import annotations

import atexit
import copy
import functools
import json
import pathlib
import shutil
import tempfile

import ansible_cores
import preloaded
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]

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
LISTENING = [{"target": "ptcp:6642", "role": "", "probe": 10000, "ours": True}]


def databases(address="10.44.0.11", listeners=LISTENING, **more):
    """What ovn_facts says of a master's databases, clusters of one member; with these listeners all is as asked."""

    def state(database, port, found):
        columns = ("ca-cert", "certificate", "private-key")
        raft = f"tcp:{address}:{port}"
        return {
            "model": "clustered",
            "running": True,
            "status": "member",
            "cluster_id": f"c{port}",
            "server_id": "00000000-0",
            "address": raft,
            "role": "leader",
            "leader": "self",
            "members": [{"id": "0000", "address": raft}],
            "timer": 1500,
            "last": 7,
            "arguments": [f"--{name}=db:{database},SSL,{name.replace('-', '_')}" for name in columns],
            "listeners": list(found),
            **more,
        }

    return {
        "northbound": {**state("OVN_Northbound", 6643, ()), "chassis": {}},
        "southbound": state("OVN_Southbound", 6644, listeners),
        "version": "3.1.0",
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
    "ovn_central": {},
    "ovn_chassis": {},
    "ovn_gateway": {},
    "ovn_kubernetes_access": {"accounts": {}},
    "ovn_kubernetes_token": {"tokens": {}},
    "ovn_master_init": {},
    "ovn_minion_init": {},
    "ovn_services": {"found": []},
    "ovn_verify": {},
    "nics_to_bridge": {},
    "ping": {},
}
# In the place of a role's tasks that remove files and services of the machine. No play of ours has a ping.
PART = """- name: Write down that the host's own part is removed
  ansible.builtin.ping:
    data: "{role} of {{{{ inventory_hostname }}}} alias {{{{ common_all_settings[inventory_hostname].node_name }}}}"
"""
LIMIT = 170  # seconds of one run
# The user is root, whom permissions do not stop.
READ_ONLY = 'mount --bind "$PWD" "$PWD"; mount -o remount,ro,bind "$PWD"'


@functools.cache
def collections():
    """Return the folder of the collection for all plays, until this process ends."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stand-in-"))
    atexit.register(shutil.rmtree, folder)
    collection = folder / "ansible_collections" / "ovn" / "kubernetes"
    collection.mkdir(parents=True)
    for name in ("galaxy.yml", "meta", "playbooks", "plugins"):
        (collection / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "roles", collection / "roles")
    community = "ansible_collections/community"
    (folder / community).symlink_to(ROOT / ".cache" / "dependencies" / community)  # whose modules are real
    for role in ("gateway", "master", "node"):
        absent = collection / "roles" / role / "tasks" / "absent.yml"
        absent.write_text(PART.format(role=role), encoding="utf-8")
    return folder


class Plays:
    """An inventory of a master and two nodes, one of them a gateway.

    :ivar folder: of all that is written.
    :ivar project: of the inventory and users' own playbooks. Plays run in it, and can't write there, as in AWX.
    :ivar hosts: host to its variables.
    :ivar groups: group to hosts.
    :ivar variables: of all hosts.
    :ivar script: prepares the mount namespace of a run, in the project's folder.
    :ivar answers: module, or module and host with a space between, to its result. Modules that are not in it are real.
    """

    def __init__(self, folder, core=ansible_cores.OWN):
        self.folder, self.project = folder, folder / "project"
        self.python = str(ansible_cores.programs(core) / "python")
        self.project.mkdir()
        self.collections = collections()
        self.hosts = {
            name: {"ovn_encap_ip": f"10.44.0.{number}"}
            for number, name in enumerate(("ovn-master", "ovn-node1", "ovn-node2"), 11)
        }
        self.hosts["ovn-node1"].update(ovn_gateway_interface="eth1", ovn_gateway_ip="10.55.0.12/24")
        self.groups = {"ovn_masters": ["ovn-master"], "ovn_nodes": ["ovn-node1", "ovn-node2"]}
        self.groups["ovn_gateways"] = ["ovn-node1"]
        # The stand-in of ovn_facts has no certificates.
        self.variables = {"ovn_cluster_subnet": "192.168.0.0/16", "ovn_tls": False}
        self.script = READ_ONLY
        self.answers = copy.deepcopy(ANSWERS)
        own = {**FACTS["ovn_kubernetes"], "central": True, "central_databases": databases()}
        self.facts("ovn-master", ovn_kubernetes=own)

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
        (self.folder / "answers").write_text(json.dumps(self.answers), encoding="utf-8")
        calls = self.folder / "calls"
        calls.write_text("")
        with tempfile.TemporaryFile("w+", encoding="utf-8") as written:
            process = preloaded.start(
                "play_programs:main",
                [str(self.project), self.script, "-i", "hosts.yml", str(playbook), *map(str, arguments)],
                written,
                imported=("play_programs",),
                python=self.python,
                early=(("ANSIBLE_COLLECTIONS_PATH", str(self.collections)),),
                ANSIBLE_COLLECTIONS_PATH=str(self.collections),
                ANSIBLE_HOME=str(self.folder / "home"),
                ANSIBLE_NOCOLOR="1",
                COLUMNS="4000",
                STAND_IN=str(self.folder),
                **environment,
            )
            try:
                code = process.wait(LIMIT)
            finally:
                process.kill()
            written.seek(0)
            said = written.read()
        return code, said, [tuple(json.loads(line)) for line in calls.read_text().splitlines()]
