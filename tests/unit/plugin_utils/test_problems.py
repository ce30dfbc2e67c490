# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what users read when their inventory is wrong: host, variable, value, and what would be right."""

from __future__ import annotations

import json
import time

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ovn.kubernetes.plugins.filter.problems import problems
from ansible_collections.ovn.kubernetes.plugins.plugin_utils import _problems_hosts, _subnets

MASTER, NODE1, NODE2 = "ovn-master", "ovn-node1", "ovn-node2"
THREE = "ovn-master, ovn-node1 and ovn-node2"


def test_a_right_inventory_has_no_problem(cluster):
    """Protects users against checks that refuse what works: the smallest inventory, without facts and with."""
    assert cluster.problems() == []
    assert cluster.with_facts().problems() == []


def test_every_variable_with_a_right_value_has_no_problem(cluster):
    """Protects every variable's right values against being refused, also as the text that surveys give."""
    cluster.with_facts().everywhere(
        ovn_cluster_subnet="192.168.0.0/16, fd10::/48",
        ovn_service_subnet="10.96.0.0/16,fd96::/112",
        ovn_join_subnet=["100.65.0.0/16", "fd99::/64"],
        ovn_node_subnet_prefix="25,64",
        ovn_encap_type="geneve",
        ovn_mtu="1400",
        ovn_tls="false",
        ovn_kubernetes_api="http://10.0.0.1:8080",
        ovn_kubernetes_ca="-----BEGIN CERTIFICATE-----",
        ovn_remove_hosts="ovn-node1,ovn-node2",
        ovn_remove_confirmed="true",
        ovn_datapath_type="netdev",
    )
    cluster.on(
        NODE1,
        ovn_node_name="Node.Example.Org",
        ovn_node_subnet=["192.168.2.0/25", "fd10:0:0:2::/64"],
        ovn_encap_ip="10.66.0.12",
        ovn_gateway_ip=["10.55.0.12/24", "fd55::12/64"],
        ovn_gateway_next_hop=["10.55.0.254", "fe80::1"],
    )
    cluster.on(NODE1, ovn_gateway_interface="br-x").on(NODE2, ovn_datapath_type="system")
    assert cluster.problems() == []


def test_gateway_without_its_variables(cluster):
    """Protects against a gateway without a NIC."""
    cluster.without(NODE1, "ovn_gateway_interface", "ovn_gateway_ip", "ovn_gateway_next_hop")
    assert cluster.problems() == [
        "ovn-node1: ovn_gateway_interface is not set, and the host is in ovn_gateways: set it to the NIC on the "
        'physical network, like "eth1"'
    ]


def test_dedicated_nic_without_address(cluster):
    """Protects against a gateway router without an address."""
    assert cluster.without(NODE1, "ovn_gateway_ip").problems() == [
        "ovn-node1: ovn_gateway_ip is not set, and a dedicated NIC needs it: set it to the gateway's physical "
        'address, like "10.33.74.138/24"'
    ]


def test_gateway_without_next_hop_is_right(cluster):
    """Protects gateways that reach their own network only, and those with a router off their subnet."""
    assert cluster.without(NODE1, "ovn_gateway_next_hop").problems() == []
    assert cluster.on(NODE1, ovn_gateway_ip="10.55.0.12/32", ovn_gateway_next_hop="10.1.2.3").problems() == []


def test_both_kinds_of_nic(cluster):
    """Protects against a gateway with two NICs."""
    assert cluster.on(NODE1, ovn_gateway_shared_interface="eth0").problems() == [
        'ovn-node1: ovn_gateway_interface "eth1" and ovn_gateway_shared_interface "eth0" are both set, and a '
        "gateway uses one NIC: keep one of them"
    ]


def test_gateway_variables_elsewhere(cluster):
    """Protects against a host that is no gateway although its variables are set."""
    assert cluster.on(NODE2, ovn_gateway_interface="eth1").problems() == [
        'ovn-node2: ovn_gateway_interface "eth1" is for hosts of ovn_gateways, and this one is not in it: add the '
        "host, or remove the variable"
    ]


