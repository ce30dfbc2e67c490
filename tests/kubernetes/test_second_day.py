# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The second day of a node with pods: what somebody takes away comes back by itself, and readiness and the node's
condition say what can't. Each test prints the seconds that it took.
"""

from __future__ import annotations

import json
import time

import pytest
from lab_hosts import on, play, wait
from lab_kubernetes import CLUSTER, get
from lab_running_pods import MASTER, NODE, delete, interfaces, make, reaches, running

CONFIGURATION = "/etc/cni/net.d/10-ovn-kubernetes.conflist"
SOCKET = "/run/ovn-kubernetes/cni.sock"
PROMPT = 15  # seconds in which a pod is reached again
UNAVAILABLE = "node.kubernetes.io/network-unavailable"
GRACE = 30  # seconds until the node's condition follows readiness
TOLD = 15  # seconds until the API server has the condition, and the taint
KUBELET = 60  # seconds until the kubelet has told it


@pytest.fixture
def pod():
    """A pod that is reached: its address, and the name of its port."""
    name = make("second-day")
    address = wait(lambda: running(name), 120, "the pod to be ready")
    wait(lambda: reaches(address), 30, "the pod to be reached")
    yield address, port_of(name)
    delete(name)


def port_of(name):
    """The port of a pod."""
    (port,) = [port for port, (keys, _number) in interfaces().items() if keys["iface-id"] == f"default_{name}"]
    return port


def reasons(name):
    """The reasons of a pod's events."""
    uid = get("pods", name)["metadata"]["uid"]
    return {one["reason"] for one in get("events")["items"] if one["involvedObject"].get("uid") == uid}


def readyz():
    """What readiness of the node's server says."""
    return on(NODE, "curl --silent http://127.0.0.1:9410/readyz").strip()


def takes_pods(node=NODE):
    """Whether the scheduler sends pods to the node."""
    found = get("nodes", node)
    conditions = {one["type"]: one["status"] for one in found["status"]["conditions"]}
    taints = {one["key"] for one in found["spec"].get("taints", ())}
    return conditions["Ready"] == "True" and not taints & {UNAVAILABLE, "node.kubernetes.io/not-ready"}


def kept_away(node):
    """Whether the scheduler keeps pods away from the node, by the condition's taint."""
    taints = {(one["key"], one["effect"]) for one in get("nodes", node)["spec"].get("taints", ())}
    return (UNAVAILABLE, "NoSchedule") in taints


def seconds(what, began):
    """Print what is for the table of the second day."""
    print(f"second day: {what}: {time.monotonic() - began:.1f} s")


@pytest.mark.parametrize(
    ("what", "spoil"),
    [
        ("port deleted", "ovs-vsctl del-port br-int {port}"),
        ("external_ids cleared", "ovs-vsctl clear Interface {port} external_ids"),
        (
            "port in another bridge",
            "ovs-vsctl --may-exist add-br br-x -- set Bridge br-x datapath_type=$(ovs-vsctl get Bridge br-int "
            "datapath_type) && ovs-vsctl del-port br-int {port} -- add-port br-x {port}",
        ),
        ("link deleted", "ip link delete {port}"),
        ("link set down", "ip link set {port} down"),
    ],
    ids=["port", "keys", "bridge", "link", "down"],
)
def test_a_pod_gets_back_what_was_taken_from_it(pod, what, spoil):
    """Protects a pod that runs: it was dead until somebody deleted it, and nobody said so."""
    address, port = pod
    try:
        on(NODE, spoil.format(port=port))
        began = time.monotonic()
        wait(lambda: "NetworkRepaired" in reasons("second-day"), PROMPT, f"an event after: {what}")
        wait(lambda: reaches(address), PROMPT, f"the pod to be reached after: {what}")
        seconds(what, began)
        assert (
            port_of("second-day") == port and on(NODE, "curl --silent http://127.0.0.1:9410/findings").strip() == "[]"
        )
    finally:
        on(NODE, "ovs-vsctl --if-exists del-br br-x")


@pytest.mark.parametrize("path", [CONFIGURATION, SOCKET], ids=["configuration", "socket"])
def test_the_runtimes_files_come_back(path):
    """Protects a node from being NotReady, or without CNI, until its server is started again."""
    began = time.monotonic()
    on(NODE, f"rm {path}")
    wait(lambda: on(NODE, f"test -e {path}", check=False).returncode == 0, 5, f"{path} to come back")
    seconds(f"{path} removed", began)
    name = make("after-removal")
    wait(lambda: running(name), 60, "a new pod to be ready")
    delete(name)
    assert takes_pods()


def test_a_site_run_does_not_renumber_pods(pod, tmp_path):
    """Protects a pod that runs from another ovn_node_subnet: the play stops before it changes a host, and says how the
    node is drained.
    """
    address, _port = pod
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"all": {"hosts": {NODE: {"ovn_node_subnet": "192.168.77.0/24"}}}}))
    for more in ((), ("--check",)):
        run = play("site", *more, inventory=[CLUSTER.parent / "inventory", other])
        assert run.code and f"kubectl drain {NODE} --ignore-daemonsets" in run.output and "second-day" in run.output
        assert not any(run.changed.values()), run.changed
    assert reaches(address)


def test_readiness_and_condition_follow_the_daemons():
    """Protects new pods from a node whose ovn-controller is down, and from one whose server is down: the scheduler
    sends none there, and pods that are deleted go (containerd refused that, and they hung). A daemon that is back makes
    its node take pods again.
    """
    gone = [make("going-controller", NODE), make("going-server", MASTER)]
    for name in gone:
        wait(lambda name=name: running(name), 120, f"{name} to be ready")
    on(NODE, "systemctl stop ovn-controller")
    on(MASTER, "systemctl stop ovn-k8s-node")
    try:
        began = time.monotonic()
        said = wait(lambda: readyz() if readyz() != "ok" else "", 5, "readiness to say so")
        seconds("ovn-controller stopped, readiness", began)
        assert said == "ovn-controller does not run: systemctl start ovn-controller"
        for node, what in ((NODE, "ovn-controller"), (MASTER, "node server")):
            wait(lambda node=node: kept_away(node), GRACE + TOLD, f"{node} to have the taint")
            seconds(f"{what} stopped, node kept out of scheduling", began)
        assert all(on(node, f"test -e {CONFIGURATION}", check=False).returncode == 0 for node in (NODE, MASTER))
        began = time.monotonic()
        delete(*gone)
        seconds("pods deleted meanwhile", began)
    finally:
        on(NODE, "systemctl start ovn-controller")
        on(MASTER, "systemctl start ovn-k8s-node")
    began = time.monotonic()
    wait(lambda: readyz() == "ok" and takes_pods() and takes_pods(MASTER), TOLD + KUBELET, "the nodes to take pods")
    seconds("daemons started, nodes take pods", began)
