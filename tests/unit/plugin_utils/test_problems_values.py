# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what users read about one value that is wrong: host, variable, value, and what would be right."""

from __future__ import annotations

import pathlib

import pytest

NODE1 = "ovn-node1"
THREE = "ovn-master, ovn-node1 and ovn-node2"


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
        'ovn_cluster_subnet "" is empty: remove the line, or write it like "192.168.0.0/16"',
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
        {"ovn_external_ip_networks": ["10.44.0.0/24", "10.44.1.7/24"]},
        'ovn_external_ip_networks "10.44.1.7/24" has host bits set: the network is 10.44.1.0/24',
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
    ({"ovn_tls": 2}, "ovn_tls 2 is neither true nor false: write true or false"),
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
        'ovn_kubernetes_ca can\'t be read on the controller ("/no/ca"): No such file or directory: '
        "write PEM text, or the path of such a file on the controller",
    ),
    (
        {
            "ovn_kubernetes_api": "http://10.0.0.1:8080",
            "ovn_service_subnet": "10.96.0.0/16",
            "ovn_kubernetes_ca": "no PEM",
        },
        f'ovn_kubernetes_ca can\'t be read on the controller (looked for in "{pathlib.Path.cwd()}"): No such file or '
        "directory: "
        "write PEM text, or the path of such a file on the controller",
    ),
    (
        {
            "ovn_kubernetes_api": "https://10.0.0.1:6443",
            "ovn_service_subnet": "10.96.0.0/16",
            "ovn_kubernetes_admin_kubeconfig": "/no/config",
        },
        'ovn_kubernetes_admin_kubeconfig can\'t be read on the controller ("/no/config"): No such file '
        "or directory: give the path of one, or its whole text",
    ),
    (
        {"ovn_kubernetes_admin_kubeconfig": "/root/config"},
        "ovn_kubernetes_admin_kubeconfig is set, and ovn_kubernetes_api is not, without which the overlay has no "
        "Kubernetes: set ovn_kubernetes_api, or remove the variable",
    ),
    (
        {"ovn_kubernetes_token": "/etc/token"},
        "ovn_kubernetes_token looks like a path: write the token itself, best in a vault, or read the file with "
        "lookup('ansible.builtin.file', PATH)",
    ),
    (
        {"ovn_kubernetes_token": "Bearer abc"},
        "ovn_kubernetes_token has spaces, several lines, quotes or letters beyond ASCII, which no token has: write the "
        "token itself, best in a vault, or read the file with lookup('ansible.builtin.file', PATH)",
    ),
    (
        {"ovn_cluster_subnet": "[10.0.0.0/16"},
        'ovn_cluster_subnet "[10.0.0.0/16" is not a list in JSON or YAML: write the values with commas',
    ),
    (
        {"ovn_masters": ["m1"]},
        "ovn_masters is a group of hosts, not a variable: put the hosts into it, and remove the variable",
    ),
    ({"onv_mtu": 1400}, "onv_mtu is not a variable of this collection: did you mean ovn_mtu?"),
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
        {"ovn_kubernetes_api": ["https://10.0.0.1:6443", "10.0.0.2"]},
        'ovn_kubernetes_api "10.0.0.2" is not the address of an API server: write it like "https://10.0.0.1:6443"',
    ),
    (
        {"ovn_kubernetes_api": "https://10.0.0.1:6443,http://10.0.0.2:8080"},
        'ovn_kubernetes_api "https://10.0.0.1:6443,http://10.0.0.2:8080" has https and http: write all of them as '
        "https://...",
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
    assert cluster.everywhere(**variables).problems() == [f"{THREE}: {text}"]


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
    (
        {"ovn_log_level": "verbose"},
        'ovn_log_level "verbose" is not offered: write "error" or "warning" or "info" or "debug"',
    ),
    ({"ovn_datapath_type": "dpdk"}, 'ovn_datapath_type "dpdk" is not offered: write "system" or "netdev"'),
]


@pytest.mark.parametrize(("variables", "text"), ON_GATEWAY)
def test_what_is_wrong_on_one_host_names_it(cluster, variables, text):
    """Protects each message about a host's own values."""
    assert cluster.on(NODE1, **variables).problems() == ["ovn-node1: " + text]
