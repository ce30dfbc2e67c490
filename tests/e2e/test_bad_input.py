# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A mistake in the inventory is one clear sentence, and nothing was touched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from lab_hosts import HOSTS, network, northbound, play

NODE1 = "all:\n  hosts:\n    ovn-node1:\n      "
# One of each way to find them; each rule has its tests in tests/unit/plugin_utils/test_problems*.py.
CASES = {
    "unknown variable": (
        "all:\n  vars:\n    ovn_clustersubnet: 192.168.0.0/16\n",
        ["ovn_clustersubnet", "ovn_cluster_subnet"],
    ),
    "overlap": (
        "all:\n  vars:\n    ovn_service_subnet: 192.168.128.0/17\n",
        ["ovn_service_subnet", "192.168.128.0/17", "192.168.0.0/16"],
    ),
    "no such NIC": (NODE1 + "ovn_gateway_interface: eth7\n", ["ovn-node1", "eth7"]),
    "the connection's own NIC": (NODE1 + "ovn_gateway_interface: eth0\n", ["ovn-node1", "eth0"]),
}


@pytest.fixture(scope="module")
def refused(site, tmp_path_factory):
    """Run the play with each mistake: case -> run; and the hosts before and after.

    Some run at the same time, since none may change anything.
    """

    folder = tmp_path_factory.mktemp("wrong")  # not in the threads: pytest does not guard it

    def run(case):
        extra = folder / f"{list(CASES).index(case)}.yml"
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
