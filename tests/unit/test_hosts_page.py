# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects operators who open firewalls and look for logs by docs/hosts.md: its tables say what the code does."""

from __future__ import annotations

import pathlib
import re

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.shared_nic import GENEVE_PORT

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "hosts.md").read_text(encoding="utf-8")
UNIT_ROW, LOG_COLUMNS = r"^\| `ovn-k8s-[a-z-]+` \|.*\|$", 4
LOCAL = re.compile(r'"(?:https?://)?127\.0\.0\.1:(\d+)')


def rows(pattern):
    """The rows of a table whose first cell matches, each as its cells."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(pattern, PAGE, re.MULTILINE)]


def test_the_ports_are_those_of_the_code():
    """Protects against a port that is missing in the table, has another number there, or is no longer used."""
    addresses = (names.WATCHER_LISTEN, names.NODE_LISTEN, names.EGRESS_LISTEN)
    local = {int(address.rpartition(":")[2]) for address in addresses}
    southbound = {names.SOUTHBOUND_PORT, names.SOUTHBOUND_CENTRAL_PORT, names.SOUTHBOUND_SWITCH_PORT}
    databases = {names.NORTHBOUND_PORT, names.NORTHBOUND_RAFT_PORT, names.SOUTHBOUND_RAFT_PORT, *southbound}
    others = {*databases, names.PROXY_HEALTH_PORT, *local}
    wanted = {(GENEVE_PORT, "udp"), *((port, "tcp") for port in others)}
    table = rows(r"^\| \d+ \| (?:udp|tcp) \|.*\|$")
    assert {(int(port), protocol) for port, protocol, *_rest in table} == wanted
    assert {int(row[0]) for row in table if "127.0.0.1" in row[2]} == local


def test_no_other_place_has_a_port_of_its_own():
    """Protects the table against a program that listens somewhere else: such an address is written in one file."""
    found = {
        str(path.relative_to(ROOT)): LOCAL.findall(path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / "plugins" / "module_utils").rglob("*.py"))
    }
    del found["plugins/module_utils/_programs/overlay_arguments.py"]  # an API server, as an example
    assert {path for path, ports in found.items() if ports} == {"plugins/module_utils/_common/names.py"}


def test_pods_source_ports_are_those_of_the_code():
    """Protects a firewall's rule for what pods send through a shared NIC."""
    assert f"source ports {names.SHARED_PORTS.replace('-', ' to ')}" in PAGE


def test_the_logs_of_all_units_are_there():
    """Protects who looks for a program's log: each unit has its row, with the command that works."""
    units = {path.stem for path in ROOT.glob("roles/*/files/*.service")}
    units |= {one.partition(".")[0] for one in (names.CENTRAL_PORTS_UNIT, names.DROPS_UNIT, names.UPLINKS_UNIT)}
    table = [row for row in rows(UNIT_ROW) if len(row) == LOG_COLUMNS]
    assert {row[0].strip("`") for row in table} == units
    assert [row[3] for row in table] == [f"`journalctl -u {row[0].strip('`')}`" for row in table]


def test_the_rights_of_all_units_are_there():
    """Protects who asks what a program may do: the table has the capabilities of each unit's file."""
    table = {row[0].strip("`"): row for row in rows(UNIT_ROW) if len(row) != LOG_COLUMNS}
    files = {path.stem: path.read_text(encoding="utf-8") for path in ROOT.glob("roles/*/files/*.service")}
    assert set(table) == set(files)
    for unit, text in files.items():
        capabilities = re.search(r"^CapabilityBoundingSet=(.*)$", text, re.M)[1].replace("CAP_", "").split()
        assert re.findall(r"`(\w+)`", table[unit][2]) == capabilities
