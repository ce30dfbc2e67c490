# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A node in a network namespace of its own, and pods' namespaces."""

from __future__ import annotations

from network_namespace import load_nftables
from node_fixtures import namespace, node, ready, sandbox

from .host_stack import client, host, overlay

__all__ = ["client", "host", "namespace", "node", "overlay", "ready", "sandbox"]


def pytest_configure(config):
    load_nftables()
