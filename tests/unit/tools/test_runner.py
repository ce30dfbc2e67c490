# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the test run: what runs beside and behind what, what counts, and what it says of a failure."""

from __future__ import annotations

import time

import pytest
from runner import execute, results, schedule
from runner.report import Printer
from runner.steps import Outcome, Step, seconds_to_the_end, select
from runner.table import GROUPS, TABLE


@pytest.fixture(autouse=True)
def reports(tmp_path, monkeypatch):
    """Logs and reports of these steps have a folder of their own."""
    monkeypatch.setattr(results, "REPORTS", tmp_path)
    monkeypatch.setattr("runner.report.ROOT", tmp_path)
    return tmp_path


def step(name, script="true", **values):
    """A step of shell script, in the group "all"."""
    values = {"seconds": 1, "limit": 60, "cores": 0.1, **values}
    return Step(name, ("all",), ("bash", "-c", script), **values)


def run(*steps, deadline=None):
    """Run the steps; name -> result."""
    return schedule.Schedule(steps, Printer(), deadline).run()


def outcomes(found):
    """Name -> how it went."""
    return {name: result.outcome for name, result in found.items()}


def test_a_failure_stops_only_what_needs_it():
    """Protects against tests that run for half an hour on hosts that never came up.

    One failure does not hide the others.
    """
    found = run(
        step("hosts", "false"),
        step("tests", needs=("hosts",)),
        step("more", needs=("tests",)),
        step("other", after=("hosts",)),
    )
    assert outcomes(found) == {
        "hosts": Outcome.FAILED,
        "tests": Outcome.NOT_RUN,
        "more": Outcome.NOT_RUN,
        "other": Outcome.PASSED,
    }
    assert found["tests"].failed == 1
    assert found["tests"].details == ("tests: not run: hosts failed",)


def test_what_cleans_up_runs_after_a_failure():
    """Protects the hosts of a scenario from being left behind, and its tests from losing them while they run."""
    found = run(
        step("hosts"),
        step("tests", "false", needs=("hosts",)),
        step("destroy", needs=("hosts",), after=("tests",), cleans_up=True),
    )
    assert list(found) == ["hosts", "tests", "destroy"]
    assert found["destroy"].outcome is Outcome.PASSED


def test_two_steps_do_not_hold_one_thing(reports):
    """Protects hosts from two scenarios at once."""
    script = f"mkdir {reports}/held && sleep 0.2 && rmdir {reports}/held"
    assert set(outcomes(run(step("a", script, holds=("hosts",)), step("b", script, holds=("hosts",)))).values()) == {
        Outcome.PASSED
    }


def test_steps_that_wait_run_beside_those_that_compute(reports):
    """Protects the run's time: both of these end only when the other one has started."""
    meet = f"touch {reports}/$0; until [ -e {reports}/$1 ]; do sleep 0.05; done"
    waits = Step("waits", ("all",), ("bash", "-c", meet, "one", "two"), 1, 60, 0.2)
    computes = Step("computes", ("all",), ("bash", "-c", meet, "two", "one"), 1, 60, 1)
    assert set(outcomes(run(waits, computes)).values()) == {Outcome.PASSED}


def test_a_step_ends_at_its_limit():
    """Protects the run against a step that hangs, and against what such a step leaves behind."""
    found = run(step("hangs", "sleep 1000 & echo child $!; wait", limit=1))["hangs"]
    assert found.outcome is Outcome.FAILED
    child = results.log_of(step("hangs")).read_text().split()[-1]
    deadline = time.monotonic() + 60
    while (execute.pathlib.Path("/proc") / child).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not (execute.pathlib.Path("/proc") / child).exists()
    assert "stopped after its limit" in found.details[0]


def test_what_did_not_run_in_time_has_failed():
    """Protects the sum: a run that was too short for all steps is no success."""
    found = run(step("late"), deadline=time.monotonic() - 1)
    assert (found["late"].outcome, found["late"].failed) == (Outcome.NOT_RUN, 1)


def test_what_this_machine_cannot_run_is_no_failure():
    """Protects the sum: a step that is left out counts as neither, and the run says why."""
    found = run(step("newest", "echo there is no Python for it; exit 77"))["newest"]
    assert (found.passed, found.failed, found.skipped) == (0, 0, 1)
    assert found.details == ("newest: there is no Python for it",)


def test_words_of_ansible_are_found():
    """Protects the end of the log: it says which task failed, without Molecule's frame and colours."""
    log = '\x1b[31m  │ fatal: [host1]: FAILED! => {\x1b[0m\n  │     "msg": "no route"\n  │ }\n\nPLAY RECAP\n'
    assert results.ansible_failure(log) == 'fatal: [host1]: FAILED! => { "msg": "no route" }'
    assert results.ansible_failure("ok: [host1]\n") == ""


def test_each_test_counts(reports):
    """Protects the sum, and the words of the tests that failed."""
    report = reports / "r.xml"
    report.write_text(
        '<testsuites><testsuite tests="4" failures="1" errors="1" skipped="1">'
        '<testcase classname="c" name="t"><failure message="a\n b">x</failure></testcase></testsuite></testsuites>'
    )
    assert results.read_report(report) == (1, 2, 1, ("c::t: a b",))
    assert results.read_report(reports / "none.xml") == (0, 0, 0, ())


def test_a_run_without_tests_has_failed():
    """Protects against a pytest that ends before its first test, and a sum that says nothing of it."""
    found = run(Step("none", ("all",), ("false",), 1, 60, 0.1, counts_tests=True))
    assert (found["none"].passed, found["none"].failed) == (0, 1)


def test_the_table_can_be_run():
    """Protects the table: names that exist, no circle, and each group has steps."""
    names = [one.name for one in TABLE]
    assert len(names) == len(set(names))
    assert {name for one in TABLE for name in (*one.needs, *one.after)} <= set(names)
    assert seconds_to_the_end(TABLE).keys() == set(names)
    assert {group for one in TABLE for group in one.groups} == {*GROUPS, "check"}


def test_no_test_of_the_tree_is_left_out():
    """Protects tests in a new folder against being in no step."""
    named = " ".join(argument for one in TABLE for argument in one.command)
    folders = {path.parent.relative_to(execute.ROOT) for path in (execute.ROOT / "tests").rglob("test_*.py")}
    absent = {
        folder.as_posix()
        for folder in folders
        if not any(
            parent.as_posix() in named.split() or f"{parent}/test_" in named for parent in (folder, *folder.parents)
        )
    }
    assert absent == set()


def test_a_group_has_what_it_needs():
    """Protects `make GROUP` on a fresh checkout."""
    assert [one.name for one in select(TABLE, ["units"])] == ["set-up", "units"]


def test_steps_that_wait_for_each_other_are_refused():
    """Protects against a run that never ends."""
    with pytest.raises(ValueError, match="wait for each other"):
        seconds_to_the_end([step("a", needs=("b",)), step("b", after=("a",))])
