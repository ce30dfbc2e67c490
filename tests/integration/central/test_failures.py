# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the database of one master where a step of a site run fails, or meets what others do, with real servers."""

from __future__ import annotations

import pathlib

import pytest
from database_server import wait_for
from masters import NORTHBOUND, Masters, run

from ansible_collections.ovn.kubernetes.plugins.module_utils._central import listeners
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.asked import Step
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.database import Database, Listener
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.execute import Executor
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError


@pytest.fixture
def masters():
    """One host without a database."""
    made = Masters(1)
    yield made
    made.remove()


def test_a_standalone_database_whose_file_is_gone(masters):
    """Protects the only rows that are left, which a server has in its memory: it is not stopped."""
    masters["a"].standalone(NORTHBOUND)
    masters["a"].add_switch("one")
    wanted = masters.asked("a")
    step = masters.decide(wanted).steps[0]
    pathlib.Path(masters["a"].folders.file(NORTHBOUND)).unlink()
    with pytest.raises(HostError, match="is none, and no standalone database"):
        masters.carry_out(step, wanted)
    assert masters["a"].everything(NORTHBOUND)["Logical_Switch"]


def test_options_that_cannot_be_written(masters):
    """Protects chassis where the disk is full at the last moment: the server runs with the options of before."""
    masters["a"].standalone(NORTHBOUND)
    masters["a"].add_switch("one")
    rows = masters["a"].everything(NORTHBOUND)
    step = masters.decide(masters.asked("a")).steps[0]

    def configure():
        raise HostError("No space left on device")

    host = masters["a"]
    with pytest.raises(HostError, match="No space left"):
        Executor(NORTHBOUND, host, run, configure, host.folders).carry_out(step)
    wait_for(lambda: host.state(NORTHBOUND)["running"], "its server to run")
    assert host.everything(NORTHBOUND) == rows
    masters.site("a")
    assert host.everything(NORTHBOUND) == rows


@pytest.mark.parametrize("fails", ["cluster-to-standalone", "create-cluster"])
def test_a_disk_that_is_full_when_the_address_changes(masters, fails):
    """Protects one master at another address: where its files can't be made, it serves as it did."""
    masters.site("a")
    masters["a"].add_switch("one")
    host = masters["a"]
    rows, before = host.everything(NORTHBOUND), host.state(NORTHBOUND)["address"]

    def full(command):
        return (1, "", "No space left on device") if fails in command else run(command)

    step = Step("a", "northbound", "readdress", "tcp:127.0.0.9:6643", timer=1500)
    with pytest.raises(HostError, match="No space left"):
        Executor(NORTHBOUND, host, full, lambda: None, host.folders).carry_out(step)
    wait_for(lambda: host.state(NORTHBOUND)["role"] == "leader", "its server to lead again")
    assert (host.everything(NORTHBOUND), host.state(NORTHBOUND)["address"]) == (rows, before)


def test_listeners_while_others_write(masters, monkeypatch):
    """Protects the first installation: ovn-northd makes the one row of a new database at that moment."""
    masters.site("a")
    made = listeners.operations
    meanwhile = [{"op": "insert", "table": "Connection", "row": {"target": "ptcp:7"}}]
    meanwhile += [{"op": "insert", "table": "NB_Global", "row": {}}]

    def operations(*arguments):
        if meanwhile:
            masters["a"].transact(NORTHBOUND, *meanwhile)
            meanwhile.clear()
        return made(*arguments)

    monkeypatch.setattr(listeners, "operations", operations)
    wanted = (Listener("ptcp:0:127.0.0.1"),)
    masters.carry_out(Step("a", "northbound", "listen", listeners=wanted), masters.asked("a"))
    assert [one.target for one in Database.from_dict(masters["a"].state(NORTHBOUND)).listeners] == [wanted[0].target]
