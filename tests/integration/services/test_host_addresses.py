# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What a host's own stack does for addresses outside, those of other hosts and further networks of services."""

from __future__ import annotations

import json
import subprocess

from database_server import wait_for
from network_namespace import ip

from ansible_collections.ovn.kubernetes.plugins.module_utils._services.host_networks import HostNetworks
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.service_cidrs import ServiceCIDR

from .host_stack import ask, balancer, endpoints, listen, node_object, service


def test_an_address_outside_from_the_host_itself(host):
    """Protects the host's own connections to externalIPs and to a load balancer outside: they are balanced before they
    leave.
    """
    ip("route add default via 10.0.0.9")
    assert ask(80, "198.51.100.7") == "10.96.0.1:80 from 192.168.1.2"
    assert ask(80, "198.51.100.2") == "10.96.0.5:80 from 192.168.1.2"


def test_an_address_outside_from_elsewhere(host, client):
    """Protects externalIPs, and the addresses of a balancer outside, at hosts without a gateway: whoever sends packets
    for them to the host is served; with externalTrafficPolicy Local by the host's own endpoints, or not at all.
    """
    client.run("ip", "route", "add", "198.51.100.0/24", "via", "10.0.0.1")
    assert ask(80, "198.51.100.7", source="10.0.0.8", where=client) == "10.96.0.1:80 from 192.168.1.2"
    assert ask(80, "198.51.100.2", source="10.0.0.8", where=client) == "192.168.1.3:8080 from 192.168.1.2"
    assert ask(80, "198.51.100.2", source="10.0.0.9", where=client) == "192.168.1.3:8080 from 10.0.0.9"
    assert ask(80, "198.51.100.3", source="10.0.0.8", where=client, patience=1) == "silence"


def test_an_address_outside_for_some_sources(host, client):
    """Protects loadBalancerSourceRanges at hosts: everybody else is refused, also the host itself, and everybody where
    the ranges can't be read; a host that has the address itself may use it as its own address may.
    """
    client.run("ip", "route", "add", "198.51.100.0/24", "via", "10.0.0.1")
    ip("route add default via 10.0.0.9")
    assert ask(80, "198.51.100.4", source="10.0.0.9", where=client) == "10.96.0.7:80 from 192.168.1.2"
    assert ask(80, "198.51.100.4", source="10.0.0.8", where=client, patience=0.5) == "silence"
    assert ask(80, "198.51.100.4", patience=0.5) == "silence"
    assert "198.51.100.5" not in listed("outside4", "map")
    ranges = balancer("some", 7, "198.51.100.4", ["10.0.0.1/32"])
    host.api.change("MODIFIED", ranges, "services")
    ip("addr add 198.51.100.4/32 dev lo")
    wait_for(lambda: ask(80, "198.51.100.4", patience=0.5) == "10.96.0.7:80 from 192.168.1.2", "the host's own address")
    assert ask(80, "198.51.100.4", source="10.0.0.9", where=client, patience=0.5) == "silence"


def listed(name, kind="chain"):
    """The rules of a chain, or the elements of a map."""
    command = ["nft", "list", kind, "inet", "ovn_kubernetes", name]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def test_addresses_of_other_hosts(host):
    """Protects the hosts' own connections (to the API server, to SSH, to the network's router) from a service that
    names a node's address, the router's, one of the overlay, a gateway's, or its next hop's.
    """
    host.stop()
    host.set_api_server(server=host.api.url, host_addresses={"10.55.0.11": "node2", "10.55.0.254": "*"})
    host.start(wait=False)
    ip("route add default via 10.0.0.254")
    other = node_object("node2", "10.0.0.9")
    other["metadata"]["annotations"] = {"ovn.kubernetes/default-routers": "10.44.0.1"}
    host.api.change("MODIFIED", other, "nodes")
    stolen = ["10.0.0.9", "10.0.0.1", "10.0.0.254", "192.168.1.3", "10.55.0.11", "10.55.0.254", "10.44.0.1"]
    host.api.change("ADDED", service("mallory", 9, None, externalIPs=stolen), "services")
    host.api.change("ADDED", service("other", 10, None, externalIPs=["198.51.100.8"]), "services")
    wait_for(
        lambda: "198.51.100.8 . tcp . 80 " in listed("outside4", "map"), "the rule of the address that is nobody's"
    )
    assert not [address for address in stolen if f" {address} . " in listed("outside4", "map")]
    told = {"ovn.kubernetes/default-routers": "10.0.0.254"}
    wait_for(lambda: host.api.annotations == told, "the host to tell its router")


