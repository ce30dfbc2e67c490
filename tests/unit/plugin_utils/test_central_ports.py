# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who is let in to the ports of the databases, and who is shut out: no master loses the others, and no run
gives a host that is not trusted any more what it needs."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.filter.central_ports import central_ports

from .conftest import MASTER, NODE1, NODE2


def ports(cluster, gathered=None):
    return central_ports(cluster.hostvars, cluster.groups, gathered)


def test_masters_are_let_in_at_all_their_addresses(cluster):
    """Protects masters with several NICs: nothing says from which address one connects. Addresses of the overlay and of
    the other IP version are none of them."""
    cluster.groups.update(ovn_masters=[MASTER, NODE1], ovn_gateways=[])
    cluster.with_facts().everywhere(ovn_service_subnet="10.77.0.0/16")
    addresses = ["10.44.0.11", "10.44.0.12", "10.66.0.11", "10.66.0.12"]
    assert ports(cluster) == {"masters": addresses, "withdrawn": [], "complete": True}
    cluster.on(MASTER, ovn_encap_ip="fd44::a").on(NODE1, ovn_encap_ip="fd44::b")
    assert ports(cluster)["masters"] == ["fd44::a", "fd44::b", "fd44::11", "fd44::12"]


def test_addresses_that_a_gateway_takes_from_the_host(cluster):
    """Protects the second run, which has nothing to do, and the ports: outside, pods have these addresses."""
    cluster.groups["ovn_masters"] = [MASTER, NODE1]
    cluster.groups["ovn_gateways"] = [NODE1]
    cluster.with_facts().on(NODE1, ovn_gateway_interface="eth1")
    found = ports(cluster)["masters"]
    assert "10.66.0.12" not in found and "10.66.0.11" in found
    del cluster.hostvars[NODE1]["ansible_facts"]["eth1"]["ipv4"]
    cluster.hostvars[NODE1]["ansible_facts"]["all_ipv4_addresses"].remove("10.66.0.12")
    assert ports(cluster)["masters"] == found


def test_a_master_that_is_off(cluster):
    """Protects a master whose facts are not known now: the run says so, and the table keeps what it has."""
    cluster.groups["ovn_masters"] = [MASTER, NODE1]
    cluster.with_facts().on(NODE1, ovn_encap_ip="10.44.0.12")
    found = ports(cluster, [MASTER, NODE2])
    assert found["masters"] == ["10.44.0.11", "10.44.0.12", "10.66.0.11", "10.77.0.11"] and not found["complete"]


def test_withdrawn_addresses(cluster):
    """Protects what an operator writes in a hurry: text with commas, both IP versions."""
    cluster.with_facts().everywhere(ovn_withdrawn_addresses="10.44.0.66, fd44:0::66")
    assert ports(cluster)["withdrawn"] == ["10.44.0.66", "fd44::66"] and cluster.problems() == []


REFUSED = {
    "10.44.0.11": f"is an address of {MASTER}, a master: remove it from the list, or the host from ovn_masters",
    "10.66.0.13": f"is an address of {NODE2}, which is still in the inventory, so that this run would give it "
    "certificates and tokens again: take the host out of all groups, or the address out of the list",
}


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_of_the_inventory_are_refused(cluster, address):
    """Protects the cluster from losing a master, and from a run that trusts a host on one side and not on the other."""
    cluster.with_facts().everywhere(ovn_withdrawn_addresses=["10.44.0.66", address])
    (problem,) = cluster.problems()
    assert problem.endswith(f'ovn_withdrawn_addresses "{address}" {REFUSED[address]}')


@pytest.mark.parametrize("value", ["10.44.0.0/24", "node2", "127.0.0.1", 5])
def test_what_is_no_address_is_refused(cluster, value):
    """Protects against a list that looks as if it shut somebody out."""
    cluster.with_facts().everywhere(ovn_withdrawn_addresses=["10.44.0.66", value])
    (problem,) = cluster.problems()
    assert "ovn_withdrawn_addresses" in problem and str(value) in problem


def test_a_master_that_leaves(cluster):
    """Protects the end of a membership: who leaves is reached until it has left."""
    cluster.groups["ovn_masters"] = [MASTER]
    cluster.with_facts()
    alone = ports(cluster)["masters"]
    found = central_ports(cluster.hostvars, cluster.groups, None, [NODE1])["masters"]
    assert set(alone) < set(found) and "10.44.0.12" in found
