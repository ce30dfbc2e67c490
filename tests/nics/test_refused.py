# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects against what can't end well: it is refused in one sentence before the first step."""

from __future__ import annotations

import pytest

from .conftest import nics, on, snapshot

PAIR = "ip link add {0} type veth peer name {0}p"
CASES = {
    "nosuch": ("true", "nosuch does not exist on this host"),
    "lo": ("true", "lo is the loopback"),
    "v2": (
        PAIR.format("v2") + "; ip link add br7 type bridge; ip link set v2 master br7",
        "v2 is part of the bridge br7 already",
    ),
    "br7": ("true", "br7 is a bridge itself"),
    "v3": (PAIR.format("v3") + "; ip link add brv3 type bridge", "the bridge's name brv3 is in use already"),
    "v6": (
        PAIR.format("v6") + "; ip link add link v6 name mac6 type macvlan",
        "mac6 (macvlan) is a link on top of v6, and would get no packets any more",
    ),
    "v5": (
        PAIR.format("v5") + "; tc qdisc add dev v5 root tbf rate 10mbit burst 32k latency 100ms",
        "the queueing discipline tbf of v5 would be lost",
    ),
    "v7": (
        PAIR.format("v7") + "; nft 'add table ip own; add chain ip own c; add rule ip own c oifname v7 accept'",
        "nftables table ip own has rules for v7",
    ),
    "tun7": ("ip tuntap add tun7 mode tun", "tun7 (tun) has no Ethernet frames"),
    "v4": (
        PAIR.format("v4") + "; ovs-vsctl add-br other -- add-port other v4",
        "v4 is in another bridge of Open vSwitch already",
    ),
}


def test_refused(host):
    """Protects each of them, all on one host, and that nothing was touched."""
    on(host, "; ".join(setup for setup, _text in CASES.values()))
    before = snapshot()
    for nic, (_setup, text) in CASES.items():
        refused = nics(nic)
        assert not refused.good and text in refused.answer["msg"], refused.output
    assert snapshot() == before
    on(host, "ovs-vsctl del-br other")


@pytest.mark.parametrize(
    ("options", "text"),
    [({"rollback_timeout": 1}, "rollback_timeout 1 does not fit: give 5 to 3600 seconds"), ({}, "nics is empty")],
)
def test_bad_options(machine, options, text):
    """Protects against a time in which nobody can connect, and against a call about nothing."""
    refused = nics(*(["eth0"] if options else []), **options)
    assert not refused.good and text in refused.answer["msg"], refused.output
