# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the logical topology: each test is a picture of it, in the order in which a pod's packet meets the rows.

A line is ``holder > table name column:value``.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.address_rules import gateway_offsets, probe_address
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.addressing import mac_of
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import SetMembers
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import cluster, gateway, node

V4, V6 = "192.168.0.0/16", "fd10:128::/48"
JOIN4, JOIN6 = "100.64.0.0/16", "fd98::/64"
MAC6_JOIN, MAC6_NODE, MAC6_HOST, MAC6_GATEWAY = (
    mac_of([cidr]) for cidr in ("fd98::1/64", "fd10:128:0:2::1/64", "fd10:128:0:2::2/64", "fd98::2/64")
)
GROUPS = [
    "group clusterLBGroup",
    "group clusterSwitchLBGroup",
    "group clusterRouterLBGroup",
    "router ovn_cluster_router options:always_learn_from_arp_request=false,mac_binding_age_threshold=300",
]


def test_cluster_v4(picture):
    """Protects the centre: one router, one join switch, and .1 between them."""
    assert picture(cluster.rows(cluster.Cluster((V4,)))) == [
        *GROUPS,
        "ovn_cluster_router > rport rtoj-ovn_cluster_router networks:100.64.0.1/16 mac:0a:58:64:40:00:01",
        "switch join",
        "join > sport jtor-ovn_cluster_router type:router options:router-port=rtoj-ovn_cluster_router addresses:router",
    ]


def test_cluster_v6(picture):
    """Protects clusters without IPv4."""
    assert (
        picture(cluster.rows(cluster.Cluster((V6,))))[4]
        == f"ovn_cluster_router > rport rtoj-ovn_cluster_router networks:fd98::1/64 mac:{MAC6_JOIN}"
    )


def test_cluster_dual_and_its_own_join_subnets(picture):
    """Protects both families on one port, and the choice of the join network."""
    made = cluster.Cluster((V4, V6), ("100.70.0.0/24", "fd99::/64"))
    assert picture(cluster.rows(made))[4] == (
        "ovn_cluster_router > rport rtoj-ovn_cluster_router networks:100.70.0.1/24 fd99::1/64 mac:0a:58:64:46:00:01"
    )
    assert cluster.Cluster((V6, V4)).joins() == (JOIN6, JOIN4)


def test_the_cluster_router_is_marked():
    """Protects tools that look for the mark."""
    router = next(row for row in cluster.rows(cluster.Cluster((V4,))) if row.table == "Logical_Router")
    assert router.columns["external_ids"] == {"k8s-cluster-router": "yes"}
    absent = cluster.absent_rows()
    assert not any(row.present for row in absent)
    assert [row.name for row in absent] == [
        *(line.split()[1] for line in GROUPS[:3]),
        "clusterSwitchRangesLBGroup",
        "clusterRouterRangesLBGroup",
    ]


NODES = {
    "v4": (
        ("192.168.2.0/24",),
        (V4,),
        "other_config:ipv6_prefix=None,subnet=192.168.2.0/24",
        "0a:58:c0:a8:02:02 192.168.2.2",
        "networks:192.168.2.1/24 mac:0a:58:c0:a8:02:01",
    ),
    "v6": (
        ("fd10:128:0:2::/64",),
        (V6,),
        "other_config:ipv6_prefix=fd10:128:0:2::,subnet=None",
        f"{MAC6_HOST} fd10:128:0:2::2",
        f"networks:fd10:128:0:2::1/64 mac:{MAC6_NODE}",
    ),
    "dual": (
        ("192.168.2.0/24", "fd10:128:0:2::/64"),
        (V4, V6),
        "other_config:ipv6_prefix=fd10:128:0:2::,subnet=192.168.2.0/24",
        "0a:58:c0:a8:02:02 192.168.2.2 fd10:128:0:2::2",
        "networks:192.168.2.1/24 fd10:128:0:2::1/64 mac:0a:58:c0:a8:02:01",
    ),
}


@pytest.mark.parametrize(("subnets", "clusters", "config", "host", "router"), NODES.values(), ids=NODES)
def test_node(picture, subnets, clusters, config, host, router):
    """Protects a node: a switch, .1 for the router, .2 for the host itself, pods from .3."""
    assert picture(node.rows(node.Node("Node1", subnets, clusters, "id-1"))) == [
        f"switch node1 {config}",
        f"node1 > sport k8s-node1 addresses:{host}",
        "node1 > sport stor-node1 type:router options:router-port=rtos-node1 addresses:router",
        f"ovn_cluster_router > rport rtos-node1 {router}",
    ]


def test_a_node_switch_has_its_facts_and_its_groups():
    """Protects what others read: subnets and chassis for the next plan.

    Load balancers are in groups, to which others may add.
    """
    switch = node.rows(node.Node("n", ("192.168.2.0/24",), (V4,), "id-1"))[0]
    assert switch.columns["external_ids"] == {
        "k8s.ovn.org/node-subnets": "192.168.2.0/24",
        "k8s.ovn.org/chassis": "id-1",
    }
    assert isinstance(switch.columns["load_balancer_group"], SetMembers)
    assert [ref.name for ref in switch.columns["load_balancer_group"].refs] == [
        "clusterLBGroup",
        "clusterSwitchLBGroup",
    ]
    assert names.CHASSIS_KEY not in node.rows(node.Node("n", ("192.168.2.0/24",), (V4,)))[0].columns["external_ids"]


