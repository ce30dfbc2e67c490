# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the measure of how long policies take: what the watcher takes for in force is in force, by packets."""

from __future__ import annotations

import asyncio

import network_namespace
import pytest
from policy_world import PolicyWorld

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import enforcement

from .packets import Node
from .test_packets import exchanges

DENY = {"podSelector": {"matchLabels": {"app": "server"}}}
PARTS = ("policy_in_force", "policy_ovn", "policy_northd", "policy_chassis")


@pytest.fixture
def in_namespace():
    """A network namespace for the test and all that it starts."""
    with network_namespace.namespace():
        yield


def test_it_is_in_force_when_it_is_measured(nb, northd, in_namespace, monkeypatch):
    """Protects the figure: with the moment that is measured not one datagram passes any more, each time; and each
    sample raises the number that wakes chassis by one.
    """
    monkeypatch.setattr(enforcement, "SHORTEST", 0.0)
    monkeypatch.setattr(enforcement, "WRITES", 1_000_000)
    seen = {}

    async def main():
        measured = asyncio.Event()

        def observe(what, seconds):
            seen.setdefault(what, []).append(seconds)
            if what == PARTS[-1]:
                measured.set()

        async with PolicyWorld(nb, northd.southbound.remote, observe) as world:
            world.namespace("a")
            for key in ("a/server", "a/client"):
                world.pod(key, 1, app=key.split("/")[1])
            await world.settled()
            node = Node(northd)
            try:
                for key in ("a/server", "a/client"):
                    node.plug(world, key)
                server, client = node.udp("a/server", 7000), node.udp("a/client")
                server.settimeout(0.2)
                address = (world.address("a/server"), 7000)
                for _number in range(10):
                    while not exchanges(client, server, address):
                        await asyncio.sleep(0)
                    measured.clear()
                    world.policy("a/deny", **DENY)
                    await asyncio.wait_for(measured.wait(), 30)
                    # What was on its way has arrived: the socket is empty, and what is sent from now on is dropped.
                    assert not exchanges(client, server, address)
                    measured.clear()
                    world.delete("networkpolicies", "a/deny")
                    await world.settled()
                assert nb.rows("NB_Global")[0]["nb_cfg"] == 10
            finally:
                node.remove()

    asyncio.run(asyncio.wait_for(main(), 120))
    assert [len(seen[one]) for one in PARTS] == [10] * 4 and len(seen["policy"]) == 20
    for whole, ovn, north, chassis in zip(*(seen[one] for one in PARTS)):
        assert whole >= ovn >= 0 and abs(ovn - north - chassis) < 1e-6
