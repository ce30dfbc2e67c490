# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects network policies: what the watcher, as a program, makes of those that a real API server has."""

from __future__ import annotations

import signal

import pytest
from database_server import references, wait_for

POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"
NAMESPACES = "/api/v1/namespaces"
KINDS = ("policy", "acl", "port_group", "address_set")  # that are counted


def owner_type(row):
    """The type of a row's owner."""
    return dict(row["external_ids"][1]).get("k8s.ovn.org/owner-type")


def groups(world):
    """The ports of each group of policies, as sorted names."""
    rows = [row for row in world.nb.rows("Port_Group") if owner_type(row) == "PolicyPods"]
    # Afterwards: a port that has come meanwhile is in no group that was read.
    names = {row["_uuid"][1]: row["name"] for row in world.nb.rows("Logical_Switch_Port")}
    return sorted(sorted(names[one] for one in references(row["ports"])) for row in rows)


def members(world):
    """All addresses in sets of peers."""
    rows = [row for row in world.nb.rows("Address_Set") if owner_type(row) == "PolicyPeers"]
    values = [row["addresses"] for row in rows]
    return {one for value in values for one in (value[1] if isinstance(value, list) else [value])}


def acls(world):
    """(direction, action) of the ACLs of policies."""
    rows = [row for row in world.nb.rows("ACL") if owner_type(row) == "NetworkPolicy"]
    return sorted((row["direction"], row["action"]) for row in rows)


@pytest.fixture
def team(kubernetes):
    """A namespace with a label; deleted afterwards with what is in it."""
    kubernetes.create(NAMESPACES, {"metadata": {"name": "team", "labels": {"team": "red"}}})
    yield "team"
    for path in (f"{NAMESPACES}/team/pods", POLICIES.format("team")):
        for item in kubernetes.items(path):
            kubernetes.delete(f"{path}/{item['metadata']['name']}")


def make(world, name, namespace="default", **spec):
    """Make a policy."""
    return world.api.create(POLICIES.format(namespace), {"metadata": {"name": name}, "spec": spec})


def test_a_policy_and_its_pods(world, team):
    """Protects pods from the moment of their policy: those that are there, and new ones; labels of pods and of
    namespaces are followed; what is not needed any more goes; nobody is told anything. Policies are counted, and each
    change is measured.
    """
    world.api.add_pod("web", "node1", labels={"app": "web"})
    world.api.create(
        f"{NAMESPACES}/{team}/pods",
        {"metadata": {"name": "friend"}, "spec": {"nodeName": "node2", "containers": [{"name": "c", "image": "i"}]}},
    )
    watcher = world.watch()
    peers = [{"namespaceSelector": {"matchLabels": {"team": "red"}}}]
    make(world, "p", podSelector={"matchLabels": {"app": "web"}}, ingress=[{"from": peers}])
    wait_for(lambda: groups(world) == [["default_web"]] and len(members(world)) == 1, f"the rows\n{world.logs()}")
    assert acls(world) == [("to-lport", "allow-related"), ("to-lport", "drop")]
    measured = "ovnkube_controller_network_policy_event_latency_seconds_count"
    wait_for(lambda: watcher.figure(measured) == 1, "the policy to be measured")
    counted = {kind: watcher.figure(f'ovn_k8s_watcher_policy_objects{{kind="{kind}"}}') for kind in KINDS}
    assert counted == {"policy": 1, "acl": 2, "port_group": 1, "address_set": 2}
    world.api.add_pod("web2", "node2", labels={"app": "web"})
    wait_for(lambda: groups(world) == [["default_web", "default_web2"]], "the new pod in its group")
    world.api.patch("/api/v1/namespaces/default/pods/web", {"metadata": {"labels": {"app": "other"}}})
    wait_for(lambda: groups(world) == [["default_web2"]], "the pod with another label out of the group")
    world.api.patch(f"{NAMESPACES}/{team}", {"metadata": {"labels": {"team": "blue"}}})
    wait_for(lambda: members(world) == set(), "the pods of the other namespace out of the set")
    # A watcher that dies, and one that comes back, change nothing.
    before = world.nb.everything()
    watcher.process.send_signal(signal.SIGKILL)
    watcher.process.wait(10)
    watcher.start()
    wait_for(watcher.acts, "the watcher to act")
    wait_for(watcher.idle, "the watcher to be idle")
    assert world.nb.everything() == before
    world.api.delete(POLICIES.format("default") + "/p")
    wait_for(lambda: groups(world) == [] and acls(world) == [], "nothing of the policy")
    assert members(world) == set() and not [
        one for one in world.nb.rows("Port_Group") if owner_type(one) == "PolicyPods"
    ]
    assert world.api.items("/api/v1/namespaces/default/events") == []


def test_what_cannot_be_enforced_is_said(world):
    """Protects whoever relies on a policy that is larger than what is served: its pods are isolated, and an event says
    what allows nothing; once, also over a restart. Nobody says that of a policy that is enforced.
    """

    def told():
        found = world.api.items("/api/v1/namespaces/default/events")
        return [(one["reason"], one["involvedObject"]["name"], one["message"]) for one in found]

    rules = [{"ports": [{"port": 80}]}, {"ports": [{"port": port + 1} for port in range(600)]}]
    watcher = world.watch()
    make(world, "fine", podSelector={}, ingress=rules[:1])
    make(world, "large", podSelector={}, ingress=rules)
    wait_for(lambda: len(told()) == 1, f"the event\n{world.logs()}")
    ((reason, name, message),) = told()
    assert (reason, name) == ("NetworkPolicyPartRefused", "large")
    assert "ingress rule 1 allows nothing: it has more than 500 ports" in message
    wait_for(lambda: len(acls(world)) == 4, "two rules, two drops")
    watcher.stop()
    watcher.start()
    wait_for(watcher.acts, "the watcher to act")
    wait_for(watcher.idle, "the watcher to be idle")
    assert len(told()) == 1 and watcher.get("/findings")[1].strip() == "[]"


def test_a_pod_is_never_there_without_its_policy(world):
    """Protects a pod from its first moment: it has no port before it is in the group that isolates it."""
    make(world, "deny", podSelector={})
    world.watch()
    wait_for(lambda: groups(world) == [[]], f"the group\n{world.logs()}")
    seen = set()

    def everybody():
        content = world.nb.everything()
        ports = {uuid for uuid, row in content["Logical_Switch_Port"].items() if "_p" in row["name"]}
        (group,) = (row for row in content["Port_Group"].values() if row["name"].startswith("policy_"))
        assert ports == set(references(group["ports"]))
        seen.add(len(ports))
        return len(ports) == 30

    for number in range(30):
        world.api.add_pod(f"p{number}", f"node{number % 2 + 1}")
        everybody()
    wait_for(everybody, "all pods")
    assert len(seen) > 1
