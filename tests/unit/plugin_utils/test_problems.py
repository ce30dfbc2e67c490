# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what users read when their inventory is wrong: host, variable, value, and what would be right."""

from __future__ import annotations

import time

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ovn.kubernetes.plugins.filter.problems import problems
from ansible_collections.ovn.kubernetes.plugins.plugin_utils import _subnets

MASTER, NODE1, NODE2 = "ovn-master", "ovn-node1", "ovn-node2"
THREE = "ovn-master, ovn-node1 and ovn-node2"


def found(cluster, **arguments):
    return problems(cluster.hostvars, cluster.groups, **arguments)


def test_a_right_inventory_has_no_problem(cluster):
    """Protects users against checks that refuse what works: the smallest inventory, without facts and with."""
    assert found(cluster) == []
    assert found(cluster.with_facts()) == []


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
        ovn_kubernetes_ca="PEM",
        ovn_kubernetes_token="secret",
        ovn_kubernetes_admin_kubeconfig="/root/config",
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
    assert found(cluster) == []


# What is wrong everywhere, and what is said about it.
EVERYWHERE = [
    (
        {"ovn_cluster_subnet": "192.168.1.1/16"},
        'ovn_cluster_subnet "192.168.1.1/16" has host bits set: the network is 192.168.0.0/16',
    ),
    (
        {"ovn_cluster_subnet": "192.168.0.0"},
        'ovn_cluster_subnet "192.168.0.0" lacks its prefix length: write it like 192.168.0.0/16',
    ),
    ({"ovn_cluster_subnet": "fd10::"}, 'ovn_cluster_subnet "fd10::" lacks its prefix length: write it like fd10::/64'),
    (
        {"ovn_cluster_subnet": "192.168.0.0/255.255.0.0"},
        'ovn_cluster_subnet "192.168.0.0/255.255.0.0" has a netmask: write its prefix length, like 192.168.0.0/16',
    ),
    (
        {"ovn_cluster_subnet": "192.168.0.0/33"},
        'ovn_cluster_subnet "192.168.0.0/33" is not a network: write it like 192.168.0.0/16 or fd10::/48',
    ),
    (
        {"ovn_cluster_subnet": "pods"},
        'ovn_cluster_subnet "pods" is not a network: write it like 192.168.0.0/16 or fd10::/48',
    ),
    (
        {"ovn_cluster_subnet": "192.168/16"},
        'ovn_cluster_subnet "192.168/16" is not a network: write it like 192.168.0.0/16 or fd10::/48',
    ),
    ({"ovn_cluster_subnet": 16}, "ovn_cluster_subnet 16 is not a network: write it like 192.168.0.0/16 or fd10::/48"),
    (
        {"ovn_cluster_subnet": {"ipv4": "x"}},
        'ovn_cluster_subnet {"ipv4": "x"} is not a network: write it like 192.168.0.0/16 or fd10::/48',
    ),
    (
        {"ovn_cluster_subnet": None},
        'ovn_cluster_subnet null is empty: remove the line, or write it like "192.168.0.0/16"',
    ),
    (
        {"ovn_cluster_subnet": " "},
        'ovn_cluster_subnet " " is empty: remove the line, or write it like "192.168.0.0/16"',
    ),
    ({"ovn_cluster_subnet": []}, 'ovn_cluster_subnet [] is empty: remove the line, or write it like "192.168.0.0/16"'),
    (
        {"ovn_cluster_subnet": ["10.1.0.0/16", "10.2.0.0/16"]},
        'ovn_cluster_subnet ["10.1.0.0/16", "10.2.0.0/16"] has two entries of IPv4: give one of IPv4, one of IPv6, '
        "or one of each",
    ),
    (
        {"ovn_cluster_subnet": ["10.1.0.0/16", "fd01::/48", "fd02::/48"]},
        'ovn_cluster_subnet ["10.1.0.0/16", "fd01::/48", "fd02::/48"] has 3 entries: give one of IPv4, one of '
        "IPv6, or one of each",
    ),
    (
        {"ovn_cluster_subnet": "169.254.0.0/16"},
        'ovn_cluster_subnet "169.254.0.0/16" overlaps 169.254.0.0/16 (link-local addresses): choose a private '
        "network, like 192.168.0.0/16",
    ),
    (
        {"ovn_cluster_subnet": "10.0.0.0/30"},
        'ovn_cluster_subnet "10.0.0.0/30" is too small for a node subnet with pods: give it /29 or wider',
    ),
    (
        {"ovn_service_subnet": "192.168.200.0/24"},
        'ovn_service_subnet "192.168.200.0/24" overlaps ovn_cluster_subnet "192.168.0.0/16": choose networks that '
        "share no address",
    ),
    (
        {"ovn_service_subnet": "fd96::/112"},
        'ovn_service_subnet "fd96::/112" is IPv6, and ovn_cluster_subnet has no IPv6 network: remove it, or add '
        "one there",
    ),
    (
        {"ovn_join_subnet": "192.168.0.0/24"},
        'ovn_join_subnet "192.168.0.0/24" overlaps the pods\' network 192.168.0.0/16: choose another one',
    ),
    (
        {"ovn_cluster_subnet": "100.64.0.0/12"},
        'ovn_join_subnet is not set, and its default "100.64.0.0/16" overlaps the pods\' network 100.64.0.0/12: '
        "choose another one",
    ),
    (
        {"ovn_join_subnet": "100.64.0.0/31"},
        'ovn_join_subnet "100.64.0.0/31" is too small for the cluster router and 1 gateway: give it /30 or wider',
    ),
    (
        {"ovn_node_subnet_prefix": 12},
        'ovn_node_subnet_prefix 12 is wider than ovn_cluster_subnet "192.168.0.0/16": set it to a number from 16 '
        "to 29 for IPv4",
    ),
    (
        {"ovn_node_subnet_prefix": 30},
        "ovn_node_subnet_prefix 30 leaves no address for pods: set it to a number from 16 to 29 for IPv4",
    ),
    (
        {"ovn_cluster_subnet": "10.9.0.0/26"},
        "ovn_node_subnet_prefix is not set, and its default 24 is wider than ovn_cluster_subnet "
        '"10.9.0.0/26": set it to a number from 26 to 29 for IPv4',
    ),
    ({"ovn_node_subnet_prefix": "big"}, 'ovn_node_subnet_prefix "big" is not a whole number: write it like 24'),
    (
        {"ovn_node_subnet_prefix": [24, 64, 64]},
        "ovn_node_subnet_prefix [24, 64, 64] has 3 entries: give one number, or one for IPv4 and one for IPv6",
    ),
    (
        {"ovn_node_subnet_prefix": 17},
        'ovn_cluster_subnet "192.168.0.0/16" is exhausted: it has room for 2 node subnets of /17, the inventory '
        "has 3 hosts, "
        "and 1 of them can get none: set ovn_node_subnet_prefix to 18, or a wider ovn_cluster_subnet",
    ),
    (
        {"ovn_encap_type": "vxlan"},
        'ovn_encap_type "vxlan" is too small for OVN\'s metadata (24 bits: few switches and ports, and no '
        'gateways as this collection makes them): write "geneve"',
    ),
    (
        {"ovn_encap_type": "stt"},
        'ovn_encap_type "stt" is not in Linux\' own openvswitch module, and OVN has dropped it: write "geneve"',
    ),
    ({"ovn_encap_type": ["geneve"]}, 'ovn_encap_type ["geneve"] is not offered: write "geneve"'),
    ({"ovn_mtu": "large"}, 'ovn_mtu "large" is not a whole number: write it like 1442'),
    ({"ovn_mtu": True}, "ovn_mtu true is not a whole number: write it like 1442"),
    ({"ovn_mtu": 1400.5}, "ovn_mtu 1400.5 is not a whole number: write it like 1442"),
    ({"ovn_mtu": 100}, "ovn_mtu 100 is out of range: write a number from 576 to 65535"),
    ({"ovn_mtu": 70000}, "ovn_mtu 70000 is out of range: write a number from 576 to 65535"),
    ({"ovn_tls": "maybe"}, 'ovn_tls "maybe" is neither true nor false: write true or false'),
    ({"ovn_tls": 1}, "ovn_tls 1 is neither true nor false: write true or false"),
    (
        {"ovn_tls": "True"},
        'ovn_tls "True" isn\'t supported yet: leave it out or false, and keep the underlay a network that you trust',
    ),
    (
        {"ovn_kubernetes_api": "https://10.0.0.1:6443", "ovn_service_subnet": "10.96.0.0/16"},
        'ovn_kubernetes_api "https://10.0.0.1:6443" needs a credential, and there is none: set '
        "ovn_kubernetes_admin_kubeconfig, from which the play makes the accounts itself, or ovn_kubernetes_token",
    ),
    (
        {
            "ovn_kubernetes_api": "http://10.0.0.1:8080",
            "ovn_service_subnet": "10.96.0.0/16",
            "ovn_kubernetes_token": "hidden",
        },
        "ovn_kubernetes_token is set, and would be sent over the network in clear text: write "
        "ovn_kubernetes_api as https://..., or remove the variable where the API server asks for no credential",
    ),
    (
        {
            "ovn_kubernetes_api": "https://10.0.0.1:6443",
            "ovn_service_subnet": "10.96.0.0/16",
            "ovn_kubernetes_token": "hidden",
            "ovn_kubernetes_ca": "/no/ca",
        },
        "ovn_kubernetes_ca can't be read on the controller (/no/ca): No such file or directory: "
        "write PEM text, or the path of such a file on the controller",
    ),
    (
        {
            "ovn_kubernetes_api": "https://10.0.0.1:6443",
            "ovn_service_subnet": "10.96.0.0/16",
            "ovn_kubernetes_admin_kubeconfig": "/no/config",
        },
        'ovn_kubernetes_admin_kubeconfig "/no/config" can\'t be read on the controller (/no/config): No such file '
        "or directory",
    ),
    (
        {"ovn_kubernetes_api": "10.0.0.1:6443", "ovn_service_subnet": "10.96.0.0/16"},
        'ovn_kubernetes_api "10.0.0.1:6443" is not the address of an API server: write it like "https://10.0.0.1:6443"',
    ),
    (
        {"ovn_kubernetes_api": "https://[::1:6443"},
        'ovn_kubernetes_api "https://[::1:6443" is not the address of an API server: write it like '
        '"https://10.0.0.1:6443"',
    ),
    (
        {"ovn_clustersubnet": "10.0.0.0/8"},
        'ovn_clustersubnet "10.0.0.0/8" is not a variable of this collection: did you mean ovn_cluster_subnet?',
    ),
    (
        {"ovn_frobnicate": 1},
        "ovn_frobnicate 1 is not a variable of this collection: remove it; docs/inventory.md lists those that are",
    ),
    ({"ovn_remove_hosts": [1]}, 'ovn_remove_hosts [1] is not a list of hosts: write it like ["node2"]'),
]


