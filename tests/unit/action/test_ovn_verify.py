# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the table of verify: a host that can't be reached or whose module fails is a result, and no failure."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.ovn.kubernetes.plugins.action import ovn_verify
from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.argument_spec import OVN_VERIFY
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify.digest import digest


@pytest.fixture
def task(monkeypatch):
    """task(answer, arguments) runs the plugin; it returns its result, and the module's name and arguments."""

    def run(answer, **arguments):
        called = []
        monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
        action = ovn_verify.ActionModule.__new__(ovn_verify.ActionModule)
        action._task = SimpleNamespace(args=arguments)

        def module(module_name, module_args, task_vars):
            called.append((module_name, module_args))
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(action, "_execute_module", module, raising=False)
        return action.run(task_vars={}), called[0]

    return run


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (AnsibleConnectionFailure("no route"), {"changed": False, "unreached": "no route"}),
        ({"unreachable": True, "msg": "no route"}, {"changed": False, "unreached": "no route"}),
        ({"failed": True, "msg": "no\npython"}, {"changed": False, "problem": "no python"}),
        (
            {"failed": True, "msg": "MODULE FAILURE", "module_stderr": "Traceback\n  line\nMemoryError: x\n"},
            {"changed": False, "problem": "MODULE FAILURE: MemoryError: x"},
        ),
        ({"changed": True, "findings": []}, {"changed": False, "findings": []}),
    ],
)
def test_nothing_is_a_failure_or_a_change(task, answer, result):
    """Protects the run's output: what is wrong is in the table, once, and verify changes nothing."""
    assert task(answer)[0] == result


@pytest.mark.parametrize(
    ("phase", "module"),
    [
        ("facts", "ovn.kubernetes.ovn_facts"),
        ("overlay", "ovn.kubernetes.ovn_info"),
        ("host", "ovn.kubernetes.ovn_verify"),
    ],
)
def test_each_phase_runs_its_module(task, phase, module):
    assert task({}, phase=phase)[1][0] == module


def test_kubernetes_nodes_are_read_with_the_overlay(task):
    """Protects the comparison of names with those of Kubernetes' nodes."""
    assert task({}, phase="overlay", server="s", token="t")[1][1] == {"server": "s", "token": "t"}
    assert task({}, phase="overlay")[1][1] == {}


@pytest.mark.parametrize("content", ['{\n    "a": null,\n    "b": [1]\n}\n', {"b": [1], "a": None}])
def test_objects_of_json_are_compared_by_their_values(task, content):
    """Protects verify with versions of Ansible that write a text of JSON as they like."""
    _result, (_module, arguments) = task({}, files=[{"path": "/etc/a", "content": content}])
    assert arguments["files"][0]["sha256"] == digest('{"a": null, "b": [1]}') != digest('{"a": null, "b": [2]}')


def test_contents_become_checksums(task):
    """Protects the size of the call, and what is in the files: the host gets a checksum."""
    files = [{"path": "/etc/a", "content": "text"}, {"path": "/etc/b", "sha256": "1"}]
    _result, (_module, arguments) = task({}, files=files)
    assert arguments["files"] == [
        {"path": "/etc/a", "sha256": "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"},
        {"path": "/etc/b", "sha256": "1"},
    ]
    assert set(arguments["files"][0]) <= set(OVN_VERIFY["argument_spec"]["files"]["options"])
