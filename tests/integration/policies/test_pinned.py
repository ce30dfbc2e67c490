# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods that an AdminPolicyBasedExternalRoute pins: real OVN, asked with ovn-trace, says where they leave."""

from __future__ import annotations

import asyncio
import re

import pytest
from egress_round import check
from northbound import Northbound
from northd import Northd
from policy_world import PolicyWorld, Verdicts

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import pins

ROUTES = "adminpolicybasedexternalroutes"
OUTSIDE = {4: "203.0.113.1", 6: "2001:db8::1"}
OWN = {4: "10.66.0.3", 6: "fd66::3"}  # addresses of the third gateway
NEXT = {4: "10.66.0.254", 6: "fd66::fe"}  # its next hop
OTHER = {4: "10.66.0.99", 6: "fd66::99"}  # another router in its network
COMMON = {4: "10.55.0.254", 6: "fd55::fe"}  # the next hop of the first two
TEAM = {"namespaceSelector": {"matchLabels": {"team": "red"}}}


@pytest.fixture
def nb():
    """Two nodes, two gateways of one physical network, and a third one of another."""
    server = Northbound()
    server.build(nodes=(1, 2), gateways=(1, 2), dual=True)
    server.gateway(3, dual=True, physical_ip=[f"{OWN[4]}/24", f"{OWN[6]}/64"], default_gw=list(NEXT.values()))
    check(server)
    yield server
    server.remove()


class Places:
    """Where packets of pods leave."""

    def __init__(self, world, northd):
        self.world, self.northd, self.verdicts = world, northd, Verdicts(world, northd)

    async def sync(self):
        """Wait until OVN has what the objects say."""
        await self.world.settled()
        await asyncio.to_thread(self.northd.sync)

    def trace(self, pod, destination, ct="new"):
        """The text of ovn-trace for a pod's packet."""
        version = 6 if ":" in destination else 4
        switch = self.world.cluster.pods._pods[pod].node
        router = self.verdicts.mac_of_router(switch.removeprefix("node"))
        return self.verdicts._trace(
            switch,
            pod.replace("/", "_", 1),
            self.world.mac(pod),
            router,
            version,
            self.world.address(pod, version),
            destination,
            443,
            "tcp",
            ct,
        )

    def way(self, pod, destination, ct="new"):
        """The gateway of a packet, and the next hop of its router; None: it does not leave."""
        text = self.trace(pod, destination, ct)
        found = re.search(r'output to "jtor-GR_(\S+)"', text)
        if found is None:
            return None
        beyond = text.split(f'ingress(dp="GR_{found[1]}"')[1].split("egress(")[0]
        hops = re.findall(r"^ +x{0,2}reg0 = (\S+);", beyond, re.MULTILINE)
        return (found[1], hops[-1] if hops else None)

    def ways(self, pod, version=4, times=24):
        """The ways of packets of many connections: OVN selects by a hash, ovn-trace by chance."""
        return {self.way(pod, OUTSIDE[version]) for _n in range(times)}


def run(nb, test):
    """Run a test with pods of two namespaces on two nodes."""

    async def main():
        northd = Northd(nb)
        try:
            async with PolicyWorld(nb) as world:
                world.namespace("a", team="red")
                world.namespace("b", team="blue")
                for number in (1, 2):
                    world.node(number, zone=f"z{number}")
                    for namespace in "ab":
                        world.pod(f"{namespace}/p{number}", number)
                await test(world, Places(world, northd))
        finally:
            northd.remove()

    asyncio.run(asyncio.wait_for(main(), 240))


def test_a_namespace_leaves_by_its_gateway_only(nb):
    """Protects what an administrator has written: both IP versions, a gateway's own address and its next hop; pods of
    other namespaces, and all that stays inside, go as before.
    """

    async def test(world, places):
        await places.sync()
        before = {pod: places.way(pod, OUTSIDE[4]) for pod in ("b/p1", "b/p2")}
        world.route("out", OWN[4], NEXT[6], **TEAM)
        await places.sync()
        for version in (4, 6):
            for pod in ("a/p1", "a/p2"):
                assert places.way(pod, OUTSIDE[version]) == ("node3", NEXT[version])
        assert {pod: places.way(pod, OUTSIDE[4]) for pod in before} == before
        # To pods, to gateways themselves, to probes of next hops.
        assert places.way("a/p1", world.address("b/p2")) is None
        assert places.verdicts.from_pod("a/p1", world.address("b/p2"))
        assert places.verdicts.from_pod("a/p1", world.address("b/p2", 6))
        assert places.way("a/p1", "100.64.0.2")[0] == "node1" and places.way("a/p1", "fd98::3")[0] == "node2"
        assert places.way("a/p1", "100.64.255.253")[0] == "node1"
        status = world.status(ROUTES, "out")
        assert status["status"] == "Success" and any("node3" in one for one in status["messages"])
        # A new pod has it from its first packet on: its port needs the rows.
        world.pod("a/new", 2)
        await places.sync()
        assert places.way("a/new", OUTSIDE[4]) == ("node3", NEXT[4])
        # Labels decide.
        world.namespace("a", team="blue")
        world.namespace("b", team="red")
        await places.sync()
        assert places.way("b/p1", OUTSIDE[4]) == ("node3", NEXT[4])
        world.delete("adminpolicybasedexternalroutes", "out")
        await places.sync()
        assert {pod: places.way(pod, OUTSIDE[4]) for pod in before} == before
        assert world.sets() == {} and rows(world) == []

    run(nb, test)


