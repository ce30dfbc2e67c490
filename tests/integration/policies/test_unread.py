# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what was made of objects that the next watcher may not read: it does not begin, and says why."""

from __future__ import annotations

import asyncio

import pytest
from policy_world import HAS_TIERS, PolicyWorld

DENY = {"type": "Deny", "to": {"cidrSelector": "0.0.0.0/0"}}
MAKE = {
    "egressfirewalls": lambda world: world.firewall("a/default", DENY),
    "egressqoses": lambda world: world.put("egressqoses", "a", "default", spec={"egress": [{"dscp": 46}]}),
    "egressips": lambda world: world.put(
        "egressips", "", "out", spec={"egressIPs": ["198.51.100.9"], "namespaceSelector": {}}
    ),
    "adminpolicybasedexternalroutes": lambda world: world.route(
        "out", "10.55.0.9", namespaceSelector={"matchLabels": {"team": "a"}}
    ),
    "clusternetworkpolicies": lambda world: world.cluster_policy(
        "deny", ingress=[{"action": "Deny", "from": [{"namespaces": {}}]}]
    ),
}


@pytest.mark.parametrize("kind", sorted(MAKE))
def test_a_kind_that_may_not_be_read(nb, kind):
    """Protects rows from a watcher that does not know what they are for, of each optional kind: with the account of an
    earlier release, new pods would be in no group of theirs. Where there are no rows it is no fault.
    """
    if kind == "clusternetworkpolicies" and not HAS_TIERS:
        pytest.skip("OVN 23.03 has no tiers, and so no rows: $OVN_KUBERNETES_OVS may name newer programs")

    def fill(world):
        world.namespace("a", team="a")
        world.pod("a/web", 1)

    async def unread():
        """What a watcher that may not read the kind says, and whether that is a reason not to act."""
        world = PolicyWorld(nb)
        for informer in world.cluster.informers.values():
            informer.synced.set()
            informer.current = True
        world.cluster.informers[kind].is_forbidden = True
        world.cluster.engine.stop()
        fill(world)
        async with world:
            await world.settled()
            own = world.cluster.informers[kind]
            return own.problem(), own.fault(), world.cluster.leadership._fault()

    async def main():
        assert await unread() == (None, None, None)
        async with PolicyWorld(nb) as world:
            fill(world)
            world.node(1, "10.55.0.1")
            MAKE[kind](world)
            await world.settled()
        problem, fault, reason = await unread()
        assert f"may not read {kind}" in problem and problem == fault == reason

    asyncio.run(asyncio.wait_for(main(), 120))
