# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What connections to the outside, and default routes, notice of gateways that die, return and lose echoes.

Run it as root with `tests/bench/run egress`. It prints, with the shares of gateways and without them (as it was before
there were any):

- how many of 400 connections through three gateways leave through another gateway after one has died, and after it has
  returned. Real packets pass ovn-northd's and ovn-controller's flows in Open vSwitch's userspace datapath, in a network
  namespace of its own. All gateways are on one chassis; the address that a packet leaves with tells which it was;
- how many routes change in an hour when echoes get lost, or a gateway flaps, with a clock of its own.
"""

from __future__ import annotations

import collections
import os
import pathlib
import random
import select
import socket
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / ".cache" / "collections"))

from database_server import PROGRAMS, wait_for
from egress_round import check
from network_namespace import ip, namespace
from northbound import Northbound
from northd import Northd
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.gateway_probe import TRIES
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import egress_health
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.egress import EgressGateway

CONNECTIONS = [(node, pod, port) for node in range(1, 5) for pod in range(3, 8) for port in range(20)]
HOP_MAC = "02:00:00:00:00:fe"
STEP = 0.3  # seconds of a round of the check


class Chassis:
    """The one host: Open vSwitch, ovn-controller, a port that all pods send from, and the external network."""

    def __init__(self, northd):
        self._northd, self._vswitch = northd, Vswitch()
        environment = dict(os.environ, OVN_RUNDIR=str(self._vswitch.directory), OVS_RUNDIR=str(self._vswitch.directory))
        self._environment = environment
        keys = {
            "ovn-remote": northd.southbound.remote,
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": "127.0.0.1",
            "ovn-bridge-mappings": "physnet:breth1",
            "ovn-bridge-datapath-type": "netdev",
        }
        self._vsctl("set", "Open_vSwitch", ".", *(f'external_ids:{key}="{value}"' for key, value in keys.items()))
        for bridge in ("br-int", "breth1"):
            self._vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev")
        self._vsctl(
            "add-port",
            "br-int",
            "pods",
            "--",
            "set",
            "Interface",
            "pods",
            "type=internal",
            "external_ids:iface-id=pods",
        )
        self.mac = northd.pod("pods", 1)
        northd.nbctl("lsp-set-addresses", "pods", "unknown")
        with (self._vswitch.directory / "controller.log").open("w") as log:
            command = [str(PROGRAMS / "bin" / "ovn-controller"), self._vswitch.remote, "--no-chdir"]
            self._controller = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        for link in ("pods", "breth1"):
            ip(f"link set {link} up")
        self.sending, self.outside = (self._socket(link) for link in ("pods", "breth1"))

    @staticmethod
    def _socket(link):
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        made.bind((link, 0))
        return made

    def _vsctl(self, *arguments):
        command = [str(PROGRAMS / "bin" / "ovs-vsctl"), f"--db={self._vswitch.remote}", *arguments]
        subprocess.run(command, check=True, timeout=60, capture_output=True, env=self._environment)

    def sync(self):
        """Wait until the host has the flows of the database."""
        self._northd.nbctl("--wait=hv", "--timeout=120", "sync")

    def remove(self):
        """End all."""
        self._controller.terminate()
        self._controller.wait(10)
        self._vswitch.remove()


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def packet(chassis, router_mac, number, turn):
    """A TCP packet of a connection to the outside; its sequence number tells connection and turn."""
    node, pod, port = CONNECTIONS[number]
    source, destination = socket.inet_aton(f"192.168.{node}.{pod}"), socket.inet_aton("203.0.113.9")
    tcp = struct.pack("!HHIIBBHHH", 20000 + 7 * port, 443, turn << 16 | number, 0, 5 << 4, 2, 500, 0, 0)
    pseudo_header = source + destination + struct.pack("!HH", 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo_header + tcp)) + tcp[18:]
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0x4000, 64, 6, 0, source, destination)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    macs = bytes.fromhex((router_mac + chassis.mac).replace(":", ""))
    return macs + b"\x08\x00" + head + tcp


def gateways_of(chassis, router_mac, turn):
    """Connection -> the address that its packet leaves with."""
    found = {}

    def all_found():
        for number in range(len(CONNECTIONS)):
            if number not in found:
                chassis.sending.send(packet(chassis, router_mac, number, turn))
                while select.select([chassis.outside], [], [], 0.002)[0]:
                    frame = chassis.outside.recv(2048)
                    key = struct.unpack("!I", frame[38:42])[0] if frame[23] == 6 else 0
                    if key >> 16 == turn:  # not a late one of the turn before
                        found[key & 0xFFFF] = socket.inet_ntoa(frame[26:30])
        return len(found) == len(CONNECTIONS)

    wait_for(all_found, "all packets to leave", 120)
    return found


def connections(shares):
    """Print how many connections move, with or without shares."""
    nb = Northbound()
    nb.build(nodes=(1, 2, 3, 4), gateways=(1, 2, 3))
    northd = Northd(nb)
    chassis = Chassis(northd)
    try:
        for number in (1, 2, 3):
            northd.nbctl("set", "Logical_Router", f"GR_node{number}", "options:chassis=id-1")
            northd.nbctl("static-mac-binding-add", f"rtoe-GR_node{number}", "10.55.0.254", HOP_MAC)
        router_mac = northd.nbctl("get", "Logical_Router_Port", "rtos-node1", "mac").strip().strip('"')

        def after(turn, *dead):
            check(nb, *dead)
            if not shares:
                northd.nbctl("lr-policy-del", "ovn_cluster_router")
            chassis.sync()
            # Open vSwitch looks through its cache of flows a moment later: what the first packets show may be old.
            return [gateways_of(chassis, router_mac, 2 * turn + number) for number in range(2)][1]

        whole, dead, returned = after(1), after(2, "node2"), after(3)
        living = [number for number, gateway in whole.items() if gateway != "10.55.0.2"]
        print(
            f"{'shares' if shares else 'routes alone'}: of {len(living)} connections on gateways that stay "
            f"{sum(dead[number] != whole[number] for number in living)} move when one dies; of {len(dead)} "
            f"{sum(returned[number] != dead[number] for number in dead)} move when it returns; each gateway had "
            f"{sizes(whole)}, then {sizes(dead)}, then {sizes(returned)}",
            flush=True,
        )
    finally:
        chassis.remove()
        northd.remove()
        nb.remove()


def sizes(found):
    """How many connections each gateway has."""
    return sorted(collections.Counter(found.values()).values())


def candidate(number):
    """A gateway of one family."""
    probe = (f"100.64.255.{254 - number}",)
    return EgressGateway(f"node{number}", (f"100.64.0.{number + 1}/16",), frozenset({4}), probe)


def changes(answers, damped, seconds=3600):
    """How many routes change.

    :param answers: returns whether one request to a gateway at a time is answered.
    :param damped: whether who is silent is asked again, and who flaps waits.
    """
    gateways = [candidate(1), candidate(2)]
    liveness, health, selected, count = egress_health.Liveness(), {}, {}, 0
    for number in range(int(seconds / STEP)):
        now = number * STEP
        replies = {}
        for gateway in gateways:
            for address in gateway.all_ips():
                replies[address] = any(answers(gateway.name, now) for _try in range(TRIES if damped else 1))
        if damped:
            liveness.take_in(gateways, replies, now)
            new = liveness.selected
        else:
            health = egress_health.judge(gateways, health, replies)
            new = egress_health.select(gateways, health)
        count += sum(len(versions ^ new[name]) for name, versions in selected.items())
        selected = new
    return count


def routes():
    """Print how many routes change in an hour."""
    cases = {f"{loss:.0%} of echoes to one of two gateways lost": loss for loss in (0.1, 0.2, 0.3, 0.5)}
    cases["one gateway away for 5 s of each 20 s"] = None
    for text, loss in cases.items():
        made = []
        for damped in (False, True):
            chance = random.Random(1)

            def answers(name, now, loss=loss, chance=chance):
                if name != "node1":
                    return True
                return now % 20 >= 5 if loss is None else chance.random() >= loss

            made.append(changes(answers, damped))
        print(f"{text}: {made[0]} route changes an hour before, {made[1]} with damping", flush=True)


if __name__ == "__main__":
    routes()
    with namespace():
        for with_shares in (False, True):
            connections(with_shares)
