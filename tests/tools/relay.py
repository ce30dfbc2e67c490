# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The relay of a master as the role runs it: the command of its unit, and rows that the steps of a run have made."""

from __future__ import annotations

import os
import pathlib
import shlex
import subprocess

from database_server import PROGRAMS, Client, tool
from masters import run

from ansible_collections.ovn.kubernetes.plugins.module_utils._central.asked import LISTEN, Step
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.execute import Executor
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.places import RELAY, RELAY_FOLDERS, Folders

UNIT = pathlib.Path(__file__).resolve().parents[2] / "roles" / "master" / "files" / RELAY.unit


def command(folder, options):
    """The command of the unit, with the folders of a test."""
    (line,) = (
        line for line in UNIT.read_text(encoding="utf-8").replace("\\\n", " ").splitlines() if line[:10] == "ExecStart="
    )
    for place in (RELAY_FOLDERS.run, RELAY_FOLDERS.data):
        line = line.replace(f"{place}/", f"{folder}/")
    program, *arguments = shlex.split(line.replace("$OVN_RELAY", options).partition("=")[2])
    return [str(PROGRAMS / "bin" / pathlib.Path(program).name), *arguments]


class Relay:
    """An ovsdb-server that relays the Southbound database (ovsdb(7)).

    :param options: those that the inventory decides, ``Central.relay_options``.
    :param pid: of a process in whose network namespace it is to run.
    """

    def __init__(self, folder, options, pid=None):
        self.folders = Folders(str(folder), str(folder), str(UNIT.parent))
        self.log = pathlib.Path(folder) / "relay.log"
        self._command = [*(["nsenter", f"--net=/proc/{pid}/ns/net"] if pid else []), *command(folder, options)]
        self._process = None

    def start(self, _place=RELAY):
        """Start it, as its unit does; one that runs stays."""
        if self._process is not None and self._process.poll() is None:
            return
        file = self.folders.file(RELAY)
        if not pathlib.Path(file).exists():
            tool("create", file, pathlib.Path(self.folders.schemas) / RELAY.schema)
        with self.log.open("a") as log:
            environment = dict(os.environ, OVS_RUNDIR=self.folders.run)
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=environment)

    def executor(self):
        """What carries out its steps."""
        return Executor(RELAY, self, run, lambda: None, self.folders)

    def listen(self, listeners):
        """Start it, and let it listen."""
        self.executor().carry_out(Step("", RELAY.key, "start"))
        self.executor().carry_out(Step("", RELAY.key, LISTEN, listeners=tuple(listeners)))

    def request(self, method, params):
        """The result of a request at its unix socket."""
        client = Client(self.folders.socket(RELAY).partition(":")[2])
        try:
            return client.request(method, params)
        finally:
            client.close()

    def stop(self, _place=RELAY):
        """End it; the file stays."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None
