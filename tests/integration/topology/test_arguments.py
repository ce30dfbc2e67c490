# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects users against wrong options: each is one sentence that names the value, and nothing is written."""

from __future__ import annotations

import pytest
from northbound import Northbound, gateway_settings, node_settings

NODE = node_settings(3)
GATEWAY = gateway_settings(3)
# module, options beside those of a right call (None: not given), and the sentence.
WRONG = [
    (
        "ovn_master_init",
        {"cluster_ip_subnet": None},
        "state is present but all of the following are missing: cluster_ip_subnet",
    ),
    (
        "ovn_master_init",
        {"cluster_ip_subnet": ["192.168.0.1/16"]},
        "cluster_ip_subnet '192.168.0.1/16' has host bits set: the network is 192.168.0.0/16",
    ),
    (
        "ovn_master_init",
        {"cluster_ip_subnet": ["192.168.0.0"]},
        "cluster_ip_subnet '192.168.0.0' lacks its prefix length: write it like 192.168.0.0/16",
    ),
    (
        "ovn_master_init",
        {"cluster_ip_subnet": ["192.168.0.0/255.255.0.0"]},
        "cluster_ip_subnet '192.168.0.0/255.255.0.0' has a netmask: write its prefix length, like 192.168.0.0/16",
    ),
    (
        "ovn_master_init",
        {"cluster_ip_subnet": ["pods"]},
        "cluster_ip_subnet 'pods' is not a network: write it like 192.168.0.0/16 or fd10::/48",
    ),
    (
        "ovn_master_init",
        {"cluster_ip_subnet": ["10.0.0.0/8", "192.168.0.0/16"]},
        (
            "cluster_ip_subnet '10.0.0.0/8, 192.168.0.0/16' has two networks of one family: "
            "give at most one IPv4 and one IPv6 network"
        ),
    ),
    (
        "ovn_master_init",
        {"cluster_ip_subnet": []},
        "cluster_ip_subnet is empty: give one IPv4 network, one IPv6 network, or one of each",
    ),
    (
        "ovn_master_init",
        {"join_subnet": ["192.168.4.0/24"]},
        "join_subnet '192.168.4.0/24' overlaps the pods' network 192.168.0.0/16: choose another one",
    ),
    (
        "ovn_master_init",
        {"join_subnet": ["fd98::/64"]},
        "join_subnet 'fd98::/64' must have a network of each family of the pods' network 192.168.0.0/16",
    ),
    ("ovn_master_init", {"part": "host"}, "part is host but all of the following are missing: node_name"),
    ("ovn_master_init", {"part": "south"}, "value of part must be one of: all, northbound, host, got: south"),
    (
        "ovn_master_init",
        {"node_name": "master"},
        "minion_switch_subnet of node master is empty: give one IPv4 network, one IPv6 network, or one of each",
    ),
    (
        "ovn_master_init",
        {"nodes": [NODE, dict(NODE, node_name="NODE3", minion_switch_subnet=["192.168.9.0/24"])]},
        "node_name of node 'node3' is given twice: names are compared in lower case",
    ),
    (
        "ovn_master_init",
        {"nodes": [NODE, dict(NODE, node_name="other")]},
        (
            "minion_switch_subnet of node node3 '192.168.3.0/24' overlaps 192.168.3.0/24 of node other: "
            "give each node a subnet of its own"
        ),
    ),
    (
        "ovn_master_init",
        {"nodes": [NODE, dict(node_settings(4), chassis="id-3")]},
        "chassis of node node4 'id-3' is node node3's too: give the clone its own (remove "
        "/etc/openvswitch/system-id.conf there, and restart Open vSwitch and then ovn-controller)",
    ),
    (
        "ovn_master_init",
        {"gateways": [GATEWAY, GATEWAY]},
        "node_name of gateway 'node3' is given twice: names are compared in lower case",
    ),
    (
        "ovn_master_init",
        {"gateways": [GATEWAY, dict(GATEWAY, node_name="other")]},
        (
            "physical_ip of gateway other '10.55.0.3/24' is gateway node3's already: "
            "give each gateway an address of its own"
        ),
    ),
    (
        "ovn_master_init",
        {"nodes": [{"minion_switch_subnet": ["192.168.3.0/24"]}]},
        "missing required arguments: node_name found in nodes",
    ),
    ("ovn_master_init", {"subnet": "x"}, "Unsupported parameters for ("),
    (
        "ovn_master_init",
        {"join_subnet": ["100.64.0.0/31"], "gateways": [GATEWAY]},
        "join_subnet '100.64.0.0/31' is too small for the cluster router and 1 gateway: give it /30 or wider",
    ),
    (
        "ovn_master_init",
        {"cluster_ip_subnet": ["127.0.0.0/8"]},
        "cluster_ip_subnet '127.0.0.0/8' overlaps 127.0.0.0/8 (loopback addresses): choose a private network",
    ),
    (
        "ovn_minion_init",
        dict(NODE, cluster_ip_subnet=["224.0.0.0/4"]),
        (
            "cluster_ip_subnet '224.0.0.0/4' overlaps 224.0.0.0/3 (multicast and reserved addresses): "
            "choose a private network"
        ),
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, cluster_ip_subnet=["169.254.0.0/16"]),
        "cluster_ip_subnet '169.254.0.0/16' overlaps 169.254.0.0/16 (link-local addresses): choose a private network",
    ),
    (
        "ovn_master_init",
        {
            "join_subnet": ["100.64.0.0/26"],
            "gateways": [gateway_settings(number) for number in range(1, 32)],
        },
        "join_subnet '100.64.0.0/26' is too small for the cluster router and 31 gateways: give it /25 or wider",
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, physical_ip=["224.0.0.5/8"], default_gw=[]),
        "physical_ip of gateway node3 '224.0.0.5/8' can't be a host's address: it is a multicast address",
    ),
    ("ovn_gateway", dict(GATEWAY, mtu=68), "mtu of gateway node3 68 is out of range: write a number from 576 to 65535"),
    (
        "ovn_gateway",
        dict(GATEWAY, physical_ip=["100.64.7.7/24"], default_gw=[]),
        "physical_ip of gateway node3 '100.64.7.7/24' lies in a network that overlaps the join network 100.64.0.0/16",
    ),
    ("ovn_minion_init", {"node_name": None}, "one of the following is required: node_name, nodes"),
    ("ovn_minion_init", dict(NODE, nodes=[NODE]), "parameters are mutually exclusive: node_name|nodes"),
    (
        "ovn_minion_init",
        dict(NODE, minion_switch_subnet=["10.1.0.0/24"]),
        (
            "minion_switch_subnet of node node3 '10.1.0.0/24' is outside the pods' network 192.168.0.0/16: "
            "choose one inside it"
        ),
    ),
    (
        "ovn_minion_init",
        dict(NODE, minion_switch_subnet=["192.168.3.0/30"]),
        (
            "minion_switch_subnet of node node3 '192.168.3.0/30' is too small for the router, the host and pods: "
            "take /29 (IPv6: /125) or larger"
        ),
    ),
    (
        "ovn_minion_init",
        dict(NODE, minion_switch_subnet=["192.168.3.1/24"]),
        "minion_switch_subnet of node node3 '192.168.3.1/24' has host bits set: the network is 192.168.3.0/24",
    ),
    (
        "ovn_minion_init",
        dict(NODE, minion_switch_subnet=["192.168.3.0/24", "fd10::/64"]),
        (
            "minion_switch_subnet of node node3 'fd10::/64' is outside the pods' network 192.168.0.0/16: "
            "choose one inside it"
        ),
    ),
    (
        "ovn_minion_init",
        dict(NODE, cluster_ip_subnet=["192.168.0.0/16", "fd10::/48"]),
        (
            "minion_switch_subnet of node node3 '192.168.3.0/24' must have a subnet of each family of the pods' "
            "network 192.168.0.0/16, fd10::/48"
        ),
    ),
    (
        "ovn_minion_init",
        dict(NODE, minion_switch_subnet=None),
        "minion_switch_subnet of node node3 is empty: give one IPv4 network, one IPv6 network, or one of each",
    ),
    (
        "ovn_minion_init",
        dict(NODE, minion_switch_subnet=["192.168.1.128/25"]),
        (
            "minion_switch_subnet of node node3 '192.168.1.128/25' overlaps 192.168.1.0/24 of node node1: "
            "give each node a subnet of its own"
        ),
    ),
    (
        "ovn_minion_init",
        dict(NODE, part="host", node_name=None, nodes=[NODE]),
        "part host is about the host that this runs on: give node_name, and lists with part northbound only",
    ),
    ("ovn_gateway", {"node_name": None}, "one of the following is required: node_name, gateways"),
    (
        "ovn_gateway",
        dict(GATEWAY, physical_ip=["10.55.0.3"]),
        "physical_ip of gateway node3 '10.55.0.3' lacks its prefix length: write it like 10.55.0.3/24",
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, physical_ip=["10.55.0.3/255.255.255.0"]),
        (
            "physical_ip of gateway node3 '10.55.0.3/255.255.255.0' has a netmask: "
            "write its prefix length, like 10.55.0.3/24"
        ),
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, physical_ip=["10.55.0.300/24"]),
        (
            "physical_ip of gateway node3 '10.55.0.300/24' is not an address with a prefix length: "
            "write it like 10.33.74.138/24"
        ),
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, physical_ip=None),
        "physical_ip of gateway node3 is empty: give its address on the physical network, like 10.33.74.138/24",
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, physical_ip=["10.55.0.3/24", "10.55.0.4/24"]),
        (
            "physical_ip of gateway node3 '10.55.0.3/24, 10.55.0.4/24' has two addresses of one family: "
            "give one of each at most"
        ),
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, physical_ip=["10.55.0.255/24"]),
        (
            "physical_ip of gateway node3 '10.55.0.255/24' is the network's broadcast address, not a host's: "
            "write an address in it, like 10.55.0.1/24"
        ),
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, physical_ip=["192.168.3.3/24"]),
        "physical_ip of gateway node3 '192.168.3.3/24' lies in a network that overlaps the pods' "
        "network 192.168.0.0/16: "
        "the physical network must be another one",
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, physical_ip=["10.55.0.1/16"], default_gw=[]),
        (
            "physical_ip of gateway node3 '10.55.0.1/16' is gateway node1's already: "
            "give each gateway an address of its own"
        ),
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, default_gw=["10.55.0.254/24"]),
        (
            "default_gw of gateway node3 '10.55.0.254/24' is not an address: "
            "write it like 10.33.74.253, without a prefix length"
        ),
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, default_gw=["10.55.0.3"]),
        "default_gw of gateway node3 '10.55.0.3' is the gateway's own address: give the external router's",
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, default_gw=["10.55.0.1"]),
        "default_gw of gateway node3 '10.55.0.1' is gateway node1's address: give the external router's",
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, default_gw=["fd55::1"]),
        (
            "default_gw of gateway node3 'fd55::1' is IPv6, and the gateway has no IPv6 address: "
            "give it one, or remove the next hop"
        ),
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, default_gw=["10.56.0.1"]),
        (
            "default_gw of gateway node3 '10.56.0.1' is not in the physical network 10.55.0.0/24: "
            "give a router there, or the gateway's address as 10.55.0.3/32"
        ),
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, bridge_interface="br0"),
        "parameters are mutually exclusive: physical_interface|bridge_interface",
    ),
    (
        "ovn_gateway",
        dict(GATEWAY, physical_interface=None),
        "gateway node3 needs exactly one of physical_interface and bridge_interface",
    ),
    ("ovn_gateway", dict(GATEWAY, state="gone"), "value of state must be one of: present, absent, got: gone"),
    ("ovn_gateway", dict(GATEWAY, timeout="soon"), "argument 'timeout' is of type "),
]


