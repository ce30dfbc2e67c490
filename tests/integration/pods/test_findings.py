# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who looks for what is wrong with pods: the server of their node finds it, and says what it causes."""

from __future__ import annotations

import json
import subprocess

from attached_pods import add
from database_server import wait_for
from node_server import network, pod


def test_an_annotation_that_differs_is_found(ready, sandbox):
    """Protects against a pod that is served at an address that it does not have: the finding names both."""
    add(ready, sandbox())
    ready.api.change("MODIFIED", pod("web", annotation=network(9)))
    (finding,) = wait_for(lambda: json.loads(ready.http_get("/findings")[1]), "the finding")
    assert finding["wrong"] == "it has 192.168.1.3/24, and its annotation says 192.168.1.9/24"


def test_flows_that_are_missing_are_found(ready, sandbox):
    """Protects a pod whose logical port is gone: ovn-controller takes its mark away."""
    port = add(ready, sandbox())
    with ready.controller.lock:
        ready.controller.silent = True
        ready.database.transact(
            {
                "op": "mutate",
                "table": "Interface",
                "where": [["name", "==", port]],
                "mutations": [["external_ids", "delete", ["set", ["ovn-installed"]]]],
            }
        )
    (finding,) = wait_for(lambda: json.loads(ready.http_get("/findings")[1]), "the finding")
    assert finding["subject"] == "pod ns/web" and "logical port ns_web" in finding["wrong"]


def test_what_changed_in_the_pod_is_found(ready, sandbox):
    """Protects against a pod without its address, which only the pod's own namespace shows. It may have done that
    itself: a warning.
    """
    place = sandbox()
    add(ready, place)
    place.run("ip", "address", "flush", "dev", "eth0")
    (finding,) = json.loads(ready.http_get("/findings")[1])
    assert finding["subject"] == "pod ns/web" and "192.168.1.3/24" in finding["wrong"]
    assert finding["mend"] == "kubectl delete pod -n ns web" and finding["severity"] == "warning"


def test_a_pod_that_makes_many_routes_keeps_nobody_busy(ready, sandbox):
    """Protects the host, and the findings of the other pods: no more than some routes of a pod are read."""
    place, other = sandbox(), sandbox("other")
    add(ready, place)
    add(ready, other, "other", 4)
    batch = ready.folder / "routes"
    batch.write_text("".join(f"route add 10.{one // 250}.{one % 250}.0/24 dev eth0\n" for one in range(2500)))
    place.run("ip", "-batch", str(batch))
    other.run("ip", "link", "set", "eth0", "down")
    first, second = json.loads(ready.http_get("/findings")[1])
    assert first["subject"] == "pod ns/web" and "there are more than 2000" in first["wrong"]
    assert second["subject"] == "pod ns/other" and second["severity"] == "warning"


def test_a_pod_that_runs_without_a_port_is_found(ready):
    """Protects a pod of which nothing is left on its node: it has no record that could be compared."""
    ready.api.change("ADDED", {**pod("web", annotation=network(3)), "status": {"phase": "Running"}})
    (finding,) = wait_for(lambda: json.loads(ready.http_get("/findings")[1]), "the finding")
    assert finding["subject"] == "pod ns/web" and "has no port" in finding["wrong"] and finding["severity"] == "error"


def test_an_address_that_the_node_does_not_serve_any_more_is_found(ready, sandbox):
    """Protects static pods and those of DaemonSets, which keep their addresses when their node's subnet changes."""
    add(ready, sandbox())
    subprocess.run(["ip", "address", "replace", "192.168.1.2/24", "dev", "k8s-node1"], check=True, timeout=10)
    wait_for(lambda: json.loads(ready.http_get("/findings")[1]) == [], "the address to be in the node's subnet")
    subprocess.run(["ip", "address", "flush", "dev", "k8s-node1"], check=True, timeout=10)
    subprocess.run(["ip", "address", "add", "192.168.9.2/24", "dev", "k8s-node1"], check=True, timeout=10)
    (finding,) = wait_for(lambda: json.loads(ready.http_get("/findings")[1]), "the finding")
    assert "192.168.1.3, which is in no subnet of this node" in finding["wrong"]


def test_a_static_pod_is_not_to_be_deleted(ready, sandbox):
    """Protects a static pod from advice that takes its port away: to delete its copy does not end it."""
    ready.api.change("ADDED", pod("web", annotation=network(3), **{"kubernetes.io/config.mirror": "static"}))
    place = sandbox()
    assert ready.cni("ADD", netns=place.path, uid="static")[0] == 0
    place.run("ip", "address", "flush", "dev", "eth0")
    (finding,) = json.loads(ready.http_get("/findings")[1])
    assert finding["mend"].startswith("on node1, move the manifest of static pod ns/web out of")
