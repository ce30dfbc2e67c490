# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a pod from its first packet on: ovn-controller lets nothing to it, and nothing from it, before the rules of
its policies are there; and when ADD returns, they are in force, also those that let something through.

``POLICY_STARTS=200`` has so many starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading

import network_namespace
import pytest
from policy_world import PolicyWorld

from .packets import Node
from .test_packets import exchanges

STARTS = int(os.environ.get("POLICY_STARTS", "8"))
PORT, BACK = 7000, 7001
PAUSE = 0.0002  # seconds between two datagrams of a flood
AFTERWARDS = 200  # datagrams of each flood after ADD has returned


class Flood:
    """Datagrams that never end, from the start on."""

    def __init__(self, one, address):
        self.sent = 0
        self._socket, self._address = one, address
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self):
        while not self._done.wait(PAUSE):
            with contextlib.suppress(OSError):  # a link that leads nowhere yet
                self._socket.sendto(b"flood", self._address)
                self.sent += 1

    def end(self):
        """End it."""
        self._done.set()
        self._thread.join()


def received(one):
    """How many datagrams wait in a socket."""
    count, patience = 0, one.gettimeout()
    one.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            one.recv(100)
            count += 1
    one.settimeout(patience)
    return count


async def start(world, node, number):
    """Start a pod under two floods; return how many datagrams came in, and how many went out.

    Other pods send to it before it is there, and it sends from the moment that it has a link.
    """
    key = f"a/new{number}"
    world.pod(key, 1, app="new")
    await world.settled()
    link = await asyncio.to_thread(node.prepare, world, key)
    address, other = world.address(key), world.address("a/other")
    node.knows("a/other", address, world.mac(key))
    node.knows(key, other, world.mac("a/other"))
    inside, outside = node.udp(key, PORT), node.udp("a/other", BACK)
    floods = [Flood(node.udp("a/other"), (address, PORT)), Flood(node.udp(key), (other, BACK))]
    try:
        await asyncio.to_thread(node.attach, world, key, link)
        goal = [one.sent + AFTERWARDS for one in floods]
        friend = node.udp("a/friend")
        while any(one.sent < least for one, least in zip(floods, goal)):
            await asyncio.sleep(0)
    finally:
        for one in floods:
            one.end()
    came, went = received(inside), received(outside)
    can_friend = exchanges(friend, inside, (address, PORT))
    node.unplug(key, link)
    world.delete("pods", key)
    await world.settled()
    return came, went, can_friend


@pytest.fixture
def in_namespace():
    """A network namespace for the test and all that it starts."""
    with network_namespace.namespace():
        yield


@pytest.mark.timeout(120 + STARTS * 20)
def test_a_pod_is_never_open(nb, northd, in_namespace):
    """Protects all starts of pods that policies isolate: not one datagram gets in or out, but a friend's does, from the
    return of ADD on. Without the policy datagrams get through both ways, so the floods would show an opening.
    """

    async def main():
        async with PolicyWorld(nb) as world:
            world.namespace("a")
            for name in ("other", "friend"):
                world.pod(f"a/{name}", 1, app=name)
            await world.settled()
            node = Node(northd)
            try:
                for name in ("other", "friend"):
                    await asyncio.to_thread(node.plug, world, f"a/{name}")
                came, went, _can_friend = await start(world, node, 0)
                assert came and went
                rule = {"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}
                both = ["Ingress", "Egress"]
                selected = {"matchLabels": {"app": "new"}}
                world.policy("a/deny", podSelector=selected, policyTypes=both, ingress=[rule])
                await world.settled()
                for number in range(1, STARTS + 1):
                    assert await start(world, node, number) == (0, 0, True), f"start {number}"
            finally:
                node.remove()

    asyncio.run(asyncio.wait_for(main(), 60 + STARTS * 20))
