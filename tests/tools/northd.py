# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What ovn-northd makes of a Northbound database: a Southbound database, and the way of a packet by ovn-trace."""

from __future__ import annotations

import os
import re
import subprocess

from database_server import PROGRAMS, Server


def register(server, system_id, hostname, *addresses):
    """A chassis, as its ovn-controller makes it."""
    chassis = {
        "name": system_id,
        "hostname": hostname,
        "encaps": ["set", [["named-uuid", f"e{n}"] for n in range(len(addresses))]],
    }
    encaps = [{"type": "geneve", "ip": address, "chassis_name": system_id} for address in addresses]
    server.transact(
        *(
            {"op": "insert", "table": "Encap", "uuid-name": f"e{number}", "row": encap}
            for number, encap in enumerate(encaps)
        ),
        {"op": "insert", "table": "Chassis", "uuid-name": "c", "row": chassis},
        {"op": "insert", "table": "Chassis_Private", "row": {"name": system_id, "chassis": ["named-uuid", "c"]}},
    )


class Northd:
    """ovn-northd between a Northbound database and a Southbound one, by default of its own."""

    def __init__(self, nb, southbound=None):
        self.nb = nb
        self.southbound = southbound or Server("ovn-sb", "OVN_Southbound")
        self._environment = dict(os.environ, OVN_RUNDIR=str(nb.directory), OVS_RUNDIR=str(nb.directory))
        databases = [f"--ovnnb-db={nb.remote}", f"--ovnsb-db={self.southbound.remote}"]
        command = [str(PROGRAMS / "bin" / "ovn-northd"), *databases, f"--unixctl={nb.directory / 'northd.ctl'}"]
        with (nb.directory / "northd.log").open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)

    @property
    def pid(self):
        """Its process."""
        return self._process.pid

    def run(self, program, *arguments):
        """Run a program of OVN or Open vSwitch; its output."""
        command = [str(PROGRAMS / "bin" / program), *map(str, arguments)]
        return subprocess.run(
            command, check=True, timeout=120, capture_output=True, text=True, env=self._environment
        ).stdout

    def nbctl(self, *arguments):
        """Run ovn-nbctl."""
        return self.run("ovn-nbctl", f"--db={self.nb.remote}", "--no-leader-only", *arguments)

    def sync(self):
        """Wait until the Southbound database has what the Northbound database has."""
        self.nbctl("--wait=sb", "--timeout=60", "sync")

    def pod(self, name, node, *ips):
        """Add the port of a pod of node number so and so, without a watcher."""
        mac = f"0a:58:00:00:{node:02x}:{len(self.nb.rows('Logical_Switch_Port')):02x}"
        self.nbctl("lsp-add", f"node{node}", name, "--", "lsp-set-addresses", name, " ".join([mac, *ips]))
        return mac

    def trace(self, switch, packet):
        """The text of ovn-trace for a packet that comes from a port of this switch."""
        return self.run("ovn-trace", f"--db={self.southbound.remote}", "--no-leader-only", switch, packet)

    def gateways(self, switch, packet):
        """The gateways that a packet may go to: all that the routes select from, one where a policy decides."""
        return set(re.findall(r'output to "jtor-GR_(\S+)"', self.trace(switch, packet)))

    def stop(self):
        """End ovn-northd; the database stays."""
        self._process.terminate()
        self._process.wait(10)

    def remove(self):
        """End all."""
        self.stop()
        self.southbound.remove()
