# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods by network policies, shown by packets: connections that are there when a policy comes, and those of a
pod to itself, and of its node.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

import network_namespace
import pytest
from policy_world import HAS_TIERS, PolicyWorld

from .packets import Node

SERVER, CLIENT, OTHER = "a/server", "a/client", "b/other"


@pytest.fixture
def in_namespace():
    """A network namespace for the test and all that it starts."""
    with network_namespace.namespace():
        yield


def run(nb, northd, test):
    """Run a test with three pods of two namespaces on node 1."""

    async def main():
        async with PolicyWorld(nb) as world:
            for name in ("a", "b"):
                world.namespace(name)
            for key in (SERVER, CLIENT, OTHER):
                world.pod(key, 1, app=key.split("/")[1])
            await world.settled()
            node = Node(northd)
            try:
                for key in (SERVER, CLIENT, OTHER):
                    node.plug(world, key)
                await test(world, node)
            finally:
                node.remove()

    asyncio.run(asyncio.wait_for(main(), 550))


async def in_force(world, northd):
    """Wait until ovn-controller has what the objects say."""
    await world.settled()
    await asyncio.to_thread(northd.nbctl, "--wait=hv", "--timeout=60", "sync")


def rule(*names):
    """An ingress rule for pods of these names, of any namespace."""
    pods = {"matchExpressions": [{"key": "app", "operator": "In", "values": list(names)}]}
    return {"from": [{"namespaceSelector": {}, "podSelector": pods}]}


def asks(client, server, text=b"x"):
    """Whether a connection's other end hears a text and its answer comes back."""
    try:
        client.sendall(text)
        if not server.recv(100):
            return False
        server.sendall(b"y")
        return client.recv(100) == b"y"
    except socket.timeout:
        return False


def exchanges(client, server, address):
    """Whether a datagram and its answer get through."""
    client.sendto(b"x", address)
    try:
        _text, source = server.recvfrom(100)
        server.sendto(b"y", source)
        return client.recv(100) == b"y"
    except socket.timeout:
        return False


def test_connections_that_are_there(nb, northd, in_namespace):
    """Protects what a policy says also of connections that were made before it: what it does not allow ends with the
    next packet, what it allows goes on without the loss of a packet, also over changes of other policies; what it
    allows again goes on too.
    """

    async def test(world, node):
        address = world.address(SERVER)
        server, client, other = node.udp(SERVER, 7000), node.udp(CLIENT), node.udp(OTHER)
        listener = node.listener(SERVER, 7000)
        connection, other_connection = node.connect(CLIENT, address, 7000), node.connect(OTHER, address, 7000)
        (accepted, _who), (other_accepted, _whom) = listener.accept(), listener.accept()
        for one in (accepted, other_accepted):
            one.settimeout(1.0)

        def verdicts():
            return (
                exchanges(client, server, (address, 7000)),
                exchanges(other, server, (address, 7000)),
                asks(connection, accepted),
                asks(other_connection, other_accepted),
            )

        assert verdicts() == (True, True, True, True)
        world.policy("a/server", podSelector={"matchLabels": {"app": "server"}}, ingress=[rule("client")])
        await in_force(world, northd)
        assert verdicts() == (True, False, True, False)
        assert node.connect(OTHER, address, 7000) is None
        fresh = node.connect(CLIENT, address, 7000)
        assert fresh is not None
        # Policies of others come, change and go: not one datagram is lost.
        lost, done = [], asyncio.Event()

        async def ask():
            while not done.is_set():
                if not await asyncio.to_thread(exchanges, client, server, (address, 7000)):
                    lost.append(1)
                await asyncio.sleep(0.002)

        asking = asyncio.create_task(ask())
        for number in range(8):
            world.policy(f"b/p{number}", podSelector={}, ingress=[rule("server", f"x{number}")], egress=[{}])
            world.policy(f"a/p{number}", podSelector={"matchLabels": {"app": "client"}}, ingress=[rule(f"x{number}")])
            await in_force(world, northd)
            world.delete("networkpolicies", f"b/p{number}")
        world.policy("a/server2", podSelector={"matchLabels": {"app": "server"}}, ingress=[rule("nobody")])
        await in_force(world, northd)
        world.delete("networkpolicies", "a/server2")
        await in_force(world, northd)
        done.set()
        await asking
        assert not lost
        # Both are allowed again: the connection that was cut goes on as well.
        world.policy("a/server", podSelector={"matchLabels": {"app": "server"}}, ingress=[rule("client", "other")])
        await in_force(world, northd)
        assert exchanges(other, server, (address, 7000))
        with contextlib.suppress(socket.timeout):
            other_connection.settimeout(20)
            other_accepted.settimeout(20)
            assert other_accepted.recv(100)
        # What a pod sends, by its own policy.
        world.policy("a/client", podSelector={"matchLabels": {"app": "client"}}, policyTypes=["Egress"])
        await in_force(world, northd)
        assert not exchanges(client, server, (address, 7000)) and not asks(connection, accepted)

    run(nb, northd, test)


