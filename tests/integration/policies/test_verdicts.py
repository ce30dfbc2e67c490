# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods by network policies (W15): what real OVN, asked with ovn-trace, makes of the watcher's rows."""

from __future__ import annotations

import asyncio

from policy_world import PolicyWorld, Verdicts

EVERYONE = ["a/web", "a/client", "b/friend", "b/stranger"]


def run(nb, northd, test):
    """Run a test with namespaces a and b, two pods in each, on different nodes."""

    async def main():
        world = PolicyWorld(nb)
        async with world:
            world.namespace("a", team="red")
            world.namespace("b", team="blue")
            world.pod("a/web", 1, [("http", 8080)], app="web")
            world.pod("a/client", 1, app="client")
            world.pod("b/friend", 2, [("http", 9090)], app="friend")
            world.pod("b/stranger", 2, app="stranger")
            await world.settled()
            await test(world, Verdicts(world, northd))

    asyncio.run(asyncio.wait_for(main(), 240))


async def sync(world, northd):
    """Wait until OVN has what the objects say."""
    await world.settled()
    await asyncio.to_thread(northd.sync)


def matrix(world, verdicts, target, version=4, **more):
    """The pods that reach a pod."""
    return {one for one in EVERYONE if one != target and verdicts.from_pod(one, world.address(target, version), **more)}


def test_ingress_of_all_kinds(nb, northd):
    """Protects a pod from everybody whom its policies don't name: isolation, pods of its namespace, of namespaces by
    labels, networks with exceptions, ports, ranges and protocols, in both IP versions. Its own node always reaches it.
    """

    async def test(world, verdicts):
        await sync(world, northd)
        everyone = set(EVERYONE) - {"a/web"}
        assert matrix(world, verdicts, "a/web") == matrix(world, verdicts, "a/web", 6) == everyone
        world.policy("a/deny", podSelector={"matchLabels": {"app": "web"}})
        await sync(world, northd)
        for version in (4, 6):
            assert matrix(world, verdicts, "a/web", version) == set()
            assert matrix(world, verdicts, "a/client", version) == set(EVERYONE) - {"a/client"}
            assert verdicts.from_node(1, "a/web", version)
            assert not verdicts.from_node(2, "a/web", version)
            assert verdicts.from_node(2, "b/friend", version)
        assert not verdicts.from_node(1, "a/web", source="192.168.1.77")
        assert not verdicts.from_outside("a/web", "192.168.1.2")
        rules = [
            {"from": [{"podSelector": {"matchLabels": {"app": "client"}}}], "ports": [{"port": 80}]},
            {
                "from": [
                    {
                        "namespaceSelector": {"matchLabels": {"team": "blue"}},
                        "podSelector": {
                            "matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["stranger"]}]
                        },
                    }
                ],
                "ports": [{"port": 1000, "endPort": 2000, "protocol": "UDP"}, {"protocol": "SCTP"}],
            },
            {"from": [{"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.128/25"]}}]},
            {"from": [{"ipBlock": {"cidr": "fd77::/64", "except": ["fd77::8000/113"]}}]},
        ]
        world.policy("a/allow", podSelector={"matchLabels": {"app": "web"}}, ingress=rules)
        await sync(world, northd)
        for version in (4, 6):
            assert matrix(world, verdicts, "a/web", version) == {"a/client"}
            assert matrix(world, verdicts, "a/web", version, port=81) == set()
            assert matrix(world, verdicts, "a/web", version, port=80, protocol="udp") == set()
            for port, allowed in ((999, set()), (1000, {"b/friend"}), (2000, {"b/friend"}), (2001, set())):
                assert matrix(world, verdicts, "a/web", version, port=port, protocol="udp") == allowed
            assert matrix(world, verdicts, "a/web", version, port=7, protocol="sctp") == {"b/friend"}
        for source, allowed in (("203.0.113.7", True), ("203.0.113.129", False), ("203.0.112.7", False)):
            assert verdicts.from_outside("a/web", source) == allowed, source
        for source, allowed in (("fd77::7", True), ("fd77::8001", False), ("fd78::7", False)):
            assert verdicts.from_outside("a/web", source, version=6) == allowed, source
        # Labels change, of the pod and of its namespace.
        world.pod("b/stranger", 2, app="friend")
        world.pod("a/client", 1, app="other")
        await sync(world, northd)
        assert matrix(world, verdicts, "a/web", port=1500, protocol="udp") == {"b/friend", "b/stranger"}
        assert matrix(world, verdicts, "a/web") == set()
        world.namespace("b", team="green")
        await sync(world, northd)
        assert matrix(world, verdicts, "a/web", port=1500, protocol="udp") == set()
        world.delete("networkpolicies", "a/allow")
        world.delete("networkpolicies", "a/deny")
        await sync(world, northd)
        assert matrix(world, verdicts, "a/web") == everyone
        assert world.groups() == {} and world.sets() == {} and world.acls() == []

    run(nb, northd, test)


