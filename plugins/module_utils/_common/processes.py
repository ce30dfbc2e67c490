# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the kernel says of a process (proc_pid_stat(5))."""

from __future__ import annotations

import os
import time

PARENT, START_TIME = 1, 19  # places in what stat() returns: ppid, and starttime in ticks since the boot


def stat(process: int) -> list[str]:
    """Return the values after the name of the program, which may have spaces and parentheses: from the state on.

    :raises OSError: there is no such process.
    """
    with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as stream:
        return stream.read().rpartition(")")[2].split()


def age(process: int) -> float:
    """Return the seconds for which a process has run.

    :raises OSError: there is no such process.
    """
    began = int(stat(process)[START_TIME]) / os.sysconf("SC_CLK_TCK")
    return max(time.clock_gettime(time.CLOCK_BOOTTIME) - began, 0.0)
