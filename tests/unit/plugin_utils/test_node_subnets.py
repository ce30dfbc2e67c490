# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the plan of node subnets: no two nodes share one, no node changes its subnet without need, and errors name
the reason."""

from __future__ import annotations

import ipaddress
import itertools
import random
import time

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.ovn.kubernetes.plugins.filter.node_subnets import node_subnets

MASTER, NODE1, NODE2 = "ovn-master", "ovn-node1", "ovn-node2"


def planned(cluster, existing=None):
    return node_subnets(cluster.hostvars, cluster.groups, cluster.overlay(existing))


def check(plan, cluster_subnets, existing=None):
    """Check what is true for each correct plan."""
    networks = [ipaddress.ip_network(text) for subnets in plan.values() for text in subnets]
    outer = [ipaddress.ip_network(text) for text in cluster_subnets]
    for subnets in plan.values():
        assert [ipaddress.ip_network(text).version for text in subnets] == [network.version for network in outer]
    for network in networks:
        assert any(network.subnet_of(one) for one in outer if one.version == network.version)
    foreign = [
        ipaddress.ip_network(text) for node, subnets in (existing or {}).items() if node not in plan for text in subnets
    ]
    for one, other in itertools.combinations(
        sorted(networks + foreign, key=lambda network: (network.version, network)), 2
    ):
        assert one.version != other.version or not one.overlaps(other)


def test_lowest_first_by_name(many):
    """Protects the order that readers expect: node2 before node10, and the network's first subnet first."""
    plan = planned(many(11))
    assert plan == {f"host{index}": [f"10.0.{index}.0/24"] for index in range(11)}


def test_every_ovn_host_gets_one_and_others_none(cluster):
    """Protects masters and gateways, which are chassis too; and hosts outside the three groups, which get none."""
    assert planned(cluster) == {MASTER: ["192.168.0.0/24"], NODE1: ["192.168.1.0/24"], NODE2: ["192.168.2.0/24"]}
    assert node_subnets({}, {}) == {}


def test_set_then_existing_then_free(cluster):
    """Protects the order of the rules; the database's subnet of a node is found by its name in lower case."""
    cluster.on(NODE1, ovn_node_name="Node-One").on(MASTER, ovn_node_subnet="192.168.1.0/24")
    assert planned(cluster, {"node-one": ["192.168.9.0/25"]}) == {
        MASTER: ["192.168.1.0/24"],
        NODE1: ["192.168.9.0/25"],
        NODE2: ["192.168.0.0/24"],
    }


def test_a_subnet_of_a_node_is_not_set_for_another(cluster):
    """Protects a host's running pods against an inventory that sets their subnet for another host. A host that is set
    to another one itself changes its subnet."""
    cluster.on(MASTER, ovn_node_subnet="192.168.1.0/25")
    held = {MASTER: ["192.168.0.0/24"], NODE1: ["192.168.1.0/24"], NODE2: ["192.168.2.0/24"]}
    with pytest.raises(
        AnsibleFilterError,
        match=r'ovn-master: ovn_node_subnet "192.168.1.0/25" overlaps "192.168.1.0/24", which the northbound '
        r"database holds for ovn-node1: choose a free subnet, or give ovn-node1 another ovn_node_subnet",
    ):
        planned(cluster, held)
    cluster.on(NODE1, ovn_node_subnet="192.168.0.0/24")
    assert planned(cluster, held) == {MASTER: ["192.168.1.0/25"], NODE1: ["192.168.0.0/24"], NODE2: ["192.168.2.0/24"]}


def test_a_subnet_outside_the_cluster_network_is_planned_again(cluster):
    """Protects a cluster whose network was changed."""
    assert planned(cluster, {NODE1: ["10.9.0.0/24"]})[NODE1] == ["192.168.1.0/24"]


