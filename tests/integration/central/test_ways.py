# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the databases of one, three and five masters on every way, with real servers: no row is lost, there is one
cluster, and no file is deleted."""

from __future__ import annotations

import hashlib
import json
import pathlib
import signal
import subprocess
import time

import pytest
from database_server import wait_for
from masters import NORTHBOUND, PLACES, SOUTHBOUND, Masters, run


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Arguments of ovsdb-server with a key, in one file with its certificate, and its authority."""
    folder = tmp_path_factory.mktemp("keys")

    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2)
    openssl("req", "-x509", *new, "-subj", "/CN=central", "-keyout", folder / "ca.key", "-out", folder / "ca.crt")
    signed = ("-CA", folder / "ca.crt", "-CAkey", folder / "ca.key")
    openssl("req", "-x509", *new, "-subj", "/CN=a", "-keyout", folder / "key", "-out", folder / "crt", *signed)
    pem = folder / "central.pem"
    pem.write_text((folder / "key").read_text() + (folder / "crt").read_text())
    return (f"--private-key={pem}", f"--certificate={pem}", f"--ca-cert={folder / 'ca.crt'}")


@pytest.fixture
def masters(keys):
    """Five hosts without a database."""
    made = Masters(5, keys)
    yield made
    made.remove()


def members(masters, place=NORTHBOUND):
    """The addresses of the members, without their ports, by the leader's list."""
    return sorted(member["address"].rpartition(":")[0] for member in masters.leader(place).state(place)["members"])


def addresses(masters, names, protocol="tcp"):
    return [f"{protocol}:{masters[name].address}" for name in names]


def identity(masters, place=NORTHBOUND):
    return masters.leader(place).state(place)["cluster_id"]


def in_step(masters, names, rows, place=NORTHBOUND):
    """Whether all of these hosts have exactly these rows."""
    wait_for(lambda: all(masters[name].everything(place) == rows for name in names), f"{names} to have all rows")


def test_one_master_then_three_then_one(masters):
    """Protects 1 to 3 to 1: join and leave, with the rows and the cluster's ID of the beginning; a second run of each
    does nothing."""
    assert masters.site("a") == ["bootstrap a northbound", "bootstrap a southbound"]
    assert masters.site("a") == []
    masters["a"].add_switch("one")
    rows, cluster = masters["a"].everything(NORTHBOUND), identity(masters)
    assert masters.site("abc") == [f"join {host} {key}" for key in ("northbound", "southbound") for host in "bc"]
    assert masters.site("abc") == []
    assert members(masters) == addresses(masters, "abc")
    in_step(masters, "abc", rows)
    assert masters.site("c") == [
        "leave b northbound",
        "leave a northbound",
        "leave b southbound",
        "leave a southbound",
    ]
    assert masters.site("c") == []
    assert members(masters) == addresses(masters, "c")
    assert (masters["c"].everything(NORTHBOUND), identity(masters)) == (rows, cluster)
    for host in "ab":
        assert list(masters[host].folder.glob("ovnnb_db.db.*Z")), "its file was deleted"


def test_five_masters(masters):
    """Protects the largest number: bootstrap once, four join."""
    masters.site("abcde")
    assert members(masters) == addresses(masters, "abcde")
    assert len({masters[host].state(SOUTHBOUND)["cluster_id"] for host in "abcde"}) == 1


def test_standalone_becomes_a_cluster(masters):
    """Protects every row and every UUID of a database as it was before there were clusters."""
    for place in PLACES:
        masters["a"].standalone(place)
    for number in range(200):
        masters["a"].add_switch(f"s{number}")
    before = {place.key: masters["a"].everything(place) for place in PLACES}
    assert masters.site("abc")[:2] == ["convert a northbound", "convert a southbound"]
    for place in PLACES:
        in_step(masters, "abc", before[place.key], place)
        (aside,) = masters["a"].folder.glob(f"{place.stem}.db.*Z")
        assert aside.read_bytes().startswith(b"OVSDB JSON ")


