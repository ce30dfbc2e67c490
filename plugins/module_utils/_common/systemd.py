# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Start transient services (systemd-run(1)): programs that outlive whoever asked for them
(org.freedesktop.systemd1(5)).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .dbus import call, read_property
from .errors import HostError
from .retry import Pause, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

SYSTEMD = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
USEC_PER_SEC = 1000000  # systemd's properties that end in USec
POLL = 0.1  # seconds between two queries for a unit
STOP_TIME = 60  # seconds for the command after the service's end
SIGKILL = 9
STARTS = 3  # attempts at a unit that other processes start too
RUNS = ("active", "activating", "reloading")  # states of a unit that runs, or will again; org.freedesktop.systemd1(5)


def wait_until_gone(unit: str, timeout: float) -> bool:
    """Wait until systemd does not know the unit any more.

    :param timeout: seconds.
    :returns: False when it still knows the unit at the end.
    """
    return wait_until(lambda: not is_loaded(unit), timeout, Pause(POLL))


def is_loaded(unit: str) -> bool:
    """Return whether systemd knows the unit: it runs, or is about to run again."""
    try:
        call(*SYSTEMD, "GetUnit", "s", (unit,))
    except HostError:
        return False
    return True


def is_booted() -> bool:
    """Return whether systemd is this host's init system (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def keep_running(
    unit: str, description: str, command: Sequence[str], confined: Sequence[tuple[str, tuple[str, Any]]] = ()
) -> bool:
    """Start a service that runs until its command ends without an error; after one systemd runs it again.

    :param command: the arguments; the program is an absolute path.
    :param confined: further properties of the unit, which say what it may do (systemd.exec(5)).
    :returns: False when it runs already: another process may start it at the same moment.
    :raises HostError: systemd refuses the unit.
    """
    properties = [
        ("Description", ("s", description)),
        ("Type", ("s", "exec")),
        ("ExecStart", _command(command)),
        ("Restart", ("s", "on-failure")),
        ("RestartUSec", ("t", USEC_PER_SEC)),
        ("StartLimitIntervalUSec", ("t", 0)),
        ("CollectMode", ("s", "inactive-or-failed")),
        *confined,
    ]
    for _attempt in range(STARTS):
        if is_loaded(unit):
            if _active_state(unit) in RUNS:
                return False
            wait_until_gone(unit, STOP_TIME)  # it is ending
        try:
            _start(unit, "fail", properties)
        except HostError:
            if not is_loaded(unit):
                raise
        else:
            return True
    raise HostError(f"{unit} was started and ended {STARTS} times by another process: see journalctl -u {unit}")


def start_unit(unit: str, description: str, command: Sequence[str], after: Sequence[str], limit: float) -> None:
    """Start a service: a command, and after its end, whatever that was, another one.

    When one of them fails or is killed, systemd runs both again, as often as needed.

    :param command: the arguments; the program is an absolute path.
    :param after: the same, for the command after it.
    :param limit: seconds after which systemd kills the command.
    :raises HostError: systemd does not run here, or refuses the unit.
    """
    if not is_booted():
        raise HostError(
            "systemd does not run on this host, and nothing else here can roll a change back "
            "when the connection is lost: run systemd"
        )
    properties = [
        ("Description", ("s", description)),
        ("Type", ("s", "exec")),
        ("ExecStart", _command(command)),
        ("ExecStopPost", _command(after)),
        ("RuntimeMaxUSec", ("t", int(limit * USEC_PER_SEC))),
        ("TimeoutStopUSec", ("t", STOP_TIME * USEC_PER_SEC)),
        ("KillSignal", ("i", SIGKILL)),  # at its limit the command hangs: no other signal ends it for sure
        ("Restart", ("s", "on-failure")),
        ("RestartUSec", ("t", USEC_PER_SEC // 2)),
        ("StartLimitIntervalUSec", ("t", 0)),
        ("CollectMode", ("s", "inactive-or-failed")),
        ("After", ("as", ["openvswitch-switch.service", "openvswitch.service", "ovs-vswitchd.service"])),
    ]
    _start(unit, "fail", properties)


def run_unit(unit: str, description: str, command: Sequence[str], timeout: float, kind: str = "oneshot") -> bool:
    """Run a command apart from this process, and wait for its end. Processes that it leaves in the background go on.

    Wait for an earlier run first: as long as one of its processes runs, systemd keeps the unit, and refuses another one
    of its name.

    :param timeout: seconds, for each of both.
    :param kind: systemd's type of the service, systemd.service(5); ``forking`` ends when the command is in the
        background.
    :returns: False when it has not ended in time.
    :raises HostError: systemd refuses the unit.
    """
    wait_until_gone(unit, timeout)
    properties = [
        ("Description", ("s", description)),
        ("Type", ("s", kind)),
        ("ExecStart", _command(command)),
        ("KillMode", ("s", "process")),
        ("CollectMode", ("s", "inactive-or-failed")),
    ]
    _start(unit, "replace", properties)
    return wait_until(lambda: _active_state(unit) != "activating", timeout, Pause(POLL / 2))


def _start(unit: str, mode: str, properties: list[tuple[str, tuple[str, Any]]]) -> None:
    named = ("SyslogIdentifier", ("s", unit.rpartition(".")[0]))  # else it is the interpreter's name
    call(*SYSTEMD, "StartTransientUnit", "ssa(sv)a(sa(sv))", (unit, mode, [named, *properties], []))


def _command(command: Sequence[str]) -> tuple[str, list[tuple[str, list[str], bool]]]:
    """Return the value of ExecStart= and the like: (program, arguments, whether a failure is ignored)."""
    return "a(sasb)", [(command[0], list(command), False)]


def _active_state(unit: str) -> str:
    path = call(*SYSTEMD, "LoadUnit", "s", (unit,))[0]
    return str(read_property(SYSTEMD[0], path, "org.freedesktop.systemd1.Unit", "ActiveState"))
