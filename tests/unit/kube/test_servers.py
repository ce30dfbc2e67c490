# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the choice among several API servers: a bad one is left after a bounded time, and nothing flaps where all
are bad.
"""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.servers import Servers, retry_after

A, B, C = "https://a:6443", "https://b:6443", "https://c:6443"


class Time:
    """A clock that the test moves."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture(name="time")
def a_clock():
    """A clock."""
    return Time()


def test_one_that_cannot_serve_is_left_soon(time):
    """Protects against a server that refuses for ever, and against one short election of etcd that moves all nodes."""
    servers = Servers((A, B), time)
    for _ in range(20):  # many programs' parts at the same moment
        assert not servers.fault(A, "watch")
    time.seconds += 2.1
    assert servers.fault(A, "watch") and servers.current == B


def test_a_success_of_the_same_work_begins_the_count_anew(time):
    """Protects against faults that add up over days, and against other work that hides them: a server that has lost its
    database still answers much.
    """
    servers = Servers((A, B), time)
    for _ in range(10):
        servers.fault(A, "watch")
        servers.success(A, "watch")
        time.seconds += 2
    assert servers.current == A
    for _ in range(3):
        servers.fault(A, "writes")
        servers.success(A, "watch")
        time.seconds += 2
    assert servers.current == B


def test_where_all_are_bad_nothing_flaps(time):
    """Protects watches that work where one kind of work fails everywhere: one change a minute at most, in the end."""
    servers = Servers((A, B, C), time)
    changes = []
    for _ in range(3600):
        time.seconds += 1
        if servers.fault(servers.current, "writes"):
            changes.append(time.seconds)
    assert {servers.current, *(servers.in_turn())} == {A, B, C}
    pauses = [later - sooner for sooner, later in zip(changes, changes[1:])]
    assert pauses[0] < 6 and min(pauses[8:]) > 40 and len(changes) < 100
    time.seconds += 1000  # all is well for a while
    assert not servers.fault(servers.current, "writes")
    time.seconds += 3
    assert not servers.fault(servers.current, "writes") and servers.fault(servers.current, "writes")


def test_who_serves_is_preferred_over_who_could_not(time):
    """Protects a read that another server has answered: that one is asked from now on, unless somebody has moved on in
    between; but not at each reply of two servers that fail now and then.
    """
    servers = Servers((A, B), time)
    assert not servers.prefer(B, {}) and servers.current == A
    assert servers.prefer(B, {A}) and servers.current == B
    assert not servers.prefer(B, {A}) and not servers.prefer(A, {B}) and servers.current == B
    time.seconds += 3
    assert servers.prefer(A, {B}) and servers.current == A


def test_one_that_cannot_be_reached_is_left_at_once(time):
    """Protects against waiting at a dead server: no pause holds there, and late news of another one counts nothing."""
    servers = Servers((A, B), time)
    servers.prefer(B, {A})
    assert servers.leave(B) and not servers.leave(B) and servers.current == A
    for _ in range(5):
        time.seconds += 3
        assert not servers.fault(B, "watch")
    alone = Servers((A,), time)
    for _ in range(5):
        time.seconds += 3
        assert not alone.fault(A, "watch") and not alone.leave(A)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5.0), ("0", 0.0), ("", 0.0), ("-5", 0.0), ("1e9", 0.0), ("9" * 5000, 0.0), ("٣", 0.0), ("Mon, 01 Jan", 0.0)],
)
def test_when_to_ask_again(text, seconds):
    """Protects against a header that stops a program: only seconds count (RFC 9110, 10.2.3)."""
    assert retry_after({"Retry-After": text}) == seconds and retry_after({}) == 0.0
