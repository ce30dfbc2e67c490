# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""ovn-k8s-node, as tests start it."""

from __future__ import annotations

import network_namespace

from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import node
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import host_reconcile


def main(arguments):
    """Run it; it looks often whether the rules of services are there."""
    network_namespace.load_nftables()
    host_reconcile.CHECK_INTERVAL = 0.3
    return node.main(arguments)
