# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects hosts on which two processes start the same transient unit at the same moment."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import systemd
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError

UNIT = "ovn-k8s-drops.service"


class Systemd:
    """Answers for one unit, from a list of its states: each start and each query for the unit takes the next one.

    :param states: ActiveState of the unit; "" means that systemd does not know it.
    """

    def __init__(self, *states):
        self.states, self.starts = list(states), 0

    def call(self, _service, _path, _interface, method, _signature="", _arguments=()):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if method == "StartTransientUnit":
            self.starts += 1
            if state:
                raise HostError(f"systemd refuses {method}: Unit {UNIT} was already loaded")
        elif method == "GetUnit" and not state:
            raise HostError(f"systemd refuses {method}: Unit {UNIT} not loaded.")
        return ("/unit",)

    def read_property(self, *_name):
        return self.states[0] or "inactive"


def keep_running(monkeypatch, *states):
    """Start the unit; return whether this call did, and how often it tried."""
    fake = Systemd(*states)
    monkeypatch.setattr(systemd, "call", fake.call)
    monkeypatch.setattr(systemd, "read_property", fake.read_property)
    return systemd.keep_running(UNIT, "drops", ["/bin/true"]), fake.starts


@pytest.mark.parametrize("state", ["active", "activating", "reloading"])
def test_one_that_runs_is_left_alone(monkeypatch, state):
    """Protects a second run, and a program that systemd is about to run again."""
    assert keep_running(monkeypatch, state) == (False, 0)


def test_another_process_is_faster(monkeypatch):
    """Protects a command beside the host's own programs: both saw no unit, and the second one failed."""
    assert keep_running(monkeypatch, "", "active") == (False, 1)


@pytest.mark.parametrize("state", ["deactivating", "inactive", "failed"])
def test_one_that_ends_is_started_again(monkeypatch, state):
    """Protects drops that are added while the program ends for want of any."""
    assert keep_running(monkeypatch, state, state, state, "") == (True, 1)


def test_a_refusal_for_another_reason_is_told(monkeypatch):
    """Protects the reader of the error: systemd's own words."""

    def refuse(*arguments):
        raise HostError("Access denied")

    monkeypatch.setattr(systemd, "call", refuse)
    with pytest.raises(HostError, match="Access denied"):
        systemd.keep_running(UNIT, "drops", ["/bin/true"])
