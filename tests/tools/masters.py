# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Masters with real ovsdb-servers on loopback addresses, and what a site run makes of their databases."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from database_server import PROGRAMS, Client, wait_for

from ansible_collections.ovn.kubernetes.plugins.module_utils._central.asked import Asked, Master
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.cluster import has_ssl
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.database import Database
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.decide import decide
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.execute import Executor
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.places import PLACES, RELAY, Folders
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.read import read_central

NORTHBOUND, SOUTHBOUND = PLACES
ROUNDS = 30  # of a site run; each has at least one step


def run(command):
    """Run a program of Open vSwitch, as a module's run_command does."""
    path = f"{PROGRAMS / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ, PATH=path)
    )
    return done.returncode, done.stdout, done.stderr


class Host:
    """A master: its folders, its servers, and the options by which they are started."""

    def __init__(self, name, address, parent):
        self.name, self.address = name, address
        self.folder = pathlib.Path(parent) / name
        self.folder.mkdir()
        self.folders = Folders(str(self.folder), str(self.folder), str(PROGRAMS / "schema"))
        self.options = {place.key: () for place in PLACES}
        self.processes = {}
        self.starts = 0
        self.relay = None  # tests of relays give it one

    def start(self, place):
        """Start a server as systemd does; a file that is missing or can't be read ends it."""
        if place.key in self.processes and self.processes[place.key].poll() is None:
            return
        self.starts += 1
        stem = self.folder / place.stem
        with (self.folder / f"{place.stem}.log").open("a") as log:
            self.processes[place.key] = subprocess.Popen(
                [
                    str(PROGRAMS / "bin" / "ovsdb-server"),
                    "--no-chdir",
                    f"--pidfile={stem}.pid",
                    f"--unixctl={stem}.ctl",
                    f"--remote=punix:{stem}.sock",
                    f"--remote=db:{place.database},{place.root_table},connections",
                    *self.options[place.key],
                    f"{stem}.db",
                ],
                stdout=log,
                stderr=log,
                env=dict(os.environ, OVS_RUNDIR=str(self.folder)),
            )

    def stop(self, place, how=signal.SIGTERM):
        """End a server, and wait for its end."""
        process = self.processes.pop(place.key, None)
        if process is None:
            return
        process.send_signal(how)
        process.wait(30)

    def standalone(self, place):
        """A standalone database, as ovn-ctl makes it, which runs."""
        run(["ovsdb-tool", "create", self.folders.file(place), f"{self.folders.schemas}/{place.schema}"])
        self.start(place)
        wait_for(lambda: self.state(place)["running"], f"{place.database} to run")

    def wipe(self, place):
        """The disk is new."""
        self.stop(place, signal.SIGKILL)
        pathlib.Path(self.folders.file(place)).unlink()

    def facts(self):
        """What ovn_facts says."""
        return read_central(self.folders, self.relay.folders if self.relay else self.folders)

    def state(self, place):
        """What ovn_facts says of a database."""
        return self.facts()[place.key]

    def log(self, place):
        """What a server has logged."""
        return (self.folder / f"{place.stem}.log").read_text()

    def request(self, place, method, params):
        """The result of a request to a server."""
        client = Client(self.folder / f"{place.stem}.sock")
        try:
            return client.request(method, params)
        finally:
            client.close()

    def transact(self, place, *operations):
        """The results of a transaction, which must succeed."""
        results = self.request(place, "transact", [place.database, *operations])
        failed = [result for result in results if result and result.get("error")]
        assert not failed, failed
        return results

    def add_switch(self, name, keys=None):
        """Write a row to the Northbound database."""
        row = {"name": name, "external_ids": ["map", list((keys or {}).items())]}
        self.transact(NORTHBOUND, {"op": "insert", "table": "Logical_Switch", "row": row})

    def everything(self, place):
        """All rows of a database, but those of its listeners: table to rows, with their UUIDs."""
        tables = sorted(set(self.request(place, "get_schema", [place.database])["tables"]))
        answers = self.transact(place, *({"op": "select", "table": table, "where": []} for table in tables))
        without = ("_version", "connections", "status", "is_connected")
        found = {
            table: sorted(
                ({column: value for column, value in row.items() if column not in without} for row in answer["rows"]),
                key=str,
            )
            for table, answer in zip(tables, answers)
        }
        del found["Connection"]
        return found


class Masters:
    """Hosts a, b, c ..., and site runs for them.

    :param tls: options of ovsdb-server with keys, for clusters over ssl.
    """

    def __init__(self, count=3, tls=()):
        self.folder = tempfile.mkdtemp(prefix="ovn-test-")
        self.tls = tuple(tls)
        octets = f"127.{1 + os.getpid() % 253}.{1 + os.getpid() // 253 % 253}"
        self.hosts = {
            name: Host(name, f"{octets}.{number}", self.folder) for number, name in enumerate("abcde"[:count], 1)
        }
        self.done = []

    def __getitem__(self, name):
        return self.hosts[name]

    def asked(self, masters, protocol="tcp", **more):
        """What the inventory asks for."""
        all_hosts = [Master(host.name, host.address) for host in self.hosts.values()]
        arguments = self.tls if protocol == "ssl" else ()
        with_keys = dict.fromkeys((place.key for place in PLACES), self.tls)
        return Asked(
            tuple(one for one in all_hosts if one.host in masters),
            tuple(one for one in all_hosts if one.host not in masters),
            protocol,
            arguments={place.key: arguments for place in PLACES},
            ssl_arguments=with_keys,
            **more,
        )

    def facts(self, down=()):
        """What all hosts say that are reached."""
        return {name: None if name in down else host.facts() for name, host in self.hosts.items()}

    def decide(self, wanted, down=()):
        """The next steps, or the refusals."""
        return decide(wanted, self.facts(down))

    def site(self, masters="abc", protocol="tcp", down=(), after=None, **more):
        """Run the site play; the texts of the steps.

        :param after: called after each step.
        """
        wanted = self.asked(masters, protocol, **more)
        done = []
        for _round in range(ROUNDS):
            decision = self.decide(wanted, down)
            assert not decision.refusals, decision.refusals
            if not decision.steps:
                self.done += done
                return done
            for step in decision.steps:
                self.carry_out(step, wanted)
                done.append(f"{step.action} {step.host} {step.database}")
                if after is not None:
                    after(step)
        raise AssertionError(f"never at an end: {done}")

    def carry_out(self, step, wanted):
        """Carry out one step, as ovn_central does on its host."""
        host = self.hosts[step.host]
        if step.database == RELAY.key:
            host.relay.executor().carry_out(step)
            return
        place = next(place for place in PLACES if place.key == step.database)

        def configure():
            states = [Database.from_dict(one.state(place)) for one in self.hosts.values()]
            arguments = wanted.ssl_arguments if any(map(has_ssl, states)) else wanted.arguments
            host.options[place.key] = arguments[place.key]

        Executor(place, host, run, configure, host.folders).carry_out(step)

    def leader(self, place=NORTHBOUND):
        """The host that leads."""
        return wait_for(
            lambda: next((host for host in self.hosts.values() if host.state(place)["role"] == "leader"), None),
            f"a leader of {place.database}",
        )

    def remove(self):
        """End all."""
        for host in self.hosts.values():
            for place in PLACES:
                with contextlib.suppress(OSError):
                    host.stop(place, signal.SIGKILL)
        shutil.rmtree(self.folder)
