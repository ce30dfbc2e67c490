# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a host whose disk is full or read-only, or whose Open vSwitch has died, in the middle of a NIC's move: the
host is back, and the words say what happened. Open vSwitch, kernel and file systems are real."""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess

import pytest
from kernel_links import pair, snapshot
from network_namespace import ip, ip_batch
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import File
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic import bridge_rows, executor
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.journal import host_journal
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.managers import ifupdown, network_manager, networkd
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.moved import moved_nics
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.connection import Connection
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify import read

ETH0 = """
address add 10.44.0.12/24 dev eth0
address add 10.44.0.112/24 dev eth0
address add fd44::12/64 dev eth0 nodad
route add default via 10.44.0.1
route add 198.51.100.0/24 via 10.44.0.254 metric 7
-6 route add default via fd44::1
rule add priority 500 iif eth0 lookup 100
"""
STANZA = "auto eth0\niface eth0 inet static\n    address 10.44.0.12/24\n" + "# a long comment\n" * 600
BROKEN = "the step was broken by the test"
WAYS = pytest.mark.parametrize("present", [True, False], ids=["there", "back"])


class Disk:
    """A file system in memory that is small, and can be full or read-only."""

    def __init__(self, path):
        self.path = path
        path.mkdir()
        self._run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", path)

    def fill(self):
        """Leave no room."""
        with contextlib.suppress(OSError), (self.path / ".filler").open("ab", buffering=0) as filler:
            while filler.write(b"\0" * 4096):
                pass

    def empty(self):
        """Give the room back."""
        (self.path / ".filler").unlink(missing_ok=True)

    def read_only(self):
        """Let nobody write, also while files are open."""
        self._run("mount", "--bind", self.path, self.path)
        self._run("mount", "-o", "remount,bind,ro", self.path)

    def writable(self):
        """Let files be written again."""
        self._run("umount", self.path)

    def unmount(self):
        """Take it away."""
        self._run("umount", "-l", self.path)

    @staticmethod
    def _run(*command):
        subprocess.run([str(word) for word in command], check=True, timeout=10)


class Moving:
    """A host with a NIC that ifupdown configures.

    :ivar told: for which link ifupdown was told to care, in order.
    """

    def __init__(self, etc, var, server, present, told):
        self.etc, self.var, self.server, self.present, self.told = etc, var, server, present, told
        self.interfaces = etc.path / "interfaces"
        if not present:
            server.host().uplinks(["eth0"], True, "request")
        self.before = self.state()

    def state(self):
        """What a move changes: addresses, routes, rules, rows, files."""
        links = ("eth0", "breth0") if "breth0" in ip("link") else ("eth0",)
        shown = {key: value for key, value in snapshot(*links).items() if value}
        bridges = [row["name"] for row in self.server.rows("Bridge")] if self.server.process.poll() is None else None
        return shown, ip("rule"), bridges, self.interfaces.read_text(), moved_nics()

    def places(self):
        """Return the places of the change's acts; of several of one kind in a row the first and the last one."""
        acts = self.server.host().plan_uplinks(["eth0"], self.present, "request").acts
        kinds = [None, *(act["step"]["is"] if "step" in act else "rows" for act in acts), None]
        return [place for place in range(len(acts)) if len(set(kinds[place : place + 3])) > 1]

    def change(self, monkeypatch, place, break_it):
        """Begin the change; after the act at this place something breaks, and the next one fails. Return the error."""
        do, count = executor._do, []

        def then_break(act, runner, remote):
            do(act, runner, remote)
            count.append(act)
            if len(count) == place + 1:
                break_it()
                raise HostError(BROKEN)

        with monkeypatch.context() as patch:
            patch.setattr(executor, "_do", then_break)
            with pytest.raises(HostError) as told:
                self.server.host().uplinks(["eth0"], self.present, "request")
        assert "\n" not in str(told.value) and str(told.value).startswith(BROKEN)
        return str(told.value)

    def mended(self):
        """What was in the way is gone: whoever comes next ends it."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(executor, "PATIENCE", 30.0)
            executor.finish_pending(host_journal())
        assert host_journal().read().state == "undone"
        assert self.state() == self.before


@pytest.fixture
def moving(tmp_path, monkeypatch):
    """moving(present) is a host whose NIC is about to go into its bridge, or back."""
    with contextlib.ExitStack() as after:
        pair("eth0")
        ip_batch(ETH0.strip().splitlines())
        etc, var = Disk(tmp_path / "etc"), Disk(tmp_path / "var")
        after.callback(var.unmount)
        after.callback(etc.unmount)
        server = Vswitch()
        after.callback(server.remove)
        server.keep_here(monkeypatch.setattr)
        monkeypatch.setattr(names, "UPLINKS_DIRECTORY", str(etc.path / "uplinks"))
        monkeypatch.setattr(names, "JOURNAL_DIRECTORY", str(var.path / "journal"))
        monkeypatch.setattr(names, "RUN_DIRECTORY", str(tmp_path / "run"))
        for module, name, path in (
            (ifupdown, "INTERFACES", etc.path / "interfaces"),
            (ifupdown, "IFSTATE", tmp_path / "ifstate"),
            (ifupdown, "IFUP", tmp_path / "ifup"),
            (networkd, "STATE_DIRECTORY", tmp_path / "netif"),
            (network_manager, "DEVICES", tmp_path / "devices"),
        ):
            monkeypatch.setattr(module, name, str(path))
        monkeypatch.setattr(ifupdown, "ORDER", File(str(etc.path / "order.conf"), ifupdown.ORDER.content))
        monkeypatch.setattr(executor, "PATIENCE", 0.0)
        monkeypatch.setattr(bridge_rows, "SERVED_TIMEOUT", 0.5)
        monkeypatch.setattr(bridge_rows, "Connection", lambda *where: Connection(*where, timeout=1.0))
        (etc.path / "interfaces").write_text(STANZA)
        (tmp_path / "ifstate").write_text("eth0=eth0\n")
        (tmp_path / "ifup").touch()

        told = []
        monkeypatch.setattr(
            ifupdown.Ifupdown, "notify", lambda _self, step: told.append("bridge" if step.to_bridge else "nic")
        )
        yield lambda present: Moving(etc, var, server, present, told)


@WAYS
def test_the_disks_are_full_at_each_step(moving, monkeypatch, present):
    """Protects the way back against a disk without any room, for the journal and for the files that come back."""
    host = moving(present)
    places = host.places()
    for place in places:
        error = host.change(monkeypatch, place, lambda: (host.etc.fill(), host.var.fill()))
        assert error == BROKEN, f"step {place}"
        assert host.state() == host.before, f"step {place}"
        written = json.loads((host.var.path / "journal" / "change.json").read_text())
        assert (written["state"], written["reason"]) == ("undone", BROKEN)
        host.etc.empty(), host.var.empty()
        assert not list(host.etc.path.rglob(".*before"))
    assert len(places) > 10


@WAYS
@pytest.mark.parametrize("disk", ["etc", "var"])
def test_a_disk_is_read_only_at_each_step(moving, monkeypatch, present, disk):
    """Protects the rest of the way back against a step that can't be rolled back, or that can't be recorded; what is
    left is said, and done once the disk can be written again."""
    host = moving(present)
    places = host.places()
    for place in places:
        error = host.change(monkeypatch, place, lambda: getattr(host, disk).read_only())
        left = host_journal().read().left
        assert host.state()[:3] == host.before[:3], f"step {place}: {error}"
        if host.state() == host.before:
            assert error == BROKEN and host_journal().read().state == "undone"
        else:
            assert "not all could be rolled back: file " in error and "Read-only file system" in error
            assert left and left in error and host_journal().read().reason == BROKEN
            with pytest.raises(HostError, match=r"could not be rolled back completely: file .*Read-only file system"):
                executor.refuse_while_pending(host_journal())
            assert read._unfinished().endswith(left) and BROKEN in read._unfinished()
        getattr(host, disk).writable()
        host.mended()


@WAYS
@pytest.mark.parametrize("victim", ["ovsdb-server", "ovs-vswitchd"])
def test_open_vswitch_is_killed_at_each_step(moving, monkeypatch, present, victim):
    """Protects a host whose bridge nobody serves any more: its NIC has the addresses and routes, and the rest of the
    way back comes with Open vSwitch."""
    host = moving(present)
    addresses = sorted(one["local"] for one in host.before[0]["eth0" if present else "breth0"])

    def kill():
        for process in [host.server.process] if victim == "ovsdb-server" else [host.server.daemon]:
            process.kill()
            process.wait(10)

    places = host.places()
    for place in places:
        error = host.change(monkeypatch, place, kill)
        on_nic = json.loads(ip("-j address show dev eth0"))[0]["addr_info"]
        assert sorted(one["local"] for one in on_nic if one["scope"] != "link") == addresses, f"step {place}: {error}"
        assert "default via 10.44.0.1 dev eth0" in ip("route") and "default via fd44::1 dev eth0" in ip("-6 route")
        assert host.interfaces.read_text() == host.before[3]
        if error != BROKEN:
            assert "not all could be rolled back" in error and ("Open_vSwitch" in error or "ovs-vswitchd" in error)
        if victim == "ovsdb-server":
            host.server.start()
            host.server.daemon.kill()  # which may wait for seconds until it connects again
            host.server.daemon.wait(10)
        host.server.serve()
        host.mended()


@pytest.mark.parametrize("promiscuous", [False, True])
def test_a_killed_ovs_vswitchd_leaves_no_promiscuous_mode(moving, monkeypatch, promiscuous):
    """Protects a NIC against accepting every packet for ever: who comes after a killed ovs-vswitchd takes the mode that
    it has set for the NIC's own. A move that is rolled back, and a NIC that is given back later."""
    monkeypatch.setattr(bridge_rows, "Connection", Connection)  # with its own time-out
    ip(f"link set eth0 promisc {'on' if promiscuous else 'off'}")

    def has_mode():
        return "PROMISC" in ip("link show dev eth0")

    def killed():
        host.server.daemon.kill()
        host.server.daemon.wait(10)
        host.server.serve()

    host = moving(True)
    rows = [act["rows"] for act in host.server.host().plan_uplinks(["eth0"], True, "request").acts if "rows" in act]
    assert rows == ["eth0"] and has_mode() == promiscuous
    host.change(monkeypatch, 1, killed)
    assert has_mode() == promiscuous
    host.server.host().uplinks(["eth0"], True, "request")
    assert has_mode()
    killed()
    host.server.host().uplinks(["eth0"], False, "request")
    assert has_mode() == promiscuous and moved_nics() == []


