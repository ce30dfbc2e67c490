# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The watcher as a process of its own, as systemd would run it, for tests and measurements."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import tempfile
import urllib.error
import urllib.request

import preloaded
from database_server import free_port, wait_for

PROGRAM = "ansible_collections.ovn.kubernetes.plugins.module_utils._programs.watcher:main"


class Watcher:
    """One watcher.

    :param northbound: the Northbound database's remote.
    :param kubernetes: the API server, as kubernetes_server.Kubernetes.
    :param http: use the API server without TLS.
    :param options: further ones of its command line.
    :param start: how it is started, as :mod:`preloaded` has it.
    :param program: its function, by default with the intervals of tests.
    """

    def __init__(
        self, northbound, kubernetes, http=False, options=(), start=preloaded.start, program="watcher_program:main"
    ):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ovn-test-"))
        token = self.directory / "token"
        token.write_text(kubernetes.admin)
        settings = (
            {"server": kubernetes.http()}
            if http
            else {"server": kubernetes.url, "ca_file": str(kubernetes.ca_file), "token_file": str(token)}
        )
        settings["service_subnets"] = ["10.96.0.0/16", "fd96::/108"]
        (self.directory / "kubernetes.json").write_text(json.dumps(settings))
        self.port = free_port()
        self._arguments = [
            "--overlay",
            "--northbound",
            northbound,
            "--southbound",
            "",
            "--kubernetes",
            str(self.directory / "kubernetes.json"),
            "--listen",
            f"127.0.0.1:{self.port}",
            *options,
        ]
        self.log = self.directory / "log"
        self.process, self._start_program, self._program = None, start, program

    def start(self, wait=True):
        """Start (again); with ``wait``, until it is ready."""
        with self.log.open("ab") as log:
            self.process = self._start_program(self._program, self._arguments, log, OVS_RUNDIR=str(self.directory))
        if wait:
            wait_for(self.ready, "the watcher to be ready")
        return self

    def ready(self):
        """Whether it reports that it works."""
        self.running()
        return self.get("/readyz")[0] == 200

    def running(self):
        """:raises AssertionError: when the process ended."""
        if self.process.poll() is not None:
            raise AssertionError(f"the watcher ended: {self.text()}")
        return True

    def acts(self):
        """Whether it is the one that writes to the database."""
        return self.figure("ovn_k8s_watcher_leader") == 1

    def idle(self):
        """Whether it acts and has nothing left to do."""
        figures = self.figures()
        return figures.get("ovn_k8s_watcher_leader") == 1 and not any(
            figures[f"ovn_k8s_watcher_{name}"] for name in ("queue_depth", "busy", "annotations_under_way")
        )

    def get(self, path):
        """(status, text); status 0 when there is no answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            return exc.code, exc.read().decode()
        except OSError as exc:
            return 0, str(exc)

    def figures(self):
        """Name (with labels) -> value of all metrics."""
        lines = [line.rpartition(" ") for line in self.get("/metrics")[1].splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _space, value in lines if name}

    def figure(self, name):
        """One metric's value."""
        return self.figures().get(name)

    def text(self):
        """Its log."""
        return self.log.read_text(errors="replace")

    def cpu(self):
        """Seconds of processor time so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """MiB of resident memory."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def children(self):
        """Its child processes, zombies too."""
        return pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()

    def kill(self):
        """Kill it."""
        self.process.kill()
        self.process.wait(10)

    def stop(self):
        """Stop it as systemd does; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)

    def remove(self):
        """Kill it, and remove its files."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.directory)
