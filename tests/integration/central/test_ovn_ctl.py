# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the packages' own ovn-ctl makes of the options that the role writes: with a wiped disk no database, and
with the file of a member the server that is compared."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from database_server import PROGRAMS, wait_for
from masters import NORTHBOUND, run

from ansible_collections.ovn.kubernetes.plugins.filter.central_options import central_options
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.places import Folders
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.read import read_central
from ansible_collections.ovn.kubernetes.plugins.plugin_utils import _central
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._central import Central
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._inventory import Inventory

SCRIPT = PROGRAMS / "root" / "usr" / "share" / "ovn" / "scripts" / "ovn-ctl"
MASTERS = [f"m{number}" for number in (1, 2, 3)]


@pytest.fixture
def inventory(monkeypatch):
    """Three masters on loopback addresses, which an inventory can't have."""
    octets = f"127.{1 + os.getpid() % 253}.{1 + os.getpid() // 253 % 253}"
    addresses = {name: f"{octets}.{number}" for number, name in enumerate(MASTERS, 101)}
    monkeypatch.setattr(_central, "tunnel_address", lambda _inventory, host: addresses[host])
    monkeypatch.setattr(_central, "required_tunnel_address", lambda _inventory, host, _reason: addresses[host])
    hostvars = {name: {"ovn_cluster_subnet": "10.0.0.0/8"} for name in MASTERS}
    return hostvars, {"ovn_masters": MASTERS, "ovn_nodes": MASTERS, "all": MASTERS}


@pytest.fixture
def started(inventory, tmp_path_factory):
    """Start ovn-ctl as the unit of the Northbound server does; its process and its folder."""
    folder = tmp_path_factory.mktemp("m")
    variables = {f"OVN_{name}": str(folder) for name in ("RUNDIR", "DBDIR", "LOGDIR", "SYSCONFDIR")}
    environment = {**os.environ, **variables, "OVS_RUNDIR": str(folder)}
    environment["PATH"] = f"{PROGRAMS / 'bin'}:{os.environ['PATH']}"
    processes = []

    def start(database=""):
        schema = f"--db-nb-schema={PROGRAMS / 'schema' / 'ovn-nb.ovsschema'}"
        options = central_options(*inventory, MASTERS[0], MASTERS, database).split()
        command = ["sh", str(SCRIPT), "run_nb_ovsdb", "--db-nb-create-insecure-remote=no", *options, schema]
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield start, Folders(str(folder), str(folder), str(PROGRAMS / "schema"))
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def test_a_wiped_disk_makes_no_database(started):
    """Protects the cluster against a second one: ovn-ctl ends, and there is no file."""
    start, folders = started
    process = start()
    said, _ = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "remote addresses cannot be the same as the local address" in said
    assert not os.path.exists(folders.file(NORTHBOUND))


@pytest.mark.parametrize("step", ["", "southbound"], ids=["before the run", "while the other one is converted"])
def test_a_standalone_database_stays(inventory, started, step):
    """Protects the rows of a database that could not be converted, or not yet, when its server is started: with the
    options of a cluster ovn-ctl removes its file."""
    start, folders = started
    file = folders.file(NORTHBOUND)
    run(["ovsdb-tool", "create", file, f"{folders.schemas}/ovn-nb.ovsschema"])
    standalone = {"central_databases": {"northbound": {"model": "standalone"}}}
    inventory[0][MASTERS[0]]["ansible_facts"] = {"ovn_kubernetes": standalone}
    start(step)
    state = wait_for(lambda: (found := read_central(folders)["northbound"])["running"] and found, "its server to run")
    assert state["model"] == "standalone"
    assert os.listdir(folders.data).count("ovnnb_db.db") == 1


def test_a_member_s_server_is_as_asked(inventory, started):
    """Protects against a restart in each run, and a member's file against ovn-ctl."""
    start, folders = started
    asked = Central(Inventory(*inventory)).asked()
    address = asked.raft_address(asked.masters[0], NORTHBOUND)
    run(["ovsdb-tool", "create-cluster", folders.file(NORTHBOUND), f"{folders.schemas}/ovn-nb.ovsschema", address])
    start()
    state = wait_for(
        lambda: (found := read_central(folders)["northbound"])["role"] == "leader" and found, "the member to lead"
    )
    assert tuple(state["arguments"]) == asked.arguments["northbound"]
    assert state["address"] == address
