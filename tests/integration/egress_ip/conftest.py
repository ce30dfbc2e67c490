# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A Northbound database with three gateways, in both IP versions, and ovn-northd behind it."""

from __future__ import annotations

import os

import pytest
from northbound import Northbound
from northd import Northd

from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip import lease

# Times for a machine that does much else; OVN_KUBERNETES_LEASES=real takes the real ones, whose outages count.
SLOW = {"FRESH": 0.8, "GATE": 2.0, "LEASE": 2.0, "SILENT": 2.0, "LATE": 60.0, "HOLD": 3.5}


@pytest.fixture(autouse=True)
def times(monkeypatch):
    """The times of leases that differ from the real ones."""
    differing = {} if os.environ.get("OVN_KUBERNETES_LEASES") == "real" else SLOW
    for name, value in differing.items():
        monkeypatch.setattr(lease, name, value)
    return differing


@pytest.fixture
def nb():
    """The database of a cluster with both IP versions."""
    server = Northbound()
    server.build(nodes=(1, 2, 3), gateways=(1, 2, 3), dual=True)
    yield server
    server.remove()


@pytest.fixture(autouse=True)
def northd(nb):
    """The real ovn-northd."""
    made = Northd(nb)
    yield made
    made.remove()
