# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Hosts by their usual names, and their settings."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ovn.kubernetes.plugins.filter.settings import settings

MASTER, NODE1, NODE2 = "ovn-master", "ovn-node1", "ovn-node2"


def of(cluster, host=None):
    return settings(cluster.hostvars, cluster.groups, host)


def refused(cluster, host):
    with pytest.raises(AnsibleFilterError) as error:
        of(cluster, host)
    return str(error.value)
