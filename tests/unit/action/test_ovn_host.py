# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the controller's part of ovn_host: NICs are moved within the task, and the module goes on after each
move."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.ovn.kubernetes.plugins.action import ovn_host
from ansible_collections.ovn.kubernetes.plugins.action.ovn_host import ActionModule

MOVE = {"nics": ["eth0"], "state": "present", "used_by": "node", "datapath_type": "netdev"}
MOVED = {"changed": True, "bridges": {"eth0": "breth0"}, "plan": ["move"]}
ASKS = {"changed": True, "moves": [MOVE], "waits": True, "found": [], "plan": ["row"]}
DONE = {"changed": False, "moves": [], "waits": False, "found": ["x.service"], "plan": []}


@pytest.fixture
def task(monkeypatch):
    """A function that runs the plugin with results of the module; the result and what was run, in order."""

    def run(modules, moved=None, check=False):
        moved = moved or MOVED
        done, answers = [], list(modules)
        monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
        action = ActionModule.__new__(ActionModule)
        action._task = SimpleNamespace(args={"open_vswitch": "unix:x"}, check_mode=check, environment=[])
        monkeypatch.setattr(
            action, "_execute_module", lambda **_: done.append("module") or dict(answers.pop(0)), raising=False
        )

        def move(within, name, arguments, task_vars):
            done.append(arguments)
            return dict(moved)

        monkeypatch.setattr(ovn_host, "run_action", move)
        return action.run(task_vars={}), done

    return run


def test_one_call_where_no_nic_moves(task):
    answer, done = task([DONE])
    assert done == ["module"] and answer["found"] == ["x.service"] and not answer["changed"]


def test_the_module_goes_on_after_a_move(task):
    """Protects the result: both calls and the move are in it, and what the last call says holds."""
    answer, done = task([ASKS, DONE])
    assert done == ["module", dict(MOVE, open_vswitch="unix:x"), "module"]
    assert answer["changed"] and answer["plan"] == ["row", "move"] and not answer["waits"]
    assert "bridges" not in answer


def test_check_mode_calls_the_module_once(task):
    """Protects the plan of check mode from showing everything twice."""
    answer, done = task([ASKS], check=True)
    assert done == ["module", dict(MOVE, open_vswitch="unix:x")] and answer["plan"] == ["row", "move"]


def test_a_move_or_a_module_that_fails_is_the_end(task):
    answer, done = task([ASKS], moved={"failed": True, "msg": "taken back", "changed": False, "bridges": {}})
    assert len(done) == 2 and answer["failed"] and answer["msg"] == "taken back"
    answer, done = task([{"failed": True, "msg": "no", "moves": [MOVE]}])
    assert done == ["module"] and answer["failed"]


def test_a_move_that_did_not_help_is_an_error(task):
    """Protects the task from going round for ever."""
    answer, done = task([ASKS, ASKS])
    assert done == ["module", dict(MOVE, open_vswitch="unix:x"), "module"]
    assert answer["failed"] and answer["msg"].startswith("eth0: moved, and this host still asks for the move")


def test_addresses_and_routes_are_confirmed_within_the_task(task):
    """Protects a host that its routes may cut off: the module leaves them out, and goes on once they are confirmed."""
    network = {"nics": ["k8s-n1"], "state": "present", "used_by": "node", "_network": {"link": "k8s-n1"}}
    asks = dict(ASKS, moves=[network])
    answer, done = task([asks, DONE], moved={"changed": True, "bridges": {}, "plan": ["route"]})
    assert done == ["module", dict(network, open_vswitch="unix:x"), "module"]
    assert answer["changed"] and answer["plan"] == ["row", "route"] and not answer["waits"]
    answer, done = task([asks, asks])
    assert answer["failed"] and answer["msg"].startswith("k8s-n1: changed, and this host still asks for the change")