@pytest.mark.parametrize(("variables", "text"), EVERYWHERE)
def test_what_is_wrong_everywhere_is_reported_once(cluster, variables, text):
    """Protects each message about the cluster's values, and that a hundred hosts don't repeat it."""
    assert found(cluster.everywhere(**variables)) == [f"{THREE}: {text}"]


# What is wrong on a gateway (ovn-node1), and what is said about it.
ON_GATEWAY = [
    (
        {"ovn_gateway_ip": "10.55.0.12"},
        'ovn_gateway_ip "10.55.0.12" lacks its prefix length: write it like 10.55.0.12/24',
    ),
    (
        {"ovn_gateway_ip": "10.55.0.0/24"},
        "ovn_gateway_ip \"10.55.0.0/24\" is the network's own address, not a host's: write an address in it, like "
        "10.55.0.1/24",
    ),
    (
        {"ovn_gateway_ip": "10.55.0.255/24"},
        "ovn_gateway_ip \"10.55.0.255/24\" is the network's broadcast address, not a host's: write an address in "
        "it, like 10.55.0.1/24",
    ),
    (
        {"ovn_gateway_ip": "eth1"},
        'ovn_gateway_ip "eth1" is not an address with a prefix length: write it like 10.33.74.138/24',
    ),
    (
        {"ovn_gateway_ip": "224.0.0.5/24"},
        "ovn_gateway_ip \"224.0.0.5/24\" can't be a host's address: it is a multicast address: write it like "
        "10.33.74.138/24",
    ),
    (
        {"ovn_gateway_ip": ["10.55.0.12/24", "fd55::12/64"]},
        'ovn_gateway_ip "fd55::12/64" is IPv6, and ovn_cluster_subnet has no IPv6 network: remove it, or add one there',
    ),
    (
        {"ovn_gateway_next_hop": "10.56.0.1"},
        'ovn_gateway_next_hop "10.56.0.1" is not in the physical network 10.55.0.0/24: give a router there, '
        "or the gateway's address as 10.55.0.12/32",
    ),
    (
        {"ovn_gateway_next_hop": "10.55.0.12"},
        "ovn_gateway_next_hop \"10.55.0.12\" is the gateway's own address: give the external router's",
    ),
    (
        {"ovn_gateway_next_hop": "10.55.0.254/24"},
        'ovn_gateway_next_hop "10.55.0.254/24" is not an address: write it like 10.33.74.253, without a prefix length',
    ),
    (
        {"ovn_gateway_next_hop": "router"},
        'ovn_gateway_next_hop "router" is not an address: write it like 10.33.74.253, without a prefix length',
    ),
    (
        {"ovn_gateway_next_hop": "fd55::1"},
        'ovn_gateway_next_hop "fd55::1" is IPv6, and the gateway has no IPv6 address: give it one, or remove the '
        "next hop",
    ),
    (
        {"ovn_gateway_interface": "a-name-of-16-char"},
        'ovn_gateway_interface "a-name-of-16-char" is not the name of a NIC (1 to 15 characters, without spaces '
        "and '/'): write it like \"eth1\"",
    ),
    ({"ovn_gateway_interface": None}, 'ovn_gateway_interface null is empty: remove the line, or write it like "eth1"'),
    (
        {"ovn_gateway_ip": "192.168.9.1/24", "ovn_gateway_next_hop": "192.168.9.254"},
        'ovn_gateway_ip "192.168.9.1/24" lies in a network that overlaps the pods\' network 192.168.0.0/16: the '
        "physical network must be another one",
    ),
    (
        {"ovn_gateway_ip": "10.55.0.12/24", "ovn_encap_ip": "10.55.0.12"},
        'ovn_gateway_ip "10.55.0.12/24" is the tunnel address of ovn-node1: give the gateway one that no host has',
    ),
    (
        {"ovn_node_subnet": "10.1.0.0/24"},
        'ovn_node_subnet "10.1.0.0/24" is outside the pods\' network 192.168.0.0/16: choose one inside it',
    ),
    (
        {"ovn_node_subnet": "192.0.0.0/8"},
        'ovn_node_subnet "192.0.0.0/8" is outside the pods\' network 192.168.0.0/16: choose one inside it',
    ),
    (
        {"ovn_node_subnet": "fd10:0:0:2::/64"},
        'ovn_node_subnet "fd10:0:0:2::/64" is outside the pods\' network 192.168.0.0/16: choose one inside it',
    ),
    (
        {"ovn_node_subnet": "192.168.2.0/30"},
        'ovn_node_subnet "192.168.2.0/30" is too small for the router, the host and pods: take /29 (IPv6: /125) or '
        "larger",
    ),
    (
        {"ovn_encap_ip": "10.44.0.12/24"},
        'ovn_encap_ip "10.44.0.12/24" is not an address: write it like 10.33.74.253, without a prefix length',
    ),
    (
        {"ovn_encap_ip": "127.0.0.1"},
        'ovn_encap_ip "127.0.0.1" can\'t be an address that other hosts reach: it is a loopback address: write it '
        "like 10.33.74.253",
    ),
    (
        {"ovn_encap_ip": "192.168.7.7"},
        'ovn_encap_ip "192.168.7.7" is in ovn_cluster_subnet "192.168.0.0/16": tunnels are not in the '
        "overlay, choose another network for ovn_cluster_subnet",
    ),
    (
        {"ovn_node_name": "node_1"},
        "ovn_node_name \"node_1\" is not a name that Kubernetes accepts (RFC 1123: a to z, 0 to 9, '-' and '.'): "
        'write it like "node-1"',
    ),
    (
        {"ovn_node_name": "OVN-Master"},
        'ovn_node_name "ovn-master" is also the name of ovn-master: give each host its own',
    ),
    ({"ovn_datapath_type": "dpdk"}, 'ovn_datapath_type "dpdk" is not offered: write "system" or "netdev"'),
]


