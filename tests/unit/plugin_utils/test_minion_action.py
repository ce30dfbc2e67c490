# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the order in which ovn_minion_init and ovn_master_init are one task: the module first, NICs only after it
succeeded."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import yaml
from ansible.plugins.action import ActionBase

from ansible_collections.ovn.kubernetes.plugins.action import ovn_minion_init
from ansible_collections.ovn.kubernetes.plugins.action.ovn_minion_init import ActionModule

from ..test_roles import ROLES

CURRENT = {"changed": False, "underlay_nic": "eth0", "datapath_type": "netdev", "spare_nics": ["eth7"], "plan": ["row"]}


@pytest.fixture
def task(monkeypatch):
    """A function that runs the plugin with results of the module and of each move; it returns the result and what was
    run, in order."""

    def run(arguments, module, *moves):
        done, answers = [], list(moves)
        monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
        action = ActionModule.__new__(ActionModule)
        action._task = SimpleNamespace(args=arguments, environment=[])
        monkeypatch.setattr(action, "_execute_module", lambda **_: done.append("module") or dict(module), raising=False)

        def move(nics, state, datapath_type):
            done.append((nics, state, datapath_type))
            return answers.pop(0) if answers else {"changed": True, "bridges": {}, "plan": ["move"]}

        monkeypatch.setattr(action, "_move", move, raising=False)
        return action.run(task_vars={}), done

    return run


def test_a_node_is_added(task):
    """Protects a new node: the NIC that the module names is moved, and one that the node does not need any more is
    given back."""
    answer, done = task({"node_name": "n1"}, CURRENT)
    assert done == ["module", (["eth0"], "present", "netdev"), (["eth7"], "absent", None)]
    assert answer["changed"] and answer["plan"] == ["row", "move", "move"] and answer["underlay_nic"] == "eth0"


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_module_that_fails_moves_nothing(task, state):
    """Protects the tunnels of a node whose task can't work: a misspelt option, a database that can't be reached."""
    answer, done = task({"node_name": "n1", "state": state}, {"failed": True, "msg": "no"})
    assert done == ["module"] and answer["failed"] and answer["msg"] == "no"


def test_a_node_is_removed(task):
    """Protects the order of a removal: the module, which may refuse it, is first, and the NIC is given back last."""
    assert task({"node_name": "n1", "state": "absent"}, {"changed": True})[1] == ["module", ([], "absent", None)]


@pytest.mark.parametrize(
    "arguments",
    [
        {"state": "absent"},
        {"node_name": "n1", "part": "northbound"},
        {"node_name": "n1", "move_underlay": False},
        {"node_name": "n1", "move_underlay": "no"},
    ],
)
def test_tasks_that_move_no_nic(task, arguments):
    """Protects NICs of nodes that stay: the task is about rows alone, or the user moves NICs himself."""
    assert task(arguments, CURRENT)[1] == ["module"]


def test_a_move_that_fails(task):
    """Protects the user against a result that hides the failure, and the other NIC."""
    answer, done = task(
        {"node_name": "n1"}, CURRENT, {"failed": True, "msg": "rolled back", "changed": False, "bridges": {}}
    )
    assert len(done) == 2 and answer["failed"] and answer["msg"] == "rolled back" and not answer["changed"]


def test_ovn_master_init_is_the_same_task():
    """Protects the master's NIC, which would silently stay out of its bridge without the redirection."""
    runtime = yaml.safe_load((ROLES.parent / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert runtime["plugin_routing"]["modules"]["ovn_master_init"]["action_plugin"] == "ovn.kubernetes.ovn_minion_init"


def test_what_may_cut_the_host_off_is_confirmed_first(task, monkeypatch):
    """Protects the host: the module leaves addresses and routes out, and is called again once they are confirmed."""
    network, calls = {"link": "k8s-n1"}, []

    def confirm(within, name, arguments, task_vars):
        calls.append(arguments)
        modules["network"] = None
        return {"changed": True, "bridges": {}, "plan": ["route"]}

    modules = dict(CURRENT, network=network)
    monkeypatch.setattr(ovn_minion_init, "run_action", confirm)
    answer, done = task({"node_name": "n1"}, modules)
    assert [call["_network"] for call in calls] == [network]
    assert done == ["module", "module", (["eth0"], "present", "netdev"), (["eth7"], "absent", None)]
    assert answer["plan"] == ["row", "route", "row", "move", "move"] and not answer.get("network")
