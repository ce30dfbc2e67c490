# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a gateway's own network from its host: the host has no part in it, also when its links are set up.

The physical network is another network namespace, whose packets a real Open vSwitch forwards.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from database_server import PROGRAMS, wait_for
from kernel_links import link_state, pair
from network_namespace import ip, router
from vswitch import Vswitch

GATEWAY = {"nic": "eth1", "datapath_type": "netdev"}
SETTINGS = ("ipv6/conf/{}/disable_ipv6", "ipv6/conf/{}/accept_ra", "ipv4/conf/{}/arp_ignore")
ADVERTISE = """
import socket, struct
one = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
link = socket.if_nametoindex("eth1p")
one.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0), ("ff02::1", 0, 0, link))
"""


# Asks for a neighbour (RFC 826), and prints the MAC in the answer; nothing after a second.
ASK = """
import socket, struct, sys, time
one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x806)); one.bind(("eth1p", 0x806))
own, wanted = one.getsockname()[4], socket.inet_aton(sys.argv[1])
head = struct.pack("!HHBBH", 1, 0x800, 6, 4, 1)
request = b"\\xff" * 6 + own + b"\\x08\\x06" + head + own + socket.inet_aton("10.55.0.254") + bytes(6) + wanted
end = time.monotonic() + 1
while time.monotonic() < end:
    one.send(request); one.settimeout(0.2)
    try:
        answer = one.recv(99)
    except OSError:
        continue
    if answer[20:22] == b"\\0\\2" and answer[28:32] == wanted:
        print(answer[22:28].hex(":")); break
"""
# A datagram, for which the host asks for the neighbour first.
SPEAK = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', ('10.55.0.254', 9))"


class Outside:
    """The physical network."""

    def __init__(self, process):
        self.path = f"/proc/{process}/ns/net"

    def run(self, *command):
        done = subprocess.run(
            ["nsenter", f"--net={self.path}", *command], check=False, capture_output=True, text=True, timeout=20
        )
        return done.stdout

    def hears_of(self, address):
        """The MAC that somebody says an address has; None after a second without an answer."""
        return self.run(sys.executable, "-c", ASK, address).strip() or None

    def advertise(self):
        """Send a router advertisement."""
        self.run(sys.executable, "-c", ADVERTISE)


@pytest.fixture
def outside():
    """A host with an address inside, and a NIC to the physical network; both make link-local addresses, as NICs do."""
    pair("eth0")
    ip("address add 10.44.0.12/24 dev eth0")
    ip("route add default via 10.44.0.1")
    for name in ("all", "default"):
        subprocess.run(["sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter=0"], check=True, timeout=20)
    ip("link add eth1 type veth peer name eth1p")
    ip("link set eth1 up")
    with router("eth1p") as process:
        place = Outside(process)
        ip("address add 10.55.0.254/24 dev eth1p", place.path)
        ip("route add 10.44.0.0/24 dev eth1p", place.path)
        yield place


@pytest.fixture
def vswitch(outside, monkeypatch):
    server = Vswitch()
    server.keep_here(monkeypatch.setattr)
    yield server
    server.remove()


def values(link, new=()):
    """The link's settings; with ``new`` they are set before."""
    paths = [f"/proc/sys/net/{setting.format(link)}" for setting in SETTINGS]
    for path, value in zip(paths, new):
        with open(path, "w", encoding="ascii") as setting:
            setting.write(value)
    return tuple(open(path, encoding="ascii").read().strip() for path in paths)


def set_up(link):
    """What some network manager does with each link that it finds."""
    ip(f"link set {link} up")
    wait_for(lambda: link_state(link)[0], "the link")


def learned(vswitch):
    """The MACs that the bridge has learned on its own port."""
    environment = {**os.environ, "OVS_RUNDIR": str(vswitch.directory)}
    command = [
        str(PROGRAMS / "bin" / "ovs-appctl"),
        "-t",
        str(vswitch.directory / "vswitchd.ctl"),
        "fdb/show",
        "breth1",
    ]
    text = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=20).stdout
    return {line.split()[2] for line in text.splitlines() if line.split()[0] == "LOCAL"}


def test_the_host_has_no_stack_there(vswitch, outside):
    """Protects the gateway's address and the host's routes: no answer to ARP for the host's addresses, no route from
    advertisements, and the bridge does not learn the gateway's MAC on its own port.
    """
    mac = link_state("eth1")[2]
    assert outside.hears_of("10.44.0.12") == mac  # Linux answers at any link
    vswitch.host().gateway(GATEWAY)
    up, _mtu, own = link_state("breth1")
    assert not up and own != mac and int(own[:2], 16) & 3 == 2  # unicast, locally administered
    assert values("eth1") == values("breth1") == ("1", "0", "8")
    assert "inet6" not in ip("address show dev eth1")
    for manager in (lambda: None, lambda: set_up("breth1")):
        manager()
        assert outside.hears_of("10.44.0.12") is None
        for _one in range(3):
            outside.advertise()
        assert "default" not in ip("-6 route") and "inet6" not in ip("address show dev breth1")
    # The host speaks there now.
    ip("address add 10.55.0.12/24 dev breth1")
    subprocess.run([sys.executable, "-c", SPEAK], check=True, timeout=20)
    assert wait_for(lambda: learned(vswitch), "the bridge to learn") == {own}
    ip("address del 10.55.0.12/24 dev breth1")
    assert [one.describe() for one in vswitch.host().gateway(GATEWAY).plan] == ["link breth1: down"]
    assert vswitch.host().gateway(GATEWAY).plan == []


