# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the way from an EgressIP object to rows: who holds which address, and which packets get it."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from egress_ip_world import play, trace

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip import lease
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import egress_leases

A, B, SIX = "10.55.0.100", "10.55.0.101", "fd55::100"


def snat(northd, node, address):
    """The logical flows of a gateway's router that translate to an address."""
    text = northd.run("ovn-sbctl", f"--db={northd.southbound.remote}", "lflow-list", f"GR_node{node}")
    return [line for line in text.splitlines() if f"ct_snat({address})" in line]


def test_selected_pods_leave_with_the_address(nb, northd):
    """Protects the whole: pods that are selected leave by the holder's gateway, and its NAT has the address for them;
    others do not, and what stays inside keeps its way."""

    async def scene(world):
        world.egress_ip("one", [A, SIX], {"team": "x"}, {"app": "web"})
        await world.until(lambda: set(world.held()) == {A, SIX}, "both addresses")
        await world.until(lambda: {one[0] for one in world.nat()} == {A, SIX}, "NAT rows")
        await asyncio.to_thread(northd.sync)
        holder = world.held()
        for address, outside in ((A, "203.0.113.1"), (SIX, "2001:db8::1")):
            text = await asyncio.to_thread(trace, northd, world, "a/web", outside)
            assert f'"jtor-GR_node{holder[address]}"' in text
            flows = await asyncio.to_thread(snat, northd, holder[address], address)
            selected = {names.peer_set(world.digest(), 6 if ":" in address else 4), *world.addresses("a/web")}
            assert flows and all(any(one in flow for one in selected) for flow in flows)
            for other in ("a/db", "b/web"):
                assert "lr_in_policy" in await asyncio.to_thread(trace, northd, world, other, outside)
                assert not any(one in flow for one in world.addresses(other) for flow in flows)
        text = await asyncio.to_thread(trace, northd, world, "a/web", "192.168.2.9")
        assert "jtor-GR" not in text

    play(nb, scene)


def test_a_pod_touches_its_own_rows(nb):
    """Protects the cost: a pod that comes changes a set, or has rows of its own; policies stay as they are."""

    async def scene(world):
        world.egress_ip("one", [A], {"team": "x"})
        await world.until(lambda: world.held() == {A: world.held().get(A)} and world.nat(), "the address")
        before = {row["_uuid"][1]: row for row in world.rows("Logical_Router_Policy")}
        count, has_match = len(world.nat()), world.server.granting.has_match
        world.pod("a/more", 2, app="more")
        await world.until(lambda: len(world.nat()) == count + (0 if has_match else 1), "rows of the pod")
        world.delete("pods", "a/more")
        await world.until(lambda: len(world.nat()) == count, "the pod's end")
        assert {row["_uuid"][1]: row for row in world.rows("Logical_Router_Policy")} == before

    play(nb, scene)


def test_several_addresses_are_spread(nb):
    """Protects several addresses: each has its own node; a further one has none, which is said."""

    async def scene(world):
        four = [A, B, "10.55.0.102", "10.55.0.103"]
        world.egress_ip("one", four, {"team": "x"})
        await world.until(lambda: len(world.held()) == 3, "three addresses")
        assert sorted(world.held().values()) == [1, 2, 3]
        await world.until(lambda: any("no node holds" in one[2] for one in world.api.events), "an event")
        (policy,) = [one for one in world.ways() if one["action"] == "reroute"]
        assert len(policy["nexthops"][1]) == 3

    play(nb, scene)


def test_silent_node_is_replaced(nb):
    """Protects failover: a node that asks no more loses its addresses to another one, and the pods
    with them; no two ever hold one."""

    async def scene(world):
        world.egress_ip("one", [A], {"team": "x"})
        await world.until(lambda: world.held(), "the address")
        await world.until(lambda: world.nat(), "NAT")
        first = world.held()[A]
        world.nodes[first].is_alive = False
        took = await world.until(lambda: world.held().get(A) not in (None, first), "another holder")
        print(f"another node holds the address {took:.2f} s after the last request")
        assert took < lease.HOLD + 1
        other = world.held()[A]
        await world.until(lambda: {one[1] for one in world.nat()} == {f"node{other}"}, "NAT there")
        world.nodes[first].is_alive = True
        await asyncio.sleep(0.5)
        assert world.held() == {A: other}

    play(nb, scene)


