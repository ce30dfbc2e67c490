# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What a step of the tests is, what comes out of it, and which steps a run has."""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Iterable

# Processors that the steps of the longest chain ask for: there is always room for them, and they are hurried.
NEVER_WAITS = 0.1
# Processors that the others leave to them, since the run ends when they do.
LEFT_TO_HURRIED = 0.4


@dataclasses.dataclass(frozen=True)
class Step:
    """One command of a run.

    :param name: also the name of its log and its report in .cache/reports.
    :param groups: the names under which the command line knows it.
    :param command: program and arguments; it is started in the checkout, with the pinned tools in PATH.
    :param seconds: how long it usually takes (wall clock). The longest chain of steps starts first.
    :param limit: after so many seconds it is ended, and has failed.
    :param cores: how many processors it usually keeps busy: 1 for one that computes, 0.2 for one that mostly waits
        for hosts. At most NEVER_WAITS for one that many others wait for: it starts at once, with a larger share of the
        processors.
    :param needs: steps that have to pass before it; when one of them fails, it does not run, and counts as a failure.
    :param after: steps that have to end before it, however they end; those that are not part of the run are
        ignored.
    :param holds: what it can not share with a step beside it.
    :param counts_tests: it is a run of pytest; each of its tests counts.
    :param cleans_up: it runs also when what it needs has failed, as soon as that and `after` have ended.
    :param console: a command that says more about a failure, for the end of the run.
    """

    name: str
    groups: tuple[str, ...]
    command: tuple[str, ...]
    seconds: int
    limit: int
    cores: float
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    counts_tests: bool = False
    cleans_up: bool = False
    console: tuple[str, ...] = ()

    @property
    def is_hurried(self) -> bool:
        """Return whether it gets a larger share of the processors than the steps beside it."""
        return self.cores <= NEVER_WAITS

    @property
    def uses(self) -> float:
        """Return how many processors it takes from the steps beside it."""
        return LEFT_TO_HURRIED if self.is_hurried else self.cores

    @property
    def file_name(self) -> str:
        """Return its name as the name of a file, without a suffix."""
        return re.sub(r"[^\w.]+", "-", self.name)


class Outcome(enum.Enum):
    """How a step went."""

    PASSED = "ok"
    FAILED = "FAILED"
    NOT_RUN = "NOT RUN"


@dataclasses.dataclass(frozen=True)
class Result:
    """What came out of a step.

    :param passed: tests that passed; 1 for a step that passes as a whole.
    :param failed: tests that failed; at least 1 unless the outcome is PASSED.
    :param wall: seconds from its start to its end.
    :param processor: processor seconds of the command and of the processes that it waited for, without daemons and
        containers.
    :param details: why it failed, one line each.
    """

    outcome: Outcome
    passed: int
    failed: int
    skipped: int = 0
    wall: float = 0
    processor: float = 0
    details: tuple[str, ...] = ()


def select(table: Iterable[Step], groups: Iterable[str]) -> list[Step]:
    """Return the steps of the groups and all steps that these need, in the order of the table."""
    steps = {step.name: step for step in table}
    chosen: set[str] = set()
    waiting = [step.name for step in steps.values() if set(step.groups) & set(groups)]
    while waiting:
        name = waiting.pop()
        if name not in chosen:
            chosen.add(name)
            waiting += steps[name].needs
    return [step for step in steps.values() if step.name in chosen]


def seconds_to_the_end(steps: Iterable[Step]) -> dict[str, int]:
    """Return for each step how long it and the longest chain of steps behind it take.

    :raises ValueError: steps wait for each other in a circle.
    """
    known = {step.name: step for step in steps}
    behind: dict[str, list[str]] = {name: [] for name in known}
    for step in known.values():
        for earlier in {*step.needs, *step.after} & known.keys():
            behind[earlier].append(step.name)
    total: dict[str, int] = {}

    def visit(name: str, above: tuple[str, ...]) -> int:
        if name in above:
            raise ValueError(f"steps that wait for each other: {', '.join(above)}")
        if name not in total:
            total[name] = known[name].seconds + max((visit(later, (*above, name)) for later in behind[name]), default=0)
        return total[name]

    for name in known:
        visit(name, ())
    return total
