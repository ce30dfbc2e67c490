# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods from a plan that renumbers or renames their node: the play stops before the first host is changed."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.filter.node_subnets import node_subnets
from ansible_collections.ovn.kubernetes.plugins.filter.undrained import undrained

NODE1 = "ovn-node1"
LEFT_OVER = (
    "; rows of pods that Kubernetes does not have any more are deleted with those of the node, ansible-playbook "
    f"ovn.kubernetes.remove -e ovn_remove_hosts={NODE1}, and site makes it anew"
)
SUBNET = "192.168.1.0/24"


def overlay(node=NODE1, **more):
    """What ovn_info finds of one node."""
    found = {"subnets": [SUBNET], "chassis": "id-1", "encap_ips": [], "pods": pods("demo/web"), **more}
    return {"nodes": {node: found}, "gateways": {}, "chassis": {}, "leftover_subnets": {}, "pods_marked": True}


def pods(*some, count=1, subnet=SUBNET):
    """Pods of one subnet, as ovn_info reports them."""
    return {subnet: {"count": count, "some": list(some)}}


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
    (words,) = sentences(cluster, overlay(pods=pods("demo/a", "demo/b", count=9)))
    assert words == (
        f'{NODE1}: ovn_node_subnet "{SUBNET}" can\'t be left while there are pods with addresses (demo/a, demo/b and 7 '
        f"more); the plan has 192.168.77.0/24: drain the node first (kubectl drain {NODE1} --ignore-daemonsets), then "
        f"run this again{LEFT_OVER}"
    )
    assert sentences(cluster, overlay(pods={})) == []


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


def test_pods_of_a_subnet_that_stays(cluster):
    """Protects dual stack: the rule is that of the rows, which looks at the subnets that are lost."""
    cluster.dual().on(NODE1, ovn_node_subnet=[SUBNET, "fd10:0:0:7::/64"])
    both = {"subnets": [SUBNET, "fd10:0:0:1::/64"]}
    assert sentences(cluster, overlay(**both)) == []
    (words,) = sentences(cluster, overlay(**both, pods=pods("demo/a", subnet="fd10:0:0:1::/64")))
    assert "(demo/a)" in words


def test_ports_that_an_older_watcher_wrote(cluster):
    """Protects deployments from before ports said which pods a drain leaves: no drain ends these pods, and a site run
    that changes nothing marks them."""
    cluster.on(NODE1, ovn_node_subnet="192.168.77.0/24")
    (words,) = sentences(cluster, {**overlay(), "pods_marked": False})
    assert "first run ovn.kubernetes.site once without this change" in words
    (words,) = sentences(cluster, overlay())
    assert "without this change" not in words
