# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the promise: whatever fails or is killed, whenever, the host answers at its old address, with all it had."""

from __future__ import annotations

import threading

import pytest
from lab_hosts import lab, wait

from .conftest import (
    ADDRESSES,
    HOST,
    JOURNAL,
    SNAPSHOT,
    WAITS,
    WAITS_BOTH_WAYS,
    begin,
    begin_and_die,
    constant,
    ended,
    hold,
    hold_worker,
    inside,
    let_go,
    nics,
    on,
    snapshot,
    state,
    worker_is_held,
)
from .on_host import HELD, Changes, every_other, place_of_each_kind, places

# A route whose next hop is in no network: the kernel refuses it.
HOP = {"is": "Nexthop", "link": "eth0", "via": "192.0.2.99", "flags": 0, "hops": 0, "extra": []}
FAILS = {
    "step": {
        "is": "RouteStep",
        "present": True,
        "route": {"is": "FoundRoute", "destination": "203.0.113.99/32", "nexthops": [HOP]},
    }
}
REACHED = "until [ $(cat /var/lib/ovn-kubernetes/uplinks/marks 2>/dev/null | wc -l) = {} ]; do sleep .02; done"
WORKERS = "pgrep -f '[o]vn_kubernetes.pyz uplinks'"
WORKER = "systemctl show --property MainPID --value ovn-k8s-uplinks.service"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("present", [True, False], ids=["there", "back"])
def test_each_step_fails_in_turn(host, present):
    """Protects each kind of step of the plan: one that fails there takes everything back. The two ways share them."""
    if not present:
        assert nics("eth0", "eth1").good
    before = snapshot()
    asked = {"present": present, "acts": [FAILS], "then": SNAPSHOT}
    with Changes(host, ADDRESSES) as changes:
        kinds = changes.rolled_back("eth0", "eth1", at=0, **asked)[0][1:]
        for place in every_other(places(kinds)[:-1], second=present):
            _whole, reason, after = changes.rolled_back("eth0", "eth1", at=place, **asked)
            assert "203.0.113.99/32" in reason
            assert constant(after) == before, f"step {place} of {len(kinds)}, {kinds[place]}"
    assert len(places(kinds)) > 10


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victims", [["sshd"], ["worker", "sshd"]], ids=["sshd", "both"])
def test_killed_at_each_step(host, victims):
    """Protects against the sudden death of the ssh server at any step.

    The program that does the steps may die together with it. The ssh server alone takes part in none of them, so one
    step of each kind is enough for it.
    """
    before = snapshot()
    asked = {"acts": [WAITS, FAILS], "timeout": 60, "victims": victims, "then": SNAPSHOT}
    hold()
    with Changes(host, ADDRESSES) as changes:
        kinds = changes.rolled_back("eth0", at=0, die_at=0, **asked)[0][2:]
        chosen = every_other(places(kinds)) if "worker" in victims else place_of_each_kind(kinds)
        for place in chosen:
            _whole, reason, after = changes.rolled_back("eth0", at=place, die_at=place, **asked)
            assert ("in the middle" in reason) == ("worker" in victims), reason
            assert constant(after) == before, f"step {place} of {len(kinds)}"
    assert len(chosen) > 4


def test_killed_while_it_waits_for_the_confirmation(host):
    """Protects the last moment: all is done, nobody has confirmed, and the one who waits dies."""
    before = snapshot()
    begin("eth0", timeout=30)
    kill("worker", "sshd", first=f"until grep -q '\"applied\"' {JOURNAL}; do sleep .05; done")
    ended()
    assert snapshot() == before


def test_killed_while_it_takes_back(host):
    """Protects the way back itself: systemd begins it again until it is done."""
    before = snapshot()
    hold()
    begin("eth0", at=5, acts=[WAITS_BOTH_WAYS, FAILS], timeout=60)
    inside(f"cat {HELD}")  # so the next step fails
    wait(lambda: state() == "undoing", 20, "the way back")
    killed = ""
    for _time in range(3):
        killed = wait(lambda killed=killed: (found := inside(WORKERS, check=False)) != killed and found, 30, "a worker")
        inside(f"kill -9 {' '.join(killed.split())}")
    let_go()
    ended()
    assert snapshot() == before


def test_nobody_confirms(host):
    """Protects against a change that is done and leads nowhere: it ends by itself, after its time and not before."""
    before = snapshot()
    begin("eth0", timeout=10)
    assert "within 10 s" in ended()
    assert snapshot() == before


def test_the_cable_is_cut(host):
    """Protects against a connection that breaks in the middle: the host rolls all back.

    The task says so when it reaches the host again.
    """
    before = snapshot()
    answer = []
    task = threading.Thread(target=lambda: answer.append(nics("eth0", rollback_timeout=12)))
    hold_worker()
    task.start()
    worker_is_held()
    lab("unplug", HOST, "eth0")
    let_go()
    wait(lambda: state() in ("undone", "confirmed"), 30, "the end")
    lab("plug", HOST, "eth0")
    task.join()
    assert state() == "undone"
    assert not answer[0].good and "rolled back" in answer[0].answer["msg"], answer[0].output
    assert "within 12 s" in answer[0].answer["msg"]
    assert snapshot() == before


@pytest.mark.parametrize("place", [0, 4, 1000], ids=["first", "middle", "last"])
def test_a_reboot_in_the_middle(bare, place):
    """Protects against a power cut: the boot finds the change unconfirmed, and the host is what it was."""
    before = snapshot()
    hold()
    acts = begin("eth0", at=place, acts=[WAITS], timeout=60)
    inside(REACHED.format(min(place, len(acts) - 1) + 1))
    lab("podman", "kill", "--signal", "KILL", HOST)
    lab("start", HOST)
    assert "stopped" in ended()
    assert snapshot() == before


def kill(*victims, first="true"):
    """Sudden death, once ``first`` has ended."""
    how = {"worker": f"kill -9 $({WORKER})", "sshd": "pkill -9 sshd; systemctl reset-failed ssh; systemctl restart ssh"}
    inside("; ".join((first, *(how[victim] for victim in victims))))


def test_another_change_must_wait(host):
    """Protects against two changes at once: the second is refused in words, and the first has its way."""
    before = snapshot()
    begin("eth0", timeout=300)
    second = nics("eth1")
    assert not second.good and "is under way (eth0)" in second.answer["msg"], second.output
    kill("worker")
    ended()
    assert on(HOST, "cat /sys/class/net/eth1/mtu").strip() == "1400"
    assert snapshot() == before


def test_the_module_is_killed_before_anything_began(host):
    """Protects against a change that waits for ever to be carried out: nothing was touched, and the next can begin."""
    before = snapshot()
    begin_and_die("eth0")
    assert snapshot() == before
    assert nics("eth1").good
    assert on(HOST, "ovs-vsctl list-br").split() == ["breth1"]
