# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of ovn_minion_init and ovn_master_init: it moves the NICs of tunnels as nics_to_bridge does,
and confirms in the same way what else may cut the host off.

The module changes neither. Its result has the NICs that must be moved, and the addresses and routes to confirm.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.ovn.kubernetes.plugins.plugin_utils._actions import (
    MOVE,
    call_module,
    merged,
    run_action,
    still_to_do,
)

Result = dict[str, t.Any]


class ActionModule(ActionBase):
    """Run the module, and then move NICs."""

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        """Return one result of all that was done. What comes after a failure is left out."""
        result = super().run(tmp, task_vars)
        self._task_vars = task_vars
        # The module is first in any case: it checks everything before anything is changed.
        done: list[Result] = []
        while not done or self._confirms(done):
            done.append(call_module(self, None, self._task.args, task_vars, defer=True))
        if not done[-1].get("failed") and self._moves():
            for nics, state, datapath_type in self._changes(done[-1]):
                done.append(self._move(nics, state, datapath_type))
                if done[-1].get("failed"):
                    break
        return dict(result, **merged(done))

    def _confirms(self, done: list[Result]) -> bool:
        """Confirm what the module has left out because it may cut the host off; return whether to call it again."""
        network = None if done[-1].get("failed") else done[-1].pop("network", None)
        if not network:
            return False
        if any("bridges" in result for result in done):
            done.append(still_to_do([network["link"]], is_move=False))
            return False
        args = {"nics": [network["link"]], "used_by": "node", "_network": network}
        args["open_vswitch"] = self._task.args.get("open_vswitch")
        done.append(run_action(self, MOVE, args, self._task_vars))
        return not done[-1].get("failed")

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
        args = {
            "nics": nics,
            "used_by": "node",
            "state": state,
            "datapath_type": datapath_type,
            "open_vswitch": self._task.args.get("open_vswitch"),
        }
        return run_action(self, MOVE, args, self._task_vars)
