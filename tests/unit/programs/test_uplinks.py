# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the change of NICs that is under way while the programs are replaced."""

from __future__ import annotations

import contextlib
import types

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic import checkpoint
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.journal import Journal
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.plan import Change
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import uplinks


class EmptyJournal:
    """The journal of a host where no change is under way."""

    def held(self, wait):
        return contextlib.nullcontext(True)

    def pending(self):
        return None


@pytest.mark.parametrize("action", ["settle"])
def test_rollback_of_this_release_and_of_the_one_before(monkeypatch, action):
    """Protects a host whose change an earlier release began: its unit runs "settle", now from this archive."""
    finished = []
    monkeypatch.setattr(uplinks, "host_journal", EmptyJournal)
    monkeypatch.setattr(uplinks, "finish_or_roll_back", finished.append)
    assert uplinks.main([action]) == 0
    assert len(finished) == 1


def test_the_unit_runs_with_the_archive_of_the_release_before(monkeypatch, tmp_path):
    """Protects a host whose archive is older than the module: it knows these two actions only. It would refuse any
    other one, and systemd would run the unit again without end.
    """
    commands = []
    monkeypatch.setattr(checkpoint, "host_journal", lambda: Journal(str(tmp_path)))
    monkeypatch.setattr(checkpoint, "names", types.SimpleNamespace(**{**vars(names), "ARCHIVE": __file__}))
    monkeypatch.setattr(checkpoint, "is_loaded", lambda _unit: False)
    monkeypatch.setattr(
        checkpoint, "start_unit", lambda _unit, _text, command, after, _limit: commands.extend([command, after])
    )
    checkpoint.begin(lambda: Change(acts=[{"rows": "eth0", "before": None, "after": None}]), ["eth0"], "id", 30)
    assert [command[-2:] for command in commands] == [["uplinks", "apply"], ["uplinks", "settle"]]


def test_a_unit_that_does_not_end_keeps_the_next_change_from_beginning(monkeypatch, tmp_path):
    """Protects against a change that is on disk while systemd refuses its unit: nothing is begun, and it is said."""
    journal = Journal(str(tmp_path))
    monkeypatch.setattr(checkpoint, "host_journal", lambda: journal)
    monkeypatch.setattr(checkpoint, "is_loaded", lambda _unit: True)
    monkeypatch.setattr(checkpoint, "wait_until_gone", lambda _unit, _timeout: False)
    with pytest.raises(HostError, match=r"ovn-k8s-uplinks\.service of an earlier change has not ended"):
        checkpoint.begin(lambda: pytest.fail("planned"), ["eth0"], "id", 30)
    assert journal.read() is None