def test_two_gateways_with_one_address(cluster):
    """Protects the physical network against one address on two hosts."""
    cluster.groups["ovn_gateways"].append(NODE2)
    cluster.on(NODE2, ovn_gateway_interface="eth1", ovn_gateway_ip="10.55.0.12/25")
    assert cluster.problems() == [
        'ovn-node2: ovn_gateway_ip "10.55.0.12/25" is gateway ovn-node1\'s already: give each gateway an address '
        "of its own"
    ]


def test_node_subnets_of_two_hosts(cluster):
    """Protects pods against one subnet on two hosts, equal and nested."""
    cluster.on(NODE1, ovn_node_subnet="192.168.2.0/24").on(NODE2, ovn_node_subnet="192.168.2.0/24").on(
        MASTER, ovn_node_subnet="192.168.2.128/25"
    )
    assert cluster.problems() == [
        'ovn-node2: ovn_node_subnet "192.168.2.0/24" is also that of ovn-node1: give each host its own',
        'ovn-master: ovn_node_subnet "192.168.2.128/25" overlaps "192.168.2.0/24" of ovn-node1: give each host its own',
    ]


def test_dual_stack_needs_both_families(cluster):
    """Protects a dual-stack node against having one family only."""
    assert cluster.dual().on(NODE1, ovn_node_subnet="192.168.2.0/24").problems() == [
        'ovn-node1: ovn_node_subnet "192.168.2.0/24" must have a subnet of each family of the pods\' network '
        "192.168.0.0/16, fd10::/48"
    ]


def test_ipv6_needs_its_mtu(cluster):
    """Protects IPv6 from links below its minimum (RFC 8200)."""
    assert cluster.dual().everywhere(ovn_mtu=1200).problems() == [
        THREE + ": ovn_mtu 1200 is too small for IPv6: give it at least 1280"
    ]


def test_shared_addresses_and_families_of_tunnels(cluster):
    """Protects tunnels against one address on two hosts, and against two families that can't reach each other."""
    assert cluster.on(NODE1, ovn_encap_ip="10.44.0.9").on(NODE2, ovn_encap_ip="10.44.0.9").problems() == [
        'ovn-node2: ovn_encap_ip "10.44.0.9" is also that of ovn-node1: give each host its own'
    ]
    assert cluster.on(NODE2, ovn_encap_ip="10.44.0.10").on(MASTER, ovn_encap_ip="fd44::1").problems() == [
        'ovn-master: ovn_encap_ip "fd44::1" is IPv6, and ovn-node1 has one of IPv4: tunnels need one IP version on '
        "all hosts"
    ]


def test_default_node_names(cluster):
    """Protects node names that come from the inventory: shortened to the same one, not a name, or only an address."""
    cluster.groups["ovn_nodes"] += ["ovn-node2.example.org", "bad_name", "10.0.0.7"]
    for host in ("ovn-node2.example.org", "bad_name", "10.0.0.7"):
        cluster.on(host, ovn_cluster_subnet="192.168.0.0/16")
    assert cluster.problems() == [
        "10.0.0.7: ovn_node_name is not set, and the inventory knows the host by an address only: set it to "
        "Kubernetes' name of the host",
        'bad_name: ovn_node_name is not set, and the inventory\'s name "bad_name" is not a name that Kubernetes '
        "accepts (RFC 1123: a to z, 0 to 9, '-' "
        "and '.'): write it like \"bad-name\"",
        'ovn-node2.example.org: ovn_node_name is not set, and its default "ovn-node2" is also the name of '
        "ovn-node2: give each host its own",
    ]


def test_facts_against_the_inventory(cluster):
    """Protects hosts against NICs that do not exist or are needed, and addresses that are another host's."""
    cluster.with_facts()
    assert cluster.on(NODE1, ovn_gateway_interface="eth7").problems() == [
        'ovn-node1: ovn_gateway_interface "eth7" is no NIC of this host: write one of br-x, eth0, eth1, lo'
    ]
    assert cluster.on(NODE1, ovn_gateway_interface="eth0").problems() == [
        'ovn-node1: ovn_gateway_interface "eth0" has the tunnel address "10.44.0.12", which the host would lose: '
        "give the gateway a NIC of its own"
    ]
    assert cluster.on(NODE1, ovn_encap_ip="10.66.0.12").problems() == [
        'ovn-node1: ovn_gateway_interface "eth0" has the host\'s default route, which the host would lose: give '
        "the gateway a NIC of its own"
    ]
    cluster.on(NODE1, ovn_gateway_interface="eth1", ovn_encap_ip="10.44.0.99")
    assert cluster.problems() == [
        'ovn-node1: ovn_encap_ip "10.44.0.99" is no address of this host: write one of 10.44.0.12, 10.66.0.12, '
        "10.77.0.12, fd44::12"
    ]


