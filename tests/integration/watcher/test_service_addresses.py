# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects addresses of others from users who may make services, and from kubelets: with a real API server, which
accepts what they write, and a real ovn-northd, which would make logical flows of it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time

from database_server import PROGRAMS, Server, wait_for

SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
CLUSTER = "Service_default/mallory_TCP_cluster"
SAFE = "198.51.100.7"


def events(world, kind, name, reason="AddressRefused"):
    """The messages about an object."""
    found = world.api.get("/api/v1/namespaces/default/events")["items"]
    return [
        one["message"]
        for one in found
        if (one["involvedObject"]["kind"], one["involvedObject"]["name"]) == (kind, name) and one["reason"] == reason
    ]


def addresses(world, name=CLUSTER):
    """The addresses and ports of a load balancer, without the cluster address."""
    return {vip for vip in world.vips(name) if not vip.startswith("10.96.")}


def test_external_ips_of_others(world):
    """Protects hosts, gateways, routers, pods and services from externalIPs: refused with one event on the service,
    which works otherwise, and served as soon as the owner has gone.
    """
    world.watch()
    world.api.add_node("node1", "10.0.0.1")
    world.api.add_node("node2", "10.0.0.2")
    world.api.add_pod("victim", "node1")
    (pod,) = (one.split("/")[0] for one in world.annotated("victim"))
    dns = world.service("dns")["spec"]["clusterIP"]
    stolen = ["10.0.0.2", "10.55.0.1", "10.55.0.254", pod, "192.168.9.9", "100.64.0.2", dns, SAFE]
    world.service("mallory", externalIPs=stolen)
    wait_for(lambda: addresses(world) == {f"{SAFE}:80"}, f"what is left: {addresses(world)}")
    (message,) = wait_for(lambda: events(world, "Service", "mallory"), "the event")
    for part in (
        "10.0.0.2 is an address of node node2",
        "10.55.0.1 is an address of gateway node1",
        "10.55.0.254 is an address of an external router",
        f"{pod}, 192.168.9.9: each is in the pods' network 192.168.0.0/16",
        "100.64.0.2 is in the join network",
        f"{dns} is in the services' network",
    ):
        assert part in message
    world.api.delete("/api/v1/nodes/node2")
    wait_for(lambda: addresses(world) == {f"{SAFE}:80", "10.0.0.2:80"}, "the address of a node that went")
    world.api.add_node("node2", "10.0.0.2")
    wait_for(lambda: addresses(world) == {f"{SAFE}:80"}, "the address of a node that came back")
    world.nb.gateway(1, default_gw=["10.55.0.253"])
    wait_for(lambda: addresses(world) == {f"{SAFE}:80", "10.55.0.254:80"}, "the address of a router that went")
    body = {"metadata": {"annotations": {"ovn.kubernetes/default-routers": "10.55.0.254"}}}
    world.api.patch("/api/v1/nodes/node1/status", body, world.api.node_token("node1"))
    wait_for(lambda: addresses(world) == {f"{SAFE}:80"}, "the address of a node's default router")


def test_a_balancer_may_give_hosts_addresses(world):
    """Protects balancers that use hosts' addresses, and the hosts' own ports there."""
    world.watch()
    world.api.add_node("node1", "10.0.0.1")
    world.service("mallory", type="LoadBalancer", ports=[{"name": "a", "port": 80}, {"name": "b", "port": 22}])
    ingress = [{"ip": ip} for ip in ("10.0.0.1", "192.168.1.3", "127.0.0.1")]
    world.api.patch(f"{SERVICES}/mallory/status", {"status": {"loadBalancer": {"ingress": ingress}}})
    wait_for(lambda: addresses(world) == {"10.0.0.1:80"}, "the host's address")
    assert (
        "TCP port 22 of 10.0.0.1 is the host's own"
        in wait_for(lambda: events(world, "Service", "mallory"), "the event")[-1]
    )


def test_two_services_with_one_address_and_port(world):
    """Protects clients from two load balancers of one address: the older service has it, until it goes."""
    world.watch()
    world.service("first", externalIPs=[SAFE])
    wait_for(lambda: addresses(world, "Service_default/first_TCP_cluster") == {f"{SAFE}:80"}, "the first service")
    # The API server's times have seconds only; the name decides between services of one second.
    world.service("mallory", externalIPs=[SAFE], ports=[{"name": "a", "port": 80}, {"name": "b", "port": 81}])
    wait_for(lambda: addresses(world) == {f"{SAFE}:81"}, "the other port")
    found = wait_for(lambda: events(world, "Service", "mallory"), "the event")
    assert found == [f"not served: TCP port 80 of {SAFE} is served for service default/first"]
    world.api.delete(f"{SERVICES}/first")
    wait_for(lambda: addresses(world) == {f"{SAFE}:80", f"{SAFE}:81"}, "both ports")


