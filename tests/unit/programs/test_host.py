# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The program of the boot: each part of the host is converged by itself."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.result import Result
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import host


@pytest.mark.parametrize("error", [HostError("no"), OSError(5, "no"), IndexError("a fault of the program itself")])
def test_a_part_that_fails_stops_no_other(monkeypatch, error):
    """Protects a host with several NICs in bridges: whatever is wrong with one of them, the others get their
    addresses."""
    restored = []

    class FirstFails:
        node = gateway = Result  # nothing is saved of them, so nobody calls it

        def finish_uplinks(self):
            return Result()

        def restore_uplink(self, nic):
            restored.append(nic)
            if nic == "eth0":
                raise error
            return Result()

    monkeypatch.setattr(host, "Host", FirstFails)
    monkeypatch.setattr(host, "moved_nics", lambda: ["eth0", "eth1"])
    for name in ("NODE_SETTINGS", "GATEWAY_SETTINGS"):
        monkeypatch.setattr(host.names, name, "/nonexistent")
    monkeypatch.setattr(host, "start_watch_of_drops", lambda: restored.append("drops"))
    assert host.main([]) == 1 and restored == ["eth0", "eth1", "drops"]
