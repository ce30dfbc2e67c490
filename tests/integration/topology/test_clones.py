# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the first of two hosts that were cloned from one machine: nothing is taken from it."""

from __future__ import annotations

import pytest
from database_server import Server
from northbound import gateway_settings, node_settings

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.clones import refuse_registered

OWN = "remove /etc/openvswitch/system-id.conf there, and restart Open vSwitch and then ovn-controller"


def test_a_clone_after_its_original(nb):
    """Protects pods of the first one when modules run host by host: the clone has another subnet, so it is no rename of
    the first one."""
    nb.master()
    nb.node(1)
    said = nb.refused("ovn_minion_init", **node_settings(2, chassis="id-1"))
    assert said.startswith("node node2 has the system-id id-1 of node node1, which has subnet 192.168.1.0/24: ")
    assert OWN in said
    # The same host under a new name has the subnet that it had, and may get another one afterwards.
    nb.node(1, node_name="node2")
    nb.node(1, node_name="node2", minion_switch_subnet=["192.168.9.0/24"])
    # Both at once, where the caller knows which node the host was.
    nb.node(3, chassis="id-1", former_nodes=["node2"])


def test_a_clone_of_a_gateway(nb):
    """Protects the first one's address on the physical network."""
    nb.build(nodes=(1,), gateways=(1,))
    said = nb.refused("ovn_gateway", **gateway_settings(2, chassis="id-1"))
    assert said.startswith("gateway node2 has the system-id id-1 of gateway node1, which has address 10.55.0.1/24: ")
    nb.gateway(1, node_name="node2")


def test_a_second_family_is_no_other_host(nb):
    """Protects a host that gets a new name and IPv6 at once: it still has one of its subnets."""
    nb.master(dual=True, cluster_ip_subnet=["192.168.0.0/16"], join_subnet=["100.64.0.0/16"])
    nb.node(1)
    nb.master(dual=True)
    nb.node(1, dual=True, node_name="node9")


def test_a_whole_inventory_with_a_clone(nb):
    """Protects all hosts: one call for all of them says which two have one system-id."""
    said = nb.refused("ovn_master_init", nodes=[node_settings(1), node_settings(2, chassis="id-1")])
    assert said.startswith("chassis of node node2 'id-1' is node node1's too: give the clone its own (") and OWN in said


@pytest.fixture
def southbound():
    """A Southbound database in which node1 has registered."""
    server = Server("ovn-sb", "OVN_Southbound")
    server.transact(
        {
            "op": "insert",
            "table": "Encap",
            "row": {"type": "geneve", "ip": "10.44.0.11", "chassis_name": "id-1"},
            "uuid-name": "encap",
        },
        {
            "op": "insert",
            "table": "Chassis",
            "row": {"name": "id-1", "hostname": "node1", "encaps": ["named-uuid", "encap"]},
        },
    )
    yield server
    server.remove()


def test_what_a_chassis_says_of_its_host(southbound):
    """Protects renamed and re-addressed hosts from being taken for clones, and clones from being taken for them."""
    remote = southbound.remote
    refuse_registered(remote, "id-1", "node1", "10.44.0.99")  # another address
    refuse_registered(remote, "id-1", "node2", "10.44.0.11")  # another name
    refuse_registered(remote, "id-2", "node2", "10.44.0.12")  # another host
    with pytest.raises(
        HostError, match=r"^this host has the system-id id-1 of node1, which is registered in the South"
    ) as raised:
        refuse_registered(remote, "id-1", "node2", "10.44.0.12")
    assert OWN in str(raised.value) and "10.44.0.11" in str(raised.value)
    assert "stop ovn-controller there, delete its chassis on a master (ovn-sbctl chassis-del id-1)" in str(raised.value)
    refuse_registered("unix:/nowhere", "id-1", "node2", "10.44.0.12")  # nobody can say