def test_host_without_default_route(cluster):
    """Protects against a host without a tunnel address; with its variable nothing is missing."""
    cluster.with_facts().hostvars[NODE2]["ansible_facts"]["default_ipv4"] = {}
    assert cluster.problems() == [
        "ovn-node2: ovn_encap_ip is not set, and the host has no default route to take it from: set it to the "
        "host's address that the others reach"
    ]
    assert cluster.on(NODE2, ovn_encap_ip="10.44.0.13").problems() == []


def test_overlap_with_the_underlay(cluster):
    """Protects the hosts' own network from being taken into the overlay."""
    assert cluster.with_facts().everywhere(ovn_cluster_subnet="10.0.0.0/9").problems() == [
        THREE + ': ovn_cluster_subnet "10.0.0.0/9" overlaps the underlay\'s network "10.44.0.0/24": '
        "choose another network for ovn_cluster_subnet",
        'ovn-node1: ovn_gateway_ip "10.55.0.12/24" lies in a network that overlaps the pods\' network 10.0.0.0/9: '
        "the physical network must be another one",
    ]


def test_mtu_that_does_not_fit(cluster):
    """Protects pods against packets that the underlay drops."""
    assert cluster.with_facts().everywhere(ovn_mtu=1500).problems() == [
        THREE + ": ovn_mtu 1500 does not fit through the underlay's 1500 with 58 bytes of encapsulation: "
        "give it at most 1442, or leave it out"
    ]


def test_cluster_subnet_is_required(cluster):
    """Protects the one variable that must be set."""
    for host in (MASTER, NODE1, NODE2):
        cluster.without(host, "ovn_cluster_subnet")
    assert cluster.problems() == [
        THREE + ': ovn_cluster_subnet is not set, and has no default: set it for all hosts, like "192.168.0.0/16"'
    ]


def test_service_subnet_is_required_with_the_api(cluster):
    """Protects the watcher, which needs the services' network."""
    assert cluster.everywhere(ovn_kubernetes_api="http://10.0.0.1:8080").problems() == [
        THREE + ": ovn_service_subnet is not set, and ovn_kubernetes_api needs it: "
        "set it to the API server's --service-cluster-ip-range"
    ]


def test_one_value_for_the_cluster(cluster):
    """Protects against hosts that disagree, also by a variable that only some have; text and number are the same
    value."""
    cluster.on(MASTER, ovn_mtu=1400).on(NODE1, ovn_mtu="1400")
    assert cluster.problems() == [
        "ovn-node2: ovn_mtu is not set, and ovn-master has 1400: it is one value for the cluster, set it once for "
        "all hosts"
    ]
    assert cluster.on(NODE2, ovn_mtu=1300).problems() == [
        "ovn-node2: ovn_mtu 1300 differs from other hosts', ovn-master has 1400: it is one value for the cluster, "
        "set it once for all hosts"
    ]
    assert cluster.on(NODE2, ovn_mtu=1400).problems() == []


@pytest.mark.parametrize(
    ("masters", "text"),
    [
        (
            [],
            "ovn_masters has no host: put the host that is to hold OVN's databases, or a group like "
            "kube_control_plane, into it",
        ),
        (
            [MASTER, NODE1],
            "ovn-master and ovn-node1: ovn_masters has 2 hosts, and must have 1, 3 or 5: add one, or take one out",
        ),
    ],
)
def test_number_of_masters(cluster, masters, text):
    """Protects the databases: numbers that survive no more losses than the one below them."""
    cluster.groups["ovn_masters"] = masters
    cluster.groups["ovn_nodes"] = [MASTER, NODE1, NODE2]
    assert cluster.problems() == [text]


def test_too_many_masters(cluster):
    """Protects who has put a whole group of hosts among the masters: how many must go is said."""
    more = [f"ovn-node{number}" for number in range(3, 8)]
    cluster.hostvars.update({host: {**cluster.hostvars[NODE1], "inventory_hostname": host} for host in more})
    cluster.groups["ovn_masters"] = [MASTER, NODE1, *more]
    assert any("ovn_masters has 7 hosts, and must have 1, 3 or 5: take 2 out" in text for text in cluster.problems())


