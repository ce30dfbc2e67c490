# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods from IPv6 link-local addresses, which no policy knows, and what IPv6 needs them for: by packets."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
import time

import network_namespace
import pytest
from database_server import wait_for
from network_namespace import ip
from policy_world import PolicyWorld

from .packets import Node

SERVER, CLIENT = "a/server", "b/client"
MLD_REPORT, ROUTER_ADVERTISEMENT, NEIGHBOUR_SOLICITATION = 143, 134, 135
ETH_P_IPV6, ICMPV6 = 0x86DD, 58


@pytest.fixture
def in_namespace():
    """A network namespace for the test and all that it starts."""
    with network_namespace.namespace():
        yield


def link_local(mac):
    """The link-local address of a MAC (RFC 4291, appendix A)."""
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 2
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + octets[:3] + b"\xff\xfe" + octets[3:]))


class Sockets:
    """IPv6 sockets of pods."""

    def __init__(self, node):
        self.node = node

    def _where(self, key):
        return f"/proc/{self.node._pods[key].pid}/ns/net"

    def udp(self, key, port=0, source="::"):
        """A UDP socket, and the number of the pod's link."""

        def make():
            index = socket.if_nametoindex("eth0")
            one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            one.bind((source, port, 0, index if source.startswith("fe80") else 0))
            one.settimeout(2.0)
            return one, index

        return self.node.inside(key, make)

    def heard(self, key):
        """A socket that gets every IPv6 packet of a pod."""

        def make():
            one = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IPV6))
            one.bind(("eth0", ETH_P_IPV6))
            return one

        return self.node.inside(key, make)

    def icmp(self, key):
        """A socket that sends ICMPv6 with the hop limit that discovery has."""

        def make():
            one = socket.socket(socket.AF_INET6, socket.SOCK_RAW, ICMPV6)
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            return one, socket.if_nametoindex("eth0")

        return self.node.inside(key, make)

    def wait_until_usable(self, key, address):
        """Wait until the kernel has found out that nobody else has a pod's address (RFC 4862, 5.4)."""

        def is_usable():
            lines = ip("-6 -oneline address show dev eth0", self._where(key)).splitlines()
            return any(f" {address}/" in line and "tentative" not in line for line in lines)

        wait_for(is_usable, f"address {address}")

    def ip(self, key, command):
        """Run ``ip`` in a pod's namespace."""
        return ip(command, self._where(key))


def hears(one, kind, source):
    """Whether a socket gets an ICMPv6 message of a type from an address."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        one.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            packet, address = one.recvfrom(2000)
        except socket.timeout:
            return False
        if address[2] == socket.PACKET_OUTGOING or len(packet) < 48:
            continue
        place, following = 40, packet[6]
        if following == 0:  # hop-by-hop options, as MLD has (RFC 3810, 5)
            following, place = packet[40], 40 + 8 * (packet[41] + 1)
        if (following, packet[place]) == (ICMPV6, kind) and str(ipaddress.IPv6Address(packet[8:24])) == source:
            return True
    return False


def gets(one):
    """What a UDP socket gets; None: nothing comes."""
    try:
        return one.recvfrom(100)[0]
    except socket.timeout:
        return None


def test_link_local_addresses(nb, northd, in_namespace):
    """Protects pods that policies close from a pod of their own node which uses IPv6 link-local addresses: its own, the
    other one's, both, or multicast. Neighbour discovery between them, the detection of duplicate addresses, MLD and
    router advertisements pass, and so does what has addresses of the overlay.
    """

    async def main():
        async with PolicyWorld(nb) as world:
            for key in (SERVER, CLIENT):
                world.namespace(key[0])
                world.pod(key, 1)
            await world.settled()
            node = Node(northd)
            try:
                for key in (SERVER, CLIENT):
                    node.plug(world, key)
                await asyncio.to_thread(northd.nbctl, "--wait=hv", "--timeout=60", "sync")
                await asyncio.to_thread(check, world, Sockets(node))
            finally:
                node.remove()

    def check(world, sockets):
        own = {key: link_local(world.mac(key)) for key in (SERVER, CLIENT)}
        address = {key: world.address(key, 6) for key in (SERVER, CLIENT)}
        for key in (SERVER, CLIENT):
            sockets.wait_until_usable(key, own[key])
            sockets.ip(key, f"-6 address add {address[key]}/64 dev eth0 nodad")
        server, index = sockets.udp(SERVER, 7000)
        join = socket.inet_pton(socket.AF_INET6, "ff02::77") + struct.pack("@I", index)
        heard = sockets.heard(CLIENT)
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, join)
        assert hears(heard, MLD_REPORT, own[SERVER])
        for source, target in (
            (own[CLIENT], own[SERVER]),
            (own[CLIENT], address[SERVER]),
            (address[CLIENT], own[SERVER]),
            (own[CLIENT], "ff02::77"),
        ):
            client, index = sockets.udp(CLIENT, source=source)
            client.sendto(b"over the wall", (target, 7000, 0, index))
            assert gets(server) is None, (source, target)
        # The question for the MAC went from one link-local address to the other, and so did its answer.
        neighbours = sockets.ip(CLIENT, f"-6 neigh show {own[SERVER]} dev eth0")
        assert world.mac(SERVER) in neighbours
        client, _index = sockets.udp(CLIENT, source=address[CLIENT])
        client.sendto(b"by addresses of the overlay", (address[SERVER], 7000))
        assert gets(server) == b"by addresses of the overlay"
        router, index = sockets.icmp(SERVER)
        router.sendto(struct.pack("!BBHBBHII", ROUTER_ADVERTISEMENT, 0, 0, 64, 0, 0, 0, 0), ("ff02::1", 0, 0, index))
        assert hears(heard, ROUTER_ADVERTISEMENT, own[SERVER])
        sockets.ip(SERVER, f"-6 address add {own[CLIENT]}/64 dev eth0")
        assert hears(heard, NEIGHBOUR_SOLICITATION, "::")  # its holder is asked

    asyncio.run(asyncio.wait_for(main(), 200))
