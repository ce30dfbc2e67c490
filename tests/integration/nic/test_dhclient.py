# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A DHCP client changes links: whatever cuts that off, somebody can still start it again, as it was."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import pytest
from kernel_links import pair
from lab_hosts import wait
from network_namespace import ip

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common import systemd as units
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.retry import Pause
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.managers import dhclient, ifupdown
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.steps import HandoverStep

REAL_START = dhclient._start
IFUPDOWN = "ifupdown"
ARGUMENTS = ["-c", "read line", "-v", "eth0"]


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A program of that name, started by us in the function of systemd; gives its path."""
    path = str(tmp_path / "dhclient")
    shutil.copy("/bin/sh", path)
    running = []

    def start(command, link):
        running.append(subprocess.Popen(command, stdin=subprocess.PIPE))
        wait(lambda: command[1:] in served(link), 5, "the client")

    monkeypatch.setattr(dhclient, "_start", start)
    monkeypatch.setattr(dhclient, "LEASES_DIRECTORY", str(tmp_path / "leases"))
    monkeypatch.setattr(names, "RUN_DIRECTORY", str(tmp_path / "run"))
    previous = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # an ended process is gone, as with systemd
    start([path, *ARGUMENTS], "eth0")
    yield path
    for process in running:
        process.communicate(b"\n")
    signal.signal(signal.SIGCHLD, previous)


def served(link):
    """Return the arguments of each client of a link."""
    return [process.command[1:] for process in dhclient.clients(link)]


def test_a_client_moves_and_returns(program, tmp_path):
    """Protects the lease: one client, with the same arguments except for the link. No note is left."""
    dhclient.move_client("eth0", "breth0")
    assert served("eth0") == [] and served("breth0") == [[*ARGUMENTS[:-1], "breth0"]]
    dhclient.move_client("eth0", "breth0")
    assert len(served("breth0")) == 1
    dhclient.move_client("breth0", "eth0")
    assert served("eth0") == [ARGUMENTS] and served("breth0") == []
    assert os.listdir(tmp_path / "run") == []


@pytest.mark.parametrize("function", ["_end", "_start"])
def test_an_interrupted_move_is_completed(program, tmp_path, monkeypatch, function):
    """Protects the lease of a NIC whose change was interrupted when its client did not run, or did not move yet: after
    the return one client runs."""

    def interrupt(*_args):
        raise HostError("interrupted")

    with monkeypatch.context() as patch, pytest.raises(HostError, match="interrupted"):
        patch.setattr(dhclient, function, interrupt)
        dhclient.move_client("eth0", "breth0")
    assert served("eth0") == ([ARGUMENTS] if function == "_end" else []) and served("breth0") == []
    (note,) = (tmp_path / "run").iterdir()
    assert note.stat().st_mode & 0o777 == 0o600
    dhclient.move_client("breth0", "eth0")
    assert served("eth0") == [ARGUMENTS]
    assert not note.exists()


def test_a_lease_is_renewed_meanwhile(program, tmp_path, monkeypatch):
    """Protects the NIC from the address that its client added again after the addresses had moved, and before the
    client itself: it would keep that address for ever."""
    for link in ("eth0", "breth0"):
        pair(link)
    for leased in ("192.0.2.2/24", "2001:db8::2/128 nodad"):
        for link in ("eth0", "breth0"):
            ip(f"address add {leased} dev {link} valid_lft 600 preferred_lft 600")
    ip("address add fd55::2/64 nodad dev eth0")  # an address that the bridge does not have is not the client's
    monkeypatch.setattr(ifupdown, "call", lambda *_arguments: None)
    monkeypatch.setattr(ifupdown, "IFSTATE", str(tmp_path / "ifstate"))
    ifupdown.Ifupdown().notify(HandoverStep(IFUPDOWN, "eth0", "breth0"))
    on_nic, on_bridge = (ip("-o address show dev " + link) for link in ("eth0", "breth0"))
    assert "fd55::2/64" in on_nic and "192.0.2.2/24" not in on_nic and "2001:db8::2/128" not in on_nic
    assert "192.0.2.2/24" in on_bridge and "2001:db8::2/128" in on_bridge
    assert served("eth0") == [] and served("breth0") == [[*ARGUMENTS[:-1], "breth0"]]


def test_a_script_outlives_its_client(program, tmp_path, monkeypatch):
    """Protects a link from a script whose client has ended: it is waited for, a script of another link is not, and one
    that hangs is named."""
    shutil.copy("/bin/sh", tmp_path / "dhclient-script")
    with subprocess.Popen(
        [str(tmp_path / "dhclient-script"), "-c", "read line"], stdin=subprocess.PIPE, env={"interface": "eth0"}
    ) as script:
        wait(lambda: dhclient.processes({"dhclient-script"}), 5, "the script")
        dhclient.stop_clients("eth1")
        with monkeypatch.context() as patch, pytest.raises(HostError, match="dhclient-script for eth0 does not end"):
            patch.setattr(dhclient, "TIMEOUT", 0.2)
            dhclient.stop_clients("eth0")
        script.communicate(b"\n")
    dhclient.stop_clients("eth0")


def test_the_port_is_taken_for_a_moment(program, monkeypatch):
    """Protects the lease from a script of an earlier client, which holds the port of DHCP for longer than that client:
    the start is tried again until a deadline."""
    monkeypatch.setattr(dhclient, "RESTART_PAUSE", Pause(0.01))
    tries = []

    def run(*_arguments):
        tries.append(1)
        return True

    monkeypatch.setattr(dhclient, "run_unit", run)
    monkeypatch.setattr(dhclient, "clients", lambda link: len(tries) > 2)
    REAL_START(["dhclient", "breth0"], "breth0")
    assert len(tries) == 3
    monkeypatch.setattr(dhclient, "TIMEOUT", 0.05)
    monkeypatch.setattr(dhclient, "clients", lambda link: False)
    with pytest.raises(HostError, match="dhclient does not run for breth0"):
        REAL_START(["dhclient", "breth0"], "breth0")


def test_the_unit_is_still_there(monkeypatch):
    """Protects the lease from a script that outlives the client that began it: systemd keeps the client's unit until
    then, and takes no other of that name."""
    methods = []

    def call(_service, _path, _interface, member, *arguments):
        methods.append(member)
        if member == "GetUnit" and methods.count(member) > 3:
            raise HostError("no such unit")
        if member == "StartTransientUnit" and methods.count("GetUnit") < 4:
            raise HostError("the unit was already loaded")
        return ("/unit",)

    monkeypatch.setattr(units, "call", call)
    monkeypatch.setattr(units, "read_property", lambda *_arguments: "active")
    monkeypatch.setattr(units, "POLL", 0.01)
    assert units.run_unit("ovn-k8s-dhclient-breth0-4.service", "DHCP client", ["/sbin/dhclient"], 1.0)
    assert methods == ["GetUnit"] * 4 + ["StartTransientUnit", "LoadUnit"]
