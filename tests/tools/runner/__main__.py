# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Run the tests: all of them without arguments, else those of the named groups.

Usage: run-tests [--list] [check|lint|sanity|units|integration|nics|managers|molecule|kubernetes|kernel]...

Steps run beside each other where they can; a failed one does not stop those that do not need it. The last line is
`N passed, N failed`: the sum of pytest's tests and the other steps. A step that did not run counts as a failure.
TESTS_SECONDS limits the time of the whole run.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time

from .execute import REPORTS
from .report import Printer
from .schedule import Schedule
from .steps import select
from .table import GROUPS, TABLE

# What is kept of TESTS_SECONDS to end steps and to print the summary.
LAST_SECONDS = 90


def main(arguments: list[str]) -> int:
    """Run the groups that the arguments name; return the exit code."""
    if arguments == ["--list"]:
        print("\n".join(GROUPS))
        return 0
    unknown = [group for group in arguments if group not in (*GROUPS, "check")]
    if unknown:
        print(f"run-tests: there is no group '{unknown[0]}'; there are: check {' '.join(GROUPS)}", file=sys.stderr)
        return 2
    seconds = os.environ.get("TESTS_SECONDS")
    deadline = time.monotonic() + max(int(seconds) - LAST_SECONDS, int(seconds) / 2) if seconds else None
    steps = select(TABLE, arguments or GROUPS)
    REPORTS.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    printer = Printer()
    with tempfile.TemporaryDirectory() as packed_modules:
        os.environ["OVN_KUBERNETES_PACKED_MODULES"] = packed_modules
        return printer.summary(steps, Schedule(steps, printer, deadline).run())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
