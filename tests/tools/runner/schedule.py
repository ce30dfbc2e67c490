# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Start each step as soon as what it waits for has ended and there is room for it beside the others."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from .execute import Command, Finished, with_tools
from .results import judge, log_of, report_of
from .steps import Outcome, Result, Step, seconds_to_the_end

HEARTBEAT = 60  # seconds
# pytest ends so many seconds before its limit by itself where it can, with its report.
REPORT_TIME = 60


class Listener(Protocol):
    """Who wants to know how the run goes on."""

    def started(self, step: Step) -> None:
        """The step has been started."""

    def ended(self, step: Step, result: Result) -> None:
        """The step has ended, or was found not to run."""

    def still_running(self, steps: Iterable[Step]) -> None:
        """Nothing has started or ended for a minute."""


def complete_command(step: Step, limit: float) -> tuple[str, ...]:
    """Return the step's command; a run of pytest writes a report, and ends in time to do so."""
    if not step.counts_tests:
        return with_tools(step.command)
    own = limit - REPORT_TIME if limit > 2 * REPORT_TIME else limit
    return with_tools((*step.command, f"--session-timeout={own:.0f}", f"--junitxml={report_of(step)}"))


class Schedule:
    """One run of some steps.

    :param deadline: when the whole run has to be over (``time.monotonic()``); None for a run that may take its time.
    """

    def __init__(self, steps: Iterable[Step], listener: Listener, deadline: float | None = None) -> None:
        self._waiting = {step.name: step for step in steps}
        self._names = set(self._waiting)
        self._listener = listener
        self._deadline = deadline
        self._cores = os.cpu_count() or 1
        self._running: dict[str, tuple[Step, Command]] = {}
        self._ended: queue.Queue[tuple[Step, Finished]] = queue.Queue()
        self._to_the_end = seconds_to_the_end(self._waiting.values())
        self.results: dict[str, Result] = {}

    def run(self) -> dict[str, Result]:
        """Run all steps; return their results in the order in which they ended."""
        try:
            while self._waiting or self._running:
                self._drop_those_that_cannot_run()
                while (step := self._next()) is not None:
                    self._start(step)
                if self._running:
                    self._wait_for_one()
        finally:
            stops = [threading.Thread(target=command.stop) for _step, command in self._running.values()]
            for stop in stops:
                stop.start()
            for stop in stops:
                stop.join()
        return self.results

    def _time_left(self) -> float:
        return float("inf") if self._deadline is None else self._deadline - time.monotonic()

    def _drop_those_that_cannot_run(self) -> None:
        """Give a result to all steps that are not going to run."""
        dropped = True
        while dropped:
            dropped = False
            for step in list(self._waiting.values()):
                reason = self._reason_not_to_run(step)
                if reason:
                    del self._waiting[step.name]
                    self._end(step, Result(Outcome.NOT_RUN, 0, 1, details=(f"{step.name}: not run: {reason}",)))
                    dropped = True

    def _reason_not_to_run(self, step: Step) -> str:
        if self._time_left() <= 0:
            return "the time of the whole run was over"
        failed = [
            name for name in step.needs if name in self.results and self.results[name].outcome is not Outcome.PASSED
        ]
        if failed and not step.cleans_up:
            return f"{failed[0]} failed"
        if step.cleans_up and step.needs and all(self._was_not_run(name) for name in step.needs):
            return "there is nothing to clean up"
        return ""

    def _was_not_run(self, name: str) -> bool:
        return name in self.results and self.results[name].outcome is Outcome.NOT_RUN

    def _next(self) -> Step | None:
        """Return the step that is to start now, if any."""
        ready = [step for step in self._waiting.values() if self._is_ready(step)]
        used = sum(step.uses for step, _command in self._running.values())
        fitting = [step for step in ready if step.is_hurried or used + step.cores <= self._cores or used == 0]
        return max(fitting, key=lambda step: self._to_the_end[step.name], default=None)

    def _is_ready(self, step: Step) -> bool:
        earlier = {*step.needs, *step.after} & self._names
        held = {thing for other, _command in self._running.values() for thing in other.holds}
        return earlier <= self.results.keys() and held.isdisjoint(step.holds)

    def _start(self, step: Step) -> None:
        limit = max(1.0, min(step.limit, self._time_left()))
        report_of(step).unlink(missing_ok=True)
        command = Command(complete_command(step, limit), log_of(step), limit, hurried=step.is_hurried)
        del self._waiting[step.name]
        self._running[step.name] = (step, command)
        wait: Callable[[], None] = lambda: self._ended.put((step, command.wait()))  # noqa: E731
        threading.Thread(target=wait, daemon=True).start()
        self._listener.started(step)

    def _wait_for_one(self) -> None:
        try:
            step, finished = self._ended.get(timeout=HEARTBEAT)
        except queue.Empty:
            self._listener.still_running([step for step, _command in self._running.values()])
            return
        del self._running[step.name]
        self._end(step, judge(step, finished))

    def _end(self, step: Step, result: Result) -> None:
        self.results[step.name] = result
        self._listener.ended(step, result)
