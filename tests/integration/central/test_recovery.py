# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what is left when more members are lost than a cluster survives."""

from __future__ import annotations

import json
import signal

from database_server import Client, Server, wait_for
from masters import NORTHBOUND, PLACES, SOUTHBOUND
from ovn_daemon import Daemon

from ansible_collections.ovn.kubernetes.plugins.module_utils._central.asked import READDRESS, SET_ASIDE, Step
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.cut_off import cut_off, reset, reset_cut_off
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.database import Database


def recover(masters, host, others, places=PLACES):
    """What the playbook recover does before it goes on with a site run."""
    wanted = masters.asked("abc")
    for place in places:
        wait_for(
            lambda at=place: not Database.from_dict(masters[host].state(at)).has_leader, "the majority to be missed"
        )
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


def test_a_log_of_the_same_length_that_nobody_has_agreed_upon(masters):
    """Protects what the majority has: a leader that was cut off has an entry in its log that nobody else has got. The
    terms of the last entries tell it, of members that run and of those that are stopped."""
    leader = masters.leader()
    others = [host for host in masters.hosts.values() if host is not leader]
    for host in others:
        host.stop(NORTHBOUND, signal.SIGKILL)
    before = leader.state(NORTHBOUND)["last"]
    client = Client(leader.folder / f"{NORTHBOUND.stem}.sock")
    row = {"op": "insert", "table": "Logical_Switch", "row": {"name": "of nobody"}}
    client.send("transact", [NORTHBOUND.database, row], 1)
    wait_for(lambda: leader.state(NORTHBOUND)["last"] > before, "an entry that nobody else gets")
    client.close()
    leader.stop(NORTHBOUND, signal.SIGKILL)
    for host in others:
        host.start(NORTHBOUND)
    assert masters.leader() in others  # which has begun its term with an entry
    for host in others:
        host.stop(NORTHBOUND, signal.SIGKILL)
    alone, *most = (Database.from_dict(host.state(NORTHBOUND)) for host in (leader, *others))
    latest = max(most, key=lambda one: (one.last_term, one.last))
    assert alone.last == latest.last and 0 < alone.last_term < latest.last_term
    assert alone.is_behind(latest) and not latest.is_behind(alone)
    leader.start(NORTHBOUND)
    wait_for(lambda: leader.state(NORTHBOUND)["running"], "the leader of before to run alone")
    again = Database.from_dict(leader.state(NORTHBOUND))
    assert (again.has_leader, again.last, again.last_term) == (False, alone.last, alone.last_term)


def test_members_of_the_old_cluster_join_the_new_one(masters):
    """Protects against two clusters: a member that comes back from the old one is set aside, and joins."""
    masters["a"].add_switch("one")
    for host in "bc":
        masters[host].stop(NORTHBOUND)
    masters["b"].start(NORTHBOUND)
    masters["a"].stop(NORTHBOUND)
    recover(masters, "b", ["a", "c"], [NORTHBOUND])
    masters.site("abc")
    leader = masters.leader().state(NORTHBOUND)
    assert len(leader["members"]) == 3
    assert list(masters["a"].folder.glob("ovnnb_db.db.*Z"))


def test_northd_takes_the_new_cluster(masters, tmp_path):
    """Protects northd after a recovery that ended before anybody was told to forget: it has seen a later entry of the
    old clusters' logs. Who is connected is left alone."""
    remotes = [f"unix:{masters['a'].folder}/{place.stem}.sock" for place in PLACES]
    northd = Daemon("ovn-northd", tmp_path, f"--ovnnb-db={remotes[0]}", f"--ovnsb-db={remotes[1]}")
    select = {"op": "select", "table": "Datapath_Binding", "where": [], "columns": ["external_ids"]}

    def has(switch):
        return f'"{switch}"' in json.dumps(masters["a"].transact(SOUTHBOUND, select))

    try:
        for number in range(20):
            masters["a"].add_switch(f"s{number}")
        wait_for(lambda: has("s19"), "northd to work")
        assert cut_off(str(tmp_path)) == []
        assert reset_cut_off(False, str(tmp_path)) == ([], [])
        for host in "bc":
            for place in PLACES:
                masters[host].wipe(place)
        recover(masters, "a", [])
        wait_for(lambda: northd.log.read_text().count("has stale data") > 1, "northd to be without its databases")
        assert cut_off(str(tmp_path)) == ["ovn-northd"]
        assert cut_off(str(tmp_path), for_seconds=3600) == [], "it may not have had the time to connect"
        done = ["ovn-northd: nb-cluster-state-reset", "ovn-northd: sb-cluster-state-reset"]
        assert reset_cut_off(True, str(tmp_path), 2) == (done, [])
        assert reset_cut_off(False, str(tmp_path))[1] == []
        masters["a"].add_switch("after")
        wait_for(lambda: has("after"), "northd to bring the switch to the Southbound database")
        assert cut_off(str(tmp_path)) == []
        assert reset(False, directory=str(tmp_path)) == done, "all are told where a cluster has just been made anew"
    finally:
        northd.remove()


def test_a_controller_that_was_not_told(masters, tmp_path):
    """Protects a chassis that was not reached when its cluster was made anew: the next run lets it forget the one of
    before, and it registers itself in the new one. Where no server answers, that is said, and no change."""
    vswitch = Server("vswitch", "Open_vSwitch")
    remote = f"unix:{masters['a'].folder}/{SOUTHBOUND.stem}.sock"
    ids = {"system-id": "id-1", "ovn-remote": remote, "ovn-encap-type": "geneve", "ovn-encap-ip": "127.0.0.1"}
    row = {"external_ids": ["map", [list(pair) for pair in ids.items()]]}
    vswitch.transact({"op": "insert", "table": "Open_vSwitch", "row": row})
    controller = Daemon("ovn-controller", tmp_path, f"unix:{vswitch.socket}")

    def chassis():
        select = {"op": "select", "table": "Chassis", "where": [], "columns": ["name"]}
        return masters["a"].transact(SOUTHBOUND, select)[0]["rows"]

    try:
        wait_for(chassis, "the chassis")
        for number in range(20):
            masters["a"].transact(SOUTHBOUND, {"op": "insert", "table": "Address_Set", "row": {"name": f"a{number}"}})
        for host in "bc":
            for place in PLACES:
                masters[host].wipe(place)
        recover(masters, "a", [])
        masters["a"].transact(SOUTHBOUND, {"op": "delete", "table": "Chassis", "where": []})
        wait_for(lambda: controller.log.read_text().count("has stale data") > 1, "the controller to be cut off")
        assert cut_off(str(tmp_path)) == ["ovn-controller"]
        assert reset_cut_off(False, str(tmp_path)) == (["ovn-controller: sb-cluster-state-reset"], [])
        wait_for(chassis, "the chassis in the new cluster")
        masters["a"].stop(SOUTHBOUND)
        wait_for(lambda: cut_off(str(tmp_path)), "the controller to notice it")
        left = "ovn-controller is not connected to OVN_Southbound: /var/log/ovn/ovn-controller.log says why"
        assert reset_cut_off(False, str(tmp_path), 1) == ([], [left])
    finally:
        controller.remove()
        vswitch.remove()
