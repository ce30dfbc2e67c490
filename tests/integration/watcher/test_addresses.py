# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects addresses that pods have: whatever users write, whatever is lost or edited, a pod that is served keeps its
own, and nobody gets another's.
"""

from __future__ import annotations

import json

import pytest
from database_server import PROGRAMS, tool, wait_for

PODS, EVENTS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/events"
STATIC = {"kubernetes.io/config.mirror": "0f7d5a2e0f7d5a2e0f7d5a2e0f7d5a2e", "kubernetes.io/config.source": "file"}


def forged(*ips):
    """Annotations that name these addresses, as the watcher writes them for the first one."""
    mac = "0a:58:" + ":".join(f"{int(part):02x}" for part in ips[0].split("."))
    gateway = ips[0].rpartition(".")[0] + ".1"
    whole = {"ip_addresses": [f"{ip}/24" for ip in ips], "mac_address": mac, "gateway_ips": [gateway]}
    one = {"ip_address": f"{ips[0]}/24", "mac_address": mac, "gateway_ip": gateway}
    return {"k8s.ovn.org/pod-networks": json.dumps({"default": whole}), "ovn": json.dumps(one)}


def edit(world, name, annotations):
    """A user changes annotations of his pod, with the UID that it has."""
    whole = {**annotations, "ovn.kubernetes/pod-uid": world.pod(name)["metadata"]["uid"]}
    world.api.patch(f"{PODS}/{name}", {"metadata": {"annotations": whole}})


def report(world, name, *addresses):
    """The kubelet reports a pod's addresses."""
    status = {"podIP": addresses[0], "podIPs": [{"ip": ip} for ip in addresses], "phase": "Running"}
    world.api.patch(f"{PODS}/{name}/status", {"status": status})


def addresses(world):
    """Name of a pod -> the addresses of its port."""
    return {name.partition("_")[2]: row["addresses"].split()[1:] for name, (row, _switch) in world.ports().items()}


def lose_database(world, **options):
    """The disk of the database, which is stopped, is lost, and the site play makes it anew."""
    world.nb.file.unlink()
    tool("create", world.nb.file, PROGRAMS / "schema/ovn-nb.ovsschema")
    world.nb.start()
    world.nb.build(nodes=(1, 2), gateways=(1,), **options)


def events(world, reason):
    """(kind, name) -> message of the events of a reason."""
    found = [one for one in world.api.items(EVENTS) if one["reason"] == reason]
    return {(one["involvedObject"]["kind"], one["involvedObject"]["name"]): one["message"] for one in found}


def test_a_pod_that_claims_every_address_gets_one(world):
    """Protects all pods of the cluster from somebody who may only make pods: after a restart of the watcher, or of the
    database, there are as many addresses as before.
    """
    watcher = world.watch()
    world.api.add_pod("web", "node1")
    world.annotated("web")
    everything = [f"192.168.{node}.{number}" for node in (1, 2) for number in range(3, 255)]
    some = everything[:40]  # few enough to be read at all
    for name, node in (("far", "no-such-node"), ("near", "node2")):
        world.api.add_pod(name, node, annotations=forged(*everything))
        edit(world, name, forged(*some))
    watcher.stop()
    for name in ("far", "near"):
        edit(world, name, forged(*some))
    # an address without a subnet, of which a watcher that learns at its start would fail for ever
    edit(world, "web", {name: text.replace("/24", "/32") for name, text in forged("192.168.1.3").items()})
    watcher.start()
    wait_for(watcher.idle, "the watcher to be done")
    # the host's and the router's ports too: two nodes, one gateway
    held = watcher.figure("ovn_k8s_watcher_addresses")
    world.api.add_pod("victim", "node1")
    world.api.add_pod("victim2", "node2")
    assert world.annotated("victim", "victim2") == ["192.168.1.4/24", "192.168.2.4/24"]
    world.nb.stop()
    world.nb.start()
    wait_for(watcher.idle, "the watcher to be done")
    assert watcher.figure("ovn_k8s_watcher_addresses") == held + 2
    assert addresses(world)["near"] == ["192.168.2.3"]


