# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who has forgotten ansible_become: every module that works on a host says so, in check mode too, before it
reads or changes anything."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from module_calls import call

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible import on_host
from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names

NODE = {"node_name": "node1", "cluster_ip_subnet": "192.168.0.0/16", "minion_switch_subnet": "192.168.1.0/24"}
CALLS = {
    "ovn_facts": {},
    "ovn_host": {},
    "ovn_services": {"services": []},
    "ovn_verify": {"settings": {}, "parts": []},
    "nics_to_bridge": {"nics": ["eth0"]},
    "ovn_gateway": {"node_name": "node1", "state": "absent"},
    "ovn_master_init": {"cluster_ip_subnet": "192.168.0.0/16"},
    "ovn_minion_init": NODE,
}


@pytest.mark.parametrize("module", CALLS)
def test_a_user_who_is_not_root(monkeypatch, module):
    """Protects against an error of the kernel in the middle, after tasks that seemed to pass."""
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    answer = call(module, check=True, **CALLS[module])
    assert answer["failed"] and answer["msg"] == (
        "the task runs as the user nobody, and must run as root: set ansible_become: true for this host"
    )
    assert answer["error_code"] == "host"


def test_rows_alone_need_no_root(monkeypatch):
    """Protects calls on a machine that only reaches the database."""
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    module = SimpleNamespace(params={"part": "northbound"}, check_mode=False)
    assert list(on_host.on_host(module, iter(["rows"]))) == ["rows"]


@pytest.mark.parametrize("check", [True, False])
def test_only_changes_wait_for_others(monkeypatch, tmp_path, check):
    """Protects a look at a host while another run changes it."""
    monkeypatch.setattr(names, "HOST_LOCK", str(tmp_path / "lock"))
    work = on_host.on_host(SimpleNamespace(params={}, check_mode=check), iter(["result"]))
    assert next(work) == "result" and (tmp_path / "lock").exists() is not check
    assert list(work) == []
