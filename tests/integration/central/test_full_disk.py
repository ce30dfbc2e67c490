# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what a member's file lacks after its disk was full: its server goes on as if it had written it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess

import pytest
from database_server import wait_for
from masters import NORTHBOUND, PLACES, run

from ansible_collections.ovn.kubernetes.plugins.module_utils._central import read as reading
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.asked import READDRESS, Step
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.read import read_file
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError

SWITCHES = {"op": "select", "table": "Logical_Switch", "where": [], "columns": ["name"]}


@pytest.fixture
def disk(tmp_path):
    """A disk of four megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True, timeout=30)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=30)


@pytest.fixture
def follower(masters, disk):
    """A follower of the Northbound cluster whose file is on that disk."""
    host = next(host for host in masters.hosts.values() if host is not masters.leader())
    host.stop(NORTHBOUND)
    file = host.folder / "ovnnb_db.db"
    (disk / "db").write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(disk / "db")
    host.start(NORTHBOUND)
    wait_for(lambda: host.state(NORTHBOUND)["role"] == "follower", "it to be back")
    return host


def fill(disk):
    """Leave no room on a disk."""
    with contextlib.suppress(OSError), (disk / "full").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def add(masters, follower, *names):
    """Make switches; return when the follower has them all."""
    for name in names:
        masters.leader().add_switch(name)
    wait_for(lambda: switches(follower).issuperset(names), "the follower to have them")


def switches(host):
    """The names of the switches that a server has."""
    (found,) = host.transact(NORTHBOUND, SWITCHES)
    return {row["name"] for row in found["rows"]}


@pytest.fixture
def torn(masters, follower, disk):
    """The same follower, whose file has what was before the disk was full, and what came when it had room again."""
    add(masters, follower, "before")
    fill(disk)
    add(masters, follower, *(f"missing{number}" for number in range(60)))
    assert "No space left on device" in follower.log(NORTHBOUND)
    (disk / "full").unlink()
    add(masters, follower, "after")
    assert read_file(follower.folders.file(NORTHBOUND))["status"] == "failed"
    return follower


def test_a_site_run_writes_the_file_anew(masters, torn):
    """Protects the member from its next start: its file has a gap, and no server opens it."""
    facts = torn.state(NORTHBOUND)
    assert facts["unwritten"] and facts["status"] == "member"
    assert masters.site("abc") == [f"compact {torn.name} northbound"]
    assert masters.site("abc") == []
    assert not torn.state(NORTHBOUND)["unwritten"]
    rows = torn.everything(NORTHBOUND)
    torn.stop(NORTHBOUND, signal.SIGKILL)
    torn.start(NORTHBOUND)
    wait_for(lambda: torn.state(NORTHBOUND)["role"], "it to be a member again")
    wait_for(lambda: torn.everything(NORTHBOUND) == rows, "it to have all rows")
    assert "skips past expected index" not in torn.log(NORTHBOUND)


def test_a_disk_that_is_still_full(masters, follower, disk):
    """Protects a user from a run that ends as if all were well: it says which file, and what to do."""
    add(masters, follower, "before")
    fill(disk)
    add(masters, follower, *(f"missing{number}" for number in range(60)))
    (step,) = masters.decide(masters.asked("abc")).steps
    assert "it lacks changes" in step.text()
    with pytest.raises(HostError, match="make room on its disk"):
        masters.carry_out(step, masters.asked("abc"))
    (disk / "full").unlink()
    assert masters.site("abc") == [f"compact {follower.name} northbound"]
    assert masters.site("abc") == []


def test_a_recovery_from_such_a_member(masters, torn):
    """Protects the rows that only its memory has: ovsdb-tool makes a database of such a file without them, and says
    nothing."""
    rows = torn.everything(NORTHBOUND)
    for host in masters.hosts.values():
        if host is not torn:
            for place in PLACES:
                host.wipe(place)
    wait_for(lambda: torn.state(NORTHBOUND)["leader"] in ("", "unknown"), "the majority to be missed")
    wanted = masters.asked("abc")
    for place in PLACES:
        address = wanted.raft_address(wanted.master(torn.name), place)
        masters.carry_out(Step(torn.name, place.key, READDRESS, address, timer=wanted.timer), wanted)
    assert torn.everything(NORTHBOUND) == rows
    masters.site("abc")
    for host in masters.hosts.values():
        wait_for(lambda one=host: one.everything(NORTHBOUND) == rows, f"{host.name} to have all rows")


def test_no_recovery_from_a_file_with_a_gap(masters, torn):
    """Protects the rows that are missing in the file alone, once its server is gone too: nobody takes it for whole."""
    for host in masters.hosts.values():
        host.stop(NORTHBOUND, signal.SIGKILL)
    wanted = masters.asked("abc")
    address = wanted.raft_address(wanted.master(torn.name), NORTHBOUND)
    with pytest.raises(HostError, match="has a gap"):
        masters.carry_out(Step(torn.name, NORTHBOUND.key, READDRESS, address, timer=wanted.timer), wanted)
    copy = torn.folder / "copy"
    run(["ovsdb-tool", "cluster-to-standalone", str(copy), torn.folders.file(NORTHBOUND)])
    _code, out, _err = run(["ovsdb-tool", "query", str(copy), json.dumps([NORTHBOUND.database, SWITCHES])])
    found = {row["name"] for row in json.loads(out)[0]["rows"]}
    assert found == {"before", "after"}, "what ovsdb-tool makes of it"


def test_a_large_file_is_read_by_its_own_values(masters, follower, torn, monkeypatch):
    """Protects masters with many rows from the memory and the time that decoding all of them takes in each run: what is
    read is the same."""
    texts = ['"index":7', '{"term":9}', "\\", '\\"index\\":8', '"local_address":"x"']
    add(masters, follower, *texts)
    masters.site("abc")
    for host in (masters.leader(), torn):
        path = host.folders.file(NORTHBOUND)
        decoded = read_file(path)
        assert decoded["last"] > 60
        monkeypatch.setattr(reading, "LARGE", 0)
        assert read_file(path) == decoded
        monkeypatch.undo()
