# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the pods of a namespace, and of a node, that an administrator has pinned to one of two gateways: a server
outside sees them with its address, and nothing leaves by the other gateway when it is away.
"""

from __future__ import annotations

import json

import pytest
from lab_hosts import ROOT, lab, on, play, wait
from lab_kubernetes import GATEWAY, INVENTORY, kubectl

LAB_CACHE = ("-e", f"lab_cache={ROOT / '.cache' / 'lab'}")
DEFINITION = ROOT / "roles/common/files/k8s.ovn.org/admin-policy-based-external-routes.yaml"
KIND = "adminpolicybasedexternalroutes.k8s.ovn.org"
SECOND = "10.55.0.12"
SECOND_GATEWAY = f"""
ovn_gateways:
  hosts:
    ovn-node2:
      ovn_gateway_interface: eth1
      ovn_gateway_ip: {SECOND}/24
      ovn_gateway_next_hop: 10.55.0.254
"""
OUTSIDE, PORT = "203.0.113.1", 8098
SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.client_address[0].encode())
    def log_message(self, *_arguments):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", %d), Handler).serve_forever()
"""
NAMESPACE, PODS = "pinned", {"here": "ovn-node1", "there": "ovn-node2"}
IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.56"


@pytest.fixture(scope="module")
def two_gateways(tmp_path_factory):
    """The lab with a second gateway; afterwards it has one again."""
    extra = tmp_path_factory.mktemp("second") / "gateway.yml"
    extra.write_text(SECOND_GATEWAY)
    play("site", *LAB_CACHE, inventory=[INVENTORY, extra]).ok()
    yield
    play("site", *LAB_CACHE, inventory=[INVENTORY]).ok()


@pytest.fixture(scope="module")
def server():
    """A server outside that says whom it sees."""
    on("ovn-outside", f"cat > /tmp/seen.py <<'END'\n{SERVER % PORT}\nEND")
    on("ovn-outside", "systemd-run --unit=seen --collect python3 /tmp/seen.py")
    yield
    on("ovn-outside", "systemctl stop seen", check=False)


@pytest.fixture(scope="module")
def pods(two_gateways, server):
    """A pod on each of two nodes, in a namespace of their own, and the definition of the object."""
    kubectl("apply", "--server-side", f"--filename={DEFINITION}")
    kubectl("create", "namespace", NAMESPACE)
    for name, node in PODS.items():
        container = {"name": "main", "image": IMAGE, "args": ["pause"]}
        spec = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}
        kubectl("apply", "--filename=-", content=json.dumps(body))
    kubectl("wait", f"--namespace={NAMESPACE}", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
    yield
    kubectl("delete", "crd", KIND, "--ignore-not-found")
    kubectl("delete", "namespace", NAMESPACE, limit=180)


@pytest.fixture
def pin(pods):
    """Makes the object; it is deleted afterwards."""

    def make(*hops, bfd=False, **selectors):
        static = [{"ip": ip, "bfdEnabled": bfd} for ip in hops]
        chosen = selectors or {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}}
        spec = {"from": chosen, "nextHops": {"static": static}}
        kind = {"apiVersion": "k8s.ovn.org/v1", "kind": "AdminPolicyBasedExternalRoute"}
        kubectl("apply", "--filename=-", content=json.dumps({**kind, "metadata": {"name": "lab"}, "spec": spec}))

    yield make
    kubectl("delete", KIND, "lab", "--ignore-not-found")
    wait(lambda: all(seen(name) for name in PODS), 60, "the pods to leave again")


def seen(name):
    """Whom the server outside sees when a pod asks; empty: nobody came."""
    command = f"curl --silent --max-time 2 http://{OUTSIDE}:{PORT}/ || :"
    return kubectl("exec", f"--namespace={NAMESPACE}", name, "--", "sh", "-c", command).strip()


def status():
    """The object's status."""
    return kubectl("get", KIND, "lab", "--output=jsonpath={.status.status}").strip()


def always(name, expected, times=5):
    """Whether several connections of a pod are all seen with one address."""
    return {seen(name) for _n in range(times)} == {expected}


def test_a_namespace_and_a_node(pin):
    """Both gateways in turn, from pods on both nodes; then the pods of one node only. The watcher finds the new kind
    within its pause.
    """
    for gateway in (GATEWAY, SECOND):
        pin(gateway)
        wait(lambda: status() == "Success", 120, "the status")
        for name in PODS:
            wait(lambda name=name, gateway=gateway: seen(name) == gateway, 10, f"{name} by {gateway}")
            assert always(name, gateway)
    free = {name for name in PODS if name != "there"}
    pin(GATEWAY, nodeSelector={"matchLabels": {"kubernetes.io/hostname": PODS["there"]}})
    wait(lambda: seen("there") == GATEWAY, 30, "the node's pods")
    assert always("there", GATEWAY) and all(seen(name) in (GATEWAY, SECOND) for name in free)


def test_a_gateway_that_is_away(pin):
    """Its cable is pulled: watched or not, nothing leaves by the other gateway, unless the object names it too; and
    what is inside is reached all the time.
    """
    pin(SECOND, bfd=True)
    wait(lambda: seen("here") == SECOND, 120, "the pin")
    lab("unplug", "ovn-node2", "eth1")
    try:
        wait(lambda: status() == "Fail", 30, "the status")
        assert always("here", "") and always("there", "")
        address = kubectl("get", "pod", f"--namespace={NAMESPACE}", "there", "--output=jsonpath={.status.podIP}")
        ping = f"ping -c 1 -W 2 {address} > /dev/null && echo there"
        assert "there" in kubectl("exec", f"--namespace={NAMESPACE}", "here", "--", "sh", "-c", ping)
        pin(SECOND, GATEWAY, bfd=True)
        wait(lambda: seen("here") == GATEWAY, 30, "the other gateway, which is named")
        assert always("there", GATEWAY)
        pin(SECOND)
        wait(lambda: not seen("here"), 30, "the way by the gateway that is away")
        assert always("here", "", 3)
    finally:
        lab("plug", "ovn-node2", "eth1")
    wait(lambda: seen("here") == SECOND, 60, "the gateway's return")


def test_a_next_hop_that_is_nowhere(pin):
    """Nothing leaves, the status and an event say why, and a new pod does not leave either."""
    pin("198.51.100.7")
    wait(lambda: status() == "Fail", 120, "the status")
    wait(lambda: not seen("here"), 30, "the pin")
    assert always("here", "", 3) and always("there", "", 3)
    events = kubectl("get", "events", "--namespace=default", "--field-selector=reason=ExternalRouteNotServed")
    assert "in no gateway's network" in events
