# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what policies know of pods: sizes and numbers that are right after any events, by looks that pause."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.model import ContainerPort, pod_with_port
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import looks as looks_module
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import shared as shared_module
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.index import PolicyIndex
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.looks import Looks
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.model import Namespace, Policy
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.named_ports import MAXIMUM_NUMBERS, PortNumber
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.selectors import EVERYTHING, Selector
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.shared import OtherNumbers, PeerPods, Shared

TEAM = {"matchLabels": {"team": "red"}}
PEERS = (
    {"podSelector": {}},
    {"podSelector": {"matchLabels": {"app": "web"}}},
    {"namespaceSelector": {}},
    {"namespaceSelector": TEAM},
    {"namespaceSelector": TEAM, "podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}},
)


def pod(key, app=None, ports=(), static=False):
    """A pod as the informer has it."""
    labels = {"app": app} if app else {}
    metadata = {"namespace": key.split("/")[0], "name": key.split("/")[1], "uid": f"u-{key}", "labels": labels}
    if static:
        metadata["annotations"] = {"kubernetes.io/config.mirror": key.encode().hex().zfill(32)}
    containers = [{"name": "c", "ports": [{"name": name, "containerPort": number} for name, number in ports]}]
    return pod_with_port({"metadata": metadata, "spec": {"nodeName": "node1", "containers": containers}})


def policy(peers, ports=(), direction="ingress"):
    """A policy ns0/p."""
    rule = {"from" if direction == "ingress" else "to": list(peers), "ports": [{"port": one} for one in ports]}
    spec = {"podSelector": {}, "policyTypes": [direction.capitalize()], direction: [rule]}
    return Policy.from_object({"metadata": {"namespace": "ns0", "name": "p", "uid": "u"}, "spec": spec})


class Rows:
    """What an earlier watcher has written."""

    def __init__(self):
        self.found = set()

    def clear(self):
        """It is asked for at once."""

    def numbers(self, shared, name):
        """The numbers of a name."""
        return {one.number for one in self.found if (one.digest, one.protocol, one.name) == (shared.digest, *name)}

    def numbers_of(self, _owner):
        """Those of the only policy."""
        return self.found

    def add(self, watch, numbers):
        """Rows for some numbers."""
        self.found |= {PortNumber(Shared(watch.key).digest, *watch.port, one) for one in numbers}


class World:
    """Stores, index and looks, as the watcher has them."""

    def __init__(self):
        self.pods, self.namespaces, self.marked = {}, {}, []
        self.index = PolicyIndex(self.pods, self.namespaces, lambda _key: ())
        self.written = Rows()
        self.looks = Looks(self.index, self.pods, self.marked.append, self.written)

    def put(self, new):
        """A pod comes or changes."""
        old, self.pods[new.key] = self.pods.get(new.key), new
        self.index.pod_changed(new.key, old, new)
        if old is None:
            self.looks.pod_came()

    def delete(self, key):
        """A pod goes."""
        self.index.pod_changed(key, self.pods.pop(key), None)

    def namespace(self, name, **labels):
        """A namespace comes or changes."""
        self.namespaces[name] = Namespace(name, labels)
        self.index.namespace_changed(name, self.namespaces[name])

    def look(self, key="ns0/p"):
        """A whole look; how many pauses it made."""
        pauses = 0
        while not self.looks.go_on(key, lambda _key: None):
            pauses += 1
        return pauses

    def size(self, key):
        """How many pods a set has, by a look at all of them."""
        part, found = key.namespaces, 0
        for one in map(self.index.pod, {*self.pods, *self.index.away()}):
            labels = self.namespaces[one.namespace].labels if one.namespace in self.namespaces else None
            is_near = part == one.namespace if isinstance(part, str) else labels is not None and part.matches(labels)
            found += is_near and key.pods.matches(one.labels)
        return found

    def check(self, are_numbers_known):
        """What is counted is what a look at all pods finds."""
        for shared in self.index.all():
            assert shared.size is None or shared.size == self.size(shared.key), shared.key
            for name in shared.watchers if are_numbers_known else ():
                assert self.index.named_ports.get(shared, name).pods == self.numbers(shared, name), shared.key

    def numbers(self, shared, name):
        """The numbers that the pods of a group or set have for a name, by a look at all of them."""
        ports = (one for pod in self.index.pods_of(shared) for one in pod.ports)
        return Counter(one.number for one in ports if one[:2] == name)


@pytest.mark.parametrize("seed", range(5))
def test_sizes_after_any_events(seed, monkeypatch):
    """Protects the limit of members, and rules with names of ports: the size of a set that is counted, and the numbers
    of its pods, are what a look at all pods finds, whatever comes, changes and goes, static pods without their copy
    too.
    """
    monkeypatch.setattr(looks_module, "MAXIMUM_MEMBERS", 0)
    chance, world = random.Random(seed), World()
    for number in range(3):
        world.namespace(f"ns{number}", team=chance.choice(["red", "blue"]))
    world.looks.policy_changed("ns0/p", policy(PEERS, ["http"], "egress"))
    ports = [("http", 8080), ("http", 8081), ("dns", 53)]
    static = set()
    for step in range(400):
        key = f"ns{chance.randrange(4)}/p{chance.randrange(8)}"
        what = chance.randrange(10)
        if what < 5:
            made = pod(key, chance.choice([None, "web", "db"]), chance.sample(ports, 2), key[-1] in "67")
            static |= {key} if made.static_uid else set()
            world.put(made)
        elif what < 8 and key in world.pods:
            world.delete(key)
        elif what == 8:
            name = f"ns{chance.randrange(4)}"
            if name in world.namespaces and chance.random() < 0.3:
                del world.namespaces[name]
                world.index.namespace_changed(name, None)
            else:
                world.namespace(name, team=chance.choice(["red", "blue"]))
        elif key not in world.pods:
            world.index.pod_gone(key)
        if step == 50:
            world.look()
        world.check(are_numbers_known=step >= 50)
    assert sum(shared.size is not None for shared in world.index.all()) == len(PEERS) and static
    # The pods with a port are found without a look at the others.
    for port in (ContainerPort("tcp", *one) for one in ports):
        for namespaces in ("ns1", EVERYTHING, Selector.parse(TEAM)):
            key = PeerPods(namespaces, EVERYTHING, port)
            world.index.use(key, "ns0/p")
            everyone = world.index._shared(PeerPods(namespaces, EVERYTHING))
            near = {one.key for one in world.index.pods_of(everyone)}
            with_port = {one for one in near if port in world.index.pod(one).ports}
            assert {one.key for one in world.index.pods_of(world.index.get(key))} == with_port
            other = key._replace(port=OtherNumbers("tcp", port.name, (port.number,)))
            world.index.use(other, "ns0/p")
            found = {one.key for one in world.index.pods_of(world.index.get(other))}
            assert found == {one for one in near if world.index.get(other).takes(world.index.pod(one))}
            assert found.isdisjoint(with_port)
    world.looks.policy_changed("ns0/p", None)
    assert not world.index.named_ports._counted and not world.index.named_ports._of_pod


def test_who_must_count(monkeypatch):
    """Protects the limit of members where pods come after the policy, and an event from the number of policies: they
    count when a set, or all pods, are a tenth more.
    """
    monkeypatch.setattr(looks_module, "MAXIMUM_MEMBERS", 150)
    world = World()
    world.namespace("ns0")
    world.looks.policy_changed("ns0/p", policy(PEERS[:1]))
    world.look()
    for number in range(151):
        world.put(pod(f"ns0/p{number}"))
    assert world.marked == []  # 100 more are few
    assert world.look() == 0 and not world.looks.refused.get("ns0/p")
    for number in range(151, 202):
        world.put(pod(f"ns0/p{number}"))
    assert world.marked == ["ns0/p"]
    world.look()
    assert len(world.looks.refused["ns0/p"]) == 1 and any(
        "150 pods in sum" in one for one in world.looks.faults("ns0/p")
    )
    for number in range(102):
        world.delete(f"ns0/p{number}")
    assert world.marked == ["ns0/p"] * 2
    world.look()
    assert not world.looks.refused["ns0/p"]
    world.looks.policy_changed("ns0/p", None)
    assert world.index.all() == []


def test_a_look_pauses(monkeypatch):
    """Protects others from a policy of many selectors: its look pauses after each; what changes meanwhile is looked at
    next, and a policy that changes begins anew.
    """
    monkeypatch.setattr(looks_module, "PLANNING_TIME", -1)
    world = World()
    world.namespace("ns0")
    world.put(pod("ns0/a", ports=[("http", 8080)]))
    world.looks.policy_changed("ns0/p", policy(PEERS, ["http"], "egress"))
    world.look()  # once: the rest was due
    assert world.look() == 0 and world.marked == []
    world.looks.begin()
    assert not world.looks.go_on("ns0/p", lambda _key: None) and world.looks.is_under_way("ns0/p")
    world.put(pod("ns0/b", ports=[("http", 9090)]))
    assert world.look() == len(PEERS) - 1
    assert world.marked == ["ns0/p"] * 2  # once for the event, once for what has changed during the look
    world.look()
    numbers = {number for found in world.looks.numbers["ns0/p"].values() for number in found}
    assert numbers == {8080, 9090}
    assert not world.looks.is_under_way("ns0/p")


def test_numbers_are_bounded(monkeypatch):
    """Protects the database from a policy with many names for many selectors whose pods have many numbers: those that
    were served stay, the user is told, and there is room for no more.
    """
    monkeypatch.setattr(looks_module, "MAXIMUM_SERVED", 7)
    world = World()
    world.namespace("ns0", team="red")
    for number in range(4):
        world.put(pod(f"ns0/p{number}", "web", [("http", 8000 + number)]))
    world.looks.policy_changed("ns0/p", policy(PEERS, ["http"], "egress"))
    world.look()
    assert sorted(map(len, world.looks.numbers["ns0/p"].values())) == [3, 4]
    (fault,) = world.looks.faults("ns0/p")
    assert "port name 'http'" in fault and "more than 7" in fault
    before = world.looks.numbers["ns0/p"]
    world.put(pod("ns0/p9", "web", [("http", 7999)]))
    assert world.marked == ["ns0/p"] * len(PEERS)
    world.look()
    assert world.looks.numbers["ns0/p"] == before
    # A watcher that begins finds those that have rows, where it would choose others.
    other = {watch: [8000, 8001, 8002, 8003][len(numbers) - 3 :] for watch, numbers in before.items()}
    for watch, numbers in other.items():
        world.written.add(watch, numbers)
    world.looks.begin()
    world.look()
    assert other != before and world.looks.numbers["ns0/p"] == other
    assert shared_module.FEW_PODS == looks_module.FEW_PODS


def crowd(policies, numbers):
    """A world where these policies allow one name, for which pods of one selector have these numbers, two pods each."""
    world = World()
    world.namespace("ns0")
    for number in range(numbers):
        for copy in "ab":
            world.put(pod(f"ns0/{copy}{number}", ports=[("http", 8000 + number)]))
    for number in range(policies):
        key = f"ns0/p{number}"
        world.looks.policy_changed(key, policy([{"namespaceSelector": {}}], ["http"], "egress"))
        world.look(key)
    return world


def test_an_event_costs_what_it_changes():
    """Protects everybody from pods with names of ports under many policies: a pod whose number is served already, or
    has no room, marks no policy; one with another number that is served, and the last one of a number, marks those that
    have the name. The pods are looked at once for all policies.
    """
    world = crowd(20, MAXIMUM_NUMBERS + 1)
    (numbers,) = {
        id(one): one for one in (found.numbers for found in world.index.named_ports._counted.values())
    }.values()
    (one,) = numbers.values()
    assert one.served == set(range(8000, 8000 + MAXIMUM_NUMBERS)) and one.are_crowded
    for number in (8000, 8000 + MAXIMUM_NUMBERS, 9000, 9001):
        world.put(pod(f"ns0/n{number}", ports=[("http", number)]))
        world.put(pod(f"ns0/n{number}", "web", ports=[("http", number)]))
        world.delete(f"ns0/n{number}")
    assert world.marked == []
    world.delete("ns0/a5")
    assert world.marked == []
    world.delete("ns0/b5")  # the last one: who waited comes in
    assert sorted(world.marked) == sorted(f"ns0/p{number}" for number in range(20))
    assert one.served == {*range(8000, 8001 + MAXIMUM_NUMBERS)} - {8005} and not one.are_crowded
    world.looks.policy_changed("ns0/p0", None)
    assert world.index.named_ports._counted


def test_numbers_that_have_rows_stay():
    """Protects connections when another watcher begins: the numbers that rows are there for stay, though more pods have
    others by now; where there are none those of most pods come first.
    """
    world = crowd(1, MAXIMUM_NUMBERS + 4)
    (watch,) = world.looks.numbers["ns0/p0"]
    served = world.looks.numbers["ns0/p0"][watch]
    late = [8000 + number for number in range(MAXIMUM_NUMBERS, MAXIMUM_NUMBERS + 4)]
    assert not set(served) & set(late)
    for number in late:
        world.put(pod(f"ns0/more{number}", ports=[("http", number)]))
    for rows, expected in ((served, served), ((), sorted({*served[:-4], *late}))):
        world.written.found.clear()
        world.written.add(watch, rows)
        world.looks.begin()
        world.look("ns0/p0")
        assert world.looks.numbers["ns0/p0"][watch] == expected