def rows(world):
    """The routing policies of pinned pods."""
    return [
        row
        for row in world.cluster.replica.rows["Logical_Router_Policy"].values()
        if row.owner is not None and row.owner.type == pins.KIND
    ]


def test_another_router_on_the_gateways_network(nb):
    """Protects manifests that name an external router which is not the gateway's own next hop: packets go to it, and to
    neighbours on the network directly.
    """

    async def test(world, places):
        world.route("out", *OTHER.values(), **TEAM)
        await places.sync()
        for version in (4, 6):
            assert places.way("a/p1", OUTSIDE[version]) == ("node3", OTHER[version])
        assert places.way("a/p1", "10.66.0.7") == ("node3", "ip4.dst")
        assert places.way("b/p1", "10.66.0.7")[0] in ("node1", "node2", "node3")
        # Beside the gateway's own: a part of the connections each.
        world.route("out", OTHER[4], OWN[4], **TEAM)
        await places.sync()
        assert places.ways("a/p1") == {("node3", OTHER[4]), ("node3", NEXT[4])}

    run(nb, test)


@pytest.mark.parametrize("version", [4, 6])
def test_gateways_that_are_away(nb, version):
    """Protects pinned pods from leaving by another gateway: a next hop that is in no network, a gateway that is dead
    or removed. Of several ways the living ones are used, and without ``bfdEnabled`` a single gateway stays the way.
    """

    async def test(world, places):
        world.route("out", "198.51.100.7" if version == 4 else "2001:db8:7::7", **TEAM)
        await places.sync()
        assert places.way("a/p1", OUTSIDE[version]) is None
        assert places.way("a/p1", OUTSIDE[10 - version]) is not None
        assert world.status(ROUTES, "out")["status"] == "Fail"
        assert places.verdicts.from_pod("a/p1", world.address("b/p2", version))
        # Two gateways hold it: both are used, then the one that lives.
        world.route("out", (COMMON[version], True), **TEAM)
        await places.sync()
        assert {way[0] for way in places.ways("a/p1", version)} == {"node1", "node2"}
        check(nb, "node1")
        await settle(world, places)
        assert {way[0] for way in places.ways("a/p1", version, 8)} == {"node2"}
        check(nb, "node1", "node2")
        await settle(world, places)
        assert places.way("a/p1", OUTSIDE[version]) is None
        assert "carries no" in world.status(ROUTES, "out")["messages"][0]
        # What is not watched stays where it was pinned.
        world.route("out", COMMON[version], **TEAM)
        await places.sync()
        assert {way[0] for way in places.ways("a/p1", version)} == {"node1", "node2"}
        check(nb)
        world.route("out", (COMMON[version], True), (OWN[version], True), **TEAM)
        await settle(world, places)
        assert {way[0] for way in places.ways("a/p1", version, 48)} == {"node1", "node2", "node3"}
        # Gateways go.
        world.route("out", OWN[version], **TEAM)
        await places.sync()
        nb.remove_gateway("node3")
        check(nb)
        await settle(world, places)
        assert places.way("a/p1", OUTSIDE[version]) is None and places.way("b/p1", OUTSIDE[version]) is not None
        assert any("in no gateway's network" in one for one in world.status(ROUTES, "out")["messages"])

    run(nb, test)


async def settle(world, places):
    """Wait until the watcher has heard of what others have written, and OVN has what follows."""
    reference = len(world.nb.rows("Logical_Router_Policy"))
    for _n in range(500):
        await world.settled()
        marks = {row["name"]: dict(row["external_ids"][1]) for row in world.nb.rows("Logical_Router")}
        known = world.cluster.replica.rows["Logical_Router"].values()
        if {row.name: dict(row.columns["external_ids"]) for row in known} == marks:
            break
        await asyncio.sleep(0.01)
    else:
        raise AssertionError(f"the watcher does not hear of {reference} rows")
    await places.sync()


