# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the ways from the masters' databases as they are to those that are asked for: the table of all of them."""

from __future__ import annotations

import json

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._central.asked import Asked, Master
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.database import Database, Listener, Member
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.decide import decide

HOSTS = ("a", "b", "c", "d", "e")
IDS = {host: f"{number}{number}{number}{number}0000-0000-0000-0000-000000000000" for number, host in enumerate(HOSTS)}
ADDRESSES = {host: f"10.0.0.{number}" for number, host in enumerate(HOSTS, 1)}
CLUSTER = "c0c0c0c0-0000-0000-0000-000000000000"
NOTHING = Database()


def raft(host, protocol="tcp", port=6643):
    return f"{protocol}:{ADDRESSES[host]}:{port}"


def asked(masters="abc", **more):
    former = tuple(Master(host, ADDRESSES[host]) for host in HOSTS if host not in masters)
    return Asked(tuple(Master(host, ADDRESSES[host]) for host in masters), former, **more)


def member(host, leader="a", of="abc", protocols=None, **more):
    """A server that runs and is a member of the cluster of these hosts."""
    protocols = protocols or {}
    members = tuple(Member(IDS[one][:4], raft(one, protocols.get(one, "tcp"))) for one in of)
    values = {
        "model": "clustered",
        "running": True,
        "status": "member",
        "cluster_id": CLUSTER,
        "server_id": IDS[host],
        "address": raft(host, protocols.get(host, "tcp")),
        "role": "leader" if host == leader else "follower",
        "leader": "self" if host == leader else IDS[leader][:4] if leader else "unknown",
        "members": members,
        "timer": 1500,
        "last": 7,
    }
    return Database(**{**values, **more})


def stopped(host, **more):
    return member(host, running=False, role="", leader="", members=(), **more)


def standalone(**more):
    return Database(**{"model": "standalone", "running": True, "empty": False, **more})


def facts_of(state, version):
    """Both databases are alike, on ports of their own."""
    northbound = state.as_dict()
    southbound = json.loads(json.dumps(northbound).replace(":6643", ":6644"))
    return {"northbound": northbound, "southbound": southbound, "version": version}


def decision(wanted, states, version="3.1.0", **versions):
    """What is decided of the Northbound database; the other one is as it is."""
    facts = {
        host: None if state is None else facts_of(state, versions.get(host, version)) for host, state in states.items()
    }
    made = decide(wanted, facts)
    steps = [step for step in made.steps if step.database == "northbound"]
    return steps, [text for text in made.refusals if "OVN_Southbound" not in text]


def short(steps):
    return [f"{step.action} {step.host}{f' {step.server}' if step.server else ''}" for step in steps]


WELL = {host: member(host) for host in "abc"}
JOINING = stopped("b", status="joining", cluster_id="")
AWAY = {"away": ("a",), "elsewhere": ("10.0.0.1",)}
DEAD_C = {"a": member("a"), "b": member("b"), "c": None}
KEYS = ("--private-key=k",)
NEW_AT_SSL = dict.fromkeys("abc", "ssl")


