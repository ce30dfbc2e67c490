# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A host that shares its NIC with its gateway, with the gateway helper on it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time

import preloaded
from database_server import PROGRAMS, Server, wait_for
from network_namespace import ip
from vswitch import Vswitch

MAC = "52:54:00:00:00:01"
COOKIE = "cookie=0x6f766e6b/-1"
FOREIGN = "cookie=0x7,table=0,priority=300,tcp,in_port=9,actions=drop"


class SharedHost(Vswitch):
    """breth0 with the NIC eth0, and br-int with the gateway router's way to it; and a Southbound database."""

    def __init__(self):
        super().__init__()
        self.helper = None
        self.southbound = Server("ovn-sb", "OVN_Southbound")
        self.environment = dict(
            os.environ, OVS_RUNDIR=str(self.directory), PATH=f"{PROGRAMS / 'bin'}:{os.environ['PATH']}"
        )
        ip("link add eth0 type veth peer name eth0p")
        ip("link set eth0 up")
        ip("link set eth0p up")
        self.vsctl(
            "add-br",
            "br-int",
            "--",
            "set",
            "Bridge",
            "br-int",
            "datapath_type=netdev",
            "fail_mode=secure",
            "--",
            "add-br",
            "breth0",
            "--",
            "set",
            "Bridge",
            "breth0",
            "datapath_type=netdev",
            f"other_config:hwaddr={MAC}",
            "fail_mode=standalone",
            "external_ids:bridge-uplink=eth0",
            "--",
            "add-port",
            "breth0",
            "eth0",
            "--",
            "set",
            "Interface",
            "eth0",
            "ofport_request=5",
        )
        self.vsctl(
            "set",
            "Open_vSwitch",
            ".",
            "external_ids:ovn-encap-ip=10.44.0.12",
            f"external_ids:ovn-remote={self.southbound.remote}",
        )
        ip("link set breth0 up")
        ip("address add 10.44.0.12/24 dev breth0")
        ip("address add fd44::12/64 dev breth0 nodad")

    def router(self):
        """The patch ports that ovn-controller makes."""
        self.vsctl(
            "add-port",
            "breth0",
            "p1",
            "--",
            "set",
            "Interface",
            "p1",
            "type=patch",
            "options:peer=p2",
            "--",
            "set",
            "Port",
            "p1",
            "external_ids:ovn-localnet-port=breth0_node1",
            "--",
            "add-port",
            "br-int",
            "p2",
            "--",
            "set",
            "Interface",
            "p2",
            "type=patch",
            "options:peer=p1",
        )

    def vsctl(self, *arguments):
        return self.tool("ovs-vsctl", f"--db={self.remote}", *arguments)

    def tool(self, *arguments, check=True):
        done = subprocess.run(arguments, env=self.environment, check=False, capture_output=True, text=True, timeout=20)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def help(self, *options, patience=20.0):
        """Start the helper; what it says is in a file."""
        arguments = [str(patience), f"--open-vswitch={self.remote}", *(options or ("--physical-bridge=breth0",))]
        with (self.directory / "helper.log").open("w") as log:
            self.helper = preloaded.start("gateway_helper_program:main", arguments, log, **self.environment)

    def flows(self, match=COOKIE):
        """Flows that are there, without counters."""
        text = self.tool("ovs-ofctl", "--no-stats", "dump-flows", "breth0", match, check=False)
        return sorted(line.strip() for line in text.splitlines() if "actions=" in line)

    def until(self, condition, what):
        """Wait for a condition; the helper must live meanwhile."""

        def look():
            assert self.helper.poll() is None, (self.directory / "helper.log").read_text()
            return condition()

        return wait_for(look, what, 20)

    def soon(self, acts, condition, what):
        """Wait for a condition after each of some acts, until it holds within a second.

        Where the client itself is slow, the limit is larger in proportion.
        """
        took = []
        for act in acts:
            act()
            started = time.monotonic()
            self.until(condition, what)
            took.append(time.monotonic() - started)
            started = time.monotonic()
            self.flows()
            if took[-1] < max(1.0, 20 * (time.monotonic() - started)):
                return
        raise AssertionError(f"{what} came after " + ", ".join(f"{seconds:.2f} s" for seconds in took))

    def restart(self):
        """ovs-vswitchd dies and comes back; until the bridge answers."""
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.wait(10)
        self.serve()
        self.until(lambda: self.tool("ovs-ofctl", "dump-flows", "breth0", check=False), "the bridge")

    def number(self, number):
        """Give the NIC another OpenFlow number."""
        self.vsctl("set", "Interface", "eth0", f"ofport_request={number}")

    def parted(self, count=0):
        """Wait until the bridge parts traffic, with ``count`` flows where it is given."""
        return (
            self.until(lambda: (len(self.flows()) == count) if count else len(self.flows()) > 30, "flows")
            and self.flows()
        )

    def goes(self, packet, state="trk,new"):
        """Where breth0 sends a packet (ofproto/trace); ``state`` is what conntrack says when it is asked."""
        text = self.tool(
            "ovs-appctl",
            "-t",
            str(self.directory / "vswitchd.ctl"),
            "ofproto/trace",
            "breth0",
            packet,
            "--ct-next",
            state,
        )
        # The integration bridge, where nobody has made flows, does nothing.
        return {self.names.get(one, one) for one in re.findall(r"^ {4}(LOCAL|NORMAL|output:\d+)$", text, re.M)}

    @property
    def names(self):
        """OpenFlow ports by the part that they have."""
        number = self.vsctl("get", "Interface", "p1", "ofport").strip()
        return {"output:5": "outside", f"output:{number}": "router", "LOCAL": "host", "NORMAL": "as without us"}

    def remove(self):
        if self.helper is not None and self.helper.poll() is None:
            self.helper.kill()
            self.helper.wait(10)
        self.southbound.remove()
        super().remove()
