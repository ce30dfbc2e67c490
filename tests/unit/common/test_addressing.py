# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the arithmetic of subnets, addresses and MACs, in both families."""

from __future__ import annotations

import ipaddress

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import addressing
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import SettingsError


@pytest.mark.parametrize(
    ("subnet", "offset", "cidr"),
    [
        ("192.168.2.0/24", 1, "192.168.2.1/24"),
        ("192.168.2.0/24", 255, "192.168.2.255/24"),
        ("fd10:0:0:2::/64", 2, "fd10:0:0:2::2/64"),
        ("100.64.0.0/16", 257, "100.64.1.1/16"),
    ],
)
def test_the_nth_address_and_back(subnet, offset, cidr):
    """Protects the places of router, host and gateways in a subnet."""
    assert addressing.nth(subnet, offset) == cidr
    assert addressing.nth(subnet, offset, prefix=False) == cidr.split("/")[0]
    assert addressing.offset_in(subnet, cidr) == offset


def test_a_place_is_kept_in_another_subnet():
    """Protects gateways' places when the join subnet moves."""
    assert addressing.offset_in("100.70.0.0/16", "100.64.1.7/16") == 263


def test_there_is_no_address_behind_the_last():
    """Protects the neighbour subnet."""
    with pytest.raises(SettingsError, match=r"^subnet 10\.0\.0\.0/30 is too small: it has no address number 4$"):
        addressing.nth("10.0.0.0/30", 4)


def test_macs_follow_from_addresses():
    """Protects stable MACs: a router's MAC is 0a:58 and the IPv4 address; IPv6 is hashed.

    IPv4 decides where there are both.
    """
    assert addressing.router_mac("192.168.2.1/24") == "0a:58:c0:a8:02:01"
    six = addressing.router_mac("fd10::1/64")
    assert six.startswith("0a:58:") and len(six) == 17 and six != addressing.router_mac("fd10::2/64")
    assert addressing.mac_of(["fd10::1/64", "192.168.2.1/24"]) == "0a:58:c0:a8:02:01"
    assert addressing.mac_of(["fd10::1/64"]) == six


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("192.168.0.0", "lacks its prefix length: write it like 192.168.0.0/16"),
        ("fd10::", "lacks its prefix length: write it like fd10::/64"),
        ("192.168.1.1/16", "has host bits set: the network is 192.168.0.0/16"),
        ("fd10::1/48", "has host bits set: the network is fd10::/48"),
        ("192.168.0.0/255.255.0.0", "has a netmask: write its prefix length, like 192.168.0.0/16"),
        ("192.168.0.0/33", "is not a network: write it like 192.168.0.0/16 or fd10::/48"),
        ("192.168.0.0/", "is not a network: write it like 192.168.0.0/16 or fd10::/48"),
        ("", "is not a network: write it like 192.168.0.0/16 or fd10::/48"),
        ("pods", "is not a network: write it like 192.168.0.0/16 or fd10::/48"),
    ],
)
def test_what_is_no_network(text, said):
    """Protects the sentence: what, which value, what would be right."""
    with pytest.raises(SettingsError) as error:
        addressing.network(text, "cluster_ip_subnet")
    assert str(error.value) == f"cluster_ip_subnet {text!r} {said}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.33.74.138", "lacks its prefix length: write it like 10.33.74.138/24"),
        ("10.33.74.300/24", "is not an address with a prefix length: write it like 10.33.74.138/24"),
        ("10.33.74.138/255.255.255.0", "has a netmask: write its prefix length, like 10.33.74.138/24"),
    ],
)
def test_what_is_no_interface_address(text, said):
    """Protects the sentence."""
    with pytest.raises(SettingsError) as error:
        addressing.interface(text, "physical_ip")
    assert str(error.value) == f"physical_ip {text!r} {said}"


HOSTILE = (
    "10.0.0.1 drop; }; chain evil { type filter hook input priority 0; policy drop;",
    "fe80::1%a b",
    "worker.example",
    "010.0.0.1",
    "10.0.0.1/24",
    "",
    7,
    None,
    ["10.0.0.1"],
)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_others_wrote_is_an_address_or_nothing(text):
    """Protects rules that root loads against pieces of programs in a field that somebody else filled."""
    assert addressing.normalized(text) is None and addressing.unicast(text) is None


