# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Links that can't go into a bridge, because links on top of them would get no packets any more."""

from __future__ import annotations

import pytest
from kernel_links import pair
from network_namespace import ip

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic import link_checks
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.link_checks import refuse_stacked_links


def test_links_on_top_of_a_nic():
    """Protects links that would get no packets any more when their NIC goes into a bridge; neither a pair's other end
    nor a bridge's port is one."""
    pair("eth0")
    ip("link add br7 type bridge")
    ip("link set eth0p master br7")
    refuse_stacked_links("eth0", "netdev")
    refuse_stacked_links("eth0p", "system")
    ip("link add link eth0 name copy type macvlan")
    for datapath in ("netdev", "system"):
        with pytest.raises(
            HostError, match=r"copy \(macvlan\) is a link on top of eth0, and would get no packets any more"
        ):
            refuse_stacked_links("eth0", datapath)


def test_the_userspace_datapath_takes_the_packets_of_a_vlan(monkeypatch):
    """Protects VLANs of a NIC that host and pods share: the kernel gives them their packets before its bridge (the
    kernel here has no VLANs)."""
    pair("eth0")
    monkeypatch.setattr(link_checks, "read_stacked_links", lambda kernel, name: {"eth0.7": "vlan"})
    refuse_stacked_links("eth0", "system")
    with pytest.raises(HostError, match=r"eth0.7 \(vlan\) is a link on top of eth0"):
        refuse_stacked_links("eth0", "netdev")
