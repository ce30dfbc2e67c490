# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects clusters and hosts from addresses and MTUs that can't work, from inventory, module or command."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import address_rules
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import SettingsError


def refused(rule, *arguments):
    """The error of a rule that refuses its arguments."""
    with pytest.raises(SettingsError) as raised:
        rule(*arguments)
    return raised.value


@pytest.mark.parametrize(
    ("text", "special"),
    [
        ("127.0.0.0/8", "127.0.0.0/8 (loopback addresses)"),
        ("127.1.0.0/16", "127.0.0.0/8 (loopback addresses)"),
        ("0.0.0.0/0", '0.0.0.0/8 ("this network" addresses)'),
        ("169.254.0.0/16", "169.254.0.0/16 (link-local addresses)"),
        ("224.0.0.0/4", "224.0.0.0/3 (multicast and reserved addresses)"),
        ("240.0.0.0/8", "224.0.0.0/3 (multicast and reserved addresses)"),
        ("::/0", "::/127 (unspecified and loopback addresses)"),
        ("fe80::/64", "fe80::/10 (link-local addresses)"),
        ("ff00::/8", "ff00::/8 (multicast addresses)"),
    ],
)
def test_special_networks_are_not_for_the_overlay(text, special):
    """Protects pods and services from addresses that hosts treat in another way."""
    error = refused(address_rules.overlay_network, text, "cluster_ip_subnet")
    example = "fd10::/48" if ":" in text else "192.168.0.0/16"
    assert str(error) == (f"cluster_ip_subnet {text!r} overlaps {special}: choose a private network, like {example}")


@pytest.mark.parametrize("text", ["192.168.0.0/16", "10.0.0.0/8", "100.64.0.0/16", "fd98::/64", "2001:db8::/48"])
def test_other_networks_are(text):
    """Protects the networks that clusters have, the default join networks among them."""
    assert str(address_rules.overlay_network(text)) == text


def test_what_is_no_network_is_refused_too():
    """Protects the sentences of the reader."""
    assert "has host bits set" in str(refused(address_rules.overlay_network, "192.168.1.1/16"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("224.0.0.5/8", "can't be a host's address: it is a multicast address"),
        ("127.0.0.1/8", "can't be a host's address: it is a loopback address"),
        ("0.0.0.0/24", "can't be a host's address: it is an unspecified address"),
        ("::1/128", "can't be a host's address: it is a loopback address"),
        ("fe80::1/64", "can't be a host's address: it is a link-local address"),
        ("10.33.74.0/24", "is the network's own address, not a host's"),
        ("10.33.74.255/24", "is the network's broadcast address, not a host's"),
        ("fd00::/64", "is the network's own address, not a host's"),
        ("10.33.74.138", "lacks its prefix length"),
    ],
)
def test_what_no_host_can_have(text, problem):
    """Protects gateways from addresses that nobody can answer at; the parts are for callers with words of their own."""
    error = refused(address_rules.host_interface, text, "physical_ip of gateway node1")
    assert (error.value, error.problem, error.setting) == (text, problem, "physical_ip of gateway node1")
    assert error.advice and str(error) == f"physical_ip of gateway node1 {text!r} {problem}: {error.advice}"


@pytest.mark.parametrize(
    "text",
    ["10.33.74.138/24", "10.0.0.0/31", "10.0.0.1/31", "10.0.0.1/32", "fd00::1/64", "fd00::/127", "169.254.1.1/16"],
)
def test_what_a_host_can_have(text):
    """Protects point-to-point links (RFC 3021, RFC 6164) and single addresses."""
    assert str(address_rules.host_interface(text)) == text


def test_the_advice_is_an_address_of_the_network():
    """Protects users from a sentence that does not help."""
    error = refused(address_rules.host_interface, "10.33.74.0/24")
    assert error.advice == "write an address in it, like 10.33.74.1/24"


