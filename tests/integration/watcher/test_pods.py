# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods' ports and annotations, whatever happens to the pods."""

from __future__ import annotations

import json

from database_server import wait_for

PODS = "/api/v1/namespaces/default/pods"


def test_a_pod_gets_a_port_and_its_annotation(world):
    """Protects the whole way of a pod, locked to its own address (W15), without a process of its own for anything (W5)
    and without ovn-northd (F5).
    """
    watcher = world.watch()
    world.api.add_pod("web", "node1")
    assert world.annotated("web") == ["192.168.1.3/24"]
    assert world.annotation("web") == {
        "ip_address": "192.168.1.3/24",
        "mac_address": "0a:58:c0:a8:01:03",
        "gateway_ip": "192.168.1.1",
    }
    world.invariants({"web": "node1"})
    row, _switch = world.ports()["default_web"]
    assert dict(row["options"][1])["requested-chassis"] == "id-1"
    assert dict(row["external_ids"][1])["namespace"] == "default"
    assert watcher.children() == []


def test_host_network_and_completed_pods_have_no_port(world):
    """Protects addresses (W18)."""
    world.watch()
    world.api.create(
        PODS,
        {
            "metadata": {"name": "host"},
            "spec": {"nodeName": "node1", "hostNetwork": True, "containers": [{"name": "c", "image": "i"}]},
        },
    )
    world.api.add_pod("job", "node1")
    world.api.add_pod("web", "node1")
    world.annotated("job", "web")
    assert sorted(world.ports()) == ["default_job", "default_web"]
    world.api.patch(f"{PODS}/job/status", {"status": {"phase": "Succeeded"}})
    wait_for(lambda: sorted(world.ports()) == ["default_web"], "the completed pod's port to go")
    assert world.annotation("host") == {}


def test_odd_and_missing_annotations_stop_no_other_pod(world):
    """Protects all pods from one (W1, F1, F3): annotations that somebody broke are written anew, pods without any are
    deleted like others.
    """
    world.watch()
    for name in ("a", "b", "c"):
        world.api.add_pod(name, "node1", annotations={"ovn": "{nonsense", "k8s.ovn.org/pod-networks": "[3]"})
    world.annotated("a", "b", "c")
    world.api.patch(f"{PODS}/a", {"metadata": {"annotations": None}})
    world.annotated("a")
    world.api.patch(f"{PODS}/b", {"metadata": {"annotations": {"ovn": "3"}}})
    world.annotated("b")
    world.api.patch(f"{PODS}/c", {"metadata": {"annotations": {"ovn": None}}})
    world.api.delete(f"{PODS}/c")
    world.api.add_pod("d", "node2")
    world.annotated("d")
    wait_for(lambda: "default_c" not in world.ports(), "the port to go")
    world.invariants({"a": "node1", "b": "node1", "d": "node2"})


def test_annotations_of_another_pod_are_not_believed(world):
    """Protects everybody's addresses: whoever makes a pod with annotations (a restored one, a copy, or by malice)
    chooses no address by that.
    """
    watcher = world.watch()
    for name, address in (("restored", "192.168.1.77"), ("copy", "192.168.1.77"), ("router", "192.168.1.1")):
        note = {"ip_address": f"{address}/24", "mac_address": "0a:58:00:00:00:01", "gateway_ip": "192.168.1.1"}
        world.api.add_pod(name, "node1", annotations={"ovn": json.dumps(note), "ovn.kubernetes/pod-uid": "another"})
        wait_for(lambda name=name: f"default_{name}" in world.ports(), f"the port of {name}")
    wait_for(watcher.idle, "the watcher to be done")
    for name in ("restored", "copy", "router"):
        meta = world.pod(name)["metadata"]
        # What a node waits for before it believes the others.
        assert meta["annotations"]["ovn.kubernetes/pod-uid"] == meta["uid"]
    assert world.annotated("restored", "copy", "router") == ["192.168.1.3/24", "192.168.1.4/24", "192.168.1.5/24"]
    world.invariants(dict.fromkeys(("restored", "copy", "router"), "node1"))


def test_what_happened_while_no_watcher_ran(world):
    """Protects against a wrong state that stays (W19, F3, F6): moved under its name, deleted, recreated in place,
    new.
    """
    watcher = world.watch()
    for name in ("moved", "gone", "again", "stays"):
        world.api.add_pod(name, "node1")
    world.annotated("moved", "gone", "again", "stays")
    watcher.kill()
    for name in ("moved", "gone", "again"):
        world.api.delete(f"{PODS}/{name}")
    world.api.add_pod("moved", "node2")
    world.api.add_pod("again", "node1")
    world.api.add_pod("new", "node2")
    watcher.start()
    world.annotated("moved", "again", "new")
    wait_for(watcher.idle, "the watcher to be done")
    world.invariants({"moved": "node2", "again": "node1", "stays": "node1", "new": "node2"})


