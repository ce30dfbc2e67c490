# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the change of NICs that is under way while the programs are replaced."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import uplinks


class EmptyJournal:
    """The journal of a host where no change is under way."""

    def held(self, wait):
        return contextlib.nullcontext(True)

    def pending(self):
        return None


@pytest.mark.parametrize("action", ["finish_or_roll_back", "settle"])
def test_rollback_of_this_release_and_of_the_one_before(monkeypatch, action):
    """Protects a host whose change an earlier release began: its unit runs "settle", now from this archive."""
    finished = []
    monkeypatch.setattr(uplinks, "host_journal", EmptyJournal)
    monkeypatch.setattr(uplinks, "finish_or_roll_back", finished.append)
    assert uplinks.main([action]) == 0
    assert len(finished) == 1
