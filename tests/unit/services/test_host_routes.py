# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the routes between pods and the hosts' own addresses."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._services import host_routes, host_sets

from .objects import LOCAL, balanced, host, on_nodes, service, state

HERE = on_nodes(("192.168.1.3", "node1", True), ("192.168.2.3", "node2", True))


def routes(*states, **more):
    """(table, role) -> columns."""
    rows = host_routes.rows(host(**more), states)
    return {(row.table, row.role): row.columns for row in rows}


def test_pods_reach_a_host_through_its_management_port():
    """Protects pods that send to hosts where there is no gateway, or one that does not reach them."""
    assert routes() == {
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


def test_a_shared_gateways_address_has_a_route_already():
    """Protects against two routes to one address, and against a route to an address of the pods' own networks."""
    assert [role for _table, role in routes(gateway_addresses=("10.0.0.1",))] == ["host-fd00::1"]
    assert routes(addresses=("192.168.1.2",)) == {}


def test_the_hosts_are_in_one_row_for_each_ip_version():
    """Protects clusters of many hosts: policies name a set of all hosts' addresses, which exists before the first one
    has an address.
    """
    assert [(row.name, row.columns["addresses"]) for row in host_sets.rows(["10.0.0.2", "fd00::1", "10.0.0.1"])] == [
        ("ovn_kubernetes_hosts_IPv4", ("10.0.0.1", "10.0.0.2")),
        ("ovn_kubernetes_hosts_IPv6", ("fd00::1",)),
    ]
    assert [row.columns["addresses"] for row in host_sets.rows([])] == [(), ()]


def test_answers_go_back_through_the_host_that_has_translated_the_node_port():
    """Protects externalTrafficPolicy Local: the client's address is kept, and the pod's own address must not answer."""
    policy = routes(state(balanced(**LOCAL), HERE), state(balanced(), HERE))["Logical_Router_Policy", "replies-4"]
    assert policy == {
        "priority": 110,
        "action": "reroute",
        "nexthops": ("192.168.1.2",),
        "match": "ip4.src == {192.168.1.3} && ip4.dst == $ovn_kubernetes_hosts_IPv4",
    }
    outside = service(externalIPs=["198.51.100.7"], **LOCAL)
    assert routes(state(outside, HERE))["Logical_Router_Policy", "replies-4"] == policy
    of_host = routes(state(balanced(**LOCAL), on_nodes(("10.0.0.1", "node1", True))))
    assert not [role for _table, role in of_host if role.startswith("replies")]
