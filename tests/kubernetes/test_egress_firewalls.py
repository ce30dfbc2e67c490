# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what pods reach outside: an egress firewall whose definition comes and goes while the watcher runs, its
status, nodes by their labels, and what is inside of the cluster.
"""

from __future__ import annotations

import json
import pathlib

import pytest
from lab_hosts import wait
from lab_kubernetes import kubectl, run_in

DEFINITIONS = pathlib.Path(__file__).resolve().parents[2] / "roles/common/files/k8s.ovn.org"
KIND = "egressfirewalls.k8s.ovn.org"
MASTER = "10.44.0.10"  # whose API server is outside, for a pod
EVERYTHING = [{"type": "Deny", "to": {"cidrSelector": one}} for one in ("0.0.0.0/0", "::/0")]


def make(*rules, name="default"):
    """Make or change the firewall of the namespace default."""
    item = {
        "apiVersion": "k8s.ovn.org/v1",
        "kind": "EgressFirewall",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"egress": list(rules)},
    }
    return kubectl("apply", "--filename=-", content=json.dumps(item))


def status():
    """The status of the firewall."""
    return json.loads(kubectl("get", KIND, "default", "--output=json")).get("status") or {}


def reaches_master():
    """Whether the pod that asks gets an answer of the API server at the master's own address."""
    asked = ("curl", "--silent", "--insecure", "--output", "/dev/null", "--max-time", "2", f"https://{MASTER}:6443/")
    return run_in("client", *asked, check=False).returncode == 0


@pytest.fixture
def definition():
    """The definition, which comes while the watcher runs, and goes."""
    for name in ("egress-firewall", "egress-qos"):
        text = (DEFINITIONS / f"{name}.yaml").read_text()
        kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", content=text)
    kubectl("wait", "--for=condition=Established", f"crd/{KIND}", "--timeout=60s")
    yield
    kubectl("delete", "--ignore-not-found", f"crd/{KIND}", "crd/egressqoses.k8s.ovn.org")


def test_outside_is_closed_and_inside_is_not(web, definition):
    """A Deny of everything hits the master's own address, and no service; an Allow by the master's labels opens it; a
    wildcard is refused in words; with the definition all firewalls go.
    """
    web.all_answer(web.from_pod)
    wait(reaches_master, 30, "the master to answer before")
    make(*EVERYTHING)
    wait(lambda: status().get("status") == "EgressFirewall Rules applied", 60, "the status")
    wait(lambda: not reaches_master(), 30, "the firewall to be in force")
    web.all_answer(web.from_pod)
    labels = {"matchLabels": {"kubernetes.io/hostname": "ovn-master"}}
    make({"type": "Allow", "to": {"nodeSelector": labels}}, *EVERYTHING)
    wait(reaches_master, 30, "the master to be allowed")
    make({"type": "Allow", "to": {"dnsName": "*.example.org"}}, *EVERYTHING)
    wait(lambda: "wildcard" in str(status().get("messages")), 30, "the status to name the wildcard")
    wait(lambda: not reaches_master(), 30, "the firewall to be in force again")
    kubectl("delete", f"crd/{KIND}")
    wait(reaches_master, 60, "the firewall to be gone with its definition")


def test_what_the_definition_refuses(definition):
    """The API server refuses another name, and what no rule can be."""
    for rules, name in (
        (EVERYTHING, "other"),
        ([{"type": "Drop", "to": {"cidrSelector": "0.0.0.0/0"}}], "default"),
        ([{"type": "Deny", "to": {"cidrSelector": "0.0.0.0/0", "dnsName": "example.org"}}], "default"),
        ([{"type": "Deny", "to": {"cidrSelector": "all"}}], "default"),
    ):
        with pytest.raises(AssertionError, match=r"nvalid|default"):
            make(*rules, name=name)
