# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what services become (W16, W17, W31, F4): a table of cases, each as the virtual addresses that result."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._services import affinity, model, northbound

from .objects import endpoints, endpoints_for, service, state

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


INGRESS = {"loadBalancer": {"ingress": [{"ip": "5.6.7.8"}, {"ip": "5.6.7.9"}, {"ip": "fd99::1"}]}}


def acls(made):
    """Role -> priority and match of a service's ACLs."""
    rows = [row for row in northbound.rows(state(made)) if row.table == "ACL"]
    assert {(row.parent_table, row.parent, row.columns["direction"]) for row in rows} <= {
        ("Port_Group", "clusterSourceRanges", "from-lport")
    }
    return {row.role: (row.columns["priority"], row.columns["action"], row.columns["match"]) for row in rows}


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_a_balancer_for_some_sources_is_not_open_to_all(policy):
    """Protects loadBalancerSourceRanges: only switches and routers that restrict sources balance the address, for all
    of its ports; externalIPs and cluster addresses are open.
    """
    made = service(
        "LoadBalancer",
        ports=tuple({"name": str(port), "port": port} for port in (80, 81)),
        ips=("10.96.0.1", "fd96::1"),
        loadBalancerSourceRanges=["203.0.113.0/24"],
        externalIPs=["1.2.3.4"],
        externalTrafficPolicy=policy,
        status=INGRESS,
    )
    groups = {row.role: (row.parent, set(row.columns["vips"])) for row in northbound.rows(state(made)) if row.name}
    restricted = {f"5.6.7.{host}:{port}" for host in (8, 9) for port in (80, 81)}
    assert {role: where for role, where in groups.items() if role.startswith("ranges")} == {
        "ranges-tcp": ("clusterSwitchRangesLBGroup", restricted),
        ("ranges_local_IPv4-tcp" if policy == "Local" else "ranges_outside-tcp"): (
            "clusterRouterRangesLBGroup",
            restricted,
        ),
    }
    others = [vip for role, (_group, vips) in groups.items() if not role.startswith("ranges") for vip in vips]
    assert "1.2.3.4:80" in others and not [vip for vip in others if vip.startswith(("5.6.", "[fd99"))]
    to = "(ip4.dst == {5.6.7.8, 5.6.7.9} && tcp.dst == {80, 81})"
    assert acls(made) == {
        "ranges-allow-tcp-4": (1002, "allow", f"ip4.src == {{203.0.113.0/24}} && ({to})"),
        "ranges-drop-tcp-4": (1001, "drop", to),
    }


def test_ports_of_another_service_are_not_restricted():
    """Protects a service that has a port of the same address from the ranges of this one."""
    made = service(
        "LoadBalancer",
        ports=tuple({"name": str(port), "port": port, "protocol": "UDP"} for port in (80, 81)),
        loadBalancerSourceRanges=["203.0.113.0/24"],
        status=INGRESS,
    )._replace(taken=frozenset({model.Claim("5.6.7.8", "UDP", 81)}))
    assert acls(made)["ranges-drop-udp-4"][2] == (
        "(ip4.dst == {5.6.7.8, 5.6.7.9} && udp.dst == {80}) || (ip4.dst == {5.6.7.9} && udp.dst == {81})"
    )


@pytest.mark.parametrize("hinted", [True, False])
def test_endpoints_for_a_host_are_a_variable(hinted):
    """Protects traffic distribution: where hints count, each chassis has endpoints of its own, at each address."""
    slices = [
        endpoints_for({"192.168.1.3": {"forZones": ["a"]}, "192.168.2.3": {"forZones": ["b"]} if hinted else {}}),
        endpoints_for({"fd10::3": {"forZones": ["a"]} if hinted else {}}, version=6),
    ]
    made = service(
        "NodePort",
        ports=({"port": 80, "nodePort": 30080},),
        ips=("10.96.0.1", "fd96::1"),
        externalIPs=["1.2.3.4"],
        externalTrafficPolicy="Local",
    )
    rows = {row.role: row for row in northbound.rows(state(made, *slices))}
    ours = {"cluster_IPv4-tcp", "cluster_IPv6-tcp", "outside_IPv4-tcp"}
    if not hinted:
        assert not ours & set(rows) and "^" not in str(rows["node_IPv4-tcp"].columns["vips"].values())
        return
    assert ours <= set(rows) and not {"cluster-tcp", "outside-tcp"} & set(rows)
    assert rows["cluster_IPv4-tcp"].parent == ALL and rows["outside_IPv4-tcp"].parent == SWITCHES
    for role in (*ours, "node_IPv4-tcp", "node_IPv6-tcp"):
        assert all(value.startswith("^HINTED_") for value in rows[role].columns["vips"].values())


IN_23_03 = ("eth_src", "eth_dst", "ip_src", "ip_dst", "tp_src", "tp_dst")
BY_IPV4, BY_IPV6 = ("ip_dst", "ip_src"), ("ipv6_dst", "ipv6_src")


