# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects clusters by cluster network policies: what real OVN makes of the watcher's rows, in every order of tiers."""

from __future__ import annotations

import asyncio

import pytest
from policy_world import HAS_TIERS, PolicyWorld, Verdicts

WEB, CLIENT, FRIEND, STRANGER = "a/web", "a/client", "b/friend", "b/stranger"
EVERYONE = {WEB, CLIENT, FRIEND, STRANGER}
ALL = {"namespaces": {}}
with_tiers = pytest.mark.skipif(
    not HAS_TIERS, reason="OVN 23.03 has no tiers: $OVN_KUBERNETES_OVS may name newer programs"
)


def of_namespace(name):
    """What selects the pods of a namespace."""
    return {"namespaces": {"matchLabels": {"team": name}}}


def rule(action, peer=None, field="from", **more):
    """A rule about all pods, or a peer."""
    return {"action": action, field: [peer or ALL], **more}


def tcp(number):
    """Protocols: one port."""
    return [{"tcp": {"destinationPort": {"number": number}}}]


def run(nb, northd, test):
    """Run a test with namespaces a and b, two pods in each, on different nodes."""

    async def main():
        async with PolicyWorld(nb) as world:
            world.namespace("a", team="a")
            world.namespace("b", team="b")
            world.pod(WEB, 1, [("http", 8080)], app="web")
            world.pod(CLIENT, 1, app="client")
            world.pod(FRIEND, 2, [("http", 9090)], app="friend")
            world.pod(STRANGER, 2, app="stranger")
            world.node(1, "10.55.0.1", role="edge")
            world.node(2, "10.55.0.2")
            await world.settled()
            await test(world, Verdicts(world, northd))

    asyncio.run(asyncio.wait_for(main(), 600))


async def sync(world, northd):
    """Wait until OVN has what the objects say."""
    await world.settled()
    await asyncio.to_thread(northd.sync)


def who(world, verdicts, target=WEB, version=4, **more):
    """The pods that reach a pod."""
    return {one for one in EVERYONE - {target} if verdicts.from_pod(one, world.address(target, version), **more)}


def conditions(world):
    """Name -> status and reason of the condition that was written last."""
    found = {}
    for path, body in world.api.applied:
        (one,) = body["status"]["conditions"]
        assert path.endswith(f"/v1beta1/clusternetworkpolicies/{body['metadata']['name']}/status")
        found[body["metadata"]["name"]] = (one["status"], one["reason"])
    return found


