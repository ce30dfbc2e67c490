# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the play that removes, in the states in which it is needed: its own order and decisions, with modules and
roles in their place that only write down how they were called.

A host that is off is one whose port for ssh is closed.
"""

from __future__ import annotations

import copy
import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
OFF = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
DROP_IN = "/etc/systemd/system/ovn-northd.service.d"  # whether OVN central is ours

MODULE = """#!{python}
# WANT_JSON
import json, os, pathlib, sys
arguments = {{key: value for key, value in json.load(open(sys.argv[1])).items() if not key.startswith("_")}}
folder = pathlib.Path(os.environ["STAND_IN"])
with open(folder / "calls", "a") as calls:
    calls.write(json.dumps(["{name}", arguments]) + "\\n")
answers = json.loads((folder / "answers").read_text())
print(json.dumps(answers.get("{name}", {{"changed": False}})))
"""
MODULES = (
    "ovn_services",
    "ovn_info",
    "ovn_gateway",
    "ovn_minion_init",
    "ovn_chassis",
    "ovn_kubernetes_access",
    "own_part",
)
ROLE = """- name: Write down that the host's own part is removed
  ovn.kubernetes.own_part:
    part: "{role} of {{{{ inventory_hostname }}}} alias {{{{ common_all_settings[inventory_hostname].node_name }}}}"
"""
OVERLAY = {
    "nodes": {"ovn-node1": {}, "ovn-node2": {}, "ovn-gone": {}},
    "gateways": {},
    "chassis": {
        "id-2": {"hostname": "ovn-node2"},
        "old-2": {"hostname": "ovn-node2"},
        "id-1": {"hostname": "ovn-node1"},
    },
}


class Lab:
    """An inventory of three hosts, and what the play did with them."""

    def __init__(self, folder):
        self.folder = folder
        collection = folder / "ansible_collections" / "ovn" / "kubernetes"
        (collection / "plugins" / "modules").mkdir(parents=True)
        for name in ("playbooks", "galaxy.yml", "meta"):
            (collection / name).symlink_to(ROOT / name)
        for name in ("filter", "lookup", "plugin_utils", "module_utils"):
            (collection / "plugins" / name).symlink_to(ROOT / "plugins" / name)
        for name in MODULES:
            text = MODULE.format(python=sys.executable, name=name)
            (collection / "plugins" / "modules" / f"{name}.py").write_text(text, encoding="utf-8")
        for role in ("gateway", "node", "master"):
            tasks = collection / "roles" / role / "tasks"
            tasks.mkdir(parents=True)
            (tasks / "absent.yml").write_text(ROLE.format(role=role), encoding="utf-8")
        (collection / "roles" / "master" / "vars").symlink_to(ROOT / "roles" / "master" / "vars")
        (collection / "roles" / "common").symlink_to(ROOT / "roles" / "common")
        self.hosts = {name: {"ansible_connection": "local"} for name in ("ovn-master", "ovn-node1", "ovn-node2")}
        self.variables = {"ovn_cluster_subnet": "192.168.0.0/16", "ansible_python_interpreter": sys.executable}
        self.answers = {"ovn_info": {"changed": False, **copy.deepcopy(OVERLAY)}}

    def remove(self, *arguments):
        """Run the play; its process, and the calls in their order."""
        gateway = {"ovn_gateway_interface": "eth7", "ovn_gateway_ip": "10.5.0.1/24"}
        groups = {
            "ovn_masters": {"hosts": {"ovn-master": {}}},
            "ovn_nodes": {"hosts": {"ovn-node1": {}, "ovn-node2": {}}},
            "ovn_gateways": {"hosts": {"ovn-node1": gateway}},
        }
        inventory = {"all": {"vars": self.variables, "hosts": self.hosts, "children": groups}}
        (self.folder / "inventory.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
        (self.folder / "ansible.cfg").write_text("[defaults]\n", encoding="utf-8")
        (self.folder / "answers").write_text(json.dumps(self.answers), encoding="utf-8")
        calls = self.folder / "calls"
        calls.write_text("")
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_TIMEOUT": "5",
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": "4000",
            "STAND_IN": str(self.folder),
        }
        # The machine's own units are out of reach, and the master's drop-in is there.
        script = f'mount -t tmpfs none /etc/systemd/system; mkdir {DROP_IN}; touch {DROP_IN}/ovn-kubernetes.conf; "$@"'
        playbook = [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.yml", "ovn.kubernetes.remove"]
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-ec", script, "sh", *playbook, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        return done, [tuple(json.loads(line)) for line in calls.read_text().splitlines()]


@pytest.fixture
def lab(tmp_path):
    """The three hosts."""
    return Lab(tmp_path)


def own_parts(calls):
    """The hosts' own parts that were removed, sorted."""
    return sorted(arguments["part"] for module, arguments in calls if module == "own_part")


