# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the time of a site run on many hosts: Ansible starts a process for each host and task."""

from __future__ import annotations

import json
import os
import subprocess

from stand_in_plays import HOST

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.names import node_account

from .conftest import BOTH, KUBECONFIG

CALLBACK = """
import json, os
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "aggregate", "processes"

    def v2_runner_on_start(self, host, task):
        with open(os.environ["PROCESSES"], "a") as file:
            file.write(json.dumps([host.get_name(), task.action.rpartition(".")[2]]) + "\\n")
"""


INVENTORY = """
ovn_masters: {hosts: {ovn-master: {ovn_encap_ip: 10.44.0.10}}}
all: {vars: {ovn_cluster_subnet: 192.168.0.0/16, ansible_connection: local}}
"""
LOADED = '"ansible_collections.ovn.kubernetes.plugins.plugin_utils._inventory" in sys.modules'


def processes(plays):
    """Return what a site run has started: host and action."""
    callbacks, written = plays.project / "callback_plugins", plays.folder / "processes"
    callbacks.mkdir()
    (callbacks / "processes.py").write_text(CALLBACK, encoding="utf-8")
    written.write_text("")
    code, said, _calls = plays.run(plays.play({"import_playbook": "ovn.kubernetes.site"}), PROCESSES=str(written))
    assert code == 0, said
    return [json.loads(line) for line in written.read_text().splitlines()]


@BOTH
def test_an_unchanged_site_run(plays):
    """Protects against tasks that are started for each host to find out that they have nothing to do."""
    started = processes(plays)
    assert [action for host, action in started if host == "ovn-node2"] == ["ovn_facts", "ovn_host"], started
    assert [action for host, action in started if host == "ovn-node1"] == ["ovn_facts", "ovn_host", "ovn_host"]
    assert len(started) <= 29, started


@BOTH
def test_hosts_that_have_more_to_do(plays):
    """Protects a host that has no pods any more, and one that gets a token: what ends the part of the others does not
    end theirs."""
    plays.variables.update(ovn_kubernetes_api="https://127.0.0.1:1", ovn_service_subnet="10.96.0.0/16")
    plays.variables["ovn_kubernetes_admin_kubeconfig"] = json.dumps(KUBECONFIG)
    account = node_account("ovn-node1")
    plays.answers["ovn_host ovn-node1"] = {**HOST, "tokens": {account: {"problem": "there is none", "uid": ""}}}
    plays.answers["ovn_host ovn-master"] = {**HOST, "found": ["ovn-k8s-node.service"]}
    plays.answers["ovn_kubernetes_access"] = {"accounts": {account: "1"}}
    plays.answers["ovn_kubernetes_token"] = {"tokens": {account: "a.new.token"}}
    code, said, calls = plays.run("ovn.kubernetes.site")
    assert code == 0, said
    assert [host for host, module, _arguments in calls if module == "ovn_services"] == ["ovn-master"], said
    node_parts = [(host, call["tokens"]) for host, module, call in calls if module == "ovn_host" and call.get("node")]
    assert sorted(node_parts[:3]) == [("ovn-master", {}), ("ovn-node1", {}), ("ovn-node2", {})]
    assert node_parts[3:] == [("ovn-node1", {account: "a.new.token"})]


def test_filters_are_loaded_once(tmp_path):
    """Protects against filters that the process of each host and task loads again, with all that they import: it takes
    longer than most tasks. What the play's own process has loaded is in all of them."""
    callback = CALLBACK.replace("import json, os", "import json, os, sys").replace("host.get_name()", LOADED)
    (tmp_path / "processes.py").write_text(callback, encoding="utf-8")
    (tmp_path / "hosts.yml").write_text(INVENTORY, encoding="utf-8")
    written = tmp_path / "processes"
    environment = {"ANSIBLE_CALLBACK_PLUGINS": str(tmp_path), "PROCESSES": str(written)}
    done = subprocess.run(
        ["ansible-playbook", "-i", str(tmp_path / "hosts.yml"), "ovn.kubernetes.validate"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert list(map(json.loads, written.read_text().splitlines()[-2:])) == [[True, "fail"], [True, "debug"]]