@pytest.mark.parametrize(("variables", "text"), ON_GATEWAY)
def test_what_is_wrong_on_one_host_names_it(cluster, variables, text):
    """Protects each message about a host's own values."""
    assert found(cluster.on(NODE1, **variables)) == ["ovn-node1: " + text]


def test_gateway_without_its_variables(cluster):
    """Protects against a gateway without a NIC."""
    cluster.without(NODE1, "ovn_gateway_interface", "ovn_gateway_ip", "ovn_gateway_next_hop")
    assert found(cluster) == [
        "ovn-node1: ovn_gateway_interface is not set, and the host is in ovn_gateways: set it to the NIC on the "
        'physical network, like "eth1"'
    ]


def test_dedicated_nic_without_address(cluster):
    """Protects against a gateway router without an address."""
    assert found(cluster.without(NODE1, "ovn_gateway_ip")) == [
        "ovn-node1: ovn_gateway_ip is not set, and a dedicated NIC needs it: set it to the gateway's physical "
        'address, like "10.33.74.138/24"'
    ]


def test_gateway_without_next_hop_is_right(cluster):
    """Protects gateways that reach their own network only, and those with a router off their subnet."""
    assert found(cluster.without(NODE1, "ovn_gateway_next_hop")) == []
    assert found(cluster.on(NODE1, ovn_gateway_ip="10.55.0.12/32", ovn_gateway_next_hop="10.1.2.3")) == []