@with_tiers
def test_the_order_of_tiers(nb, northd):
    """Protects the API's order: a Deny of Admin holds against a NetworkPolicy that allows, an Accept against one that
    isolates; Pass leaves it to NetworkPolicies, and where none is about a pod to Baseline; Baseline says nothing of a
    pod that a NetworkPolicy isolates, and without any of them pods reach each other. The own node always passes.
    """

    async def test(world, verdicts):
        others = EVERYONE - {WEB}

        async def reach():
            await sync(world, northd)
            assert verdicts.from_node(1, WEB)
            found = who(world, verdicts)
            assert found == who(world, verdicts, version=6)
            return found

        allow_b = {"podSelector": {}, "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"team": "b"}}}]}]}
        assert await reach() == others
        world.cluster_policy("base", "Baseline", ingress=[rule("Accept", of_namespace("a")), rule("Deny")])
        assert await reach() == {CLIENT}
        world.policy("a/np", **allow_b)
        assert await reach() == {FRIEND, STRANGER}
        assert who(world, verdicts, FRIEND) == {WEB, CLIENT}  # its namespace has no NetworkPolicy: Baseline
        world.cluster_policy("deny", "Admin", 10, ingress=[rule("Deny", of_namespace("b"))])
        assert await reach() == set()
        world.cluster_policy("pass", "Admin", 5, ingress=[rule("Pass", of_namespace("b"))])
        assert await reach() == {FRIEND, STRANGER}
        world.delete("networkpolicies", "a/np")
        assert await reach() == {CLIENT}
        world.policy("a/np", podSelector={})
        assert await reach() == set()
        world.cluster_policy("accept", "Admin", 1, ingress=[rule("Accept", protocols=tcp(80))])
        assert await reach() == others
        assert who(world, verdicts, port=81) == set()
        world.cluster_policy("accept", "Admin", 11, ingress=[rule("Accept")])
        assert await reach() == {CLIENT}
        # A rule comes before the next one of its policy.
        world.cluster_policy("first", "Admin", 0, ingress=[rule("Accept", of_namespace("b")), rule("Deny")])
        assert await reach() == {FRIEND, STRANGER}
        world.cluster_policy("first", "Admin", 0, ingress=[rule("Deny"), rule("Accept", of_namespace("b"))])
        assert await reach() == set()
        assert set(conditions(world).values()) == {("True", "Enforced")}
        for name in ("base", "deny", "pass", "accept", "first"):
            world.delete("clusternetworkpolicies", name)
        world.delete("networkpolicies", "a/np")
        assert await reach() == others
        assert world.groups() == {} and world.sets() == {} and world.acls("ClusterNetworkPolicy") == []

    run(nb, northd, test)


@with_tiers
def test_egress_and_peers(nb, northd):
    """Protects what pods send: to pods by namespace and labels, nodes by their own labels and addresses, networks, and
    ports by name; a service is judged by its endpoint, and what both ends say counts.
    """

    async def test(world, verdicts):
        world.service("b/friend", "10.96.0.10", 80, FRIEND, target=9090)
        web = {"matchLabels": {"app": "web"}}
        subject = {"pods": {"namespaceSelector": {"matchLabels": {"team": "a"}}, "podSelector": web}}
        friend = {"pods": {"podSelector": {"matchLabels": {"app": "friend"}}}}
        rules = [
            rule("Accept", friend, "to", protocols=[{"destinationNamedPort": "http"}]),
            rule("Accept", {"nodes": {"matchLabels": {"role": "edge"}}}, "to", protocols=tcp(6443)),
            rule("Accept", {"networks": ["203.0.113.0/24"]}, "to"),
            rule("Deny", {"networks": ["0.0.0.0/0", "::/0"]}, "to"),
        ]
        world.cluster_policy("out", subject=subject, egress=rules)
        await sync(world, northd)

        def to(address, **more):
            return verdicts.from_pod(WEB, address, **more)

        assert to(world.address(FRIEND), port=9090) and not to(world.address(FRIEND), port=80)
        assert to("10.96.0.10", reaches=FRIEND) and not to(world.address(STRANGER), port=9090)
        assert to("10.55.0.1", port=6443) and not to("10.55.0.1", port=22)
        second = {"port": 6443, "reaches": "k8s-node2"}  # a host's own address beside its gateway
        assert not to("10.55.0.2", **second) and verdicts.from_pod(CLIENT, "10.55.0.2", **second)
        assert to("203.0.113.9") and not to("203.0.112.9") and not to("fd77::9")
        assert to("192.168.1.2", reaches="k8s-node1")
        assert verdicts.from_pod(CLIENT, world.address(STRANGER))
        world.node(2, "10.55.0.2", role="edge")
        world.node(1, "10.55.0.11", role="edge")
        await sync(world, northd)
        assert to("10.55.0.2", **second) and to("10.55.0.11", port=6443, reaches="k8s-node1")
        assert not to("10.55.0.1", port=6443)
        # Labels of namespaces and pods change.
        world.namespace("a", team="other")
        await sync(world, northd)
        assert to(world.address(STRANGER), port=9090)
        world.namespace("a", team="a")
        world.pod(STRANGER, 2, [("http", 7070)], app="friend")
        await sync(world, northd)
        assert to(world.address(STRANGER), port=7070) and not to(world.address(STRANGER), port=9090)
        # What may be sent may still be denied where it comes.
        world.cluster_policy("in", subject=friend, ingress=[rule("Deny")])
        await sync(world, northd)
        assert not to(world.address(FRIEND), port=9090)

    run(nb, northd, test)


@pytest.mark.skipif(HAS_TIERS, reason="only OVN 23.03 has no tiers")
def test_without_tiers(nb, northd):
    """Protects whoever relies on a policy that can't be enforced: OVN 23.03 has no tiers, so the object says in its
    condition that it is not enforced, no row is written, and NetworkPolicies are served as before.
    """

    async def test(world, verdicts):
        world.cluster_policy("deny", ingress=[rule("Deny")])
        world.policy("a/np", podSelector={}, ingress=[{"from": [{"podSelector": {}}]}])
        await sync(world, northd)
        assert conditions(world) == {"deny": ("False", "NotSupported")}
        assert world.acls("ClusterNetworkPolicy") == []
        assert who(world, verdicts) == {CLIENT} and verdicts.from_pod(CLIENT, world.address(FRIEND))
        assert world.cluster.policies.has_tiers() is False

    run(nb, northd, test)


@with_tiers
def test_policies_that_move_into_their_tier(nb, northd):
    """Protects pods while ACLs move: rows of an earlier watcher, which are in the first tier, are moved without a
    moment in which a pod is open, or in which something that is allowed is cut.
    """

    async def test(world, verdicts):
        for number in range(3):
            selector = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "friend"}}}
            world.policy(f"a/p{number}", podSelector={}, ingress=[{"from": [selector]}] if number else [])
        await sync(world, northd)
        assert who(world, verdicts) == {FRIEND}
        rows = rows_of(world)
        world.cluster.engine.stop()
        nb.transact(
            *(
                {"op": "update", "table": "ACL", "where": [["_uuid", "==", ["uuid", row.uuid]]], "row": {"tier": 0}}
                for row in rows
            )
        )
        while any(row.columns["tier"] for row in rows_of(world)):
            await asyncio.sleep(0.01)
        seen = []
        world.cluster.engine._on_transaction = lambda *_figures: seen.append(order(world))
        world.begin()
        await sync(world, northd)
        assert {row.columns["tier"] for row in rows_of(world)} == {2}
        assert who(world, verdicts) == {FRIEND}
        # Never something that isolates in an earlier tier than something that allows, once the first one has moved.
        assert seen and all(first <= 0 or not drops for first, drops in seen)

    def rows_of(world):
        rows = world.cluster.replica.rows["ACL"].values()
        return [row for row in rows if row.owner and row.owner.type == "NetworkPolicy"]

    def order(world):
        """How many rules have moved, and how many drops have not."""
        allowed = sum(row.columns["tier"] == 2 for row in rows_of(world) if row.columns["action"] != "drop")
        return allowed, sum(row.columns["tier"] == 0 for row in rows_of(world) if row.columns["action"] == "drop")

    run(nb, northd, test)