@pytest.mark.parametrize(
    ("ips", "known", "fields"),
    [
        (["10.96.0.1"], (), BY_IPV4),
        (["10.96.0.1"], IN_23_03, BY_IPV4),
        (["fd96::1"], (*IN_23_03, "ipv6_src", "ipv6_dst"), ("ipv6_dst", "ipv6_src")),
        (["fd96::1"], IN_23_03, ("eth_src",)),
        (["10.96.0.1", "fd96::1"], (), ("ip_dst", "ip_src", "ipv6_dst", "ipv6_src")),
        (["10.96.0.1", "fd96::1"], IN_23_03, ("eth_src", "ip_dst", "ip_src")),
    ],
)
def test_affinity_follows_from_the_clients_address(ips, known, fields):
    """Protects sessions: clients of IPv6 too are spread over the endpoints, with schemas that have no fields for it too
    (ovs-fields(7): ip_src is a field of IPv4).
    """
    made = service(ips=ips, sessionAffinity="ClientIP")
    (row,) = northbound.rows(state(made, endpoints("192.168.1.3")), known)
    assert (row.columns["selection_fields"], row.columns["options"]["affinity_timeout"]) == (fields, None)
    assert {row.columns["selection_fields"] for row in northbound.rows(state(service()), known)} == {()}


def test_each_family_of_node_ports_has_its_own_fields():
    """Protects sessions at node ports, whose load balancers have one IP version each."""
    ports = ({"port": 80, "nodePort": 30080},)
    made = service("NodePort", ports, ips=("10.96.0.1", "fd96::1"), sessionAffinity="ClientIP")
    rows = {row.role: row.columns["selection_fields"] for row in northbound.rows(state(made))}
    assert (rows["node_IPv4-tcp"], rows["node_IPv6-tcp"]) == (BY_IPV4, ("ipv6_dst", "ipv6_src"))


def sticky(seconds=None, way=None, kind="NodePort", **spec):
    """Make a service with session affinity."""
    return service(
        kind,
        ports=({"port": 80, "nodePort": 30080},),
        annotations={"ovn.kubernetes/session-affinity": way} if way else None,
        sessionAffinity="ClientIP",
        sessionAffinityConfig={"clientIP": {"timeoutSeconds": seconds}} if seconds else None,
        **spec,
    )


@pytest.mark.parametrize(
    ("seconds", "way", "timeout"),
    [
        (125, None, "125"),
        (125, "yes", "125"),
        (125, "hash", None),
        (10800, None, None),
        (None, None, None),
        (10800, "timeout", "10800"),
        (None, "timeout", "10800"),
        (65535, None, "65535"),
        (65536, None, None),
        (86400, "timeout", None),
    ],
)
def test_a_chosen_time_out_is_kept(seconds, way, timeout):
    """Protects timeoutSeconds where somebody chose them. The API server's default is a hash: OVN's own affinity drops
    the first packets of each client. More than OVN can count is a hash too.
    """
    made = sticky(seconds, way, ips=("10.96.0.1", "fd96::1"))
    rows = {row.role: row for row in northbound.rows(state(made))}
    columns = rows["cluster-tcp"].columns
    by_hash = () if timeout else (*BY_IPV4, *BY_IPV6)
    assert (columns["options"]["affinity_timeout"], columns["selection_fields"]) == (timeout, by_hash)
    node = rows["node_IPv4-tcp"]
    # With a time-out the switches leave node ports to the hosts' rules, which lead to the cluster address. Not of IPv6,
    # which hosts need not forward.
    assert (node.parent, rows["node_IPv6-tcp"].parent) == (ROUTERS if timeout else ALL, ALL)
    assert (node.columns["options"]["affinity_timeout"], node.columns["selection_fields"]) == (None, BY_IPV4)


def test_without_affinity_its_annotation_is_nothing():
    """Protects services without session affinity from a time-out."""
    (row,) = northbound.rows(state(service(annotations={"ovn.kubernetes/session-affinity": "timeout"})))
    assert row.columns["options"]["affinity_timeout"] is None


@pytest.mark.parametrize(
    ("made", "userspace", "words"),
    [
        (service(), True, []),
        (sticky(), True, []),
        (sticky(125, "hash"), True, []),
        (sticky(86400), False, ["65535 s at most"]),
        (sticky(125, kind="ClusterIP"), False, []),
        (
            sticky(125, kind="ClusterIP"),
            True,
            ["the first connection of each client, and of one that was away for 125 s"],
        ),
        (sticky(125), False, ["no time-out at node ports of gateways' addresses:"]),
        (sticky(125, ips=["fd96::1"]), False, ["addresses and of IPv6 addresses for pods of the same host:"]),
        (
            sticky(125, internalTrafficPolicy="Local", externalTrafficPolicy="Local"),
            False,
            ["no time-out at its cluster addresses (internalTrafficPolicy is Local) and at addresses outside and node"],
        ),
    ],
)
def test_what_is_not_served_of_affinity(made, userspace, words):
    """Protects users from a time-out that does nothing, or costs connections, without a word."""
    found = affinity.gaps(made, userspace)
    assert len(found) == len(words)
    assert all(word in text for word, text in zip(words, found))


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
    assert {role: row.columns["options"]["skip_snat"] for (role, _group), row in rows.items()} == {
        **dict.fromkeys((role for role, _group in rows), "true"),
        "cluster-tcp": None,
    }, "the flows of a shared NIC are made from the load balancers of switches"
    for role in ("outside_local_IPv4-tcp", "node_local_IPv4-tcp"):
        row = rows[role, ROUTERS]
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
