# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what a host does for its own connections to services; what the rules do is seen in tests/integration/cni/test_host_services.py."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._services import host_rules as node_ports

from .test_northbound import endpoints, service

EVERYWHERE = (("192.168.1.3", 8080), ("192.168.2.3", 8080))


@pytest.mark.parametrize(
    ("policy", "backends", "target"),
    [
        ("Cluster", True, (("10.96.0.1", 80),)),
        ("Local", True, EVERYWHERE),
        ("Cluster", False, (("10.96.0.1", 80),)),
        ("Local", False, None),
    ],
)
def test_addresses_outside(policy, backends, target):
    """Protects the host's way to externalIPs: the policy of the cluster address is not theirs, which OVN would keep to the host."""
    wanted = service(externalIPs=["198.51.100.7", "fd77::7"], internalTrafficPolicy=policy)
    slices = [endpoints(("192.168.1.3", "node1", {}), ("192.168.2.3", "node2", {}))] if backends else []
    assert node_ports.concerns(wanted) and not node_ports.concerns(service())
    rules = node_ports.rules("node3", "k8s-node3", (), {}, [(wanted, slices)])
    assert [(one.address, one.port, one.endpoints) for one in rules.own] == (
        [("198.51.100.7", 80, target)] if target else []
    )