OPTIONS = (
    "options:always_learn_from_arp_request=false,chassis=id-1,lb_force_snat_ip=router_ip,mac_binding_age_threshold=300"
)
OUTSIDE = [
    "switch ext_node1",
    "ext_node1 > sport etor-GR_node1 type:router options:router-port=rtoe-GR_node1 addresses:52:54:00:00:00:01",
    "ext_node1 > sport breth1_node1 type:localnet addresses:unknown options:network_name=physnet",
]


def made(clusters, ips, hops):
    """A gateway on node1."""
    return gateway.Gateway("Node1", clusters, ips, hops, "breth1", "id-1", "52:54:00:00:00:01")


def test_gateway_v4(picture):
    """Protects the way out: default route, join switch, gateway router, SNAT, external router, physical network."""
    assert picture(gateway.rows(made((V4,), ("10.55.0.12/24",), ("10.55.0.254",)), gateway.Place((JOIN4,), 2))) == [
        "ovn_cluster_router > route egress-4 ip_prefix:0.0.0.0/0 nexthop:100.64.0.2",
        "join > sport jtor-GR_node1 type:router options:router-port=rtoj-GR_node1 addresses:router",
        f"router GR_node1 {OPTIONS}",
        "GR_node1 > rport rtoj-GR_node1 networks:100.64.0.2/16 mac:0a:58:64:40:00:02",
        "GR_node1 > route cluster-4 ip_prefix:192.168.0.0/16 nexthop:100.64.0.1",
        "GR_node1 > NAT snat-4 type:snat logical_ip:192.168.0.0/16 external_ip:10.55.0.12",
        "GR_node1 > route outside-4 ip_prefix:0.0.0.0/0 nexthop:10.55.0.254 output_port:rtoe-GR_node1",
        "ovn_cluster_router > route probe-4 ip_prefix:100.64.255.253/32 nexthop:100.64.0.2",
        "GR_node1 > NAT hop-4 type:dnat logical_ip:10.55.0.254 external_ip:100.64.255.253",
        "GR_node1 > rport rtoe-GR_node1 networks:10.55.0.12/24 mac:52:54:00:00:00:01",
        *OUTSIDE,
    ]


def test_gateway_v6(picture):
    """Protects the same way in IPv6."""
    assert picture(gateway.rows(made((V6,), ("fd55::12/64",), ("fd55::fe",)), gateway.Place((JOIN6,), 2))) == [
        "ovn_cluster_router > route egress-6 ip_prefix:::/0 nexthop:fd98::2",
        "join > sport jtor-GR_node1 type:router options:router-port=rtoj-GR_node1 addresses:router",
        f"router GR_node1 {OPTIONS}",
        f"GR_node1 > rport rtoj-GR_node1 networks:fd98::2/64 mac:{MAC6_GATEWAY}",
        "GR_node1 > route cluster-6 ip_prefix:fd10:128::/48 nexthop:fd98::1",
        "GR_node1 > NAT snat-6 type:snat logical_ip:fd10:128::/48 external_ip:fd55::12",
        "GR_node1 > route outside-6 ip_prefix:::/0 nexthop:fd55::fe output_port:rtoe-GR_node1",
        "ovn_cluster_router > route probe-6 ip_prefix:fd98::ffff:ffff:ffff:fffd/128 nexthop:fd98::2",
        "GR_node1 > NAT hop-6 type:dnat logical_ip:fd55::fe external_ip:fd98::ffff:ffff:ffff:fffd",
        "GR_node1 > rport rtoe-GR_node1 networks:fd55::12/64 mac:52:54:00:00:00:01",
        *OUTSIDE,
    ]


def test_pods_source_ports_are_not_the_hosts():
    """Protects the host's own connections where it has the pods' address: ports that its kernel chooses, node ports and
    those of IKE, from which both sides send.
    """
    shared = replace(made((V4, V6), ("10.55.0.12/24", "fd55::12/64"), ()), shared=True)
    ranges = {row.columns.get("external_port_range") for row in gateway.rows(shared, gateway.Place((JOIN4, JOIN6), 2))}
    first, last = map(int, (ranges - {None}).pop().split("-"))
    assert len(ranges) == 2 and 4500 < first < last < 30000


