# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects hosts whose NICs are in bridges against the removal of the programs that restore them and give them back."""

from __future__ import annotations

import json
import os
import types

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.nics import change_nics
from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.journal import host_journal
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import install

BROKEN = {"step": {"is": "no step of this version"}}
PLAYBOOK = "ansible-playbook ovn.kubernetes.remove -e ovn_remove_hosts=HOST"
RESTORED = "and these programs restore that after a boot and give it back: first run"


@pytest.fixture
def removal(monkeypatch, capsys, bare):
    """removal() is what the command complains of; empty: it goes on to remove the files."""
    monkeypatch.setattr(install, "__loader__", types.SimpleNamespace(archive="/nonexistent/archive"), raising=False)

    def run():
        assert install.main(["--remove"]) == 1
        complained = capsys.readouterr().err.removeprefix("ovn_kubernetes.pyz install: ")
        return "" if "/nonexistent/archive" in complained else complained

    return run


def kept(bare, user):
    """Return the NICs that the module says to be kept when a user needs none any more."""
    params = {
        "nics": [],
        "state": "absent",
        "used_by": user,
        "rollback_timeout": 5,
        "datapath_type": None,
        "open_vswitch": bare.remote,
        "_phase": "plan",
        "_change_id": None,
    }
    (result,) = change_nics(types.SimpleNamespace(params=params, check_mode=False))
    return result.facts["kept"]


def test_a_nic_that_somebody_asked_for(bare, removal):
    """Protects the NIC's addresses after the next boot; the command that is named gives it back."""
    assert removal() == ""
    bare.host().uplinks(["eth0"], True, "request")
    assert removal() == f"eth0 is in breth0, {RESTORED} ovn-k8s-util bridges-to-nic breth0\n"
    bare.host().uplinks(["eth0"], False, "request")
    assert removal() == ""


def test_nics_of_the_overlay(bare, removal):
    """Protects the tunnels' NIC, and one that only the gateway uses, also after an earlier version has taken it."""
    bare.host().uplinks(["eth0"], True, "node")
    assert removal() == f"eth0 is in breth0, {RESTORED} {PLAYBOOK}\n"
    bare.host().uplinks(["eth0"], False, "node")
    bare.host().gateway({"nic": "eth1", "datapath_type": "netdev"})
    assert removal() == f"eth1 is in breth1, {RESTORED} {PLAYBOOK}\n"
    file = names.gateway_nic_file("eth1")
    os.rename(file, file + ".away")
    assert json.loads(read(names.GATEWAY_SETTINGS))["nic"] == "eth1"
    assert removal() == f"eth1 is in breth1, {RESTORED} {PLAYBOOK}\n" and kept(bare, "node") == ["eth1"]
    os.rename(file + ".away", file)
    bare.host().gateway(None)
    assert removal() == "" and kept(bare, "node") == []


def test_a_change_that_is_not_complete(bare, removal):
    """Protects the way back of a change, which these programs do."""
    host_journal().begin("one", [BROKEN], ["eth0"], bare.remote, 7)
    host_journal().mark(0)
    assert "another change of this host's NICs is under way (eth0)" in removal()
    with pytest.raises(HostError, match=r"not all could be rolled back: a saved .* can't be read"):
        kept(bare, "node")
    assert "(eth0) could not be rolled back completely: a saved " in removal()


def read(path):
    """Return the text of a file."""
    with open(path, encoding="utf-8") as stream:
        return stream.read()
