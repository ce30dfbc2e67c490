# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects logs against lines that overwrite each other, and terminals against lines that don't."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pty
import subprocess

PROGRESS = pathlib.Path(__file__).resolve().parents[3] / "molecule" / "lab" / "progress.bash"
SCRIPT = f". {PROGRESS}; progress ''; progress one; progress $'all but\\rtwo'; progress three; progress_ends; echo end"


def test_a_log_has_a_line_now_and_then():
    """Protects against thousands of lines, and against carriage returns."""

    def said(pause):
        environment = dict(os.environ, PROGRESS_PAUSE=pause)
        command = ["bash", "-euo", "pipefail", "-c", SCRIPT]
        return subprocess.run(command, env=environment, check=True, capture_output=True, timeout=30).stdout

    assert said("1000") == b"    one\nend\n"
    assert said("0") == b"    one\n    two\n    three\nend\n"


def test_a_terminal_has_one_line():
    """Protects who looks on."""
    ours, theirs = pty.openpty()
    subprocess.run(["bash", "-euo", "pipefail", "-c", SCRIPT], stdout=theirs, check=True, timeout=30)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: all was read, and the other end is closed
        while part := os.read(ours, 10000):
            shown += part
    os.close(ours)
    assert shown.count(b"\n") == 1 and shown.split(b"\r")[3].strip() == b"two"
