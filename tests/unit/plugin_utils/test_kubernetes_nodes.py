# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods from waiting for ever: a host has the name that Kubernetes has for it, or the play says so."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ovn.kubernetes.plugins.filter.node_names import node_names
from ansible_collections.ovn.kubernetes.plugins.filter.problems import problems
from ansible_collections.ovn.kubernetes.plugins.filter.unjoined_nodes import unjoined_nodes

MASTER, NODE1, NODE2 = "ovn-master", "ovn-node1", "ovn-node2"
FULL = "Ubuntu1.example.net"


def names(cluster):
    return node_names(cluster.hostvars, cluster.groups)


@pytest.fixture
def kubespray(cluster):
    """The cluster with one host that kubespray has made a node, under its full name."""
    cluster.groups["ovn_nodes"].append(FULL)
    cluster.groups["k8s_cluster"] = [FULL]
    return cluster.on(FULL, ovn_cluster_subnet="192.168.0.0/16")


def test_kubespray_names_its_hosts(kubespray):
    """Protects kubespray's inventories: it registers a host as kube_override_hostname, which is by default the
    inventory's name. Hosts that it does not know have the short name, as everywhere."""
    kubespray.groups["ovn_nodes"].append("other.example.net")
    kubespray.on("other.example.net", ovn_cluster_subnet="192.168.0.0/16", kube_override_hostname="")
    assert (names(kubespray)[FULL], names(kubespray)["other.example.net"]) == ("ubuntu1.example.net", "other")
    kubespray.on(FULL, kube_override_hostname="Blue").on("other.example.net", kube_override_hostname="red.example.net")
    assert (names(kubespray)[FULL], names(kubespray)["other.example.net"]) == ("blue", "red.example.net")
    assert names(kubespray.on(FULL, ovn_node_name="green"))[FULL] == "green"
    kubespray.without(FULL, "ovn_node_name").on(FULL, kube_override_hostname="not_a_name")
    with pytest.raises(
        AnsibleFilterError, match='ovn_node_name is not set, and kube_override_hostname "not_a_name" is'
    ):
        names(kubespray)


def test_a_node_under_the_other_form_of_its_name(cluster):
    """Protects against overlays that Kubernetes never uses: refused, with the name to set."""

    def found(*nodes):
        return problems(cluster.hostvars, cluster.groups, overlay={"kubernetes_nodes": list(nodes)})

    assert found(NODE1, NODE2) == [] == problems(cluster.hostvars, cluster.groups, overlay={"kubernetes_nodes": None})
    assert found(f"{NODE1}.example.net", NODE2) == [
        f'{NODE1}: ovn_node_name is not set, and its default "{NODE1}" is no node of Kubernetes, which has '
        f'"{NODE1}.example.net": set ovn_node_name to it, or its pods would wait for ever'
    ]
    cluster.on(NODE2, ovn_node_name=f"{NODE2}.example.net")
    (sentence,) = found(NODE1, NODE2)
    assert sentence.startswith(
        f'{NODE2}: ovn_node_name "{NODE2}.example.net" is no node of Kubernetes, which has "{NODE2}"'
    )
    # That node is another host of the inventory.
    assert found(NODE1, "ovn-node2.other.net") == [] == found(NODE1)


def test_hosts_that_have_not_joined(cluster):
    """Protects plays before the kubelets: said, and no error. Masters that run no pods need no node."""

    def said(*nodes):
        return unjoined_nodes(cluster.hostvars, cluster.groups, list(nodes))

    assert problems(cluster.hostvars, cluster.groups, overlay={"kubernetes_nodes": []}) == []
    assert said(NODE1, NODE2) == [] == unjoined_nodes(cluster.hostvars, cluster.groups, None)
    assert said(NODE1) == [
        f"{NODE2}: Kubernetes has no node of this name yet; if it has another name there, set ovn_node_name"
    ]
    assert said(NODE1, "ovnnode2")[0].endswith('; Kubernetes has "ovnnode2", which no host of the inventory is')
    assert said(f"{NODE1}.example.net", NODE2) == []  # an error already
