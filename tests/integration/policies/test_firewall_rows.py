# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects egress firewalls from rows that a database does not take, and chassis from their flows."""

from __future__ import annotations

import asyncio
import random
import subprocess

import network_namespace
import pytest
from database_server import PROGRAMS
from policy_world import PolicyWorld

from .packets import Node

FIREWALLS = 60


@pytest.fixture
def in_namespace():
    """A network namespace for the test and all that it starts."""
    with network_namespace.namespace():
        yield


def run(nb, test):
    """Run a test with a world."""

    async def main():
        async with PolicyWorld(nb) as world:
            await test(world)

    asyncio.run(asyncio.wait_for(main(), 200))


def rule(kind, network, *ports):
    """A rule with TCP ports."""
    found = {"type": kind, "to": {"cidrSelector": network}}
    return {**found, "ports": [{"protocol": "TCP", "port": port} for port in ports]} if ports else found


def some_rules(chance):
    """Random rules over few networks and ports."""
    networks = ("0.0.0.0/0", "198.51.100.0/24", "198.51.100.64/26", "203.0.113.7/32", "::/0", "2001:db8::/32")
    found = []
    for _n in range(chance.randint(1, 7)):
        ports = [
            {"protocol": chance.choice(("TCP", "UDP", "SCTP")), "port": port}
            for port in chance.sample((25, 53, 80, 443), chance.randint(0, 3))
        ]
        one = {"type": chance.choice(("Allow", "Deny")), "to": {"cidrSelector": chance.choice(networks)}}
        found.append({**one, **({"ports": ports} if ports else {})})
    return found


def test_the_database_takes_them(nb):
    """Protects firewalls from being refused as a whole: random ones, a usual one with two ports, and one beyond the
    limits are all written, and say so.
    """
    chance = random.Random(5)
    firewalls = {f"n{n}/default": some_rules(chance) for n in range(FIREWALLS)}
    firewalls["usual/default"] = [rule("Allow", "198.51.100.0/24", 80), rule("Deny", "0.0.0.0/0", 25)]
    scattered = [rule("Allow", f"100.0.{n >> 7}.{2 * n & 255}/32", 1000 + n % 12) for n in range(7000)]
    firewalls["large/default"] = [*scattered, rule("Deny", "0.0.0.0/0")]

    async def test(world):
        for key, rules in firewalls.items():
            world.namespace(key.partition("/")[0])
            world.firewall(key, *rules)
        await world.settled()
        assert not world.cluster.engine.failing
        wrong = {key for key in firewalls if world.status("egressfirewalls", key)["status"].find("not") >= 0}
        assert wrong == {"large/default"}
        owners = {row.owner.name for row in world.cluster.replica.rows["ACL"].values() if row.owner}
        assert {"usual/default", "large/default"} <= owners and len(owners & set(firewalls)) > FIREWALLS // 2
        for key, rules in firewalls.items():  # other rules take the place of the first ones
            if key.startswith("n"):
                world.firewall(key, *rules[::-1], rule("Deny", "0.0.0.0/0", 25))
        await world.settled()
        assert not world.cluster.engine.failing

    run(nb, test)


@pytest.mark.usefixtures("in_namespace")
def test_few_flows(nb, northd):
    """Protects chassis from a flow for each network and port: 100 Allows with three ports, and both IP versions denied,
    have flows in the number of networks and ports together.
    """
    opened = [one for n in range(0, 100, 2) for one in (f"20.0.{n}.0/24", f"2001:db8:{n:x}::/48")]
    allows = [rule("Allow", one, 25, 443, 8443) for one in opened]

    async def test(world):
        world.namespace("a")
        world.pod("a/web", 1)
        await world.settled()
        node = await asyncio.to_thread(Node, northd)
        try:
            await asyncio.to_thread(node.plug, world, "a/web")

            async def flows():
                await world.settled()
                await asyncio.to_thread(northd.nbctl, "--wait=hv", "--timeout=100", "sync")
                (bridge,) = node.vswitch.directory.glob("br-int.mgmt")
                command = [str(PROGRAMS / "bin" / "ovs-ofctl"), "dump-flows", f"unix:{bridge}"]
                found = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
                return len(found.stdout.splitlines())

            before = await flows()
            world.firewall("a/default", *allows, rule("Deny", "0.0.0.0/0"), rule("Deny", "::/0"))
            made = await flows() - before
            print(f"{made} flows")
            assert 200 < made < 2500
        finally:
            await asyncio.to_thread(node.remove)

    run(nb, test)
