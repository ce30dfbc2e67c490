# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Run one step's command in a process group of its own, within its limit, and measure it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
REPORTS = ROOT / ".cache" / "reports"
GRACE = 60  # seconds between SIGTERM and SIGKILL


@dataclasses.dataclass(frozen=True)
class Finished:
    """How a command ended.

    :param code: its exit code, negative for a signal.
    :param stopped: whether it was ended at its limit.
    :param processor: processor seconds of it and of the processes that it waited for.
    """

    code: int
    stopped: bool
    wall: float
    processor: float


# Each step is a session, and the kernel shares the processors out between sessions where it groups them (sched(7),
# "The autogroup feature"); else between processes. Only root may take more than its share.
HURRY = (
    "bash",
    "-c",
    'renice -n -5 $$ >/dev/null; [ ! -e /proc/self/autogroup ] || echo -5 >/proc/self/autogroup; exec "$@"',
    "bash",
)


class Command:
    """A command that runs now.

    :param limit: seconds after which it is ended.
    :param hurried: it gets a larger share of the processors than the steps beside it.
    """

    def __init__(self, arguments: tuple[str, ...], log: pathlib.Path, limit: float, hurried: bool = False) -> None:
        self.log = log
        self.limit = limit
        self.began = time.monotonic()
        self._stopped = False
        self._ended = threading.Event()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                (*HURRY, *arguments) if hurried else arguments,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        threading.Thread(target=self._watch_limit, daemon=True).start()

    def _watch_limit(self) -> None:
        if not self._ended.wait(self.limit):
            self.stop()

    def stop(self) -> None:
        """End it with everything it has started: SIGTERM, and after a minute SIGKILL."""
        self._stopped = True
        self._signal(signal.SIGTERM)
        if not self._ended.wait(GRACE):
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if not self._ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def wait(self) -> Finished:
        """Wait until it has ended."""
        _pid, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._ended.set()
        return Finished(
            self._process.returncode, self._stopped, time.monotonic() - self.began, usage.ru_utime + usage.ru_stime
        )


def with_tools(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command that runs the given one with the pinned tools in its PATH."""
    return ("bash", "-c", '. tests/tools/activate && exec "$@"', "bash", *arguments)