def test_it_is_so_again_after_open_vswitch_and_after_a_boot(vswitch, outside):
    """Protects hosts that start again: what Open vSwitch makes has another MAC and is down from the beginning, and the
    program of the boot sets the rest.
    """
    vswitch.host().gateway(GATEWAY)
    own = link_state("breth1")[2]
    vswitch.daemon.kill()
    vswitch.daemon.wait(10)
    ip("link del breth1")
    vswitch.serve()
    wait_for(lambda: "breth1" in ip("-o link"), "the bridge's port")
    wait_for(lambda: link_state("breth1")[2] == own, "its MAC")
    assert not link_state("breth1")[0]
    values("eth1", ("0", "1", "0"))  # of a NIC that the kernel has just found
    assert vswitch.host().gateway(GATEWAY).plan
    assert values("eth1") == values("breth1") == ("1", "0", "8")
    assert vswitch.host().gateway(GATEWAY).plan == []


@pytest.mark.parametrize("before", [("0", "2", "1"), ("1", "0", "0")])
def test_the_nic_gets_its_settings_back(vswitch, outside, before):
    """Protects the NIC of a gateway that is removed, or that takes another one."""
    values("eth1", before)
    pair("eth2")
    vswitch.host().gateway(GATEWAY)
    vswitch.host().gateway({**GATEWAY, "nic": "eth2"})
    assert values("eth1") == before and values("eth2") == ("1", "0", "8")
    vswitch.host().gateway(GATEWAY)
    vswitch.host().gateway(None)
    assert values("eth1") == before and values("eth2") != ("1", "0", "8")
    if before[0] == "0":
        wait_for(lambda: "inet6 fe80" in ip("address show dev eth1"), "the link-local address")


def test_a_gateway_of_an_earlier_release(vswitch, outside):
    """Protects hosts that are updated, and those whose bridge somebody has deleted: the NIC gets back what it had, and
    not what the gateway has set. Where nothing has kept that, it gets what a new one has.
    """
    values("eth1", ("0", "2", "0"))
    vswitch.host().gateway(GATEWAY)
    values("eth1", ("0", "2", "0"))
    key = ["set", ["k8s.ovn.org/nic-settings-before"]]
    vswitch.transact({"op": "mutate", "table": "Bridge", "where": [], "mutations": [["external_ids", "delete", key]]})
    vswitch.host().gateway(GATEWAY)
    (kept,) = (row for row in vswitch.content()["Bridge"] if row["name"] == "breth1")
    assert "accept_ra=2" in kept["external_ids"]["k8s.ovn.org/nic-settings-before"]
    vswitch.transact({"op": "update", "table": "Open_vSwitch", "where": [], "row": {"bridges": ["set", []]}})
    wait_for(lambda: "breth1" not in ip("-o link"), "the end of the bridge")
    vswitch.host().gateway(GATEWAY)
    vswitch.host().gateway(None)
    assert values("eth1") == ("0", "2", "0")
    vswitch.host().gateway(GATEWAY)
    vswitch.transact({"op": "update", "table": "Open_vSwitch", "where": [], "row": {"bridges": ["set", []]}})
    wait_for(lambda: "breth1" not in ip("-o link"), "the end of the bridge")
    (vswitch.kept / "gateway.before").unlink()
    vswitch.host().gateway(GATEWAY)
    vswitch.host().gateway(None)
    assert values("eth1") == values("default")


def test_pods_packets_pass_while_the_bridges_own_port_is_down(vswitch, outside):
    """Protects the gateway itself: its packets go through the bridge, in both directions."""
    vswitch.host().gateway(GATEWAY)
    ip("link add pods type veth peer name inpods")
    for name in ("pods", "inpods"):
        subprocess.run(["ethtool", "-K", name, "tx", "off"], check=True, capture_output=True, timeout=20)
    ip("link set pods up")
    environment = {**os.environ, "OVS_RUNDIR": str(vswitch.directory)}
    command = [str(PROGRAMS / "bin" / "ovs-vsctl"), f"--db={vswitch.remote}", "add-port", "breth1", "pods"]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=20)
    with router("inpods") as process:
        where = f"/proc/{process}/ns/net"
        ip(f"link set inpods address {link_state('eth1')[2]}", where)
        ip("address add 10.55.0.11/24 dev inpods", where)
        assert wait_for(lambda: outside.hears_of("10.55.0.11"), "an answer") == link_state("eth1")[2]