def test_both_kinds_of_nic(cluster):
    """Protects against a gateway with two NICs."""
    assert found(cluster.on(NODE1, ovn_gateway_shared_interface="eth0")) == [
        'ovn-node1: ovn_gateway_interface "eth1" and ovn_gateway_shared_interface "eth0" are both set, and a '
        "gateway uses one NIC: keep one of them"
    ]


def test_gateway_variables_elsewhere(cluster):
    """Protects against a host that is no gateway although its variables are set."""
    assert found(cluster.on(NODE2, ovn_gateway_interface="eth1")) == [
        'ovn-node2: ovn_gateway_interface "eth1" is for hosts of ovn_gateways, and this one is not in it: add the '
        "host, or remove the variable"
    ]


def test_two_gateways_with_one_address(cluster):
    """Protects the physical network against one address on two hosts."""
    cluster.groups["ovn_gateways"].append(NODE2)
    cluster.on(NODE2, ovn_gateway_interface="eth1", ovn_gateway_ip="10.55.0.12/25")
    assert found(cluster) == [
        'ovn-node2: ovn_gateway_ip "10.55.0.12/25" is gateway ovn-node1\'s already: give each gateway an address '
        "of its own"
    ]


def test_node_subnets_of_two_hosts(cluster):
    """Protects pods against one subnet on two hosts, equal and nested."""
    cluster.on(NODE1, ovn_node_subnet="192.168.2.0/24").on(NODE2, ovn_node_subnet="192.168.2.0/24").on(
        MASTER, ovn_node_subnet="192.168.2.128/25"
    )
    assert found(cluster) == [
        'ovn-node2: ovn_node_subnet "192.168.2.0/24" is also that of ovn-node1: give each host its own',
        'ovn-master: ovn_node_subnet "192.168.2.128/25" overlaps "192.168.2.0/24" of ovn-node1: give each host its own',
    ]