def test_unknown_nodes_keep_their_subnets(cluster):
    """Protects nodes that the inventory does not know: no host gets their subnets."""
    held = {
        "gone": ["192.168.0.0/24"],
        "wide": "192.168.2.0/23",
        "nested": ["192.168.3.0/25"],
        "odd": ["rubbish", ""],
        "none": None,
    }
    plan = planned(cluster, held)
    assert plan == {MASTER: ["192.168.1.0/24"], NODE1: ["192.168.4.0/24"], NODE2: ["192.168.5.0/24"]}
    cluster.on(NODE1, ovn_node_subnet="192.168.0.0/24")
    with pytest.raises(
        AnsibleFilterError, match=r"ovn-node1: ovn_node_subnet .* which the northbound database holds for the node gone"
    ):
        planned(cluster, held)


def test_the_plan_avoids_subnets_of_another_size(cluster):
    """Protects existing subnets against a plan with smaller ones, which would be inside them."""
    assert planned(cluster, {"wide": ["192.168.0.0/22"]})[MASTER] == ["192.168.4.0/24"]


def test_two_hosts_set_to_one_subnet(cluster):
    """Protects against a plan that uses one subnet twice, also when the inventory was not validated before."""
    cluster.on(NODE1, ovn_node_subnet="192.168.4.0/24").on(NODE2, ovn_node_subnet="192.168.4.0/25")
    with pytest.raises(
        AnsibleFilterError,
        match=r'ovn-node2: ovn_node_subnet "192\.168\.4\.0/25" overlaps "192\.168\.4\.0/24" of ovn-node1',
    ):
        planned(cluster)


def test_two_nodes_with_one_existing_subnet(cluster):
    """Protects against a database that has a subnet twice: the first host keeps it, the other one gets a new one."""
    assert planned(cluster, {NODE1: ["192.168.1.0/24"], NODE2: ["192.168.1.0/24"]}) == {
        MASTER: ["192.168.0.0/24"],
        NODE1: ["192.168.1.0/24"],
        NODE2: ["192.168.2.0/24"],
    }


def test_dual_stack(cluster):
    """Protects both families, and the order in which the user named them."""
    assert planned(cluster.dual()) == {
        MASTER: ["192.168.0.0/24", "fd10::/64"],
        NODE1: ["192.168.1.0/24", "fd10:0:0:1::/64"],
        NODE2: ["192.168.2.0/24", "fd10:0:0:2::/64"],
    }
    cluster.everywhere(ovn_cluster_subnet=["fd10::/48", "192.168.0.0/16"], ovn_node_subnet_prefix=[26, 80])
    assert planned(cluster)[NODE1] == ["fd10::1:0:0:0/80", "192.168.0.64/26"]


def test_a_second_family_is_added(cluster):
    """Protects the IPv4 subnets of a cluster that becomes dual stack."""
    assert planned(cluster.dual(), {NODE2: ["192.168.77.0/24"]})[NODE2] == ["192.168.77.0/24", "fd10:0:0:2::/64"]


@pytest.mark.parametrize(
    ("subnet", "prefix", "first"),
    [
        ("192.168.0.0/16", 26, "192.168.0.0/26"),
        ("192.168.0.0/16", "26", "192.168.0.0/26"),
        ("fd10::/48", 72, "fd10::/72"),
        ("fd10::/48", [24, 72], "fd10::/72"),
        ("192.168.0.0/16", [26, 72], "192.168.0.0/26"),
        (["192.168.0.0/16", "fd10::/48"], 26, "192.168.0.0/26"),
    ],
)
def test_what_the_prefix_means(cluster, subnet, prefix, first):
    """Protects the meaning of one number and of two."""
    assert planned(cluster.everywhere(ovn_cluster_subnet=subnet, ovn_node_subnet_prefix=prefix))[MASTER][0] == first
    if isinstance(subnet, list):
        assert planned(cluster)[MASTER][1] == "fd10::/64"


@pytest.mark.parametrize(
    ("subnet", "number", "text"),
    [
        (
            "192.168.0.0/23",
            3,
            'ovn_cluster_subnet "192.168.0.0/23" is exhausted: it has room for 2 node subnets of /24, the '
            "inventory has 3 hosts, "
            "and 1 of them can get none: set ovn_node_subnet_prefix to 25, or a wider ovn_cluster_subnet",
        ),
        (
            "192.168.0.0/28",
            3,
            "it has room for 0 node subnets of /24, the inventory has 3 hosts, and 3 of them can get none: set a "
            "wider ovn_cluster_subnet",
        ),
        (
            "fd10::/64",
            5,
            "it has room for 1 node subnet of /64, the inventory has 5 hosts, and 4 of them can get none: set "
            "ovn_node_subnet_prefix to 67",
        ),
    ],
)
def test_exhausted(many, subnet, number, text):
    """Protects the user whose network is full: how many fit, how many are needed, what to set."""
    with pytest.raises(AnsibleFilterError) as error:
        planned(many(number, ovn_cluster_subnet=subnet))
    assert text in str(error.value)


