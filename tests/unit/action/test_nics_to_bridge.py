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
from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible import controller
from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.argument_spec import NICS_TO_BRIDGE
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.reachability import NO_PROOF

BROKEN = AnsibleConnectionFailure("the connection broke")
PLANNED = {"changed": True, "plan": ["move"]}


def outcome(state, reason=None):
    return {"changed": False, "outcome": state, "reason": reason}


@pytest.fixture
def task(monkeypatch):
    """task(results, check=False) runs the plugin with a result, or an error, of each phase.

    It returns the result of the task and the phases that were run.
    """

    def run(results, check=False, **more):
        left, phases, identities = list(results), [], set()
        monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
        monkeypatch.setattr(nics_to_bridge, "CONNECT_PAUSE", 0)
        action = nics_to_bridge.ActionModule.__new__(nics_to_bridge.ActionModule)
        action._task = SimpleNamespace(args={"nics": ["eth0"], **more}, async_val=0, check_mode=check, environment=[])
        action._connection = SimpleNamespace(transport="local", reset=lambda: None)
        monkeypatch.setattr(action, "_copy", lambda *_arguments: {}, raising=False)

        def module(module_name, module_args, task_vars):
            if module_name != nics_to_bridge.MODULE:
                return {}
            assert set(module_args) <= set(NICS_TO_BRIDGE["argument_spec"])
            (environment,) = action._task.environment
            monkeypatch.setenv(controller.VARIABLE, environment[controller.VARIABLE])
            said = controller.said()
            phases.append(said["_phase"])
            identities.add(said["_change_id"])
            result = left.pop(0)
            if isinstance(result, Exception):
                raise result
            return dict(result)

        monkeypatch.setattr(action, "_execute_module", module, raising=False)
        answer = action.run(task_vars={})
        assert len(identities) == 1 and not left and action._task.environment == []
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


def test_what_the_host_does_not_take_for_a_proof_is_said(task):
    """Protects a host that is reached without its network: the task asks again, and says at the end what was silent."""
    unproven = outcome("applied") | {"unproven": "the router is silent"}
    answer, phases = task(
        [PLANNED, PLANNED, outcome("applied"), unproven, unproven, outcome("undone", "nobody confirmed")]
    )
    assert phases == ["plan", "begin", "look", "confirm", "confirm", "confirm"]
    assert answer["failed"] and answer["msg"].endswith("had before: nobody confirmed; the router is silent")


def test_what_could_not_be_rolled_back_is_said(task):
    """Protects the user against "the host has what it had before" where it has not, and against "can't be reached"."""
    left = outcome("undoing", "a step failed") | {"left": "file /etc/x: Read-only file system"}
    answer, _phases = task([PLANNED, PLANNED, left])
    assert answer["failed"] and answer["changed"]
    assert (
        "rolled back (a step failed), but for this: file /etc/x: Read-only file system; the host tries" in answer["msg"]
    )


@pytest.mark.parametrize(
    ("results", "check"), [([{"changed": False}], False), ([PLANNED], True), ([{"failed": True, "msg": "no"}], False)]
)
def test_nothing_is_begun(task, results, check):
    """Protects hosts where nothing differs, check mode, and hosts that refuse the change."""
    assert task(results, check)[1] == ["plan"]


NETWORK = {
    "link": "k8s-n1",
    "addresses": ["192.168.2.2/24"],
    "routes": [{"destination": "192.168.0.0/16", "via": "192.168.2.1"}],
    "replaces": ["k8s-n1"],
    "installed": True,
}


def test_addresses_and_routes_are_confirmed_like_moves(task):
    """Protects the host against routes that cut it off: what it has planned itself begins at once."""
    answer, phases = task([PLANNED, outcome("applied"), outcome("confirmed")], _network=NETWORK)
    assert phases == ["begin", "look", "confirm"] and answer["changed"]
    answer, phases = task([PLANNED, BROKEN, outcome("undone", "nobody confirmed")], _network=NETWORK)
    assert phases == ["begin", "look", "look"] and answer["failed"] and not answer["changed"]
    assert answer["msg"].endswith(
        "nobody confirmed; the way to this host needs a part of 192.168.0.0/16: choose networks that are free"
    )


@pytest.mark.parametrize(
    "results",
    [
        [{"failed": True, "msg": "another call works on this host's NICs just now"}],
        [PLANNED, outcome("applied"), outcome("applied") | {"unproven": NO_PROOF}, outcome("undone", "nobody")],
    ],
)
def test_networks_are_not_blamed_for_something_else(task, results):
    """Protects against "choose networks that are free" where another change goes on, or nothing can be proven, such as
    in a container."""
    answer, _phases = task(results, _network=NETWORK)
    assert answer["failed"] and "networks that are free" not in answer["msg"]
