# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Count what a step has tested, and find out why it failed: the end of a long log is all that some see of it."""

from __future__ import annotations

import pathlib
import re
import subprocess
from xml.etree import ElementTree

from .execute import REPORTS, ROOT, Finished
from .steps import Outcome, Result, Step

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
LEFT_OUT = 77  # exit code of a step that this machine can't run, as for automake's tests; its last line says why
FRAME = re.compile(r"^ *│ *")  # Molecule's


def report_of(step: Step) -> pathlib.Path:
    """Return where pytest writes the step's report."""
    return REPORTS / f"{step.file_name}.xml"


def log_of(step: Step) -> pathlib.Path:
    """Return where the step's output goes."""
    return REPORTS / f"{step.file_name}.log"


def judge(step: Step, finished: Finished) -> Result:
    """Return the result of a step whose command has ended."""
    stopped = (f"{step.name}: stopped after its limit of {finished.wall:.0f} s",) if finished.stopped else ()
    if step.counts_tests:
        passed, failed, skipped, details = read_report(report_of(step))
        # pytest itself failed (nothing collected, a wrong option, killed) without a failed test to show for it.
        if finished.code != 0 and failed == 0:
            failed = 1
            details = details or (f"{step.name}: exit code {finished.code}: {last_line(log_of(step))}",)
    elif finished.code == LEFT_OUT:
        passed, failed, skipped, details = 0, 0, 1, (f"{step.name}: {last_line(log_of(step))}",)
    else:
        passed, failed, skipped = int(finished.code == 0), int(finished.code != 0), 0
        details = why(step, finished.code) if failed else ()
    outcome = Outcome.FAILED if failed else Outcome.PASSED
    return Result(outcome, passed, failed, skipped, finished.wall, finished.processor, (*stopped, *details))


def read_report(report: pathlib.Path) -> tuple[int, int, int, tuple[str, ...]]:
    """Return how many tests passed, failed and were skipped, and a line on each that failed.

    Return nothing when there is no whole report.
    """
    try:
        suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    except (OSError, ElementTree.ParseError):
        return 0, 0, 0, ()

    def total(*keys: str) -> int:
        return sum(int(suite.get(key, 0)) for suite in suites for key in keys)

    failed, skipped = total("failures", "errors"), total("skipped")
    details = []
    for case in (case for suite in suites for case in suite.iter("testcase")):
        for kind in ("failure", "error"):
            for problem in case.iter(kind):
                message = " ".join(problem.get("message", "").split())
                details.append(f"{case.get('classname')}::{case.get('name')}: {message[:400]}")
    return max(0, total("tests") - failed - skipped), failed, skipped, tuple(details)


def why(step: Step, code: int) -> tuple[str, ...]:
    """Return what is known of the failure of a step that is not a run of pytest."""
    log = log_of(step).read_text(encoding="utf-8", errors="replace")
    said = ansible_failure(log) or f"exit code {code}: {last_line(log_of(step))}"
    details = [f"{step.name}: {said[:1500]}"]
    if step.console:
        output = subprocess.run(
            step.console, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
        details += ["".join(filter(str.isprintable, line)) for line in (output.stdout + output.stderr).splitlines()]
    return tuple(details)


def ansible_failure(log: str) -> str:
    """Return what Ansible said of the last task that failed; an empty text when none did."""
    said: list[str] = []
    inside = False
    for raw in log.splitlines():
        line = FRAME.sub("", COLOURS.sub("", raw))
        if re.match(r"(fatal|failed): \[", line):
            said, inside = [], True
        elif not line.strip():
            inside = False
        if inside:
            said.append(line.strip())
    return " ".join(said)


def last_line(log: pathlib.Path) -> str:
    """Return the last line of the log that is not empty, without colours."""
    try:
        with log.open("rb") as opened:
            opened.seek(max(0, log.stat().st_size - 4000))
            lines = COLOURS.sub("", opened.read().decode(errors="replace")).split("\n")
    except OSError:
        return ""
    return next((line.split("\r")[-1].strip() for line in reversed(lines) if line.strip()), "")
