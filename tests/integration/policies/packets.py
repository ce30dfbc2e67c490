# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""One node with real pods: ovn-northd, ovn-controller and Open vSwitch's userspace datapath below a policy world."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import threading

from database_server import PROGRAMS, wait_for
from network_namespace import CLONE_NEWNET, ip
from ovn_daemon import Daemon
from vswitch import Vswitch

PATIENCE = 5.0  # seconds for an answer that may not come


class Node:
    """Node 1 of a world, in the thread's network namespace.

    :param northd: behind the Northbound database of a world.
    """

    def __init__(self, northd):
        self._pods, self._links = {}, 0
        self.vswitch = Vswitch()
        self._vsctl(
            "set",
            "Open_vSwitch",
            ".",
            f"external_ids:ovn-remote={northd.southbound.remote}",
            "external_ids:ovn-encap-type=geneve",
            "external_ids:ovn-encap-ip=127.0.0.1",
            "external_ids:ovn-bridge-datapath-type=netdev",
        )
        self.controller = Daemon("ovn-controller", self.vswitch.directory, f"unix:{self.vswitch.socket}")
        wait_for(lambda: self.vswitch.rows("Bridge"), "ovn-controller to make br-int")
        self._vsctl(
            "--",
            "add-port",
            "br-int",
            "k8s-node1",
            "--",
            "set",
            "Interface",
            "k8s-node1",
            "type=internal",
            "external_ids:iface-id=k8s-node1",
            'mac="0a:58:c0:a8:01:02"',
        )
        ip("link set k8s-node1 up")
        ip("address add 192.168.1.2/24 dev k8s-node1")

    def _vsctl(self, *arguments):
        command = [str(PROGRAMS / "bin" / "ovs-vsctl"), f"--db=unix:{self.vswitch.socket}", *arguments]
        subprocess.run(command, check=True, timeout=30, capture_output=True)

    def flows(self):
        """How many flows the bridge has."""
        (bridge,) = self.vswitch.directory.glob("br-int.mgmt")
        command = [str(PROGRAMS / "bin" / "ovs-ofctl"), "dump-flows", f"unix:{bridge}"]
        return len(subprocess.run(command, check=True, timeout=60, capture_output=True).stdout.splitlines())

    def plug(self, world, key):
        """Give a pod its network."""
        self.attach(world, key, self.prepare(world, key))

    def prepare(self, world, key):
        """Make a pod's namespace with its interface, which leads nowhere yet; return the link at the host's end."""
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
        holder.stdout.readline()
        where, link = f"/proc/{holder.pid}/ns/net", f"p{self._links}"
        self._links += 1
        self._pods[key] = holder
        ip(f"link add {link} type veth peer name eth0 netns {holder.pid}")
        ip(f"link set {link} up")
        ip("link set lo up", where)
        ip(f"link set eth0 address {world.mac(key)}", where)
        ip("link set eth0 up", where)
        ip(f"address add {world.address(key)}/24 dev eth0", where)
        ip("route add default via 192.168.1.1", where)
        # The userspace datapath takes no checksums that the kernel has left to the hardware.
        subprocess.run(
            ["nsenter", f"--net={where}", "ethtool", "-K", "eth0", "tx", "off"], check=True, capture_output=True
        )
        return link

    def attach(self, world, key, link):
        """Plug a pod's link into the bridge, and wait as ADD does, until ovn-controller says that it is installed."""
        name = key.replace("/", "_", 1)
        row = world.port(key)
        self._vsctl(
            "--",
            "add-port",
            "br-int",
            link,
            "--",
            "set",
            "Interface",
            link,
            f"external_ids:iface-id={name}",
            f"external_ids:iface-id-ver={row.columns['options']['iface-id-ver']}",
        )
        wait_for(lambda: self._is_installed(link), f"the flows of {key}")

    def unplug(self, key, link):
        """Take a pod's network away, and its namespace."""
        self._vsctl("--", "--if-exists", "del-port", "br-int", link)
        holder = self._pods.pop(key)
        holder.kill()
        holder.wait()

    def knows(self, key, address, mac):
        """Let a pod know the MAC of an address: its packets are not held up by a question that nobody answers yet."""
        ip(f"neigh replace {address} lladdr {mac} dev eth0", f"/proc/{self._pods[key].pid}/ns/net")

    def _is_installed(self, link):
        (row,) = self.vswitch.rows("Interface", ["name", "==", link])
        return ["ovn-installed", "true"] in row["external_ids"][1]

    def inside(self, key, work):
        """The result of a function that makes sockets in a pod's network namespace; None: on the host."""
        if key is None:
            return work()
        found = []

        def run():
            libc = ctypes.CDLL(None, use_errno=True)
            handle = os.open(f"/proc/{self._pods[key].pid}/ns/net", os.O_RDONLY)
            libc.setns(handle, CLONE_NEWNET)
            os.close(handle)
            found.append(work())

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return found[0]

    def udp(self, key, port=0):
        """A UDP socket of a pod."""

        def make():
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.bind(("0.0.0.0", port))
            one.settimeout(PATIENCE)
            return one

        return self.inside(key, make)

    def listener(self, key, port):
        """A TCP socket of a pod that listens."""

        def make():
            one = socket.create_server(("0.0.0.0", port))
            one.settimeout(PATIENCE)
            return one

        return self.inside(key, make)

    def connect(self, key, address, port):
        """A TCP connection of a pod, or of the host; None when it fails."""

        def make():
            one = socket.socket()
            one.settimeout(PATIENCE)
            try:
                one.connect((address, port))
            except OSError:
                one.close()
                return None
            return one

        return self.inside(key, make)

    def remove(self):
        """End everything."""
        for holder in self._pods.values():
            holder.kill()
            holder.wait()
        self.controller.remove()
        self.vswitch.remove()