def test_egress_is_judged_after_load_balancing(nb, northd):
    """Protects what a pod may send: by the endpoint's address and port, not by the service's; a pod reaches itself
    through its own service whatever isolates it; a service's own address opens nothing.
    """

    async def test(world, verdicts):
        world.service("b/friend", "10.96.0.10", 80, "b/friend", target=9090)
        world.service("b/stranger", "10.96.0.11", 80, "b/stranger", target=9090)
        world.service("a/web", "10.96.0.12", 80, "a/web", target=8080)
        rule = {
            "to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "friend"}}}],
            "ports": [{"port": 9090}],
        }
        services = {"to": [{"ipBlock": {"cidr": "10.96.0.0/16"}}]}
        world.policy("a/out", podSelector={}, policyTypes=["Egress"], egress=[rule, services])
        await sync(world, northd)

        def to(address, **more):
            return verdicts.from_pod("a/web", address, **more)

        assert to(world.address("b/friend"), port=9090) and not to(world.address("b/friend"), port=80)
        assert not to(world.address("b/stranger"), port=9090) and not to("198.51.100.1")
        assert to("10.96.0.10", reaches="b/friend") and not to("10.96.0.11", reaches="b/stranger")
        assert to("10.96.0.12", reaches="a/web")
        assert not verdicts.from_pod("a/client", "10.96.0.12", reaches="a/web")
        # Whoever may reach a restricted address by its source ranges is still judged by its own policy.
        for pod, outside, allowed in (("b/friend", "198.51.100.9", True), ("b/stranger", "198.51.100.10", False)):
            ranges = ["192.168.0.0/16"]
            world.service(f"{pod}-out", f"10.96.0.2{outside[-1]}", 80, pod, target=9090, outside=outside, ranges=ranges)
            await sync(world, northd)
            assert to(outside, reaches=pod) == allowed
        # An address of services without endpoints stays dropped, whatever a rule lets through.
        assert not to("10.96.0.99")
        # Its own node is reached always, other nodes are judged.
        assert to("192.168.1.2", reaches="k8s-node1") and not to("192.168.2.2", reaches="k8s-node2")
        assert to("fd10:128:0:1::2", reaches="k8s-node1") and not to("fd10:128:0:2::2", reaches="k8s-node2")
        # Replies pass.
        assert to(world.address("a/client"), ct="est,rpl")

    run(nb, northd, test)


def test_named_ports(nb, northd):
    """Protects names of ports: each pod's own number counts, in both directions, and pods come and go."""

    async def test(world, verdicts):
        port = [{"port": "http"}]
        world.pod("a/old", 2, [("http", 80)], app="web")
        world.policy("a/in", podSelector={"matchLabels": {"app": "web"}}, ingress=[{"ports": port}])
        peers = [{"namespaceSelector": {}}]
        world.policy("b/out", podSelector={}, policyTypes=["Egress"], egress=[{"to": peers, "ports": port}])
        await sync(world, northd)

        def to(source, target, number, protocol="tcp"):
            return verdicts.from_pod(source, world.address(target), port=number, protocol=protocol)

        assert to("a/client", "a/web", 8080) and not to("a/client", "a/web", 80)
        assert to("a/client", "a/old", 80) and not to("a/client", "a/old", 8080)
        assert not to("a/client", "a/web", 8080, "udp")
        assert to("b/friend", "a/web", 8080) and not to("b/friend", "a/client", 80)
        assert to("b/stranger", "b/friend", 9090) and not to("b/stranger", "b/friend", 8080)
        world.pod("a/new", 1, [("http", 7070), ("http", 7070, "UDP")], app="web")
        await sync(world, northd)
        assert to("b/friend", "a/new", 7070) and not to("b/friend", "a/new", 7070, "udp")
        world.delete("pods", "a/new")
        world.delete("pods", "a/old")
        await sync(world, northd)
        assert not any("7070" in match for *_rest, match in world.acls())
        assert to("a/client", "a/web", 8080)

    run(nb, northd, test)
