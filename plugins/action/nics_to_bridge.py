# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of nics_to_bridge: plan, begin, connect again, confirm."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from typing import TYPE_CHECKING

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.ovn.kubernetes.plugins.lookup.runtime import LookupModule as Runtime
from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.outcome import Outcome, not_kept
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.reachability import NO_PROOF
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._actions import call_module, run_action

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Values = dict[str, Any]

MODULE = "ovn.kubernetes.nics_to_bridge"
UNIT = "ovn-k8s-host.service"
UNIT_FILE = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))), "roles", "node", "files", UNIT
)
DEFAULT_TIMEOUT = 30  # seconds, of the option rollback_timeout
END_TIMEOUT = 30  # seconds beyond the time-out in which a host that takes a change back is asked for its outcome
CONNECT_PAUSE = 0.5  # seconds between two tries to connect
KEEPALIVE = "-o ServerAliveInterval=3 -o ServerAliveCountMax=3"  # a connection that the change breaks must not hang

FAILED = {"failed": True, "error_code": HostError.code}


class ActionModule(ActionBase):
    """One task for the user; several phases of the module."""

    def run(self, tmp: str | None = None, task_vars: Values | None = None) -> Values:
        """Run the task."""
        result: Values = super().run(tmp, task_vars)
        if self._task.async_val:
            raise AnsibleActionFail("nics_to_bridge can't run with async: it must connect again and confirm")
        self._task_vars = task_vars
        self._args: Values = {key: value for key, value in self._task.args.items() if not key.startswith("_")}
        self._change_id = uuid.uuid4().hex
        network = self._network = self._task.args.get("_network") or {}  # planned by the host already
        planned = {} if network else self._phase("plan")
        if not network and (planned.get("failed") or not planned.get("changed") or self._task.check_mode):
            return {**result, **planned}
        failure = None if network.get("installed") else self._install_programs()
        if failure:
            return failure
        with self._keepalive():
            changed = self._change(planned)
        # A change that did not begin, or that nothing could have proven, says nothing of the networks.
        was_cut_off = changed.get("outcome", "unknown") != "unknown" and NO_PROOF not in changed.get("msg", "")
        if network and changed.get("failed") and was_cut_off:
            destinations = ", ".join(route["destination"] for route in network["routes"])
            changed["msg"] += f"; the way to this host needs a part of {destinations}: choose networks that are free"
        return {**result, **changed}

    def _install_programs(self) -> Values | None:
        """Install what takes a change back, also after a boot. Return the result of what failed."""
        for installed in (
            self._copy(Runtime().run([])[0], names.ARCHIVE, "0755"),
            self._copy(UNIT_FILE, f"/etc/systemd/system/{UNIT}", "0644"),
            self._module("ansible.legacy.systemd", {"name": UNIT, "enabled": True, "daemon_reload": True}),
        ):
            if installed.get("failed"):
                reason = installed.get("msg")
                return {**installed, "msg": f"the programs that take a change back can't be installed: {reason}"}
        return None

    def _change(self, planned: Values) -> Values:
        """Begin the change, and bring it to its end."""
        begun: Values = {}
        answered = False
        deadline = time.monotonic() + int(self._args.get("rollback_timeout", DEFAULT_TIMEOUT)) + END_TIMEOUT
        with contextlib.suppress(AnsibleConnectionFailure):
            begun = self._phase("begin")
            answered = True
        if answered and (begun.get("failed") or not begun.get("changed")):
            return begun
        seen: Values = {}
        unproven: str | None = None
        is_applied = False
        while time.monotonic() < deadline:
            try:
                self._disconnect()
                seen = self._phase("confirm" if is_applied else "look")
            except AnsibleConnectionFailure:
                seen, is_applied = {}, False
                time.sleep(CONNECT_PAUSE)
                continue
            if seen.get("failed"):
                return {**planned, **seen}
            unproven = seen.get("unproven") or unproven
            if seen["outcome"] in ("confirmed", "undone", "unknown") or seen.get("left"):
                break
            # Only a connection that was made after all was done may confirm: so one that has seen it done does not
            # count. Whether it proves anything, the host knows.
            is_applied = seen["outcome"] == "applied"
            if seen.get("unproven"):
                time.sleep(CONNECT_PAUSE)
        return {**(begun or planned), "outcome": seen.get("outcome"), **self._verdict(seen, unproven)}

    def _verdict(self, seen: Values, unproven: str | None) -> Values:
        """Return what the outcome means for the task.

        :param seen: the result of the last phase; empty: the host could not be reached.
        :param unproven: why the host did not take a confirmation.
        """
        nics, state = ", ".join(planned_nics(self._args)), seen.get("outcome")
        if state == "confirmed":
            return {"changed": True}
        if state == "unknown":
            text = f"{nics}: the change did not begin, since the connection broke before: run it again"
            return {**FAILED, "changed": False, "msg": text}
        if state:
            text = not_kept(nics, Outcome(state, seen.get("reason"), seen.get("left"), unproven))
            return {**FAILED, "changed": state != "undone", "msg": text}
        text = (
            f"{nics}: the host can't be reached since the change began; it takes the change back by itself when it is "
            f"not confirmed: look at journalctl -u {names.UPLINKS_UNIT} there"
        )
        return {**FAILED, "changed": True, "msg": text}

    def _phase(self, phase: str) -> Values:
        """Run one phase of the module on the host."""
        said = {"phase": phase, "change_id": self._change_id, "network": self._network}
        return call_module(self, MODULE, self._args, self._task_vars, **said)

    def _module(self, name: str, arguments: Values) -> Values:
        result: Values = self._execute_module(module_name=name, module_args=arguments, task_vars=self._task_vars)
        return result

    def _copy(self, source: str, target: str, mode: str) -> Values:
        """Run the action copy."""
        return run_action(self, "ansible.legacy.copy", {"src": source, "dest": target, "mode": mode}, self._task_vars)

    def _disconnect(self) -> None:
        """Close the connection. The next phase makes a new one."""
        with contextlib.suppress(AttributeError):  # some connection plugins have no reset
            self._connection.reset()

    @contextlib.contextmanager
    def _keepalive(self) -> Iterator[None]:
        """Let ssh notice within seconds that its connection is dead."""
        if self._connection.transport != "ssh":
            yield
            return
        own = self._connection.get_option("ssh_extra_args")
        self._connection.set_option("ssh_extra_args", " ".join(filter(None, [own, KEEPALIVE])))
        try:
            yield
        finally:
            self._connection.set_option("ssh_extra_args", own)


def planned_nics(arguments: Values) -> list[str]:
    """Return the NICs of the task, as a list."""
    nics = arguments.get("nics") or []
    return [nics] if isinstance(nics, str) else list(nics)
