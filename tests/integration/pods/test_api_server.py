# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The node's server and a real API server: with no more than a node's own rights, through restarts (W2, W19)."""

from __future__ import annotations

import json
import subprocess

import network_namespace
import pytest
from database_server import wait_for
from kubernetes_server import Kubernetes, programs
from node_server import answer, host_links, network

from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import accounts

PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture(scope="module", autouse=True)
def namespace():
    """The tests of this file share a network namespace, and in it an API server."""
    with network_namespace.namespace():
        yield


@pytest.fixture(scope="module")
def api_server(namespace):
    """The API server of ``kubernetes``. Nodes may read all that the account of a node's server may."""
    server = Kubernetes(flags=["--advertise-address=192.0.2.1"])  # the namespace has no route to take one from
    rules = [rule for rule in accounts.node_rules("node1") if "list" in rule["verbs"]]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "services"}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}]
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    server.create(f"{rbac}/clusterroles", {"metadata": {"name": "services"}, "rules": rules})
    server.create(
        f"{rbac}/clusterrolebindings", {"metadata": {"name": "services"}, "roleRef": role, "subjects": subjects}
    )
    yield server
    server.remove()


@pytest.fixture
def served(kubernetes, node, tmp_path):
    """(the API server, the node), whose credential is that of a kubelet: it sees its own node's pods, and no list of
    all.
    """
    kubernetes.add_node("node1")
    kubernetes.add_node("node2")
    token = tmp_path / "token"
    token.write_text(kubernetes.node_token("node1"))
    node.set_api_server(server=kubernetes.url, ca_file=str(kubernetes.ca_file), token_file=str(token))
    node.start()
    yield kubernetes, node
    node.stop()
    wait_for(lambda: not host_links(), "the pods' links to go with their namespaces")


def add(kubernetes, name, node="node1", number=3):
    """Create a pod with its annotations; return its UID."""
    uid = kubernetes.add_pod(name, node)["metadata"]["uid"]
    annotate(kubernetes, name, uid, number)
    return uid


def annotate(kubernetes, name, uid, number):
    """Annotate a pod, as the watcher does."""
    kubernetes.patch(
        f"{PODS}/{name}",
        {"metadata": {"annotations": {"ovn": json.dumps(network(number)), "ovn.kubernetes/pod-uid": uid}}},
    )


def call(node, command, place, name, uid, container=None):
    """Start the plugin for a pod of the namespace default."""
    args = f"K8S_POD_NAMESPACE=default;K8S_POD_NAME={name};K8S_POD_UID={uid}"
    return node.call(command, container=container or f"c-{name}", netns=place.path, environment={"CNI_ARGS": args})


def test_pods_of_this_node(served, sandbox):
    """Protects the cluster from a node that is broken into: its server works with what the Node authorizer shows of its
    own node alone.
    """
    kubernetes, node = served
    one, two = sandbox("one"), sandbox("two")
    assert answer(call(node, "ADD", one, "one", add(kubernetes, "one")))[0] == 0
    add(kubernetes, "elsewhere", "node2", 4)
    with pytest.raises(AssertionError, match="403"):
        kubernetes.get("/api/v1/pods", token=kubernetes.node_token("node1"))
    waiting = call(node, "ADD", two, "later", "")
    wait_for(node.has_request, "ADD to reach the server")
    annotate(kubernetes, "later", kubernetes.add_pod("later", "node1")["metadata"]["uid"], 5)
    assert answer(waiting)[0] == 0
    assert "ovnkube_node_pods 2.0" in node.http_get("/metrics")[1]


def test_w19_a_pod_created_again_under_its_name(served, sandbox):
    """Protects a new pod from the old one's address, and the deletion of the old one from the new one."""
    kubernetes, node = served
    first, second = sandbox("first"), sandbox("second")
    old = add(kubernetes, "web", number=3)
    assert answer(call(node, "ADD", first, "web", old, "c1"))[0] == 0
    kubernetes.delete(f"{PODS}/web")
    new = add(kubernetes, "web", number=4)
    code, result = answer(call(node, "ADD", second, "web", new, "c2"))
    assert code == 0 and result["ips"][0]["address"] == "192.168.1.4/24"
    assert answer(call(node, "DEL", first, "web", old, "c1")) == (0, None)
    (keys,) = node.pod_ports().values()
    assert keys["iface-id-ver"] == new


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_w2_the_api_server_starts_again(served, sandbox, end):
    """Protects pods that come in an outage of the API server (W2, F2): they get their interface when it is back;
    nothing is started again by hand.
    """
    kubernetes, node = served
    place = sandbox()
    getattr(kubernetes, end)()
    waiting = call(node, "ADD", place, "web", "")
    wait_for(node.has_request, "ADD to reach the server")
    kubernetes.start()
    add(kubernetes, "web")
    assert answer(waiting)[0] == 0
    wait_for(lambda: node.http_get("/readyz")[0] == 200, "the node to be ready")


def test_the_nodes_account_may_write_events(served, sandbox):
    """Protects what a pod's events say of a repair: a node may write them, with the rights of its account."""
    kubernetes, node = served
    code, result = answer(call(node, "ADD", sandbox(), "web", add(kubernetes, "web")))
    assert code == 0, result
    subprocess.run(["ip", "link", "set", result["interfaces"][0]["name"], "down"], check=True, timeout=10)
    wait_for(
        lambda: "NetworkRepaired" in [one["reason"] for one in kubernetes.items("/api/v1/namespaces/default/events")],
        "the event",
    )


@pytest.fixture
def controllers(kubernetes, tmp_path):
    """Kubernetes' controller manager, with what makes taints from conditions."""
    access = tmp_path / "controllers.kubeconfig"
    access.write_text(json.dumps(kubernetes.kubeconfig()))
    program = programs("kube-controller-manager") / "kube-controller-manager"
    arguments = ["--leader-elect=false", "--controllers=node-lifecycle-controller", "--secure-port=0"]
    with (tmp_path / "controllers.log").open("w") as log:
        process = subprocess.Popen([program, f"--kubeconfig={access}", *arguments], stdout=log, stderr=log)
    yield
    process.kill()
    process.wait(timeout=10)


def test_the_nodes_account_keeps_new_pods_away(controllers, served):
    """Protects new pods from a node that can't serve them: its account may write NetworkUnavailable, Kubernetes makes
    the taint from it, and the kubelet's own conditions stay.
    """
    kubernetes, node = served
    path = "/api/v1/nodes/node1"

    def conditions():
        return {one["type"]: one for one in kubernetes.get(path)["status"]["conditions"]}

    def has(status, taint=False):
        found = [(one["key"], one["effect"]) for one in kubernetes.get(path)["spec"].get("taints", ())]
        wanted = [("node.kubernetes.io/network-unavailable", "NoSchedule")] if taint else []
        return conditions().get("NetworkUnavailable", {}).get("status") == status and found == wanted

    wait_for(lambda: has("False"), "the condition of a node that serves pods")
    node.daemons["ovn-controller"].stop()
    wait_for(lambda: has("True", taint=True), "the taint of a node that does not")
    assert conditions()["NetworkUnavailable"]["message"].startswith("ovn-controller does not run: ")
    node.daemons["ovn-controller"].start()
    wait_for(lambda: has("False"), "the node to serve pods again")
    assert "Ready" in conditions()
