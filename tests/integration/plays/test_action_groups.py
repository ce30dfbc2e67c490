# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects module_defaults for our groups of modules: what is set there reaches each module of the group, and breaks
none outside it."""

from __future__ import annotations

import json

import ansible_cores
import pytest

NORTHBOUND, SECONDS, SERVER = "unix:/nowhere/nb.sock", 3, "http://127.0.0.1:1"
DEFAULTS = {
    "group/ovn.kubernetes.ovn": {"northbound": NORTHBOUND, "timeout": SECONDS},
    "group/ovn.kubernetes.kubernetes": {"server": SERVER, "token": "a.token"},
}
# Module -> the options without which it does nothing. All fail: nobody listens there.
OVN = {
    "ovn_gateway": {"part": "northbound", "node_name": "node1", "state": "absent"},
    "ovn_info": {"database_file": "/etc/passwd"},
    "ovn_master_init": {"part": "northbound", "state": "absent"},
    "ovn_minion_init": {"part": "northbound", "node_name": "node1", "state": "absent"},
}
KUBERNETES = {
    "ovn_kubernetes_access": {"nodes": ["node1"]},
    "ovn_kubernetes_token": {"accounts": ["ovn-k8s-watcher"]},
}
OTHERS = {"nics_to_bridge": {"nics": ["nowhere0"]}, "ovn_verify": {"settings": {}}}


def play(modules, to_file):
    """Return a play that writes what its modules returned into a file."""
    tasks = [
        {
            "name": f"Run {name} with the defaults of its groups",
            f"ovn.kubernetes.{name}": options,
            "register": f"result_{name}",
            "ignore_errors": True,
            "check_mode": name == "nics_to_bridge",
        }
        for name, options in modules.items()
    ]
    save = {
        "name": "Save the results",
        "ansible.builtin.copy": {"content": "{{ results | to_json }}", "dest": str(to_file)},
        "vars": {"results": {name: "{{ " + f"result_{name}" + " }}" for name in modules}},
    }
    return {
        "name": "Use the defaults of groups",
        "hosts": "localhost",
        "gather_facts": False,
        "module_defaults": DEFAULTS,
        "tasks": [*tasks, save],
    }


@pytest.mark.timeout(1800)  # it may install a core
@pytest.mark.parametrize("core", ["oldest", "newest"])
def test_the_defaults_of_a_group_reach_its_modules_and_no_other(core, tmp_path):
    """Protects plays that say once where the databases and the API server are: on the oldest and the newest core."""
    saved, playbook = tmp_path / "results.json", tmp_path / "play.yml"
    playbook.write_text(json.dumps([play({**OVN, **KUBERNETES, **OTHERS}, saved)]), encoding="utf-8")
    code, said = ansible_cores.run_play(core, playbook)
    assert code == 0 and "Unsupported parameters" not in said, said
    assert "missing required arguments" not in said, said  # the server
    results = json.loads(saved.read_text(encoding="utf-8"))
    assert [name for name in OVN if NORTHBOUND not in results[name]["msg"]] == [], results
    assert [name for name in KUBERNETES if SERVER not in results[name]["msg"]] == [], results
