# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects attributes of netlink messages on their way between bytes and values."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.messages import (
    attribute,
    chain,
    nested,
    pack_ip,
    pack_mac,
    pack_name,
    unpack_ip,
    unpack_name,
)


def test_a_chain_of_attributes_is_read_again():
    """Protects attributes after one whose length is not a multiple of 4 (linux/rtnetlink.h, RTA_ALIGN)."""
    attributes = {1: b"abcde", 3: b"", 7: b"\x00\x01\x02\x03"}
    assert dict(nested(chain(attributes))) == attributes
    assert len(attribute(1, b"abcde")) == 12


def test_flags_of_the_type_are_no_part_of_the_number():
    """Protects nested attributes, whose type has NLA_F_NESTED (linux/netlink.h)."""
    assert dict(nested(attribute(0x8000 | 18, b"\x01\x02\x03\x04"))) == {18: b"\x01\x02\x03\x04"}


def test_a_cut_chain_ends():
    """Protects against reading for ever when an attribute has no length."""
    assert list(nested(b"\x00" * 8)) == []


@pytest.mark.parametrize("ip", ["192.0.2.1", "2001:db8::1", "::"])
def test_an_address_is_read_again(ip):
    """Protects both IP versions."""
    assert unpack_ip(pack_ip(ip)) == ip


def test_names_and_macs():
    """Protects the forms that the kernel expects: a C string, 6 bytes."""
    assert pack_name("eth0") == b"eth0\0" and unpack_name(b"eth0\0\0") == "eth0"
    assert pack_mac("02:00:00:00:00:0a") == b"\x02\x00\x00\x00\x00\x0a"
