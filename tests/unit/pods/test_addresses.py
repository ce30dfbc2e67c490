# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the pods' addresses: none is given away twice (F8), none outside its node's subnet, and a full subnet says
so (F7).
"""

from __future__ import annotations

import ipaddress
import random

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.addresses import Addresses, Exhausted

DUAL = ("192.168.1.0/24", "fd10:0:0:1::/64")


def test_the_first_pod_gets_the_third_address_of_each_family():
    """Protects the router (.1) and the host (.2)."""
    assert Addresses().take("a", DUAL) == ("192.168.1.3/24", "fd10:0:0:1::3/64")


def test_a_pod_keeps_its_addresses():
    """Protects running pods: a second call gives the same addresses."""
    table = Addresses()
    first = table.take("a", DUAL)
    table.take("b", DUAL)
    assert table.take("a", DUAL) == first


def test_a_freed_address_is_not_given_away_at_once():
    """Protects a new pod from packets that were meant for the last holder of its address."""
    table = Addresses()
    table.take("a", DUAL)
    table.release("a")
    assert table.take("b", DUAL) == ("192.168.1.4/24", "fd10:0:0:1::4/64")


def test_a_full_subnet_says_so_and_serves_again():
    """Protects against a crash on the last address (F7): /29 has four for pods; the failed pod keeps none."""
    table = Addresses()
    for number in range(4):
        table.take(f"p{number}", ("10.0.0.0/29", DUAL[1]))
    with pytest.raises(Exhausted, match=r"subnet 10\.0\.0\.0/29 has no free address"):
        table.take("late", (DUAL[1], "10.0.0.0/29"))
    assert not table.has("late")
    assert len(table) == 8
    table.release("p2")
    assert table.take("late", ("10.0.0.0/29", DUAL[1]))[0] == "10.0.0.5/29"


def test_a_move_to_another_subnet_frees_the_old_address():
    """Protects the old node's subnet against addresses that leak."""
    table = Addresses()
    table.take("a", DUAL)
    assert table.take("a", ("192.168.2.0/24",)) == ("192.168.2.3/24",)
    assert len(table) == 1


def test_no_two_pods_have_one_address():
    """Protects the first of two pods whose ports have one address: the second gets another, or keeps its own."""
    table = Addresses()
    assert table.reserve("a", ["192.168.1.3"])
    assert not table.reserve("b", ["192.168.1.3", "fd10:0:0:1::3"])
    assert not table.has("b")
    assert table.take("b", DUAL[:1]) == ("192.168.1.4/24",)
    assert not table.reserve("b", ["192.168.1.3"])
    assert table.of("b") == ("192.168.1.4",)


def test_a_pod_has_no_more_than_it_needs():
    """Protects all other pods from one that claims every address of a subnet."""
    table = Addresses()
    assert not table.reserve("greedy", [f"192.168.1.{number}" for number in range(3, 255)])
    assert not table.reserve("greedy", [])
    assert len(table) == 0


def test_a_port_that_is_not_a_pods_takes_nothing_from_a_pod():
    """Protects a running pod whose address somebody gives to another port; when the pod is deleted, no other pod gets
    the address until that port is gone.
    """
    table = Addresses()
    assert table.take("a", DUAL[:1]) == ("192.168.1.3/24",)
    table.set_other("foreign", ["192.168.1.3", "10.9.9.9"])
    assert (table.of("a"), table.others_of("a")) == (("192.168.1.3",), ["foreign"])
    assert table.pods_with_addresses_of("foreign") == {"a"} and len(table) == 2
    assert table.reserve("a", ["192.168.1.3"]) and not table.reserve("a", ["192.168.1.3"], alone=True)
    assert table.take("a", DUAL[:1]) == ("192.168.1.4/24",)  # of a pod of this name that is not served yet
    table.release("a")
    small = ("192.168.1.0/29",)
    assert {table.take(name, small) for name in "bcd"} == {
        ("192.168.1.4/29",),
        ("192.168.1.5/29",),
        ("192.168.1.6/29",),
    }
    with pytest.raises(Exhausted):
        table.take("e", small)
    table.set_other("foreign", [])
    assert table.take("e", small) == ("192.168.1.3/29",)


def test_addresses_of_an_earlier_subnet():
    """Protects the annotation of a pod that keeps its addresses: prefix lengths and order are of today's subnets."""
    table = Addresses()
    table.reserve("a", ["fd10:0:0:1::3", "192.168.1.3"])
    assert table.cidrs("a", DUAL) == ("192.168.1.3/24", "fd10:0:0:1::3/64")
    assert table.cidrs("a", ("10.0.0.0/23", "fd99::/80")) == ("192.168.1.3/23", "fd10:0:0:1::3/80")
    assert table.cidrs("a", ("fd99::/80",)) == ("fd10:0:0:1::3/80", "192.168.1.3/24")
    assert not table.fit("a", ("fd99::/80",)) and table.fit("a", DUAL)


def test_any_order_of_events_gives_no_address_twice():
    """Protects against two pods with one address, over 4,000 seeded steps in two small subnets."""
    chance, table, held = random.Random(11), Addresses(), {}
    subnets = (("10.0.0.0/28", "fd00::/124"), ("10.0.1.0/28", "fd00::100/124"))
    for _step in range(4000):
        key = f"pod{chance.randrange(30)}"
        if chance.random() < 0.4:
            table.release(key)
            held.pop(key, None)
            continue
        where = chance.choice(subnets)
        try:
            held[key] = table.take(key, where)
            assert all(
                ipaddress.ip_interface(cidr).network == ipaddress.ip_network(subnet)
                for cidr, subnet in zip(held[key], where)
            )
        except Exhausted:
            held.pop(key, None)
        everything = [cidr for cidrs in held.values() for cidr in cidrs]
        assert len(everything) == len(set(everything)) == len(table)
        assert not [cidr for cidr in everything if ipaddress.ip_interface(cidr).ip.packed[-1] % 16 in (0, 1, 2)]
