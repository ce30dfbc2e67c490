# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects NodeLocal DNSCache: a node tells of the link-local addresses that its host has, as they come and go."""

from __future__ import annotations

from database_server import wait_for
from network_namespace import ip

KEY = "ovn.kubernetes/link-local-addresses"


def test_a_node_tells_what_its_host_carries(ready):
    """Protects pods from a cache that comes after the node server, and from one that has gone."""

    def node_says(text):
        meta = {"name": "node1", "annotations": {KEY: text} if text else {}}
        ready.api.change("ADDED", {"metadata": meta}, "nodes")

    node_says("")
    ip("link add nodelocaldns type bridge")
    ip("address add 169.254.25.10/32 dev nodelocaldns")
    ip("address add 169.254.169.254/32 dev nodelocaldns")
    wait_for(lambda: ready.api.annotations == {KEY: "169.254.25.10"}, "the node to tell")
    node_says("169.254.25.10,169.254.20.10")
    ready.api.annotations.clear()
    wait_for(lambda: ready.api.annotations == {KEY: "169.254.25.10"}, "the node to say what is right")
    node_says("169.254.25.10")
    ip("link del nodelocaldns")
    wait_for(lambda: ready.api.annotations == {KEY: None}, "the node to take it back")
