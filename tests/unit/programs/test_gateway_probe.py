# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods that ping a gateway's router: their echo requests share its connection table with ours."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.gateway_probe import identifier_of


def test_each_round_is_a_new_connection():
    """Protects the probe against conntrack, which leads a connection that is there to the next hop of before."""
    assert len({identifier_of(number) for number in range(1 << 16)}) == 1 << 16


def test_the_rounds_of_a_minute_do_not_count_up():
    """Protects a pod whose pings count up beside ours: each of them met an identifier that was in use."""
    minute = sorted(identifier_of(number) for number in range(120))
    assert min(after - before for before, after in zip(minute, minute[1:])) > 100
