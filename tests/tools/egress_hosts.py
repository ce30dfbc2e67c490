# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Hosts with gateways on one physical network, each in a network namespace of its own: Open vSwitch's userspace
datapath, ovn-controller, and the program that holds egress addresses. The test's own namespace has the masters.

                 core0 (masters)
                  |          |
    host 1: m0, eth1      host 2: m0, eth1
                  |          |
                outside0, where a test asks who has an address
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from database_server import PROGRAMS, wait_for
from network_namespace import CLONE_NEWNET, ip
from ovn_daemon import Daemon
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names

CORE = "10.9.0.254"
PROBE_MAC = b"\x52\x54\x00\x00\x00\xfe"
HOLD = (
    "import asyncio, json, logging, sys\n"
    "from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip import lease\n"
    "from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import egress_bridge\n"
    "from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.egress_holder import EgressHolder\n"
    "logging.basicConfig(level=logging.INFO, format='%(relativeCreated)d %(message)s')\n"
    "vars(lease).update(json.loads(sys.argv[1]))\n"
    "egress_bridge.LINGER, egress_bridge.CHECK = 1.0, 2.0\n"
    "async def main():\n"
    "    await EgressHolder(*sys.argv[2:]).run()\n"
    "asyncio.run(main())\n"
)
CLEAR = (
    "import asyncio, sys\n"
    "from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import egress_bridge\n"
    "print(asyncio.run(egress_bridge.clear(sys.argv[1], float(sys.argv[2]))))\n"
)


class Host:
    """Host number so and so, whose node and chassis have that number too."""

    def __init__(self, number, southbound, times):
        self.times = times
        self.number, self.name = number, f"node{number}"
        self.space = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 3600"], stdout=subprocess.PIPE)
        self.space.stdout.readline()
        self.where = f"/proc/{self.space.pid}/ns/net"
        self.holder = self.controller = self.vswitch = None
        for inside, outside, bridge in (("m0", f"m{number}", "core0"), ("eth1", f"e{number}", "outside0")):
            ip(f"link add {outside} type veth peer name {inside} netns {self.space.pid}")
            ip(f"link set {outside} master {bridge}")
            ip(f"link set {outside} up")
            ip(f"link set {inside} up", self.where)
        ip("link set lo up", self.where)
        ip(f"address add 10.9.0.{number}/24 dev m0", self.where)
        ip(f"link set eth1 address 52:54:00:00:00:{number:02x}", self.where)
        self.inside(lambda: self._start(southbound))

    def _start(self, southbound):
        self.vswitch = Vswitch()
        settings = {
            "system-id": f"id-{self.number}",
            "ovn-remote": southbound,
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": f"10.9.0.{self.number}",
            "ovn-bridge-datapath-type": "netdev",
            "ovn-bridge-mappings": "physnet:breth1",
        }
        self.vsctl("set", "Open_vSwitch", ".", *(f'external_ids:{key}="{value}"' for key, value in settings.items()))
        self.vsctl(
            *("add-br", "breth1", "--", "set", "Bridge", "breth1", "datapath_type=netdev", "fail_mode=standalone"),
            *("external_ids:bridge-uplink=eth1", "--", "add-port", "breth1", "eth1"),
        )
        self.controller = Daemon("ovn-controller", self.vswitch.directory, f"unix:{self.vswitch.socket}")
        self.hold()

    def hold(self):
        """Start the program."""
        environment = dict(
            os.environ,
            OVS_RUNDIR=str(self.vswitch.directory),
            PATH=f"{PROGRAMS / 'bin'}:{os.environ['PATH']}",
            PYTHONPATH=os.pathsep.join(sys.path),
        )
        arguments = [json.dumps(self.times), self.name, f"unix:{self.vswitch.socket}", str(self.vswitch.directory)]
        self.log = self.vswitch.directory / "holder.log"
        self.environment = environment

        def start():
            with self.log.open("a") as log:
                self.holder = subprocess.Popen(
                    [sys.executable, "-c", HOLD, *arguments], env=environment, stdout=log, stderr=log
                )

        self.inside(start)

    def clear(self, patience):
        """End the program, and remove what it keeps, as a host that leaves Kubernetes does; what stays closed."""
        self.signal(signal.SIGKILL, "holder")
        self.holder.wait(10)
        command = [sys.executable, "-c", CLEAR, f"unix:{self.vswitch.socket}", str(patience)]
        done = subprocess.run(command, env=self.environment, check=False, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def vsctl(self, *arguments):
        """Run ovs-vsctl."""
        command = [str(PROGRAMS / "bin" / "ovs-vsctl"), f"--db=unix:{self.vswitch.socket}", *arguments]
        subprocess.run(command, check=True, timeout=30, capture_output=True)

    def flows(self):
        """The flows of the gateway's bridge."""
        command = [str(PROGRAMS / "bin" / "ovs-ofctl"), "-O", "OpenFlow13", "--no-stats", "dump-flows"]
        where = str(self.vswitch.directory / "breth1.mgmt")
        return subprocess.run([*command, where], check=False, timeout=30, capture_output=True, text=True).stdout

    def lose_flows(self):
        """The gateway's bridge has what it has after a start of ovs-vswitchd."""
        where = str(self.vswitch.directory / "breth1.mgmt")
        for command in (("del-flows", where), ("add-flow", where, "priority=0,actions=NORMAL")):
            subprocess.run([str(PROGRAMS / "bin" / "ovs-ofctl"), "-O", "OpenFlow13", *command], check=True, timeout=30)

    def kept(self):
        """The addresses that the bridge keeps closed, as the patch port's row has them."""
        rows = (dict(row["external_ids"][1]) for row in self.vswitch.rows("Port"))
        return next((row[names.EGRESS_KEPT_KEY] for row in rows if names.EGRESS_KEPT_KEY in row), "")

    def way(self, address):
        """Where the host's Open vSwitch sends a question for an address (ofproto/trace)."""
        packet = f"in_port=1,arp,dl_dst=ff:ff:ff:ff:ff:ff,arp_op=1,arp_spa=10.55.0.200,arp_tpa={address}"
        control = str(self.vswitch.directory / "vswitchd.ctl")
        command = [str(PROGRAMS / "bin" / "ovs-appctl"), "-t", control, "ofproto/trace", "breth1", packet]
        return subprocess.run(command, check=False, timeout=30, capture_output=True, text=True).stdout

    def inside(self, work):
        """The result of a function that is called in the host's namespace."""
        found, failed = [], []

        def run():
            libc = ctypes.CDLL(None, use_errno=True)
            handle = os.open(self.where, os.O_RDONLY)
            libc.setns(handle, CLONE_NEWNET)
            os.close(handle)
            try:
                found.append(work())
            except BaseException as exc:
                failed.append(exc)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return found[0]

    def signal(self, number, *who):
        """Send a signal to processes of the host: holder, controller, vswitch."""
        processes = {"holder": self.holder, "controller": self.controller.process, "vswitch": self.vswitch.daemon}
        for one in who:
            processes[one].send_signal(number)

    def kill(self):
        """The host loses its power."""
        self.signal(signal.SIGKILL, "holder", "controller", "vswitch")

    def cut_off(self):
        """Nobody of the cluster reaches the host any more, and it goes on: its flows stay as they are."""
        ip("link set m0 down", self.where)
        self.signal(signal.SIGSTOP, "controller")

    def remove(self):
        """End everything."""
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGCONT, "holder", "controller", "vswitch")
        if self.holder is not None:
            self.holder.kill()
            self.holder.wait(10)
        if self.controller is not None and self.controller.process.poll() is None:
            self.controller.remove()
        if self.vswitch is not None:
            self.vswitch.remove()
        self.space.kill()
        self.space.wait(10)