@pytest.mark.parametrize("restart", [False, True], ids=["same watcher", "new watcher"])
def test_nobody_steals_an_address_while_the_database_is_lost(world, restart):
    """Protects the victim of a user who names its address in his own pod's annotations: what the kubelet reports
    counts before, and what the watcher knows.
    """
    watcher = world.watch()
    for name in ("attacker", "web", "starting"):
        world.api.add_pod(name, "node1")
    world.annotated("attacker", "web", "starting")
    before = addresses(world)
    if restart:
        for name in ("attacker", "web"):
            report(world, name, *before[name])
        watcher.stop()
    world.nb.stop()
    edit(world, "attacker", forged(*before["web"]))
    world.api.add_pod("waiting", "node1")
    edit(world, "waiting", forged(*before["web"]))
    lose_database(world)
    if restart:
        watcher.start()
    world.annotated("waiting")
    wait_for(watcher.idle, "the watcher to be done")
    after = addresses(world)
    assert {name: after[name] for name in before} == before
    assert after["waiting"] not in before.values()
    world.invariants(dict.fromkeys(after, "node1"))


def test_reports_that_can_not_be_right(world):
    """Protects other nodes' pods from a kubelet: of what it reports for a pod without port, only what its node's pods
    get counts, once for each IP version; garbage is no error.
    """
    world.nb.build(nodes=(1, 2), gateways=(1,), dual=True)
    reports = {
        "other-node": ["192.168.2.9"],
        "router": ["192.168.1.1", "fd10:128:0:1::1"],
        "far": ["8.8.8.8"],
        "right": ["fd10:128:0:1::77", "192.168.1.77"],
    }
    for name, ips in reports.items():
        world.api.add_pod(name, "node1")
        report(world, name, *ips)
    watcher = world.watch()
    world.annotated(*reports)
    wait_for(watcher.idle, "the watcher to be done")
    after = addresses(world)
    assert after.pop("right") == ["192.168.1.77", "fd10:128:0:1::77"]
    assert sorted(after.values()) == [[f"192.168.1.{number}", f"fd10:128:0:1::{number}"] for number in (3, 4, 5)]