def test_group_with_a_wrong_name(cluster):
    """Protects against a group that no play uses, and an inventory without any of ours."""
    assert problems(cluster.hostvars, {"all": [MASTER], "ovn_master": [MASTER]}) == [
        "ovn-master: the group ovn_master is not one of this collection: did you mean ovn_masters?",
        "ovn_masters has no host: put the host that is to hold OVN's databases, or a group like "
        "kube_control_plane, into it",
    ]


def test_a_host_that_only_a_misspelt_group_has(cluster):
    """Protects a host that would be left out silently. Groups of other names, and hosts that are in ours too, are no
    problem."""
    cluster.groups.update(ovn_gatways=["lost", NODE1], ovn_outside=["other"], ovn_node=[NODE2])
    assert cluster.problems() == [
        "lost: the group ovn_gatways is not one of this collection, and the host is in none that is: did you mean "
        "ovn_gateways?"
    ]


@pytest.mark.parametrize(
    ("group", "meant"),
    [
        ("ovn-nodes", "ovn_nodes"),
        ("OVN_Nodes", "ovn_nodes"),
        ("OVN.nodes", "ovn_nodes"),
        ("ovn_workers", "ovn_nodes"),
        ("ovn_minion", "ovn_nodes"),
        ("ovn-control-plane", "ovn_masters"),
        ("OVNGateways", "ovn_gateways"),
        ("_ovn_nodes", "ovn_nodes"),
        ("ovn_ndoes", "ovn_nodes"),
        ("ovn_k8s_nodes", "ovn_nodes"),
        ("ovn_mastres", "ovn_masters"),
        ("ovn_gw", "ovn_gateways"),
    ],
)
def test_a_group_under_another_name(cluster, group, meant):
    """Protects hosts against being left out without a word: names as people write them."""
    cluster.groups[group] = ["other"]
    assert cluster.problems() == [
        f"other: the group {group} is not one of this collection, and the host is in none that is: did you mean "
        f"{meant}?"
    ]
    cluster.groups[group] = [NODE1]
    assert cluster.problems() == []


def test_a_group_without_our_prefix(cluster):
    """Protects hosts of such groups where ours is not there; beside it the name is somebody else's."""
    names = ("gateways", "Gateway", "onv_gateways", "0vn-gateways")
    cluster.groups.update({name: ["other"] for name in names})
    assert cluster.problems() == []
    del cluster.groups["ovn_gateways"]
    found = cluster.problems()
    for name in names:
        assert (
            f"other: the group {name} is not one of this collection, and the host is in none that is: did you mean "
            "ovn_gateways?"
        ) in found


def test_a_host_with_our_variables_outside_of_our_groups(cluster):
    """Protects a gateway that is in no group of ours. What all hosts have in common says nothing about one of them."""
    cluster.on("other", ovn_gateway_interface="eth1", ovn_node_subnet="192.168.9.0/24")
    assert cluster.problems() == [
        "other: ovn_node_subnet is set, and the host is in none of ovn_masters, ovn_nodes, ovn_gateways: add it to "
        "ovn_nodes, or remove the variable"
    ]
    cluster.without("other", "ovn_node_subnet").everywhere(ovn_gateway_interface="eth1")
    assert not any(said.startswith("other:") for said in cluster.problems())
    cluster.on("other", OVN_GATEWAY_IP="10.55.0.13/24")
    assert any(said.startswith("other: OVN_GATEWAY_IP is set,") for said in cluster.problems())
    cluster.without("other", "OVN_GATEWAY_IP")
    assert not any(said.startswith("other:") for said in cluster.problems())


def test_a_next_hop_that_is_another_gateway(cluster):
    """Protects egress against a loop between gateways."""
    cluster.groups["ovn_gateways"].append(NODE2)
    cluster.on(NODE2, ovn_gateway_interface="eth1", ovn_gateway_ip="10.55.0.13/24", ovn_gateway_next_hop="10.55.0.12")
    assert cluster.problems() == [
        "ovn-node2: ovn_gateway_next_hop \"10.55.0.12\" is gateway ovn-node1's address: give the external router's"
    ]


