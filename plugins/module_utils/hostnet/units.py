# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs that systemd runs for us: they outlive whoever asked for them, and systemd looks after them (org.freedesktop.systemd1(5))."""

from __future__ import annotations

import os
import time

from .bus import call
from .errors import HostError

SYSTEMD = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
SECOND = 1000000  # systemd counts microseconds
LOOK = 0.1  # seconds between two looks for a unit


def await_end(unit, patience):
    """Wait until systemd knows no such unit any more; :param patience: seconds, then it is left to whoever starts it anew."""
    deadline = time.monotonic() + patience
    while _is_loaded(unit) and time.monotonic() < deadline:
        time.sleep(LOOK)


def _is_loaded(unit):
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
        raise HostError("systemd does not run on this host, and nothing else here can take a change back when the connection is lost: run systemd")
    call(*SYSTEMD, "StartTransientUnit", "ssa(sv)a(sa(sv))", (unit, "fail", [
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
    ], []))
