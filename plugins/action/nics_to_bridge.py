# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of nics_to_bridge: plan, begin, connect anew, confirm."""

from __future__ import annotations

import contextlib
import os
import time
import uuid

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.ovn.kubernetes.plugins.lookup.runtime import LookupModule as Runtime
from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names

MODULE = "ovn.kubernetes.nics_to_bridge"
UNIT = "ovn-k8s-host.service"
UNIT_FILE = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))), "roles", "node", "files", UNIT
)
BACK = 30  # seconds over the time-out in which a host that takes a change back is asked for its outcome
PAUSE = 0.5  # seconds between two tries to connect
KEEPALIVE = "-o ServerAliveInterval=3 -o ServerAliveCountMax=3"  # a connection that the change breaks must not hang


class ActionModule(ActionBase):
    """One task for the user; several turns of the module."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        if self._task.async_val:
            raise AnsibleActionFail("nics_to_bridge can't run with async: it must connect anew and confirm")
        self._task_vars = task_vars
        self._args = {key: value for key, value in self._task.args.items() if not key.startswith("_")}
        self._change = uuid.uuid4().hex
        planned = self._turn("plan")
        if planned.get("failed") or not planned.get("changed") or self._task.check_mode:
            return dict(result, **planned)
        for installed in (
            self._copy(Runtime().run([])[0], names.ARCHIVE, "0755"),
            self._copy(UNIT_FILE, "/etc/systemd/system/" + UNIT, "0644"),
            self._module("ansible.legacy.systemd", {"name": UNIT, "enabled": True, "daemon_reload": True}),
        ):
            if installed.get("failed"):
                return dict(
                    installed, msg="the programs that take a change back can't be installed: %s" % installed.get("msg")
                )
        with self._keepalive():
            return dict(result, **self._guarded(planned))

    def _guarded(self, planned):
        """Begin the change and bring it to its end."""
        begun, answered = {}, False
        deadline = time.monotonic() + int(self._args.get("rollback_timeout", 30)) + BACK
        with contextlib.suppress(AnsibleConnectionFailure):
            begun = self._turn("begin")
            answered = True
        if answered and (begun.get("failed") or not begun.get("changed")):
            return begun
        state, reason, waits = None, None, False
        while time.monotonic() < deadline:
            try:
                self._reset()
                seen = self._turn("confirm" if waits else "look")
            except AnsibleConnectionFailure:
                waits = False
                time.sleep(PAUSE)
                continue
            if seen.get("failed"):
                return dict(planned, **seen)
            state, reason = seen["outcome"], seen.get("reason")
            if state in ("confirmed", "undone", "unknown"):
                break
            # What confirms is a connection that was made after all was done, so one that has seen it done does not count.
            waits = state == "applied"
        return dict(begun or planned, outcome=state, **self._verdict(state, reason))

    def _verdict(self, state, reason):
        nics = ", ".join(planned_nics(self._args))
        if state == "confirmed":
            return {"changed": True}
        if state == "undone":
            return {
                "failed": True,
                "changed": False,
                "msg": "%s: the change was taken back, and the host has what it had before: %s" % (nics, reason),
            }
        if state == "unknown":
            return {
                "failed": True,
                "changed": False,
                "msg": "%s: the change did not begin, since the connection broke before: run it again" % nics,
            }
        return {
            "failed": True,
            "changed": True,
            "msg": "%s: the host can't be reached since the change began; it takes the change back by itself when it is "
            "not confirmed: look at journalctl -u %s there" % (nics, names.UPLINKS_UNIT),
        }

    def _turn(self, turn):
        return self._module(MODULE, dict(self._args, _turn=turn, _change=self._change))

    def _module(self, name, arguments):
        return self._execute_module(module_name=name, module_args=arguments, task_vars=self._task_vars)

    def _copy(self, source, target, mode):
        """Run the action copy."""
        task = self._task.copy()
        task.args = {"src": source, "dest": target, "mode": mode}
        action = self._shared_loader_obj.action_loader.get(
            "ansible.legacy.copy",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return action.run(task_vars=self._task_vars)

    def _reset(self):
        """Let go of the connection; the next turn makes a new one."""
        with contextlib.suppress(AttributeError):  # some connections have nothing to let go of
            self._connection.reset()

    @contextlib.contextmanager
    def _keepalive(self):
        """Let ssh notice within seconds when its connection is dead."""
        if self._connection.transport != "ssh":
            yield
            return
        before = self._connection.get_option("ssh_extra_args")
        self._connection.set_option("ssh_extra_args", " ".join(filter(None, [before, KEEPALIVE])))
        try:
            yield
        finally:
            self._connection.set_option("ssh_extra_args", before)


def planned_nics(arguments):
    """The NICs of the task, as a list."""
    nics = arguments.get("nics") or []
    return [nics] if isinstance(nics, str) else nics
