# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods that are pinned to a gateway, shown by packets: what the outside sees of them."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import socket

import network_namespace
import pytest
from egress_round import check
from network_namespace import ip
from northbound import Northbound
from northd import Northd
from policy_world import PolicyWorld

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names

from .packets import Node

SERVER, PORT = "203.0.113.1", 5353
FIRST, SECOND = "10.55.0.1", "10.55.0.2"  # gateways
NEXT, OTHER = "hop254", "hop99"  # links of routers: the gateways' own next hop, and another one
TEAM = {"namespaceSelector": {"matchLabels": {"team": "red"}}}
TIMES = 16


class Outside:
    """The physical network of both gateways, which are on this node, and a server behind its routers."""

    def __init__(self, node):
        for link, address in ((NEXT, "10.55.0.254/24"), (OTHER, "10.55.0.99/32")):
            bridge = ["--may-exist", "add-br", "breth1", "--", "set", "Bridge", "breth1", "datapath_type=netdev"]
            port = ["--", "add-port", "breth1", link, "--", "set", "Interface", link, "type=internal"]
            node._vsctl(*bridge, *port)
            ip(f"link set {link} up")
            ip(f"address add {address} dev {link}")
            for name, value in (("rp_filter", 0), ("arp_ignore", 1)):
                pathlib.Path(f"/proc/sys/net/ipv4/conf/{link}/{name}").write_text(str(value))
        pathlib.Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("0")
        ip(f"address add {SERVER}/32 dev {NEXT}")
        node._vsctl("set", "Open_vSwitch", ".", f"external_ids:ovn-bridge-mappings={names.PHYSICAL_NETWORK}:breth1")
        self.sockets = {link: self._socket(link, PORT) for link in (NEXT, OTHER)}

    @staticmethod
    def _socket(link, port):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
        one.bind((SERVER, port))
        one.settimeout(1.0)
        return one

    def heard(self, link, expected=TIMES):
        """The sources of the datagrams that came by a link, and what they say; all that there are by then."""
        found = []
        with contextlib.suppress(socket.timeout):
            while len(found) < expected:
                text, (source, _port) = self.sockets[link].recvfrom(100)
                found.append((source, text))
        return found

    def ask(self, address):
        """What a service of the pods answers, to a client behind the gateways' own next hop."""
        with self._socket(NEXT, 0) as client:
            for _n in range(5):
                client.sendto(b"question", (address, 80))
                with contextlib.suppress(socket.timeout):
                    return client.recv(100)
        return None

    def remove(self):
        """Close everything."""
        for one in self.sockets.values():
            one.close()


@pytest.fixture
def cluster():
    """A database with two gateways on one node, and the real ovn-northd, in a network namespace."""
    with network_namespace.namespace():
        nb = Northbound()
        nb.build(nodes=(1, 2), gateways=(1, 2), dual=True)
        northd = Northd(nb)
        northd.nbctl("set", "Logical_Router", "GR_node2", "options:chassis=id-1")
        check(nb)
        yield nb, northd
        northd.remove()
        nb.remove()


def send(node, pod, text, times=TIMES):
    """Datagrams from as many ports of a pod."""
    for _n in range(times):
        with node.udp(pod) as one:
            node.inside(pod, lambda one=one: one.sendto(text, (SERVER, PORT)))


def run(cluster, test):
    """Run a test with a pod of each of two namespaces on node 1, where both gateways are."""
    nb, northd = cluster

    async def main():
        async with PolicyWorld(nb) as world:
            world.namespace("a", team="red")
            world.namespace("b", team="blue")
            for key in ("a/one", "b/one"):
                world.pod(key, 1)
            await world.settled()
            node = Node(northd)
            outside = Outside(node)
            try:
                for key in ("a/one", "b/one"):
                    node.plug(world, key)
                await in_force(world, northd)
                await test(world, node, outside)
            finally:
                outside.remove()
                node.remove()

    asyncio.run(asyncio.wait_for(main(), 180))


async def in_force(world, northd):
    """Wait until ovn-controller has what the objects say."""
    await world.settled()
    await asyncio.to_thread(northd.nbctl, "--wait=hv", "--timeout=60", "sync")


