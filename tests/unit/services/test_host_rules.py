# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a host's own rules for services, as values; what they do is seen in tests/integration/services/."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._services import host_rules, ruleset
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.host_rules import (
    NodePortRule,
    NodePortTargets,
    ServiceAddressRule,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._services.model import Target

from .objects import HOSTS, LOCAL, SUBNETS, balanced, endpoints, on_nodes, service, state

EVERYWHERE = (Target("192.168.1.3", 8080), Target("192.168.2.3", 8080))
CLUSTER = (Target("10.96.0.1", 80),)
HERE = on_nodes(("192.168.1.3", "node1", True), ("192.168.2.3", "node2", True))


def rules(made, *slices, node="node1"):
    """The rules of a host."""
    return host_rules.host_rules(node, f"k8s-{node}", SUBNETS, HOSTS, [state(made, *slices)])


@pytest.mark.parametrize(
    ("policy", "backends", "targets"),
    [("Cluster", True, CLUSTER), ("Local", True, EVERYWHERE), ("Cluster", False, CLUSTER), ("Local", False, None)],
)
def test_addresses_outside(policy, backends, targets):
    """Protects externalIPs: the internal traffic policy, by which OVN would keep connections on the host, is not for
    them.
    """
    made = service(externalIPs=["198.51.100.7", "fd77::7"], internalTrafficPolicy=policy)
    slices = [endpoints(("192.168.1.3", "node1", {}), ("192.168.2.3", "node2", {}))] if backends else []
    assert host_rules.needs_rules(made) and not host_rules.needs_rules(service())
    found = host_rules.host_rules("node3", "k8s-node3", (), {}, [state(made, *slices)])
    assert [(rule.address, rule.port, rule.targets, rule.local) for rule in found.outside_addresses] == (
        [("198.51.100.7", 80, targets, None)] if targets else []
    )


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_addresses_outside_that_stay_on_the_host(kind):
    """Protects externalTrafficPolicy Local at externalIPs, of a service of each type: what comes in goes to this host's
    endpoints, or nowhere; and answers to other hosts, whose address is kept, come back through this host.
    """
    made = service(kind, externalIPs=["198.51.100.7", "10.0.0.1"], **LOCAL)
    for node, local in (("node1", EVERYWHERE[:1]), ("node3", ())):
        found = rules(made, HERE, node=node).outside_addresses
        assert {rule.address: (rule.targets, rule.local) for rule in found} == {
            "198.51.100.7": (CLUSTER, local),
            **({"10.0.0.1": (CLUSTER, local)} if node == "node1" else {}),
        }


@pytest.mark.parametrize("policy", [{"sessionAffinity": "ClientIP"}, {"internalTrafficPolicy": "Local"}, LOCAL])
def test_a_thousand_addresses_and_endpoints_of_one_service(policy):
    """Protects hosts from one service: its endpoints are in the rules once, not once for each address. nft(8) would
    need half a minute, and a gigabyte, for the product.
    """
    number = 300

    def many(prefix):
        return [f"{prefix}.{place >> 8}.{place & 255}" for place in range(1, number + 1)]

    made = service(externalIPs=many("198.51"), **policy)
    text = ruleset.render(rules(made, endpoints(*((ip, "node1", {}) for ip in many("192.168")))))
    assert all(f"{ip} . tcp . 80 : goto tcp_80_" in text for ip in many("198.51"))
    assert number <= text.count(" . 8080") <= 2 * number


def test_a_node_port_leads_to_the_services_own_address():
    """Protects hosts from a list of all endpoints: OVN balances."""
    assert rules(balanced(), HERE).node_ports == (NodePortRule("tcp", 30080, (NodePortTargets(4, CLUSTER),)),)


def test_clients_of_a_host_are_spread_over_the_endpoints():
    """Protects session affinity at node ports and own addresses. Through the cluster address all clients of a host have
    its address, and one endpoint: that is so with a time-out only, since OVN remembers clients, and for many endpoints.
    """
    sticky = {"sessionAffinity": "ClientIP", "externalIPs": ["10.0.0.1"]}
    for config, targets in (({}, EVERYWHERE), ({"clientIP": {"timeoutSeconds": 60}}, CLUSTER)):
        made = balanced(**sticky, sessionAffinityConfig=config)
        local = host_rules.LocalHost(("10.0.0.1",))
        found = host_rules.host_rules("node1", "k8s-node1", (), HOSTS, [state(made, HERE)], local=local)
        assert found.node_ports == (NodePortRule("tcp", 30080, (NodePortTargets(4, targets),), True),)
        assert [rule.targets for rule in found.outside_addresses] == [targets]
        assert host_rules.names_endpoints(made) is (targets == EVERYWHERE)
    many = on_nodes(*((f"192.168.{number // 250}.{number % 250 + 1}", "node1", True) for number in range(1001)))
    (rule,) = rules(balanced(sessionAffinity="ClientIP"), many).node_ports
    assert rule.targets == (NodePortTargets(4, CLUSTER),)
    (rule,) = rules(balanced(sessionAffinity="ClientIP")).node_ports
    assert rule.targets == (NodePortTargets(4, CLUSTER),)


def test_a_node_port_that_stays_on_the_host():
    """Protects externalTrafficPolicy Local: this host's endpoints, and the hosts that have some for this host's own
    connections.
    """
    hosts = (Target("10.0.0.1", 30080), Target("10.0.0.2", 30080))
    (rule,) = rules(balanced(**LOCAL), HERE).node_ports
    assert rule.targets == (NodePortTargets(4, CLUSTER, EVERYWHERE[:1], hosts),)
    (rule,) = rules(balanced(**LOCAL), on_nodes(("192.168.2.3", "node2", True))).node_ports
    assert rule.targets == (NodePortTargets(4, CLUSTER, (), hosts[1:]),)


def test_a_service_with_an_endpoint_of_the_host_itself():
    """Protects the API server's service on masters; other hosts leave it to OVN."""
    slices = on_nodes(("10.0.0.1", "node1", True), ("10.0.0.2", "node2", True))
    everywhere = (Target("10.0.0.1", 8080), Target("10.0.0.2", 8080))
    found = rules(balanced(), slices)
    assert found.service_addresses == (ServiceAddressRule(4, "tcp", "10.96.0.1", 80, everywhere),)
    assert found.node_ports == (NodePortRule("tcp", 30080, (NodePortTargets(4, everywhere),)),)
    local = rules(balanced(internalTrafficPolicy="Local"), slices)
    assert local.service_addresses[0].targets == everywhere[:1]
    assert rules(balanced(), slices, node="node3").service_addresses == ()


def test_health_checks_count_ready_endpoints_of_the_host():
    """Protects load balancers outside from hosts whose endpoints are ending."""
    slices = on_nodes(("192.168.1.3", "node1", True), ("192.168.1.4", "node1", False), ("192.168.2.3", "node2", False))
    states = [state(balanced(health=30090, **LOCAL), slices), state(balanced(), slices)]
    assert host_rules.health_checks("node1", states) == {30090: ("ns", "web", 1)}
    assert host_rules.health_checks("node2", states) == {30090: ("ns", "web", 0)}


def test_conntrack_forgets_only_udp_ports_that_changed():
    """Protects clients of UDP from entries for endpoints that are gone, and keeps all other connections."""

    def changed(one, other):
        return host_rules.changed_ports(host_rules.udp_rules(one), host_rules.udp_rules(other))

    old = rules(balanced(protocol="UDP"), HERE)
    assert changed(old, old) == set()
    assert changed(old, rules(balanced(31080, protocol="UDP"), HERE)) == {30080, 31080}
    assert changed(old, rules(balanced(protocol="UDP", **LOCAL), HERE)) == {30080}
    assert changed(rules(balanced(), HERE), rules(balanced(**LOCAL), HERE)) == set()