def networks():
    """Make the two networks in the thread's namespace."""
    for name in ("core0", "outside0"):
        ip(f"link add {name} type bridge")
        ip(f"link set {name} up")
    ip(f"link set outside0 address {PROBE_MAC.hex(':')}")
    ip(f"address add {CORE}/24 dev core0")


class Outside(threading.Thread):
    """Somebody on the physical network who asks all the time who has an address.

    :ivar answers: (time, number of the host that answers, whether it was asked).
    """

    INTERVAL = 0.02

    def __init__(self, address):
        super().__init__(daemon=True)
        self.answers, self._ends = [], False
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._socket.bind(("outside0", 0))
        self._socket.setblocking(False)
        self._address = socket.inet_aton(address)
        head = b"\xff" * 6 + PROBE_MAC + b"\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01"
        self._question = head + PROBE_MAC + socket.inet_aton("10.55.0.200") + b"\0" * 6 + self._address

    def run(self):
        asked = 0.0
        while not self._ends:
            now = time.monotonic()
            if now - asked >= self.INTERVAL:
                asked = now
                self._socket.send(self._question)
            with contextlib.suppress(BlockingIOError):
                while True:
                    self._take_in(self._socket.recv(2048))
            time.sleep(0.002)

    def _take_in(self, data):
        if data[12:14] == b"\x08\x06" and data[28:32] == self._address and data[6:12] != PROBE_MAC:
            self.answers.append((time.monotonic(), data[11], data[20:22] == b"\0\2"))

    def end(self):
        """Ask no more."""
        self._ends = True
        self.join()
        self._socket.close()

    def who(self, seconds=0.3):
        """The hosts that have answered in the last moment."""
        return {host for at, host, asked in list(self.answers) if asked and at > time.monotonic() - seconds}

    def until(self, host, patience=30.0):
        """Wait until this host answers."""
        wait_for(lambda: host in self.who(), f"host {host} to answer", patience)

    def outage(self):
        """The longest time without an answer, in seconds."""
        times = [at for at, _host, asked in self.answers if asked]
        return max((after - before for before, after in zip(times, times[1:])), default=0.0)

    def changes(self):
        """The hosts that have answered, in their order."""
        found = []
        for _at, host, asked in self.answers:
            if asked and found[-1:] != [host]:
                found.append(host)
        return found
