# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A change on disk: done, rolled back from any place, confirmed by others; with a real kernel, and without Open
vSwitch's part."""

from __future__ import annotations

import os
import signal

import pytest
from kernel_links import pair, snapshot
from network_namespace import ip

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import AddressMove, File, HostState, Link
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.plan import plan_host
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.read import read_current
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.steps.links import DropStep, LinkStep
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink import ingress
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic import executor
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic import journal as journals
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.journal import (
    APPLIED,
    APPLYING,
    CONFIRMED,
    PLANNED,
    UNDONE,
    Journal,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.serialize import to_json
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import uplinks

FAILS = {"step": to_json(LinkStep("lo", mtu=-1 & 0xFFFFFFFF))}


@pytest.fixture
def acts(tmp_path):
    """Return the acts that move a NIC with addresses, a route and a rule, and write a file."""
    pair("eth0")
    pair("breth0")
    for command in (
        "address add 10.44.0.12/24 dev eth0",
        "address add fd44::12/64 nodad dev eth0",
        "route add default via 10.44.0.1",
        "rule add priority 500 iif eth0 lookup 100",
    ):
        ip(command)
    desired = HostState(
        links=(Link("breth0", owned=False, promiscuous=True),),
        moves=(AddressMove("eth0", "breth0"),),
        files=(File(str(tmp_path / "kept.json"), "{}\n"),),
    )
    return [{"step": to_json(part)} for step in plan_host(read_current(desired), desired) for part in step.parts()]


@pytest.fixture
def journal(tmp_path):
    return Journal(str(tmp_path / "journal"))


def begin(journal, acts):
    journal.begin("one", acts, ["eth0"], "", 7)


def network():
    """Return addresses, routes, rules and flags of both links."""
    return snapshot("eth0", "breth0"), ip("rule"), "PROMISC" in ip("link show dev breth0")


def test_done_and_confirmed(journal, acts, tmp_path):
    """Protects a change that succeeds: it stays, and a later call has nothing to roll back."""
    with journal.held():
        begin(journal, acts)
        assert journal.read().state == PLANNED
        executor.apply(journal)
        assert journal.read().state == APPLIED
        moved = network()
        journal.confirm("another")
        assert not journal.is_confirmed("one")
        journal.confirm("one")
        executor.finish_or_roll_back(journal)
        executor.finish_or_roll_back(journal)
    assert journal.read().state == CONFIRMED and journal.pending() is None
    assert network() == moved and moved[0]["eth0"] == [] and (tmp_path / "kept.json").exists()


def test_each_step_fails_once(journal, acts, tmp_path):
    """Protects each position in the plan: the host is what it was, and the reason is that step's."""
    before = network()
    for position in range(len(acts) + 1):
        with journal.held():
            begin(journal, acts[:position] + [FAILS] + acts[position:])
            with pytest.raises(HostError, match="link lo: mtu 4294967295 failed"):
                executor.apply(journal)
        assert journal.read().state == UNDONE
        assert network() == before and not (tmp_path / "kept.json").exists()


def test_a_killed_process_is_followed_by_one_that_takes_back(journal, acts):
    """Protects against a kill after any number of steps: the lock is released, and the count of acts stays."""
    before = network()
    for position in range(1, len(acts) + 1):
        begin(journal, acts)
        child = os.fork()
        if not child:
            with journal.held():
                journal.set_state("applying")
                with executor.StepRunner(1) as runner:
                    for index, act in enumerate(acts[:position]):
                        journal.mark(index)
                        executor._do(act, runner, "")
                    os.kill(os.getpid(), signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        assert network() != before
        assert journal.begun() == position
        executor.finish_pending(journal)
        assert journal.read().state == UNDONE and "in the middle" in journal.read().reason
        assert network() == before


def test_after_a_boot_files_alone_are_taken_back(journal, acts, tmp_path, monkeypatch):
    """Protects the NIC that a boot has configured again against addresses that it had before the boot."""
    with journal.held():
        begin(journal, acts)
        executor.apply(journal)
    now = network()
    monkeypatch.setattr(journals, "this_boot", lambda: "the next")
    executor.finish_pending(journal)
    assert journal.read().state == UNDONE
    assert network() == now and not (tmp_path / "kept.json").exists()


@pytest.mark.parametrize("nic", ["eth0", "gone0"])
def test_after_a_boot_the_nic_gets_what_the_boot_gave_to_the_bridge(journal, monkeypatch, nic):
    """Protects a host whose boot has read the files of an unconfirmed change: the bridge is
    removed, but not its addresses."""
    pair("eth0")
    pair("br" + nic)
    for command in (
        "address add 10.44.0.12/24",
        "address add fd44::12/64 nodad",
        "route add default via 10.44.0.1",
        "-6 route add default via fd44::1",
    ):
        ip(f"{command} dev br{nic}")
    monkeypatch.setattr(executor, "write_rows", lambda nic, settings, remote: ip("link delete br" + nic))
    with journal.held():
        begin(journal, [{"rows": nic, "before": None, "after": {"promiscuous": False}}])
    monkeypatch.setattr(journals, "this_boot", lambda: "the next")
    executor.finish_pending(journal)
    assert journal.read().state == UNDONE and "br" + nic not in ip("link")
    if nic == "eth0":
        assert "10.44.0.12/24" in ip("address show dev eth0") and "fd44::12/64" in ip("address show dev eth0")
        assert "default via 10.44.0.1 dev eth0" in ip("route") and "default via fd44::1 dev eth0" in ip("-6 route")


def test_a_bridge_that_is_made_again_gets_all_back(journal, monkeypatch):
    """Protects the rollback of a return: Open vSwitch makes a bridge that is down, and routes need one that is
    up."""

    def write_rows(nic, settings, remote):
        if settings is None:
            ip("link delete breth0")
        else:
            pair("breth0", up=False)

    monkeypatch.setattr(executor, "write_rows", write_rows)
    pair("eth0")
    pair("breth0")
    for command in (
        "link set breth0 promisc on",
        "address add 10.44.0.12/24 dev breth0",
        "address add fd44::12/64 nodad dev breth0",
        "route add default via 10.44.0.1",
        "-6 route add default via fd44::1",
    ):
        ip(command)
    desired = HostState(moves=(AddressMove("breth0", "eth0"),))
    acts = [{"step": to_json(part)} for step in plan_host(read_current(desired), desired) for part in step.parts()]
    with journal.held():
        begin(journal, [*acts, {"rows": "eth0", "before": {"promiscuous": True}, "after": None}, FAILS])
        with pytest.raises(HostError, match="link lo"):
            executor.apply(journal)
    assert "10.44.0.12/24" in ip("address show dev breth0") and "default via fd44::1" in ip("-6 route")
    assert (
        "default via 10.44.0.1 dev breth0" in ip("route")
        and "PROMISC" in ip("link show dev breth0")
        and "UP" in ip("link show dev breth0")
    )
    assert "10.44.0.12" not in ip("address show dev eth0")


@pytest.mark.parametrize(("datapath", "link"), [("system", "breth0"), ("netdev", "eth0")])
def test_a_nic_that_can_not_be_taken_out_of_its_bridge(journal, acts, tmp_path, monkeypatch, datapath, link):
    """Protects a host whose Open vSwitch can't change its rows, with a full disk for example: in the kernel's datapath
    the bridge has the addresses until the NIC is out of it, since the NIC itself receives nothing."""
    before = network()

    def write_rows(nic, settings, remote):
        if settings is None:
            raise HostError("no room for rows")

    monkeypatch.setattr(executor, "PATIENCE", 0.0)
    monkeypatch.setattr(executor, "write_rows", write_rows)
    rows = {"rows": "eth0", "before": None, "after": {"promiscuous": False, "datapath_type": datapath}}
    with journal.held():
        begin(journal, [rows, *acts, FAILS])
        with pytest.raises(HostError, match=r"link lo: mtu .* not all could be rolled back: no room for rows"):
            executor.apply(journal)
    with pytest.raises(HostError, match="not all could be rolled back: no room for rows"):
        executor.finish_pending(journal)
    other = "eth0" if link == "breth0" else "breth0"
    assert "10.44.0.12/24" in ip(f"address show dev {link}") and "10.44.0.12" not in ip(f"address show dev {other}")
    assert f"default via 10.44.0.1 dev {link}" in ip("route") and not (tmp_path / "kept.json").exists()
    monkeypatch.setattr(executor, "write_rows", lambda *_arguments: None)
    executor.finish_pending(journal)
    assert journal.read().state == UNDONE and network() == before


def test_a_rollback_that_is_begun_again_ends(journal):
    """Protects against a rollback that never ends: the drop at the NIC is gone already when it is rolled back a second
    time."""
    pair("eth0")
    begin(journal, [{"step": to_json(DropStep("eth0", True))}, {"step": to_json(DropStep("other", True))}])
    with journal.held():
        journal.set_state(APPLYING)
        journal.mark(0)
        journal.mark(1)
        executor.finish_or_roll_back(journal)
    assert journal.read().state == UNDONE
    pair("other")
    begin(journal, [{"step": to_json(DropStep("eth0", True))}, {"step": to_json(DropStep("other", True))}])
    with journal.held():
        executor.apply(journal)
        ingress.remove_drop("eth0")  # where the killed rollback ended
        executor.finish_or_roll_back(journal)
    assert journal.read().state == UNDONE and ingress.dropped_nics() == frozenset()


def test_one_at_a_time(journal, acts):
    """Protects against two programs that change the NICs at once: the second one learns what is under way."""
    begin(journal, acts)
    with journal.held() as first, journal.held() as second:
        assert (first, second) == (True, False)
    with pytest.raises(HostError, match=r"under way \(eth0\): wait until it is confirmed or rolled back, 7 s at most"):
        executor.refuse_while_pending(journal)


@pytest.mark.parametrize("comes", [True, False], ids=["the unit begins", "the unit is gone"])
def test_a_change_that_systemd_is_about_to_begin(journal, acts, monkeypatch, comes):
    """Protects a change whose unit waits until Open vSwitch has started: the host's boot unit, which starts then too,
    leaves it to that unit; without one it is rolled back."""
    begin(journal, acts)
    asked = []

    def is_loaded(unit):
        asked.append(unit)
        if len(asked) == 3 and comes:
            with journal.held():
                executor.apply(journal)
                journal.confirm("one")
        return len(asked) < 3 or comes

    monkeypatch.setattr(executor, "is_loaded", is_loaded)
    executor.finish_pending(journal)
    assert set(asked) == {"ovn-k8s-uplinks.service"} and len(asked) == 3
    change = journal.read()
    assert (change.state, change.reason) == (
        (CONFIRMED, None) if comes else (UNDONE, "the change was stopped before its first step")
    )


def test_a_change_that_systemd_begins_too_late(journal, acts, monkeypatch):
    """Protects a host against a change that begins when nobody waits for it any more; the words say what was slow."""
    before = network()
    monkeypatch.setattr(uplinks, "host_journal", lambda: journal)
    monkeypatch.setattr(uplinks, "start_watch_of_drops", lambda: None)
    begin(journal, acts)
    late = journals.boot_time() + 8
    monkeypatch.setattr(executor, "boot_time", lambda: late)
    assert uplinks.main(["apply"]) == 0
    change = journal.read()
    assert change.state == UNDONE and change.reason.startswith("it was not begun within 7 s: look at the services")
    assert network() == before


def test_only_root_can_read_it(journal, acts):
    """Protects secrets in network managers' files, of which the journal holds copies."""
    begin(journal, acts)
    assert os.stat(journal.path).st_mode & 0o077 == 0
    assert journal.read().id == "one"


def test_an_edited_journal_is_refused(journal):
    """Protects against a traceback when the file was edited."""
    os.makedirs(journal.directory)
    with open(journal.path, "w", encoding="utf-8") as broken:
        broken.write("{")
    with pytest.raises(
        HostError, match=r"change.json can't be read: look at the network of this host, and remove the file"
    ):
        journal.read()