@pytest.mark.parametrize("text", ["224.0.0.5", "127.0.0.1", "0.0.0.0", "ff02::2", "::"])
def test_what_no_router_and_no_tunnel_can_have(text):
    """Protects routes and tunnels from addresses that nobody answers at."""
    assert "can't be a router's address" in str(refused(address_rules.next_hop, text))
    assert "can't be an address that other hosts reach" in str(refused(address_rules.host_address, text))


def test_a_router_may_have_a_link_local_address():
    """Protects IPv6 networks whose routers are known from advertisements (RFC 4861).

    A tunnel's end can't be link-local.
    """
    assert str(address_rules.next_hop("fe80::1")) == "fe80::1"
    assert "link-local" in str(refused(address_rules.host_address, "fe80::1"))


@pytest.mark.parametrize(
    ("value", "versions", "said"),
    [
        (68, (4,), "mtu 68 is out of range: write a number from 576 to 65535"),
        (575, (4,), "mtu 575 is out of range: write a number from 576 to 65535"),
        (65536, (4,), "mtu 65536 is out of range: write a number from 576 to 65535"),
        (68, (4, 6), "mtu 68 is out of range: write a number from 1280 to 65535"),
        (1279, (4, 6), "mtu 1279 is too small for IPv6: give it at least 1280"),
    ],
)
def test_mtus_that_no_network_can_have(value, versions, said):
    """Protects pods from an MTU that their IP version does not allow."""
    assert str(refused(address_rules.mtu, value, versions)) == said


@pytest.mark.parametrize(("value", "versions"), [(576, (4,)), (1280, (4, 6)), (1442, (6,)), (65535, (4,))])
def test_mtus_that_work(value, versions):
    """Protects the bounds themselves."""
    assert address_rules.mtu(value, versions) == value


@pytest.mark.parametrize(
    ("join", "last"),
    [
        ("100.64.0.0/16", 32767),
        ("100.64.0.0/26", 31),
        ("100.64.0.0/27", 30),
        ("100.64.0.0/30", 2),
        ("fd98::/64", 2**63 - 1),
    ],
)
def test_offsets_of_gateways(join, last):
    """Protects addresses: the router is number 1, gateways follow.

    The upper half is for probes where there is room.
    """
    offsets = address_rules.gateway_offsets(join)
    assert (offsets[0], offsets[-1]) == (2, last)


@pytest.mark.parametrize(
    ("join", "gateways", "advice"),
    [
        ("100.64.0.0/26", 31, "give it /25 or wider"),
        ("100.64.0.0/27", 30, "give it /26 or wider"),
        ("100.64.0.0/30", 2, "give it /29 or wider"),
        ("100.64.0.0/31", 0, "give it /30 or wider"),
    ],
)
def test_join_networks_that_are_too_small(join, gateways, advice):
    """Protects a cluster from a play that stops half-way, at the gateway that finds no address any more."""
    error = refused(address_rules.join_network, join, gateways)
    assert error.problem.startswith(f"is too small for the cluster router and {gateways} gateway")
    assert error.advice == advice
    prefix = advice.split("/")[1].split()[0]
    assert address_rules.join_network(f"100.64.0.0/{prefix}", gateways)


def test_join_networks_that_are_large_enough():
    """Protects the sizes that have worked so far."""
    for join, gateways in (("100.64.0.0/26", 30), ("100.64.0.0/27", 29), ("100.64.0.0/30", 1), ("fd98::/64", 1000)):
        assert str(address_rules.join_network(join, gateways)) == join


def test_probes_have_the_other_half():
    """Protects the addresses of gateways from those of their probes."""
    assert address_rules.probe_address("100.64.0.0/16", 2) == "100.64.255.253"
    assert address_rules.probe_address("100.64.0.0/26", 31) == "100.64.0.32"
    assert address_rules.probe_address("100.64.0.0/26", 32) is None
    assert address_rules.probe_address("100.64.0.0/27", 2) is None
