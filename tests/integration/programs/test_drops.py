# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the ingress drops of the userspace datapath from other programs that remove all of nftables."""

from __future__ import annotations

import subprocess
import threading

import pytest
from database_server import wait_for
from kernel_links import pair
from network_namespace import ip, namespace

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.apply import apply_steps
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import HostState, IngressDrop
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.read import read_and_plan
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.ingress import add_drop, dropped_nics, remove_drop
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import drops

SECONDS = 4.0  # in which a drop must be there again; a second comparison would come after 600


def nft(command):
    subprocess.run(["nft", *command.split()], check=True, capture_output=True, timeout=20)


class Program:
    """The program, in a thread: it shares the test's network namespace."""

    def __init__(self):
        self.result = []
        self.thread = threading.Thread(target=lambda: self.result.append(drops.main()), daemon=True)
        self.thread.start()

    def ends(self):
        """Wait for its end, and return its exit status."""
        self.thread.join(20)
        return self.result[0]


@pytest.fixture
def host(monkeypatch):
    """A host with two NICs whose packets are dropped."""
    monkeypatch.setattr(drops, "CHECK_INTERVAL", 600.0)
    monkeypatch.setattr(drops, "PATIENCE", 0.0)
    with namespace():
        for nic in ("eth0", "eth1"):
            pair(nic)
            add_drop(nic)
        yield
        for nic in ("eth0", "eth1"):
            remove_drop(nic)


@pytest.mark.parametrize(
    "command",
    ["flush ruleset", "delete table netdev ovn_kubernetes", "delete chain netdev ovn_kubernetes in_eth1"],
)
def test_a_drop_that_others_remove_is_there_again(host, command):
    """Protects hosts whose nftables are loaded anew: Debian's begin with ``flush ruleset``."""
    program = Program()
    wait_for(lambda: "program" if program.thread.is_alive() else None, "the program")
    for _one in range(3):
        nft(command)
        wait_for(lambda: dropped_nics() == {"eth0", "eth1"}, "the drops", SECONDS)
    remove_drop("eth1")
    nft("flush ruleset")
    wait_for(lambda: dropped_nics() == {"eth0"}, "the other drop", SECONDS)
    remove_drop("eth0")
    assert program.ends() == 0
    assert dropped_nics() == frozenset()


def test_drops_that_were_removed_before_it_began(host):
    """Protects against a reload of nftables while the program starts again."""
    nft("flush ruleset")
    Program()
    wait_for(lambda: dropped_nics() == {"eth0", "eth1"}, "the drops", SECONDS)


def test_drops_of_an_earlier_release_are_kept(host, monkeypatch, tmp_path):
    """Protects hosts that are updated: an earlier release has left no notes."""
    monkeypatch.setattr(names, "DROPS_DIRECTORY", str(tmp_path / "none"))
    Program()
    wait_for((tmp_path / "none" / "eth0").exists, "the note")
    nft("flush ruleset")
    wait_for(lambda: dropped_nics() == {"eth0", "eth1"}, "the drops", SECONDS)


def test_drops_of_an_earlier_release_beside_a_new_one(host, monkeypatch, tmp_path):
    """Protects hosts that are updated and get another drop in the same run: that one's note is not the only one."""
    monkeypatch.setattr(names, "DROPS_DIRECTORY", str(tmp_path / "none"))
    remove_drop("eth1")
    add_drop("eth1")
    Program()
    nft("flush ruleset")
    wait_for(lambda: dropped_nics() == {"eth0", "eth1"}, "the drops", SECONDS)


def test_a_drop_does_not_come_back_to_a_nic_that_was_given_back(host):
    """Protects a host that gets its NIC back just after all of nftables was removed: the drop would cut it off."""
    nft("flush ruleset")
    gone = HostState(absent_drops=(IngressDrop("eth0"),))
    steps = read_and_plan(gone)
    assert [step.describe() for step in steps] == [
        "nftables ingress drop on eth0, whose packets are for bridge breth0: remove"
    ]
    apply_steps(steps)
    assert read_and_plan(gone) == []
    Program()
    wait_for(lambda: dropped_nics() == {"eth1"}, "the other drop", SECONDS)


def test_a_nic_that_was_unplugged_does_not_matter(host):
    """Protects the drops of other NICs."""
    ip("link del eth1")
    Program()
    nft("flush ruleset")
    wait_for(lambda: dropped_nics() == {"eth0"}, "the drop", SECONDS)
