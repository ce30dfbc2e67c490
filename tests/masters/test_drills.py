# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What befalls one of three masters while ports are made through the engine without a pause, and two pods ping.

Each time nothing is lost and nothing is there twice, the pause is printed, and the pods lose no more packets than
in a control run of the same length just before.
"""

from __future__ import annotations

import time

import pytest
from lab_hosts import on, wait
from lab_masters import (
    MASTERS,
    UNITS,
    Pings,
    Stream,
    converge,
    counts,
    cut,
    is_whole,
    leader,
    member,
    mend,
    signal,
    whole,
)

SECONDS = 20.0  # of a drill, and of its control run
PROBE = 10.0  # seconds after which a server or client that hears nothing gives up (replica.PROBE twice)
MAY_LOSE_MORE = 1  # packets: a control run that loses one is no other than one that loses none


def other(host, number=0):
    """Another master."""
    return [one for one in MASTERS if one != host][number]


class Drill:
    """A control run, then the drill itself; its figures."""

    def __init__(self, pods, tell):
        self._pods, self._tell = pods, tell
        self.control = self._quiet(SECONDS)

    def _pings(self):
        first, second = self._pods
        return [Pings(first, second.ip), Pings(second, first.ip)]

    def _lost(self, pings):
        found = [one.lost() for one in pings]
        return sum(lost for lost, _sent in found), sum(sent for _lost, sent in found)

    def _quiet(self, seconds):
        stream, pings = Stream(MASTERS[-1]), self._pings()
        time.sleep(seconds)  # the control run's length
        lost = self._lost(pings)
        stream.made().check()
        return lost

    def run(self, what, victim, befalls, ends, goal, heals=lambda: None):
        """Do it in the middle of a stream from another host, and judge.

        :param befalls, ends: called with the victim; None: it ends by itself.
        :param goal: seconds without a new port that are allowed.
        :param heals: called when all is over, for what does not come back by itself.
        """
        before = counts(other(victim))
        ids = whole()
        stream, pings = Stream(other(victim)), self._pings()
        try:
            time.sleep(2)  # ports that were made before
            since = time.time()
            befalls(victim)
            time.sleep(SECONDS * 0.6)  # the time of trouble
        finally:
            if ends:
                ends(victim)
        time.sleep(SECONDS * 0.4 - 2)  # ports that are made after
        lost, made = self._lost(pings), stream.made()
        pause = made.pause(since)
        self._tell(
            what,
            f"pause {pause:.2f} s, {len(made.made)} ports made, {len(made.refused)} refused; pings lost "
            f"{lost[0]} of {lost[1]}, in the control run {self.control[0]} of {self.control[1]}",
        )
        heals()
        after = whole()
        for master in MASTERS:
            made.check(master)
        assert not made.refused and after == ids
        grown = {"Logical_Switch", "Logical_Switch_Port"}
        now = counts()
        assert {key: now[key] for key in now if key not in grown} == {
            key: before[key] for key in before if key not in grown
        }
        assert lost[0] <= self.control[0] + MAY_LOSE_MORE
        assert pause < goal


@pytest.fixture(scope="module")
def drill(pods):
    """A drill with its control run; its figures are printed."""

    def make(tell):
        return Drill(pods, tell)

    return make


def test_the_leader_is_killed(drill, tell):
    """Protects changes from the sudden death of the leader's servers: the others go on within 3 s."""
    drill(tell).run("leader killed", leader(), lambda host: signal(host, "KILL"), None, 3)


def test_the_leader_is_cut_off(drill, tell):
    """Protects changes from a leader that nobody reaches and that reaches nobody, which goes on thinking it leads."""
    drill(tell).run("leader cut off both ways", leader(), cut, mend, PROBE + 5)


def test_the_leader_hears_nobody(drill, tell):
    """Protects changes from a leader whose heartbeats arrive, while it hears no answer: a cut in one direction."""
    drill(tell).run("leader hears nobody", leader(), lambda host: cut(host, both_ways=False), mend, PROBE + 5)


def test_a_follower_is_cut_off(drill, tell):
    """Protects changes from a follower that comes back with a later term: those that work go on without a pause."""
    drill(tell).run("follower cut off", other(leader()), cut, mend, 3)


def test_the_leader_hangs(drill, tell):
    """Protects changes from a leader that hangs, whose connections stay open: a probe finds it out."""
    drill(tell).run(
        "leader hangs", leader(), lambda host: signal(host, "STOP"), lambda host: signal(host, "CONT"), PROBE + 5
    )


SMALL = """set -e
systemctl stop {units}
mkdir -p /run/lab-small; mount -t tmpfs -o size=$(($(du -sm /var/lib/ovn | cut -f1) * 3 + 24))M lab-small /run/lab-small
cp -a /var/lib/ovn/. /run/lab-small/; mount --bind /run/lab-small /var/lib/ovn
systemctl start {units}
"""
FILL = "dd if=/dev/zero of=/var/lib/ovn/full bs=4k 2>/dev/null || :"
ROOM = "rm -f /var/lib/ovn/full"
LARGE = """set -e
systemctl stop {units}
umount /var/lib/ovn; cp -a /run/lab-small/. /var/lib/ovn/; umount /run/lab-small
systemctl start {units}
"""


@pytest.fixture
def small_disk():
    """Puts a host's databases onto a small disk; they are on the large one again at the end."""
    hosts = []

    def put(host):
        on(host, SMALL.format(units=UNITS))
        hosts.append(host)
        whole()

    yield put
    for host in hosts:
        on(host, ROOM)
        on(host, LARGE.format(units=UNITS), check=False)
        converge("site").ok()  # a file with a gap is opened by no server again
    whole()


@pytest.mark.parametrize("role", ["leader", "follower"])
def test_the_disk_is_full(drill, tell, small_disk, role):
    """Protects changes from a member that can't write: the others go on. Once there is room a site run starts it anew.

    Its file may have a gap then, since a follower goes on writing when there is room again ("skips past expected
    index"), and no server opens it any more: such a member is made anew.
    """
    victim = MASTERS[1]
    small_disk(victim)
    if role == "leader":
        lead(victim)
    elif leader() == victim:
        signal(victim, "KILL")
        wait(lambda: leader() not in (None, victim) and is_whole(), 30, "another leader")
    drill(tell).run(
        f"disk of the {role} full",
        victim,
        lambda host: on(host, FILL),
        lambda host: on(host, ROOM),
        PROBE + 5,
        heals=lambda: converge("site").ok(),
    )


def lead(host):
    """Let a host's server be the leader: whoever else leads is started again."""
    for _attempt in range(20):
        if leader() == host:
            return
        signal(leader(), "KILL")
        wait(lambda: leader() and is_whole(), 30, "a leader", 0.3)
    raise AssertionError(f"{host} never led")


def test_members_know_each_other(site):
    """Protects the lab from what the drills leave: three members, one leader, no traces of the cuts."""
    whole()
    for host in MASTERS:
        assert "lab_cut" not in on(host, "nft list tables")
        assert member(host).status == member(host, "sb").status == "cluster member"