def test_a_manager_is_not_told_again_and_again(moving, monkeypatch):
    """Protects a host's network against a manager that configures it anew with each attempt to restore a file that
    can't be written: it is told once more when the file is back, and not before."""
    host = moving(True)
    host.change(monkeypatch, host.places()[-1], host.etc.read_only)
    host.told.clear()
    for _attempt in range(3):
        with pytest.raises(HostError, match="not all could be rolled back"):
            executor.finish_pending(host_journal())
    told = list(host.told)
    host.etc.writable()
    host.mended()
    assert told == [] and host.told == ["nic"]


def test_a_confirmation_after_the_way_back_confirms_nothing(moving, monkeypatch):
    """Protects against "confirmed" for a change that was rolled back while nothing could be recorded."""
    host = moving(True)
    journal = host_journal()
    with journal.held(wait=True):
        acts = host.server.host().plan_uplinks(["eth0"], True, "request").acts
        journal.begin("one", acts, ["eth0"], host.server.remote, 7)
        applied = executor.apply(journal)
        host.var.read_only()
        executor.await_confirmation(journal, applied, 0)
    assert host.state() == host.before
    host.var.writable()
    journal.confirm("one")
    executor.finish_pending(journal)
    assert journal.read().state == "undone" and host.state() == host.before


