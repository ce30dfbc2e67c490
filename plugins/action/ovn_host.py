# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of ovn_host: it moves the NICs that the module names as nics_to_bridge does, confirms what else
may cut the host off, and goes on."""

from __future__ import annotations

import json
import typing as t

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
    """Run the module until no NIC is left to move."""

    def run(self, tmp: str | None = None, task_vars: Result | None = None) -> Result:
        """Return one result of all that was done. What comes after a failure is left out."""
        result: Result = super().run(tmp, task_vars)
        self._task_vars = task_vars
        arguments = with_texts(self._task.args)
        done: list[Result] = []
        moved: list[Result] = []
        while True:
            done.append(call_module(self, None, arguments, task_vars, defer=True))
            moves = [] if done[-1].get("failed") else done[-1].get("moves") or []
            again = [move for move in moves if move in moved]
            if again:
                done.append(still_to_do((nic for move in again for nic in move["nics"]), "_network" not in again[0]))
            if not moves or again:
                return dict(result, **merged(done))
            for move in moves:
                moved.append(move)
                done.append(self._move(move))
                if done[-1].get("failed"):
                    return dict(result, **merged(done))
            if self._task.check_mode:
                return dict(result, **merged(done))

    def _move(self, move: Result) -> Result:
        """Run nics_to_bridge."""
        return run_action(self, MOVE, dict(move, open_vswitch=self._task.args.get("open_vswitch")), self._task_vars)


def with_texts(arguments: t.Mapping[str, t.Any]) -> Result:
    """Return the arguments with the files' contents as text: before ansible-core 2.19 a template's JSON text becomes a
    dictionary."""
    files = [
        {
            key: json.dumps(value, sort_keys=True) if key == "content" and isinstance(value, dict) else value
            for key, value in file.items()
        }
        for file in arguments.get("files") or []
    ]
    return {**arguments, "files": files}
