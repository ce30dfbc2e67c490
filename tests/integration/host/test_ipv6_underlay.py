# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects overlays whose hosts have IPv6 only: databases, chassis, tunnels and the packets in them.

Two hosts, each in a network namespace of its own, with real databases, ovn-northd, Open vSwitch (userspace datapath)
and ovn-controller. What a role passes to the modules is passed here, from the same filters.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess

import pytest
from database_server import Server, wait_for
from kernel_links import tool
from network_namespace import ip, ip_batch
from network_namespace import namespace as new_namespace
from northbound import Northbound
from ovn_daemon import Daemon
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.filter.settings import settings
from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._host import facts
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.connection import Connection
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify import echo
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._central import Central
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._inventory import Inventory

HOSTS = ("node1", "node2")
NETWORKS = ["192.168.0.0/16", "fd10:128::/48"]


def address(number):
    return f"fd44::{10 + number}"


def inventory():
    """Variables and facts of two hosts without IPv4."""
    hostvars = {}
    for number, host in enumerate(HOSTS, 1):
        default = {"address": address(number), "interface": "eth0", "mtu": 1500, "prefix": "64"}
        found = {"default_ipv4": {}, "default_ipv6": default, "interfaces": ["lo", "eth0"], "eth0": {"mtu": 1500}}
        found["eth0"]["ipv6"] = [{"address": address(number), "prefix": "64", "scope": "global"}]
        subnets = [f"192.168.{number}.0/24", f"fd10:128:0:{number}::/64"]
        hostvars[host] = {
            "ovn_tls": False,
            "ovn_cluster_subnet": NETWORKS,
            "ovn_node_subnet": subnets,
            "ansible_facts": found,
        }
    return hostvars, {"ovn_masters": ["node1"], "ovn_nodes": list(HOSTS)}


