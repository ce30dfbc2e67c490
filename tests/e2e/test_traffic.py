# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Packets take the ways that the topology promises, between real hosts."""

from __future__ import annotations

import re

import pytest
from lab_hosts import HOSTS, Pod, on, wait

PORT = 8099
# Tells each client the address that it comes from.
SERVER = """python3 -c '
import socket
s = socket.create_server(("0.0.0.0", {port}), reuse_port=True)
while True:
    c, peer = s.accept(); c.sendall(peer[0].encode()); c.close()
'"""
ASK = "python3 -c 'import socket; print(socket.create_connection((\"{address}\", {port}), 5).recv(99).decode())'"
# A datagram that may not be fragmented, and the kernel's answer: IP_MTU_DISCOVER 10, IP_PMTUDISC_DO 2, IP_MTU 14
# (ip(7)).
REFUSED = """python3 -c '
import errno, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(0, 10, 2); s.connect(("{}", 9))
try:
    s.send(bytes({} - 0))
except OSError as exc:
    print(errno.errorcode[exc.errno], s.getsockopt(0, 14))
'"""


def test_pods_on_two_nodes_reach_each_other_through_geneve(pods):
    """Protects: the distributed router, and the tunnel between the nodes."""
    one, other = pods
    one.reaches(other.ip)
    other.reaches(one.ip)
    tunnels = on("ovn-node1", "ovs-vsctl --format=csv --no-heading --columns=options find Interface type=geneve")
    assert "10.44.0.12" in tunnels
    assert one.run(f"ping -c 3 -W 2 {other.ip}").count("ttl=63") == 3  # one router in between


def test_a_pod_that_is_made_again(pods):
    """Protects the demo: its second run makes the pods that are there from the first."""
    one, other = pods
    again = Pod(one.host, one.name, int(one.ip.rsplit(".", 1)[1]))
    assert again.ip == one.ip and again.reaches(other.ip)


def test_hosts_reach_pods_and_each_other_through_their_management_ports(pods):
    """Protects: the management ports, their addresses and routes."""
    addresses = {
        host: on(host, f"ip -4 -o addr show dev k8s-{host}").split()[3].split("/")[0]
        for host in ("ovn-master", "ovn-node1", "ovn-node2")
    }
    for host in addresses:
        for target in [*addresses.values(), *(pod.ip for pod in pods)]:
            wait(
                lambda host=host, target=target: on(host, f"ping -c 1 -W 1 {target}", check=False).returncode == 0,
                30,
                f"{host} reaching {target}",
            )


def drops(host):
    """The NICs whose packets the host's own stack does not receive."""
    return set(re.findall(r"chain in_(\S+)", on(host, "nft list table netdev ovn_kubernetes", check=False).stdout))


def test_drops_at_nics_come_back(pods):
    """Protects hosts whose nftables are loaded anew, with and without a gateway: no other program is there for it."""
    before = {host: drops(host) for host in HOSTS}
    if not before["ovn-node1"]:
        pytest.skip("the kernel datapath has no drops")
    assert {"eth0", "eth1"} <= before["ovn-node1"] and "eth0" in before["ovn-master"]
    for host, nics in before.items():
        for act in ("true", "systemctl kill --signal=KILL ovn-k8s-drops"):
            on(host, f"{act}; nft flush ruleset")
            wait(lambda host=host, nics=nics: drops(host) == nics, 10, f"the drops of {host}")


def test_the_host_has_no_stack_on_its_gateways_network(pods):
    """Protects the gateway: the host answers nobody there, and has no address."""
    bridge, nic = (on("ovn-node1", f"ip -br link show {link}").split() for link in ("breth1", "eth1"))
    assert bridge[1] == "DOWN" and bridge[2] != nic[2]
    assert "inet" not in on("ovn-node1", "ip address show dev breth1; ip address show dev eth1")
    inside = "10.44.0.11"
    on("ovn-outside", f"ip route replace {inside}/32 dev eth1")
    try:
        on("ovn-outside", f"ping -c 2 -W 1 {inside}", check=False)
        assert "lladdr" not in on("ovn-outside", f"ip neigh show {inside} dev eth1")
    finally:
        on("ovn-outside", f"ip route del {inside}/32 dev eth1; ip neigh flush dev eth1 to {inside}", check=False)


def test_egress_goes_through_the_gateway_with_its_address(pods):
    """Protects: default route, gateway router, SNAT: the world sees the gateway's address, from every node."""
    on("ovn-outside", f"systemd-run --unit=ask --collect {SERVER.format(port=PORT)}", check=False)
    try:
        for pod in pods:
            for address in ("10.55.0.254", "203.0.113.1"):
                pod.reaches(address)
                assert (
                    wait(
                        lambda pod=pod, address=address: pod.run(
                            ASK.format(address=address, port=PORT), check=False
                        ).stdout.strip(),
                        20,
                        "an answer",
                    )
                    == "10.55.0.11"
                )
    finally:
        on("ovn-outside", "systemctl stop ask", check=False)


def test_packets_of_the_mtu_pass_and_larger_ones_are_refused_with_it(pods):
    """Protects: the MTU is the underlay's minus the encapsulation, to the byte."""
    one, other = pods
    mtu = int(one.run("cat /sys/class/net/eth0/mtu"))
    assert mtu == int(on("ovn-node1", "cat /sys/class/net/eth0/mtu")) - 58
    assert int(on("ovn-node1", "cat /sys/class/net/k8s-ovn-node1/mtu")) == mtu
    one.reaches(other.ip)
    for address in (other.ip, "203.0.113.1"):
        wait(
            lambda address=address: (
                one.run(f"ping -c 1 -W 2 -M do -s {mtu - 28} {address}", check=False).returncode == 0
            ),
            20,
            "a packet of the MTU",
        )
        assert one.run(REFUSED.format(address, mtu - 27), check=False).stdout.split() == ["EMSGSIZE", str(mtu)]


def test_larger_packets_from_outside_are_answered_with_the_mtu(pods):
    """Protects: no black hole behind the gateway: it refuses what no tunnel would take, with the MTU (RFC 1191)."""
    mtu = int(pods[1].run("cat /sys/class/net/eth0/mtu"))
    on("ovn-outside", f"ip route replace {pods[1].ip} via 10.55.0.11")
    try:
        wait(
            lambda: on("ovn-outside", f"ping -c 1 -W 2 -M do -s {mtu - 28} {pods[1].ip}", check=False).returncode == 0,
            20,
            "a packet of the MTU",
        )
        wait(
            lambda: (
                f"mtu = {mtu}"
                in on("ovn-outside", f"ping -c 1 -W 2 -M do -s {mtu - 27} {pods[1].ip}", check=False).stdout
            ),
            20,
            "the refusal",
        )
    finally:
        on("ovn-outside", f"ip route del {pods[1].ip}; ip route flush cache", check=False)
