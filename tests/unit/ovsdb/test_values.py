# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects values on their way to the wire and back (RFC 7047, 5.1)."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.values import as_set, decode, encode


@pytest.mark.parametrize(
    ("plain", "wire"),
    [
        ("text", "text"),
        (7, 7),
        (True, True),
        ((), ["set", []]),
        (("a", "b"), ["set", ["a", "b"]]),
        ({}, ["map", []]),
        ({"b": "2", "a": "1"}, ["map", [["a", "1"], ["b", "2"]]]),
    ],
)
def test_values_go_over_the_wire_and_come_back(plain, wire):
    """Protects each kind of value in both directions."""
    assert encode(plain) == wire
    assert decode(wire) == plain


def test_references_come_as_the_uuids_text():
    """Protects the comparison of references."""
    assert decode(["uuid", "1-2"]) == "1-2"
    assert decode(["set", [["uuid", "1-2"], ["uuid", "3-4"]]]) == ("1-2", "3-4")


def test_a_set_of_one_member_comes_bare():
    """Protects readers of sets: one member, none, and several look alike to them."""
    assert [as_set(value) for value in ("a", ("a",), (), None, ("a", "b"))] == [("a",), ("a",), (), (), ("a", "b")]
