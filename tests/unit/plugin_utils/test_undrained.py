# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods from a plan that renumbers or renames their node: the play stops before the first host is changed."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.filter.node_subnets import node_subnets
from ansible_collections.ovn.kubernetes.plugins.filter.undrained import undrained

NODE1 = "ovn-node1"
SUBNET = "192.168.1.0/24"


def overlay(node=NODE1, **more):
    """What ovn_info finds of one node."""
    found = {"subnets": [SUBNET], "chassis": "id-1", "encap_ips": [], "pods": ["demo/web"], "pod_count": 1, **more}
    return {"nodes": {node: found}, "gateways": {}, "chassis": {}, "leftover_subnets": {}}


def sentences(cluster, found):
    """What the play says."""
    planned = node_subnets(cluster.hostvars, cluster.groups, found)
    return undrained(cluster.hostvars, cluster.groups, planned, found)


def test_an_unchanged_node(cluster):
    """Protects the second site run."""
    assert sentences(cluster, overlay()) == []


def test_a_subnet_that_is_set_to_another_one(cluster):
    """Protects against ovn_node_subnet changed under pods; without pods it may be changed."""
    cluster.on(NODE1, ovn_node_subnet="192.168.77.0/24")
    (words,) = sentences(cluster, overlay(pods=["demo/a", "demo/b"], pod_count=9))
    assert words == (
        f'{NODE1}: ovn_node_subnet "{SUBNET}" can\'t be left while there are pods with addresses (demo/a, demo/b and 7 '
        f"more); the plan has 192.168.77.0/24: drain the node first (kubectl drain {NODE1} --ignore-daemonsets), then "
        "run this again"
    )
    assert sentences(cluster, overlay(pods=[], pod_count=0)) == []


def test_another_cluster_network(cluster):
    """Protects against the cluster's network changed under pods: all node subnets follow from it."""
    cluster.everywhere(ovn_cluster_subnet="10.128.0.0/16")
    (words,) = sentences(cluster, overlay())
    assert "the plan has 10.128." in words


def test_a_node_with_another_name(cluster):
    """Protects against ovn_node_name changed under pods: the host is known by its tunnel address."""
    cluster.with_facts()
    (words,) = sentences(cluster, overlay("old-name", encap_ips=["10.44.0.12"]))
    assert words.startswith(f'{NODE1}: ovn_node_name "{NODE1}" is node old-name today, which has pods with addresses')
    assert sentences(cluster, overlay("stranger", encap_ips=["10.44.0.99"])) == []