def test_hostile_services_and_nodes(world):
    """Protects a good service beside the largest objects that the API server takes: it is served at once."""
    watcher = world.watch()
    ports = [{"name": f"p{number}", "port": number} for number in range(1, 3001)]
    targets = [{"name": f"p{number}", "port": 8080} for number in range(1, 1001)]
    many = [f"11.0.{number // 250}.{1 + number % 250}" for number in range(3000)]
    world.service("wide", ports=ports)
    world.service("long", externalIPs=many)
    for part in range(3):
        body = {
            "metadata": {"name": f"wide-{part}", "labels": {"kubernetes.io/service-name": "wide"}},
            "addressType": "IPv4",
            "ports": targets,
            "endpoints": [{"addresses": [ip]} for ip in many[part * 1000 : part * 1000 + 1000]],
        }
        world.api.create(SLICES, body)
    world.api.add_node("node1")
    claimed = [{"type": "InternalIP", "address": ip} for ip in many]
    world.api.patch("/api/v1/nodes/node1/status", {"status": {"addresses": claimed}})
    began = time.monotonic()
    ip = world.service("good")["spec"]["clusterIP"]
    wait_for(lambda: f"{ip}:80" in world.vips("Service_default/good_TCP_cluster"), "the good service")
    took = time.monotonic() - began
    wait_for(watcher.idle, "the watcher to be done")
    assert took < 5, took  # beside other tests
    assert len(world.vips("Service_default/wide_TCP_cluster")) == 1000
    assert len(world.vips("Service_default/long_TCP_cluster")) == 1001 - 16  # the addresses that count of a node
    wait_for(lambda: "2000 of its ports" in str(events(world, "Service", "wide", "ServicePartNotServed")), "the event")


def test_a_kubelet_that_reports_addresses_of_others(world):
    """Protects pods, services, routers and other nodes from the credential of one node: no route leads there."""
    world.watch()
    world.api.add_node("node1", "10.0.0.1")
    world.api.add_node("node2", "10.0.0.2")
    expected = [("10.0.0.1/32", "192.168.1.2"), ("10.0.0.2/32", "192.168.2.2")]

    def routes():
        return [route for route in world.nb.routes() if route[0].endswith("/32") and not route[0].startswith("100.64.")]

    wait_for(lambda: routes() == expected, "the ways to hosts")

    def report(*addresses):
        world.api.request(
            "PATCH",
            "/api/v1/nodes/node1/status",
            {"status": {"addresses": [{"type": "InternalIP", "address": one} for one in addresses]}},
            world.api.node_token("node1"),
            "application/merge-patch+json",
        )

    report("10.0.0.1", "192.168.2.3", "10.0.0.2", "10.96.0.1", "192.168.2.1", "8.8.8.8", "10.55.0.254")
    (message,) = wait_for(lambda: events(world, "Node", "node1"), f"the event\n{world.logs()}")
    assert (
        "192.168.2.3, 192.168.2.1: each is in the pods' network" in message
        and "10.0.0.2 is an address of node node2" in message
    )
    assert routes() == expected and events(world, "Node", "node2") == []
    report("10.0.0.1", "10.55.0.2", "10.0.0.9")
    wait_for(lambda: len(routes()) == 4, "the ways to addresses of nobody")
    world.nb.gateway(2)
    world.nb.node(2, encap_ip="10.0.0.9")
    wait_for(lambda: routes() == expected, "the ways to go, since the inventory knows whose addresses they are")


@contextlib.contextmanager
def northd(nb):
    """A real ovn-northd; gives a function that returns rows of the Southbound database."""
    sb = Server("ovn-sb", "OVN_Southbound")
    process = subprocess.Popen(
        [
            str(PROGRAMS / "bin/ovn-northd"),
            f"--ovnnb-db={nb.remote}",
            f"--ovnsb-db={sb.remote}",
            "--no-chdir",
            f"--unixctl={sb.directory / 'northd.ctl'}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ, OVS_RUNDIR=str(sb.directory), OVN_RUNDIR=str(sb.directory)),
    )
    try:
        yield sb.rows
    finally:
        process.kill()
        process.wait()
        sb.remove()


def test_no_router_answers_for_a_services_address(world):
    """Protects the physical network: gateways balance an address of a service in their own network, and none of them
    answers ARP for it, since another one announces it (ovn-nb(5), neighbor_responder).
    """
    world.watch()
    world.service("web", externalIPs=["10.55.0.77"])
    world.slice("web", "192.168.1.3")
    with northd(world.nb) as southbound:

        def flows(*parts):
            return [
                row
                for row in southbound("Logical_Flow")
                if all(part in f"{row['match']} {row['actions']}" for part in parts)
            ]

        wait_for(lambda: flows("10.55.0.77", "192.168.1.3:8080"), "the balancing")
        answers = ("arp.tpa == ", "arp.op = 2")
        assert flows(*answers, "10.55.0.1")
        # Routers name the addresses that they answer for in address sets.
        named = [row["name"] for row in southbound("Address_Set") if "10.55.0.77" in str(row["addresses"])]
        assert [name for name in (*named, "10.55.0.77") if flows(*answers, name)] == []
