# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The ansible-cores that plays are tested with: the oldest and the newest that we support, and the tools' own."""

from __future__ import annotations

import functools
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
OWN = "own"
CORES = ("oldest", OWN, "newest")
NO_PYTHON = 3  # exit code of tests/tools/core
LIMIT = 1200  # seconds; the first call installs a core


@functools.cache
def programs(core):
    """Return the folder with a core's programs; skip the test where no Python of this machine runs it."""
    if core == OWN:
        return ROOT / ".cache" / "venv" / "bin"
    made = subprocess.run(
        [ROOT / "tests" / "tools" / "core", core], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    if made.returncode == NO_PYTHON:
        pytest.skip(made.stderr.strip())  # Debian 12 has no Python that is new enough for the newest core
    assert made.returncode == 0, made.stderr
    return pathlib.Path(made.stdout.strip())


def run_play(core, playbook, *arguments, **environment):
    """Run a playbook on this machine as its own host, which has the libraries of the tools' Python."""
    python = f"ansible_python_interpreter={programs(OWN) / 'python'}"
    local = ("-i", "localhost,", "-c", "local", "-e", python)
    return run(core, "ansible-playbook", *local, playbook, *arguments, **environment)


def run(core, program, *arguments, limit=900, **environment):
    """Run one of a core's programs; the exit code, and all that it has said."""
    folder = programs(core)
    done = subprocess.run(
        [folder / program, *map(str, arguments)],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "COLUMNS": "4000", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit,
        check=False,
    )
    return done.returncode, done.stdout
