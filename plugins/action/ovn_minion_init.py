# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of ovn_minion_init and ovn_master_init: it moves the NICs of tunnels as nics_to_bridge does.

The module changes no NIC. Its result has the NICs that must be moved.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

MOVE = "ovn.kubernetes.nics_to_bridge"
Result = dict[str, t.Any]


class ActionModule(ActionBase):
    """Run the module, and then move NICs."""

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        """Return one result of all that was done. What comes after a failure is left out."""
        result = super().run(tmp, task_vars)
        self._task_vars = task_vars
        # The module is first in any case: it checks everything before anything is changed.
        done: list[Result] = [self._execute_module(module_args=self._task.args, task_vars=task_vars)]
        if not done[0].get("failed") and self._moves():
            for nics, state, datapath_type in self._changes(done[0]):
                done.append(self._move(nics, state, datapath_type))
                if done[-1].get("failed"):
                    break
        return dict(result, **merged(done))

    def _moves(self) -> bool:
        """Return whether NICs are moved: not for rows alone, which need no node name or have a part of their own."""
        args = self._task.args
        return (
            bool(args.get("node_name"))
            and args.get("part", "all") != "northbound"
            and boolean(args.get("move_underlay", True), strict=False)
        )

    def _changes(self, module: Result) -> Iterable[tuple[list[str], str, str | None]]:
        """Yield the calls of nics_to_bridge: NICs, state and datapath."""
        if self._task.args.get("state", "present") == "absent":
            yield [], "absent", None
            return
        if module.get("underlay_nic"):
            yield [module["underlay_nic"]], "present", module["datapath_type"]
        if module.get("spare_nics"):
            yield module["spare_nics"], "absent", None

    def _move(self, nics: list[str], state: str, datapath_type: str | None) -> Result:
        """Run nics_to_bridge."""
        task = self._task.copy()
        args = {
            "nics": nics,
            "used_by": "node",
            "state": state,
            "datapath_type": datapath_type,
            "open_vswitch": self._task.args.get("open_vswitch"),
        }
        task.args = {name: value for name, value in args.items() if value is not None}
        action = self._shared_loader_obj.action_loader.get(
            MOVE,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        moved: Result = action.run(task_vars=self._task_vars)
        return moved


def merged(results: list[Result]) -> Result:
    """Return one result of the module and of moves, in the order in which they ran."""
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
