# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods under a default deny: the node's own traffic passes, and nobody comes in by way of the node."""

from __future__ import annotations

import json

import pytest
from lab_hosts import HOSTS, on, wait
from lab_kubernetes import GATEWAY, get, kubectl

NODE_ADDRESSES = {"ovn-master": "10.44.0.10", "ovn-node1": "10.44.0.11", "ovn-node2": "10.44.0.12"}
POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "default-deny"},
    "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]},
}


def reaches(host, address):
    """Whether a host gets an answer of the web pods from there."""
    return bool(on(host, f"curl --silent --max-time 2 http://{address}/hostname || :"))


def readiness():
    """Pod -> whether it is ready, since when, and how often its container was started."""
    found = {}
    for pod in get("pods", labelSelector="app=web")["items"]:
        ready = next(one for one in pod["status"]["conditions"] if one["type"] == "Ready")
        restarts = [one["restartCount"] for one in pod["status"]["containerStatuses"]]
        found[pod["metadata"]["name"]] = (ready["status"], ready["lastTransitionTime"], restarts)
    return found


@pytest.fixture
def denied(web):
    """A default deny for the web pods, in force."""
    web.all_answer(web.from_outside)
    kubectl("apply", "--filename=-", content=json.dumps(POLICY))
    yield web
    kubectl("delete", "--ignore-not-found", "networkpolicy", "default-deny")
    web.all_answer(web.from_outside)


def test_a_node_port_from_outside_is_closed(denied):
    """By the address of each node, with a gateway or without, from outside, from other hosts and from pods' hosts."""
    ways = [f"{address}:30080" for address in (GATEWAY, *NODE_ADDRESSES.values())]
    wait(lambda: not any(reaches("ovn-outside", way) for way in ways), 30, "the policy to be in force")
    for _round in range(3):  # of pods at all hosts
        assert [way for way in ways if reaches("ovn-outside", way)] == []
        for host in HOSTS:  # to another host's node port; its own may lead to its own pods
            others = [f"{address}:30080" for name, address in NODE_ADDRESSES.items() if name != host]
            assert [way for way in others if reaches(host, way)] == []


def test_the_nodes_own_traffic_passes(denied):
    """The kubelet's probes, each second, of which three that fail would show: more than ten of them pass. A host
    reaches its own pods, and those of no other node.
    """
    before = readiness()
    wait(lambda: not reaches("ovn-outside", f"{GATEWAY}:30080"), 30, "the policy to be in force")
    started = on("ovn-node2", "date +%s")
    for pod in get("pods", labelSelector="app=web")["items"]:
        for host in HOSTS:
            assert reaches(host, f"{pod['status']['podIP']}:8080") == (host == pod["spec"]["nodeName"]), (host, pod)
    wait(lambda: int(on("ovn-node2", "date +%s")) > int(started) + 10, 30, "ten probes")
    assert readiness() == before and all(ready == "True" for ready, *_rest in before.values())