def test_tcp_to_ssl_and_back(masters):
    """Protects a cluster while its members change their protocol, one after the other: two of three always serve."""
    masters.site("abc")
    masters["a"].add_switch("one")
    rows, cluster = masters["a"].everything(NORTHBOUND), identity(masters)
    fewest = []

    def after(_step):
        serving = [host for host in "abc" if masters[host].state(NORTHBOUND)["running"]]
        fewest.append(len(serving))

    for protocol in ("ssl", "tcp"):
        done = masters.site("abc", protocol, after=after)
        assert masters.site("abc", protocol) == []
        assert members(masters) == addresses(masters, "abc", protocol)
        assert len([text for text in done if text.startswith("leave")]) == 6
    in_step(masters, "abc", rows)
    assert identity(masters) == cluster
    assert min(fewest) == 2


def test_tcp_to_ssl_with_one_master(masters):
    """Protects a cluster of one, which has nobody to join again: its rows stay, its address is another one."""
    masters.site("a")
    masters["a"].add_switch("one")
    rows = masters["a"].everything(NORTHBOUND)
    assert masters.site("a", "ssl") == [
        "readdress a northbound",
        "readdress a southbound",
    ]
    assert masters["a"].everything(NORTHBOUND) == rows
    assert members(masters) == addresses(masters, "a", "ssl")
    masters.site("abc", "ssl")
    in_step(masters, "abc", rows)


def test_a_standalone_master_becomes_three_with_ssl(masters):
    """Protects the whole way at once."""
    for place in PLACES:
        masters["b"].standalone(place)
    masters["b"].add_switch("one")
    rows = masters["b"].everything(NORTHBOUND)
    masters.site("abc", "ssl")
    assert members(masters) == addresses(masters, "abc", "ssl")
    in_step(masters, "abc", rows)


def test_a_wiped_member_is_replaced(masters):
    """Protects the cluster against two members with one address: the dead one is taken out before the new one joins."""
    masters.site("abc")
    masters["a"].add_switch("one")
    rows, cluster = masters["a"].everything(NORTHBOUND), identity(masters)
    lost = masters.leader().name
    masters[lost].wipe(NORTHBOUND)
    done = masters.site("abc")
    assert [text.split()[0] for text in done] == ["kick", "join"]
    assert masters.site("abc") == []
    assert members(masters) == addresses(masters, "abc")
    assert identity(masters) == cluster
    in_step(masters, "abc", rows)


def test_a_member_whose_file_has_a_gap_is_replaced(masters):
    """Protects a master whose disk was full for a while: no server opens such a file, and it is not deleted either."""
    masters.site("abc")
    masters["a"].add_switch("one")
    rows, cluster = masters["a"].everything(NORTHBOUND), identity(masters)
    lost = next(masters[host] for host in "abc" if masters[host] is not masters.leader())
    lost.stop(NORTHBOUND, signal.SIGKILL)
    file = pathlib.Path(lost.folders.file(NORTHBOUND))
    entry = json.dumps({"term": 9, "index": 999}) + "\n"
    with file.open("a", encoding="utf-8") as log:
        log.write(f"OVSDB CLUSTER {len(entry)} {hashlib.sha1(entry.encode()).hexdigest()}\n{entry}")
    lost.start(NORTHBOUND)
    wait_for(lambda: "skips past expected index" in lost.log(NORTHBOUND), "its server to refuse the file")
    done = masters.site("abc")
    assert [text.split()[0] for text in done] == ["set_aside", "kick", "join"]
    assert masters.site("abc") == []
    assert members(masters) == addresses(masters, "abc") and identity(masters) == cluster
    in_step(masters, "abc", rows)
    assert list(lost.folder.glob("ovnnb_db.db.*Z"))


