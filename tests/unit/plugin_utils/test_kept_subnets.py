# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects running pods: a node keeps its subnet when the database has lost it, and who contradicts that is refused."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ovn.kubernetes.plugins.filter.node_names import node_names
from ansible_collections.ovn.kubernetes.plugins.filter.node_subnets import node_subnets
from ansible_collections.ovn.kubernetes.plugins.filter.problems import problems
from ansible_collections.ovn.kubernetes.plugins.filter.removal_settings import removal_settings
from ansible_collections.ovn.kubernetes.plugins.filter.settings import settings
from ansible_collections.ovn.kubernetes.plugins.filter.verification import verification

MASTER, NODE1, NODE2 = "ovn-master", "ovn-node1", "ovn-node2"
FILE = "/etc/ovn-kubernetes/node.json"


def planned(cluster, existing=None, **known):
    overlay = cluster.overlay(existing, **known)
    return node_subnets(cluster.hostvars, cluster.groups, overlay, cluster.hostvars)


def refused(cluster, existing=None, **known):
    with pytest.raises(AnsibleFilterError) as failure:
        planned(cluster, existing, **known)
    return str(failure.value).split(": ", 1)[1]


def found(cluster, overlay=None):
    return problems(cluster.hostvars, cluster.groups, overlay, gathered=cluster.hostvars)


def test_a_lost_database_and_a_new_host(cluster):
    """Protects all pods after the loss of the database: hosts say what they have, and the new one, first in the order
    of names, gets what nobody has."""
    cluster.own(NODE1, node=NODE1, subnets=["192.168.0.0/24"]).own(NODE2, node=NODE2, subnets=["192.168.1.0/24"])
    assert planned(cluster) == {MASTER: ["192.168.2.0/24"], NODE1: ["192.168.0.0/24"], NODE2: ["192.168.1.0/24"]}


def test_who_is_believed(cluster):
    """Protects the order: inventory, switch, the host itself, the router's port, and only then a free subnet."""
    own = {host: f"192.168.{number}.0/24" for number, host in enumerate((MASTER, NODE1, NODE2), 10)}
    for host, subnet in own.items():
        cluster.own(host, node=host, subnets=[subnet])
    ports = {host: [f"192.168.{number}.0/24"] for number, host in enumerate((MASTER, NODE1, NODE2), 20)}
    cluster.on(MASTER, ovn_node_subnet="192.168.30.0/24")
    assert planned(cluster, {NODE1: ["192.168.40.0/24"]}, leftovers=ports) == {
        MASTER: ["192.168.30.0/24"],
        NODE1: ["192.168.40.0/24"],
        NODE2: ["192.168.12.0/24"],
    }
    cluster.own(NODE2)
    assert planned(cluster, leftovers=ports)[NODE2] == ["192.168.22.0/24"]
    assert planned(cluster)[NODE2] == ["192.168.0.0/24"]


def test_both_families_are_kept(cluster):
    """Protects dual stack; a family that the host does not have yet is planned."""
    cluster.dual().own(NODE1, node=NODE1, subnets=["192.168.7.0/24"])
    cluster.own(NODE2, node=NODE2, subnets=["192.168.8.0/24", "fd10:0:0:9::/64"])
    plan = planned(cluster)
    assert plan[NODE1] == ["192.168.7.0/24", "fd10:0:0:1::/64"] and plan[NODE2] == ["192.168.8.0/24", "fd10:0:0:9::/64"]


def test_a_subnet_that_a_host_has_is_not_given_away(cluster):
    """Protects a running node: neither the inventory nor another host's settings take its subnet."""
    cluster.own(NODE1, node=NODE1, subnets=["192.168.5.0/24"])
    assert refused(cluster.on(NODE2, ovn_node_subnet="192.168.5.128/25")) == (
        f'{NODE2}: ovn_node_subnet "192.168.5.128/25" overlaps "192.168.5.0/24", which {NODE1} itself has saved as its '
        f"own ({FILE}): choose a free subnet, or give {NODE1} another ovn_node_subnet"
    )
    cluster.without(NODE2, "ovn_node_subnet")
    assert refused(cluster, {NODE2: ["192.168.5.0/24"]}).startswith(
        f'{NODE1}: its pods\' subnet "192.168.5.0/24", which {NODE1} itself has saved as its own ({FILE}), overlaps '
        f'"192.168.5.0/24" of {NODE2}: '
    )
    cluster.own(NODE2, node=NODE2, subnets=["192.168.5.0/24"])
    assert refused(cluster).startswith(f"{NODE2}: its pods' subnet")
    assert planned(cluster.on(NODE2, ovn_node_subnet="192.168.6.0/24"))[NODE1] == ["192.168.5.0/24"]


