# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The tests' own API server: it keeps its data and port over a restart, and knows a node by its token."""

from __future__ import annotations

import pytest
from kubernetes_server import Refused


def test_what_was_made_outlives_a_restart(kubernetes):
    kubernetes.add_node("node1", "10.0.0.1")
    url = kubernetes.url
    kubernetes.stop()
    with pytest.raises(OSError):
        kubernetes.get("/api/v1/nodes/node1")
    kubernetes.start()
    assert kubernetes.url == url
    assert kubernetes.get("/api/v1/nodes/node1")["status"]["addresses"] == [
        {"type": "InternalIP", "address": "10.0.0.1"}
    ]


def test_a_paused_server_answers_when_it_goes_on(kubernetes):
    kubernetes.pause()
    try:
        with pytest.raises(TimeoutError):
            kubernetes.request("GET", "/readyz", limit=0.3)
    finally:
        kubernetes.resume()
    assert kubernetes.request("GET", "/readyz") == "ok"


def test_a_node_sees_only_its_own_pods(kubernetes):
    """The Node authorizer holds here as in a cluster, so that tests of least privilege mean something."""
    for node in ("node2", "node3"):
        kubernetes.add_node(node)
        kubernetes.add_pod(f"on-{node}", node)
    token = kubernetes.node_token("node2")
    assert [
        pod["metadata"]["name"] for pod in kubernetes.items("/api/v1/pods?fieldSelector=spec.nodeName=node2", token)
    ] == ["on-node2"]
    for path in (
        "/api/v1/pods",
        "/api/v1/pods?fieldSelector=spec.nodeName=node3",
        "/api/v1/namespaces/default/pods/on-node3",
    ):
        with pytest.raises(Refused) as refused:
            kubernetes.get(path, token)
        assert refused.value.status == 403


def test_deleted_pods_are_gone_at_once(kubernetes):
    kubernetes.add_pod("short-lived", "node4")
    kubernetes.delete("/api/v1/namespaces/default/pods/short-lived")
    with pytest.raises(Refused) as refused:
        kubernetes.get("/api/v1/namespaces/default/pods/short-lived")
    assert refused.value.status == 404
