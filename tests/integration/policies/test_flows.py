# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects hosts from policies that become very many flows: those of a rule are the sum of its addresses and ports, and
not the product, as a real ovn-controller makes them.
"""

from __future__ import annotations

import asyncio

import network_namespace
import pytest
from northbound import Northbound
from northd import Northd
from policy_world import HAS_TIERS, PolicyWorld

from .packets import Node

NETWORKS = 30  # of each IP version
PORTS = 20  # of each protocol
# Each address and each port is two flows at most, as a connection that begins and one that is there, and each port two
# more where both IP versions have it. The product would be 2 * NETWORKS * PORTS for each protocol and version.
MOST = {True: 2 * (2 * NETWORKS * 2 + 2 * PORTS * 2) + 100, False: 2 * (NETWORKS * 2 + PORTS * 2) + 100}


@pytest.mark.parametrize("dual", [True, False])
def test_flows_are_the_sum_of_addresses_and_ports(dual):
    """Protects hosts from a rule with many addresses and many ports of two protocols, in both directions, of both kinds
    of policies; and a cluster without IPv6 from flows for it.
    """
    blocks = [f"20.0.{2 * one}.0/24" for one in range(NETWORKS)]
    more = [f"2001:db8:{2 * one:x}::/48" for one in range(NETWORKS)]
    numbers = [1000 + 2 * one for one in range(PORTS)]
    ports = [{"port": one, "protocol": protocol} for one in numbers for protocol in ("TCP", "UDP")]
    peers = [{"ipBlock": {"cidr": one}} for one in blocks + more]
    protocols = [{one: {"destinationPort": {"number": number}}} for number in numbers for one in ("tcp", "udp")]

    async def measure(world, northd):
        world.namespace("a")
        for number in range(3):
            world.pod(f"a/p{number}", 1)
        await world.settled()
        node = Node(northd)

        async def flows():
            await world.settled()
            await asyncio.to_thread(northd.nbctl, "--wait=hv", "--timeout=100", "sync")
            return node.flows()

        try:
            for number in range(3):
                node.plug(world, f"a/p{number}")
            before = await flows()
            found = {}
            for field, name in (("from", "ingress"), ("to", "egress")):
                rule = {field: peers, "ports": ports}
                world.policy("a/p", podSelector={}, policyTypes=[name.capitalize()], **{name: [rule]})
                found[name] = await flows() - before
            world.delete("networkpolicies", "a/p")
            if HAS_TIERS:
                for first in range(0, PORTS, 10):  # 25 is the most that one rule has
                    rule = {"action": "Deny", "protocols": protocols[first * 2 : first * 2 + 20]}
                    rule["to"] = [{"networks": (blocks + more)[one : one + 20]} for one in range(0, 2 * NETWORKS, 20)]
                    world.cluster_policy(f"p{first}", "Admin", first, egress=[rule])
                found["cluster"] = (await flows() - before) / 2
            return found
        finally:
            node.remove()

    async def main():
        server = Northbound()
        server.build(nodes=(1, 2), gateways=(1,), dual=dual)
        northd = Northd(server)
        try:
            async with PolicyWorld(server) as world:
                return await measure(world, northd)
        finally:
            northd.remove()
            server.remove()

    with network_namespace.namespace():
        found = asyncio.run(asyncio.wait_for(main(), 300))
    assert all(2 * PORTS < one <= MOST[dual] for one in found.values()), found