def test_label_is_taken_away(nb):
    """Protects maintenance: a node without the label gives its addresses up at once; without any node pods are not
    seen with another address."""

    async def scene(world):
        world.egress_ip("one", [A], {"team": "x"})
        await world.until(lambda: world.held(), "the address")
        first = world.held()[A]
        world.label(*({1, 2, 3} - {first}))
        took = await world.until(lambda: world.held().get(A) not in (None, first), "another holder")
        assert took < lease.HOLD
        world.label()
        await world.until(lambda: not world.held(), "nobody")
        await world.until(
            lambda: [row["action"] for row in world.ways()] == ["drop"],
            "a policy that drops",
        )
        assert world.nat() == []

    play(nb, scene)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("192.168.7.7", "is in the pods' network"),
        ("100.64.3.4", "is in the join network"),
        ("10.96.0.9", "is in the services' network"),
        ("10.55.0.1", "is an address of gateway node1"),
        ("10.55.0.254", "is an address of an external router"),
        ("fe80::1", "is no address that a gateway can have"),
        ("10.55.0.7 || 1", "is no address that a gateway can have"),
    ],
)
def test_addresses_of_others_are_refused(nb, address, reason):
    """Protects everybody else's addresses, and tells in an event; the object's other addresses are served."""

    async def scene(world):
        world.egress_ip("one", [address, A], {"team": "x"})
        await world.until(lambda: set(world.held()) == {A}, "the other address")
        await world.until(lambda: any(reason in one[2] for one in world.api.events), "an event")

    play(nb, scene)


def test_older_object_keeps_its_address(nb):
    """Protects who was first: a second object with the same address is refused in words, and gets it afterwards."""

    async def scene(world):
        world.egress_ip("old", [A], {"team": "x"}, creationTimestamp="2026-01-01T00:00:00Z")
        world.egress_ip("new", [A, B], {"team": "y"}, creationTimestamp="2026-02-01T00:00:00Z")
        await world.until(lambda: set(world.held()) == {A, B}, "addresses")
        await world.until(lambda: any("EgressIP old" in one[2] for one in world.api.events), "an event")
        world.delete("egressips", "old")
        await world.until(lambda: {one[0] for one in world.nat()} == {A, B}, "the address of the second")

    play(nb, scene)


def test_deleted_object_leaves_nothing(nb):
    """Protects the database: all rows of an object go with it."""

    async def scene(world):
        world.egress_ip("one", [A, SIX], {"team": "x"})
        await world.until(lambda: len(world.held()) == 2 and world.nat(), "addresses")
        world.delete("egressips", "one")
        await world.until(lambda: not world.held() and not world.nat(), "the end")
        await world.until(lambda: not world.rows("Logical_Router_Policy"), "the end of policies")
        assert not [row for row in nb.rows("Address_Set") if row["name"].startswith(("egress_ip_1", "peers_"))]

    play(nb, scene)


def test_leases_are_asked_for_where_the_master_is_now(nb, monkeypatch):
    """Protects leases when a master's address in the overlay changes: it listens at the new one, and tells so."""
    monkeypatch.setattr(egress_leases, "LOOK_AT_ADDRESS", 0.1)

    async def scene(world):
        world.egress_ip("one", [A], {"team": "x"})
        await world.until(lambda: world.held(), "a holder")
        world.server._address = "127.0.0.2"
        await world.until(lambda: world.server._transport.get_extra_info("sockname")[0] == "127.0.0.2", "the socket")
        place = lambda: next(iter(world.server._replica.rows["NB_Global"].values())).columns["options"]  # noqa: E731
        await world.until(
            lambda: place()[names.EGRESS_LEASE_SERVER_KEY].startswith("127.0.0.2:"), "the place in the database"
        )
        asked = time.monotonic()
        await world.until(
            lambda: any(node.holder.until > asked + lease.LEASE for node in world.nodes.values()), "a lease"
        )


def test_proofs_cost_northd_nothing(nb, northd, monkeypatch):
    """Protects ovn-northd: the proofs of a granter, one each second, don't let it compute all logical flows anew."""
    monkeypatch.setattr(egress_leases, "PROVE", 0.05)

    def computed():
        text = northd.run("ovn-appctl", "-t", nb.directory / "northd.ctl", "inc-engine/show-stats")
        return {node: int(re.search(rf"Node: {node}\n- recompute:\s+(\d+)", text)[1]) for node in ("northd", "lflow")}

    async def scene(world):
        world.egress_ip("one", [A], {"team": "x"})
        await world.until(lambda: world.held() and world.nat(), "the address")
        await world.settled()
        await asyncio.to_thread(northd.sync)
        await world.until(lambda: all(one.settled for one in world.server.granting.granter.decided.values()), "it")
        await asyncio.to_thread(northd.sync)
        before, granter = await asyncio.to_thread(computed), world.server.granting.granter
        authority = granter.authority
        await world.until(lambda: granter.authority > authority + 1, "proofs")
        assert await asyncio.to_thread(computed) == before

    play(nb, scene)
