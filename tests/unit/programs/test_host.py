# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The program of the boot: each part of the host is converged by itself."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.result import Result
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.apply import apply_steps
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.central_ports import CentralPorts
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import host


@pytest.mark.parametrize("error", [HostError("no"), OSError(5, "no"), IndexError("a fault of the program itself")])
def test_a_part_that_fails_stops_no_other(monkeypatch, tmp_path, error):
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
    monkeypatch.setattr(host, "start_keeper", lambda: restored.append("ports"))
    monkeypatch.setattr(host.central_ports, "is_kept", lambda: False)
    monkeypatch.setattr(host.names, "CENTRAL_PORTS", str(tmp_path / "central-ports.json"))
    monkeypatch.setattr(host.names, "CENTRAL_PORTS_DROP_IN", str(tmp_path / "{0}.conf"))
    assert host.main([]) == 1 and restored == ["eth0", "eth1", "drops"]
    restored.clear()
    apply_steps(host.central_ports.file_steps(host.central_ports.objects(CentralPorts(("10.0.0.1",)))))
    assert host.main([]) == 1 and restored == ["eth0", "eth1", "drops", "ports"]
