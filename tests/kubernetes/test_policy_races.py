# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods between their start and their policy: of many that begin under a default deny, not one datagram gets to
any, from a pod of the same host or of another one, however early. The kernel counts in each pod's own network.

The pods wait for a volume first, so their addresses are known, and under fire, before their sandboxes are made.
"""

from __future__ import annotations

import json
import os
import shlex

import pytest
from lab_hosts import on, wait
from lab_kubernetes import get, kubectl
from lab_running_pods import NODE, PAUSE, delete, inside, make, running, sandbox

pytestmark = pytest.mark.timeout(900)
STARTS, BATCH = int(os.environ.get("POLICY_STARTS", "40")), 20
FAR = "ovn-node1"  # sends from another host
SHOOTER = "races-shooter"  # name of the pod that sends, on each of both hosts
FLOOD = """
import itertools, socket, sys, time
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for address in itertools.cycle(sys.argv[1:]):
    try:
        one.sendto(b"x", (address, 9))
    except OSError:
        pass
    time.sleep(0.0005)
"""
DENY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "races"},
    "spec": {"podSelector": {"matchLabels": {"races": "closed"}}, "policyTypes": ["Ingress"]},
}


def waiting_pod(name, volume, kind):
    """A pod whose sandbox is not made before a ConfigMap is there."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"races": kind}},
        "spec": {
            "nodeName": NODE,
            "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "gate", "configMap": {"name": volume}}],
            "containers": [{"name": "main", "image": PAUSE, "volumeMounts": [{"name": "gate", "mountPath": "/gate"}]}],
        },
    }


def annotated(names):
    """The addresses that pods have got, in their order; nothing until all have."""
    pods = {pod["metadata"]["name"]: pod for pod in get("pods", labelSelector="races")["items"]}
    texts = [pods[name]["metadata"].get("annotations", {}).get("ovn") for name in names]
    return [json.loads(text)["ip_address"].split("/")[0] for text in texts] if all(texts) else None


def came(name):
    """How many datagrams have come to a pod's network, whether somebody listens there or not (snmp, Udp)."""
    _id, netns = sandbox(name)
    head, values = (line.split() for line in inside(NODE, netns, "grep ^Udp: /proc/self/net/snmp").splitlines())
    udp = dict(zip(head, values))
    return int(udp["InDatagrams"]) + int(udp["NoPorts"])


@pytest.fixture
def fire():
    """Begins to send to addresses from a pod of each host, in place of those before; ends with the test."""
    shooters = {node: f"{SHOOTER}-{node}" for node in (NODE, FAR)}
    for node, name in shooters.items():
        make(name, node)
    for name in shooters.values():
        wait(lambda name=name: running(name), 120, f"pod {name} to be ready")

    def cease():
        for node in shooters:
            on(node, "systemctl stop races.service 2>/dev/null || :")

    def begin(addresses):
        cease()
        for node, name in shooters.items():
            _id, netns = sandbox(name, node)
            program = f"nsenter --net={netns} python3 -c {shlex.quote(FLOOD)} {' '.join(addresses)}"
            on(node, f"systemd-run --quiet --collect --unit=races.service {program}")

    yield begin
    cease()
    delete(*shooters.values())


@pytest.fixture
def start(fire):
    """Starts pods under fire, and tells how many datagrams have come to each; they go at once."""
    gates, left = [], []

    def run(number, count, kind):
        gate, names = f"races-{number}", [f"races-{number}-{one}" for one in range(count)]
        gates.append(gate)
        left.extend(names)
        pods = {"apiVersion": "v1", "kind": "List", "items": [waiting_pod(name, gate, kind) for name in names]}
        kubectl("apply", "--filename=-", content=json.dumps(pods))
        fire(wait(lambda: annotated(names), 60, "the addresses of new pods"))
        kubectl("create", "configmap", gate, "--from-literal=a=b")
        for name in names:
            wait(lambda name=name: running(name), 180, f"pod {name} to be ready")
        found = {name: came(name) for name in names}
        delete(*names)
        del left[:]
        return found

    yield run
    if left:
        delete(*left)
    kubectl("delete", "configmap", "--ignore-not-found", *gates)


def test_no_pod_is_open_before_its_policy(start):
    """As many starts as POLICY_STARTS says; before and after them some without the policy: all get datagrams."""
    kubectl("apply", "--filename=-", content=json.dumps(DENY))
    try:
        assert all(start("open-before", 3, "open").values())
        for number in range(STARTS // BATCH):
            reached = {name: count for name, count in start(number, BATCH, "closed").items() if count}
            assert not reached, f"of batch {number}"
        assert all(start("open-after", 3, "open").values())
    finally:
        kubectl("delete", "--ignore-not-found", "networkpolicy", "races")
