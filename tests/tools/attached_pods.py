# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Pods that have their network."""

from __future__ import annotations

from node_server import network, pod


def add(node, place, name="web", number=3, container=None):
    """A pod of the node with its interface; returns the name of its port."""
    node.api.change("ADDED", pod(name, annotation=network(number)))
    before = set(node.pod_ports())
    code, result = node.cni("ADD", container=container or f"c-{name}", netns=place.path, name=name)
    assert code == 0, result
    (port,) = set(node.pod_ports()) - before
    return port
