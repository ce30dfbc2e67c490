# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of ovn_minion_init and ovn_master_init: NICs that tunnels leave through are moved by the guarded change of nics_to_bridge.

The module itself leaves NICs alone, and says which are to be moved.
"""

from __future__ import annotations

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

MOVES = "ovn.kubernetes.nics_to_bridge"


class ActionModule(ActionBase):
    """One task for the user; the module, and after it moves of NICs."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        self._task_vars = task_vars
        args = self._task.args
        # The module is first either way: it looks at everything before anything is touched.
        done = [self._execute_module(module_args=args, task_vars=task_vars)]
        # Without a name it is about rows alone.
        moves = (
            args.get("node_name")
            and args.get("part", "all") != "northbound"
            and boolean(args.get("move_underlay", True), strict=False)
        )
        if moves and not _failed(done) and args.get("state", "present") == "absent":
            done.append(self._move([], False))
        elif moves and not _failed(done):
            learnt = done[0]
            if learnt.get("underlay_nic"):
                done.append(self._move([learnt["underlay_nic"]], True, learnt["datapath_type"]))
            if learnt.get("spare_nics") and not _failed(done):
                done.append(self._move(learnt["spare_nics"], False))
        return dict(result, **_together(done))

    def _move(self, nics, present, datapath_type=None):
        """Run nics_to_bridge."""
        task = self._task.copy()
        asked = {
            "nics": nics,
            "used_by": "node",
            "state": "present" if present else "absent",
            "datapath_type": datapath_type,
            "open_vswitch": self._task.args.get("open_vswitch"),
        }
        task.args = {key: value for key, value in asked.items() if value is not None}
        action = self._shared_loader_obj.action_loader.get(
            MOVES,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return action.run(task_vars=self._task_vars)


def _failed(done):
    return any(answer.get("failed") for answer in done)


def _together(done):
    """One answer of several, in the order in which they were given."""
    whole = {}
    for answer in done:
        # What moves tell of bridges is not the module's to tell; what failed is.
        whole.update(
            answer if "bridges" not in answer else {key: answer[key] for key in ("failed", "msg") if key in answer}
        )
    whole["changed"] = any(answer.get("changed") for answer in done)
    for lists in ("plan", "warnings"):
        if any(lists in answer for answer in done):
            whole[lists] = [one for answer in done for one in answer.get(lists) or []]
    if any("diff" in answer for answer in done):
        whole["diff"] = [answer["diff"] for answer in done if "diff" in answer]
    return whole
