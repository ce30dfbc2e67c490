# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the pods of an EgressIP from another address: whatever changes, is refused or is away, they do not leave as
if there were no object."""

from __future__ import annotations

import pytest
from egress_ip_world import play

A, B, SIX = "10.55.0.100", "10.55.0.101", "fd55::100"


def undefined(world):
    """The sets that policies and NAT rows name, and that are not there."""
    there = {row["name"] for row in world.nb.rows("Address_Set")}
    matches = [row.get("match") or "" for table in ("Logical_Router_Policy", "NAT") for row in world.nb.rows(table)]
    named = {
        word.strip("()").removeprefix("$")
        for match in matches
        for word in str(match).split()
        if word.lstrip("(")[:1] == "$"
    }
    return named - there


def actions(world):
    """IP version -> actions of the policies that lead pods out."""
    found = {4: set(), 6: set()}
    for row in world.ways():
        found[6 if "ip6.src" in row["match"] else 4].add(row["action"])
    return found


def sets_of_pods(world):
    """The names of the sets of pods."""
    return {row["name"] for row in world.nb.rows("Address_Set") if row["name"].startswith("peers_")}


@pytest.mark.parametrize("restarts", [False, True], ids=["the same watcher", "another watcher"])
def test_selector_changes_without_a_granter(nb, restarts):
    """Protects against a policy that names a set which is gone (OVN leaves it out): the set of before stays until the
    granter has written others, also where another watcher begins meanwhile; afterwards it goes."""

    async def scene(world):
        world.egress_ip("one", [A], {"team": "x"})
        await world.until(lambda: world.held() and world.nat(), "the address")
        before = sets_of_pods(world)
        await world.no_granter()
        world.egress_ip("one", [A], {"team": "x"}, {"app": "web"})
        await world.until(lambda: sets_of_pods(world) - before, "the new set")
        await world.settled()
        if restarts:
            await world.restart_watcher(lambda world: world.egress_ip("one", [A], {"team": "x"}, {"app": "web"}))
            await world.settled()
        assert before <= sets_of_pods(world) and not undefined(world)
        members = [row["addresses"] for row in nb.rows("Address_Set") if row["name"] in before]
        assert any(world.address("a/db") in str(one) for one in members)
        await world.new_granter()
        await world.until(lambda: not before & sets_of_pods(world), "the end of the set of before")
        assert not undefined(world)

    play(nb, scene)


def test_refused_addresses_leave_pods_closed(nb):
    """Protects against an object that is refused, as a whole or in one IP version: its pods reach nothing outside by
    that version."""

    async def scene(world):
        world.egress_ip("one", [A, "fd10:128::7"], {"team": "x"})
        await world.until(lambda: actions(world) == {4: {"reroute"}, 6: {"drop"}}, "IPv6 that drops")
        world.egress_ip("one", ["192.168.1.7", "nonsense:"], {"team": "x"})
        await world.until(lambda: actions(world) == {4: {"drop"}, 6: {"drop"}}, "policies that drop")
        world.egress_ip("two", [A], {"team": "y"}, creationTimestamp="2026-01-01T00:00:00Z")
        world.egress_ip("one", [A], {"team": "x"}, creationTimestamp="2026-02-01T00:00:00Z")
        await world.until(lambda: actions(world) == {4: {"drop", "reroute"}, 6: set()}, "the younger one's drop")

    play(nb, scene)


def test_kubelet_takes_no_address(nb):
    """Protects addresses that are served from a host that says they are its own: in the status or the annotation of its
    Node, which it may write itself; also from a watcher that begins anew."""

    def lie(world):
        world.put(
            *("nodes", "", "node9"),
            metadata={
                "annotations": {"ovn.kubernetes/default-routers": B},
            },
            status={"addresses": [{"type": "InternalIP", "address": A}]},
        )

    async def scene(world):
        world.egress_ip("one", [A, B], {"team": "x"})
        await world.until(lambda: set(world.held()) == {A, B}, "the addresses")
        lie(world)
        await world.settled()

        def begin(world):
            lie(world)
            world.egress_ip("one", [A, B], {"team": "x"})

        await world.restart_watcher(begin)
        await world.settled()
        assert set(world.held()) == {A, B} and {one[0] for one in world.nat()} == {A, B}
        assert not [one for one in world.api.events if "PartRefused" in one[0]]

    play(nb, scene)


def test_right_to_read_is_lost(nb):
    """Protects against an account that may not read the objects any more: a watcher that begins then keeps their rows,
    and the sets of their pods."""

    async def scene(world):
        world.egress_ip("one", [A], {"team": "x"})
        await world.until(lambda: world.held() and world.nat(), "the address")
        before = [sets_of_pods(world), world.rows("Logical_Router_Policy"), nb.rows("NAT")]
        await world.restart_watcher(is_forbidden=True)
        await world.settled()
        assert before == [sets_of_pods(world), world.rows("Logical_Router_Policy"), nb.rows("NAT")]
        assert set(world.held()) == {A} and not undefined(world)
        world.pod("a/more", 1, app="more")
        await world.settled()
        (row,) = [one for one in nb.rows("Address_Set") if one["name"].endswith("_v4") and one["name"] in before[0]]
        assert world.address("a/more") in str(row["addresses"])

    play(nb, scene)