def test_own_addresses_where_they_are_allowed(host, client):
    """Protects externalIPs at hosts' own addresses where the administrator allows them: they are served from outside
    and for the host itself, but for a port that a program of the host listens on; other hosts' are left to those hosts.
    """
    host.stop()
    host.set_api_server(server=host.api.url, external_ip_networks=["10.0.0.0/24"])
    ports = [{"name": str(port), "protocol": "TCP", "port": port} for port in (8443, 8444, 22)]
    web = service("all", 1, None, externalIPs=["10.0.0.1", "10.0.0.9"])
    web["spec"]["ports"] = [{"name": "", "protocol": "TCP", "port": 80}, *ports]
    own = listen("10.0.0.1:8444")
    try:
        host.api.change("MODIFIED", web, "services")
        host.start(wait=False)
        wait_for(lambda: "10.0.0.1 . tcp . 80 " in listed("outside4", "map"), f"the rules\n{host.text()}")
        assert ask(80, where=client) == ask(80) == "10.96.0.1:80 from 192.168.1.2"
        assert ask(8444, where=client).startswith("10.0.0.1:8444 from") and ask(8444).startswith("10.0.0.1:8444 from")
        assert "10.0.0.9" not in listed("outside4", "map") and "tcp . 22 " not in listed("outside4", "map")
        assert "tcp . 8443 " in listed("outside4", "map")
        later = listen("10.0.0.1:8443")
        try:
            wait_for(
                lambda: "tcp . 8443 " not in listed("outside4", "map"), "a program that came later to have its port"
            )
        finally:
            later.kill()
            later.wait()
        wait_for(lambda: "tcp . 8443 " in listed("outside4", "map"), "the port of a program that ended")
    finally:
        own.kill()
        own.wait()


def test_a_further_network_of_services(namespace, client, overlay):
    """Protects hosts' connections to services of a second ServiceCIDR: a route leads there, and stays while the object
    is there; networks that the host or the pods use are refused.
    """
    overlay.run("ip", "addr", "add", "10.200.0.7/32", "dev", "lo")
    process = listen("10.200.0.7:80", where=["nsenter", f"--net={overlay.path}"])
    networks = HostNetworks(
        "k8s-node1",
        ["192.168.0.0/16"],
        ["10.96.0.0/16", "100.64.0.0/16"],
        {4: "192.168.1.1"},
        {"10.77.0.1": "the API server"},
    )

    def objects(*cidrs):
        return [ServiceCIDR(one, "u", "", (one,)) for one in cidrs]

    def routes():
        listed = subprocess.run(["ip", "-json", "route"], check=True, capture_output=True, text=True, timeout=10).stdout
        return {one["dst"] for one in json.loads(listed) if str(one.get("protocol")) == "87"}

    try:
        wrong = ["10.0.0.0/24", "192.168.9.0/24", "10.77.0.0/16", "10.0.0.0/8"]
        good = ["10.200.0.0/16", "10.96.0.0/16", "10.96.9.0/24", "fd97::/108"]
        found = networks.converge(objects(*wrong, *good))
        assert routes() == {"10.200.0.0/16"} and set(good) <= set(found.networks)
        assert {name for name, reason in found.refusals.items() if reason} == set(wrong)
        assert "an address of" not in found.refusals["10.77.0.0/16"] and "API server" in found.refusals["10.77.0.0/16"]
        assert ask(80, "10.200.0.7") == "10.200.0.7:80 from 192.168.1.2"
        ip("route del 10.200.0.0/16")
        networks.converge(objects(*good))
        assert routes() == {"10.200.0.0/16"}
        assert networks.converge([]).networks == ("10.96.0.0/16", "100.64.0.0/16") and routes() == set()
    finally:
        process.kill()
        process.wait()


def test_a_node_port_of_a_service_in_a_further_network(host, client, overlay):
    """Protects node ports of services that have an address of a second ServiceCIDR: the connection goes into the
    overlay, not to the host's default router; the route goes with the object.
    """
    overlay.run("ip", "addr", "add", "10.200.0.7/32", "dev", "lo")
    ip("route add default via 10.0.0.9")
    process = listen("10.200.0.7:80", where=["nsenter", f"--net={overlay.path}"])
    try:
        made = service("far", 1, 30009)
        made["spec"]["clusterIPs"] = ["10.200.0.7"]
        host.api.change("ADDED", made, "services")
        host.api.change("ADDED", endpoints("far", 8080, "192.168.1.3"), "endpointslices")
        cidr = {"metadata": {"name": "more", "uid": "u1"}, "spec": {"cidrs": ["10.200.0.0/16"]}}
        host.api.change("ADDED", cidr, "servicecidrs")
        answer = "10.200.0.7:80 from 192.168.1.2"
        wait_for(lambda: ask(30009, where=client, patience=1) == answer, f"the route\n{host.text()}")
        host.api.change("DELETED", cidr, "servicecidrs")
        wait_for(lambda: ask(80, "10.200.0.7", patience=1) != answer, "the route to go")
    finally:
        process.kill()
        process.wait()