def test_a_full_subnet_and_a_freed_address(world):
    """Protects all nodes from one that is full (F7), and the pod that waits (W3): it gets an event with the reason, and
    its port when an address is freed.
    """
    world.nb.node(3, minion_switch_subnet=["192.168.3.0/29"])
    watcher = world.watch()
    for number in range(5):
        world.api.add_pod(f"p{number}", "node3")
        if number < 4:
            world.annotated(f"p{number}")
    event = wait_for(
        lambda: [
            one for one in world.api.items("/api/v1/namespaces/default/events") if one["involvedObject"]["name"] == "p4"
        ],
        "an event",
    )[0]
    assert event["reason"] == "NetworkNotReady" and event["message"].startswith(
        "subnet 192.168.3.0/29 has no free address"
    )
    world.api.add_pod("other", "node1")
    world.annotated("other")
    assert watcher.figure("ovn_k8s_watcher_failing_objects") == 1
    world.api.delete(f"{PODS}/p2")
    assert world.annotated("p4") == ["192.168.3.5/29"]
    world.invariants({"p0": "node3", "p1": "node3", "p3": "node3", "p4": "node3", "other": "node1"})


def test_a_pod_that_comes_before_its_node(world):
    """Protects pods from the order in which things are set up (W3, W32): the switch comes later."""
    world.watch()
    world.api.add_pod("early", "node4")
    world.api.add_pod("other", "node1")
    world.annotated("other")
    assert world.annotation("early") == {}
    world.nb.node(4)
    assert world.annotated("early") == ["192.168.4.3/24"]
    world.invariants({"early": "node4", "other": "node1"})


def test_a_foreign_port_of_the_same_name(world):
    """Protects foreign rows, and all pods from the one that can't be made: it has an event (W29), and its port when the
    name is free.
    """
    row = {"name": "default_taken", "addresses": "0a:58:00:00:00:01 192.168.1.3"}
    world.nb.transact(
        {"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "p", "row": row},
        {
            "op": "mutate",
            "table": "Logical_Switch",
            "where": [["name", "==", "node1"]],
            "mutations": [["ports", "insert", ["named-uuid", "p"]]],
        },
    )
    world.watch()
    world.api.add_pod("taken", "node1")
    world.api.add_pod("free", "node1")
    assert world.annotated("free") != ["192.168.1.3/24"]
    events = wait_for(
        lambda: [
            one
            for one in world.api.items("/api/v1/namespaces/default/events")
            if one["involvedObject"]["name"] == "taken"
        ],
        "an event",
    )
    assert "belongs to somebody else" in events[0]["message"]
    world.remove_port("default_taken")
    world.annotated("taken")
    world.invariants({"taken": "node1", "free": "node1"})


def test_removed_or_edited_ports_are_restored(world):
    """Protects a running pod: its port returns with the same address."""
    world.watch()
    world.api.add_pod("web", "node1")
    (address,) = world.annotated("web")
    world.remove_port("default_web")
    wait_for(lambda: "default_web" in world.ports(), "the port to come back")
    world.nb.transact(
        {
            "op": "update",
            "table": "Logical_Switch_Port",
            "where": [["name", "==", "default_web"]],
            "row": {"port_security": ["set", []]},
        }
    )
    wait_for(lambda: world.ports()["default_web"][0]["port_security"] != ["set", []], "the lock to come back")
    assert world.annotated("web") == [address]
    world.invariants({"web": "node1"})


def test_a_lost_database_is_filled_from_the_annotations(world):
    """Protects running pods: with an empty database each keeps the address that it has."""
    watcher = world.watch()
    names = [f"p{number}" for number in range(5)]
    for name in names:
        world.api.add_pod(name, "node1")
    before = world.annotated(*names)
    world.api.delete(f"{PODS}/p0")
    watcher.kill()
    for switch in world.nb.rows("Logical_Switch", ["name", "==", "node1"]):
        world.nb.transact(
            {
                "op": "update",
                "table": "Logical_Switch",
                "where": [["_uuid", "==", switch["_uuid"]]],
                "row": {"ports": ["set", []]},
            }
        )
    watcher.start()
    wait_for(watcher.idle, "the watcher to be done")
    assert world.annotated(*names[1:]) == before[1:]
    world.invariants(dict.fromkeys(names[1:], "node1"))


def test_both_families(world):
    """Protects dual stack (W17)."""
    world.nb.build(nodes=(1, 2), gateways=(1,), dual=True)
    world.watch()
    world.api.add_pod("web", "node1")
    world.annotated("web")
    text = world.pod("web")["metadata"]["annotations"]["k8s.ovn.org/pod-networks"]
    assert json.loads(text)["default"]["ip_addresses"] == ["192.168.1.3/24", "fd10:128:0:1::3/64"]
    assert world.ports()["default_web"][0]["addresses"] == "0a:58:c0:a8:01:03 192.168.1.3 fd10:128:0:1::3"


def test_a_pod_that_moves_to_a_node_without_a_switch(world):
    """Protects against a port that stays where its pod is no longer (W19)."""
    watcher = world.watch()
    world.api.add_pod("web", "node1")
    world.annotated("web")
    watcher.kill()
    world.api.delete(f"{PODS}/web")
    world.api.add_pod("web", "node4")
    watcher.start()
    wait_for(lambda: world.ports() == {}, "the old port to go")
    world.nb.node(4)
    assert world.annotated("web") == ["192.168.4.3/24"]