def test_the_advice_on_exhaustion_is_right(many):
    """Protects against advice that does not help."""
    assert len(planned(many(5, ovn_cluster_subnet="fd10::/64", ovn_node_subnet_prefix=67))) == 5


def test_unset_cluster_subnet(cluster):
    """Protects against a plan without a network."""
    for variables in cluster.hostvars.values():
        variables.pop("ovn_cluster_subnet", None)
    with pytest.raises(AnsibleFilterError, match="ovn-master: ovn_cluster_subnet is not set"):
        planned(cluster)


@pytest.mark.parametrize("seed", range(25))
def test_no_node_changes_when_others_are_added_and_removed(many, seed):
    """Protects running pods: hosts keep their subnets, whatever other hosts are added, removed or set to a free one."""
    dice = random.Random(seed)
    subnets = dice.choice([["10.0.0.0/19"], ["fd10::/58"], ["10.0.0.0/19", "fd10::/58"]])
    held = {}
    hosts = {f"host{index}" for index in range(dice.randrange(1, 12))}
    given = {}
    for _round in range(12):
        cluster = many(0)
        cluster.groups = {"ovn_masters": [], "ovn_nodes": dice.sample(sorted(hosts), len(hosts)), "ovn_gateways": []}
        cluster.hostvars = {host: {"ovn_cluster_subnet": subnets, **given.get(host, {})} for host in hosts}
        plan = planned(cluster, held)
        assert set(plan) == hosts
        check(plan, subnets, held)
        for host in hosts & set(held) - set(given):
            assert plan[host] == held[host]
        for host in hosts & set(given):
            assert plan[host] == given[host]["ovn_node_subnet"]
        assert planned(cluster, plan | {node: held[node] for node in held if node not in plan}) == plan

        # Next round: some leave and are removed, some leave and stay in the database, some come, some are given the
        # last of the free ones.
        held = {**{node: value for node, value in held.items() if dice.random() < 0.5}, **plan}
        for host in sorted(hosts):
            if dice.random() < 0.3:
                hosts.discard(host)
                if dice.random() < 0.5:
                    held.pop(host)
        for _new in range(dice.randrange(4)):
            new = f"host{dice.randrange(100)}"
            hosts.add(new)
            if dice.random() < 0.3 and new not in held and not given:
                given[new] = {
                    "ovn_node_subnet": [
                        text.replace("10.0.0.0/19", "10.0.31.0/24").replace("fd10::/58", "fd10:0:0:3f::/64")
                        for text in subnets
                    ]
                }


def test_without_a_database_the_plan_is_the_same_each_time(cluster):
    """Protects --check on bare hosts: the order of the inventory does not matter."""
    plan = planned(cluster)
    for group in cluster.groups.values():
        group.reverse()
    cluster.hostvars = dict(reversed(cluster.hostvars.items()))
    assert planned(cluster) == plan


def test_a_thousand_hosts_are_planned_quickly(many):
    """Protects large inventories, with a database that holds half of them and many others; the bound is several times
    what it takes. It is processor time, so that a busy machine does not matter."""
    held = {f"host{index}": [f"10.{10 + index // 256}.{index % 256}.0/24"] for index in range(500)}
    held.update((f"gone{index}", [f"10.0.{index}.0/25"]) for index in range(0, 256, 2))
    cluster = many(1000)
    start = time.process_time()
    plan = planned(cluster, held)
    assert time.process_time() - start < 3
    assert len({text for subnets in plan.values() for text in subnets}) == 1000
    assert plan["host0"] == ["10.10.0.0/24"]
    assert plan["host500"] == ["10.0.1.0/24"]
