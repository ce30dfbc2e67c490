# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of ovn_verify: a host that can't be reached, or whose module fails, is a result like any other.

So Ansible shows no failure of a single host, and the table at the end has all of them.
"""

from __future__ import annotations

import json
import time
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.ovn.kubernetes.plugins.module_utils._verify.digest import digest
from ansible_collections.ovn.kubernetes.plugins.plugin_utils import _advisories

Result = dict[str, t.Any]


class ActionModule(ActionBase):
    """Run one phase on one host."""

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        """Return the phase's result, or ``unreached`` or ``problem`` with a text."""
        result: Result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        module, arguments = call(arguments.get("phase", "host"), arguments)
        began = time.time()
        try:
            answer = self._execute_module(module_name=module, module_args=arguments, task_vars=task_vars)
            answer.update(skew(answer, began, time.time()))
        except AnsibleConnectionFailure as error:
            answer = {"unreachable": True, "msg": str(error)}
        except AnsibleError as error:
            answer = {"failed": True, "msg": str(error)}
        return {**result, **quiet(answer)}


def call(phase: str, arguments: Result) -> tuple[str, Result]:
    """Return the module that a phase runs, and its arguments."""
    if phase == "facts":
        return "ovn.kubernetes.ovn_facts", {}
    if phase == "overlay":
        return "ovn.kubernetes.ovn_info", {key: value for key, value in arguments.items() if key != "phase"}
    return "ovn.kubernetes.ovn_verify", {"advisories": _advisories.for_hosts(), **with_checksums(arguments)}


def skew(answer: Result, began: float, ended: float) -> Result:
    """Return by how many seconds a host's clock differs from the controller's, where the host has told it; a time in
    between is no difference."""
    own = ((answer.get("ansible_facts") or {}).get("ansible_ovn_kubernetes") or {}).get("certificates") or {}
    now = own.get("now")
    if not isinstance(now, (int, float)):
        return {}
    return {"clock_skew": min(now - began + 1, 0) + max(now - ended, 0)}  # the host tells whole seconds


def quiet(answer: Result) -> Result:
    """Return a module's result without what Ansible would show as a failure or a change."""
    said = str(answer.get("module_stderr") or "").strip().splitlines()[-1:]  # the error of a traceback
    text = ": ".join(filter(None, [" ".join(str(answer.get("msg") or "").split()), *said])) or "no result"
    if answer.get("unreachable"):
        return {"changed": False, "unreached": text}
    if answer.get("failed"):
        return {"changed": False, "problem": text}
    return {**answer, "changed": False}


def with_checksums(arguments: Result) -> Result:
    """Return the arguments with the SHA-256 of the files' contents instead of the contents."""
    files = []
    for file in arguments.get("files") or []:
        if file.get("absent"):
            continue
        rest = {key: value for key, value in file.items() if key not in ("content", "source")}
        if file.get("content") is not None:
            content = file["content"]
            rest["sha256"] = digest(content if isinstance(content, str) else json.dumps(content))
        files.append(rest)
    return {**arguments, "files": files}
