# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A mistake in the inventory is one clear sentence, and nothing was touched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from lab_hosts import HOSTS, network, northbound, play

NODE1 = "all:\n  hosts:\n    ovn-node1:\n      "
CASES = {
    "unknown variable": (
        "all:\n  vars:\n    ovn_clustersubnet: 192.168.0.0/16\n",
        ["ovn_clustersubnet", "ovn_cluster_subnet"],
    ),
    "outside the cluster": (
        NODE1 + "ovn_node_subnet: 10.9.0.0/24\n",
        ["ovn-node1", "ovn_node_subnet", "10.9.0.0/24", "192.168.0.0/16"],
    ),
    "used twice": (
        NODE1 + "ovn_node_subnet: 192.168.9.0/24\n    ovn-node2:\n      ovn_node_subnet: 192.168.9.0/24\n",
        ["ovn-node1", "ovn-node2", "ovn_node_subnet", "192.168.9.0/24"],
    ),
    "overlap": (
        "all:\n  vars:\n    ovn_service_subnet: 192.168.128.0/17\n",
        ["ovn_service_subnet", "192.168.128.0/17", "192.168.0.0/16"],
    ),
    "no prefix": (NODE1 + "ovn_gateway_ip: 10.55.0.11\n", ["ovn-node1", "ovn_gateway_ip", "10.55.0.11/24"]),
    "one address for two gateways": (
        (
            "ovn_gateways:\n  hosts:\n    ovn-node2:\n      ovn_gateway_interface: eth1\n      ovn_gateway_ip: "
            "10.55.0.11/24\n"
        ),
        ["ovn-node2", "ovn-node1", "10.55.0.11"],
    ),
    "no such NIC": (NODE1 + "ovn_gateway_interface: eth7\n", ["ovn-node1", "eth7"]),
    "the connection's own NIC": (NODE1 + "ovn_gateway_interface: eth0\n", ["ovn-node1", "eth0"]),
    "not there yet": ("all:\n  vars:\n    ovn_tls: true\n", ["ovn_tls", "yet"]),
}


@pytest.fixture(scope="module")
def refused(site, tmp_path_factory):
    """Run the play with each mistake: case -> run; and the hosts before and after.

    Some run at the same time, since none may change anything.
    """

    def run(case):
        extra = tmp_path_factory.mktemp("wrong") / "wrong.yml"
        extra.write_text(CASES[case][0])
        return play("site", inventory=[extra])

    before = northbound(), [network(host) for host in HOSTS]
    with ThreadPoolExecutor(3) as pool:
        runs = dict(zip(CASES, pool.map(run, CASES)))
    return runs, before, (northbound(), [network(host) for host in HOSTS])


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_touched(refused, case):
    """Protects: validation comes before the first change, and names host, variable, value and remedy (W26, W27)."""
    runs, before, after = refused
    done = runs[case]
    assert done.code != 0 and "Traceback" not in done.output
    for word in CASES[case][1]:
        assert word in done.output, done.output[-3000:]
    assert after == before