def test_dual_stack_needs_both_families(cluster):
    """Protects a dual-stack node against having one family only."""
    assert found(cluster.dual().on(NODE1, ovn_node_subnet="192.168.2.0/24")) == [
        'ovn-node1: ovn_node_subnet "192.168.2.0/24" must have a subnet of each family of the pods\' network '
        "192.168.0.0/16, fd10::/48"
    ]


def test_ipv6_needs_its_mtu(cluster):
    """Protects IPv6 from links below its minimum (RFC 8200)."""
    assert found(cluster.dual().everywhere(ovn_mtu=1200)) == [
        THREE + ": ovn_mtu 1200 is too small for IPv6: give it at least 1280"
    ]


def test_shared_addresses_and_families_of_tunnels(cluster):
    """Protects tunnels against one address on two hosts, and against two families that can't reach each other."""
    assert found(cluster.on(NODE1, ovn_encap_ip="10.44.0.9").on(NODE2, ovn_encap_ip="10.44.0.9")) == [
        'ovn-node2: ovn_encap_ip "10.44.0.9" is also that of ovn-node1: give each host its own'
    ]
    assert found(cluster.on(NODE2, ovn_encap_ip="10.44.0.10").on(MASTER, ovn_encap_ip="fd44::1")) == [
        'ovn-master: ovn_encap_ip "fd44::1" is IPv6, and ovn-node1 has one of IPv4: tunnels need one IP version on '
        "all hosts"
    ]