def test_an_allowed_connection_that_is_denied(nb, northd, in_namespace):
    """Protects what a policy cuts: of a connection that its earlier form allowed no packet comes through, however many
    the client sends, in both directions that policies are about.
    """

    async def test(world, node):
        address = world.address(SERVER)
        server, client = node.udp(SERVER, 7000), node.udp(CLIENT)
        listener = node.listener(SERVER, 7000)
        server.settimeout(2)
        for name, field, types in (("server", "ingress", ["Ingress"]), ("client", "egress", ["Egress"])):
            spec = {"podSelector": {"matchLabels": {"app": name}}, "policyTypes": types}
            world.policy(f"a/{name}", **spec, **{field: [{}]})
            await in_force(world, northd)
            connection = node.connect(CLIENT, address, 7000)
            accepted, _who = listener.accept()
            accepted.settimeout(2)
            assert all(exchanges(client, server, (address, 7000)) for _n in range(3)) and asks(connection, accepted)
            world.policy(f"a/{name}", **spec)
            await in_force(world, northd)
            assert not any(exchanges(client, server, (address, 7000)) for _n in range(8))
            for _n in range(4):
                connection.sendall(b"x")
                with pytest.raises(socket.timeout):
                    accepted.recv(100)
            world.delete("networkpolicies", f"a/{name}")
            await in_force(world, northd)

    run(nb, northd, test)


@pytest.mark.parametrize(("tier", "priority"), [("Admin", 0), ("Admin", 1000), ("Baseline", 3)])
@pytest.mark.skipif(not HAS_TIERS, reason="OVN 23.03 has no tiers: $OVN_KUBERNETES_OVS may name newer programs")
def test_connections_that_a_cluster_policy_denies(nb, northd, in_namespace, tier, priority):
    """Protects what a policy of administrators says also of connections that are there: those that it denies end, in
    both directions and for as long as it denies them, with the first packet; those that it accepts go on without the
    loss of a packet while it comes, changes and goes; what nobody denies any more goes on.
    """

    async def test(world, node):
        address = world.address(SERVER)
        server, client, other = node.udp(SERVER, 7000), node.udp(CLIENT), node.udp(OTHER)
        server.settimeout(2)
        other.settimeout(2)

        def verdicts():
            return tuple(exchanges(one, server, (address, 7000)) for one in (client, other))

        def deny(namespace):
            return {"action": "Deny", "from": [{"namespaces": {"matchLabels": {"n": namespace}}}]}

        for name in ("a", "b"):
            world.namespace(name, n=name)
        await in_force(world, northd)
        assert verdicts() == (True, True)
        world.cluster_policy("deny", tier, priority, ingress=[deny("b")])
        await in_force(world, northd)
        assert not any(exchanges(other, server, (address, 7000)) for _n in range(6))
        assert all(exchanges(client, server, (address, 7000)) for _n in range(6))
        world.cluster_policy("deny", tier, priority, ingress=[deny("b"), deny("c")])
        await in_force(world, northd)
        assert verdicts() == (True, False)
        world.delete("clusternetworkpolicies", "deny")
        await in_force(world, northd)
        assert verdicts() == (True, True)
        world.cluster_policy("deny", tier, priority, egress=[{"action": "Deny", "to": [{"namespaces": {}}]}])
        await in_force(world, northd)
        assert not any(any(verdicts()) for _n in range(3))

    run(nb, northd, test)


