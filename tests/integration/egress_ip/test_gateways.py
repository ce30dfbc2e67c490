# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the pods of an EgressIP at the gateways: each of these gives them the object's address, or lets nothing of
them out, wherever they are led while one host knows of a change and another one does not."""

from __future__ import annotations

import asyncio
import re

import pytest
from egress_ip_world import play, trace

A, SIX = "10.55.0.100", "fd55::100"
OUTSIDE = {4: "203.0.113.1", 6: "2001:db8::1"}
HOST = "10.55.0.77"


@pytest.fixture(autouse=True)
def neighbours(northd):
    """What is on the gateways' network: without it ovn-trace follows the question for a neighbour only."""
    for gateway in (1, 2, 3):
        addresses = f"52:54:00:00:01:{gateway:02x} 10.55.0.254 fd55::fe {HOST}"
        port = f"far{gateway}"
        northd.nbctl("lsp-add", f"ext_node{gateway}", port, "--", "lsp-set-addresses", port, addresses)


def source(northd, world, gateway, key, destination):
    """The address with which a packet of a pod leaves by a gateway to which it was led; None: it does not leave."""
    version = 6 if ":" in destination else 4
    macs = {
        port: northd.nbctl("get", "Logical_Router_Port", f"rtoj-{port}", "mac").strip().strip('"')
        for port in ("ovn_cluster_router", f"GR_node{gateway}")
    }
    text = northd.trace(
        "join",
        f'inport == "jtor-ovn_cluster_router" && eth.src == {macs["ovn_cluster_router"]} && '
        f"eth.dst == {macs[f'GR_node{gateway}']} && ip{version}.src == {world.address(key, version)} && "
        f"ip{version}.dst == {destination} && ip.ttl == 62 && tcp && tcp.src == 40000 && tcp.dst == 443",
    )
    if f'output to "rtoe-GR_node{gateway}"' not in text:
        return None
    found = re.findall(r"ct_snat\(([0-9a-f.:]+)\)", text)
    return found[-1] if found else ""


@pytest.mark.parametrize("address", [A, SIX])
def test_gateway_without_the_address_lets_nothing_out(nb, northd, address):
    """Protects pods that are led to another gateway than the holder's, as it is for a moment in each move: nothing of
    them leaves there. Pods of no object leave everywhere."""
    outside = OUTSIDE[6 if ":" in address else 4]

    async def scene(world):
        world.egress_ip("one", [address], {"team": "x"})
        await world.until(lambda: world.held() and world.nat(), "the address")
        await world.settled()
        await asyncio.to_thread(northd.sync)
        for gateway in (1, 2, 3):
            found = await asyncio.to_thread(source, northd, world, gateway, "a/web", outside)
            assert found == (address if gateway == world.held()[address] else None)
            assert await asyncio.to_thread(source, northd, world, gateway, "b/web", outside) not in (None, address)
        first = world.held()[address]
        world.label(*({1, 2, 3} - {first}))
        await world.until(lambda: world.held().get(address) not in (None, first), "another holder")
        await world.until(lambda: {one[1] for one in world.nat()} == {f"node{world.held()[address]}"}, "NAT there")
        await asyncio.to_thread(northd.sync)
        assert await asyncio.to_thread(source, northd, world, first, "a/web", outside) is None
        assert await asyncio.to_thread(source, northd, world, world.held()[address], "a/web", outside) == address

    play(nb, scene)


def test_pod_that_the_granter_does_not_know_yet(nb, northd):
    """Protects a pod that comes while no master acts, and has no NAT of its own (before OVN 24.03): it leaves with the
    object's address, or not at all."""

    async def scene(world):
        world.egress_ip("one", [A, SIX], {"team": "x"})
        await world.until(lambda: set(world.held()) == {A, SIX} and len(world.nat()) >= 2, "the addresses")
        has_match = world.server.granting.has_match
        holder = world.held()
        await world.no_granter()
        world.pod("a/more", 2, app="more")
        await world.until(lambda: world.port("a/more") is not None, "the pod")
        await asyncio.to_thread(northd.sync)
        for version, address in ((4, A), (6, SIX)):
            text = await asyncio.to_thread(trace, northd, world, "a/more", OUTSIDE[version])
            assert f'"jtor-GR_node{holder[address]}"' in text
            found = await asyncio.to_thread(source, northd, world, holder[address], "a/more", OUTSIDE[version])
            assert found == (address if has_match else None)
        await world.new_granter()
        await world.until(lambda: world.server.granting.granter is not None, "a granter")
        await world.settled()
        for version, address in ((4, A), (6, SIX)):
            await world.until(lambda: len([1 for one in world.nat()]) >= (2 if has_match else 6), "NAT")
            await asyncio.to_thread(northd.sync)
            found = await asyncio.to_thread(source, northd, world, holder[address], "a/more", OUTSIDE[version])
            assert found == address

    play(nb, scene)


def test_hosts_are_reached_by_every_gateway(nb, northd):
    """Protects what is no way out: pods reach hosts by any gateway."""

    async def scene(world):
        world.node(9, HOST)
        world.egress_ip("one", [A], {"team": "x"})
        await world.until(lambda: world.held() and world.nat(), "the address")
        await world.settled()
        await asyncio.to_thread(northd.sync)
        for gateway in {1, 2, 3} - {world.held()[A]}:
            assert await asyncio.to_thread(source, northd, world, gateway, "a/web", HOST) not in (None, A)

    play(nb, scene)


def test_inside_keeps_its_way_for_the_objects_pods_only(nb):
    """Protects pods of no object from what objects bring: policies name pods of objects, what their routes lead to the
    gateways, and no other."""

    async def scene(world):
        world.egress_ip("one", [A], {"team": "x"})
        await world.until(lambda: world.held() and world.nat(), "the address")
        matches = [row["match"] for row in nb.rows("Logical_Router_Policy") if row["priority"] in (105, 106)]
        assert len(matches) > 4
        assert all(re.match(r'outport == "rto[je]-[A-Za-z0-9_]+" && ip4\.src == \$peers_', one) for one in matches)

    play(nb, scene)