@contextlib.contextmanager
def inside(process):
    """The thread is in the network namespace of a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.ExitStack() as after:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/proc/{process.pid}/ns/net", os.O_RDONLY)
        for descriptor in (home, there):
            after.callback(os.close, descriptor)
        assert libc.setns(there, 0) == 0
        try:
            yield
        finally:
            libc.setns(home, 0)


@pytest.fixture(name="second")
def _second():
    """A process in the second host's namespace, which a cable connects with the first one's: this thread's."""
    with new_namespace():
        process = subprocess.Popen(["sleep", "infinity"])
    try:
        tool("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        with inside(process):
            tool("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        ip_batch([f"link add eth0 type veth peer name eth0 netns {process.pid}", "link set eth0 up"])
        ip(f"-6 address add {address(1)}/64 dev eth0")
        with inside(process):
            ip("link set eth0 up")
            ip(f"-6 address add {address(2)}/64 dev eth0")
        yield process
    finally:
        process.kill()
        process.wait(10)


def listening(hostvars, groups):
    """The address on which the Southbound database listens for chassis."""
    (listener,) = Central(Inventory(hostvars, groups)).asked().listeners["southbound"]
    return listener.target.partition("ptcp:6642:")[2]


def test_the_southbound_database_is_reached_over_ipv6(second):
    """Protects every chassis: ovn-ctl's default listens on IPv4 only. The same database takes IPv4 too."""
    hostvars, groups = inventory()
    found = settings(hostvars, groups)["node2"]
    server = Server("ovn-sb", "OVN_Southbound", flags=[f"--remote=ptcp:6642:{listening(hostvars, groups)}"])
    try:
        with inside(second):
            Connection(found["southbound_remote"], names.SOUTHBOUND, 5.0).close()
        Connection("tcp:127.0.0.1:6642", names.SOUTHBOUND, 5.0).close()
    finally:
        server.remove()


@pytest.fixture(name="overlay")
def _overlay(second, monkeypatch):
    """Both hosts as chassis; their Open vSwitch databases, and the Southbound database."""
    monkeypatch.setattr(facts, "has_kernel_datapath", lambda: False)
    hostvars, groups = inventory()
    wanted = settings(hostvars, groups)
    with contextlib.ExitStack() as after:

        def keep(part):
            after.callback(part.remove)
            return part

        northbound = keep(Northbound())
        southbound = keep(
            Server("ovn-sb", "OVN_Southbound", flags=[f"--remote=ptcp:6642:{listening(hostvars, groups)}"])
        )
        keep(
            Daemon(
                "ovn-northd",
                northbound.directory,
                f"--ovnnb-db={northbound.remote}",
                f"--ovnsb-db={southbound.remote}",
            )
        )
        northbound.build(nodes=(1, 2), gateways=(), dual=True)
        hosts = []
        for number, host in enumerate(HOSTS, 1):
            with inside(second) if number == 2 else contextlib.nullcontext(), monkeypatch.context() as here:
                hosts.append(keep(_host(here, number, host, wanted[host], hostvars[host]["ovn_node_subnet"])))
                keep(Daemon("ovn-controller", hosts[-1].directory, f"unix:{hosts[-1].socket}"))
        yield hosts, southbound


def _host(monkeypatch, number, name, wanted, subnets):
    """A host's Open vSwitch with the host's part of its node."""
    vswitch = Vswitch()
    try:
        identity = ["map", [["system-id", f"id-{number}"]]]
        row = {"external_ids": identity}
        vswitch.transact({"op": "update", "table": "Open_vSwitch", "where": [], "row": row})
        vswitch.keep_here(monkeypatch.setattr)
        node = {"name": name, "subnets": subnets, "cluster_subnets": wanted["cluster_subnets"]}
        node.update({key: wanted[key] for key in ("encap_type", "encap_ip", "mtu")})
        vswitch.host().node({**node, "southbound": wanted["southbound_remote"], "datapath_type": "netdev"})
    except BaseException:
        vswitch.remove()
        raise
    return vswitch


def test_hosts_reach_each_other_through_tunnels_over_ipv6(overlay, second):
    """Protects pods: chassis with IPv6 addresses, tunnels between them, and packets of both families in them."""
    hosts, southbound = overlay
    encaps = wait_for(
        lambda: {row["chassis_name"]: row["ip"] for row in southbound.rows("Encap")}.keys() >= {"id-1", "id-2"},
        "both chassis",
    )
    encaps = {row["chassis_name"]: row["ip"] for row in southbound.rows("Encap")}
    assert encaps == {"id-1": address(1), "id-2": address(2)}

    def remotes(host):
        tunnels = [row for row in host.rows("Interface") if row["type"] == "geneve"]
        return [dict(row["options"][1])["remote_ip"] for row in tunnels]

    wait_for(lambda: [remotes(host) for host in hosts] == [[address(2)], [address(1)]], "the tunnels")
    peers = {"192.168.2.2": 28, "fd10:128:0:2::2": 48}
    wait_for(lambda: not echo.silent(list(peers), 1.0), "the other host to answer through the overlay")
    for peer, headers in peers.items():
        with inside(second):
            receiver = datagrams(peer)
            receiver.bind((peer, 5000))
        # The largest datagram that the pods' MTU allows: it leaves 78 bytes for the tunnel.
        with contextlib.closing(receiver), contextlib.closing(datagrams(peer)) as sender:
            sender.sendto(bytes(1422 - headers), (peer, 5000))
            assert len(receiver.recv(9000)) == 1422 - headers


def datagrams(peer):
    """A socket for datagrams that are not fragmented (ip(7), ipv6(7))."""
    made = socket.socket(socket.AF_INET6 if ":" in peer else socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(10)
    level, option = (socket.IPPROTO_IPV6, 23) if ":" in peer else (socket.IPPROTO_IP, 10)  # *_MTU_DISCOVER
    made.setsockopt(level, option, 2)  # *_PMTUDISC_DO
    return made