@pytest.fixture(scope="module")
def cluster():
    """One database for all: none of the calls may change it."""
    server = Northbound()
    server.build()
    yield server
    server.remove()


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
@pytest.mark.parametrize(
    ("module", "options", "sentence"), WRONG, ids=[f"{case[0]}-{index}" for index, case in enumerate(WRONG)]
)
def test_a_wrong_option_is_one_sentence(cluster, module, options, sentence, check):
    """Protects both ways of running; messages of ours are held word for word, those of Ansible by their start."""
    said = cluster.refused(module, check=check, **options)
    assert said.startswith(sentence)
    if "parameters" not in said and "argument" not in said:
        assert len(said) < 300


@pytest.mark.parametrize(("module", "options"), [("ovn_minion_init", NODE), ("ovn_gateway", GATEWAY)])
def test_nothing_is_made_without_a_cluster(nb, module, options):
    """Protects against a node that hangs on nothing: the sentence says what is missing."""
    assert "make the cluster first (ovn_master_init)" in nb.refused(
        module, **options
    ) or "make it first (ovn_master_init)" in nb.refused(module, **options)


def test_lists_and_text_mean_the_same(nb):
    """Protects the short way to write a single value, and dual stack as text with a comma."""
    nb.call("ovn_master_init", cluster_ip_subnet="192.168.0.0/16,fd10:128::/48")
    nb.call(
        "ovn_minion_init",
        cluster_ip_subnet="192.168.0.0/16,fd10:128::/48",
        node_name="node1",
        minion_switch_subnet="192.168.1.0/24,fd10:128:0:1::/64",
        chassis="id-1",
    )
    assert not nb.master(dual=True)["changed"] and not nb.node(1, dual=True)["changed"]


@pytest.mark.parametrize("part", ["northbound"])
def test_lists_make_what_single_calls_make(nb, fresh, part):
    """Protects ``nodes`` and ``gateways`` of the two modules: one transaction each, the same rows."""
    nb.master()
    nb.call("ovn_minion_init", part=part, nodes=[node_settings(number) for number in (1, 2)])
    nb.call("ovn_gateway", part=part, gateways=[gateway_settings(number) for number in (1, 2)])
    assert len(nb.transactions()) == 3
    other = fresh()
    other.build()
    assert nb.content() == other.content()


def test_a_gateway_with_a_single_host_address(nb):
    """Protects clouds that give a /32 and a router elsewhere."""
    nb.master()
    nb.gateway(1, physical_ip=["203.0.113.7/32"], default_gw=["10.0.0.1"])
    assert ("0.0.0.0/0", "10.0.0.1") in nb.routes("GR_node1")


def test_a_router_outside_that_is_known_by_its_link_local_address(nb):
    """Protects IPv6 networks, whose routers are called fe80::something (RFC 4861)."""
    nb.master(dual=True)
    nb.gateway(1, dual=True, default_gw=["10.55.0.254", "fe80::1"])
    assert ("::/0", "fe80::1") in nb.routes("GR_node1")
