# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the table before a master's databases while the host runs: the program that keeps it is part of the plan.

What the table lets in is in tests/integration/host/test_central_ports.py.
"""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._host import central_ports
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.apply import apply_steps
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.central_ports import CentralPorts
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.drop_watch import CONFINED
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.steps import central_ports as steps
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink import nftables_table

PORTS = CentralPorts(("10.0.0.1",))
WATCH = "watch over the nftables table ovn-kubernetes-central, ovn-k8s-central-ports.service: add"


@pytest.fixture
def started(monkeypatch, tmp_path):
    """A master with systemd, the archive, and the table in place; the units that were started."""
    archive, units = tmp_path / "archive", []
    archive.touch()
    monkeypatch.setattr(names, "ARCHIVE", str(archive))
    monkeypatch.setattr(names, "CENTRAL_PORTS", str(tmp_path / "central-ports.json"))
    monkeypatch.setattr(names, "CENTRAL_PORTS_DROP_IN", str(tmp_path / "{0}.conf"))
    monkeypatch.setattr(nftables_table, "read_table", lambda family, name: central_ports.objects(PORTS))
    monkeypatch.setattr(nftables_table, "run", lambda commands: None)
    monkeypatch.setattr(central_ports, "is_booted", lambda: True)
    monkeypatch.setattr(central_ports, "is_loaded", units.__contains__)

    def keep_running(unit, _description, command, confined):
        assert command[1:] == ["-I", str(archive), "central_ports"] and confined == CONFINED
        units.append(unit)
        return True

    monkeypatch.setattr(steps, "keep_running", keep_running)
    apply_steps(central_ports.file_steps(central_ports.objects(PORTS)))
    return units


def test_the_page_has_the_ports():
    """Protects whoever plans a firewall by docs/security.md: it has the ports, and from where each is open."""
    page = (pathlib.Path(__file__).resolve().parents[3] / "docs" / "security.md").read_text(encoding="utf-8")
    rows = page.partition("## Ports of a master\n")[2].partition("\n## ")[0].splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if row.startswith("| ")][2:]
    open_to = {int(port): where for port, *_what, where in cells}
    masters = dict.fromkeys(central_ports.MASTERS_PORTS, "masters")
    for_all = dict.fromkeys(
        (names.SOUTHBOUND_PORT, names.SOUTHBOUND_SWITCH_PORT), "everywhere, but withdrawn addresses"
    )
    assert open_to == {**masters, **for_all}


def texts(ports):
    return [step.describe() for step in central_ports.plan(ports)]


def test_the_program_is_started_once(started):
    """Protects idempotence, and a master on which somebody has stopped it."""
    for _time in range(2):
        assert texts(PORTS) == [WATCH]
        apply_steps(central_ports.plan(PORTS))
        assert started == [names.CENTRAL_PORTS_UNIT] and texts(PORTS) == []
        started.clear()


def test_it_waits_for_the_archive(started, monkeypatch):
    """Protects the first run: the databases come before the archive of the programs. Removal starts nothing, and a host
    without systemd has no unit at all."""
    assert WATCH not in texts(None)
    for archive, booted in (("/nonexistent", True), (names.ARCHIVE, False)):
        monkeypatch.setattr(names, "ARCHIVE", archive)
        monkeypatch.setattr(central_ports, "is_booted", lambda booted=booted: booted)
        assert texts(PORTS) == []