def test_damaged_settings_are_no_new_subnet(cluster):
    """Protects pods of a host whose file is damaged: nobody guesses. Where another knows the subnet, it is not
    needed."""
    cluster.own(NODE1, problem=f"{FILE}, which says what subnet the host's pods have, can't be read: it is no JSON")
    assert refused(cluster) == (
        f"{NODE1}: {FILE}, which says what subnet the host's pods have, can't be read: it is no JSON: set "
        "ovn_node_subnet, or remove the file where no pods run"
    )
    assert planned(cluster, {NODE1: ["192.168.5.0/24"]})[NODE1] == ["192.168.5.0/24"]
    assert planned(cluster.on(NODE1, ovn_node_subnet="192.168.6.0/24"))[NODE1] == ["192.168.6.0/24"]


def test_another_cluster_network_counts_for_all(cluster):
    """Protects a cluster whose network was changed: what is outside of it is not kept."""
    cluster.own(NODE1, node=NODE1, subnets=["10.1.5.0/24", "nonsense"])
    assert planned(cluster)[NODE1] == ["192.168.1.0/24"]


def test_a_host_with_a_new_name_and_a_new_address(cluster):
    """Protects a host that has both: it is known by its system-id, and keeps its subnet."""
    cluster.own(NODE1, system_id="id-1")
    plan = planned(cluster, {"older": ["192.168.5.0/24"], NODE2: ["192.168.6.0/24"]}, chassis={"older": "id-1"})
    assert plan[NODE1] == ["192.168.5.0/24"]


def test_nodes_that_are_gone_are_named_when_there_is_no_room(cluster):
    """Protects the reader: not the network is too small, but nodes that are gone hold it; the command is there."""
    cluster.everywhere(ovn_cluster_subnet="192.168.0.0/22")
    held = {"old2": ["192.168.1.0/24"], "old10": ["192.168.2.0/24"], NODE1: ["192.168.3.0/24"]}
    assert refused(cluster, held) == (
        'ovn_cluster_subnet "192.168.0.0/22" is exhausted: it has room for 4 node subnets of /24, the inventory has 3 '
        "hosts, and 1 of them can get none: the databases hold subnets for old2, old10, which the inventory does not "
        "have; remove those that are gone, ansible-playbook ovn.kubernetes.remove -e ovn_remove_hosts=old2,old10"
    )


def test_clones_are_refused_with_the_first_facts(cluster):
    """Protects the first one of two hosts with one system-id, before anything is changed on either."""
    cluster.with_facts().own(NODE1, system_id="id-1").own(NODE2, system_id="id-1").own(MASTER)
    (sentence,) = found(cluster)
    assert sentence.startswith(f'{NODE2}: its system-id "id-1" is also that of {NODE1}, as on a clone: give the clone')
    assert found(cluster.own(NODE2, system_id="id-2")) == []


def test_what_hosts_have_saved_is_judged_beside_the_databases(cluster):
    """Protects a healthy deployment: before the databases are asked nobody knows whether a host's file is needed. A
    damaged one is not, and neither is that of a host that was off while it was removed: that one is named."""
    cluster.with_facts().own(NODE1, problem=f"{FILE} is damaged")
    assert found(cluster) == [] == found(cluster, cluster.overlay({NODE1: ["192.168.5.0/24"]}))
    assert found(cluster, cluster.overlay()) == [
        f"{NODE1}: {FILE} is damaged: set ovn_node_subnet, or remove the file where no pods run"
    ]
    cluster.own(NODE1, node=NODE1, subnets=["192.168.5.0/24"]).own(NODE2, node=NODE2, subnets=["192.168.5.0/24"])
    assert found(cluster) == []
    assert found(cluster, cluster.overlay({NODE2: ["192.168.5.0/24"]})) == [
        f'{NODE1}: its pods\' subnet "192.168.5.0/24", which {NODE1} itself has saved as its own ({FILE}), overlaps '
        f'"192.168.5.0/24" of {NODE2}: set ovn_node_subnet for {NODE1}, or remove {FILE} there if it is from before '
        "the host was removed or cloned"
    ]


@pytest.mark.parametrize("known", [{}, {NODE1: ["192.168.5.0/24"]}, {"gone": ["192.168.5.0/24"]}])
def test_a_clone_has_the_file_of_its_original(cluster, known):
    """Protects who gives a clone its own system-id, as the refusal says: the subnet in its file is another node's."""
    original = "gone" if "gone" in known else NODE1
    if original == NODE1:
        cluster.own(NODE1, system_id="id-1", node=NODE1, subnets=["192.168.5.0/24"])
    cluster.own(NODE2, system_id="id-2", node=original, subnets=["192.168.5.0/24"])
    overlay = cluster.overlay(known, chassis={"gone": "id-1"} if original == "gone" else None)
    assert found(cluster, overlay) == []
    assert planned(cluster, known)[NODE2] != ["192.168.5.0/24"]
    assert planned(cluster.own(NODE2, node="older", subnets=["192.168.6.0/24"]), known)[NODE2] == ["192.168.6.0/24"]


