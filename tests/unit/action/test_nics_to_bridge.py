# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the phases in which nics_to_bridge is one task: only a connection that was made after the change confirms
it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.ovn.kubernetes.plugins.action import nics_to_bridge
from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.argument_spec import NICS_TO_BRIDGE

BROKEN = AnsibleConnectionFailure("the connection broke")
PLANNED = {"changed": True, "plan": ["move"]}


def outcome(state, reason=None):
    return {"changed": False, "outcome": state, "reason": reason}


@pytest.fixture
def task(monkeypatch):
    """task(results, check=False) runs the plugin with a result, or an error, of each phase.

    It returns the result of the task and the phases that were run.
    """

    def run(results, check=False):
        left, phases, identities = list(results), [], set()
        monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
        monkeypatch.setattr(nics_to_bridge, "CONNECT_PAUSE", 0)
        action = nics_to_bridge.ActionModule.__new__(nics_to_bridge.ActionModule)
        action._task = SimpleNamespace(args={"nics": ["eth0"]}, async_val=0, check_mode=check)
        action._connection = SimpleNamespace(transport="local", reset=lambda: None)
        monkeypatch.setattr(action, "_copy", lambda *_arguments: {}, raising=False)

        def module(module_name, module_args, task_vars):
            if module_name != nics_to_bridge.MODULE:
                return {}
            assert module_args["_phase"] in NICS_TO_BRIDGE["argument_spec"]["_phase"]["choices"]
            assert set(module_args) <= set(NICS_TO_BRIDGE["argument_spec"])
            phases.append(module_args["_phase"])
            identities.add(module_args["_change_id"])
            result = left.pop(0)
            if isinstance(result, Exception):
                raise result
            return dict(result)

        monkeypatch.setattr(action, "_execute_module", module, raising=False)
        answer = action.run(task_vars={})
        assert len(identities) == 1 and not left
        return answer, phases

    return run


def test_the_connection_that_saw_the_change_done_does_not_confirm_it(task):
    """Protects the host: the confirmation comes over a connection that was made after all was done."""
    answer, phases = task([PLANNED, PLANNED, outcome("applying"), outcome("applied"), outcome("confirmed")])
    assert phases == ["plan", "begin", "look", "look", "confirm"]
    assert answer["changed"] and answer["outcome"] == "confirmed" and "failed" not in answer


def test_a_broken_connection_is_made_again(task):
    """Protects a change of the NIC that carries the connection: it may break at any phase, and the task goes on."""
    results = [PLANNED, BROKEN, BROKEN, outcome("applied"), BROKEN, outcome("applied"), outcome("confirmed")]
    answer, phases = task(results)
    assert phases == ["plan", "begin", "look", "look", "confirm", "look", "confirm"]
    assert answer["changed"] and answer["outcome"] == "confirmed"


def test_a_change_that_was_taken_back_fails(task):
    """Protects the user: the task fails, has changed nothing, and says why, also for programs."""
    answer, _phases = task([PLANNED, PLANNED, outcome("undone", "nobody confirmed")])
    assert (answer["failed"], answer["changed"], answer["error_code"]) == (True, False, "host")
    assert answer["msg"].endswith("the host has what it had before: nobody confirmed")


@pytest.mark.parametrize(
    ("results", "check"), [([{"changed": False}], False), ([PLANNED], True), ([{"failed": True, "msg": "no"}], False)]
)
def test_nothing_is_begun(task, results, check):
    """Protects hosts where nothing differs, check mode, and hosts that refuse the change."""
    assert task(results, check)[1] == ["plan"]
