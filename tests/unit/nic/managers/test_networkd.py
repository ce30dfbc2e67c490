# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what systemd-networkd was told at run time: it is in no file, and would be lost with the NIC's move."""

from __future__ import annotations

import json

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.managers import networkd
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.managers.base import NicConfiguration

SERVER = {"Family": 2, "Address": [10, 44, 0, 1]}
DESCRIPTION = {
    "Name": "lo",
    "DNS": [{**SERVER, "ConfigSource": "static"}, {**SERVER, "ConfigSource": "runtime"}],
    "SearchDomains": [{"Domain": "lab.example", "ConfigSource": "DHCPv4"}],
    "RouteDomains": [{"Domain": "example.net", "ConfigSource": "runtime"}],
    "Addresses": [],
}


def test_what_was_set_at_run_time():
    """Protects name servers of resolvectl; those of files and leases move with these."""
    assert networkd.runtime_settings(json.dumps(DESCRIPTION)) == ["DNS", "RouteDomains"]
    assert networkd.runtime_settings(json.dumps({**DESCRIPTION, "DNS": [], "RouteDomains": None})) == []
    assert networkd.runtime_settings("not JSON") == networkd.runtime_settings("[]") == []


def test_it_is_refused_by_name(monkeypatch):
    """Protects the user: one sentence instead of name servers that are gone. An older networkd can't say it."""
    monkeypatch.setattr(networkd, "call", lambda *arguments: (json.dumps(DESCRIPTION),))
    nic = NicConfiguration("lo", manager="systemd-networkd")
    with pytest.raises(HostError, match=r"^DNS, RouteDomains of lo was set at run time .* resolvectl revert lo$"):
        networkd.Networkd().query(nic)

    def unknown(*arguments):
        raise HostError("Unknown method DescribeLink")

    monkeypatch.setattr(networkd, "call", unknown)
    assert networkd.Networkd().query(nic) is nic
