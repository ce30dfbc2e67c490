# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods on jumbo tunnels whose gateway has a narrow NIC: what ovn-northd makes of the rows."""

from __future__ import annotations

import pytest
from database_server import Server, wait_for
from ovn_daemon import Daemon

KINDS = {"dedicated": {}, "shared": {"physical_interface": None, "bridge_interface": "br-outside"}}


@pytest.fixture(name="southbound")
def _southbound(nb):
    server = Server("ovn-sb", "OVN_Southbound")
    northd = Daemon("ovn-northd", nb.directory, f"--ovnnb-db={nb.remote}", f"--ovnsb-db={server.remote}")
    yield server
    northd.remove()
    server.remove()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_router_answers_packets_that_do_not_fit_outside(nb, southbound, kind):
    """Protects path MTU discovery of both families: the router compares packets on their way out with the NIC's MTU,
    and answers larger ones with it."""
    nb.build(nodes=(1,), gateways=(), dual=True)
    nb.gateway(1, dual=True, mtu=8942, physical_mtu=1500, **kind)

    def flows():
        rows = southbound.rows("Logical_Flow")
        outwards = [row for row in rows if 'outport == "rtoe-GR_node1"' in row["match"]]
        compared = [row for row in outwards if "check_pkt_larger(15" in row["actions"]]
        answers = [row for row in outwards if "icmp" in row["actions"] and "frag_mtu = 1500" in row["actions"]]
        versions = {row["actions"].partition(".frag_mtu")[0][-5:] for row in answers}
        return compared and versions >= {"icmp4", "icmp6"}

    wait_for(flows, "flows that compare sizes and answer")