@with_tiers
def test_a_crowded_name_of_a_port(nb, northd):
    """Protects the cluster from pods of one tenant that have more numbers for a port's name than are served: a Deny
    about the name denies its own peers those pods with the other numbers, nobody else, and nothing of other pods but
    their port.
    """

    async def test(world, verdicts):
        named = {"protocols": [{"destinationNamedPort": "http"}]}
        world.cluster_policy("p", ingress=[rule("Deny", of_namespace("b"), **named)])
        world.namespace("c")
        for number in range(32):
            world.pod(f"c/p{number}", 2, [("http", 20000 + number)])
        await sync(world, northd)
        # The numbers of web and friend were there first; two of the tenant's are not served.
        crowded = [f"c/p{number}" for number in (30, 31)]
        assert conditions(world)["p"] == ("False", "PartRefused")
        assert who(world, verdicts, port=8080) == {CLIENT} and who(world, verdicts, port=3306) == EVERYONE - {WEB}
        assert who(world, verdicts, "c/p0", port=20000) == {WEB, CLIENT}
        assert who(world, verdicts, "c/p0", port=80) == EVERYONE
        for key in crowded:
            for port in (80, 20030, 20031):
                assert who(world, verdicts, key, port=port) == {WEB, CLIENT}
            assert who(world, verdicts, key, port=80, protocol="udp") == EVERYONE
        # Where there is room for all numbers again each port is denied, and no more.
        for number in (0, 1):
            world.delete("pods", f"c/p{number}")
        await sync(world, northd)
        assert conditions(world)["p"] == ("True", "Enforced")
        assert who(world, verdicts, crowded[0], port=80) == EVERYONE
        assert who(world, verdicts, crowded[0], port=20030) == {WEB, CLIENT}

    run(nb, northd, test)