def test_the_pods_of_a_node(nb):
    """Protects a node's pods, and its host: the host's own packets, probes among them, are not pinned. A namespace's
    pin comes before its node's.
    """

    async def test(world, places):
        world.route("node", *OWN.values(), nodeSelector={"matchLabels": {"zone": "z2"}})
        await places.sync()
        for version in (4, 6):
            assert places.way("a/p2", OUTSIDE[version]) == ("node3", NEXT[version])
        host = ["k8s-node2", "0a:58:c0:a8:02:02", "192.168.2.2"]
        router = places.verdicts.mac_of_router(2)
        text = places.northd.trace(
            "node2",
            f'inport == "{host[0]}" && eth.src == {host[1]} && eth.dst == {router} && ip4.src == {host[2]} && '
            "ip4.dst == 203.0.113.1 && ip.ttl == 64 && udp",
        )
        assert "priority 50, uuid" not in "".join(re.findall(r"lr_in_policy \(.*", text))
        world.route("out", COMMON[4], namespaceSelector={"matchLabels": {"team": "red"}})
        await places.sync()
        assert {way[0] for way in places.ways("a/p2", 4)} == {"node1", "node2"}
        assert places.way("a/p2", OUTSIDE[6]) == ("node3", NEXT[6])  # of which the namespace's says nothing
        assert places.way("b/p2", OUTSIDE[4])[0] == "node3"
        world.node(2, zone="z9")
        await places.sync()
        assert [row.owner.name for row in rows(world)] == ["namespace/a"]

    run(nb, test)


def test_two_objects_for_one_namespace(nb):
    """Protects the order of objects: the older one counts, the other one says so, and takes over when it goes."""

    async def test(world, places):
        world.route("young", COMMON[4], created="2026-02-02T00:00:00Z", namespaceSelector={})
        world.route("old", OWN[4], created="2026-01-01T00:00:00Z", **TEAM)
        await places.sync()
        assert places.way("a/p1", OUTSIDE[4])[0] == "node3"
        assert {way[0] for way in places.ways("b/p1")} == {"node1", "node2"}
        assert world.status(ROUTES, "old")["status"] == "Success"
        young = world.status(ROUTES, "young")
        assert young["status"] == "Fail" and young["messages"][0] == "namespace a is pinned by old, which is older"
        world.delete("adminpolicybasedexternalroutes", "old")
        await places.sync()
        assert {way[0] for way in places.ways("a/p1")} == {"node1", "node2"}
        assert world.status(ROUTES, "young")["status"] == "Success"

    run(nb, test)


def test_a_watcher_that_begins_anew(nb):
    """Protects pinned pods over restarts: nothing is written where nothing has changed, statuses neither; what was
    deleted meanwhile goes, and what may not be read stays.
    """

    async def first(world, places):
        world.route("out", *OWN.values(), **TEAM)
        await places.sync()

    run(nb, first)
    left = sorted(row["match"] for row in nb.rows("Logical_Router_Policy"))

    async def second(world, places):
        told = {"status": "Success", "messages": [f"next hop {OWN[4]}: by gateway node3", ""]}
        told["messages"][1] = f"next hop {OWN[6]}: by gateway node3"
        world.route("out", *OWN.values(), told=told, **TEAM)
        await places.sync()
        assert sorted(row["match"] for row in nb.rows("Logical_Router_Policy")) == left
        assert world.api.statuses == {}
        before = world.cluster.engine.transactions
        world.begin()
        await places.sync()
        assert world.cluster.engine.transactions == before and world.api.statuses == {}

    run(nb, second)

    async def third(world, places):
        world.cluster.informers["adminpolicybasedexternalroutes"].is_forbidden = True
        world.begin()
        await places.sync()
        assert len(rows(world)) == 2
        assert places.way("a/p1", OUTSIDE[4]) == ("node3", NEXT[4])  # the set is still there, too
        world.cluster.informers["adminpolicybasedexternalroutes"].is_forbidden = False
        world.begin()
        await places.sync()
        assert rows(world) == [] and world.sets() == {}

    run(nb, third)


def test_events_cost_what_they_change(nb):
    """Protects large clusters: a pod touches its set only, whatever is pinned; an object that other pods are for is
    not planned again.
    """

    async def test(world, places):
        for number in range(20):
            world.namespace(f"n{number}", team="red" if number else "blue")
        world.route("out", *OWN.values(), **TEAM)
        await places.sync()
        assert len(rows(world)) == 2 * 20
        planned = []
        desired = world.cluster.egress.pins.desired
        world.cluster.egress.pins.desired = lambda name: planned.append(name) or desired(name)
        world.pod("n7/x", 1)
        world.pod("a/p1", 1, color="green")
        await places.sync()
        assert planned == []
        world.namespace("n0", team="red")
        await places.sync()
        assert set(planned) == {"namespace/n0"}

    run(nb, test)
