# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the database of one master where a step of a site run fails, or meets what others do, with real servers."""

from __future__ import annotations

import pathlib
from dataclasses import replace

import pytest
from database_server import wait_for
from masters import NORTHBOUND, PLACES, SOUTHBOUND, Masters, run

from ansible_collections.ovn.kubernetes.plugins.module_utils._central import execute, listeners
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.asked import Asked, Step
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.database import Database, Listener
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.decide import decide
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.execute import Executor
from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import Owner
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.overlay import node_owner


@pytest.fixture
def masters():
    """One host without a database."""
    made = Masters(1)
    yield made
    made.remove()


def test_a_standalone_database_whose_file_is_gone(masters):
    """Protects the only rows that are left, which a server has in its memory: it is not stopped."""
    masters["a"].standalone(NORTHBOUND)
    masters["a"].add_switch("one")
    wanted = masters.asked("a")
    step = masters.decide(wanted).steps[0]
    pathlib.Path(masters["a"].folders.file(NORTHBOUND)).unlink()
    with pytest.raises(HostError, match="is none, and no standalone database"):
        masters.carry_out(step, wanted)
    assert masters["a"].everything(NORTHBOUND)["Logical_Switch"]


def test_the_record_of_who_has_which_system_id(masters):
    """Protects the names of hosts: the controller reads from a master whose system-id is whose, of our nodes alone; a
    database that does not run has no empty record."""
    host = masters["a"]
    assert host.state(NORTHBOUND)["chassis"] is None
    host.standalone(NORTHBOUND)
    assert host.state(NORTHBOUND)["chassis"] == {}
    host.add_switch("n1", {**node_owner("n1").keys(), names.CHASSIS_KEY: "id-1"})
    host.add_switch("n2", node_owner("n2").keys())
    host.add_switch("n3", {**Owner("Gateway", "n3").keys(), names.CHASSIS_KEY: "id-3"})
    host.add_switch("n4", {names.OWNER_TYPE: "Node", names.OWNER_NAME: "n4", names.CHASSIS_KEY: "id-4"})
    assert host.state(NORTHBOUND)["chassis"] == {"n1": "id-1"}
    masters.site("a")
    assert (host.state(NORTHBOUND)["chassis"], host.state(SOUTHBOUND)["chassis"]) == ({"n1": "id-1"}, None)
    host.stop(NORTHBOUND)
    assert host.state(NORTHBOUND)["chassis"] is None


def test_options_that_cannot_be_written(masters):
    """Protects chassis where the disk is full at the last moment: the server runs with the options of before."""
    masters["a"].standalone(NORTHBOUND)
    masters["a"].add_switch("one")
    rows = masters["a"].everything(NORTHBOUND)
    step = masters.decide(masters.asked("a")).steps[0]

    def configure():
        raise HostError("No space left on device")

    host = masters["a"]
    with pytest.raises(HostError, match="No space left"):
        Executor(NORTHBOUND, host, run, configure, host.folders).carry_out(step)
    wait_for(lambda: host.state(NORTHBOUND)["running"], "its server to run")
    assert host.everything(NORTHBOUND) == rows
    masters.site("a")
    assert host.everything(NORTHBOUND) == rows


@pytest.mark.parametrize("fails", ["cluster-to-standalone", "create-cluster"])
def test_a_disk_that_is_full_when_the_address_changes(masters, fails):
    """Protects one master at another address: where its files can't be made, it serves as it did."""
    masters.site("a")
    masters["a"].add_switch("one")
    host = masters["a"]
    rows, before = host.everything(NORTHBOUND), host.state(NORTHBOUND)["address"]

    def full(command):
        return (1, "", "No space left on device") if fails in command else run(command)

    step = Step("a", "northbound", "readdress", "tcp:127.0.0.9:6643", timer=1500)
    with pytest.raises(HostError, match="No space left"):
        Executor(NORTHBOUND, host, full, lambda: None, host.folders).carry_out(step)
    wait_for(lambda: host.state(NORTHBOUND)["role"] == "leader", "its server to lead again")
    assert (host.everything(NORTHBOUND), host.state(NORTHBOUND)["address"]) == (rows, before)


def test_listeners_while_others_write(masters, monkeypatch):
    """Protects the first installation: ovn-northd makes the one row of a new database at that moment."""
    masters.site("a")
    made = listeners.operations
    meanwhile = [{"op": "insert", "table": "Connection", "row": {"target": "ptcp:7"}}]
    meanwhile += [{"op": "insert", "table": "NB_Global", "row": {}}]

    def operations(*arguments):
        if meanwhile:
            masters["a"].transact(NORTHBOUND, *meanwhile)
            meanwhile.clear()
        return made(*arguments)

    monkeypatch.setattr(listeners, "operations", operations)
    wanted = (Listener("ptcp:0:127.0.0.1"),)
    masters.carry_out(Step("a", "northbound", "listen", listeners=wanted), masters.asked("a"))
    assert [one.target for one in Database.from_dict(masters["a"].state(NORTHBOUND)).listeners] == [wanted[0].target]


@pytest.fixture
def three():
    """Three masters with clusters, and what led there."""
    made = Masters(3)
    steps = []
    made.site("abc", after=steps.append)
    yield made, {(step.action, step.host, step.database): step for step in steps}
    made.remove()