def test_old_facts_of_a_cache_say_nothing(cluster):
    """Protects runs with fact_caching: what hosts said of their nodes in an earlier run stops nobody, and is no
    subnet."""
    cluster.with_facts().own(NODE1, system_id="id-1").own(NODE2, system_id="id-1", node=NODE2, subnets=["10.0.0.0/24"])
    cluster.own(MASTER, node=MASTER, subnets=["192.168.9.0/24"])
    assert len(found(cluster)) == 1
    assert problems(cluster.hostvars, cluster.groups) == []
    overlay = cluster.overlay({NODE1: ["192.168.1.0/24"]}, chassis={NODE1: "id-1"})
    assert problems(cluster.hostvars, cluster.groups, overlay, gathered=[NODE1]) == []
    assert node_subnets(cluster.hostvars, cluster.groups, overlay, [NODE1])[MASTER] == ["192.168.0.0/24"]


def test_a_new_host_with_the_address_of_one_that_is_gone(cluster):
    """Protects the rows of a host that died: a host with its address and another system-id is another host. Where one
    of the two is not known, the address decides."""
    cluster.with_facts().own(NODE1, system_id="new")
    known, at = {"old3": ["192.168.5.0/24"]}, {"old3": ["10.44.0.12"]}
    assert planned(cluster, known, tunnels=at, chassis={"old3": "old"})[NODE1] == ["192.168.1.0/24"]
    assert planned(cluster, known, tunnels=at, chassis={"old3": "new"})[NODE1] == ["192.168.5.0/24"]
    assert planned(cluster, known, tunnels=at)[NODE1] == ["192.168.5.0/24"]
    cluster.own(NODE1)
    assert planned(cluster, known, tunnels=at, chassis={"old3": "old"})[NODE1] == ["192.168.5.0/24"]


def test_a_host_that_is_off_and_whose_name_is_made_from_facts(cluster):
    """Protects the other hosts: it is left out, and keeps what the database has for it."""
    everywhere = {"ovn_node_name": "{{ ansible_facts['hostname'] }}"}
    cluster.with_facts()
    for host in (MASTER, NODE1):
        cluster.on(host, ovn_node_name=f"k-{host}")
    overlay = cluster.overlay({"k-ovn-node2": ["192.168.0.0/24"]})
    cluster.on(NODE2, **everywhere, ansible_facts={})
    assert found(cluster, overlay) == []
    plan = node_subnets(cluster.hostvars, cluster.groups, overlay, cluster.hostvars)
    assert plan == {MASTER: ["192.168.1.0/24"], NODE1: ["192.168.2.0/24"]}
    assert node_names(cluster.hostvars, cluster.groups) == {MASTER: "k-ovn-master", NODE1: "k-ovn-node1"}
    assert list(settings(cluster.hostvars, cluster.groups, only_with_facts=True)) == [MASTER, NODE1]
    removal = removal_settings(cluster.hostvars, cluster.groups)
    assert {host: one["node_name"] for host, one in removal.items()} == {
        MASTER: "k-ovn-master",
        NODE1: "k-ovn-node1",
        NODE2: "",
    }
    seen = verification(cluster.hostvars, cluster.groups, {}, overlay, cluster.hostvars, [MASTER, NODE1])
    assert seen["problems"] == [] and set(seen["settings"]) == {MASTER, NODE1}


def test_a_subnet_that_only_pods_know(cluster):
    """Protects pods whose node was deleted from the database, with its host's file gone too: their annotations say
    what the subnet was. Others are asked first, what is outside of the cluster is nobody's, and nobody guesses."""
    cluster.own(NODE1).own(NODE2)
    overlay = cluster.overlay()
    overlay["pod_subnets"] = {
        NODE1: ["10.9.0.0/24", "192.168.5.0/24"],
        NODE2: ["192.168.0.0/24"],
        "gone": ["10.0.0.0/8"],
    }

    def plan():
        return node_subnets(cluster.hostvars, cluster.groups, overlay, cluster.hostvars)

    assert plan() == {MASTER: ["192.168.1.0/24"], NODE1: ["192.168.5.0/24"], NODE2: ["192.168.0.0/24"]}
    overlay["leftover_subnets"] = {NODE1: ["192.168.6.0/24"]}
    assert plan()[NODE1] == ["192.168.6.0/24"]
    overlay["leftover_subnets"] = {}
    overlay["pod_subnets"][NODE1].append("192.168.7.0/24")
    assert found(cluster, overlay) == [
        f"{NODE1}: its pods have addresses of several subnets (192.168.5.0/24, 192.168.7.0/24): set ovn_node_subnet"
    ]
    cluster.on(NODE1, ovn_node_subnet="192.168.7.0/24")
    assert plan()[NODE1] == ["192.168.7.0/24"]
