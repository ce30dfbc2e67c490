# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects network policies from taking others for the host: who is forwarded has another address."""

from __future__ import annotations

import ipaddress

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import addressing
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import SettingsError
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.node_subnet import host_addresses
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.addresses import is_for_pods


@pytest.mark.parametrize("network", ["192.168.0.0/16", "fd10:128::/48"])
@pytest.mark.parametrize("hosts", [3, 8])
def test_nobody_else_ever_has_the_addresses(network, hosts):
    """Protects pods of clusters that were there before, whose subnets may be full: neither a pod nor the router has
    one, in the smallest subnet too, and no two nodes have the same.
    """
    net = ipaddress.ip_network(network)
    size = net.max_prefixlen - hosts
    numbers = range(0, 1 << hosts + 3, 1 << hosts)
    subnets = [f"{net.network_address + number}/{size}" for number in numbers]
    found = [ip for subnet in subnets for ip in host_addresses(subnet)]
    assert len({*found}) == 2 * len(subnets) == 16
    assert not any(is_for_pods(ip, subnets) for ip in found)
    assert not {*found} & {addressing.nth(subnet, addressing.ROUTER, prefix=False) for subnet in subnets}
    assert all(ipaddress.ip_address(ip) in net for ip in found)


def test_the_hosts_own_address_comes_first():
    """Protects the kubelet's probes: the management link's address is the host's own."""
    assert host_addresses("192.168.2.0/24") == ("192.168.2.2", "192.168.2.0")
    assert host_addresses("fd10:128:0:2::/64").management == "fd10:128:0:2::2"
    assert host_addresses("fd10:128:0:2::/64").forwarded == "fd10:128:0:2::"
    with pytest.raises(SettingsError):
        host_addresses("192.168.2.1/24")
