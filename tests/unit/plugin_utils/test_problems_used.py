# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects hosts from an overlay in networks that they have, or use, already."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.filter.problems import problems

MASTER, NODE1, NODE2 = "ovn-master", "ovn-node1", "ovn-node2"
THREE = "ovn-master, ovn-node1 and ovn-node2"

OVERLAPS = 'ovn_cluster_subnet "192.168.0.0/16" overlaps {}: choose another network for ovn_cluster_subnet'


def test_an_address_of_a_host_in_the_overlay(cluster):
    """Protects the controller's way to a host: it must not lead into the overlay. Local connections have none."""
    cluster.on(NODE1, ansible_host="192.168.5.9")
    assert cluster.problems() == [
        'ovn-node1: ansible_host "192.168.5.9" is in ovn_cluster_subnet "192.168.0.0/16": hosts are not in the '
        "overlay, choose another network for ovn_cluster_subnet"
    ]
    assert cluster.on(NODE1, ansible_host="bastion.example.net").problems() == []
    assert cluster.on(NODE1, ansible_host="192.168.5.9", ansible_connection="local").problems() == []


@pytest.mark.parametrize("url", ["https://192.168.5.9:6443", "https://10.96.0.1", "https://[fd98::1]:6443"])
def test_an_api_server_in_the_overlay(cluster, url):
    """Protects programs that need the API server before the overlay is there."""
    cluster.everywhere(
        ovn_cluster_subnet=["192.168.0.0/16", "fd10::/48"],
        ovn_service_subnet=["10.96.0.0/16"],
        ovn_kubernetes_api=url,
        ovn_kubernetes_token="secret",
    )
    (problem,) = cluster.problems()
    assert f'{THREE}: ovn_kubernetes_api "{url}" is in ovn_' in problem and "not in the overlay" in problem


def test_a_second_nic_and_a_name_server_in_the_overlay(cluster):
    """Protects what a host has and uses, as Ansible's own facts have it."""
    cluster.with_facts()
    facts = cluster.hostvars[NODE1]["ansible_facts"]
    facts["eth1"]["ipv4"] = {"address": "192.168.7.1", "netmask": "255.255.255.0", "network": "192.168.7.0"}
    cluster.hostvars[NODE2]["ansible_facts"]["dns"] = {"nameservers": ["127.0.0.53", "192.168.5.53"]}
    assert cluster.problems() == [
        "ovn-node1: " + OVERLAPS.format("192.168.7.1/24, which eth1 has"),
        "ovn-node2: " + OVERLAPS.format("192.168.5.53, a name server of this host"),
    ]


def test_our_own_links_are_no_problem(cluster):
    """Protects the second run, and addresses of services that programs of Kubernetes serve on links of their own."""
    cluster.everywhere(ovn_service_subnet="10.96.0.0/16").with_facts()
    facts = cluster.hostvars[NODE1]["ansible_facts"]
    facts["interfaces"] += ["k8s-ovn-node1", "nodelocaldns"]
    facts["k8s_ovn_node1"] = {"device": "k8s-ovn-node1", "ipv4": {"address": "192.168.1.2", "prefix": "24"}}
    facts["nodelocaldns"] = {"device": "nodelocaldns", "ipv4": {"address": "10.96.0.10", "prefix": "32"}}
    facts["dns"] = {"nameservers": ["10.96.0.10"]}
    assert cluster.problems() == []


def test_what_a_host_itself_has_found_counts(cluster):
    """Protects what only the host knows: its routes, its session. Facts of an old cache do not count."""
    cluster.with_facts()
    facts = cluster.hostvars[NODE1]["ansible_facts"]
    facts["eth1"]["ipv4"] = {"address": "192.168.7.1", "netmask": "255.255.255.0", "network": "192.168.7.0"}
    session = {"network": "192.168.0.0/16", "use": "192.168.5.9, from which this session comes (through eth0)"}
    facts["ovn_kubernetes"] = {"in_use": [session, {"network": "10.0.0.0/8", "use": "nothing of ours"}]}
    assert problems(cluster.hostvars, cluster.groups, gathered=[NODE1]) == [
        "ovn-node1: " + OVERLAPS.format(session["use"])
    ]
    assert problems(cluster.hostvars, cluster.groups) == [
        "ovn-node1: " + OVERLAPS.format("192.168.7.1/24, which eth1 has")
    ]


def test_a_host_whose_open_vswitch_another_program_uses(cluster):
    """Protects all hosts of the play: it stops before it changes any of them. Facts of an old cache do not count."""
    cluster.with_facts()
    text = "br-int on this host is another program's, whose flows would vanish: it has 7 flows; use another host"
    cluster.hostvars[NODE1]["ansible_facts"]["ovn_kubernetes"] = {"foreign": text}
    assert problems(cluster.hostvars, cluster.groups, gathered=[NODE1]) == [f"ovn-node1: {text}"]
    assert problems(cluster.hostvars, cluster.groups) == []


def test_a_chassis_of_another_ovn(cluster):
    """Protects another OVN, and all hosts of the play: nothing else on such a host need be foreign. A host that has
    lost its settings has our database."""
    cluster.with_facts()
    facts = cluster.hostvars[NODE1]["ansible_facts"]
    facts["ovn_kubernetes"] = {"southbound_before": "tcp:10.9.9.9:6642"}
    (problem,) = problems(cluster.hostvars, cluster.groups, gathered=[MASTER, NODE1])
    assert problem.startswith(
        "ovn-node1: this host is a chassis of another OVN already (ovn-remote tcp:10.9.9.9:6642): take it out there"
    )
    facts["ovn_kubernetes"] = {"southbound_before": "tcp:10.44.0.11:6642"}
    assert problems(cluster.hostvars, cluster.groups, gathered=[MASTER, NODE1]) == []


def test_a_next_hop_in_the_overlay(cluster):
    """Protects egress: a router off the gateway's subnet is not a pod."""
    cluster.on(NODE1, ovn_gateway_ip="10.55.0.12/32", ovn_gateway_next_hop="192.168.5.9")
    (problem,) = cluster.problems()
    assert 'ovn_gateway_next_hop "192.168.5.9" is in the pods\' network 192.168.0.0/16' in problem
