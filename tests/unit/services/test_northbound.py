# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what services become (W16, W17, W31, F4): a table of cases, each as the virtual addresses that result."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._services import northbound as services


def service(kind="ClusterIP", ports=({"port": 80},), ips=("10.96.0.1",), status=None, annotations=None, **spec):
    """A trimmed service."""
    spec = dict(
        {"type": kind, "clusterIPs": list(ips), "clusterIP": ips[0] if ips else "None", "ports": list(ports)}, **spec
    )
    return services.trim(
        {
            "metadata": {"namespace": "ns", "name": "web", "annotations": annotations},
            "spec": spec,
            "status": status or {},
        }
    )


def endpoints(*backends, ports=({"port": 8080},), version=4):
    """A trimmed endpoint slice; a backend is an address, or (address, node, conditions)."""
    made = []
    for one in backends:
        address, node, conditions = one if isinstance(one, tuple) else (one, None, {})
        made.append({"addresses": [address], "nodeName": node, "conditions": conditions})
    return services.trim_slice(
        {
            "metadata": {"namespace": "ns", "name": "web-x", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": f"IPv{version}",
            "ports": list(ports),
            "endpoints": made,
        }
    )


def vips(wanted, slices):
    """(scope-protocol, group) -> virtual addresses."""
    return {(row.role, row.parent): dict(row.columns["vips"]) for row in services.rows(wanted, slices)}


ALL, SWITCHES, ROUTERS = "clusterLBGroup", "clusterSwitchLBGroup", "clusterRouterLBGroup"


def test_a_cluster_address_leads_to_the_endpoints_own_port():
    """Protects the target port: it is the endpoint's, not the service's (F4)."""
    assert vips(service(), [endpoints("192.168.1.3", "192.168.2.3")]) == {
        ("cluster-tcp", ALL): {"10.96.0.1:80": "192.168.1.3:8080,192.168.2.3:8080"}
    }


def test_without_endpoints_connections_are_refused():
    """Protects clients from waiting: the address stays, empty, and is rejected."""
    (row,) = services.rows(service(), [])
    assert (row.columns["vips"], row.columns["options"]["reject"]) == ({"10.96.0.1:80": ""}, "true")


@pytest.mark.parametrize("item", [service(ips=()), service(ips=("None",)), service("ExternalName")])
def test_services_without_an_address_have_nothing(item):
    """Protects against the address "None" (F4)."""
    assert item is None


def test_ports_of_one_name_meet_and_protocols_are_apart():
    """Protects services with several ports: names tie them to the endpoints' ports, each protocol has its load balancer."""
    wanted = service(
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
    assert vips(wanted, slices) == {
        ("cluster-tcp", ALL): {"10.96.0.1:53": "192.168.1.3:5354"},
        ("cluster-udp", ALL): {"10.96.0.1:53": "192.168.1.3:5353"},
        ("cluster-sctp", ALL): {"10.96.0.1:90": "192.168.1.4:9090"},
    }
    udp = {row.role: row.columns["options"]["ct_flush"] for row in services.rows(wanted, slices)}
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
    """Protects externalIPs and addresses of outer load balancers, but not those that a proxy outside keeps for itself."""
    wanted = service(
        "LoadBalancer",
        externalIPs=["1.2.3.4"],
        status={
            "loadBalancer": {"ingress": [{"ip": "5.6.7.8"}, {"ip": "5.6.7.9", "ipMode": "Proxy"}, {"hostname": "x"}]}
        },
    )
    assert set(vips(wanted, [endpoints("192.168.1.3")])["cluster-tcp", ALL]) == {
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
    """Protects against an open door: sources can't be told apart, so the balancer's address is not served."""
    wanted = service(
        "LoadBalancer", loadBalancerSourceRanges=ranges, status={"loadBalancer": {"ingress": [{"ip": "5.6.7.8"}]}}
    )
    assert set(vips(wanted, [endpoints("192.168.1.3")])["cluster-tcp", ALL]) == served


def test_a_node_port_is_written_once_for_all_hosts():
    """Protects against a cost that grows with hosts (W31): new gateways and nodes serve it by their variable alone."""
    found = vips(service("NodePort", ports=({"port": 80, "nodePort": 30080},)), [endpoints("192.168.1.3")])
    assert found["node_IPv4-tcp", ALL] == {
        "^NODEIP_IPv4_0:30080": "192.168.1.3:8080",
        "^NODEIP_IPv4_1:30080": "192.168.1.3:8080",
    }
    (row,) = services.host_rows("node1", "id-1", (), ("10.0.0.1", "fd00::1"), ("10.55.0.1",), ())
    assert row.columns == {
        "chassis": "id-1",
        "variables": {
            "NODEIP_IPv4_0": "10.0.0.1",
            "NODEIP_IPv4_1": "10.55.0.1",
            "NODEIP_IPv6_0": "fd00::1",
            "NODEIP_IPv6_1": "::",
        },
    }


def test_affinity_follows_from_the_clients_address():
    """Protects sessions, and their first packets: OVN's own affinity drops those of a client that it does not know yet."""
    wanted = service("NodePort", ports=({"port": 80, "nodePort": 30080},), sessionAffinity="ClientIP")
    rows = services.rows(wanted, [endpoints("192.168.1.3")])
    assert [row.columns["selection_fields"] for row in rows] == [("ip_dst", "ip_src")] * 2
    assert {row.columns["options"]["affinity_timeout"] for row in rows} == {None}
    assert {row.columns["selection_fields"] for row in services.rows(service(), [])} == {()}


def test_affinity_with_its_timeout_is_for_services_that_ask_for_it():
    """Protects timeoutSeconds, more seconds than OVN can count, and node ports, whose addresses are templates."""

    def asked(value, seconds):
        config = {"clientIP": {"timeoutSeconds": seconds}} if seconds else None
        wanted = service(
            "NodePort",
            ports=({"port": 80, "nodePort": 30080},),
            annotations={"ovn.kubernetes/session-affinity": value},
            sessionAffinity="ClientIP",
            sessionAffinityConfig=config,
        )
        return {
            row.role: (row.columns["options"]["affinity_timeout"], row.columns["selection_fields"])
            for row in services.rows(wanted, [])
        }

    by_hash = (None, ("ip_dst", "ip_src"))
    assert asked("timeout", 90) == {"cluster-tcp": ("90", ()), "node_IPv4-tcp": by_hash}
    assert asked("timeout", None)["cluster-tcp"] == ("10800", ())
    assert asked("timeout", 86400)["cluster-tcp"] == asked("yes", 90)["cluster-tcp"] == by_hash
    assert (
        services.rows(service(annotations={"ovn.kubernetes/session-affinity": "timeout"}), [])[0].columns["options"][
            "affinity_timeout"
        ]
        is None
    )


@pytest.mark.parametrize(
    ("protocol", "dropped", "more", "left_out"),
    [
        ("UDP", True, {}, True),
        ("TCP", True, {}, False),
        ("UDP", False, {}, False),
        ("UDP", True, {"type": "NodePort", "externalTrafficPolicy": "Local"}, False),
    ],
)
def test_datagrams_to_a_host_without_endpoints(protocol, dropped, more, left_out):
    """Protects who sends on from one port while an endpoint comes: conntrack would keep the client with what refuses it. Only where the packet is dropped."""
    kind = more.pop("type", "ClusterIP")
    wanted = service(kind, ports=({"port": 80, "protocol": protocol},), internalTrafficPolicy="Local", **more)
    slices = [endpoints(("192.168.1.3", "node1", {}), ports=({"port": 8080, "protocol": protocol},))]
    (row,) = services.host_rows("node2", "id", ("192.168.9.0/24",), (), (), [(wanted, slices)], dropped)
    assert ([key for key in row.columns["variables"] if not key.startswith("NODEIP")] == []) == left_out


def test_internal_traffic_stays_on_the_host():
    """Protects internalTrafficPolicy Local: each chassis has its own endpoints, and on one without the router refuses: nothing leaves by the gateway.

    It must be a real address: with 0.0.0.0 Open vSwitch refuses the flow, and with it all flows of the chassis.
    """
    wanted = service(internalTrafficPolicy="Local")
    slices = [endpoints(("192.168.1.3", "node1", {}), ("192.168.2.3", "node2", {}))]
    ((key, found),) = vips(wanted, slices).items()
    ((vip, variable),) = found.items()
    assert (key, vip) == (("local_IPv4-tcp", SWITCHES), "10.96.0.1:80")
    values = {}
    for node in ("node1", "node2", "node3"):
        values[node] = (
            services.host_rows(node, node, ("192.168.9.0/24",), (), (), [(wanted, slices)])[0]
            .columns["variables"]
            .get(variable[1:])
        )
    assert values == {"node1": "192.168.1.3:8080", "node2": "192.168.2.3:8080", "node3": "192.168.9.1:9"}


def test_external_traffic_keeps_its_client_and_its_host():
    """Protects externalTrafficPolicy Local: gateways use their own host's endpoints and keep the client's address; pods reach all."""
    wanted = service(
        "LoadBalancer",
        ports=({"port": 80, "nodePort": 30080},),
        externalTrafficPolicy="Local",
        status={"loadBalancer": {"ingress": [{"ip": "5.6.7.8"}]}},
    )
    rows = {(row.role, row.parent): row for row in services.rows(wanted, [endpoints(("192.168.1.3", "node1", {}))])}
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


def test_a_pod_reaches_itself_through_its_service():
    """Protects hairpin traffic in both families."""
    (row,) = services.rows(service(), [])
    assert row.columns["options"]["hairpin_snat_ip"] == "169.254.169.5 fd69::5"


def test_slices_that_belong_to_nobody_are_left_out():
    """Protects against slices of names, and of no service."""
    item = {"metadata": {"namespace": "ns", "name": "x"}, "addressType": "IPv4", "endpoints": [], "ports": []}
    assert services.trim_slice(item) is None
    assert (
        services.trim_slice(
            dict(
                item, addressType="FQDN", metadata={"namespace": "ns", "labels": {"kubernetes.io/service-name": "web"}}
            )
        )
        is None
    )


HOSTILE = ("10.0.0.1 drop; }; chain evil {", "fe80::1%a b", "worker.example", "0.0.0.0", "127.0.0.1", "224.0.0.1")


def test_what_is_no_address_is_left_out_wherever_it_stands():
    """Protects the firewall, the cluster router and all flows of a chassis: the API server checks a node's addresses not at all."""
    node = {
        "metadata": {"name": "node1"},
        "status": {"addresses": [{"type": "InternalIP", "address": text} for text in (*HOSTILE, "10.0.0.1")]},
    }
    assert services.trim_node(node) == services.Host("node1", ("10.0.0.1",))
    assert [one.address for one in endpoints("192.168.1.3", *HOSTILE, "fd10::3").endpoints] == ["192.168.1.3"]
    outer = {"loadBalancer": {"ingress": [{"ip": text} for text in (*HOSTILE, "5.6.7.8")]}}
    made = service("LoadBalancer", ips=("10.96.0.1", *HOSTILE), externalIPs=[*HOSTILE, "10.55.0.9"], status=outer)
    assert (made.cluster_ips, made.external_ips) == (("10.96.0.1",), ("10.55.0.9", "5.6.7.8"))
    assert service(ips=HOSTILE) is None
