# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what is left when more members are lost than a cluster survives, and a member whose disk is full."""

from __future__ import annotations

import asyncio
import json
import subprocess

import pytest
from database_server import wait_for
from masters import NORTHBOUND, PLACES, SOUTHBOUND, Masters
from ovn_daemon import Daemon

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.central import reset
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.asked import READDRESS, SET_ASIDE, Step


@pytest.fixture
def masters():
    """Three masters with clusters."""
    made = Masters(3)
    made.site("abc")
    yield made
    made.remove()


def recover(masters, host, others):
    """What the playbook recover does before it goes on with a site run."""
    wanted = masters.asked("abc")
    for place in PLACES:
        for other in others:
            masters.carry_out(Step(other, place.key, SET_ASIDE), wanted)
        address = wanted.raft_address(wanted.master(host), place)
        masters.carry_out(Step(host, place.key, READDRESS, address, timer=wanted.timer), wanted)


def test_recovery_from_one_of_three(masters):
    """Protects the rows of the last member: a new cluster has them all, and the others join it."""
    masters["a"].add_switch("one")
    wait_for(
        lambda: all(masters["a"].everything(NORTHBOUND) == masters[host].everything(NORTHBOUND) for host in "bc"),
        "all to have the row",
    )
    rows = masters["b"].everything(NORTHBOUND)
    before = masters["b"].state(NORTHBOUND)["cluster_id"]
    for place in PLACES:
        masters["a"].wipe(place)
        masters["c"].wipe(place)
    recover(masters, "b", [])
    masters.site("abc")
    assert masters["b"].everything(NORTHBOUND) == rows
    identities = {masters[host].state(NORTHBOUND)["cluster_id"] for host in "abc"}
    assert len(identities) == 1
    assert before not in identities
    wait_for(lambda: all(masters[host].everything(NORTHBOUND) == rows for host in "ac"), "the others to have all rows")


def test_members_of_the_old_cluster_join_the_new_one(masters):
    """Protects against two clusters: a member that comes back from the old one is set aside, and joins."""
    masters["a"].add_switch("one")
    for host in "bc":
        masters[host].stop(NORTHBOUND)
    masters["b"].start(NORTHBOUND)
    masters["a"].stop(NORTHBOUND)
    wait_for(lambda: masters["b"].state(NORTHBOUND)["leader"] == "unknown", "b to be alone")
    recover(masters, "b", ["a", "c"])
    masters.site("abc")
    leader = masters.leader().state(NORTHBOUND)
    assert len(leader["members"]) == 3
    assert list(masters["a"].folder.glob("ovnnb_db.db.*Z"))


def test_northd_takes_the_new_cluster(masters, tmp_path):
    """Protects northd after a recovery: it has seen a later entry of the old cluster's log, and is told to forget."""
    remotes = [f"unix:{masters['a'].folder}/{place.stem}.sock" for place in PLACES]
    northd = Daemon("ovn-northd", tmp_path, f"--ovnnb-db={remotes[0]}", f"--ovnsb-db={remotes[1]}")
    select = {"op": "select", "table": "Datapath_Binding", "where": [], "columns": ["external_ids"]}

    def has(switch):
        return f'"{switch}"' in json.dumps(masters["a"].transact(SOUTHBOUND, select))

    try:
        for number in range(20):
            masters["a"].add_switch(f"s{number}")
        wait_for(lambda: has("s19"), "northd to work")
        for host in "bc":
            for place in PLACES:
                masters[host].wipe(place)
        recover(masters, "a", [])
        assert asyncio.run(reset(False, str(tmp_path))) == [
            "ovn-northd: nb-cluster-state-reset",
            "ovn-northd: sb-cluster-state-reset",
        ]
        masters["a"].add_switch("after")
        wait_for(lambda: has("after"), "northd to bring the switch to the Southbound database")
    finally:
        northd.remove()


@pytest.fixture
def small(tmp_path):
    """A disk of half a megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], check=True, timeout=30)
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True, timeout=30)


def test_a_full_disk(masters, small):
    """Protects a member whose disk was full: it serves on, and has all rows when there is space again."""
    lost = next(host for host in masters.hosts.values() if host is not masters.leader())
    lost.stop(NORTHBOUND)
    file = lost.folder / "ovnnb_db.db"
    (small / "db").write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(small / "db")
    lost.start(NORTHBOUND)
    wait_for(lambda: lost.state(NORTHBOUND)["role"] == "follower", "it to be back")
    leader = masters.leader()
    row = {"name": "x" * 20000}
    for _number in range(40):
        leader.transact(NORTHBOUND, {"op": "insert", "table": "Logical_Switch", "row": row})
    wait_for(lambda: "No space left on device" in lost.log(NORTHBOUND), "its disk to be full")
    subprocess.run(["mount", "-o", "remount,size=8m", str(small)], check=True, timeout=30)
    masters.site("abc")
    wait_for(lambda: lost.everything(NORTHBOUND) == leader.everything(NORTHBOUND), "it to have all rows")
    assert masters.site("abc") == []
