# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the API's conformance suite does not ask of cluster network policies: the definition that comes and
goes while the watcher runs, the condition, the node's own traffic, and names.
"""

from __future__ import annotations

import json
import pathlib

import pytest
from lab_hosts import on, wait
from lab_kubernetes import get, kubectl, run_in

CRD = pathlib.Path(__file__).resolve().parents[2] / "roles/common/files/network-policy-api/experimental.yaml"
KIND = "clusternetworkpolicies.policy.networking.k8s.io"
WEB = {"pods": {"podSelector": {"matchLabels": {"app": "web"}}}}
EVERYONE = {"namespaces": {}}


def make(name, **spec):
    """Make a policy of the tier Admin."""
    item = {
        "apiVersion": "policy.networking.k8s.io/v1beta1",
        "kind": "ClusterNetworkPolicy",
        "metadata": {"name": name},
        "spec": {"tier": "Admin", "priority": 10, **spec},
    }
    kubectl("apply", "--filename=-", content=json.dumps(item))


def condition(name):
    """Status and reason of the condition of a policy; None: it has none."""
    item = json.loads(kubectl("get", KIND, name, "--output=json"))
    found = [one for one in (item.get("status") or {}).get("conditions") or () if one["type"] == "Enforced"]
    return (found[0]["status"], found[0]["reason"]) if found else None


@pytest.fixture
def definition():
    """The definition, which comes while the watcher runs, and goes."""
    kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", content=CRD.read_text())
    kubectl("wait", "--for=condition=Established", f"crd/{KIND}", "--timeout=60s")
    yield
    kubectl("delete", "--ignore-not-found", f"crd/{KIND}")


def answers(web):
    """Whether the service answers the pod that asks."""
    asked = ("curl", "--silent", "--max-time", "2", f"http://{web.address}/hostname")
    return run_in("client", *asked, check=False).returncode == 0


def test_a_definition_that_comes_and_goes(web, definition):
    """A Deny holds against pods, and not against the kubelet's own node; with the definition all its policies go."""
    web.all_answer(web.from_pod)
    make("deny", subject=WEB, ingress=[{"action": "Deny", "from": [EVERYONE]}])
    wait(lambda: condition("deny") == ("True", "Enforced"), 60, "the condition")
    wait(lambda: not answers(web), 30, "the policy to be in force")
    for pod in get("pods", labelSelector="app=web")["items"]:
        address = f"{pod['status']['podIP']}:8080"
        assert on(pod["spec"]["nodeName"], f"curl --silent --max-time 2 http://{address}/hostname")
    kubectl("delete", f"crd/{KIND}")
    wait(lambda: answers(web), 60, "the policy to be gone with its definition")


def test_what_is_refused_is_said(web, definition):
    """A rule with a wildcard matches nothing, and the object says so; the rules beside it hold."""
    rules = [
        {"action": "Accept", "to": [{"domainNames": ["*.example.org"]}]},
        {"action": "Deny", "to": [EVERYONE]},
    ]
    web.all_answer(web.from_pod)
    make("names", subject=EVERYONE, egress=rules)
    wait(lambda: condition("names") == ("False", "PartRefused"), 60, "the condition")
    wait(lambda: not answers(web), 30, "the policy to be in force")
    kubectl("delete", KIND, "names")
    wait(lambda: answers(web), 30, "the policy to be gone")
