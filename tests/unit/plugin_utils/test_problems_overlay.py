# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects hosts: what the databases would refuse is refused before any host is changed."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.filter.former_names import former_names
from ansible_collections.ovn.kubernetes.plugins.filter.problems import problems

NODE1, NODE2 = "ovn-node1", "ovn-node2"


def gateway(number, **more):
    return {"physical_ips": [f"10.55.9.{number}/24"], "join_ips": [f"100.64.0.{number}"], "alive": True, **more}


def found(cluster, **overlay):
    known = {"nodes": {}, "gateways": {}, "chassis": {}, **overlay}
    return problems(cluster.hostvars, cluster.groups, known, gathered=cluster.hostvars)


def test_gateways_that_are_gone_count(cluster):
    """Protects a new gateway: the join network has no address for it while gateways that are gone have them."""
    cluster.everywhere(ovn_join_subnet="100.64.0.0/29")
    stale = {f"old{number}": gateway(number) for number in (2, 3, 4, 5, 6)}
    (sentence,) = found(cluster, gateways=stale)
    assert sentence.endswith(
        'ovn_join_subnet "100.64.0.0/29" has no address left for gateway ovn-node1: remove the gateways that the '
        "inventory does not have, ansible-playbook ovn.kubernetes.remove -e ovn_remove_hosts=old2,old3,old4,old5,old6, "
        "or give all gateways room in ovn_join_subnet"
    )
    del stale["old4"]
    assert found(cluster, gateways=stale) == []
    assert found(cluster, gateways={**stale, NODE1: gateway(4)}) == []


def test_a_join_network_that_one_gateway_would_not_move_into(cluster):
    """Protects a gateway of the database alone, whose address would be in no join network any more."""
    cluster.everywhere(ovn_join_subnet="100.70.0.0/24")
    (sentence,) = found(cluster, gateways={NODE1: gateway(2), "old3": gateway(3)})
    assert "differs from the current one, and gateway old3 would keep its old address" in sentence
    assert found(cluster, gateways={NODE1: gateway(2)}) == []


def test_an_address_of_a_gateway_that_is_gone(cluster):
    """Protects addresses on the physical network: two routers would answer for one."""
    (sentence,) = found(cluster, gateways={"old3": gateway(3, physical_ips=["10.55.0.12/24"])})
    assert sentence.startswith(f'{NODE1}: ovn_gateway_ip "10.55.0.12/24" is gateway old3\'s already')


def test_a_renamed_gateway_is_not_gone(cluster):
    """Protects renames: the gateway under its old name is the host's own."""
    cluster.with_facts()
    cluster.everywhere(ovn_join_subnet="100.64.0.0/30")
    overlay = {
        "nodes": {"older": {"subnets": ["192.168.1.0/24"], "chassis": "id-1", "encap_ips": ["10.44.0.12"]}},
        "gateways": {"older": gateway(2, physical_ips=["10.55.0.12/24"])},
    }
    assert found(cluster, **overlay) == []


def test_subnets_of_the_databases_count(cluster):
    """Protects a node that only the database knows."""
    cluster.on(NODE2, ovn_node_subnet="192.168.1.0/24")
    nodes = {"old3": {"subnets": ["192.168.1.0/24"], "chassis": "id-3", "encap_ips": []}}
    (sentence,) = found(cluster, nodes=nodes)
    assert "the node old3 that is not in the inventory" in sentence


def test_a_clone_of_a_host_that_the_run_leaves_out(cluster):
    """Protects the first one in a run with --limit: its system-id is known from the databases. A host whose own
    system-id is known is no original of it any more."""
    nodes = {NODE1: {"subnets": ["192.168.1.0/24"], "chassis": "id-1", "encap_ips": ["10.44.0.12"]}}
    cluster.own(NODE2, system_id="id-1")
    (sentence,) = found(cluster, nodes=nodes)
    assert sentence.startswith(
        f'{NODE2}: its system-id "id-1" is that of {NODE1} in the databases: give the clone its own'
    )
    assert found(cluster.own(NODE1, system_id="id-9"), nodes=nodes) == []
    cluster.own(NODE1).own(NODE2)
    # Under another name: it is the host itself.
    assert found(cluster.own(NODE1, system_id="id-1"), nodes={"older": nodes[NODE1]}) == []


def former(cluster, **overlay):
    return former_names(cluster.hostvars, cluster.groups, overlay, cluster.hostvars)


def test_a_new_name_and_another_subnet_in_one_run(cluster):
    """Protects a renamed host from a run that stops in its middle, and from the advice for a clone: its own file has
    the old name, and no other host the old address. What nobody can tell is refused before any change."""
    cluster.with_facts().on(NODE1, ovn_node_subnet="192.168.9.0/24").own(NODE1, system_id="id-1")
    nodes = {"older": {"subnets": ["192.168.1.0/24"], "chassis": "id-1", "encap_ips": ["10.44.0.12"]}}
    (sentence,) = found(cluster, nodes=nodes)
    assert sentence.startswith(
        f'{NODE1}: its system-id "id-1" is that of node older with subnet 192.168.1.0/24, and it'
    )
    assert "first run site with the new name and ovn_node_subnet 192.168.1.0/24" in sentence
    assert former(cluster, nodes=nodes) == {}
    cluster.own(NODE1, system_id="id-1", node="older", subnets=["192.168.1.0/24"])
    assert found(cluster, nodes=nodes) == []
    assert former(cluster, nodes=nodes) == {NODE1: "older"}
    # Another host has the address: this one is the clone.
    nodes["older"]["encap_ips"] = ["10.44.0.13"]
    assert former(cluster, nodes=nodes) == {}


def test_a_new_name_and_another_address_in_one_run(cluster):
    """Protects a renamed host with a new address from a refusal in the middle of the run, and from advice that does not
    work: while ovn-controller runs, a chassis that was deleted comes again."""
    cluster.with_facts().own(NODE1, system_id="id-1")
    nodes = {"older": {"subnets": ["192.168.1.0/24"], "chassis": "id-1", "encap_ips": ["10.44.0.99"]}}
    chassis = {"id-1": {"hostname": "older", "encap_ips": ["10.44.0.99"]}}
    (sentence,) = found(cluster, nodes=nodes, chassis=chassis)
    assert sentence.startswith(
        f'{NODE1}: its system-id "id-1" is registered by older with the tunnel address 10.44.0.99'
    )
    assert sentence.endswith(
        "stop ovn-controller there, delete its chassis on a master (ovn-sbctl chassis-del id-1), and run this again"
    )
    cluster.own(NODE1, system_id="id-1", node="older", subnets=["192.168.1.0/24"])
    assert found(cluster, nodes=nodes, chassis=chassis) == []
    assert former(cluster, nodes=nodes) == {NODE1: "older"}
    cluster.own(NODE1, system_id="id-1", node=NODE1, subnets=["192.168.1.0/24"])
    assert found(cluster, nodes=nodes, chassis=chassis) == []  # its first run under this name has been
