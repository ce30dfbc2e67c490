# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What each task of a playbook costs the controller: one line of JSON a task, in the file that TASK_COSTS names."""

from __future__ import annotations

import json
import os
import resource
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: task_costs
type: aggregate
short_description: What each task costs the controller
description: One line of JSON a task, in the file that the environment's TASK_COSTS names.
"""


def used():
    """Core-seconds of this process, and of its children that have ended."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in (own, children))


class CallbackModule(CallbackBase):
    """Count between the starts of tasks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_costs"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self._task = {"name": "start", "action": "start", "hosts": 0, "skipped": 0}
        self._began = time.monotonic(), 0.0

    def _next(self, name, action):
        now = time.monotonic(), used()
        seconds, cores = (new - old for new, old in zip(now, self._began))
        with open(os.environ["TASK_COSTS"], "a", encoding="utf-8") as file:
            file.write(json.dumps({**self._task, "seconds": seconds, "cores": cores}) + "\n")
        self._began = now
        self._task = {"name": name, "action": action, "hosts": 0, "skipped": 0}

    def v2_playbook_on_play_start(self, play):
        self._next(play.get_name(), "play")

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._next(task.get_name(), task.action)

    def v2_runner_on_start(self, host, task):
        self._task["hosts"] += 1

    def v2_runner_on_skipped(self, result):
        self._task["skipped"] += 1

    def v2_playbook_on_stats(self, stats):
        self._next("end", "end")