def test_default_node_names(cluster):
    """Protects node names that come from the inventory: shortened to the same one, not a name, or only an address."""
    cluster.groups["ovn_nodes"] += ["ovn-node2.example.org", "bad_name", "10.0.0.7"]
    for host in ("ovn-node2.example.org", "bad_name", "10.0.0.7"):
        cluster.on(host, ovn_cluster_subnet="192.168.0.0/16")
    assert found(cluster) == [
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
    assert found(cluster.on(NODE1, ovn_gateway_interface="eth7")) == [
        'ovn-node1: ovn_gateway_interface "eth7" is no NIC of this host: write one of br-x, eth0, eth1, lo'
    ]
    assert found(cluster.on(NODE1, ovn_gateway_interface="eth0")) == [
        'ovn-node1: ovn_gateway_interface "eth0" has the tunnel address "10.44.0.12", which the host would lose: '
        "give the gateway a NIC of its own"
    ]
    assert found(cluster.on(NODE1, ovn_encap_ip="10.66.0.12")) == [
        'ovn-node1: ovn_gateway_interface "eth0" has the host\'s default route, which the host would lose: give '
        "the gateway a NIC of its own"
    ]
    cluster.on(NODE1, ovn_gateway_interface="eth1", ovn_encap_ip="10.44.0.99")
    assert found(cluster) == [
        'ovn-node1: ovn_encap_ip "10.44.0.99" is no address of this host: write one of 10.44.0.12, 10.66.0.12, '
        "10.77.0.12, fd44::12"
    ]


def test_host_without_default_route(cluster):
    """Protects against a host without a tunnel address; with its variable nothing is missing."""
    cluster.with_facts().hostvars[NODE2]["ansible_facts"]["default_ipv4"] = {}
    assert found(cluster) == [
        "ovn-node2: ovn_encap_ip is not set, and the host has no default route to take it from: set it to the "
        "host's address that the others reach"
    ]
    assert found(cluster.on(NODE2, ovn_encap_ip="10.44.0.13")) == []


def test_overlap_with_the_underlay(cluster):
    """Protects the hosts' own network from being taken into the overlay."""
    assert found(cluster.with_facts().everywhere(ovn_cluster_subnet="10.0.0.0/9")) == [
        THREE + ': ovn_cluster_subnet "10.0.0.0/9" overlaps the underlay\'s network "10.44.0.0/24": '
        "choose another network for ovn_cluster_subnet",
        'ovn-node1: ovn_gateway_ip "10.55.0.12/24" lies in a network that overlaps the pods\' network 10.0.0.0/9: '
        "the physical network must be another one",
    ]


def test_mtu_that_does_not_fit(cluster):
    """Protects pods against packets that the underlay drops."""
    assert found(cluster.with_facts().everywhere(ovn_mtu=1500)) == [
        THREE + ": ovn_mtu 1500 does not fit through the underlay's 1500 with 58 bytes of encapsulation: "
        "give it at most 1442, or leave it out"
    ]


def test_cluster_subnet_is_required(cluster):
    """Protects the one variable that must be set."""
    for host in (MASTER, NODE1, NODE2):
        cluster.without(host, "ovn_cluster_subnet")
    assert found(cluster) == [
        THREE + ': ovn_cluster_subnet is not set, and has no default: set it for all hosts, like "192.168.0.0/16"'
    ]


def test_service_subnet_is_required_with_the_api(cluster):
    """Protects the watcher, which needs the services' network."""
    assert found(cluster.everywhere(ovn_kubernetes_api="http://10.0.0.1:8080")) == [
        THREE + ": ovn_service_subnet is not set, and ovn_kubernetes_api needs it: "
        "set it to the API server's --service-cluster-ip-range"
    ]


def test_one_value_for_the_cluster(cluster):
    """Protects against hosts that disagree, also by a variable that only some have; text and number are the same
    value."""
    cluster.on(MASTER, ovn_mtu=1400).on(NODE1, ovn_mtu="1400")
    assert found(cluster) == [
        "ovn-node2: ovn_mtu is not set, and ovn-master has 1400: it is one value for the cluster, set it once for "
        "all hosts"
    ]
    assert found(cluster.on(NODE2, ovn_mtu=1300)) == [
        "ovn-node2: ovn_mtu 1300 differs from other hosts', ovn-master has 1400: it is one value for the cluster, "
        "set it once for all hosts"
    ]
    assert found(cluster.on(NODE2, ovn_mtu=1400)) == []


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
            "ovn-master and ovn-node1: ovn_masters has 2 hosts, and must have 1, 3 or 5; "
            "clustered masters aren't supported yet: leave one host in ovn_masters",
        ),
        (
            [MASTER, NODE1, NODE2],
            THREE
            + ": ovn_masters has 3 hosts, and clustered masters aren't supported yet: leave one host in ovn_masters",
        ),
    ],
)
def test_number_of_masters(cluster, masters, text):
    """Protects the databases: numbers without a majority, and more than this release supports."""
    cluster.groups["ovn_masters"] = masters
    cluster.groups["ovn_nodes"] = [MASTER, NODE1, NODE2]
    assert found(cluster) == [text]


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
    assert found(cluster) == [
        "lost: the group ovn_gatways is not one of this collection, and the host is in none that is: did you mean "
        "ovn_gateways?"
    ]


