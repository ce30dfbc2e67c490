# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What somebody breaks by hand of what only Kubernetes needs: verify names it, a site run mends it."""

from __future__ import annotations

import re

import pytest
from lab_hosts import INVENTORY, on, play, wait
from lab_kubernetes import INVENTORY as KUBERNETES
from lab_kubernetes import kubectl

CONFIGURATION = "/etc/cni/net.d/10-ovn-kubernetes.conflist"
# (host, command, what verify says in the row of the host).
LOSSES = (
    (
        "ovn-node1",
        "rm /etc/ovn-kubernetes/kubernetes-node.token",
        "the token in /etc/ovn-kubernetes/kubernetes-node.token is missing",
    ),
    (
        "ovn-node1",
        "chmod 600 /opt/cni/bin/ovn-k8s-cni-overlay",
        "file /opt/cni/bin/ovn-k8s-cni-overlay has mode 0600, not 0755",
    ),
    (
        "ovn-node2",
        "rm /etc/ovn-kubernetes/kubernetes-ca.crt",
        "file /etc/ovn-kubernetes/kubernetes-ca.crt is missing",
    ),
    ("ovn-master", "systemctl stop ovn-k8s-watcher", "ovn-k8s-watcher.service does not run: inactive (dead)"),
)


def rows(run):
    """The rows of the table in a run's output, each as its cells."""
    lines = re.findall(r'^ +"(.* \| (?:error|warning) *\| .*)",?$', run.output, re.M)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


@pytest.fixture(scope="module")
def walk():
    """verify, site, verify after all of it was broken at once."""
    inventories = {"only": [INVENTORY, KUBERNETES]}
    for host, command, _words in LOSSES:
        on(host, command)
    kubectl("--namespace=ovn-kubernetes", "delete", "serviceaccount", "ovn-k8s-node-ovn-node2")
    broken = play("verify", **inventories)
    play("site", **inventories).ok()
    return broken, play("verify", **inventories)


def test_the_runtime_s_configuration_comes_back_by_itself():
    """Protects pods' start: the node server writes the file again at once."""
    on("ovn-node1", f"rm {CONFIGURATION}")
    wait(lambda: on("ovn-node1", f"ls {CONFIGURATION}", check=False).returncode == 0, 5, CONFIGURATION)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss[1])
def test_verify_names_what_was_lost(walk, loss):
    """Protects tokens, the CNI plugin, settings and programs of Kubernetes' part; no token is shown."""
    host, _command, words = loss
    broken, _mended = walk
    assert broken.code == 2
    (row,) = [row for row in rows(broken) if row[0] == host and row[2] == words]
    assert row[4].endswith("ovn.kubernetes.site")
    assert "eyJ" not in broken.output


def test_verify_names_a_service_account_that_is_gone(walk):
    """Protects a node whose account somebody deleted: its token looks good, and is not."""
    broken, _mended = walk
    assert any("of service account ovn-k8s-node-ovn-node2 at the API server" in row[2] for row in rows(broken))


def test_site_mends_it(walk):
    """Protects: one site run, and verify finds nothing more; a new token is of the new account."""
    _broken, mended = walk
    mended.ok()
    assert rows(mended) == []