@pytest.mark.parametrize(
    ("wanted", "states", "steps"),
    [
        pytest.param(asked(), WELL, [], id="nothing to do"),
        pytest.param(asked("a"), {"a": member("a", of="a")}, [], id="a cluster of one"),
        pytest.param(asked(), dict.fromkeys("abc", NOTHING), ["bootstrap a"], id="the first one, once"),
        pytest.param(asked("a"), {"a": NOTHING}, ["bootstrap a"], id="one master alone"),
        pytest.param(asked("a"), {"a": standalone()}, ["convert a"], id="standalone"),
        pytest.param(asked("b"), {"a": NOTHING, "b": JOINING}, ["bootstrap b"], id="the cluster of a join is lost"),
        pytest.param(asked("b", away=("a",)), {"b": NOTHING}, ["bootstrap b"], id="a first run, and a node is off"),
        pytest.param(asked("b", **AWAY), {"b": standalone()}, ["convert b"], id="a standalone one at a new address"),
        pytest.param(
            asked("b", **AWAY), {"b": member("b", leader="b", of="b")}, [], id="a cluster, whoever was not asked"
        ),
        pytest.param(
            asked(), {"a": NOTHING, "b": standalone(), "c": NOTHING}, ["convert b"], id="standalone, wherever it is"
        ),
        pytest.param(
            asked(),
            {"a": standalone(empty=True), "b": standalone(), "c": standalone(empty=True)},
            ["convert b"],
            id="packages made empty ones beside it",
        ),
        pytest.param(
            asked("b"), {"a": standalone(), "b": NOTHING}, ["convert a"], id="from a host that was the master"
        ),
        pytest.param(
            asked(), {"a": member("a", of="a"), "b": NOTHING, "c": NOTHING}, ["join b", "join c"], id="1 to 3"
        ),
        pytest.param(
            asked(),
            {"a": member("a", of="a"), "b": standalone(empty=True), "c": NOTHING},
            ["join b", "join c"],
            id="an empty one joins",
        ),
        pytest.param(
            asked("a"), {"a": member("a"), "b": member("b"), "c": member("c")}, ["leave b", "leave c"], id="3 to 1"
        ),
        pytest.param(
            asked("c"), {"a": member("a"), "b": member("b"), "c": member("c")}, ["leave b", "leave a"], id="leader last"
        ),
        pytest.param(
            asked("a"),
            {"a": member("a"), "b": member("b"), "c": None},
            ["kick a 2222"],
            id="who left and is gone is taken out first",
        ),
        pytest.param(asked(), DEAD_C, [], id="one that was not reached stays"),
        pytest.param(
            asked(), {"a": member("a"), "b": member("b"), "c": NOTHING}, ["kick a 2222"], id="wiped: the dead one goes"
        ),
        pytest.param(
            asked(),
            {"a": member("a", of="ab"), "b": member("b", of="ab"), "c": NOTHING},
            ["join c"],
            id="wiped: and joins anew",
        ),
        pytest.param(
            asked("abd"),
            {"a": member("a"), "b": member("b"), "d": NOTHING},
            ["kick a 2222"],
            id="replaced by another host",
        ),
        pytest.param(
            asked("abd"),
            {"a": member("a", of="ab"), "b": member("b", of="ab"), "d": NOTHING},
            ["join d"],
            id="which joins then",
        ),
        pytest.param(
            asked("abd"),
            {**WELL, "d": NOTHING},
            ["join d"],
            id="who is to leave stays until another one has joined",
        ),
        pytest.param(asked(), {**WELL, "c": stopped("c")}, ["start c"], id="a stopped one is started"),
        pytest.param(
            asked(), {host: stopped(host) for host in "abc"}, ["start a", "start b", "start c"], id="all were stopped"
        ),
        pytest.param(
            asked(),
            {"a": member("a", of="ab"), "b": member("b", of="ab"), "c": stopped("c")},
            ["join c"],
            id="stopped and no member any more",
        ),
        pytest.param(
            asked(),
            {"a": member("a", of="ab"), "b": member("b", of="ab"), "c": stopped("c", status="left")},
            ["join c"],
            id="it has left, and joins anew",
        ),
        pytest.param(asked(), {**WELL, "c": member("c", status="failed")}, ["set_aside c"], id="its disk was full"),
        pytest.param(asked(), {**WELL, "c": stopped("c", status="failed")}, ["set_aside c"], id="its file has a gap"),
        pytest.param(
            asked(), {host: member(host, leader="") for host in "abc"}, ["wait a"], id="in the middle of an election"
        ),
        pytest.param(
            asked("a", protocol="ssl"), {"a": member("a", of="a")}, ["readdress a"], id="tcp to ssl, a cluster of one"
        ),
        pytest.param(
            asked("ab", protocol="ssl"),
            {"a": member("a", of="a"), "b": member("b", leader="", of="", status="joining", cluster_id="")},
            ["set_aside b"],
            id="tcp to ssl, a cluster of one that another one is about to join",
        ),
        pytest.param(asked(protocol="ssl"), WELL, ["leave b"], id="tcp to ssl: a follower first"),
        pytest.param(
            asked(protocol="ssl"),
            {
                "a": member("a", of="ac"),
                "b": stopped("b", status="left"),
                "c": member("c", of="ac"),
            },
            ["join b"],
            id="tcp to ssl: it joins again before the next one leaves",
        ),
        pytest.param(
            asked(protocol="ssl"),
            {host: member(host, protocols={"b": "ssl", "c": "ssl"}) for host in "abc"},
            ["leave a"],
            id="tcp to ssl: the leader last",
        ),
        pytest.param(
            asked(protocol="ssl"), {host: member(host, protocols=NEW_AT_SSL) for host in "abc"}, [], id="ssl everywhere"
        ),
        pytest.param(asked(timer=3000), WELL, ["timer a"], id="another election timer"),
        pytest.param(
            asked(),
            {**WELL, "a": member("a", schema="7.0.0", package_schema="7.1.0")},
            ["upgrade a"],
            id="a newer schema",
        ),
        pytest.param(
            asked(arguments={"northbound": ("--private-key=k",)}),
            {host: member(host, leader="b") for host in "abc"},
            ["restart a", "restart c", "restart b"],
            id="other arguments, followers first",
        ),
        pytest.param(
            asked(arguments={"northbound": ()}, ssl_arguments={"northbound": KEYS}),
            {host: member(host, protocols={"b": "ssl"}, arguments=KEYS) for host in "abc"},
            ["leave b"],
            id="ssl to tcp: keys stay until the last member has moved",
        ),
        pytest.param(
            asked(arguments={"northbound": ()}, ssl_arguments={"northbound": KEYS}),
            {host: member(host, arguments=KEYS) for host in "abc"},
            ["restart b", "restart c", "restart a"],
            id="ssl to tcp: and go then",
        ),
    ],
)
def test_next_steps(wanted, states, steps):
    """Protects the order of every way, one round of it."""
    found, refusals = decision(wanted, states)
    assert (short(found), refusals) == (steps, [])