def test_who_has_begun(nb, northd, in_namespace):
    """Protects connections from before the first policy of a node: it is known who has begun them. Answers of a pod
    that may send nothing pass, and a pod that may receive nothing gets nothing, whoever sends first.
    """

    async def test(world, node):
        address = world.address(SERVER)
        server = node.udp(SERVER, 7000)
        selected = {"matchLabels": {"app": "server"}}
        for types, does_pass in ((["Egress"], True), (["Ingress"], False)):
            client = node.udp(CLIENT)
            await in_force(world, northd)
            assert exchanges(client, server, (address, 7000))
            world.policy("a/first", podSelector=selected, policyTypes=types)
            await in_force(world, northd)
            server.sendto(b"more", (world.address(CLIENT), client.getsockname()[1]))
            if does_pass:
                assert client.recv(100) == b"more" and exchanges(client, server, (address, 7000))
            assert exchanges(client, server, (address, 7000)) == does_pass
            world.delete("networkpolicies", "a/first")

    run(nb, northd, test)


def test_itself_and_its_node(nb, northd, in_namespace):
    """Protects a pod that is isolated in both directions: its own node's probes come through, and it reaches itself
    through its service; nobody else does, and it reaches nobody else.
    """

    async def test(world, node):
        address, service = world.address(SERVER), "10.96.0.10"
        world.service("a/service", service, 80, SERVER, target=7000)
        world.policy("a/deny", podSelector={}, policyTypes=["Ingress", "Egress"])
        listener = node.listener(SERVER, 7000)
        await in_force(world, northd)
        probe = node.connect(None, address, 7000)
        assert probe is not None and listener.accept()[1][0] == "192.168.1.2"
        itself = node.connect(SERVER, service, 80)
        assert itself is not None
        accepted, source = listener.accept()
        accepted.settimeout(1.0)
        assert source[0] == "169.254.169.5" and asks(itself, accepted)
        assert node.connect(OTHER, address, 7000) is None and node.connect(OTHER, service, 80) is None
        other = node.listener(OTHER, 7000)
        assert node.connect(SERVER, world.address(OTHER), 7000) is None
        assert node.connect(None, world.address(OTHER), 7000) is not None and other.accept()

    run(nb, northd, test)


def test_an_egress_firewall_ends_connections(nb, northd, in_namespace):
    """Protects what is outside from connections that a pod has made before a Deny: not one packet more comes through,
    of those that an Allow lets through none is lost, and answers to who has begun from outside pass. Here other pods
    are outside: the watcher is told that the pods' network is another one.
    """

    async def test(world, node):
        world.cluster.networks.pods = lambda: ("10.99.0.0/16",)
        address = world.address(OTHER)
        other, client = node.udp(OTHER, 7000), node.udp(CLIENT)
        other.settimeout(0.3)
        listener = node.listener(OTHER, 7000)
        connection = node.connect(CLIENT, address, 7000)
        accepted, _who = listener.accept()
        accepted.settimeout(0.3)
        assert all(exchanges(client, other, (address, 7000)) for _n in range(3)) and asks(connection, accepted)
        everything = {"type": "Deny", "to": {"cidrSelector": "0.0.0.0/0"}}
        ports = [{"protocol": "UDP", "port": 7000}]
        world.firewall(
            "a/default", {"type": "Allow", "to": {"cidrSelector": f"{address}/32"}, "ports": ports}, everything
        )
        await in_force(world, northd)
        for _n in range(4):
            connection.sendall(b"x")
            with pytest.raises(socket.timeout):
                accepted.recv(100)
        assert node.connect(CLIENT, address, 7000) is None
        assert all(exchanges(client, other, (address, 7000)) for _n in range(8))
        world.firewall("a/default", everything)
        await in_force(world, northd)
        assert not any(exchanges(client, other, (address, 7000)) for _n in range(8))
        # Whoever begins from outside is answered.
        server, outside = node.udp(SERVER, 7000), node.udp(OTHER)
        assert all(exchanges(outside, server, (world.address(SERVER), 7000)) for _n in range(3))
        world.delete("egressfirewalls", "a/default")
        await in_force(world, northd)
        assert exchanges(client, other, (address, 7000))

    run(nb, northd, test)
