# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the rollback where a network manager has been told already: the host has what it had.

The manager serves the NICs as before.

The hosts are those of test_managers. Each goes through its own plan at its own pace, beside the others.
"""

from __future__ import annotations

import subprocess
import threading

import pytest
from lab_hosts import LAB, ROOT, lab, on, wait

from .conftest import (
    MARK,
    MOMENT,
    UNTIL_IT_ENDS,
    begin,
    begin_command,
    ended,
    hold_worker,
    let_go,
    parted,
    state,
    worker_is_held,
)
from .managed import MACHINES, NAMES, call, constant, everything, move, renewed, settled, together
from .test_taken_back import FAILS

pytestmark = pytest.mark.timeout(900)
NICS = ("eth0", "eth1")
MANAGERS = (
    "FileStep",
    "HandoverStep",
    "rows",
)  # what a manager sees; steps of addresses and routes fail each in their turn in test_taken_back


@pytest.fixture(scope="module")
def installed(machines):
    """The programs are there, which the tests that begin changes by themselves need."""
    subprocess.run(
        [ROOT / "tests" / "tools" / "build-archive", ROOT / "ovn_kubernetes.pyz"],
        check=True,
        capture_output=True,
        timeout=120,
    )

    def install(machine):
        with (ROOT / "ovn_kubernetes.pyz").open("rb") as archive:
            subprocess.run(
                [LAB, "exec", machine.name, "sh", "-c", "cat >/root/a.pyz && python3 /root/a.pyz install"],
                stdin=archive,
                check=True,
                capture_output=True,
                timeout=60,
            )

    together(install)
    return machines


@pytest.fixture(scope="module", params=[True, False], ids=["there", "back"])
def way(request, installed):
    """Which way the change goes; where it goes back, the NICs are in their bridges."""
    if not request.param:
        move()
    yield request.param
    if not request.param:
        move("state=absent")


def rounds(machine, present, places, **asked):
    """One change for each place, which does not come to its end there; the host has what it had each time."""
    before = everything(machine)
    for place in places:
        change = {key: place if value is None else value for key, value in asked.items()}
        command = begin_command(nics=NICS, present=present, **change)
        said = on(
            machine.name, f"{command} && {UNTIL_IT_ENDS} && echo {MARK} && {{ {machine.everything}; }}", limit=MOMENT
        )
        if constant(parted(said)[2]) != before:
            settled(machine, look=everything, before=before, what=f"{machine.name}, {asked} {place}")


def plan(machine, present):
    """Return the positions of a plan's steps about rows, files and managers, and the number of steps.

    Of files one after another it is the first. Nothing of the plan is done.
    """
    acts = begin(*NICS, host=machine.name, present=present, at=0, acts=[FAILS])[1:]
    ended(host=machine.name)
    places = [
        place for place, kind in enumerate(acts) if kind in MANAGERS and not kind == "FileStep" == acts[place - 1]
    ]
    assert len(places) > 6
    return places, len(acts)


def test_each_step_fails_in_turn(way):
    """Protects each position where a manager is told or rows or files are about to be written: all is rolled back.

    Also one between addresses and routes, and the end.
    """

    def fail(machine):
        places, acts = plan(machine, way)
        rounds(machine, way, sorted({*places, acts // 2, acts}), at=None, acts=[FAILS])

    together(fail)


def test_the_worker_is_killed_in_each_step(way):
    """Protects against sudden death while rows or files are written, a manager is told, or DHCP changes link."""
    together(lambda machine: rounds(machine, way, plan(machine, way)[0], die_at=None, later=0.05))


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
    assert {name: "the change was taken back" in answer["msg"] for name, answer in answers.items()} == dict.fromkeys(
        NAMES, True
    )
    together(lambda machine: settled(machine, 60, everything, before[machine.name]))


def test_leases_are_still_renewed(way):
    """Protects the DHCP clients after all that."""
    together(renewed)