def test_a_next_hop_that_is_another_gateway(cluster):
    """Protects egress against a loop between gateways."""
    cluster.groups["ovn_gateways"].append(NODE2)
    cluster.on(NODE2, ovn_gateway_interface="eth1", ovn_gateway_ip="10.55.0.13/24", ovn_gateway_next_hop="10.55.0.12")
    assert found(cluster) == [
        "ovn-node2: ovn_gateway_next_hop \"10.55.0.12\" is gateway ovn-node1's address: give the external router's"
    ]


def test_secrets_are_not_shown(cluster):
    """Protects tokens against being printed, also under a misspelt name."""
    cluster.everywhere(
        ovn_kubernetes_token=["hidden-1"], ovn_kubernetes_tokn="hidden-2", ovn_the_password="hidden-3"
    ).on(NODE1, ovn_kubernetes_ca="hidden-4")
    said = found(cluster)
    assert len(said) == 4
    assert "hidden" not in "".join(said)


def test_secrets_that_differ_are_not_shown(cluster):
    """Protects tokens against being printed where two hosts have different ones, or one has none."""
    cluster.on(MASTER, ovn_kubernetes_token="hidden-1").on(NODE1, ovn_kubernetes_token="hidden-2")
    said = found(cluster)
    assert len(said) == 2
    assert "hidden" not in "".join(said)


def test_subnets_of_the_database_count_for_the_plan(cluster):
    """Protects nodes that the inventory does not know: their subnet is not set for a host."""
    cluster.on(NODE1, ovn_node_subnet="192.168.2.0/24")
    assert found(cluster, overlay=cluster.overlay({"gone": ["192.168.2.0/25"]})) == [
        'ovn-node1: ovn_node_subnet "192.168.2.0/24" overlaps "192.168.2.0/25", which the northbound database '
        "holds for the node gone that is not in the "
        "inventory: choose a free subnet, or remove that node"
    ]


def test_many_hosts_are_counted(many):
    """Protects the reader: three names, then a number."""
    assert found(many(10, ovn_mtu="x")) == [
        'host0, host1, host2 and 7 others: ovn_mtu "x" is not a whole number: write it like 1442'
    ]


def test_the_order_is_stable(cluster):
    """Protects comparisons of two runs: the same sentences in the same order, whatever order the inventory has."""
    cluster.on(NODE1, ovn_node_subnet="10.1.0.0/24", ovn_gateway_ip="10.55.0.12").on(
        NODE2, ovn_mtu="x", ovn_encap_ip="1.2"
    )
    said = found(cluster)
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
    assert found(cluster) == []
    assert time.process_time() - start < 3


def test_netaddr_missing(cluster, monkeypatch):
    """Protects users without the library: a sentence, not a traceback."""
    monkeypatch.setattr("ansible_collections.ovn.kubernetes.plugins.plugin_utils._inventory.netaddr", None)
    with pytest.raises(AnsibleFilterError, match="netaddr is missing on the controller: install netaddr"):
        found(cluster)
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
