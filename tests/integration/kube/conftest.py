# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Accounts that the collection has made."""

from __future__ import annotations

import pytest
from module_calls import call

NAMESPACE = "/api/v1/namespaces/ovn-kubernetes"


@pytest.fixture
def admin(kubernetes):
    return {"server": kubernetes.url, "ca": kubernetes.ca_file.read_text(), "token": kubernetes.admin}


@pytest.fixture
def access(kubernetes, admin):
    """Converges the accounts; a clean server afterwards."""

    def converge(nodes=("node1", "node2"), **options):
        return call("ovn_kubernetes_access", **admin, nodes=list(nodes), **options)

    yield converge
    converge(state="absent")
    # What the namespace's controller does in a whole cluster.
    kubernetes.request(
        "PUT", f"{NAMESPACE}/finalize", {"metadata": {"name": "ovn-kubernetes"}, "spec": {"finalizers": []}}
    )
