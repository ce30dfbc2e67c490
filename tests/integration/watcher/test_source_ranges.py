# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects loadBalancerSourceRanges: what the watcher writes for a real API server, as a real ovn-northd reads it."""

from __future__ import annotations

import pytest
from database_server import references, wait_for
from northd import Northd

SERVICES = "/api/v1/namespaces/default/services"
INGRESS = {4: "198.51.100.9", 6: "fd99::9"}
PORT_GROUP = "clusterSourceRanges"


@pytest.fixture
def northd(dual_world):
    """The real ovn-northd behind the watcher's database."""
    made = Northd(dual_world.nb)
    yield made
    made.remove()


def ports(world):
    """Names of the ports in the port group."""
    names = {row["_uuid"][1]: row["name"] for row in world.nb.rows("Logical_Switch_Port")}
    return {names[one] for row in world.nb.rows("Port_Group") for one in references(row["ports"])}


def passes(northd, version, source, inport, mac):
    """Whether the first packet of a connection to the balancer's address gets to a load balancer, or further."""
    router = "rtos-node1" if inport == "pod1" else "rtoe-GR_node1"
    eth_dst = northd.nbctl("get", "Logical_Router_Port", router, "mac").strip().strip('"')
    switch = "node1" if inport == "pod1" else "ext_node1"
    text = northd.run(
        "ovn-trace",
        f"--db={northd.southbound.remote}",
        "--no-leader-only",
        "--ct=new",
        switch,
        f'inport == "{inport}" && eth.src == {mac} && eth.dst == {eth_dst} && ip.ttl == 64 && tcp.src == 40000 && '
        f"tcp.dst == 80 && ip{version}.src == {source} && ip{version}.dst == {INGRESS[version]}",
    )
    return f"ct_lb_mark(backends={'192.168.2.9' if version == 4 else '[fd10:128:0:2::9]'}:8080" in text


def test_only_the_sources_that_a_service_names(dual_world, northd):
    """Protects a balancer's addresses from everybody else: outside, before the gateway's router translates anything,
    and pods by their own addresses; in both IP versions. Nothing is left when the service goes.
    """
    world = dual_world
    world.watch()
    world.service(
        "web",
        type="LoadBalancer",
        ipFamilyPolicy="RequireDualStack",
        loadBalancerSourceRanges=["203.0.113.0/24", " 192.168.1.16/28", "fd55:1::/64", "fd10:128:0:1::10/124"],
    )
    world.slice("web", "192.168.2.9", name="web-4")
    world.slice("web", "fd10:128:0:2::9", name="web-6")
    ingress = [{"ip": ip} for ip in INGRESS.values()]
    world.api.patch(f"{SERVICES}/web/status", {"status": {"loadBalancer": {"ingress": ingress}}})
    members = {"jtor-ovn_cluster_router", "stor-node1", "stor-node2", "etor-GR_node1"}
    wait_for(lambda: ports(world) == members, f"the ports of the switches: {ports(world)}\n{world.logs()}")
    wait_for(lambda: len(world.vips("Service_default/web_TCP_ranges")) == 2, f"the addresses\n{world.logs()}")
    mac = northd.pod("pod1", 1, "192.168.1.17", "fd10:128:0:1::17")
    northd.sync()
    (localnet,) = (row["name"] for row in world.nb.rows("Logical_Switch_Port") if row["type"] == "localnet")
    for version, source, port, allowed in (
        (4, "203.0.113.7", localnet, True),
        (4, "198.18.0.7", localnet, False),
        (6, "fd55:1::7", localnet, True),
        (6, "fd55:2::7", localnet, False),
        (4, "192.168.1.17", "pod1", True),
        (4, "192.168.1.3", "pod1", False),
        (6, "fd10:128:0:1::17", "pod1", True),
        (6, "fd10:128:0:1::3", "pod1", False),
    ):
        assert passes(northd, version, source, port, mac) == allowed, (version, source, port)
    # Somebody takes a switch out of the port group: it is put back.
    northd.nbctl("pg-set-ports", PORT_GROUP, "stor-node1")
    wait_for(lambda: ports(world) == members, f"the ports to be back: {ports(world)}\n{world.logs()}")
    world.remove_port("etor-GR_node1", "ext_node1")
    assert world.nb.gateway(1, dual=True)["changed"]
    wait_for(lambda: ports(world) == members, f"the new port: {ports(world)}\n{world.logs()}")
    world.nb.gateway(2, dual=True)
    wait_for(lambda: "etor-GR_node2" in ports(world), "the port of a gateway that came later")
    world.api.delete(f"{SERVICES}/web")
    wait_for(lambda: not world.balancers(), "the load balancers to go")
    assert not [row for row in world.nb.rows("ACL") if "198.51.100.9" in row["match"]]
    world.watchers[0].stop()
    # No watcher runs: whoever makes a port again puts it back, in its own transaction.
    members.add("etor-GR_node2")
    for lost, switch, made_again in (
        ("etor-GR_node2", "ext_node2", lambda: world.nb.gateway(2, dual=True)),
        ("stor-node1", "node1", lambda: world.nb.node(1, dual=True)),
        ("jtor-ovn_cluster_router", "join", lambda: world.nb.master(dual=True)),
        ("etor-GR_node1", "ext_node1", lambda: world.nb.build(gateways=(1, 2), dual=True)),
    ):
        world.remove_port(lost, switch)
        assert lost not in ports(world)
        assert made_again()["changed"]
        assert ports(world) == members, lost
        assert not made_again()["changed"]
    world.nb.call("ovn_master_init", state="absent", dual=True)
    assert set(world.nb.content()) <= {"NB_Global"}
