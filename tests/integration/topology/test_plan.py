# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods when rows are lost: the tasks that read the databases and plan the network, with real databases."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml
from database_server import Server

COLLECTIONS = pathlib.Path(__file__).resolve().parents[3] / ".cache" / "collections"
# The databases are where a master has them, as only this process and its children see it.
MASTER = (
    "mkdir -p /var/lib/ovn /run/ovn && mount -t tmpfs none /var/lib/ovn && mount -t tmpfs none /run/ovn && "
    'touch /var/lib/ovn/ovnnb_db.db && ln -s "$1" /run/ovn/ovnnb_db.sock && ln -s "$2" /run/ovn/ovnsb_db.sock && '
    'shift 2 && "$@"'
)
HOSTS = ("node1", "node2", "node3")


@pytest.fixture
def plan(nb, tmp_path):
    """Return a function that plans for hosts which say of themselves what is given, and returns the subnets, or what is
    wrong."""
    southbound = Server("ovn-sb", "OVN_Southbound")
    answer = tmp_path / "answer.json"
    facts = {
        "name": "Set facts",
        "ansible.builtin.set_fact": {
            "cacheable": True,
            "ansible_default_ipv4": {"address": "{{ ansible_host }}", "interface": "eth0", "mtu": 1500},
            "ansible_ovn_kubernetes": "{{ own[inventory_hostname] | default({}) }}",
        },
    }
    role = {"name": "Plan", "ansible.builtin.import_role": {"name": "ovn.kubernetes.common", "tasks_from": "plan"}}
    show = {"name": "Show", "run_once": True, "ansible.builtin.copy": {"dest": str(answer), "mode": "0600"}}
    show["ansible.builtin.copy"]["content"] = "{{ common_all_subnets | to_json }}"
    play = [{"name": "Plan", "hosts": "all", "gather_facts": False, "tasks": [facts, role, show]}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
    hosts = {name: {"ansible_host": f"10.44.0.{number}"} for number, name in enumerate(HOSTS, 11)}
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    variables["ovn_cluster_subnet"] = "192.168.0.0/16"
    groups = {"ovn_masters": {"hosts": {"node1": {}}}, "ovn_nodes": {"hosts": hosts}}
    inventory = {"all": {"vars": variables, "children": groups}}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")

    def run(**own):
        answer.unlink(missing_ok=True)
        sockets = [remote.partition(":")[2] for remote in (nb.remote, southbound.remote)]
        command = [
            "unshare",
            "--mount",
            "sh",
            "-c",
            MASTER,
            "sh",
            *sockets,
            sys.executable,
            "-m",
            "ansible",
            "playbook",
        ]
        command += ["-i", "inventory.yml", "play.yml", "-e", json.dumps({"own": own})]
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_HOME": str(tmp_path / "home"),
            "LC_ALL": "C.UTF-8",
        }
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode == 0:
            return {host: subnet for host, (subnet,) in json.loads(answer.read_text(encoding="utf-8")).items()}
        return (done.stdout + done.stderr).replace("\\", "")

    yield run
    southbound.remove()


def own(number, **more):
    """What node number so and so says of itself."""
    return {"system_id": f"id-{number}", "node": f"node{number}", "subnets": [f"192.168.{number}.0/24"], **more}


def test_rows_that_are_lost(nb, plan):
    """Protects pods of nodes whose switch was deleted, with and without the host's own settings; after the loss of the
    whole database too."""
    kept = {"node1": "192.168.1.0/24", "node2": "192.168.2.0/24", "node3": "192.168.3.0/24"}
    lost = plan(node2=own(2), node3=own(3))
    assert lost == {**kept, "node1": "192.168.0.0/24"}  # the only one that nobody knows
    nb.build(nodes=(1, 2, 3), gateways=())
    for name in ("node1", "node2"):
        nb.transact({"op": "delete", "table": "Logical_Switch", "where": [["name", "==", name]]})
    assert plan(node1=own(1)) == kept


def test_a_clone(nb, plan):
    """Protects the first host: the play stops before any host is changed."""
    nb.build(nodes=(1, 2), gateways=())
    said = plan(node3={"system_id": "id-2"})
    assert 'node3: its system-id "id-2" is that of node2 in the databases: give the clone its own' in said