def test_two_runs_at_one_time(three):
    """Protects members against a second run that has decided upon the same state: what a step asks for is there, and
    is not done again. A member that joined twice would leave a dead one, and with it a cluster could lose its
    majority; a cluster that is made anew beside others would be a second one."""
    masters, steps = three
    wanted = masters.asked("abc")
    before = {host: masters[host].state(NORTHBOUND)["server_id"] for host in "abc"}
    for host in "bc":
        masters.carry_out(steps["join", host, "northbound"], wanted)
    with pytest.raises(HostError, match="is there already"):
        masters.carry_out(steps["bootstrap", "a", "northbound"], wanted)
    address = wanted.raft_address(wanted.master("b"), NORTHBOUND)
    with pytest.raises(HostError, match="has a leader and 3 members by now"):
        masters.carry_out(Step("b", "northbound", "readdress", address, timer=1500), wanted)
    with pytest.raises(HostError, match="has a leader by now, and its file is not set aside"):
        masters.carry_out(Step("c", "northbound", "set_aside"), wanted)
    assert {host: masters[host].state(NORTHBOUND)["server_id"] for host in "abc"} == before
    assert len(masters.leader().state(NORTHBOUND)["members"]) == 3


def test_a_cluster_that_was_made_anew_already(masters):
    """Protects the only member against being made anew twice, by a second run: its cluster stays."""
    masters.site("a")
    before = masters["a"].state(NORTHBOUND)
    step = Step("a", "northbound", "readdress", before["address"], timer=1500)
    masters.carry_out(step, masters.asked("a"))
    assert masters["a"].state(NORTHBOUND)["cluster_id"] == before["cluster_id"]


def test_a_master_that_was_taken_out_while_it_was_down(three):
    """Protects against a server that is no member and asks for votes for ever, on a host that is no master any more."""
    masters, _steps = three
    for place in PLACES:
        masters["c"].stop(place)
    masters["b"].add_switch("one")
    without = masters.asked("ab")
    known = masters.facts(down="c")
    del known["c"]
    for _round in range(9):
        steps = decide(Asked(without.masters, protocol="tcp", arguments=without.arguments), known).steps
        if not steps:
            break
        for step in steps:
            masters.carry_out(step, without)
        known = masters.facts(down="c")
        del known["c"]
    assert len(masters["a"].state(NORTHBOUND)["members"]) == 2
    for place in PLACES:
        masters["c"].start(place)
    wait_for(lambda: all(masters["c"].state(place)["running"] for place in PLACES), "it to be back")
    wait_for(lambda: not Database.from_dict(masters["c"].state(NORTHBOUND)).has_leader, "it to know no leader")
    masters.site("ab")
    assert masters["c"].state(NORTHBOUND)["model"] == "none"
    assert list(masters["c"].folder.glob("ovnnb_db.db.*Z"))


def test_a_join_that_fails(three, monkeypatch):
    """Protects the cluster against a joiner of another one, and a host whose disk is full when it is to join: the
    cluster is as it was, and the next run lets the host join."""
    masters, steps = three
    wanted, host = masters.asked("abc"), masters["c"]
    for place in PLACES:
        host.wipe(place)
    masters.carry_out(next(one for one in masters.decide(wanted).steps if one.database == "northbound"), wanted)
    step = replace(steps["join", "c", "northbound"], remotes=(masters["a"].state(NORTHBOUND)["address"],))

    def full(command):
        return (1, "", "No space left on device") if "join-cluster" in command else run(command)

    with pytest.raises(HostError, match="No space left"):
        Executor(NORTHBOUND, host, full, lambda: None, host.folders).carry_out(step)
    assert host.state(NORTHBOUND)["model"] == "none"
    monkeypatch.setattr(execute, "JOIN_TIME", 3.0)
    with pytest.raises(HostError, match="has not joined its cluster"):
        masters.carry_out(replace(step, cluster="c0c0c0c0-0000-4000-8000-000000000000"), wanted)
    assert len(masters.leader().state(NORTHBOUND)["members"]) == 2
    monkeypatch.undo()
    host.stop(NORTHBOUND)  # a boot: its file says what it was about to join
    masters.site("abc")
    assert len(masters.leader().state(NORTHBOUND)["members"]) == 3
    assert masters.site("abc") == []


def test_a_member_that_cannot_leave(three, monkeypatch):
    """Protects the rows of a member that is to leave while nobody leads: it stays what it was, and leaves in a later
    run."""
    masters, _steps = three
    masters["a"].add_switch("one")
    rows = masters["a"].everything(NORTHBOUND)
    wait_for(lambda: masters["c"].everything(NORTHBOUND) == rows, "it to have the row")
    for host in "ab":
        masters[host].stop(NORTHBOUND)
    wait_for(lambda: not Database.from_dict(masters["c"].state(NORTHBOUND)).has_leader, "it to be alone")
    monkeypatch.setattr(execute, "CLUSTER_TIME", 2.0)
    with pytest.raises(HostError, match="has not left its cluster"):
        masters.carry_out(Step("c", "northbound", "leave"), masters.asked("a"))
    assert masters["c"].state(NORTHBOUND)["model"] == "clustered"
    monkeypatch.undo()
    for host in "ab":
        masters[host].start(NORTHBOUND)
    masters.site("a")
    assert masters["a"].everything(NORTHBOUND) == rows
    assert len(masters["a"].state(NORTHBOUND)["members"]) == 1
