# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects users' own settings of Open vSwitch, from the difference that ovn_host finds to what openvswitch_db makes of
it, in a real Open vSwitch."""

from __future__ import annotations

import json
import os
import subprocess
from types import SimpleNamespace

import ansible_cores
import pytest
from database_server import PROGRAMS
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible import argument_spec, host
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError

IDLE = {"table": "Open_vSwitch", "record": ".", "column": "other_config", "key": "max-idle", "value": "30000"}
MACS = {"table": "Bridge", "record": "br-x", "column": "other_config", "key": "mac-table-size", "value": "4096"}
NAMES = {"max-idle": "Open_vSwitch . other_config:max-idle", "mac": "Bridge br-x other_config:mac-table-size"}
DEFAULTS = {name: option.get("default") for name, option in argument_spec.OVN_HOST["argument_spec"].items()}


@pytest.fixture
def vswitch(monkeypatch):
    """Open vSwitch with the bridge br-x, and a key of somebody else."""
    made = Vswitch()
    made.keep_here(monkeypatch.setattr)
    try:
        vsctl(made, "add-br", "br-x", "--", "set", "Bridge", "br-x", "datapath_type=netdev")
        vsctl(made, "set", "Open_vSwitch", ".", "other_config:n-handler-threads=1")
        yield made
    finally:
        made.remove()


def vsctl(vswitch, *words):
    """Run ovs-vsctl, which shares no code with us."""
    command = [PROGRAMS / "bin" / "ovs-vsctl", f"--db={vswitch.remote}", "--timeout=30", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def found(vswitch, *settings, check=False):
    """The plan of ovn_host, and the changes that it leaves to the role."""
    params = {**DEFAULTS, "open_vswitch": vswitch.remote, "openvswitch_settings": list(settings)}
    facts, plan = {}, []
    for result in host.converge_host(SimpleNamespace(params=params, check_mode=check), None, []):
        facts.update(result.facts)
        plan += [operation.describe() for operation in result.plan]
    return plan, facts["openvswitch_settings"]


def set_them(core, vswitch, changes, tmp_path):
    """Run the tasks with which a role sets them, or takes them back."""
    play = {
        "name": "Set users' own settings",
        "hosts": "localhost",
        "gather_facts": False,
        "module_defaults": {
            "openvswitch.openvswitch.openvswitch_db": {"database_socket": vswitch.remote},
            "ovn.kubernetes.ovn_host": {"open_vswitch": vswitch.remote},
        },
        "tasks": [
            {
                "name": "Set them",
                "ansible.builtin.include_role": {"name": "ovn.kubernetes.common", "tasks_from": "openvswitch"},
                "vars": {"common_openvswitch_changes": changes, "common_openvswitch_wanted": []},
            }
        ],
    }
    playbook = tmp_path / "play.yml"
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    path = f"{PROGRAMS / 'bin'}:{os.environ['PATH']}"
    code, said = ansible_cores.run_play(core, playbook, PATH=path)
    assert code == 0, said


@pytest.mark.timeout(1800)  # it may install a core
@pytest.mark.parametrize("core", ansible_cores.CORES)
def test_settings_come_and_go(core, vswitch, tmp_path):
    """Protects the whole way, in check mode, at the second run, when a line leaves the inventory, and at removal; what
    others have set stays."""
    file = vswitch.kept / "openvswitch.json"
    planned, _changes = found(vswitch, IDLE, MACS, check=True)
    assert planned[1:] == [
        f"{NAMES['max-idle']}: unset -> 30000",
        f"{NAMES['mac']}: unset -> 4096",
    ]
    assert not file.exists()

    plan, changes = found(vswitch, IDLE, MACS)
    assert plan == planned and file.exists()
    set_them(core, vswitch, changes, tmp_path)
    assert vsctl(vswitch, "get", "Open_vSwitch", ".", "other_config:max-idle") == '"30000"'
    assert vsctl(vswitch, "get", "Bridge", "br-x", "other_config:mac-table-size") == '"4096"'
    assert found(vswitch, IDLE, MACS) == ([], [])

    plan, changes = found(vswitch, IDLE)
    assert plan == [f"{NAMES['mac']}: 4096 -> unset"]
    set_them(core, vswitch, changes, tmp_path)
    assert vsctl(vswitch, "get", "Bridge", "br-x", "other_config") == "{}"
    assert found(vswitch, IDLE) == ([f"file {file}: change"], [])
    assert found(vswitch, IDLE) == ([], [])

    removed = [change.as_option() for change in vswitch.host().differing_settings([])]
    set_them(core, vswitch, removed, tmp_path)
    assert vsctl(vswitch, "get", "Open_vSwitch", ".", "other_config") == '{n-handler-threads="1"}'


def test_a_record_that_is_not_there(vswitch):
    """Protects against a misspelt bridge, whose setting would be left out; in check mode it may be made before."""
    wrong = {**MACS, "record": "br-y"}
    with pytest.raises(HostError, match="this host's Open vSwitch has no Bridge br-y: correct its name, or make it"):
        found(vswitch, wrong)
    assert len(found(vswitch, wrong, check=True)[1]) == 1


def test_a_setting_of_a_bridge_that_is_gone(vswitch):
    """Protects the removal of a bridge together with its setting: there is nothing to take back."""
    found(vswitch, MACS)
    vsctl(vswitch, "del-br", "br-x")
    assert found(vswitch)[1] == []
