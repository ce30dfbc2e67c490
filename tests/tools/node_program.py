# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""ovn-k8s-node, as tests start it."""

from __future__ import annotations

import network_namespace
import unit_rights

from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni import condition, daemons, readiness
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import daemon, node, node_server
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import host_reconcile


def main(arguments):
    """Run it with the capabilities of its unit, and short intervals between what it does again and again."""
    network_namespace.load_nftables()
    unit_rights.confine("ovn-k8s-node.service")
    host_reconcile.CHECK_INTERVAL = 0.3
    daemons.LOOK, daemons.PATIENCE, readiness.GRACE, readiness.STEADY = 0.3, 1.0, 3.0, 0.5
    daemon.LOOK = node_server.HEARTBEAT = 1.0
    condition.PACE, condition.SOON = 0.1, 1.0
    # As the node's settings have it on a host: the services' and the join network beside the pods'.
    node._saved_settings = lambda: {"subnets": ["192.168.1.0/24"], "routes": ["10.96.0.0/16", "100.64.0.0/16"]}
    return node.main(arguments)