def test_a_full_disk_can_be_confirmed(moving):
    """Protects a change that works against being rolled back because its confirmation has no room."""
    host = moving(True)
    journal = host_journal()
    with journal.held(wait=True):
        acts = host.server.host().plan_uplinks(["eth0"], True, "request").acts
        journal.begin("one", acts, ["eth0"], host.server.remote, 7)
        applied = executor.apply(journal)
        host.var.fill()
        journal.confirm("one")
        executor.await_confirmation(journal, applied, 0)
    assert journal.read().state == "confirmed" and moved_nics() == ["eth0"]


def test_a_change_that_can_not_be_recorded_does_not_begin(moving):
    """Protects against a change that nobody could roll back after a kill."""
    host = moving(True)
    host.var.fill()
    with pytest.raises(HostError, match=r"can't be recorded in .*No space left on device.*: see that there is room"):
        host.server.host().uplinks(["eth0"], True, "request")
    assert host.state() == host.before


@pytest.mark.parametrize("broken", ["full", "read-only", "unreadable", "of another NIC", "kept of another"])
def test_a_boot_restores_the_bridge_whatever_the_journal_is_like(moving, tmp_path, broken):
    """Protects a host whose NIC is in its bridge against a boot with a disk that is full or read-only, after a change
    of another NIC that can't be rolled back yet, or with a file about another NIC that can't be read: without addresses
    nobody could mend that."""
    (tmp_path / "ifup").unlink()  # no manager does it
    host = moving(False)
    ip("address flush dev breth0")
    if broken == "full":
        host.var.fill()
    elif broken == "read-only":
        host.var.read_only()
    elif broken == "unreadable":
        (host.var.path / "journal" / "change.json").write_text("{")
    elif broken == "kept of another":
        pathlib.Path(names.uplink_file("eth1")).write_text("[1]")
    else:
        cannot = {"step": {"is": "no step of this version"}}
        host_journal().begin("other", [cannot], ["eth1"], host.server.remote, 7)
        host_journal().mark(0)
    host.server.host().restore_uplink("eth0")
    assert "10.44.0.12/24" in ip("address show dev breth0") and "default via 10.44.0.1 dev breth0" in ip("route")


def test_a_boot_does_not_restore_what_is_being_rolled_back(moving):
    """Protects a way back that a boot has interrupted: it comes first, and the host says what is in its way."""
    host = moving(False)
    host_journal().begin("other", [{"step": {"is": "no step of this version"}}], ["eth0"], host.server.remote, 7)
    host_journal().mark(0)
    with pytest.raises(HostError, match=r"\(eth0\) could not be rolled back completely: a saved .* can't be read"):
        host.server.host().restore_uplink("eth0")
