# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What a run prints: each step's output when it has ended; at the end a table of times, the failures, and the sum."""

from __future__ import annotations

import pathlib
import sys
import time
from collections.abc import Iterable, Mapping

from .execute import ROOT
from .results import last_line, log_of
from .steps import Outcome, Result, Step


def busy_seconds() -> tuple[float, float]:
    """Return the busy processor seconds since boot, of all processors, and the busy and idle ones together.

    The source is /proc/stat (proc_stat(5)).
    """
    fields = [
        int(field) / 100
        for field in pathlib.Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    ]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, sum(fields)


class Printer:
    """Prints how a run goes on, to standard output."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy = busy_seconds()

    def _say(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        print(f"=== {minutes:02}:{seconds:02} {text}", flush=True)

    def started(self, step: Step) -> None:
        """Say that the step has been started, and where one can watch it."""
        self._say(f"{step.name}: started; {log_of(step).relative_to(ROOT)}")

    def still_running(self, steps: Iterable[Step]) -> None:
        """Say what the steps are doing: the last line of each one's output."""
        for step in steps:
            self._say(f"{step.name}: running: {last_line(log_of(step))[:120]}")

    def ended(self, step: Step, result: Result) -> None:
        """Print the whole output of the step, and how it went."""
        if result.outcome is not Outcome.NOT_RUN:
            print(f"\n=== output of {step.name}", flush=True)
            with log_of(step).open("rb") as log:
                for line in log:
                    sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        self._say(f"{step.name}: {describe(step, result)}")

    def summary(self, steps: Iterable[Step], results: Mapping[str, Result]) -> int:
        """Print the table of times, what failed and why, and as the last line the sum; return the exit code."""
        wall = time.monotonic() - self._began
        busy, total = (now - before for now, before in zip(busy_seconds(), self._busy))
        print(f"\n{'step':<34} {'wall s':>7} {'processor s':>12}  result")
        for name, result in results.items():
            print(f"{name:<34} {result.wall:>7.0f} {result.processor:>12.0f}  {result.outcome.value}")
        print(f"{'the whole run':<34} {wall:>7.0f} {busy:>12.0f}  processors {100 * busy / max(total, 1):.0f} % busy")
        for name in (step.name for step in steps if results[step.name].failed):
            print(f"failed: {name}")
        for result in results.values():
            for line in result.details:
                print(f"  {line}")
        failed = sum(result.failed for result in results.values())
        print(f"{sum(result.passed for result in results.values())} passed, {failed} failed", flush=True)
        return 1 if failed else 0


def describe(step: Step, result: Result) -> str:
    """Return one line on how the step went."""
    if result.outcome is Outcome.NOT_RUN:
        return f"{result.outcome.value}: {result.details[0].rsplit(': ', 1)[-1]}"
    tests = (
        f", {result.passed} tests passed, {result.failed} failed, {result.skipped} skipped" if step.counts_tests else ""
    )
    return f"{result.outcome.value} after {result.wall:.0f} s, {result.processor:.0f} s of processor time{tests}"
