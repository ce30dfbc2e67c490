# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The rows of a NIC's bridge are written in a bounded time, whatever other programs do to them."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import Conflict, DatabaseError, Disconnected
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.retry import Pause
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic import bridge_rows
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.plan import Plan

SETTINGS = {"nic": "eth0", "mac": "02:44:0a:2c:00:0b", "mtu": 1500, "datapath_type": "system"}


class Database:
    """A connection to a database in which each transaction ends with the next of these errors; without errors left it
    succeeds."""

    def __init__(self, errors):
        self.errors, self.transactions, self.reopened, self.closed = errors, 0, 0, False

    def transact(self, _operations):
        self.transactions += 1
        error = next(self.errors, None)
        if error:
            raise error
        return []

    def reopen(self):
        self.reopened += 1

    def close(self):
        self.closed = True


@pytest.fixture
def write(monkeypatch):
    """write(errors): write the rows of eth0 into such a database, which is returned."""
    monkeypatch.setattr(bridge_rows, "CONFLICT_PAUSE", Pause(0.001))
    monkeypatch.setattr(bridge_rows, "CONFLICT_TIMEOUT", 1.0)
    monkeypatch.setattr(bridge_rows, "plan_rows", lambda _connection, desired: Plan(desired.desired))
    monkeypatch.setattr(bridge_rows, "operations", lambda _plan, _comment: [])
    monkeypatch.setattr(bridge_rows, "commit", lambda connection, operations: connection.transact(operations))
    monkeypatch.setattr(bridge_rows, "wait_for_vswitchd", lambda *_arguments: None)

    def run(errors):
        database = Database(iter(errors))
        monkeypatch.setattr(bridge_rows, "Connection", lambda _remote, _database: database)
        bridge_rows.write_rows("eth0", SETTINGS, "unix:/nowhere")
        return database

    return run


def endless(error):
    while True:
        yield error


def test_rows_that_never_hold_still_end_with_a_sentence(write):
    """Protects the host, and whoever waits for it: a conflict that comes back for ever does not keep the program
    running for ever."""
    with pytest.raises(DatabaseError, match=r"the rows of breth0 .* change faster than they can be written: find out"):
        write(endless(Conflict("eth0")))


def test_a_conflict_is_followed_by_another_attempt(write):
    """Protects the change from ovn-controller, which writes here too, at just these moments."""
    database = write([Conflict("once"), Conflict("twice")])
    assert (database.transactions, database.closed) == (3, True)


def test_a_connection_that_is_lost_is_opened_once_more(write):
    """Protects the change from a database server that is restarted, and ends when it does not come back."""
    assert write([Disconnected("restarted")]).reopened == 1
    with pytest.raises(Disconnected):
        write(endless(Disconnected("gone")))