def test_subnets_of_the_database_count_for_the_plan(cluster):
    """Protects nodes that the inventory does not know: their subnet is not set for a host."""
    cluster.on(NODE1, ovn_node_subnet="192.168.2.0/24")
    assert cluster.problems(overlay=cluster.overlay({"gone": ["192.168.2.0/25"]})) == [
        'ovn-node1: ovn_node_subnet "192.168.2.0/24" overlaps "192.168.2.0/25", which the northbound database '
        "holds for the node gone that is not in the "
        "inventory: choose a free subnet, or remove that node"
    ]


def test_many_hosts_are_counted(many):
    """Protects the reader: three names, then a number."""
    assert many(10, ovn_mtu="x").problems() == [
        'host0, host1, host2 and 7 others: ovn_mtu "x" is not a whole number: write it like 1442'
    ]


def test_the_order_is_stable(cluster):
    """Protects comparisons of two runs: the same sentences in the same order, whatever order the inventory has."""
    cluster.on(NODE1, ovn_node_subnet="10.1.0.0/24", ovn_gateway_ip="10.55.0.12").on(
        NODE2, ovn_mtu="x", ovn_encap_ip="1.2"
    )
    said = cluster.problems()
    assert len(said) >= 4
    for group in cluster.groups.values():
        group.reverse()
    assert problems(dict(reversed(cluster.hostvars.items())), cluster.groups) == said


def test_a_thousand_hosts_are_checked_quickly(many):
    """Protects large inventories against checks that compare every host with every other; the bound is several times
    what it takes.
    It is processor time, so that a busy machine does not matter."""
    cluster = many(
        1000,
        lambda index: {
            "ovn_node_subnet": f"10.{index // 256}.{index % 256}.0/24",
            "ovn_encap_ip": f"172.16.{index // 250}.{index % 250 + 1}",
        },
    )
    start = time.process_time()
    assert cluster.problems() == []
    assert time.process_time() - start < 3


def test_netaddr_missing(cluster, monkeypatch):
    """Protects users without the library: a sentence, not a traceback."""
    monkeypatch.setattr("ansible_collections.ovn.kubernetes.plugins.plugin_utils._inventory.netaddr", None)
    with pytest.raises(AnsibleFilterError, match="netaddr is missing on the controller: install netaddr"):
        cluster.problems()
    assert _subnets.netaddr is not None


@pytest.mark.parametrize(
    ("hostvars", "groups", "text"),
    [
        ([], {}, "hostvars must be a dictionary"),
        ({}, "all", "groups must be a dictionary"),
        ({}, {"ovn_masters": ["m"]}, "m: it is in the groups, but its variables were not given"),
    ],
)
def test_wrong_arguments(hostvars, groups, text):
    """Protects whoever calls the filter: a sentence, not a traceback."""
    with pytest.raises(AnsibleFilterError, match=text):
        problems(hostvars, groups)


IDLE = {"table": "Open_vSwitch", "record": ".", "column": "other_config", "key": "max-idle", "value": 30000}


@pytest.mark.parametrize("settings", [[IDLE], json.dumps([IDLE])])
def test_settings_of_open_vswitch(cluster, settings):
    """Protects users' own settings, also as text of a survey, and the message about a key that is the collection's."""
    assert cluster.everywhere(ovn_openvswitch_settings=settings).problems() == []
    ours = {**IDLE, "column": "external_ids", "key": "ovn-remote", "value": "tcp:10.0.0.1:6642"}
    assert cluster.everywhere(ovn_openvswitch_settings=[IDLE, ours]).problems() == [
        f'{THREE}: ovn_openvswitch_settings "Open_vSwitch . external_ids:ovn-remote" is set by this collection itself: '
        "remove the entry"
    ]


def test_settings_of_open_vswitch_without_their_collection(cluster, monkeypatch):
    """Protects against a play that stops in the middle of its changes, since a module is missing on the controller."""
    monkeypatch.setattr(_problems_hosts, "COLLECTION", "nobody.nothing")
    cluster.on(NODE1, ovn_openvswitch_settings=[IDLE])
    assert cluster.problems() == [
        "ovn-node1: ovn_openvswitch_settings needs the collection nobody.nothing, which is not on the controller: "
        "install it, or remove the variable"
    ]