def test_a_foreign_port_with_the_address_of_a_running_pod(world):
    """Protects a running pod from a port that somebody makes with its address: it keeps the address, also over a
    restart; events on the pod and its node tell of the conflict.
    """
    watcher = world.watch()
    world.api.add_pod("web", "node1")
    world.api.add_pod("db", "node1")
    world.annotated("web", "db")
    before = addresses(world)
    port = {"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "p", "row": {"name": "vm"}}
    port["row"]["addresses"] = f"02:00:00:00:00:01 {before['web'][0]}"
    mutation = ["ports", "insert", ["set", [["named-uuid", "p"]]]]
    where = [["name", "==", "node1"]]
    world.nb.transact(port, {"op": "mutate", "table": "Logical_Switch", "where": where, "mutations": [mutation]})
    told = wait_for(lambda: len(found := events(world, "AddressConflict")) == 2 and found, "the events")
    assert set(told) == {("Pod", "web"), ("Node", "node1")}
    assert "switch port vm has 192.168.1.3 too" in told["Node", "node1"] and "default/web" in told["Node", "node1"]
    watcher.stop()
    watcher.start()
    world.api.add_pod("new", "node1")
    world.annotated("new")
    wait_for(watcher.idle, "the watcher to be done")
    after = addresses(world)
    assert {name: after[name] for name in before} == before
    world.api.delete(f"{PODS}/web")
    wait_for(lambda: "web" not in addresses(world), "the port to go")
    world.api.add_pod("web", "node1")
    world.annotated("web")
    assert addresses(world)["web"] != before["web"]


def test_a_port_that_was_edited_while_no_watcher_ran(world):
    """Protects a running pod whose port somebody gave another address: kubelet and annotation agree on another."""
    watcher = world.watch()
    for name in ("web", "db"):
        world.api.add_pod(name, "node1")
    world.annotated("web", "db")
    before = addresses(world)
    for name in ("web", "db"):
        report(world, name, *before[name])
    watcher.stop()
    for name, line in (("web", "0a:58:c0:a8:01:63 192.168.1.99"), ("db", f"0a:58:c0:a8:01:03 {before['web'][0]}")):
        where = [["name", "==", f"default_{name}"]]
        world.nb.transact({"op": "update", "table": "Logical_Switch_Port", "where": where, "row": {"addresses": line}})
    watcher.start()
    wait_for(watcher.idle, "the watcher to be done")
    assert addresses(world) == before
    world.invariants({"web": "node1", "db": "node1"})


def set_subnets(world, node, *subnets):
    """A node's subnets are others, whoever has done that: the site play refuses it while pods run."""
    where = [["name", "==", node]]
    mutations = [
        ["external_ids", "delete", ["set", ["k8s.ovn.org/node-subnets"]]],
        ["external_ids", "insert", ["map", [["k8s.ovn.org/node-subnets", ",".join(subnets)]]]],
    ]
    world.nb.transact({"op": "mutate", "table": "Logical_Switch", "where": where, "mutations": mutations})


@pytest.mark.parametrize("lost", [False, True], ids=["restart", "lost database"])
def test_a_changed_subnet_serves_new_pods_and_the_old_drain(world, lost):
    """Protects running pods: their addresses stay when their node's subnet changes, whatever somebody has written into
    their annotations, also over a restart or a lost database; events on pod and node tell of it.
    """
    watcher = world.watch()
    for name in ("web", "db"):
        world.api.add_pod(name, "node1")
    world.annotated("web", "db")
    before = addresses(world)
    for name in ("web", "db"):
        report(world, name, *before[name])
    set_subnets(world, "node1", "192.168.77.0/24")
    world.api.patch(f"{PODS}/db", {"metadata": {"annotations": {"k8s.ovn.org/pod-networks": None, "ovn": "[]"}}})
    wait_for(lambda: world.annotation("db").get("ip_address"), "the annotation to come back")
    world.api.add_pod("new", "node1")
    assert world.annotated("new", "web", "db") == ["192.168.77.3/24", "192.168.1.3/24", "192.168.1.4/24"]
    told = {("Pod", "web"), ("Pod", "db")}
    wait_for(lambda: set(events(world, "NetworkOutdated")) == told, "the events on the pods")
    of_node = wait_for(lambda: events(world, "NodeSubnetChanged").get(("Node", "node1")), "the event on the node")
    assert "new pods get addresses of 192.168.77.0/24" in of_node
    watcher.stop()
    if lost:
        world.nb.stop()
        lose_database(world)
        set_subnets(world, "node1", "192.168.77.0/24")
    watcher.start()
    world.api.add_pod("newer", "node1")
    assert world.annotated("newer")[0].startswith("192.168.77.")
    wait_for(watcher.idle, "the watcher to be done")
    after = addresses(world)
    assert {name: after[name] for name in before} == before
    world.invariants(dict.fromkeys(after, "node1"))


def test_a_second_family_does_not_change_pods_that_run(world):
    """Protects the MAC and the addresses of running pods when their node becomes dual stack; new pods get both."""
    set_subnets(world, "node1", "fd10:128:0:1::/64")
    watcher = world.watch()
    world.api.add_pod("web", "node1")
    world.annotated("web")
    wait_for(watcher.idle, "the watcher to be done")
    before = world.ports()["default_web"][0]["addresses"]
    set_subnets(world, "node1", "192.168.1.0/24", "fd10:128:0:1::/64")
    world.api.add_pod("new", "node1")
    world.annotated("new")
    watcher.stop()
    watcher.start()
    wait_for(watcher.idle, "the watcher to be done")
    assert world.ports()["default_web"][0]["addresses"] == before
    assert addresses(world) == {"web": ["fd10:128:0:1::3"], "new": ["192.168.1.3", "fd10:128:0:1::4"]}


def test_an_annotation_ends_equal_to_its_port(world):
    """Protects pods from an annotation that is old for ever: the port changes while the annotation is being written."""
    watcher, pods = world.watch(), [f"p{number}" for number in range(20)]
    for name in pods:
        world.api.add_pod(name, "node4")
    wait_for(lambda: watcher.figure("ovn_k8s_watcher_failing_objects") == len(pods), "all pods to wait")
    world.api.pause()
    try:
        world.nb.node(4)
        wait_for(lambda: len(world.ports()) == len(pods), "the ports")
        set_subnets(world, "node4", "192.168.44.0/24")
        wait_for(lambda: {ips[0].split(".")[2] for ips in addresses(world).values()} == {"44"}, "the ports to change")
    finally:
        world.api.resume()
    wait_for(lambda: all(world.annotation(name) for name in pods) and watcher.idle(), "the annotations")
    world.invariants(dict.fromkeys(pods, "node4"))


def mirror(world, uid=STATIC["kubernetes.io/config.mirror"], name="static-node1"):
    """The kubelet makes the API server's copy of a static pod; the row of its port."""
    node = world.api.get("/api/v1/nodes/node1")["metadata"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": "node1", "uid": node["uid"], "controller": True}
    annotations = {**STATIC, "kubernetes.io/config.mirror": uid, "kubernetes.io/config.hash": uid}
    world.api.create(
        PODS,
        {
            "metadata": {"name": name, "annotations": annotations, "ownerReferences": [owner]},
            "spec": {"nodeName": "node1", "containers": [{"name": "main", "image": "x"}]},
        },
        token=world.api.node_token("node1"),
    )
    world.annotated(name)
    row, _switch = world.ports()[f"default_{name}"]
    return row["_uuid"], row["addresses"], dict(row["options"][1])["iface-id-ver"]


@pytest.mark.parametrize("case", ["at once", "late", "restart"])
def test_a_static_pod_whose_copy_is_made_anew(world, case):
    """Protects a static pod, which runs on when its copy at the API server (or the Node, and so the copy) is deleted:
    its port is the same, or comes back with the same address and iface-id-ver.
    """
    watcher = world.watch()
    world.api.add_node("node1", "10.0.0.1")
    before = mirror(world)
    assert before[2] == STATIC["kubernetes.io/config.mirror"]
    world.api.delete(f"{PODS}/static-node1")
    if case == "late":
        wait_for(lambda: not world.ports(), "the port to go")
        world.api.add_pod("other", "node1")
        world.annotated("other")
    elif case == "restart":
        watcher.stop()
        watcher.start()
        wait_for(watcher.idle, "the watcher to be done")
    again = mirror(world)
    assert again[1:] == before[1:] and (case == "late" or again == before)
    note = world.pod("static-node1")["metadata"]["annotations"]
    assert note["ovn.kubernetes/pod-uid"] == before[2]
    # Another manifest is another pod.
    world.api.delete(f"{PODS}/static-node1")
    assert mirror(world, "1f7d5a2e")[2] == "1f7d5a2e"


def test_the_port_of_a_static_pod_stays_as_long_as_its_host_has_it(world):
    """Protects a static pod whose Node was deleted: its copy is not made anew for long, and the pod runs on. When it
    has ended, its host releases the port.
    """
    watcher = world.watch()
    world.api.add_node("node1", "10.0.0.1")
    before = mirror(world)

    def bind(is_up):
        where = [["name", "==", "default_static-node1"]]
        world.nb.transact({"op": "update", "table": "Logical_Switch_Port", "where": where, "row": {"up": is_up}})

    bind(True)
    mirror(world, "1f7d5a2e", name="ended-node1")
    for name in ("static-node1", "ended-node1"):
        world.api.delete(f"{PODS}/{name}")
    watcher.stop()
    watcher.start()
    wait_for(lambda: "default_ended-node1" not in world.ports(), "the port that no host has to go")
    wait_for(watcher.idle, "the watcher to be done")
    assert list(world.ports()) == ["default_static-node1"]
    bind(False)
    wait_for(lambda: not world.ports(), "the port to go")
    assert mirror(world)[1:] == before[1:]


def test_addresses_wait_for_a_static_pod_until_they_are_needed(world):
    """Protects a small subnet: what is kept for static pods that may come back is given to pods that are there."""
    world.nb.node(3, minion_switch_subnet=["192.168.3.0/29"])
    world.watch()
    for number in range(4):
        annotations = {"kubernetes.io/config.mirror": f"{number:032x}"} if number < 2 else {}
        world.api.add_pod(f"p{number}", "node3", annotations=annotations)
        world.annotated(f"p{number}")
    for number in range(2):
        world.api.delete(f"{PODS}/p{number}")
    for number in (4, 5):
        world.api.add_pod(f"p{number}", "node3")
    world.annotated("p4", "p5")
    world.invariants(dict.fromkeys(("p2", "p3", "p4", "p5"), "node3"))