async def learned(world, northd, node, outside):
    """Wait until both gateways have learned both routers: each loses the first packets."""
    for gateway in (FIRST, SECOND):
        for link, hop in ((NEXT, "10.55.0.254"), (OTHER, "10.55.0.99")):
            northd.nbctl("lr-policy-add", f"GR_node{gateway[-1]}", 999, "ip4.src == 192.168.0.0/16", "reroute", hop)
            world.route("out", gateway, **TEAM)
            await in_force(world, northd)
            for _n in range(20):
                send(node, "a/one", b"learn", 1)
                if outside.heard(link, 1):
                    break
            northd.nbctl("lr-policy-del", f"GR_node{gateway[-1]}", 999)
    world.delete("adminpolicybasedexternalroutes", "out")
    await in_force(world, northd)


def test_what_the_outside_sees(cluster):
    """Protects the address by which others know the pods: each connection of a pinned pod has its gateway's, from the
    first packet of a new pod on, and goes to the router that the object names. Nothing leaves where no way is left.
    """
    _nb, northd = cluster

    async def test(world, node, outside):
        await learned(world, northd, node, outside)
        send(node, "a/one", b"before")
        ((own, _text),) = set(outside.heard(NEXT))
        pinned = SECOND if own == FIRST else FIRST
        world.route("out", pinned, **TEAM)
        await in_force(world, northd)
        send(node, "a/one", b"pinned")
        assert outside.heard(NEXT) == [(pinned, b"pinned")] * TIMES
        world.route("out", own, **TEAM)
        await in_force(world, northd)
        send(node, "a/one", b"back")
        assert outside.heard(NEXT) == [(own, b"back")] * TIMES
        # A new pod: nothing of it leaves by another gateway.
        for number, gateway in enumerate((FIRST, SECOND)):
            world.route("out", gateway, **TEAM)
            world.pod(f"a/new{number}", 1)
            await world.settled()
            node.plug(world, f"a/new{number}")
            send(node, f"a/new{number}", b"new")
            assert outside.heard(NEXT) == [(gateway, b"new")] * TIMES
        # Another router on the network, behind both gateways.
        world.route("out", "10.55.0.99", **TEAM)
        await in_force(world, northd)
        send(node, "a/one", b"other")
        heard = outside.heard(OTHER)
        assert len(heard) == TIMES and {source for source, _text in heard} <= {FIRST, SECOND}
        send(node, "b/one", b"all")
        assert len(outside.heard(NEXT)) == TIMES
        # No way is left.
        world.route("out", "198.51.100.7", **TEAM)
        await in_force(world, northd)
        send(node, "a/one", b"nowhere")
        assert outside.heard(NEXT, 1) == outside.heard(OTHER, 1) == []
        world.delete("adminpolicybasedexternalroutes", "out")
        await in_force(world, northd)
        send(node, "a/one", b"free")
        assert outside.heard(NEXT) == [(own, b"free")] * TIMES

    run(cluster, test)


def test_answers_to_clients_outside(cluster):
    """Protects services of pinned pods: answers to clients go back as they came, not to the router that the object
    names.
    """
    _nb, northd = cluster

    async def test(world, node, outside):
        await learned(world, northd, node, outside)
        world.route("out", "10.55.0.99", **TEAM)
        server = node.udp("a/one", 80)
        answering = asyncio.get_running_loop().run_in_executor(None, answer, server)
        northd.nbctl("lb-add", "lb", f"{SECOND}:80", f"{world.address('a/one')}:80", "udp")
        northd.nbctl("lr-lb-add", "GR_node2", "lb")
        await in_force(world, northd)
        send(node, "a/one", b"other")
        assert len(outside.heard(OTHER)) == TIMES
        assert await asyncio.to_thread(outside.ask, SECOND) == b"answer"
        await answering

    run(cluster, test)


def answer(server):
    """Answer one question."""
    server.settimeout(30.0)
    with server:
        _text, client = server.recvfrom(100)
        server.sendto(b"answer", client)
