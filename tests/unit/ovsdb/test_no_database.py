# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects check mode on a host that has no database yet: the plan is made as against an empty one."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.connection import NoDatabase
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.converge import converge_rows
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.cluster import Cluster
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.host import Host
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.overlay import Overlay


def test_the_cluster_is_planned_where_no_database_is():
    """Protects against a plan that fails where it ends its connection."""
    plan = converge_rows(NoDatabase, Overlay(cluster=Cluster(("192.168.0.0/16",))), "test", check=True).plan
    assert [change.kind for change in plan] == ["insert"] * len(plan) and len(plan) == 7


@pytest.mark.parametrize("part", ["node", "gateway"])
def test_a_host_is_planned_where_open_vswitch_does_not_run(part):
    """Protects ``--check`` before the packages are installed: nothing is there, so nothing is to be removed."""
    host = Host("unix:/nonexistent", check=True)
    result = getattr(host, part)(None)
    assert "nothing is here yet" in result.notes[0] and host.chassis() is None
