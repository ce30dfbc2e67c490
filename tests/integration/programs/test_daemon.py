# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the options that operators know from Open vSwitch's daemons: --pidfile, --detach, --log-file, -v."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

PROGRAM = """
import argparse, logging, signal
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import daemon
parser = argparse.ArgumentParser(prog="ovn-k8s-test")
daemon.add_options(parser)
daemon.start(parser.parse_args())
logging.getLogger("part").warning("it begins")
daemon.ready()
logging.getLogger("part").debug("small talk")
logging.getLogger("part").error("it serves")
signal.pause()
"""


@pytest.fixture
def program(tmp_path):
    """Runs the program to the point where its parent ends; all that runs is ended after the test."""
    environment = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(path for path in sys.path if path),
        OVS_RUNDIR=str(tmp_path),
        OVS_LOGDIR=str(tmp_path),
    )

    def run(*options):
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *options],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=20,
        )

    yield run
    for pidfile in tmp_path.glob("*.pid"):
        os.kill(int(pidfile.read_text()), 9)


def gone(path):
    """Whether the file goes in time."""
    deadline = time.monotonic() + 10
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not path.exists()


def test_detach_as_the_original_was_started(program, tmp_path):
    """Protects: --pidfile --log-file -vfile:info -vconsole:emer --detach.

    The parent ends when the program serves, and appctl ends the program.
    """
    done = program("--pidfile", "--log-file", "-vfile:info", "-vconsole:emer", "--detach")
    assert (done.returncode, done.stderr) == (0, "")
    pidfile, log = tmp_path / "ovn-k8s-test.pid", tmp_path / "ovn-k8s-test.log"
    pid = int(pidfile.read_text())
    assert os.path.exists(f"/proc/{pid}")
    control = tmp_path / f"ovn-k8s-test.{pid}.ctl"
    deadline = time.monotonic() + 10
    while not (control.exists() and "it serves" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (
        "| WARN | it begins" in log.read_text()
        and "| ERR | it serves" in log.read_text()
        and "small talk" not in log.read_text()
    )
    second = program("--pidfile", "--detach")
    assert second.returncode == 1 and f"already running as pid {pid}" in second.stderr
    appctl = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, ovs.unixctl.client as c; e, client = c.UnixctlClient.create(sys.argv[1]); "
            "print(client.transact('exit', []))",
            str(control),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert appctl.returncode == 0, appctl.stderr
    assert gone(pidfile)


def test_a_wrong_level_is_a_sentence(program):
    """Protects against a log that is silently not what was asked for."""
    done = program("-vfile:loud", "--detach")
    assert done.returncode != 0 and "loud" in done.stderr and "Traceback" not in done.stderr