@with_tiers
def test_a_policy_that_cannot_move(nb, northd):
    """Protects from an Admin Deny that does not hold and says that it does: a network policy whose rows can't be
    written keeps no other one's rules before it, and while something is left there each condition says so.
    """

    async def test(world, verdicts):
        world.policy("a/np", podSelector={"matchLabels": {"app": "web"}}, ingress=[{}])
        world.policy("b/stuck", podSelector={}, ingress=[{}])
        await sync(world, northd)
        world.cluster.engine.stop()
        rows = [row for row in world.cluster.replica.rows["ACL"].values() if row.columns["tier"] == 2 and row.owner]
        rows = [row for row in rows if row.owner.type == "NetworkPolicy"]
        nb.transact(
            *(
                {"op": "update", "table": "ACL", "where": [["_uuid", "==", ["uuid", row.uuid]]], "row": {"tier": 0}}
                for row in rows
            )
        )
        acls = world.cluster.replica.rows["ACL"]
        while any(acls[row.uuid].columns["tier"] for row in rows):
            await asyncio.sleep(0.01)
        desired = world.cluster.policies.desired
        broken = ["b/stuck"]

        def fails(key):
            if key in broken:
                raise ValueError("whatever keeps it from being planned")
            return desired(key)

        world.cluster.policies.desired = fails
        world.cluster_policy("deny", ingress=[rule("Deny")])
        world.begin()
        await sync(world, northd)
        assert who(world, verdicts) == set()
        assert conditions(world) == {"deny": ("False", "NotEnforced")}
        assert "b/stuck" in world.api.applied[-1][1]["status"]["conditions"][0]["message"]
        broken.clear()
        world.cluster.engine.mark("NetworkPolicy", "b/stuck")
        await sync(world, northd)
        assert conditions(world) == {"deny": ("True", "Enforced")} and who(world, verdicts, FRIEND) == set()

    run(nb, northd, test)


def test_its_own_condition(nb, northd):
    """Protects the cost of a condition: the watcher's own words come back with the object, and nothing is planned for
    them; where somebody else changes them, they are written again.
    """

    async def test(world, _verdicts):
        spec = {"tier": "Admin", "priority": 0, "subject": {"namespaces": {}}, "ingress": [rule("Deny")]}
        world.put("clusternetworkpolicies", "", "deny", spec=spec)
        await world.settled()
        planned, desired = [], world.cluster.policies.desired
        world.cluster.policies.desired = lambda key: planned.append(key) or desired(key)
        (told,) = world.api.applied[-1][1]["status"]["conditions"]
        count = len(world.api.applied)
        world.put("clusternetworkpolicies", "", "deny", spec=spec, status={"conditions": [told]})
        await world.settled()
        assert planned == [] and len(world.api.applied) == count
        other = {**told, "message": "all is well"}
        world.put("clusternetworkpolicies", "", "deny", spec=spec, status={"conditions": [other]})
        await world.settled()
        assert planned == ["deny"] and world.api.applied[-1][1]["status"]["conditions"] == [told]

    run(nb, northd, test)
