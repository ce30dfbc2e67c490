# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what is read of a database: the words of ovsdb-server, the file's own, and the kernel's list."""

from __future__ import annotations

import json
import sys

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._central.database import (
    Database,
    Listener,
    Member,
    parse_status,
    server_arguments,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.read import read_file
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.sockets import connected

# As ovsdb-server 3.1 prints it.
LEADER = """98b9
Name: OVN_Northbound
Cluster ID: a474 (a474eb91-315d-4158-aefd-4c14fcd3db09)
Server ID: 98b9 (98b9476c-058b-474c-9560-672d776f0f76)
Address: ssl:127.0.0.11:6643
Status: cluster member
Role: leader
Term: 2
Leader: self
Vote: self

Last Election started 394 ms ago, reason: timeout
Last Election won: 393 ms ago
Election timer: 1500
Log: [2, 9]
Entries not yet committed: 0
Entries not yet applied: 0
Connections: ->9658 <-d069
Disconnections: 3
Servers:
    98b9 (98b9 at ssl:127.0.0.11:6643) (self) next_index=3 match_index=8
    9658 (9658 at ssl:[fd00::12]:6643) next_index=9 match_index=7 last msg 4384 ms ago
"""
JOINING = """9658
Name: OVN_Northbound
Cluster ID: not yet known
Server ID: 9658 (96583d95-9e36-4515-8ae2-e074b99d3988)
Address: tcp:127.0.0.12:6643
Status: joining cluster
Remotes for joining: tcp:127.0.0.11:6643
Role: follower
Term: 0
Leader: unknown
Vote: unknown

Election timer: 1000
Log: [1, 1]
"""


def test_a_leader_s_words():
    """Protects all that is decided by: who is a member, and who leads."""
    found = Database(**parse_status(LEADER))
    assert (found.status, found.role, found.leader, found.timer, found.last) == ("member", "leader", "self", 1500, 8)
    assert found.cluster_id == "a474eb91-315d-4158-aefd-4c14fcd3db09"
    assert found.members == (Member("98b9", "ssl:127.0.0.11:6643"), Member("9658", "ssl:[fd00::12]:6643", 4384))
    assert found.has_leader


def test_a_joining_member_s_words():
    """Protects against taking a member for one that only wants to become it."""
    found = Database(**parse_status(JOINING))
    assert (found.status, found.cluster_id, found.has_leader) == ("joining", "", False)


def test_a_member_that_has_lost_its_cluster():
    """Protects against trusting the leader that a lonely member remembers."""
    text = JOINING.replace("joining cluster", "disconnected from the cluster (election timeout)")
    found = Database(**parse_status(text))
    assert (found.status, found.has_leader) == ("member", False)


def test_facts_hold_all_of_it():
    """Protects the way through Ansible's facts, which are JSON."""
    state = Database(**parse_status(LEADER), listeners=(Listener("ptcp:1"),), users={"6642": ("10.0.0.1",)})
    assert Database.from_dict(json.loads(json.dumps(state.as_dict()))) == state


def log(*records):
    """A clustered database's file (ovsdb(5))."""
    texts = [json.dumps(record) + "\n" for record in records]
    return "".join(f"OVSDB CLUSTER {len(text)} {'0' * 40}\n{text}" for text in texts)


HEADER = {"server_id": "s", "local_address": "tcp:a:1", "name": "OVN_Northbound"}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("OVSDB JSON 3 0\n{}\n", {"model": "standalone"}),
        (log({**HEADER, "cluster_id": "c"}), {"status": "member", "cluster_id": "c", "server_id": "s"}),
        (log(HEADER), {"status": "joining", "cluster_id": ""}),
        (log({**HEADER, "cluster_id": "c", "remote_addresses": ["tcp:b:1"]}, {"term": 1}), {"status": "joining"}),
        (log({**HEADER, "cluster_id": "c", "prev_index": 3}), {"status": "member", "last": 3}),
        (log(HEADER, {"term": 1}, {"cluster_id": "c"}), {"status": "member", "cluster_id": "c"}),
        (log(HEADER, {"cluster_id": "c"}, {"data": "x" * 99999}, {"note": "left"}), {"status": "left"}),
        (log({**HEADER, "cluster_id": "c"}) + "OVSDB CLU", {"status": "member"}),
        (
            log({**HEADER, "cluster_id": "c", "prev_index": 7}, {"index": 8}, {"index": 9}),
            {"status": "member", "last": 9, "last_term": 0},
        ),
        (
            log({**HEADER, "cluster_id": "c", "prev_index": 7, "prev_term": 3}, {"term": 5}, {"term": 6, "vote": "s"}),
            {"status": "member", "last": 7, "last_term": 3},
        ),
        (
            log(
                {**HEADER, "cluster_id": "c"},
                *({"term": 2, "index": one} for one in (1, 2, 3)),
                {"term": 4, "index": 2},
            ),
            {"status": "member", "last": 2, "last_term": 4},
        ),
        (log({**HEADER, "cluster_id": "c"}, {"index": 1}, {"index": 2}, {"index": 2}), {"status": "member"}),
        (log({**HEADER, "cluster_id": "c"}, {"index": 1, "data": "x" * 99999}, {"index": 3}), {"status": "failed"}),
        ("hello\n", {"model": "none"}),
        ("", {"model": "none"}),
        ("OVSDB CLUSTER 3 0\n{]}", {"model": "none"}),
        ("OVSDB CLUSTER 3 0\n[1]", {"model": "none"}),
        ('OVSDB CLUSTER 18 0\n{"prev_index": [1]}', {"model": "none"}),
    ],
)
def test_a_file_s_own_words(tmp_path, content, found):
    """Protects what is known of a server that does not run; damaged files are named, and are no empty place."""
    path = tmp_path / "db"
    path.write_text(content)
    state = Database(**read_file(str(path)))
    assert {key: getattr(state, key) for key in found} == found
    assert bool(state.problem) is (state.model == "none")


