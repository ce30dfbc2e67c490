# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what network policies allow by its source from the physical network: the real ovn-northd reads the rows."""

from __future__ import annotations

import pytest
from northd import Northd

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.node_subnet import host_addresses

PODS = {4: "192.168.2.3", 6: "fd10:128:0:2::3"}
# Of each node's host, of its clients, of a pod at another node, and of a gateway's router in the join network.
FALSE = {
    4: [*host_addresses("192.168.2.0/24"), *host_addresses("192.168.1.0/24"), "192.168.1.3", "100.64.0.2"],
    6: [*host_addresses("fd10:128:0:2::/64"), *host_addresses("fd10:128:0:1::/64"), "fd10:128:0:1::3", "fd98::2"],
}
KINDS = {"dedicated": {}, "shared": {"physical_interface": None, "bridge_interface": "br-outside"}}
RIGHT = {4: "203.0.113.9", 6: "2001:db8::9"}


@pytest.fixture(params=["dedicated", "shared"])
def network(nb, request):
    """Two nodes, a pod at the second one, and a gateway at the first one, of either kind."""
    nb.build(nodes=(1, 2), gateways=(), dual=True)
    nb.gateway(1, dual=True, **KINDS[request.param])
    made = Northd(nb)
    made.pod("pod2", 2, *PODS.values())
    made.sync()
    yield made
    made.remove()


@pytest.mark.parametrize("version", [4, 6])
def test_nobody_outside_has_a_source_of_the_overlay(network, version):
    """Protects pods from packets that only look like those of their host, of a pod or of a gateway."""
    mac = network.nbctl("get", "Logical_Router_Port", "rtoe-GR_node1", "mac").strip().strip('"')
    localnet = network.nbctl("--bare", "--columns=name", "find", "Logical_Switch_Port", "type=localnet").strip()

    def reaches(source):
        packet = (
            f'inport == "{localnet}" && eth.src == 52:54:00:00:00:fe && eth.dst == {mac} && ip{version}.src == {source}'
            f" && ip{version}.dst == {PODS[version]} && ip.ttl == 64 && udp && udp.dst == 53"
        )
        return 'output to "pod2"' in network.trace("ext_node1", packet)

    assert reaches(RIGHT[version])
    assert [source for source in FALSE[version] if reaches(source)] == []
