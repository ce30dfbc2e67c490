# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods from multicast of other namespaces, and lets those of a namespace with the annotation hear each other;
and the DSCP of packets by EgressQoS: shown by packets, by ovn-trace, and by rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import time

import network_namespace
import pytest
from northd import Northd
from policy_world import PolicyWorld, Verdicts

from .packets import Node

GROUP, PORT = "239.1.2.3", 5000


@pytest.fixture
def in_namespace():
    """A network namespace for the test and all that it starts."""
    with network_namespace.namespace():
        yield


def enable(world, name, value="true"):
    """Set the annotation of a namespace."""
    world.put("namespaces", "", name, metadata={"annotations": {"k8s.ovn.org/multicast-enabled": value}})


def listen(node, key):
    """A socket of a pod that has joined the group."""

    def make():
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("", PORT))
        (address,) = re.findall(r"inet (192\.168\.1\.\d+)", network_namespace.ip("-4 address show eth0"))
        member = socket.inet_aton(GROUP) + socket.inet_aton(address)
        one.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        one.settimeout(0.3)
        return one

    return node.inside(key, make)


def hears(node, source, listener, seconds=1.0):
    """Whether a listener hears a pod within some seconds."""

    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, struct.pack("b", 8))
            one.sendto(source.encode(), (GROUP, PORT))

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        node.inside(source, send)
        with contextlib.suppress(socket.timeout):
            while listener.recv(100) != source.encode():
                continue  # of another pod, which was heard before
            return True
    return False


def test_namespaces_hear_only_themselves(nb, in_namespace):
    """Protects pods by packets: without the annotation nobody hears multicast, with it those of the namespace that have
    joined, also when another namespace has it too; and after it is gone nobody.
    """
    northd = Northd(nb)

    async def main():
        async with PolicyWorld(nb) as world:
            for key in ("a/server", "a/client", "b/other", "c/third"):
                world.namespace(key[0])
                world.pod(key, 1)
            await world.settled()
            node = Node(northd)
            try:
                for key in ("a/server", "a/client", "b/other", "c/third"):
                    node.plug(world, key)
                await in_force(world)
                server, other, third = (listen(node, key) for key in ("a/server", "b/other", "c/third"))
                assert not hears(node, "a/client", server)
                enable(world, "a")
                enable(world, "b")
                await in_force(world)
                again = listen(node, "a/client")  # who joins, or is asked by the querier, is a member
                server.close()
                server, other2 = listen(node, "a/server"), listen(node, "b/other")
                assert hears(node, "a/client", server, 20)
                assert not hears(node, "a/client", other2) and not hears(node, "a/client", other)
                assert not hears(node, "a/client", third) and not hears(node, "c/third", server)
                assert not hears(node, "b/other", server)
                enable(world, "a", "false")
                await in_force(world)
                assert not hears(node, "a/client", server)
                again.close()
            finally:
                node.remove()

    async def in_force(world):
        await world.settled()
        await asyncio.to_thread(northd.nbctl, "--wait=hv", "--timeout=300", "sync")

    try:
        asyncio.run(asyncio.wait_for(main(), 550))
    finally:
        northd.remove()


def test_snooping_follows_the_annotations(nb, northd):
    """Protects hosts from the cost of snooping that nobody uses: it, the querier and the router's part come with the
    first namespace and go with the last one; and a node that joins gets them.
    """

    async def main():
        async with PolicyWorld(nb) as world:
            world.namespace("a")
            world.pod("a/web", 1)
            await world.settled()

            def settings(switch):
                row = world.cluster.replica.named("Logical_Switch", switch)
                return {key: value for key, value in row.columns["other_config"].items() if key.startswith("mcast")}

            def relays():
                row = world.cluster.replica.named("Logical_Router", "ovn_cluster_router")
                return row.columns["options"].get("mcast_relay")

            assert settings("node1") == {} and relays() is None
            before = world.groups(), world.sets(), world.acls("Multicast")
            enable(world, "a")
            await world.settled()
            assert relays() == "true"
            for number in (1, 2):
                found = settings(f"node{number}")
                assert found["mcast_snoop"] == found["mcast_querier"] == "true"
                assert found["mcast_ip4_src"] == f"192.168.{number}.1"
                assert found["mcast_ip6_src"].startswith("fe80::")
                assert re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", found["mcast_eth_src"])
            assert "subnet" in world.cluster.replica.named("Logical_Switch", "node1").columns["other_config"]
            enable(world, "a", "yes")
            await world.settled()
            assert settings("node1") == {} and relays() is None
            assert (world.groups(), world.sets(), world.acls("Multicast")) == before

    asyncio.run(asyncio.wait_for(main(), 500))


def test_dscp(nb, northd):
    """Protects the marks of packets: the first rule that matches, in both IP versions, after load balancing, of the
    namespace's own pods only; rows are where pods are.
    """

    async def main():
        async with PolicyWorld(nb) as world:
            for name in ("a", "b"):
                world.namespace(name)
            world.pod("a/web", 1, app="web")
            world.pod("a/client", 1, app="client")
            world.pod("b/friend", 2, app="friend")
            await world.settled()
            verdicts = Verdicts(world, northd)

            def rows():
                return sorted(row.columns["priority"] for row in world.cluster.replica.rows["QoS"].values())

            def dscp(source, address):
                version = 6 if ":" in address else 4
                node = world.cluster.pods._pods[source].node
                text = verdicts._trace(
                    node,
                    source.replace("/", "_"),
                    world.mac(source),
                    verdicts.mac_of_router(node.removeprefix("node")),
                    version,
                    world.address(source, version),
                    address,
                    80,
                    "tcp",
                    "new",
                )
                found = re.findall(r"ip\.dscp = (\d+);", text)
                return int(found[-1]) if found else None

            rules = [
                {"dscp": 10, "dstCIDR": "203.0.113.7/24", "podSelector": {"matchLabels": {"app": "web"}}},
                {"dscp": 20, "dstCIDR": "2001:db8::/32"},
                {"dscp": 64},
                {"dscp": 30},
            ]
            world.put("egressqoses", "a", "default", spec={"egress": rules})
            await world.settled()
            await asyncio.to_thread(northd.sync)
            assert rows() == [997, 999, 1000]
            assert (dscp("a/web", "203.0.113.9"), dscp("a/client", "203.0.113.9")) == (10, 30)
            assert (dscp("a/web", "2001:db8::1"), dscp("a/web", "2001:db9::1")) == (20, 30)
            assert dscp("a/web", world.address("b/friend")) == 30 and dscp("b/friend", "203.0.113.9") is None
            status = world.status("egressqoses", "a/default")
            assert status["status"] == "EgressQoS Rules not correctly applied"
            assert status["conditions"][0]["type"] == "Ready-In-Zone-global"
            world.pod("a/far", 2)
            await world.settled()
            assert len(rows()) == 6
            world.delete("pods", "a/far")
            await world.settled()
            assert len(rows()) == 3
            world.put("egressqoses", "a", "default", spec={"egress": [{"dscp": 46}]})
            await world.settled()
            await asyncio.to_thread(northd.sync)
            assert rows() == [1000] and dscp("a/web", "203.0.113.9") == 46
            assert world.status("egressqoses", "a/default")["status"] == "EgressQoS Rules applied"
            patches = world.api.patches
            world.begin()
            await world.settled()
            assert world.api.patches <= patches + 1
            world.delete("egressqoses", "a/default")
            await world.settled()
            assert rows() == [] and world.groups() == {}

    asyncio.run(asyncio.wait_for(main(), 500))