def test_gateway_dual(picture):
    """Protects both families through one gateway."""
    lines = picture(
        gateway.rows(
            made((V4, V6), ("10.55.0.12/24", "fd55::12/64"), ("10.55.0.254", "fd55::fe")),
            gateway.Place((JOIN4, JOIN6), 5),
        )
    )
    assert [line for line in lines if "> route" in line or "> NAT" in line] == [
        "ovn_cluster_router > route egress-4 ip_prefix:0.0.0.0/0 nexthop:100.64.0.5",
        "ovn_cluster_router > route egress-6 ip_prefix:::/0 nexthop:fd98::5",
        "GR_node1 > route cluster-4 ip_prefix:192.168.0.0/16 nexthop:100.64.0.1",
        "GR_node1 > NAT snat-4 type:snat logical_ip:192.168.0.0/16 external_ip:10.55.0.12",
        "GR_node1 > route cluster-6 ip_prefix:fd10:128::/48 nexthop:fd98::1",
        "GR_node1 > NAT snat-6 type:snat logical_ip:fd10:128::/48 external_ip:fd55::12",
        "GR_node1 > route outside-4 ip_prefix:0.0.0.0/0 nexthop:10.55.0.254 output_port:rtoe-GR_node1",
        "GR_node1 > route outside-6 ip_prefix:::/0 nexthop:fd55::fe output_port:rtoe-GR_node1",
        "ovn_cluster_router > route probe-4 ip_prefix:100.64.255.250/32 nexthop:100.64.0.5",
        "GR_node1 > NAT hop-4 type:dnat logical_ip:10.55.0.254 external_ip:100.64.255.250",
        "ovn_cluster_router > route probe-6 ip_prefix:fd98::ffff:ffff:ffff:fffa/128 nexthop:fd98::5",
        "GR_node1 > NAT hop-6 type:dnat logical_ip:fd55::fe external_ip:fd98::ffff:ffff:ffff:fffa",
    ]
    assert "GR_node1 > rport rtoj-GR_node1 networks:100.64.0.5/16 fd98::5/64 mac:0a:58:64:40:00:05" in lines


def test_a_gateway_without_a_router_outside_takes_no_default_traffic(picture):
    """Protects egress against a gateway that leads to its own network only."""
    lines = picture(gateway.rows(made((V4,), ("10.55.0.12/24",), ()), gateway.Place((JOIN4,), 2)))
    assert not [line for line in lines if "0.0.0.0/0" in line]
    assert "GR_node1 > NAT snat-4 type:snat logical_ip:192.168.0.0/16 external_ip:10.55.0.12" in lines


def test_a_gateway_of_one_family_in_a_cluster_of_two(picture):
    """Protects against SNAT and routes of a family that the gateway has no address of."""
    lines = picture(
        gateway.rows(made((V4, V6), ("10.55.0.12/24",), ("10.55.0.254",)), gateway.Place((JOIN4, JOIN6), 2))
    )
    assert not [line for line in lines if "NAT snat-6" in line or "egress-6" in line or "outside-6" in line]
    assert "GR_node1 > route cluster-6 ip_prefix:fd10:128::/48 nexthop:fd98::1" in lines


def test_a_gateway_that_is_down_has_everything_but_egress(picture):
    """Protects what the liveness check has taken away: a module does not give it back."""
    settings = made((V4,), ("10.55.0.12/24",), ("10.55.0.254",))
    whole, down = (picture(gateway.rows(settings, gateway.Place((JOIN4,), 2), down)) for down in ((), (4,)))
    assert whole[1:] == down and "egress" in whole[0]


@pytest.mark.parametrize(
    ("join", "offset", "address"),
    [
        ("100.64.0.0/16", 2, "100.64.255.253"),
        ("100.64.0.0/26", 31, "100.64.0.32"),
        ("100.64.0.0/26", 32, None),
        ("100.64.0.0/27", 2, None),
    ],
)
def test_next_hops_are_asked_at_addresses_that_no_gateway_has(join, offset, address):
    """Protects gateways of a small or full join network against an address that leads elsewhere."""
    assert probe_address(join, offset) == address
    assert address is None or gateway_offsets(join).stop == 2 ** (32 - int(join[-2:])) // 2


def test_a_link_local_next_hop_is_not_asked(picture):
    """Protects against a translation to an address that the router knows on each of its sides."""
    lines = picture(gateway.rows(made((V6,), ("fd55::12/64",), ("fe80::1",)), gateway.Place((JOIN6,), 2)))
    assert (
        "probe" not in " ".join(lines)
        and "GR_node1 > route outside-6 ip_prefix:::/0 nexthop:fe80::1 output_port:rtoe-GR_node1" in lines
    )


def test_every_row_of_an_owner_has_a_role_of_its_own():
    """Protects the identity of rows: owner and role name exactly one."""
    rows = (
        cluster.rows(cluster.Cluster((V4, V6)))
        + node.rows(node.Node("node1", ("192.168.2.0/24", "fd10:128:0:2::/64"), (V4, V6)))
        + gateway.rows(
            made((V4, V6), ("10.55.0.12/24", "fd55::12/64"), ("10.55.0.254", "fd55::fe")),
            gateway.Place((JOIN4, JOIN6), 2),
        )
    )
    identities = [(row.table, row.owner, row.role) for row in rows if row.has_owner_keys]
    assert len(identities) == len(set(identities))
    # By these lists unchanged calls read.
    for policy, kind in ((cluster, "Cluster"), (node, "Node"), (gateway, "Gateway")):
        assert {(table, role) for table, owner, role in identities if owner.type == kind} <= set(policy.ROLES)
