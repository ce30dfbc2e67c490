# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A daemon of OVN, such as ovn-northd or ovn-controller, in the thread's network namespace."""

from __future__ import annotations

import os
import pathlib
import subprocess

from database_server import PROGRAMS, wait_for


class Daemon:
    """A daemon of OVN with files of its own below ``directory``."""

    def __init__(self, program, directory, *arguments):
        self.log = pathlib.Path(directory) / f"{program}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    str(PROGRAMS / "bin" / program),
                    "--no-chdir",
                    f"--pidfile={directory}/{program}.pid",
                    *arguments,
                ],
                stdout=log,
                stderr=log,
                env=dict(os.environ, OVN_RUNDIR=str(directory), OVS_RUNDIR=str(directory)),
            )
        self.pid = self.process.pid
        wait_for(self._runs, f"{program} to run")

    def _runs(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.log.stem} ended: {self.log.read_text()}")
        return self.log.with_suffix(".pid").exists()

    def remove(self):
        """End it."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
