# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what services become (W16, W17, W31, F4): a table of cases, each as the virtual addresses that result."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._services import northbound

from .objects import endpoints, service, state

ALL, SWITCHES, ROUTERS = "clusterLBGroup", "clusterSwitchLBGroup", "clusterRouterLBGroup"


def vips(service, slices):
    """(scope-protocol, group) -> virtual addresses."""
    return {(row.role, row.parent): dict(row.columns["vips"]) for row in northbound.rows(state(service, *slices))}


def test_a_cluster_address_leads_to_the_endpoints_own_port():
    """Protects the target port: it is the endpoint's, not the service's (F4)."""
    assert vips(service(), [endpoints("192.168.1.3", "192.168.2.3")]) == {
        ("cluster-tcp", ALL): {"10.96.0.1:80": "192.168.1.3:8080,192.168.2.3:8080"}
    }


def test_without_endpoints_connections_are_refused():
    """Protects clients from waiting: the address stays, empty, and is rejected."""
    (row,) = northbound.rows(state(service()))
    assert (row.columns["vips"], row.columns["options"]["reject"]) == ({"10.96.0.1:80": ""}, "true")


def test_ports_of_one_name_meet_and_protocols_are_apart():
    """Protects services with several ports: names tie them to the endpoints' ports, each protocol has its load
    balancer.
    """
    made = service(
        ports=(
            {"name": "dns", "port": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
            {"name": "sigtran", "port": 90, "protocol": "SCTP"},
        )
    )
    slices = [
        endpoints(
            "192.168.1.3",
            ports=(
                {"name": "dns", "port": 5353, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 5354, "protocol": "TCP"},
            ),
        ),
        endpoints("192.168.1.4", ports=({"name": "sigtran", "port": 9090, "protocol": "SCTP"},)),
    ]
    assert vips(made, slices) == {
        ("cluster-tcp", ALL): {"10.96.0.1:53": "192.168.1.3:5354"},
        ("cluster-udp", ALL): {"10.96.0.1:53": "192.168.1.3:5353"},
        ("cluster-sctp", ALL): {"10.96.0.1:90": "192.168.1.4:9090"},
    }
    udp = {row.role: row.columns["options"]["ct_flush"] for row in northbound.rows(state(made, *slices))}
    assert udp == {"cluster-tcp": None, "cluster-udp": "true", "cluster-sctp": None}


def test_both_families():
    """Protects dual stack (W17, F4): IPv6 in brackets, each family's endpoints behind its own address."""
    slices = [endpoints("192.168.1.3"), endpoints("fd10::3", version=6)]
    assert vips(service(ips=("10.96.0.1", "fd96::1")), slices) == {
        ("cluster-tcp", ALL): {"10.96.0.1:80": "192.168.1.3:8080", "[fd96::1]:80": "[fd10::3]:8080"}
    }


def test_endpoints_that_are_ready_else_those_that_drain():
    """Protects requests during a rolling update: terminating endpoints serve only when there is no other."""
    drain, dead = (
        {"ready": False, "serving": True, "terminating": True},
        {"ready": False, "serving": False, "terminating": True},
    )
    backends = [("192.168.1.3", None, drain), ("192.168.1.4", None, dead), ("192.168.1.5", None, {"ready": False})]
    assert vips(service(), [endpoints(*backends)])["cluster-tcp", ALL] == {"10.96.0.1:80": "192.168.1.3:8080"}
    assert vips(service(), [endpoints(*backends, "192.168.1.6")])["cluster-tcp", ALL] == {
        "10.96.0.1:80": "192.168.1.6:8080"
    }


def test_outer_addresses_are_served_everywhere():
    """Protects W11, externalIPs and addresses of load balancers outside, but not those with ipMode Proxy."""
    made = service(
        "LoadBalancer",
        externalIPs=["1.2.3.4"],
        status={
            "loadBalancer": {"ingress": [{"ip": "5.6.7.8"}, {"ip": "5.6.7.9", "ipMode": "Proxy"}, {"hostname": "x"}]}
        },
    )
    assert set(vips(made, [endpoints("192.168.1.3")])["cluster-tcp", ALL]) == {
        "10.96.0.1:80",
        "1.2.3.4:80",
        "5.6.7.8:80",
    }


@pytest.mark.parametrize(
    ("ranges", "served"),
    [
        (["203.0.113.0/24"], {"10.96.0.1:80"}),
        ([], {"10.96.0.1:80", "5.6.7.8:80"}),
        (None, {"10.96.0.1:80", "5.6.7.8:80"}),
    ],
)
def test_a_balancer_for_some_sources_is_not_open_to_all(ranges, served):
    """Protects loadBalancerSourceRanges: OVN can't restrict sources, so the balancer's address is not served."""
    made = service(
        "LoadBalancer", loadBalancerSourceRanges=ranges, status={"loadBalancer": {"ingress": [{"ip": "5.6.7.8"}]}}
    )
    assert set(vips(made, [endpoints("192.168.1.3")])["cluster-tcp", ALL]) == served


def test_affinity_follows_from_the_clients_address():
    """Protects sessions, and their first packets: OVN's own affinity drops those of a new client."""
    made = service("NodePort", ports=({"port": 80, "nodePort": 30080},), sessionAffinity="ClientIP")
    rows = northbound.rows(state(made, endpoints("192.168.1.3")))
    assert [row.columns["selection_fields"] for row in rows] == [("ip_dst", "ip_src")] * 2
    assert {row.columns["options"]["affinity_timeout"] for row in rows} == {None}
    assert {row.columns["selection_fields"] for row in northbound.rows(state(service()))} == {()}


def test_affinity_with_its_timeout_is_for_services_that_ask_for_it():
    """Protects timeoutSeconds, more seconds than OVN can count, and node ports, whose addresses are templates."""

    def asked(value, seconds):
        config = {"clientIP": {"timeoutSeconds": seconds}} if seconds else None
        made = service(
            "NodePort",
            ports=({"port": 80, "nodePort": 30080},),
            annotations={"ovn.kubernetes/session-affinity": value},
            sessionAffinity="ClientIP",
            sessionAffinityConfig=config,
        )
        return {
            row.role: (row.columns["options"]["affinity_timeout"], row.columns["selection_fields"])
            for row in northbound.rows(state(made))
        }

    by_hash = (None, ("ip_dst", "ip_src"))
    assert asked("timeout", 90) == {"cluster-tcp": ("90", ()), "node_IPv4-tcp": by_hash}
    assert asked("timeout", None)["cluster-tcp"] == ("10800", ())
    assert asked("timeout", 86400)["cluster-tcp"] == asked("yes", 90)["cluster-tcp"] == by_hash
    (row,) = northbound.rows(state(service(annotations={"ovn.kubernetes/session-affinity": "timeout"})))
    assert row.columns["options"]["affinity_timeout"] is None


def test_external_traffic_keeps_its_client_and_its_host():
    """Protects externalTrafficPolicy Local: gateways use their own host's endpoints and keep the client's address; pods
    reach all.
    """
    made = service(
        "LoadBalancer",
        ports=({"port": 80, "nodePort": 30080},),
        externalTrafficPolicy="Local",
        status={"loadBalancer": {"ingress": [{"ip": "5.6.7.8"}]}},
    )
    rows = {
        (row.role, row.parent): row for row in northbound.rows(state(made, endpoints(("192.168.1.3", "node1", {}))))
    }
    assert set(rows) == {
        ("cluster-tcp", ALL),
        ("outside-tcp", SWITCHES),
        ("node_IPv4-tcp", SWITCHES),
        ("outside_local_IPv4-tcp", ROUTERS),
        ("node_local_IPv4-tcp", ROUTERS),
    }
    assert rows["outside-tcp", SWITCHES].columns["vips"] == {"5.6.7.8:80": "192.168.1.3:8080"}
    for role in ("outside_local_IPv4-tcp", "node_local_IPv4-tcp"):
        row = rows[role, ROUTERS]
        assert row.columns["options"]["skip_snat"] == "true"
        assert all(value.startswith("^LOCAL_") for value in row.columns["vips"].values())


def test_external_traffic_to_addresses_outside_of_a_cluster_ip_service():
    """Protects externalTrafficPolicy Local where only externalIPs are reached from outside (upstream's
    ExternallyAccessible)."""
    made = service(externalIPs=["1.2.3.4"], externalTrafficPolicy="Local")
    rows = {row.role: row for row in northbound.rows(state(made, endpoints(("192.168.1.3", "node1", {}))))}
    assert {role: row.parent for role, row in rows.items()} == {
        "cluster-tcp": ALL,
        "outside-tcp": SWITCHES,
        "outside_local_IPv4-tcp": ROUTERS,
    }
    assert rows["outside-tcp"].columns["vips"] == {"1.2.3.4:80": "192.168.1.3:8080"}


def test_a_pod_reaches_itself_through_its_service():
    """Protects hairpin traffic in both families."""
    (row,) = northbound.rows(state(service()))
    assert row.columns["options"]["hairpin_snat_ip"] == "169.254.169.5 fd69::5"


def test_a_node_port_is_written_once_for_all_hosts():
    """Protects against a cost that grows with hosts (W31): new gateways and nodes serve it by their variable alone."""
    made = vips(service("NodePort", ports=({"port": 80, "nodePort": 30080},)), [endpoints("192.168.1.3")])
    assert made["node_IPv4-tcp", ALL] == {
        "^NODEIP_IPv4_0:30080": "192.168.1.3:8080",
        "^NODEIP_IPv4_1:30080": "192.168.1.3:8080",
    }