@pytest.mark.parametrize(
    ("one", "other", "is_behind"),
    [
        ((9, 1), (3, 2), True),
        ((3, 2), (9, 1), False),
        ((3, 2), (4, 2), True),
        ((4, 2), (4, 2), False),
        ((4, 0), (5, 9), True),
        ((5, 9), (4, 0), False),
    ],
)
def test_whose_log_is_more_up_to_date(one, other, is_behind):
    """Protects what the majority has agreed upon from the longer log of a leader of before, which it had written to
    nobody else."""
    first, second = (Database(last=last, last_term=term) for last, term in (one, other))
    assert first.is_behind(second) is is_behind


def test_no_file(tmp_path):
    """Protects the difference between no database and one that can't be read."""
    assert read_file(str(tmp_path / "db")) == {}


def test_arguments_that_matter():
    """Protects against a restart for an argument that never changes."""
    line = [
        "ovsdb-server",
        "--log-file=x",
        "--remote=punix:/run/x",
        "--remote=db:OVN_Northbound,NB_Global,connections",
        "--private-key=db:OVN_Northbound,SSL,private_key",
        "--remote=ptcp:6642:0.0.0.0",
    ]
    assert server_arguments(line) == (
        "--private-key=db:OVN_Northbound,SSL,private_key",
        "--remote=ptcp:6642:0.0.0.0",
    )


@pytest.mark.skipif(sys.byteorder != "little", reason="the lines below are those of a machine with little-endian words")
def test_the_kernel_s_list(tmp_path):
    """Protects who is named as connected by tcp: both families, and IPv4 within IPv6."""
    four, six = tmp_path / "tcp", tmp_path / "tcp6"
    head = "  sl  local_address rem_address   st\n"
    four.write_text(
        head
        + "   0: 00000000:19F2 00000000:0000 0A 0\n"  # listens
        + "   1: 0B2C0A0A:19F2 0C2C0A0A:C350 01 0\n"
        + "   2: 0B2C0A0A:19F2 0D2C0A0A:C350 06 0\n"  # ended
        + "   3: 0B2C0A0A:0016 0C2C0A0A:C350 01 0\n"  # another port
    )
    six.write_text(
        head
        + "   0: 0000000000000000FFFF00000B2C0A0A:19F2 0000000000000000FFFF00000E2C0A0A:C350 01 0\n"
        + "   1: 000000FD000000000000000001000000:19F2 000000FD000000000000000002000000:C350 01 0\n"
    )
    found = connected([6642, 7], [str(four), str(six), str(tmp_path / "none")])
    assert found == {6642: ("10.10.44.12", "10.10.44.14", "fd00::2"), 7: ()}
