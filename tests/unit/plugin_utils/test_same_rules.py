# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects users against an inventory that passes and modules that then refuse it, after hosts were changed, or the
other way round."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.filter.problems import problems
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import cluster as cluster_policy
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import gateway_checks, node
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.cluster import Cluster
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.gateway import Gateway
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.node import Node

NODE1 = "ovn-node1"
PODS = ("192.168.0.0/16",)


def gateway(**settings):
    """What the policy says about a gateway."""
    given = {"physical_ips": ("10.55.0.12/24",), "next_hops": ("10.55.0.254",), **settings}
    return list(gateway_checks.problems(Gateway(node="n1", cluster_subnets=PODS, bridge="", **given)))


@pytest.mark.parametrize(
    "subnet", ["127.0.0.0/8", "224.0.0.0/4", "169.254.0.0/16", "0.0.0.0/8", "fe80::/64", "ff00::/8"]
)
def test_networks_that_pods_cannot_have(cluster, subnet):
    """Protects pods from loopback, multicast and link-local networks."""
    assert problems(cluster.everywhere(ovn_cluster_subnet=subnet).hostvars, cluster.groups)
    assert list(cluster_policy.problems(Cluster((subnet,))))


@pytest.mark.parametrize("cidr", ["224.0.0.5/8", "127.0.0.1/8", "10.55.0.0/24", "10.55.0.255/24", "192.168.9.1/24"])
def test_addresses_that_gateways_cannot_have(cluster, cidr):
    """Protects the physical network from addresses that are no host's."""
    cluster.on(NODE1, ovn_gateway_ip=cidr).without(NODE1, "ovn_gateway_next_hop")
    assert problems(cluster.hostvars, cluster.groups)
    assert gateway(physical_ips=(cidr,), next_hops=())


@pytest.mark.parametrize("hop", ["224.0.0.5", "10.56.0.1", "10.55.0.12", "fd55::1"])
def test_next_hops_that_do_not_work(cluster, hop):
    """Protects egress from a router that can't be reached."""
    assert problems(cluster.on(NODE1, ovn_gateway_next_hop=hop).hostvars, cluster.groups)
    assert gateway(next_hops=(hop,))


@pytest.mark.parametrize("mtu", [68, 575, 65536])
def test_mtus_that_pods_cannot_have(cluster, mtu):
    """Protects pods from an MTU that IP does not allow."""
    assert problems(cluster.everywhere(ovn_mtu=mtu).hostvars, cluster.groups)
    assert list(node.problems(Node("n1", ("192.168.1.0/24",), PODS), mtu))


@pytest.mark.parametrize("subnet", ["192.168.2.0/30", "10.1.0.0/24", "192.168.0.0/15"])
def test_node_subnets_that_do_not_work(cluster, subnet):
    """Protects nodes from subnets without room, or outside the cluster's."""
    assert problems(cluster.on(NODE1, ovn_node_subnet=subnet).hostvars, cluster.groups)
    assert list(node.problems(Node("n1", (subnet,), PODS)))


@pytest.mark.parametrize(("number", "fits"), [(30, True), (31, False)])
def test_a_join_network_has_an_address_for_each_gateway(many, number, fits):
    """Protects a large inventory: half of the join network is for probes of next hops, and 100.64.0.0/26 has 30
    addresses for gateways."""
    cluster = many(
        number,
        lambda index: {
            "ovn_gateway_interface": "eth1",
            "ovn_gateway_ip": f"172.16.0.{index + 1}/24",
            "ovn_encap_ip": f"172.17.0.{index + 1}",
        },
        ovn_join_subnet="100.64.0.0/26",
    )
    cluster.groups["ovn_gateways"] = cluster.groups["ovn_nodes"]
    refused = [text for text in problems(cluster.hostvars, cluster.groups) if 'ovn_join_subnet "100.64.0.0/26"' in text]
    assert (not refused, problems(cluster.hostvars, cluster.groups) == refused) == (fits, True)
    policy = list(cluster_policy.problems(Cluster(("10.0.0.0/8",), ("100.64.0.0/26",)), number))
    assert (policy == []) is fits
