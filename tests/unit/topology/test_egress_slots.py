# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects connections that leave through a gateway that lives: they stay there when another one dies or returns."""

from __future__ import annotations

import ipaddress

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.egress_slots import (
    SLOTS,
    Share,
    consistent,
    deal,
    match,
    parse,
    rebalance,
    shift_for,
    slot_of,
)

THREE = ("node1", "node2", "node3")


def moved(before, after):
    """The slots of each gateway of before that another one has now."""
    return {name: slots - after.get(name, frozenset()) for name, slots in before.items()}


def sizes(shares):
    """How many slots each has, in order."""
    return sorted(len(slots) for slots in shares.values())


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8, 16, 31])
def test_the_first_deal_is_even(number):
    """Protects each gateway's host: every slot has one gateway, and no gateway has two more than another."""
    carriers = [f"node{one}" for one in range(number)]
    shares = deal({}, carriers)
    assert sorted(slot for slots in shares.values() for slot in slots) == list(range(SLOTS))
    assert sizes(shares)[-1] - sizes(shares)[0] <= 1


@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_few_pods_use_all_gateways(number):
    """Protects small clusters: pods of one node are spread, and so are the first pods of several nodes."""
    shares = deal({}, [f"node{one}" for one in range(number)])
    owner = {slot: name for name, slots in shares.items() for slot in slots}
    assert len({owner[slot_of(f"192.168.1.{pod}", 8)] for pod in range(3, 15)}) == number
    assert len({owner[slot_of(f"192.168.{node}.3", 8)] for node in range(1, 13)}) == number


def test_only_the_dead_ones_pods_move():
    """Protects 152 of 257 connections: they moved when the third of three gateways died."""
    before = deal({}, THREE)
    after = deal(before, ("node1", "node3"))
    assert not moved(before, after)["node1"] and not moved(before, after)["node3"]
    gained = {name: after[name] & before["node2"] for name in ("node1", "node3")}
    assert set().union(*gained.values()) == before["node2"]
    assert abs(len(gained["node1"]) - len(gained["node3"])) <= 1


def test_nobody_moves_when_a_gateway_returns():
    """Protects 295 of 400 connections: they moved when it returned."""
    two = deal({}, ("node1", "node3"))
    assert deal(two, THREE) == {**two, "node2": frozenset()}


def test_who_has_nothing_gets_most_of_the_next_one_that_dies():
    """Protects the living against a share that the one that came back could take."""
    two = deal({}, ("node1", "node3"))
    after = deal(two, ("node1", "node2"))
    assert not moved({"node1": two["node1"]}, after)["node1"]
    assert sizes(after) == [128, 128]


def test_nobody_carries_traffic():
    """Protects against an error where there is no gateway."""
    assert deal({"node1": {1, 2}}, ()) == {} and rebalance({"node1": {1, 2}}, ()) == {}


@pytest.mark.parametrize("number", [2, 3, 7, 31])
def test_a_rebalance_moves_no_more_than_it_must(number):
    """Protects connections while pods are divided anew: only what is too much moves, and a second time nothing."""
    carriers = [f"node{one}" for one in range(number)]
    held = deal({}, carriers[1:])
    after = rebalance(held, carriers)
    assert sizes(after)[-1] - sizes(after)[0] <= 1
    assert sum(map(len, moved(held, after).values())) == len(after["node0"])
    assert rebalance(after, carriers) == after


def test_a_rebalance_reaches_few_pods_too():
    """Protects small clusters: the share of a gateway that came back has pods of each node and of low addresses."""
    after = rebalance(deal({}, ("node1",)), ("node1", "node2"))
    assert {slot_of(f"192.168.{node}.{pod}", 8) for node in (1, 2) for pod in (3, 4, 5)} & after["node2"]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (Share(8, frozenset(range(SLOTS))), "8:0-255"),
        (Share(64, frozenset({0, 1, 2, 7, 9, 10})), "64:0-2,7,9-10"),
        (Share(6, frozenset({255})), "6:255"),
    ],
)
def test_what_the_database_remembers(share, text):
    """Protects who has what against a restart of the program, and against another master."""
    assert str(share) == text
    assert parse(text, 6) == share


@pytest.mark.parametrize(
    "text", [None, "", "8", "8:", "x:1", "8:1,,2", "8:a", "99:1", "2:1", "8:-1", "8:1-", "8:0-255\n", "8:1;2", "٨:1"]
)
def test_a_text_that_somebody_else_has_written(text):
    """Protects the program against what is no share: the slots are dealt anew."""
    assert parse(text, 4) is None


def test_a_text_with_slots_that_do_not_exist():
    """Protects memory and time against large numbers."""
    assert parse("8:254-999", 4) == Share(8, frozenset({254, 255}))
    assert parse("8:700", 4) == Share(8, frozenset())


def test_two_that_claim_the_same():
    """Protects against a slot with two policies, and against shares that mean other addresses than the rest."""
    claims = {
        "node1": Share(8, frozenset({1, 2})),
        "node2": Share(8, frozenset({2, 3})),
        "node3": Share(6, frozenset({4})),
    }
    assert consistent(claims) == {"node1": Share(8, frozenset({1, 2})), "node2": Share(8, frozenset({3}))}
    assert consistent({}) == {}


@pytest.mark.parametrize(
    ("subnets", "version", "shift"),
    [
        ([], 4, 8),
        ([], 6, 64),
        (["192.168.1.0/24", "fd10:0:0:1::/64"], 4, 8),
        (["192.168.1.0/26", "192.168.1.64/26", "192.168.2.0/24"], 4, 6),
        (["192.168.0.0/20"], 4, 12),
        (["192.168.0.0/30"], 4, 4),
        (["fd10::100/120"], 6, 8),
        (["fd00::/8"], 6, 120),
    ],
)
def test_where_the_nodes_differ(subnets, version, shift):
    """Protects the spread where node subnets have another size than by default."""
    assert shift_for(subnets, version) == shift


@pytest.mark.parametrize(
    ("version", "shift", "address"),
    [
        (4, 8, "192.168.18.37"),
        (4, 6, "10.1.2.77"),
        (4, 28, "10.1.2.77"),
        (6, 64, "fd10:128:0:12::25"),
        (6, 8, "fd10::1:77"),
        (6, 124, "fd10::1:77"),
    ],
)
def test_an_address_matches_the_policy_of_its_slot_only(version, shift, address):
    """Protects every pod's way out: its address is in one share's match, as OVN reads it."""

    def matches(slots):
        text = match(version, Share(shift, frozenset(slots)))
        before, _brace, sources = text.partition("{")
        assert before == f'outport == "rtoj-ovn_cluster_router" && ip{version}.src == '
        pairs = [source.split("/") for source in sources.rstrip("}").split(", ")]
        number = int(ipaddress.ip_address(address))
        return any(
            number & int(ipaddress.ip_address(mask)) == int(ipaddress.ip_address(value)) for value, mask in pairs
        )

    slot = slot_of(address, shift)
    assert matches({slot}) and not matches(set(range(SLOTS)) - {slot})


def test_one_gateway_needs_one_match():
    """Protects hosts against 256 flows where one is enough."""
    assert match(6, Share(64, frozenset(range(SLOTS)))) == 'outport == "rtoj-ovn_cluster_router" && ip6'
