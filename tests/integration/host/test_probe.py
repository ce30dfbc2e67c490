# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects how soon a dead gateway is noticed (W10): a real kernel answers echo requests, and a round ends in time."""

from __future__ import annotations

import time

from database_server import wait_for
from kernel_links import pair
from network_namespace import ip

from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.gateway_probe import probe


def probed(addresses, timeout, number=1):
    """Return which addresses answer, and the seconds that it took."""
    began = time.monotonic()
    return probe(addresses, timeout, number), time.monotonic() - began


def test_who_answers_and_who_does_not():
    """Protects both IP versions, a neighbour that does not answer, and an address without a route."""
    pair("eth0")
    for command in ("address add 10.1.0.1/24 dev eth0", "-6 address add fd10::1/64 dev eth0 nodad"):
        ip(command)
    # The kernel takes an IPv6 address into use a moment later.
    wait_for(lambda: "local fd10::1" in ip("-6 route show table local"), "the address to be in use")
    answers, _took = probed(["10.1.0.1", "10.1.0.9", "10.9.9.9", "fd10::1", "fd10::9", "fd99::9"], 3.0)
    assert answers == {
        "10.1.0.1": True,
        "10.1.0.9": False,
        "10.9.9.9": False,
        "fd10::1": True,
        "fd10::9": False,
        "fd99::9": False,
    }


def test_all_addresses_are_waited_for_together():
    """Protects the time of a round: one after another they would take a minute, on any machine."""
    pair("eth0")
    ip("address add 10.1.0.1/24 dev eth0")
    silent = [f"10.1.0.{number}" for number in range(2, 242)]
    answers, took = probed(silent, 0.25)
    assert answers == dict.fromkeys(silent, False)
    assert took < 30


def test_a_round_in_which_all_answer_does_not_wait():
    """Protects the masters' processors, and the start of the next round."""
    ip("address add 10.1.0.1/24 dev lo")
    answers, took = probed(["10.1.0.1"], 30)
    assert answers == {"10.1.0.1": True}
    assert took < 30
    assert probed([], 30)[0] == {}
