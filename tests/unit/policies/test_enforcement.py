# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what is measured of policies: from the news on, to the last chassis of its pods, and seldom."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.enforcement import (
    LONGEST,
    RAISE,
    SHORTEST,
    Changes,
    Enforcement,
)


class Time:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self):
        """The time."""
        return self.now


@pytest.fixture
def clock():
    """A clock."""
    return Time()


class World:
    """Samples of one policy, whose pods are on two of three chassis."""

    def __init__(self, clock):
        self.clock, self.seen, self.chassis = clock, {}, 3
        self.changes = Changes(clock)
        self.enforcement = Enforcement(
            self.changes.since,
            lambda key: {"one", "two"} if key == "a/p" else (),
            lambda: self.chassis,
            self.saw,
            clock,
        )

    def saw(self, what, seconds):
        """Note what was observed."""
        self.seen.setdefault(what, []).append(seconds)

    def write(self, number, key="a/p"):
        """A change of a policy that is planned and committed at once; whether it is a sample."""
        self.changes.changed(key)
        self.changes.planned(key)
        riding = self.enforcement.operations([key])
        if riding:
            self.enforcement.written([{"count": 1}, {"rows": [{"nb_cfg": number}]}])
        self.changes.done(key)
        return riding == list(RAISE)


def test_from_the_news_to_the_last_chassis(clock):
    """Protects the figures: the whole time counts from the news, over attempts that failed, and its parts from the
    commit; a chassis without pods of the policy is not waited for, and the databases tell in any order.
    """
    world = World(clock)
    for order in (("south", "one", "two"), ("one", "two", "south")):
        world.changes.changed("a/p")
        clock.now += 1
        world.changes.planned("a/p")
        assert world.enforcement.operations(["a/p"])  # and the transaction fails
        world.changes.changed("a/p")
        clock.now += 1
        world.changes.planned("a/p")
        assert world.enforcement.operations(["a/p"])
        world.enforcement.written([{}, {"rows": [{"nb_cfg": 7}]}])
        world.changes.done("a/p")
        world.enforcement.applied("one", 6)
        world.enforcement.in_southbound(6)
        for one in order:
            assert world.seen == {}
            clock.now += 1
            world.enforcement.in_southbound(7) if one == "south" else world.enforcement.applied(one, 7)
        expected = (5.0, 3.0, 1.0, 2.0) if order[0] == "south" else (4.0, 2.0, 2.0, 0.0)
        assert tuple(world.seen[f"policy_{one}"][0] for one in ("in_force", "ovn", "northd", "chassis")) == expected
        world.seen.clear()
        world.enforcement.applied("one", 0)
        world.enforcement.applied("two", 0)
        clock.now += SHORTEST


def test_it_is_seldom(clock):
    """Protects chassis: a number that wakes all of them goes out once in a while only, the more seldom the more there
    are, never while another is under way, and not for policies without pods.
    """
    world = World(clock)
    assert not world.write(1, "a/none") and world.write(1)
    assert not world.write(2)
    clock.now += SHORTEST + 1
    assert not world.write(2)  # the first one is under way
    for one in ("one", "two"):
        world.enforcement.applied(one, 1)
    world.enforcement.in_southbound(1)
    assert len(world.seen["policy_in_force"]) == 1
    world.chassis = 1000
    assert world.write(2)
    world.enforcement.applied("one", 2)
    world.enforcement.applied("two", None)  # it is gone: nobody waits for it
    world.enforcement.in_southbound(2)
    assert len(world.seen["policy_in_force"]) == 2
    clock.now += 99
    assert not world.write(3)
    clock.now += 1
    assert world.write(3)


def test_a_chassis_that_is_away(clock):
    """Protects later samples from a chassis that never answers: the sample is given up, and counted."""
    world = World(clock)
    assert world.write(1)
    world.enforcement.applied("one", 1)
    world.enforcement.in_southbound(1)
    clock.now += LONGEST + 1
    assert world.write(2) and world.enforcement.unseen == 1 and world.seen == {}


def test_a_database_without_its_row(clock):
    """Protects the engine from a database whose NB_Global has no row yet: there is no number, and so no sample."""
    world = World(clock)
    world.changes.changed("a/p")
    world.changes.planned("a/p")
    assert world.enforcement.operations(["a/p"])
    world.enforcement.written([{"count": 0}, {"rows": []}])
    world.enforcement.applied("one", 1)
    clock.now += SHORTEST
    assert world.write(1) and world.enforcement.unseen == 0


def test_changes(clock):
    """Protects the time of a change that comes while the one before is being written: each counts from its own."""
    changes = Changes(clock)
    changes.changed("a/p")
    changes.planned("a/p")
    clock.now += 1
    changes.changed("a/p")
    assert changes.done("a/p") == 1.0
    clock.now += 1
    changes.planned("a/p")
    assert changes.done("a/p") == 1.0 and changes.done("a/p") is None
