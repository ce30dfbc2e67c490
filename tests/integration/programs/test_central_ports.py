# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the table before a master's databases from other programs that remove or change it while the host runs."""

from __future__ import annotations

import itertools
import subprocess
import threading
import time
from typing import ClassVar

import pytest
from database_server import wait_for
from network_namespace import load_nftables, namespace

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._host import central_ports as table
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.apply import apply_steps
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink import nftables_table
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import central_ports

PORTS = table.CentralPorts(("10.0.0.1", "fd00::1"), ("10.0.0.66",))
SECONDS = 4.0  # in which a table that was removed must be there again; a second comparison would come after 600


def nft(command):
    subprocess.run(["nft", *command.split()], check=True, capture_output=True, timeout=20)


def is_right():
    return nftables_table.read_table(table.FAMILY, table.TABLE) == table.objects(PORTS)


class Program:
    """The program, in a thread: it shares the test's network namespace.

    :ivar started: all of a test, which end with it.
    """

    started: ClassVar[list[Program]] = []

    def __init__(self):
        self.started.append(self)
        self.result = []
        self.thread = threading.Thread(target=lambda: self.result.append(central_ports.main()), daemon=True)
        self.thread.start()

    def ends(self):
        """Wait for its end, and return its exit status."""
        self.thread.join(20)
        return self.result[0]


@pytest.fixture
def host(monkeypatch, tmp_path):
    """A master with its table. Its programs end with the test."""
    load_nftables()
    monkeypatch.setattr(names, "CENTRAL_PORTS", str(tmp_path / "central-ports.json"))
    monkeypatch.setattr(names, "CENTRAL_PORTS_DROP_IN", str(tmp_path / "{0}.service.d" / "ovn-kubernetes-ports.conf"))
    monkeypatch.setattr(central_ports, "CHECK_INTERVAL", 600.0)
    with namespace():
        apply_steps(table.plan(PORTS))
        yield
        apply_steps(table.plan(None))
        while Program.started:
            Program.started.pop().ends()


@pytest.mark.parametrize("command", ["flush ruleset", f"delete table inet {names.CENTRAL_TABLE}"])
def test_a_table_that_others_remove_is_there_again(host, command):
    """Protects a master whose nftables are loaded anew: ``nft -f /etc/nftables.conf`` begins with ``flush ruleset``.
    Where the table is taken away by us, it stays away, and the program ends."""
    program = Program()
    for _one in range(3):
        nft(command)
        wait_for(is_right, "the table", SECONDS)
    apply_steps(table.plan(None))
    assert program.ends() == 0
    assert nftables_table.read_table(table.FAMILY, table.TABLE) == []


def test_a_table_that_was_removed_before_it_began(host):
    """Protects against a reload of nftables while the program starts again."""
    nft("flush ruleset")
    Program()
    wait_for(is_right, "the table", SECONDS)


def test_a_change_is_put_right(host, monkeypatch):
    """Protects against a rule that lets somebody in, of which the kernel tells nothing that is listened to."""
    monkeypatch.setattr(central_ports, "CHECK_INTERVAL", 0.05)
    Program()
    nft(f"insert rule inet {names.CENTRAL_TABLE} input accept")
    wait_for(is_right, "the rules", SECONDS)


def test_what_the_site_play_changes_stays(host):
    """Protects a withdrawn host from coming back: the file says what is right, and it is written first."""
    program = Program()
    more = table.CentralPorts(PORTS.masters, (*PORTS.withdrawn, "10.0.0.67"))
    apply_steps(table.plan(more))
    nft("flush ruleset")
    wait_for(
        lambda: nftables_table.read_table(table.FAMILY, table.TABLE) == table.objects(more), "the new table", SECONDS
    )
    assert program.thread.is_alive() and table.plan(more) == []


def test_a_table_that_is_never_as_it_was_written(host, monkeypatch, caplog):
    """Protects a processor and the log from a program that takes the table away as fast as it is there, and from an nft
    that lists it in other words: it is written again, ever more slowly, and the log says so twice."""
    written = []

    def run(commands):
        written.append(time.monotonic())
        load(commands)

    load = nftables_table.run
    with monkeypatch.context() as patch:
        patch.setattr(nftables_table, "run", run)
        patch.setattr(nftables_table, "read_table", lambda *_table: [])
        Program()
        wait_for(lambda: len(written) > 6, "the table, again and again", 20)
    pauses = [later - before for before, later in itertools.pairwise(written)]
    assert pauses[5] > 0.8 and is_right()
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
