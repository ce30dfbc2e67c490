# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Pods' interfaces through a kubelet and containerd's CRI, on hosts that run the whole overlay: runtime, server and host end and come back (W18, W20)."""

from __future__ import annotations

import json

import pytest
from lab_hosts import lab, on, wait
from lab_kubernetes import get, kubectl

NODE = "ovn-node2"


def running(name):
    """The pod's address once it is ready, else nothing."""
    pod = get("pod", name)
    ready = [one["status"] for one in pod["status"].get("conditions", ()) if one["type"] == "Ready"]
    return pod["status"].get("podIP") if ready == ["True"] else None


def make(name, node=NODE):
    """A pod that only waits, on a node."""
    kubectl("apply", "--filename=-", content=json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": "registry.k8s.io/pause:3.10.1"}]}}))
    return name


def delete(*names, limit=120):
    """Delete pods, and wait until they are gone."""
    kubectl("delete", "pod", *names, "--ignore-not-found", "--wait", limit=limit)


def reaches(address):
    """Whether the master's own stack reaches a pod through the overlay."""
    return on("ovn-master", f"ping -c 1 -W 2 {address}", check=False).returncode == 0


def ports(node=NODE):
    """iface-ids of the pods' interfaces in a node's Open vSwitch, and how many of them have no link."""
    rows = json.loads(on(node, "ovs-vsctl --format json --columns external_ids,ofport list Interface"))["data"]
    pods = [(dict(keys[1])["iface-id"], ofport) for keys, ofport in rows if "sandbox" in dict(keys[1])]
    return sorted(name for name, _ofport in pods), sum(ofport in (-1, ["set", []]) for _name, ofport in pods)


@pytest.fixture
def pods():
    """Makes pods that are ready and reached; they go at the end."""
    made = []

    def add(name, node=NODE):
        made.append(make(name, node))
        address = wait(lambda: running(name), 120, f"pod {name} to be ready")
        wait(lambda: reaches(address), 30, f"{name} at {address} to be reached")
        return address
    yield add
    delete(*made)
    wait(lambda: not {f"default_{name}" for name in made} & set(ports()[0]), 60, "the ports of deleted pods to go")


def test_a_pod_through_the_runtime(pods):
    """Protects the whole way: kubelet, containerd, the plugin's result (which containerd reads), annotation, flows."""
    address = pods("one")
    annotation = json.loads(get("pod", "one")["metadata"]["annotations"]["ovn"])
    assert annotation["ip_address"].split("/")[0] == address and "default_one" in ports()[0]


def test_w18_the_runtime_starts_again(pods):
    """Protects pods from a restart of containerd: they stay reached, new ones come, and nothing stale is left."""
    address = pods("stays")
    on(NODE, "systemctl restart containerd")
    assert reaches(address)
    pods("comes")
    names, dead = ports()
    assert {"default_stays", "default_comes"} <= set(names) and len(names) == len(set(names)) and dead == 0


def test_w20_a_pod_ends_while_the_server_is_away(pods):
    """Protects the end of pods: it does not wait for our server, which does the rest when it is back."""
    pods("ends")
    on(NODE, "systemctl stop ovn-k8s-node")
    try:
        delete("ends", limit=90)
    finally:
        on(NODE, "systemctl start ovn-k8s-node")
    wait(lambda: "default_ends" not in ports()[0], 30, "the port to go")


def test_w20_the_server_is_killed_while_pods_come(pods):
    """Protects pods from a server that is killed in the middle of its work: the kubelet tries again, and each gets there."""
    names = [make(f"k{number}") for number in range(4)]
    on(NODE, "systemctl kill --signal KILL ovn-k8s-node")
    for name in names:
        pods(name)
    found, dead = ports()
    assert [found.count(f"default_{name}") for name in names] == [1] * len(names) and dead == 0


def test_w18_a_host_boots(pods):
    """Protects a host after a boot: stale ports go, its pods come back with links of now, and no pod is started too early."""
    pods("survives")
    before = running("survives")
    lab("restart", NODE, limit=300)
    wait(lambda: on(NODE, "systemctl is-active ovn-k8s-node", check=False).stdout.strip() == "active", 120, "the host to be back")
    wait(lambda: running("survives") == before and reaches(before), 180, "the pod to be back")
    wait(lambda: ports() == (sorted(set(ports()[0])), 0), 60, "stale ports to go")
