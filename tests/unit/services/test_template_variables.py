# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the template variables of a chassis: its own addresses, and the endpoints on this host alone."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._services import northbound, template_variables

from .objects import endpoints, endpoints_for, host, service, state


def variables(of, *states, drops_unserved=False):
    """The variables of a host."""
    return template_variables.row(of, states, drops_unserved).columns["variables"]


def test_a_hosts_own_addresses():
    """Protects node ports (W31): the node's address, then the gateway's; what a host has not is an address that no
    packet has.
    """
    of = host(addresses=("10.0.0.1", "fd00::1"), gateway_addresses=("10.55.0.1",))
    assert template_variables.row(of, ()).columns == {
        "chassis": "id-node1",
        "variables": {
            "NODEIP_IPv4_0": "10.0.0.1",
            "NODEIP_IPv4_1": "10.55.0.1",
            "NODEIP_IPv6_0": "fd00::1",
            "NODEIP_IPv6_1": "::",
        },
    }


@pytest.mark.parametrize(
    ("protocol", "dropped", "more", "left_out"),
    [
        ("UDP", True, {}, True),
        ("TCP", True, {}, False),
        ("UDP", False, {}, False),
        ("UDP", True, {"kind": "NodePort", "externalTrafficPolicy": "Local"}, False),
    ],
)
def test_datagrams_to_a_host_without_endpoints(protocol, dropped, more, left_out):
    """Protects clients that go on to send from one port until an endpoint comes: conntrack would keep them with the
    refusal.

    The variable may be left out only where the packet is dropped instead.
    """
    made = service(ports=({"port": 80, "protocol": protocol},), internalTrafficPolicy="Local", **more)
    slices = [endpoints(("192.168.1.3", "node1", {}), ports=({"port": 8080, "protocol": protocol},))]
    found = variables(host("node2", ("192.168.9.0/24",)), state(made, *slices), drops_unserved=dropped)
    assert ([name for name in found if not name.startswith("NODEIP")] == []) == left_out


@pytest.mark.parametrize(
    ("has_gateway", "more"), [(True, {}), (False, {}), (False, {"internalTrafficPolicy": "Local"})]
)
def test_what_gateways_serve_is_on_their_hosts_alone(has_gateway, more):
    """Protects clusters of many nodes: a service with externalTrafficPolicy Local is no row of a host without a
    gateway, whose load balancers don't name its variable.
    """
    made = state(service("NodePort", ({"port": 80, "nodePort": 30080},), externalTrafficPolicy="Local", **more))
    found = [name for name in variables(host(has_gateway=has_gateway), made) if name.startswith("LOCAL_")]
    assert len(found) == (1 if has_gateway or more else 0)


def test_internal_traffic_stays_on_the_host():
    """Protects internalTrafficPolicy Local: each chassis has its own endpoints; on one without, the router refuses, and
    nothing leaves by the gateway.

    The refusing address must be a real one: with 0.0.0.0 Open vSwitch refuses the flow, and with it all flows of the
    chassis.
    """
    made = state(
        service(internalTrafficPolicy="Local"),
        endpoints(("192.168.1.3", "node1", {}), ("192.168.2.3", "node2", {})),
    )
    (row,) = northbound.rows(made)
    ((vip, variable),) = row.columns["vips"].items()
    assert (row.role, row.parent, vip) == ("local_IPv4-tcp", "clusterSwitchLBGroup", "10.96.0.1:80")
    values = {
        node: variables(host(node, ("192.168.9.0/24",)), made).get(variable[1:]) for node in ("node1", "node2", "node3")
    }
    assert values == {"node1": "192.168.1.3:8080", "node2": "192.168.2.3:8080", "node3": "192.168.9.1:9"}


def test_each_host_has_the_endpoints_that_are_for_it():
    """Protects traffic distribution: the endpoints of the host's zone, else all; and IPv6 addresses as variables."""
    hints = {"fd10::3": {"forZones": ["a"]}, "fd10::4": {"forZones": ["b"]}}
    made = state(service(ips=("fd96::1",)), endpoints_for(hints, version=6))
    (row,) = northbound.rows(made)
    ((vip, backends),) = row.columns["vips"].items()
    for zone, expected in (("a", "[fd10::3]:8080"), ("b", "[fd10::4]:8080"), ("", "[fd10::3]:8080,[fd10::4]:8080")):
        found = variables(host(zone=zone), made)
        assert found[backends[1:]] == expected and found[vip.partition(":")[0][1:]] == "fd96::1"
