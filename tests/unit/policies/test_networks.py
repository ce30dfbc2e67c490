# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects ipBlock: exactly the addresses that are left of it are in a set, in as few networks as there can be."""

from __future__ import annotations

import ipaddress
import random

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.networks import Spans, left_of, networks, span
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.selectors import Unreadable


def test_against_ipaddress():
    """Protects the arithmetic: for any blocks and exceptions Python's own library finds the same."""
    dice = random.Random(3)
    for base, width in (("10.0.0.0", 32), ("fd00::", 128), ("0.0.0.0", 32), ("255.255.255.0", 32)):
        start = ipaddress.ip_address(base)
        for _time in range(200):

            def some(start=start, width=width):
                return f"{start + dice.randrange(256)}/{dice.randint(width - 8, width)}"

            blocks = [(some(), [some() for _n in range(dice.randint(0, 4))]) for _n in range(dice.randint(1, 3))]
            expected = set()
            for block, exceptions in blocks:
                left = set(ipaddress.ip_network(block, strict=False))
                for one in exceptions:
                    left -= set(ipaddress.ip_network(one, strict=False))
                expected |= left
            spans = [one for block, excepted in blocks for one in left_of(span(block), map(span, excepted))]
            found = networks(spans)
            nets = list(map(ipaddress.ip_network, found))
            assert {ip for net in nets for ip in net} == expected
            assert nets == list(ipaddress.collapse_addresses(nets)) and list(map(str, nets)) == list(found)
            every = Spans(found)
            for number in range(0, 256, 7):
                assert every.have(str(start + number)) == (start + number in expected)


def test_everything():
    """Protects the widest blocks of both IP versions, and what is left of them."""
    assert networks([span("0.0.0.0/0"), span("::/0")]) == ("0.0.0.0/0", "::/0")
    assert networks(left_of(span("0.0.0.0/0"), [span("0.0.0.0/1")])) == ("128.0.0.0/1",)
    assert len(networks(left_of(span("::/0"), [span("::1/128")]))) == 128
    assert networks(left_of(span("10.0.0.0/8"), [span("0.0.0.0/0"), span("fd00::/8")])) == ()
    assert Spans(()).have("10.0.0.1") is False


@pytest.mark.parametrize(
    "text",
    ["", "/", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8 ", "010.0.0.0/8", "fd00::/129"]
    + ["10.0.0.0/255.0.0.0", "fe80::1%eth0/64", "10.0.0.0/\u0668", "x/8", None, 8, ["10.0.0.0/8"], "1" * 100 + "/8"],
)
def test_what_is_no_network(text):
    """Protects matches and sets from any other text."""
    with pytest.raises(Unreadable):
        span(text)
