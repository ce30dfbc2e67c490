# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who is in which group and set: at each moment of a churn, after it, and whatever others write there.

What the churn does follows from a seed, which the test's name has. ``POLICY_SEEDS=1-200`` runs so many, and
``POLICY_SEEDS=17`` repeats one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random

import pytest
from policy_world import PolicyWorld

from ansible_collections.ovn.kubernetes.plugins.module_utils._pods import static_pods
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import looks as policies_looks
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import shared as policies_shared
from ansible_collections.ovn.kubernetes.plugins.module_utils._reconcile.planning import NotReady

NAMESPACES, APPS, TEAMS = ("a", "b", "c"), ("web", "db", "job"), ("red", "blue")


def run(nb, test, **options):
    """Run a test with a watcher that acts."""

    async def main():
        async with PolicyWorld(nb, **options) as world:
            await test(world)

    asyncio.run(asyncio.wait_for(main(), 240))


def selector(dice):
    """Some selector."""
    return dice.choice(
        [
            {},
            {"matchLabels": {"app": dice.choice(APPS)}},
            {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": [dice.choice(APPS)]}]},
            {"matchExpressions": [{"key": "app", "operator": "In", "values": list(APPS[:2])}]},
            {"matchExpressions": [{"key": "old", "operator": dice.choice(["Exists", "DoesNotExist"])}]},
        ]
    )


def peer(dice):
    """Some peer."""
    teams = [
        {},
        {"matchLabels": {"team": dice.choice(TEAMS)}},
        {"matchExpressions": [{"key": "x", "operator": "Exists"}]},
    ]
    return dice.choice(
        [
            {"podSelector": selector(dice)},
            {"namespaceSelector": dice.choice(teams)},
            {"namespaceSelector": dice.choice(teams), "podSelector": selector(dice)},
            {"ipBlock": {"cidr": "192.168.0.0/16", "except": ["192.168.2.0/24"]}},
        ]
    )


def spec(dice):
    """Some policy."""
    ports = dice.choice([[], [{"port": 80}], [{"port": "http"}], [{"port": "http", "protocol": "UDP"}, {"port": 9}]])
    rules = [{"from": [peer(dice)], "to": [peer(dice)], "ports": ports} for _n in range(dice.randint(0, 2))]
    return {
        "podSelector": selector(dice),
        "policyTypes": dice.choice([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
        "ingress": rules,
        "egress": rules,
    }


class Objects:
    """What there is, kept apart from what is tested."""

    def __init__(self, world, dice):
        self.world, self.dice = world, dice
        self.pods, self.teams, self.policies = {}, {}, {}
        for name in NAMESPACES:
            self.team(name, dice.choice(TEAMS))

    def team(self, name, team):
        """Label a namespace."""
        self.teams[name] = {"team": team}
        self.world.namespace(name, team=team)

    def pod(self, key):
        """Make a pod, or change its labels."""
        labels = {"app": self.dice.choice(APPS), **({"old": "y"} if self.dice.random() < 0.3 else {})}
        before = self.pods.get(key)
        node = before[0] if before else self.dice.choice([1, 2])
        ports = before[2] if before else self.dice.choice([(), (("http", 80),), (("http", 8080, "UDP"), ("x", 9))])
        self.pods[key] = node, labels, ports
        self.world.pod(key, node, ports, **labels)

    def step(self):
        """Something happens."""
        dice, kind = self.dice, self.dice.random()
        pod, policy = (f"{dice.choice(NAMESPACES)}/{what}{dice.randint(0, 9)}" for what in "pn")
        if kind < 0.45:
            self.pod(pod)
        elif kind < 0.65:
            if self.pods.pop(pod, None):
                self.world.delete("pods", pod)
                self.world.cluster.pods.addresses.table._next.clear()  # the next pod gets the same address
        elif kind < 0.75:
            self.team(dice.choice(NAMESPACES), dice.choice(TEAMS))
        elif kind < 0.92:
            self.policies[policy] = spec(dice)
            self.world.policy(policy, **self.policies[policy])
        elif self.policies.pop(policy, None):
            self.world.delete("networkpolicies", policy)

    def members(self, shared):
        """The pods of a group or set, by a look at all."""
        key, found = shared.key, set()
        for pod, (_node, labels, ports) in self.pods.items():
            namespace = pod.split("/")[0]
            part = getattr(key, "namespaces", None) or getattr(key, "namespace", None)
            inside = part == namespace if isinstance(part, str) else part.matches(self.teams[namespace])
            named = {(one[0], one[1], (*one, "TCP")[2].lower()) for one in ports}
            port = key.port and (key.port.name, key.port.number, key.port.protocol)
            if inside and key.pods.matches(labels) and (port is None or port in named):
                found.add(pod)
        return found

    def check(self):
        """:raises AssertionError: unless all groups and sets have exactly their members."""
        replica, used = self.world.cluster.replica, set()
        for shared in self.world.cluster.policies.index.all():
            if not shared.users:
                continue
            if shared.kind == "PolicyPods":
                used.add(shared.group)
                row = replica.named("Port_Group", shared.group)
                ports = {self.world.port(pod).uuid for pod in self.members(shared)}
                assert row.columns["ports"] == ports, shared.key
            elif hasattr(shared.key, "namespaces"):
                for version in (4, 6):
                    used.add(shared.set_name(version))
                    row = replica.named("Address_Set", shared.set_name(version))
                    expected = {self.world.address(pod, version) for pod in self.members(shared)}
                    if shared.key.networks:
                        expected = {ip for ip in expected if ip.startswith("192.168.") and ip[8] != "2"}
                    assert row.columns["addresses"] == expected, (shared.key, version)
            else:
                used.update(map(shared.set_name, shared.versions))
        rows = [*replica.rows["Port_Group"].values(), *replica.rows["Address_Set"].values()]
        assert {row.name for row in rows if row.owner.type.startswith("Policy")} == used
        policies = {row.owner.name for row in replica.rows["ACL"].values() if row.owner.type == "NetworkPolicy"}
        assert policies == set(self.policies)


def watch_new_ports(world):
    """Note each port that is not in the groups that isolate it, and in no wrong set, from its first moment; the notes.

    What has changed while the transaction was under way is left out, and so are groups of named ports: they only let
    something through, and a policy that is planned together with the pod may find the number afterwards.
    """
    wrong, seen, planned = [], [], {}
    replica, membership = world.cluster.replica, world.cluster.pods.policies
    on_change, rows = replica._on_change, membership.rows

    def plan(pod, addresses):
        planned[pod.key] = world.versions
        return rows(pod, addresses)

    membership.rows = plan

    def check(name):
        row = replica.named("Logical_Switch_Port", name)
        pod = world.cluster.pods._pods.get(name.replace("_", "/", 1))
        if row is None or pod is None or planned[pod.key] != world.versions:
            return
        seen.append(name)
        index, addresses = world.cluster.policies.index, row.columns["addresses"].split()[1:]
        for shared in index.groups_of(pod):
            group = replica.named("Port_Group", shared.group)
            if shared.port is None and group is not None and row.uuid not in group.columns["ports"]:
                wrong.append((name, shared.key))
        named = {shared.set_name(6 if ":" in ip else 4) for shared in index.sets_of(pod) for ip in addresses}
        for address in addresses:
            for held in replica.holders("Address_Set", address):
                if held.owner.type == "PolicyPeers" and held.name not in named:
                    wrong.append((name, address, held.name))

    def changed(table, old, new):
        on_change(table, old, new)
        if table == "Logical_Switch_Port" and old is None and new.owner is not None and new.owner.type == "Pod":
            asyncio.get_running_loop().call_soon(check, new.name)

    replica._on_change = changed
    return wrong, seen


def seeds():
    """The seeds to run."""
    first, _dash, last = os.environ.get("POLICY_SEEDS", "0-5").partition("-")
    return range(int(first), int(last or first) + 1)


@pytest.mark.parametrize("seed", seeds())
def test_a_churn_of_everything(nb, seed):
    """Protects membership: pods, labels, namespaces and policies come, change and go as fast as they can, and addresses
    are used again at once. No port is ever without its groups, no address in a set of its last holder, and in the end
    each group and set has exactly its members; nothing is left when all has gone.
    """

    async def test(world):
        dice = random.Random(seed)
        objects, (wrong, seen) = Objects(world, dice), watch_new_ports(world)
        for _round in range(25):
            for _step in range(dice.randint(1, 12)):
                objects.step()
            if dice.random() < 0.5:
                await asyncio.sleep(dice.random() / 50)
            else:
                await world.settled()
                objects.check()
        await world.settled()
        objects.check()
        assert wrong == [] and seen
        # Who begins anew has nothing to write.
        before = world.cluster.engine.transactions
        world.begin()
        await world.settled()
        assert world.cluster.engine.transactions == before
        for key in list(objects.policies):
            world.delete("networkpolicies", key)
        await world.settled()
        assert world.groups() == {} and world.sets() == {} and world.acls() == []
        assert world.cluster.policies.index.all() == [] and not world.cluster.policies._used
        assert world.cluster.engine.failing == {}

    run(nb, test)


def test_what_others_write(nb):
    """Protects policies from whoever changes their rows: members that are taken out or put in, networks, rules, whole
    groups and sets are as before a moment later. A port that somebody else has added stays.
    """

    async def test(world):
        world.namespace("a", team="red")
        world.pod("a/web", 1, app="web")
        world.pod("a/other", 1, app="other")
        rule = {"from": [{"podSelector": {"matchLabels": {"app": "web"}}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]}
        world.policy("a/p", podSelector={"matchLabels": {"app": "web"}}, ingress=[rule])
        await world.settled()
        ours = [["external_ids", "includes", ["map", [["k8s.ovn.org/owner-type", "PolicyPeers"]]]]]
        groups = [["external_ids", "includes", ["map", [["k8s.ovn.org/owner-type", "PolicyPods"]]]]]
        replica = world.cluster.replica
        other = ["uuid", replica.named("Logical_Switch_Port", "a_other").uuid]
        router = ["uuid", replica.named("Logical_Switch_Port", "stor-node1").uuid]
        before = (world.groups(), world.sets(), world.acls(), world.acls("PolicyPods"), world.acls("PolicyNode"))

        async def broken(*operations):
            written = world.cluster.engine.transactions
            await asyncio.to_thread(nb.transact, *operations)

            def now():
                return (world.groups(), world.sets(), world.acls(), world.acls("PolicyPods"), world.acls("PolicyNode"))

            async def mended():
                while world.cluster.engine.transactions == written or now() != before:
                    await asyncio.sleep(0.001)

            await asyncio.wait_for(mended(), 20)

        def mutate(table, where, column, kind, *values):
            mutation = [column, kind, ["set", list(values)]]
            return {"op": "mutate", "table": table, "where": where, "mutations": [mutation]}

        await broken(mutate("Address_Set", ours, "addresses", "insert", "192.168.1.77", world.address("a/other")))
        await broken(mutate("Address_Set", ours, "addresses", "delete", world.address("a/web"), "10.0.0.0/8"))
        await broken(mutate("Port_Group", groups, "ports", "insert", other))
        await broken({"op": "update", "table": "Port_Group", "where": groups, "row": {"ports": ["set", []]}})
        await broken({"op": "delete", "table": "Address_Set", "where": ours})
        await broken({"op": "delete", "table": "Port_Group", "where": groups})
        await broken({"op": "update", "table": "ACL", "where": [], "row": {"match": "0"}})
        await broken({"op": "update", "table": "Logical_Switch", "where": [], "row": {"acls": ["set", []]}})
        nb.transact(mutate("Port_Group", groups, "ports", "insert", router))
        world.pod("a/web", 1, app="web", more="x")
        await asyncio.sleep(0.2)
        await world.settled()
        assert "stor-node1" in next(iter(world.groups().values()))

    run(nb, test)


def test_what_an_earlier_watcher_left(nb):
    """Protects a watcher that begins: what was deleted while nobody acted goes, also an address that no pod has."""

    async def test(world):
        world.namespace("a", team="red")
        world.pod("a/web", 1, app="web")
        world.policy("a/p", podSelector={}, ingress=[{"from": [{"podSelector": {}}]}])
        world.policy("a/q", podSelector={"matchLabels": {"app": "web"}})
        await world.settled()
        address = world.address("a/web")
        world.cluster.engine.stop()
        world.delete("networkpolicies", "a/q")
        world.delete("pods", "a/web")
        nb.transact(
            {
                "op": "update",
                "table": "Logical_Switch",
                "where": [["name", "==", "node1"]],
                "row": {"ports": ["set", []]},
            }
        )
        while world.port("a/web") is not None:
            await asyncio.sleep(0.005)
        assert any(address in found for found in world.sets().values())
        world.begin()
        while world.groups() != {("a", "pods="): set()} or set().union(*world.sets().values()):
            await asyncio.sleep(0.005)
        assert len(world.acls()) == 3

    run(nb, test)


@contextlib.contextmanager
def not_planned(world):
    """No policy can be planned."""
    policies = world.cluster.policies
    desired = policies.desired

    def refuse(_key):
        raise NotReady("not now", keeps_rows=True)

    policies.desired = refuse
    try:
        yield
    finally:
        policies.desired = desired


def test_isolation_lasts_until_its_policy_is_written(nb):
    """Protects pods while a watcher that begins can't write a policy: what isolates them stays, however long, also
    where the policy says its selector otherwise now; what nobody uses goes when the policy is written.
    """

    async def test(world):
        world.namespace("a")
        world.pod("a/web", 1, [("http", 80)], app="web")
        rules = [{"from": [{"podSelector": {}}], "ports": [{"port": "http"}]}]
        world.policy("a/p", podSelector={"matchLabels": {"app": "web"}}, ingress=rules)
        await world.settled()
        before = world.groups(), world.sets(), world.acls()
        assert len(before[0]) == 2 and len(before[2]) == 3
        world.cluster.engine.stop()
        world.policy("a/p", podSelector={"matchExpressions": [{"key": "app", "operator": "Exists"}]})
        with not_planned(world):
            world.begin()
            for kind, names in (("PolicyPods", world.groups()), ("PolicyPeers", world.sets())):
                assert names
                for name in world.cluster.replica.owners(kind):
                    world.cluster.engine.mark(kind, name)
            await world.settled()
            assert world.acls() == before[2]
            assert before[0].items() <= world.groups().items() and before[1].items() <= world.sets().items()
        world.cluster.engine.mark("NetworkPolicy", "a/p")
        await world.settled()
        assert world.groups() == {("a", "pods=app"): {"a_web"}} and world.sets() == {} and len(world.acls()) == 1

    run(nb, test)


def test_names_of_ports_take_one_look_at_each_peers_pods(nb):
    """Protects the watcher from a policy with many names of ports for many peers: the pods of a peer are looked at once
    for all names, when the policy is planned and not when it comes.
    """

    async def test(world):
        world.namespace("a")
        for number in range(4):
            world.pod(f"a/p{number}", 1, [(f"n{one}", 1000 + one + number) for one in range(5)])
        await world.settled()
        looks, ports = [], world.cluster.policies.index.named_ports
        count = ports.count
        ports.count = lambda shared, *more: looks.append(shared.key) or count(shared, *more)
        peers = [{"podSelector": {"matchExpressions": [{"key": str(n), "operator": "DoesNotExist"}]}} for n in range(9)]
        rule = {"to": peers, "ports": [{"port": f"n{one}"} for one in range(20)]}
        world.policy("a/p", podSelector={}, policyTypes=["Egress"], egress=[rule])
        assert not looks
        await world.settled()
        assert len(looks) == 9 and len(world.acls()) == 1 + 2 * 5 * 4

    run(nb, test)


def test_a_long_look_at_pods_pauses(nb, monkeypatch):
    """Protects everybody from a policy for which many pods must be looked at: others are written meanwhile. The new
    policy isolates before it has counted, one that is there holds, and pods that change during the look are not lost.
    """
    monkeypatch.setattr(policies_looks, "PLANNING_TIME", 0)

    async def test(world):
        world.namespace("a")
        for number in range(4):
            world.pod(f"a/p{number}", 1, [("web", 8080 + number)])
        await world.settled()
        ports = world.cluster.policies.index.named_ports
        count = ports.count
        looks, seen = [], []

        def look(shared, *more):
            looks.append(shared.key)
            seen.append((len(world.acls()), world.port("a/late") is not None))
            if len(looks) == 2:
                world.pod("a/late", 1, [("web", 9090)])
            return count(shared, *more)

        ports.count = look
        peers = [{"podSelector": {"matchExpressions": [{"key": str(n), "operator": "DoesNotExist"}]}} for n in range(9)]
        rule = {"to": peers, "ports": [{"port": "web"}]}
        world.policy("a/p", podSelector={}, policyTypes=["Egress"], egress=[rule])
        await world.settled()
        assert seen[0] == (0, False) and seen[8] == (1, True)  # it isolates, and another pod has its port
        assert len(looks) == 18 and len(world.acls()) == 1 + 2 * 5  # a second look, for the pod that came
        assert {acl[1] for acl in world.acls()} == {"drop", "allow-related"}
        # Its rows hold during another look.
        del looks[:], seen[:]
        world.begin()
        await world.settled()
        assert {count for count, _late in seen} == {11} and len(world.acls()) == 11

    run(nb, test)


def test_too_many_members(nb, monkeypatch):
    """Protects the database from a policy whose many selectors select many pods each: rules beyond what is served allow
    nothing, and the user is told; those before hold, and the pods are isolated.
    """
    monkeypatch.setattr(policies_looks, "MAXIMUM_MEMBERS", 10)
    for module in (policies_looks, policies_shared):
        monkeypatch.setattr(module, "FEW_PODS", 0)

    async def test(world):
        world.namespace("a")
        for number in range(4):
            world.pod(f"a/p{number}", 1)
        await world.settled()

        def rule(number, **namespaces):
            pods = {"matchExpressions": [{"key": f"x{number}", "operator": "DoesNotExist"}]}
            return {"from": [{"podSelector": pods, **namespaces}], "ports": [{"port": number + 1}]}

        rules = [rule(0), rule(1, namespaceSelector={}), rule(2), {"ports": [{"port": 9}]}]
        world.policy("a/p", podSelector={}, ingress=rules)
        await world.settled()
        ports = sorted(one[3].rpartition(" ")[2] for one in world.acls())
        assert ports == ["1", "1", "2", "2", "9", "ip"] and len(world.sets()) == 2
        while not any("more than 10 pods in sum: rules with 1 of its selectors" in one[2] for one in world.api.events):
            await asyncio.sleep(0.005)
        # Members are counted when they come and go: no event of the policy is needed.
        sizes = [one.size for one in world.cluster.policies.index.all() if one.size is not None]
        assert sorted(sizes) == [4, 4, 4]
        world.namespace("b")
        for number in range(2):
            world.pod(f"b/q{number}", 1)
        await world.settled()  # the second selector has 6 now, of which there is room for none
        assert len(world.acls()) == 6 and len(world.sets()) == 2
        for number in range(2):
            world.delete("pods", f"a/p{number}")
            world.delete("pods", f"b/q{number}")
        world.delete("namespaces", "b")
        await world.settled()
        assert len(world.acls()) == 8 and len(world.sets()) == 3
        for number in range(2):
            world.pod(f"a/p{number}", 1)
        await world.settled()
        assert len(world.acls()) == 6 and len(world.sets()) == 2
        # Whoever plans it again finds the same.
        world.begin()
        await world.settled()
        assert len(world.acls()) == 6 and len(world.sets()) == 2
        world.policy("a/p", podSelector={}, ingress=[rule(2)])
        await world.settled()
        assert len(world.acls()) == 3 and len(world.sets()) == 1

    run(nb, test)


def test_names_of_ports_in_networks(nb):
    """Protects a rule for networks from pods elsewhere: only the numbers of pods inside count, also of one that comes,
    and those that are served stay served when there are too many.
    """

    async def test(world):
        world.namespace("a")
        for number in range(40):
            world.pod(f"a/p{number}", 1, [("http", 1000 + number)])
        world.pod("a/inside", 2, [("http", 9999)])
        rule = {"to": [{"ipBlock": {"cidr": "192.168.2.0/24"}}], "ports": [{"port": "http"}]}
        world.policy("a/p", podSelector={}, policyTypes=["Egress"], egress=[rule])
        await world.settled()

        def numbers():
            return {int(one[3].rpartition(" ")[2]) for one in world.acls() if one[1] == "allow-related"}

        assert numbers() == {9999}
        world.pod("a/outside", 1, [("http", 7)])
        world.pod("a/other", 2, [("http", 8)])
        await world.settled()
        assert numbers() == {8, 9999}
        for number in range(60):
            world.pod(f"a/x{number}", 2, [("http", 100 + number // 2)])
        await world.settled()
        assert numbers() == {8, 9999, *range(100, 130)}
        for number in range(3):
            world.pod(f"a/y{number}", 2, [("http", 9)])
        await world.settled()
        assert numbers() == {8, 9999, *range(100, 130)}
        world.delete("pods", "a/other")
        await world.settled()
        assert numbers() == {9, 9999, *range(100, 130)}

    run(nb, test)


def test_a_group_that_is_used_again(nb):
    """Protects pods whose group, and peers whose set, an earlier watcher has left behind: who uses them gets them with
    their members of now.
    """

    async def test(world):
        world.namespace("a")
        world.pod("a/web", 1, app="web")
        world.pod("a/old", 1, app="web")
        spec = {"podSelector": {"matchLabels": {"app": "web"}}}
        spec["ingress"] = [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]
        world.policy("a/p", **spec)
        await world.settled()
        world.cluster.engine.stop()
        world.delete("networkpolicies", "a/p")
        with not_planned(world):
            world.begin()
            await world.settled()
        world.pod("a/new", 1, app="web")
        world.pod("a/old", 1, app="job")
        await world.settled()
        assert len(world.acls()) == 3 and world.groups() == {("a", "pods=app in (web)"): {"a_web", "a_old"}}
        world.policy("a/q", **spec)
        await world.settled()
        assert world.groups() == {("a", "pods=app in (web)"): {"a_web", "a_new"}}
        (members,) = world.sets().values()
        assert members == {world.address(key, version) for key in ("a/web", "a/new") for version in (4, 6)}

    run(nb, test)


def test_a_pod_waits_for_the_labels_of_its_namespace(nb):
    """Protects policies by labels of namespaces: a pod whose namespace is not known yet gets no port; without such
    policies it does.
    """

    async def test(world):
        world.pod("a/first", 1)
        await world.settled()
        assert world.port("a/first") is not None
        world.namespace("b")
        world.pod("b/web", 1)
        world.policy("b/p", podSelector={}, ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"x": "y"}}}]}])
        await world.settled()
        world.pod("a/second", 1)
        await world.settled()
        assert world.port("a/second") is None and world.port("a/first") is not None
        world.namespace("a", x="y")
        await world.settled()
        assert {world.address("a/first"), world.address("a/second")} < set().union(*world.sets().values())

    run(nb, test)


def test_pods_that_have_finished_or_are_on_the_hosts_network(nb):
    """Protects sets from addresses that are nobody's: pods that have finished leave, pods on the host's network never
    come; a pod that is being deleted stays until it is gone.
    """

    async def test(world):
        world.namespace("a")
        world.policy("a/p", podSelector={}, ingress=[{"from": [{"podSelector": {}}]}])
        world.pod("a/job", 1)
        world.put(
            "pods",
            "a",
            "agent",
            spec={"nodeName": "node1", "hostNetwork": True, "containers": []},
            status={"podIP": "x"},
        )
        await world.settled()
        (members,) = world.sets().values()
        assert members == {world.address("a/job"), world.address("a/job", 6)}
        meta = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
        world.put("pods", "a", "job", metadata=meta, spec={"nodeName": "node1", "containers": []})
        await world.settled()
        assert next(iter(world.sets().values())) == members
        world.pod("a/job", 1, phase="Succeeded")
        await world.settled()
        assert world.sets() == {next(iter(world.sets())): set()}

    run(nb, test)


def test_an_event_costs_what_it_changes(nb):
    """Protects large clusters: among many policies and pods each event plans the objects that it changes, and writes no
    more members than come and go.
    """

    async def test(world):
        for name in ("a", "b"):
            world.namespace(name, team=name)
        for number in range(40):
            world.pod(f"{'ab'[number % 2]}/p{number}", number % 2 + 1, app=f"app{number % 4}")
        for number in range(60):
            peers = [
                {
                    "namespaceSelector": {"matchLabels": {"team": "a"}},
                    "podSelector": {"matchLabels": {"n": str(number)}},
                }
            ]
            rules = [{"from": [{"podSelector": {}}], "ports": [{"port": number + 1}]}, {"from": peers}]
            world.policy(f"a/n{number}", podSelector={"matchLabels": {"app": f"app{number % 4}"}}, ingress=rules)
        await world.settled()
        planned, written = [], []
        engine, transact = world.cluster.engine, world.cluster.replica.transact
        plan = engine._plan

        def counted(key):
            planned.append(f"{key}")
            return plan(key)

        async def noted(operations):
            operations = list(operations)
            written.extend(one for one in operations if one["op"] in ("insert", "update", "mutate", "delete"))
            return await transact(operations)

        engine._plan, world.cluster.replica.transact = counted, noted

        async def cost(change):
            planned.clear()
            written.clear()
            change()
            await world.settled()
            return sorted(set(planned)), written

        keys, operations = await cost(lambda: world.pod("a/p0", 1, app="app0", more="x"))
        assert keys == ["pod a/p0"] and operations == []
        keys, operations = await cost(lambda: world.pod("a/p0", 1, app="app2"))
        assert keys == ["pod a/p0"] and len(operations) == 2
        (left,) = (one for one in operations if one["mutations"][0][1] == "delete")
        assert left["table"] == "Port_Group" and len(left["mutations"][0][2][1]) == 1
        keys, operations = await cost(lambda: world.pod("a/new", 1, app="app1", n="7"))
        assert "pod a/new" in keys and len(keys) < 8 and len(operations) < 10, keys
        keys, operations = await cost(lambda: world.namespace("b", team="b", more="x"))
        assert keys == [] and operations == []
        keys, operations = await cost(lambda: world.namespace("b", team="a"))
        assert len(keys) == 20 and all(key.startswith("pod b/") for key in keys) and operations == []
        rules = [{"from": [{"podSelector": {}}], "ports": [{"port": 7}]}]
        keys, operations = await cost(
            lambda: world.policy("a/n6", podSelector={"matchLabels": {"app": "app2"}}, ingress=rules)
        )
        assert [key for key in keys if key.startswith(("networkpolicy", "pod "))] == ["networkpolicy a/n6"]
        assert len(operations) < 8

    run(nb, test)


def test_nothing_is_left_after_removal(nb):
    """Protects whoever removes the overlay: the rows of policies go too, also while no watcher runs."""

    async def test(world):
        world.namespace("a")
        world.pod("a/web", 1, [("http", 80)])
        peers = [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]
        rules = [{"from": peers, "to": peers, "ports": [{"port": "http"}, {"port": 1}]}]
        world.policy("a/p", podSelector={}, policyTypes=["Ingress", "Egress"], ingress=rules, egress=rules)
        await world.settled()
        assert len(world.acls()) == 10

    run(nb, test)
    nb.call("ovn_master_init", dual=True, state="absent")
    assert nb.content() == {}


def test_a_static_pod_whose_copy_is_away(nb):
    """Protects a static pod while its copy at the API server is made anew: its port stays, and so does its isolation,
    also when a watcher begins that knows of the pod only by its port.
    """

    async def test(world):
        world.namespace("a")
        mirror = {"annotations": {"kubernetes.io/config.mirror": "static-uid"}, "labels": {"app": "web"}}
        named = {"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}
        spec = {"nodeName": "node1", "containers": [named]}
        world.put("pods", "a", "web", metadata=mirror, spec=spec)
        world.policy("a/p", podSelector={"matchLabels": {"app": "web"}}, ingress=[{"from": [{"podSelector": {}}]}])
        await world.settled()
        before = world.groups(), world.sets()
        assert before[0] == {("a", "pods=app in (web)"): {"a_web"}}
        world.delete("pods", "a/web")
        await world.settled()
        assert (world.groups(), world.sets()) == before
        # What comes meanwhile knows its labels and its ports.
        world.policy("a/q", podSelector={"matchLabels": {"app": "web"}}, ingress=[{"ports": [{"port": "http"}]}])
        world.policy("a/r", podSelector={"matchExpressions": [{"key": "app", "operator": "Exists"}]})
        await world.settled()
        assert world.groups()[("a", "pods=app")] == {"a_web"} and any(" 8080" in one[3] for one in world.acls())
        world.delete("networkpolicies", "a/q")
        world.delete("networkpolicies", "a/r")
        await world.settled()
        assert (world.groups(), world.sets()) == before
        world.cluster.pods._gone.clear("node1", lambda _key: False)
        world.begin()
        await world.settled()
        assert (world.groups(), world.sets()) == before
        world.cluster.policies.index._away.clear()
        world.begin()
        await world.settled()
        assert (world.groups(), world.sets()) == before

    run(nb, test)


def test_a_set_that_cannot_be_made(nb):
    """Protects pods while sets of peers can't be written: a new policy isolates its pods all the same, new pods get
    their ports, and rules without these peers hold. The user is told. When the sets are there everything is.
    """

    async def test(world):
        world.namespace("a")
        world.pod("a/web", 1, app="web")
        await world.settled()
        sets, desired = world.cluster.policies.sets, world.cluster.policies.sets.desired

        def refuse(_name):
            raise NotReady("not now", keeps_rows=True)

        sets.desired = refuse
        rules = [{"from": [{"podSelector": {"matchLabels": {"app": "x"}}}]}, {"ports": [{"port": 80}]}]
        world.policy("a/p", podSelector={}, ingress=rules)
        world.pod("a/new", 1, app="x")
        while ("a", "pods=") not in world.groups() or len(world.groups()[("a", "pods=")]) < 2:
            await asyncio.sleep(0.005)
        await world.settled()
        assert world.sets() == {} and [one[1] for one in world.acls()] == ["allow-related", "drop"]
        while not any("its pods are isolated, but 1 of its rules" in one[2] for one in world.api.events):
            await asyncio.sleep(0.005)
        sets.desired = desired
        while len(world.acls()) < 3 or len(world.cluster.engine):
            await asyncio.sleep(0.005)
        await world.settled()
        (members,) = world.sets().values()
        assert members == {world.address("a/new"), world.address("a/new", 6)}
        assert world.cluster.engine.failing == {}

    run(nb, test)


def test_a_static_pod_that_goes_for_good(nb, monkeypatch):
    """Protects sets and rules from a static pod that does not come back: nothing of it is left."""
    monkeypatch.setattr(static_pods, "PORT_STAYS", 0.05)

    async def test(world):
        world.namespace("a")
        mirror = {"annotations": {"kubernetes.io/config.mirror": "static-uid"}}
        spec = {"nodeName": "node1", "containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]}
        world.put("pods", "a", "web", metadata=mirror, spec=spec)
        world.policy("a/p", podSelector={}, ingress=[{"from": [{"podSelector": {}}], "ports": [{"port": "http"}]}])
        await world.settled()
        assert len(world.acls()) == 3
        world.delete("pods", "a/web")
        while len(world.acls()) > 1 or world.port("a/web") is not None:
            await asyncio.sleep(0.005)
        await world.settled()
        assert world.groups() == {("a", "pods="): set()} and world.cluster.policies.index.away() == []

    run(nb, test)


def test_numbers_of_ports_over_a_restart(nb):
    """Protects connections from a watcher that begins where a name of a port has too many numbers: those that rows are
    there for stay, though more pods have others by now.
    """

    def fill(world):
        world.namespace("a")
        for number in range(40):
            world.pod(f"a/p{number}", 1 + number % 2, [("http", 1000 + number)])
        for field in ("ingress", "egress"):
            rule = {"ports": [{"port": "http"}]}
            world.policy(f"a/{field}", podSelector={}, policyTypes=[field.capitalize()], **{field: [rule]})

    async def main():
        async with PolicyWorld(nb) as world:
            fill(world)
            await world.settled()
            before = world.acls()
        ports = sorted(int(one[3].rpartition(" ")[2]) for one in before if one[1] == "allow-related")
        # A port group has pods of both IP versions, and of address sets there are two.
        assert ports == sorted([*range(1000, 1032)] * 3)
        world = PolicyWorld(nb)
        for number in range(32, 40):
            world.pod(f"a/q{number}", 1, [("http", 1000 + number)])
        fill(world)
        async with world:
            await world.settled()
            assert world.acls() == before and world.port("a/q39") is not None
            world.delete("pods", "a/p0")  # who waits comes in where there is room: first what most pods have
            await world.settled()
            ports = {int(one[3].rpartition(" ")[2]) for one in world.acls() if one[1] == "allow-related"}
            assert ports == {*range(1001, 1033)}

    asyncio.run(asyncio.wait_for(main(), 120))


def test_another_ip_version(nb):
    """Protects pods where the cluster gets another IP version, and hosts where it has one only: ACLs are about those
    that pods have, and all policies get those of another one at once.
    """

    async def test(world):
        async def subnets(*texts):
            keys = [["k8s.ovn.org/cluster-subnets", ",".join(texts)]]
            await world.cluster.replica.transact(
                [
                    {
                        "op": "mutate",
                        "table": "Logical_Switch",
                        "where": [["name", "==", "join"]],
                        "mutations": [
                            ["external_ids", "delete", ["set", ["k8s.ovn.org/cluster-subnets"]]],
                            ["external_ids", "insert", ["map", keys]],
                        ],
                    }
                ]
            )
            while world.cluster.networks.pods() != texts:
                await asyncio.sleep(0.002)
            await world.settled()

        def versions():
            return {int(one[3].split(" ip")[1][0]) for one in world.acls() if one[1] == "allow-related"}

        world.namespace("a")
        world.pod("a/web", 1)
        world.policy("a/p", podSelector={}, ingress=[{"from": [{"podSelector": {}}]}])
        await world.settled()
        both = world.cluster.networks.pods()
        assert versions() == {4, 6} and len(both) == 2
        for texts, expected in ((both[:1], {4}), (both, {4, 6}), (both[1:], {6}), ((), {4, 6})):
            await subnets(*texts)
            assert versions() == expected
            assert world.cluster.policies.sizes()["acl"] == len(world.acls())

    run(nb, test)