@pytest.mark.parametrize(
    ("wanted", "states", "text"),
    [
        pytest.param(
            asked(),
            {"a": NOTHING, "b": NOTHING, "c": None},
            "c was not reached, and may have databases that no other master has, so that no cluster of them can be",
            id="no cluster beside one that may exist",
        ),
        pytest.param(
            asked(),
            {"a": standalone(), "b": NOTHING, "c": None},
            "c was not reached, and may have databases that no other master has, so that no cluster of them can be",
            id="no conversion either",
        ),
        pytest.param(
            asked("b", away=("a",)),
            {"b": JOINING},
            "b was about to join a cluster of OVN_Northbound, and a was not asked and may have it, ",
            id="a join whose master was not reached",
        ),
        pytest.param(
            asked("b", limited=tuple("acde"), away=tuple("acde")),
            {**dict.fromkeys("acde"), "b": JOINING},
            "OVN_Northbound, and a, c, d and 1 more were not asked and may have it, so that no cluster of it",
            id="a join, and a limit to it",
        ),
        pytest.param(
            asked("b", **AWAY),
            {"b": NOTHING},
            "hosts look for the databases at 10.0.0.1, where no host is that was asked, and a was not asked",
            id="a master that moves away from one that was not reached",
        ),
        pytest.param(
            asked("b", **AWAY),
            {"b": standalone(empty=True)},
            "hosts look for the databases at 10.0.0.1",
            id="the same, with what a package has made",
        ),
        pytest.param(
            asked(),
            {"a": standalone(), "b": standalone(), "c": NOTHING},
            "a and b have a standalone",
            id="two databases",
        ),
        pytest.param(
            asked("abc", protocol="ssl"),
            {"a": NOTHING, "b": NOTHING, "c": NOTHING, "d": standalone()},
            "d has the standalone OVN_Northbound database and is no master any more",
            id="a master of an earlier version that moves",
        ),
        pytest.param(
            asked(),
            {"a": member("a", of="a"), "b": standalone(), "c": NOTHING},
            "b has a standalone OVN_Northbound database with rows, and a a cluster",
            id="a standalone one beside the cluster",
        ),
        pytest.param(
            asked(),
            {"a": member("a"), "b": member("b"), "c": member("c", cluster_id="d" * 36)},
            "of different clusters (a, b: c0c0c0c0-0000-0000-0000-000000000000; c: dddd",
            id="two clusters",
        ),
        pytest.param(
            asked(),
            {"a": member("a", leader=""), "b": None, "c": None},
            "of 3 members only 1 run (a; b, c not reached), and 2 must",
            id="the majority was not reached",
        ),
        pytest.param(
            asked(),
            {"a": member("a", leader=""), "b": NOTHING, "c": NOTHING},
            "ansible-playbook ovn.kubernetes.recover -e ovn_recover_from=a",
            id="two of three were wiped",
        ),
        pytest.param(
            asked(protocol="ssl"),
            DEAD_C,
            "needs all masters, and c was not reached or does not run",
            id="tcp to ssl needs all",
        ),
        pytest.param(
            asked(limited=("c",)),
            {"a": member("a", of="ab"), "b": member("b", of="ab"), "c": NOTHING},
            "--limit leaves out c",
            id="a limit to some masters",
        ),
        pytest.param(
            asked(),
            {"a": Database(problem="/var/lib/ovn/ovnnb_db.db is no database"), "b": NOTHING, "c": NOTHING},
            "a: /var/lib/ovn/ovnnb_db.db is no database",
            id="a damaged file is nothing to start over from",
        ),
    ],
)
def test_refusals(wanted, states, text):
    """Protects data: what is not certain is refused in one sentence, and nothing is done at all."""
    found, refusals = decision(wanted, states)
    assert found == []
    assert len(refusals) == 1, refusals
    assert text in refusals[0]


