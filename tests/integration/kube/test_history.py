# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the API server of a large cluster from the question whether its history went back."""

from __future__ import annotations

import asyncio
import re

from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.client import Client
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.history import History
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.settings import Settings

FETCHED = re.compile(r'^apiserver_storage_list_fetched_objects_total\{.*resource="pods".*\} (\S+)$', re.MULTILINE)


def test_a_node_that_asks_costs_nothing(kubernetes):
    """Each node asks once a minute: the API server must not read all pods of the cluster to find one of this node."""
    for number in range(20):
        kubernetes.add_pod(f"elsewhere{number}", "node2")

    def fetched():
        return sum(map(float, FETCHED.findall(kubernetes.request("GET", "/metrics"))))

    async def ask():
        settings = Settings(kubernetes.url, str(kubernetes.ca_file), str(token_file))
        client = Client(settings)
        try:
            history = History(client, "/api/v1/pods", {"fieldSelector": "spec.nodeName=node1"})
            return [await history.has_lost(version) for version in (newest, str(int(newest) + 100))]
        finally:
            await client.close()

    token_file = kubernetes.directory / "node1.token"
    token_file.write_text(kubernetes.node_token("node1"))
    newest = kubernetes.get("/api/v1/pods?limit=1")["metadata"]["resourceVersion"]
    before = fetched()
    assert before > 0
    assert asyncio.run(ask()) == [False, True]
    assert fetched() - before < 5
