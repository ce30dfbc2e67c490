# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the look at Kubernetes' nodes: it finds them, and an API server that is not there yet stops nothing."""

from __future__ import annotations

import http.server
import json
import threading

import pytest
from module_calls import call

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible import kubernetes

TOKEN = "the-token-of-the-watcher"
NODES = {"kind": "NodeList", "metadata": {}, "items": [{"metadata": {"name": name}} for name in ("node1", "node2")]}


def pod(address, uid="1", of="1", ips=(), **spec):
    """A pod with the annotations of an address.

    :param ips: what its kubelet reports.
    """
    network = json.dumps({"ip_address": address, "mac_address": "0a:00:00:00:00:01", "gateway_ip": "10.0.0.1"})
    meta = {"uid": uid, "annotations": {"ovn": network, "ovn.kubernetes/pod-uid": of}}
    return {"metadata": meta, "spec": spec, "status": {"podIPs": [{"ip": ip} for ip in ips]}}


PODS = {
    "kind": "PodList",
    "metadata": {},
    "items": [
        pod("192.168.5.9/24"),
        pod("192.168.5.7/24"),
        pod("192.168.6.7/24", of="2"),
        pod("nonsense"),
        {"metadata": {"uid": "3"}},
    ],
}


class API(http.server.BaseHTTPRequestHandler):
    """As much of an API server as a list of nodes needs."""

    def do_GET(self):
        right = self.headers["Authorization"] == f"Bearer {TOKEN}" and self.path.startswith("/api/v1/nodes")
        pods = self.path.startswith("/api/v1/pods?fieldSelector=spec.nodeName%3Dnode2&limit=50")
        answer = PODS if pods else NODES
        right = right or pods
        body = json.dumps(answer if right else {"kind": "Status", "message": "Unauthorized", "code": 401}).encode()
        self.send_response(200 if right else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        """Say nothing."""


@pytest.fixture
def server():
    api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), API)
    thread = threading.Thread(target=api.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{api.server_address[1]}"
    api.shutdown()
    thread.join()
    api.server_close()


def look(**options):
    """The module's result."""
    result = call("ovn_info", database_file="/nowhere", **options)
    assert not result.get("failed"), result
    assert TOKEN not in json.dumps({**result, "invocation": None})
    return result


def ask(**options):
    """The names that it found."""
    return look(**options)["kubernetes_nodes"]


def test_the_names_of_nodes(server, monkeypatch):
    """Protects hosts whose environment has a proxy: the API server is asked directly, as by every other program of
    Kubernetes on the host."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert ask(server=server, token=TOKEN) == ["node1", "node2"]
    assert ask() is None


@pytest.mark.parametrize(
    ("pods", "subnets"),
    [
        ([pod("192.168.5.9/24", ips=["192.168.5.9"]), pod("192.168.7.7/24")], ["192.168.5.0/24"]),
        ([pod("192.168.7.7/24", ips=["192.168.5.9"])], []),
        ([pod("10.0.0.7/8", ips=["10.0.0.7"], hostNetwork=True)], []),
        ([pod("192.168.7.7/24", of="")], []),
    ],
)
def test_what_the_kubelet_reports_counts_before_annotations(pods, subnets):
    """Protects a node whose rows were lost from a user who writes another node's subnet into his pod's annotations."""
    assert kubernetes.pod_subnets(pods) == subnets


@pytest.mark.parametrize("more", [{"server": "http://127.0.0.1:9", "token": TOKEN}, {"token": "another"}])
def test_nobody_answers(server, more, capsys):
    """Protects the overlay, which is made before Kubernetes is there: a warning says that names were not compared."""
    result = look(**{"server": server, **more})
    assert result["kubernetes_nodes"] is None
    # Where the process has loaded Ansible's controller, as other tests do, ansible-core shows warnings at once.
    said = [*map(str, result.get("warnings", ())), capsys.readouterr().err]
    assert any("inventory's names are those of Kubernetes' nodes could not be seen: " in text for text in said)


def test_the_subnet_of_a_nodes_pods(server):
    """Protects pods of a node that only Kubernetes knows: their annotations have its subnet. What was copied from
    another pod, or can't be read, has none."""
    result = call("ovn_info", database_file="/nowhere", server=server, token=TOKEN, pods_of=["node2", "node3"])
    assert result["pod_subnets"] == {"node2": ["192.168.5.0/24"]}
    assert call("ovn_info", database_file="/nowhere", server=server, token=TOKEN)["pod_subnets"] == {}