def test_a_dead_master_is_replaced_by_another_host(masters):
    """Protects the majority: who left the inventory and can't be reached is taken out by the leader."""
    masters.site("abc")
    masters["a"].add_switch("one")
    rows = masters["a"].everything(NORTHBOUND)
    for place in PLACES:
        masters["b"].stop(place, signal.SIGKILL)
    masters.site("acd", down="b")
    assert members(masters) == addresses(masters, "acd")
    in_step(masters, "acd", rows)


def test_the_leader_dies(masters):
    """Protects changes after a kill -9 of the leader: another one leads within three seconds."""
    masters.site("abc")
    lost = masters.leader()
    began = time.monotonic()
    lost.stop(NORTHBOUND, signal.SIGKILL)
    others = [host for host in masters.hosts.values() if host.name in "abc" and host is not lost]

    def writes():
        for host in others:
            state = host.state(NORTHBOUND)
            if state["role"] == "leader" and state["leader"] == "self":
                host.add_switch("after")
                return True
        return False

    wait_for(writes, "another leader")
    pause = time.monotonic() - began
    print(f"another leader has written {pause:.2f} s after the death of the first one")
    assert pause < 3
    assert masters.site("abc") == [f"start {lost.name} northbound"]


def test_two_of_three_are_wiped(masters):
    """Protects what is left when the majority is lost: nothing is touched, and the sentence has the command."""
    masters.site("abc")
    masters["a"].add_switch("one")
    before = pathlib.Path(masters["a"].folders.file(NORTHBOUND))
    for host in "bc":
        masters[host].wipe(NORTHBOUND)
    wait_for(lambda: masters["a"].state(NORTHBOUND)["leader"] == "unknown", "a to notice")
    size = before.stat().st_size
    decision = masters.decide(masters.asked("abc"))
    assert decision.steps == ()
    (refusal,) = decision.refusals
    assert "of 3 members only 1 run (a)" in refusal
    assert "ovn.kubernetes.recover -e ovn_recover_from=a" in refusal
    assert before.stat().st_size == size


def test_all_servers_were_stopped(masters):
    """Protects a boot of all masters at once: they are started, and nobody makes another cluster."""
    masters.site("abc")
    cluster = identity(masters)
    for host in "abc":
        masters[host].stop(NORTHBOUND)
    assert masters.site("abc")[:3] == ["start a northbound", "start b northbound", "start c northbound"]
    assert identity(masters) == cluster


def test_an_interrupted_join_is_completed(masters):
    """Protects the next run after one that ended in the middle of a join: there is no member twice."""
    masters.site("a")
    wanted = masters.asked("abc")
    first = masters.decide(wanted).steps[0]
    assert (first.action, first.host) == ("join", "b")
    masters.carry_out(first, wanted)
    masters["b"].stop(NORTHBOUND, signal.SIGKILL)
    masters.site("abc")
    assert members(masters) == addresses(masters, "abc")


@pytest.mark.parametrize("runs", [True, False], ids=["runs", "is stopped"])
def test_a_join_to_a_cluster_that_is_gone(masters, runs):
    """Protects the next run after one that ended in a join, when the cluster was lost besides: the master that stands
    first has a file of it with nothing in it, and the new cluster takes its place."""
    for place in PLACES:
        host = masters["a"]
        gone = f"tcp:{masters['e'].address}:{place.raft_port}"
        own = f"tcp:{host.address}:{place.raft_port}"
        run(["ovsdb-tool", "join-cluster", host.folders.file(place), place.database, own, gone])
        if runs:
            host.start(place)
            wait_for(lambda: host.state(place)["running"], "the server to run")  # noqa: B023
        assert host.state(place)["status"] == "joining"
    assert masters.site("a")[:2] == ["bootstrap a northbound", "bootstrap a southbound"]
    assert members(masters) == addresses(masters, "a")
    for place in PLACES:
        assert len(list(masters["a"].folder.glob(f"{place.stem}.db.*Z"))) == 1, "the file is set aside"
