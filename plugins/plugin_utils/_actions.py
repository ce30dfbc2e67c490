# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What action plugins have in common that run other ones within their task. Private to the collection."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.plugins.action import ActionBase

from ..module_utils._ansible.controller import environment

MOVE = "ovn.kubernetes.nics_to_bridge"
Result = dict[str, t.Any]


def run_action(within: ActionBase, name: str, arguments: Mapping[str, t.Any], task_vars: Result | None) -> Result:
    """Run another action plugin within a task, and return its result.

    :param arguments: those that are None are left out.
    """
    task = within._task.copy()
    task.args = {key: value for key, value in arguments.items() if value is not None}
    action = within._shared_loader_obj.action_loader.get(
        name,
        task=task,
        connection=within._connection,
        play_context=within._play_context,
        loader=within._loader,
        templar=within._templar,
        shared_loader_obj=within._shared_loader_obj,
    )
    result: Result = action.run(task_vars=task_vars)
    return result


def call_module(
    within: ActionBase, name: str | None, arguments: Mapping[str, t.Any], task_vars: Result | None, **said: t.Any
) -> Result:
    """Run a module for a task, by default the task's own.

    :param said: what the module is told beside its options.
    """
    task = within._task
    own = task.environment
    task.environment = [*(own or []), environment(said)]
    try:
        result: Result = within._execute_module(module_name=name, module_args=dict(arguments), task_vars=task_vars)
    finally:
        task.environment = own
    return result


def still_to_do(links: t.Iterable[str], is_move: bool) -> Result:
    """Return the failure of a change that a host asks for again after it succeeded.

    :param is_move: NICs were moved; else a link got addresses and routes.
    """
    names, done, change = ", ".join(links), *(("moved", "the move") if is_move else ("changed", "the change"))
    text = f"{names}: {done}, and this host still asks for {change}: look at what else configures it, and run it again"
    return {"failed": True, "msg": text, "error_code": "host"}


def merged(results: list[Result]) -> Result:
    """Return one result of a module and of moves of NICs, in the order in which they ran."""
    whole: Result = {}
    for result in results:
        # Facts about bridges are not in the module's result; errors of moves are.
        is_move = "bridges" in result
        kept = ("failed", "msg", "error_code")
        whole.update({name: result[name] for name in kept if name in result} if is_move else result)
    whole["changed"] = any(result.get("changed") for result in results)
    for name in ("plan", "warnings"):
        if any(name in result for result in results):
            whole[name] = [item for result in results for item in result.get(name) or []]
    if any("diff" in result for result in results):
        whole["diff"] = [result["diff"] for result in results if "diff" in result]
    return whole
