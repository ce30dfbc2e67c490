# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What tests cost: ``pytest -p processor_seconds`` ends with the processor seconds of the dearest ones.

Those of all processes that a test starts are among them, daemons too, and those of the lab's hosts. Wall clock says
more about what else the machine does.
"""

from __future__ import annotations

import contextlib
import os
import pathlib

import pytest

ACCOUNTS = pathlib.Path("/sys/fs/cgroup/cpuacct")
LAB = pathlib.Path("/run/ovn-kubernetes-lab")
SHOWN = 40


class ProcessorSeconds:
    """The plugin: its process and all that it starts are a group of the controller."""

    def __init__(self):
        self._group = ACCOUNTS / f"pytest-{os.getpid()}"
        self._group.mkdir()
        (self._group / "tasks").write_text(str(os.getpid()))
        self._found = []
        self._hosts, self._of_hosts = {}, 0.0  # first process of a host -> seconds when it was looked at last
        self._used()
        self._of_hosts = 0.0

    def _used(self):
        for file in LAB.glob("*.pid"):
            process = pathlib.Path("/proc", file.read_text().strip())
            with contextlib.suppress(OSError):  # it is off
                if f":/{self._group.name}\n" in (process / "cgroup").read_text():
                    continue  # these tests have started it
                used = int((process / "root/sys/fs/cgroup/cpu.stat").read_text().split()[1]) / 1e6  # usage_usec
                self._of_hosts += used - self._hosts.get(process, 0.0)
                self._hosts[process] = used
        return int((self._group / "cpuacct.usage").read_text()) / 1e9 + self._of_hosts

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        """Count a test with its fixtures: those of more tests belong to the first one that needs them."""
        before = self._used()
        try:
            return (yield)
        finally:
            self._found.append((self._used() - before, item.nodeid))

    def pytest_terminal_summary(self, terminalreporter):
        """Show what was counted."""
        terminalreporter.section(f"processor seconds: {sum(seconds for seconds, _test in self._found):.1f}")
        for seconds, test in sorted(self._found, reverse=True)[:SHOWN]:
            terminalreporter.write_line(f"{seconds:8.2f} {test}")


def pytest_configure(config):
    """Count from now on."""
    config.pluginmanager.register(ProcessorSeconds())
