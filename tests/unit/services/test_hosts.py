# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the ways between pods and hosts, and what a host is told to do for services."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import NodePort, OwnService
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import (
    host_rules as node_ports,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import (
    hosts,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import (
    northbound as services,
)

SUBNETS = ("192.168.1.0/24", "fd10:0:0:1::/64")
HOSTS = {"node1": ("10.0.0.1", "fd00::1"), "node2": ("10.0.0.2",)}


def service(node_port=30080, health=None, **spec):
    """A service with one node port."""
    return services.trim(
        {
            "metadata": {"namespace": "ns", "name": "web"},
            "spec": {
                "type": "LoadBalancer",
                "clusterIPs": ["10.96.0.1"],
                "ports": [{"port": 80, "nodePort": node_port}],
                "healthCheckNodePort": health,
                **spec,
            },
        }
    )


def endpoints(*found):
    """An endpoint slice: (address, node, ready)."""
    return services.Slice(
        "ns/web",
        4,
        (("", "TCP", 8080),),
        tuple(services.Endpoint(address, node, ready, False) for address, node, ready in found),
    )


LOCAL = {"externalTrafficPolicy": "Local"}
HERE = [endpoints(("192.168.1.3", "node1", True), ("192.168.2.3", "node2", True))]


def ways(name="node1", addresses=HOSTS["node1"], gateway=(), kept=()):
    """(table, role) -> columns."""
    rows = hosts.ways(name, SUBNETS, addresses, gateway, {ip for ips in HOSTS.values() for ip in ips}, kept)
    return {(row.table, row.role): row.columns for row in rows}


def test_pods_reach_a_host_through_its_management_port():
    """Protects pods that speak to hosts where there is no gateway, or one that does not lead there."""
    assert ways() == {
        ("Logical_Router_Static_Route", "host-10.0.0.1"): {
            "ip_prefix": "10.0.0.1/32",
            "nexthop": "192.168.1.2",
            "output_port": ("rtos-node1",),
        },
        ("Logical_Router_Static_Route", "host-fd00::1"): {
            "ip_prefix": "fd00::1/128",
            "nexthop": "fd10:0:0:1::2",
            "output_port": ("rtos-node1",),
        },
    }


def test_a_shared_gateways_address_has_its_way_already():
    """Protects against two routes to one address, and against a route to an address of the pods' own networks."""
    assert [role for _table, role in ways(gateway=("10.0.0.1",))] == ["host-fd00::1"]
    assert ways(addresses=("192.168.1.2",)) == {}


def test_answers_go_back_through_the_host_that_has_translated_the_node_port():
    """Protects externalTrafficPolicy Local: the client's address is kept, and it must not be answered by the pod's own address."""
    found = ways(kept=[(service(**LOCAL), HERE), (service(), HERE)])["Logical_Router_Policy", "replies-4"]
    assert found == {
        "priority": 110,
        "action": "reroute",
        "nexthops": ("192.168.1.2",),
        "match": "ip4.src == {192.168.1.3} && ip4.dst == {10.0.0.1, 10.0.0.2}",
    }
    host_endpoints = [endpoints(("10.0.0.1", "node1", True))]
    assert not [role for _table, role in ways(kept=[(service(**LOCAL), host_endpoints)]) if role.startswith("replies")]


def rules(wanted, slices, node="node1"):
    """The rules of a host."""
    return node_ports.rules(node, "k8s-" + node, SUBNETS, HOSTS, [(wanted, slices)])


def test_a_node_port_leads_to_the_services_own_address():
    """Protects hosts from a list of all endpoints: OVN balances."""
    assert rules(service(), HERE).node_ports == (NodePort("tcp", 30080, ((4, (("10.96.0.1", 80),)),)),)


def test_a_node_port_that_stays_on_the_host():
    """Protects externalTrafficPolicy Local: this host's endpoints, and the hosts that have some for this host's own connections."""
    (found,) = rules(service(**LOCAL), HERE).node_ports
    assert dict(found.local) == {4: (("192.168.1.3", 8080),)} and dict(found.elsewhere)[4] == (
        ("10.0.0.1", 30080),
        ("10.0.0.2", 30080),
    )
    (found,) = rules(service(**LOCAL), [endpoints(("192.168.2.3", "node2", True))]).node_ports
    assert dict(found.local) == {4: ()} and dict(found.elsewhere) == {4: (("10.0.0.2", 30080),)}


def test_a_service_with_an_endpoint_of_the_host_itself():
    """Protects the API server's service on masters; other hosts leave it to OVN."""
    slices = [endpoints(("10.0.0.1", "node1", True), ("10.0.0.2", "node2", True))]
    all_of_them = (("10.0.0.1", 8080), ("10.0.0.2", 8080))
    assert rules(service(), slices).own == (OwnService(4, "tcp", "10.96.0.1", 80, all_of_them),)
    assert rules(service(), slices).node_ports == (NodePort("tcp", 30080, ((4, all_of_them),)),)
    assert rules(service(internalTrafficPolicy="Local"), slices).own[0].endpoints == (("10.0.0.1", 8080),)
    assert rules(service(), slices, "node3").own == ()


def test_health_checks_count_ready_endpoints_of_the_host():
    """Protects outer load balancers from hosts whose endpoints are ending."""
    slices = [
        endpoints(("192.168.1.3", "node1", True), ("192.168.1.4", "node1", False), ("192.168.2.3", "node2", False))
    ]
    wanted = [(service(health=30090, **LOCAL), slices), (service(), slices)]
    assert node_ports.checks("node1", wanted) == {30090: ("ns", "web", 1)}
    assert node_ports.checks("node2", wanted) == {30090: ("ns", "web", 0)}


def test_only_changed_ports_of_udp_are_forgotten():
    """Protects clients of UDP from a memory of nobody, and everybody else's connections from being forgotten."""

    def made(kind, **more):
        wanted = service(**more)
        return wanted._replace(ports=(wanted.ports[0]._replace(protocol=kind),))

    def stale(one, other):
        return node_ports.stale(node_ports.udp(one), node_ports.udp(other))

    before = rules(made("UDP"), HERE)
    assert stale(before, before) == set()
    assert stale(before, rules(made("UDP", node_port=30081), HERE)) == {30080, 30081}
    assert stale(before, rules(made("UDP", **LOCAL), HERE)) == {30080}
    assert stale(rules(made("TCP"), HERE), rules(made("TCP", **LOCAL), HERE)) == set()