def test_addresses_that_are_nobodys():
    """Protects a host's flows: Open vSwitch takes none of them when one translates to 0.0.0.0. Spellings become one."""
    assert [addressing.unicast(text) for text in ("10.0.0.1", "FD00:0::1", "fe80::1")] == [
        "10.0.0.1",
        "fd00::1",
        "fe80::1",
    ]
    assert addressing.normalized("127.0.0.1") == "127.0.0.1"
    for text in ("0.0.0.0", "::", "127.0.0.9", "::1", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:10.0.0.1"):
        assert addressing.unicast(text) is None


@pytest.mark.parametrize("read", [addressing.interface, addressing.network, addressing.address])
def test_a_scope_is_refused(read):
    """Protects what is made of annotations: a scope may be any text, blanks and braces too."""
    for text in ("fe80::1%a b/64", "fe80::%x/64", "fe80::1%a b"):
        with pytest.raises(SettingsError):
            read(text)


@pytest.mark.parametrize("text", ["10.0.0.1/24", "x", ""])
def test_what_is_no_address(text):
    """Protects the sentence."""
    with pytest.raises(SettingsError) as error:
        addressing.address(text, "default_gw")
    assert (
        str(error.value)
        == f"default_gw {text!r} is not an address: write it like 10.33.74.253, without a prefix length"
    )


def test_overlaps():
    """Protects against shared addresses; families never overlap."""
    assert addressing.overlap("10.0.0.0/8", "10.1.0.0/16") and not addressing.overlap("10.0.0.0/16", "10.1.0.0/16")
    assert not addressing.overlap("0.0.0.0/0", "::/0")
    assert addressing.first_overlap([("a", "10.1.0.0/24"), ("b", "10.2.0.0/24"), ("c", "fd10::/64")]) is None
    assert addressing.first_overlap([("a", "10.2.0.0/24"), ("b", "10.0.0.0/8")]) == (
        ("b", "10.0.0.0/8"),
        ("a", "10.2.0.0/24"),
    )
    assert addressing.first_overlap([("a", "fd10::/64"), ("b", "fd10::/64")]) is not None


def test_a_large_subnet_overlaps_more_than_its_neighbour():
    """Protects the search for overlaps, which looks at neighbours in order only."""
    spans = [("wide", "10.0.0.0/8"), ("b", "10.1.0.0/24"), ("c", "10.2.0.0/24")]
    assert addressing.first_overlap(spans)[0] == ("wide", "10.0.0.0/8")


def test_inside():
    """Protects the place of node subnets in the pods' networks."""
    assert addressing.inside("10.1.0.0/24", ["fd10::/48", "10.0.0.0/8"]) and not addressing.inside(
        "11.0.0.0/24", ["fd10::/48", "10.0.0.0/8"]
    )
    assert not addressing.inside("fd10::/64", ["10.0.0.0/8"])


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1", "0.0.0.0", "0.1.2.3", "127.0.0.1", "126.255.255.255", "128.0.0.1", "223.255.255.255", "224.0.0.1",
        "255.255.255.255", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.04", "0x1.2.3.4", "1.2.3.4 ",
        " 1.2.3.4", "1.2.3.4\n", "1.2.3.4\0", "\uff11.2.3.4", "1.2.3.4/24", "", "x", "::1", "fd00::1", "FD00:0::1",
        "::ffff:1.2.3.4", "fe80::1%eth0", "ff02::1", "::", 7, None,
    ],
)  # fmt: skip
def test_the_quick_way_says_what_the_library_says(text):
    """Protects every address that others write: the system's own reading of addresses, which is quicker, takes and
    refuses the same ones as Python's library.
    """
    try:
        ip = ipaddress.ip_address(text if isinstance(text, str) and "%" not in text else "")
    except ValueError:
        ip = None
    assert addressing.normalized(text) == (None if ip is None else str(ip))
    machine = ip is not None and not (
        ip.is_unspecified or ip.is_loopback or ip.is_multicast or getattr(ip, "ipv4_mapped", None)
    )
    if machine and ip.version == 4:
        machine = 0 < ip.packed[0] < 224
    assert addressing.unicast(text) == (str(ip) if machine else None)


@pytest.mark.parametrize("cidr", ["192.168.7.200/24", "10.1.2.3/9", "10.0.0.9/30", "fd10:0:0:1::99/64", "fd10::9/125"])
def test_the_router_of_an_address(cidr):
    """Protects pods' default routes: the router is the first address of the subnet that the pod's address is in."""
    assert addressing.router_of(cidr) == addressing.nth(str(ipaddress.ip_interface(cidr).network), 1, prefix=False)


@pytest.mark.parametrize(
    "cidr", ["10.0.0.1/32", "10.0.0.1", "10.0.0.1/33", "10.0.0.1/255.0.0.0", "x/24", "fd00::1/128"]
)
def test_no_router(cidr):
    """Protects the watcher from annotations of users: what has no router's address is refused in words."""
    with pytest.raises(SettingsError):
        addressing.router_of(cidr)
