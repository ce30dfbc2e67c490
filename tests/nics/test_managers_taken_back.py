# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the rollback where a network manager has been told already: the host has what it had.

The manager serves the NICs as before.

The hosts are those of test_managers. Each goes through its own plan at its own pace, beside the others.
"""

from __future__ import annotations

import threading

import pytest
from lab_hosts import lab, wait

from .conftest import hold_worker, let_go, state, worker_is_held
from .managed import MACHINES, NAMES, call, constant, everything, move, renewed, settled, together
from .on_host import Changes, every_other
from .test_taken_back import FAILS

pytestmark = pytest.mark.timeout(900)
NICS = ("eth0", "eth1")
MANAGERS = (
    "FileStep",
    "HandoverStep",
    "rows",
)  # what a manager sees; steps of addresses and routes fail each in their turn in test_taken_back


@pytest.fixture(scope="module", params=[True, False], ids=["there", "back"])
def way(request, installed):
    """Which way the change goes; where it goes back, the NICs are in their bridges."""
    if not request.param:
        move()
    yield request.param
    if not request.param:
        move("state=absent")


class Rounds:
    """Changes on one machine that do not come to their end; the machine has what it had each time."""

    def __init__(self, machine, present):
        self._machine, self._present = machine, present
        self._changes = Changes(machine.name, machine.addresses)

    def __enter__(self):
        self._before = everything(self._machine)
        return self

    def __exit__(self, *exc_info):
        self._changes.__exit__(*exc_info)

    def plan(self):
        """Return the positions of a plan's steps about rows, files and managers, and the number of steps.

        Of files one after another it is the first. Nothing of the plan is done.
        """
        acts = self._rolled_back(at=0, acts=[FAILS])[1:]
        places = [
            place for place, kind in enumerate(acts) if kind in MANAGERS and not kind == "FileStep" == acts[place - 1]
        ]
        assert len(places) > 6
        return places, len(acts)

    def each(self, places, **asked):
        """One change for each place, which is what is None of ``asked``."""
        for place in places:
            self._rolled_back(**{key: place if value is None else value for key, value in asked.items()})

    def _rolled_back(self, **asked):
        look = self._machine.everything
        acts, _reason, after = self._changes.rolled_back(*NICS, present=self._present, then=look, **asked)
        if constant(after) != self._before:
            settled(self._machine, look=everything, before=self._before, what=f"{self._machine.name}, {asked}")
        return acts


def test_each_step_fails_in_turn(way):
    """Protects the positions where a manager is told or rows or files are about to be written: all is rolled back.

    Also one between addresses and routes, and the end. The worker's death has the other half of the positions, and the
    other way has them the other way round.
    """

    def fail(machine):
        with Rounds(machine, way) as rounds:
            places, acts = rounds.plan()
            chosen = every_other(places, second=way)
            rounds.each(sorted({*chosen, acts // 2, acts} - {0}), at=None, acts=[FAILS])

    together(fail)


def test_the_worker_is_killed_in_each_step(way):
    """Protects against sudden death while rows or files are written, a manager is told, or DHCP changes link."""

    def kill(machine):
        with Rounds(machine, way) as rounds:
            rounds.each(every_other(rounds.plan()[0], second=not way), die_at=None, later=0.05)

    together(kill)


def test_the_cable_is_cut(way):
    """Protects a host that is cut off in the middle, where a manager does not configure a NIC without carrier.

    All is back once the NIC has its carrier.
    """
    before = {machine.name: everything(machine) for machine in MACHINES}
    answers = {}

    def change():
        answers.update(
            call(NAMES, "nics=eth0,eth1", "rollback_timeout=12", *([] if way else ["state=absent"]), good=False)
        )

    def cut(machine):
        worker_is_held(machine.name)
        lab("unplug", machine.name, "eth0")
        let_go(machine.name)
        wait(lambda: state(machine.name) in ("undoing", "undone"), 60, "the way back")
        lab("plug", machine.name, "eth0")

    together(lambda machine: hold_worker(machine.name))
    task = threading.Thread(target=change)
    task.start()
    together(cut)
    task.join()
    said = {name: answer.get("msg", "") for name, answer in answers.items()}
    assert sorted(said) == sorted(NAMES)
    assert all("the change was rolled back" in text for text in said.values()), answers
    together(lambda machine: settled(machine, 60, everything, before[machine.name]))


def test_leases_are_still_renewed(way):
    """Protects the DHCP clients after all that."""
    together(renewed)
