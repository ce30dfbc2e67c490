# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects connections through gateways in the userspace datapath: a segment out of the window does not end them."""

from __future__ import annotations

import subprocess

from database_server import PROGRAMS, wait_for
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.apply import apply_steps, undo_steps
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import HostState
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.liberal_conntrack import LiberalConntrack
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.read import read_and_plan

DESIRED = HostState(companions=(LiberalConntrack(),))


def test_it_is_set_again_after_a_start(monkeypatch):
    """Protects the setting, which ovs-vswitchd forgets; and hosts without such a datapath, or without ovs-vswitchd."""
    vswitch = Vswitch()
    try:
        monkeypatch.setattr(names, "OPENVSWITCH_RUN_DIRECTORY", str(vswitch.directory))
        assert read_and_plan(DESIRED) == []
        vswitch.be_found()
        assert read_and_plan(DESIRED) == []
        command = ["ovs-vsctl", f"--db={vswitch.remote}", "add-br", "br0", "--", "set", "bridge", "br0"]
        subprocess.run([PROGRAMS / "bin" / command[0], *command[1:], "datapath_type=netdev"], check=True, timeout=20)
        for _start in range(2):
            steps = wait_for(lambda: read_and_plan(DESIRED), "the datapath")
            apply_steps(steps)
            assert read_and_plan(DESIRED) == []
            undo_steps(steps)
            assert read_and_plan(DESIRED) == steps
            apply_steps(steps)
            vswitch.daemon.kill()
            vswitch.daemon.wait(10)
            assert read_and_plan(DESIRED) == []
            vswitch.serve()
            vswitch.be_found()
    finally:
        vswitch.remove()