def rows(calls):
    """What was asked of the databases: module and names."""
    return [
        (module, [one["node_name"] for one in arguments.get("nodes") or arguments.get("gateways")])
        for module, arguments in calls
        if module in ("ovn_gateway", "ovn_minion_init")
    ]


def test_a_node_goes(lab):
    """Protects the order: rows first, then the host's own part, then its chassis, those of earlier system-ids too. At
    the end it is said that the inventory still has the host. A limit to the host alone changes nothing of that.

    A node that only the databases know is removed from there.
    """
    done, calls = lab.remove("-e", "ovn_remove_hosts=ovn-node2,ovn-gone", "--limit", "ovn-node2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert rows(calls) == [(one, ["ovn-node2", "ovn-gone"]) for one in ("ovn_gateway", "ovn_minion_init")]
    assert own_parts(calls) == ["gateway of ovn-node2 alias ovn-node2", "node of ovn-node2 alias ovn-node2"]
    assert calls[-1] == ("ovn_chassis", {"system_ids": ["id-2", "old-2"]})
    assert "Now take ovn-node2 out of the inventory" in done.stdout


def test_a_dead_master(lab):
    """Protects hosts that must get their NICs back: each one's own part is removed without the databases, and what is
    left is said, also in check mode (W9). What the inventory says of a gateway's NIC does not matter."""
    lab.hosts["ovn-master"] = OFF
    lab.variables["ovn_mtu"] = "no number"
    for arguments, hosts in (
        (["ovn_remove_confirmed=true", "--check"], ["ovn-node1", "ovn-node2"]),
        (["ovn_remove_hosts=ovn-node2"], ["ovn-node2"]),
    ):
        done, calls = lab.remove("-e", *arguments)
        assert done.returncode != 0 and "'dict'" not in done.stdout and "undefined" not in done.stdout, done.stdout
        assert rows(calls) == []
        if "--check" not in arguments:
            both = [(role, host) for role in ("gateway", "node") for host in hosts]
            assert own_parts(calls) == [f"{role} of {host} alias {host}" for role, host in both]
        assert "in the databases on ovn-master: ovn-master can't be reached" in done.stdout
        for host in hosts:
            assert f"- {host}:" not in done.stdout


def test_a_dead_node(lab):
    """Protects the removal of a host that is gone: its rows and its chassis go although no host of the play answers,
    and it is named as what is left."""
    lab.hosts["ovn-node2"] = OFF
    done, calls = lab.remove("-e", "ovn_remove_hosts=ovn-node2", "--limit", "ovn-node2")
    assert done.returncode != 0
    assert rows(calls) == [("ovn_gateway", ["ovn-node2"]), ("ovn_minion_init", ["ovn-node2"])]
    assert own_parts(calls) == [] and calls[-1][0] == "ovn_chassis"
    assert "- ovn-node2: it can't be reached" in done.stdout and "in the databases" not in done.stdout


@pytest.mark.parametrize("node", [OFF, {}], ids=["dead", "alive"])
def test_a_limit_that_leaves_out_a_dead_master(lab, node):
    """Protects who limits the play to the hosts that go: with a dead master it ended in the middle and said nothing."""
    lab.hosts["ovn-master"] = OFF
    lab.hosts["ovn-node2"] = {**lab.hosts["ovn-node2"], **node}
    done, calls = lab.remove("-e", "ovn_remove_hosts=ovn-node2", "--limit", "ovn-node2")
    assert done.returncode != 0 and rows(calls) == []
    assert "in the databases on ovn-master: ovn-master can't be reached" in done.stdout
    assert ("- ovn-node2: it can't be reached" in done.stdout) == bool(node)
    assert ("Now take ovn-node2" in done.stdout) == (own_parts(calls) != []) == (not node)


def test_a_dead_node_whose_name_is_made_from_facts(lab):
    """Protects the removal of other hosts: nobody knows that name, and nobody needs it. Who is to be removed itself is
    named as the databases do."""
    lab.hosts["ovn-node2"] = {**OFF, "ovn_node_name": "{{ ansible_facts['hostname'] }}"}
    done, calls = lab.remove("-e", "ovn_remove_hosts=ovn-node1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert rows(calls) == [("ovn_gateway", ["ovn-node1"]), ("ovn_minion_init", ["ovn-node1"])]
    done, calls = lab.remove("-e", "ovn_remove_hosts=ovn-node2")
    assert done.returncode != 0 and rows(calls) == [] == own_parts(calls)
    assert "ovn_remove_hosts names ovn-node2, whose node name is made from facts" in done.stdout


@pytest.mark.parametrize(
    ("hosts", "confirmed", "removed"),
    [
        ("", "true", ["ovn-master", "ovn-node1", "ovn-node2"]),
        ('["ovn-node1", "ovn-node2"]', "", ["ovn-node1", "ovn-node2"]),
        ("ovn-node1 ovn-node2", "no", ["ovn-node1", "ovn-node2"]),
    ],
)
def test_answers_of_a_survey(lab, hosts, confirmed, removed):
    """Protects AWX job templates, which always give both variables: a question without an answer is none that names
    hosts, and several hosts are written as everywhere else."""
    answers = json.dumps({"ovn_remove_hosts": hosts, "ovn_remove_confirmed": confirmed})
    done, calls = lab.remove("-e", answers)
    assert done.returncode == 0, done.stdout + done.stderr
    hosts_parts = [part for part in own_parts(calls) if part.startswith("node of ")]
    assert hosts_parts == [f"node of {host} alias {host}" for host in removed]


KUBECONFIG = """
current-context: lab
clusters: [{name: lab, cluster: {server: "https://10.0.0.1:6443"}}]
users: [{name: lab, user: {token: abc}}]
contexts: [{name: lab, context: {cluster: lab, user: lab}}]
"""


@pytest.mark.parametrize("code", ["kubernetes_refused", "kubernetes_unreachable"])
def test_databases_and_accounts_that_fail(lab, code):
    """Protects the hosts' own parts against databases and an API server that answer with an error, or not at all. It is
    listed once more, since tokens stay valid."""
    lab.answers["ovn_minion_init"] = {"failed": True, "msg": "the database is read-only", "error_code": "database"}
    lab.answers["ovn_kubernetes_access"] = {"failed": True, "msg": "you may not", "error_code": code}
    (lab.folder / "admin").write_text(KUBECONFIG, encoding="utf-8")
    lab.variables.update(
        ovn_kubernetes_api="https://10.0.0.1:6443", ovn_kubernetes_admin_kubeconfig=str(lab.folder / "admin")
    )
    done, calls = lab.remove("-e", "ovn_remove_hosts=ovn-node2")
    assert done.returncode != 0 and len(own_parts(calls)) == 2
    (accounts,) = [arguments for module, arguments in calls if module == "ovn_kubernetes_access"]
    assert (accounts["state"], accounts["absent_nodes"]) == ("present", ["ovn-node2"])
    assert "- the rows of ovn-node2 in the databases on ovn-master: the database is read-only" in done.stdout
    assert "- the accounts in Kubernetes, with their tokens: you may not" in done.stdout


def test_answers_without_a_code(lab):
    """Protects rows against being forgotten when a module breaks: the hosts' own parts go, and what is left is
    listed."""
    lab.answers["ovn_info"] = {"failed": True, "msg": "MODULE FAILURE"}
    done, calls = lab.remove("-e", "ovn_remove_hosts=ovn-node2")
    assert done.returncode != 0 and len(own_parts(calls)) == 2 and rows(calls) == []
    assert "- the rows of ovn-node2 in the databases on ovn-master: MODULE FAILURE" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ovn_remove_confirmed=true", "--limit", "ovn-node2"], "give -e ovn_remove_hosts=ovn-node2, without --limit"),
        (["ovn_remove_hosts=ovn-node2,ovn-node1", "--limit", "ovn-node1"], "names ovn-node2, which --limit leaves out"),
        (["ovn_remove_hosts=ovn-master"], "which is a master"),
        (["{ovn_remove_hosts: '', ovn_remove_confirmed: ''}"], "Say what to remove: either"),
        (["ovn_remove_hosts=ovn-node2", "-e", "ovn_remove_confirmed=true"], "Say what to remove: either"),
        (["ovn_remove_hosts=ovn-node2", "--tags", "node"], "--tags node selects nothing to remove"),
        (["ovn_remove_host=ovn-node2"], "did you mean ovn_remove_hosts?"),
    ],
)
def test_refused_before_anything(lab, arguments, sentence):
    """Protects rows that would stay when a limit strips a host, and hosts that nobody meant."""
    done, calls = lab.remove("-e", *arguments)
    assert done.returncode != 0 and sentence in done.stdout and calls == []


def test_the_node_name_of_a_living_host(lab):
    """Protects its rows: the host that is meant is named, and nothing is removed."""
    lab.hosts["ovn-node2"]["ovn_node_name"] = "two"
    lab.answers["ovn_info"]["nodes"]["two"] = {}
    done, calls = lab.remove("-e", "ovn_remove_hosts=two")
    assert done.returncode != 0 and "names two, which is the node name of ovn-node2" in done.stdout
    assert {module for module, _arguments in calls} <= {"ovn_services", "ovn_info"}


def test_a_name_that_nobody_knows(lab):
    """Protects against a typing error in a name: nothing is removed."""
    done, calls = lab.remove("-e", "ovn_remove_hosts=ovn-node2,ovn-nod1")
    assert done.returncode != 0 and "names ovn-nod1, which is in none of ovn_nodes and ovn_gateways" in done.stdout
    assert {module for module, _arguments in calls} <= {"ovn_services", "ovn_info"}
