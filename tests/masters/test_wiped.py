# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Masters that come back with empty disks: one is healed by a site run, two need the operator's word."""

from __future__ import annotations

from lab_hosts import on, wait
from lab_masters import MASTERS, converge, counts, is_whole, leader, lose_disk, member, members, whole

RECOVER = "ovn_recover_from={host}"


def followers():
    """The masters that do not lead the Northbound database."""
    return [host for host in MASTERS if host != leader()]


def test_one_that_lost_its_disk_is_healed(change):
    """Protects a cluster whose member came back with an empty disk: the site run takes the dead member out and the new
    one in. It is the same cluster with the same rows, and pods notice nothing."""
    ids, before, victim = whole(), counts(), followers()[0]

    def heal():
        lose_disk(victim)
        return converge("site").ok()

    healed = change("one disk lost, and healed", do=heal)
    assert whole() == ids and counts(victim) == before, healed.output[-3000:]
    assert set(converge("site").ok().changed.values()) == {0}
    converge("verify").ok()


def test_two_that_lost_their_disks_need_a_word(change, pods):
    """Protects the last copy of the rows: without a majority the play stops, touches nothing and prints the command;
    with the operator's word the one that is left becomes the cluster, and the others join it."""
    whole()
    before, victims = counts(), followers()
    left = leader()
    files = "md5sum /etc/default/ovn-central /etc/ovn-kubernetes/central.json; ls /var/lib/ovn"

    def recover():
        for host in victims:
            lose_disk(host)
        wait(lambda: leader(hosts=[left]) is None, 30, "the one that is left to know that it has no majority")
        state = {host: on(host, files) for host in MASTERS}
        refused = converge("site")
        assert refused.code != 0, refused.output[-3000:]
        assert f"ovn.kubernetes.recover -e {RECOVER.format(host=left)}" in refused.output, refused.output[-3000:]
        assert not any(refused.changed.values()), refused.changed
        assert {host: on(host, files) for host in MASTERS} == state
        untold = converge("recover")
        assert untold.code != 0 and not any(untold.changed.values()), untold.output[-3000:]
        return converge("recover", "-e", RECOVER.format(host=left)).ok()

    change("two disks lost, and recovered", do=recover)
    whole()
    assert counts(victims[0]) == before
    pods[0].reaches(pods[1].ip)
    assert set(converge("site").ok().changed.values()) == {0}
    converge("verify").ok()


def test_all_are_members(pods):
    """Protects what comes next from a cluster that only looks whole: each member serves reads of its own."""
    assert is_whole() and set(members("sb")) == set(MASTERS)
    assert all(member(host).status == "cluster member" for host in MASTERS)
