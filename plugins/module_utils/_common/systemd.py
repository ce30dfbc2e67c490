# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs that systemd runs for us: they outlive whoever asked for them, and systemd looks after them (org.freedesktop.systemd1(5))."""

from __future__ import annotations

import os
import time

from .dbus import call, read_property
from .errors import HostError

SYSTEMD = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
SECOND = 1000000  # systemd counts microseconds
LOOK = 0.1  # seconds between two looks for a unit


def await_end(unit, patience):
    """Wait until systemd knows no such unit any more; :param patience: seconds, then it is left to whoever starts it anew."""
    deadline = time.monotonic() + patience
    while is_loaded(unit) and time.monotonic() < deadline:
        time.sleep(LOOK)


def is_loaded(unit):
    """Whether systemd knows the unit: it runs, or is about to run again."""
    try:
        call(*SYSTEMD, "GetUnit", "s", (unit,))
    except HostError:
        return False
    return True


def start_unit(unit, description, command, afterwards, limit):
    """Start a transient service that systemd keeps to its end: a command, and after it, however it ended, another one.

    As long as one of them fails or is killed, both run again.

    :param command, afterwards: lists of arguments; the program is an absolute path.
    :param limit: seconds after which systemd ends the command.
    :raises HostError: when systemd does not run here or does not take it.
    """
    if not os.path.isdir("/run/systemd/system"):
        raise HostError(
            "systemd does not run on this host, and nothing else here can take a change back when the connection is lost: run systemd"
        )
    call(
        *SYSTEMD,
        "StartTransientUnit",
        "ssa(sv)a(sa(sv))",
        (
            unit,
            "fail",
            [
                ("Description", ("s", description)),
                ("Type", ("s", "exec")),
                ("ExecStart", ("a(sasb)", [(command[0], command, False)])),
                ("ExecStopPost", ("a(sasb)", [(afterwards[0], afterwards, False)])),
                ("RuntimeMaxUSec", ("t", int(limit * SECOND))),
                ("TimeoutStopUSec", ("t", 60 * SECOND)),
                ("KillSignal", ("i", 9)),  # one that hangs is not asked
                ("Restart", ("s", "on-failure")),
                ("RestartUSec", ("t", SECOND // 2)),
                ("StartLimitIntervalUSec", ("t", 0)),
                ("CollectMode", ("s", "inactive-or-failed")),
                ("After", ("as", ["openvswitch-switch.service", "openvswitch.service", "ovs-vswitchd.service"])),
            ],
            [],
        ),
    )


def run(unit, description, command, patience, kind="oneshot"):
    """Run a command apart from this process, to its end; what it has put into the background stays.

    An earlier run is waited for: systemd keeps a unit that has ended, and takes no other of its name, as long as a program that it began runs on.

    :param kind: systemd's type of the service; forking: its end is that it has gone to the background.
    :returns: False when it has not ended after ``patience`` seconds.
    """
    await_end(unit, patience)
    call(
        *SYSTEMD,
        "StartTransientUnit",
        "ssa(sv)a(sa(sv))",
        (
            unit,
            "replace",
            [
                ("Description", ("s", description)),
                ("Type", ("s", kind)),
                ("ExecStart", ("a(sasb)", [(command[0], command, False)])),
                ("KillMode", ("s", "process")),
                ("CollectMode", ("s", "inactive-or-failed")),
            ],
            [],
        ),
    )
    until = time.monotonic() + patience
    while _state(unit) == "activating":
        if time.monotonic() > until:
            return False
        time.sleep(LOOK / 2)
    return True


def _state(unit):
    path = call(*SYSTEMD, "LoadUnit", "s", (unit,))[0]
    return read_property(SYSTEMD[0], path, "org.freedesktop.systemd1.Unit", "ActiveState")
