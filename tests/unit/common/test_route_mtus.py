# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the tunnels' MTU: the longest prefix decides, as in the kernel, however few routes are kept."""

from __future__ import annotations

import ipaddress

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.route_mtus import MOST, compact, ways

ROUTES = [("0.0.0.0/0", 1500), ("10.0.0.0/8", 9000), ("10.9.0.0/16", 1400), ("::/0", 1500), ("fd44::/64", 9000)]


def addresses(*texts):
    return list(map(ipaddress.ip_address, texts))


@pytest.mark.parametrize(
    ("peers", "mtu"),
    [
        (["10.1.0.1"], 9000),
        (["10.1.0.1", "10.9.0.1"], 1400),
        (["10.1.0.1", "192.0.2.1"], 1500),
        (["fd44::1"], 9000),
        (["fd45::1", "fd44::1"], 1500),
    ],
)
def test_the_least_mtu_on_the_ways_to_all(peers, mtu):
    """Protects tunnels to each of the others."""
    assert ways(ROUTES, addresses(*peers))[0][0] == mtu


def test_no_route_is_no_mtu():
    """Protects the fallback to the links: a destination without a route says nothing."""
    assert ways([("10.0.0.0/8", 9000)], addresses("192.0.2.1", "fd44::1")) == []


def test_what_the_wider_network_says_is_left_out():
    """Protects facts against thousands of routes: those of a fabric with one MTU are one."""
    many = [(f"10.255.{number // 256}.{number % 256}/32", 1500) for number in range(2000)]
    assert compact([("0.0.0.0/0", 1500), *many]) == [("0.0.0.0/0", 1500)]
    nested = [("10.0.0.0/8", 9000), ("10.9.0.0/16", 9000), ("10.9.9.0/24", 1400), ("10.9.9.9/32", 1400)]
    assert compact(nested) == [("10.0.0.0/8", 9000), ("10.9.9.0/24", 1400)]


def test_too_many_routes_become_the_least_one():
    """Protects facts where nothing can be left out: the answer may be too small, and is never too large."""
    many = [(f"10.255.{number // 256}.{number % 256}/32", 9000 + number % 2) for number in range(MOST + 1)]
    assert compact([("fd44::/64", 1500), *many]) == [("0.0.0.0/0", 9000), ("fd44::/64", 1500)]