@pytest.mark.parametrize(("other", "refused"), [("3.1.0", False), ("3.5.0", True), ("2.17.9", False), ("2.14.2", True)])
def test_formats_of_open_vswitch(other, refused):
    """Protects against servers in one cluster that can't read what the others write (ovsdb(7))."""
    _steps, refusals = decision(asked(), WELL, c=other)
    assert any("can't understand each other" in text for text in refusals) is refused


def test_a_join_goes_through_members_that_run():
    """Protects a joiner against the address of a dead member, and against its own."""
    states = {"a": member("a"), "b": member("b"), "c": None, "d": NOTHING, "e": NOTHING}
    found, _refusals = decision(asked("abcde"), states)
    assert [step.remotes for step in found] == [(raft("a"), raft("b"))] * 2


@pytest.mark.parametrize(
    "left", [member("b", leader="", of="ab"), stopped("b"), member("b", status="left"), member("b", status="joining")]
)
def test_what_is_left_on_a_host_that_is_no_master(left):
    """Protects a host that was taken out while nobody reached it, or whose run ended after it had left: its server does
    not ask for votes for ever, and what else it has of a master can go."""
    found, refusals = decision(asked("a"), {"a": member("a", of="a"), "b": left})
    assert (short(found), refusals) == (["set_aside b"], [])
    knows_nothing = member("b", of="ab")
    assert decision(asked("a"), {"a": member("a", of="a"), "b": knows_nothing}) == ([], [])


def test_a_member_that_never_joined_is_of_no_cluster():
    """Protects masters against a refusal: the file of one that was about to join a cluster that is no more is none of
    two clusters, and is made anew."""
    joining = stopped("c", status="joining", cluster_id="d" * 36)
    found, refusals = decision(asked(), {"a": member("a", of="ab"), "b": member("b", of="ab"), "c": joining})
    assert (short(found), refusals) == (["join c"], [])


def test_a_member_that_may_be_a_master_s_stays():
    """Protects a master that gets another address, and was not reached in that run: its member, which may be alive, is
    not taken out under the address of before."""
    moved = tuple(Master(host, "10.0.0.9" if host == "c" else ADDRESSES[host]) for host in "abc")
    states = {"a": member("a"), "b": member("b"), "c": None}
    assert decision(Asked(moved), states) == ([], [])
    found, _refusals = decision(Asked(moved), {**states, "c": NOTHING})
    assert short(found) == ["kick a 2222"]


def test_a_limit_keeps_members_of_hosts_that_it_leaves_out():
    """Protects a host that is no master any more, and was not asked, from being taken out while it runs."""
    states = {"a": member("a"), "b": member("b"), "c": None}
    found, _refusals = decision(asked("a", limited=("c",)), states)
    assert short(found) == ["leave b"]


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        ((Listener("ptcp:6641", probe=5),), []),
        ((Listener("ptcp:6641", probe=5), Listener("ptcp:9999", ours=False)), []),
        ((Listener("ptcp:6641", probe=6),), ["listen a"]),
        ((Listener("ptcp:6641", probe=5, ours=False),), ["listen a"]),
        ((Listener("ptcp:6641", probe=5), Listener("pssl:6641")), ["listen a"]),
        ((), ["listen a"]),
        (None, []),
    ],
)
def test_listeners(found, steps):
    """Protects listeners of others, and that ours are as they must be; what could not be read is no reason to write."""
    wanted = asked(listeners={"northbound": (Listener("ptcp:6641", probe=5),)})
    made, _refusals = decision(wanted, {**WELL, "a": member("a", listeners=found)})
    assert short(made) == steps
