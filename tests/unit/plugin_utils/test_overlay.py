# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the rows of the whole overlay: which hosts are in them, and with what."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.filter.named_nodes import named_nodes
from ansible_collections.ovn.kubernetes.plugins.filter.overlay_gateways import overlay_gateways
from ansible_collections.ovn.kubernetes.plugins.filter.overlay_nodes import overlay_nodes

GATEWAY = {
    "physical_interface": "eth1",
    "bridge_interface": "",
    "physical_ips": ["10.55.0.12/24"],
    "default_gws": ["10.55.0.254"],
}
SETTINGS = {
    "h1": {"node_name": "n1", "gateway": GATEWAY, "mtu": 1400},
    "h2": {"node_name": "n2", "gateway": None, "mtu": 1400},
}


def test_nodes_have_their_chassis_once_it_is_known():
    """Protects rows of hosts on which this play has not run: they are named without a chassis, and keep the one that
    they have."""
    hostvars = {"h1": {"node_result": {"chassis": "id-1"}}, "h2": {}}
    assert overlay_nodes(SETTINGS, {"h1": ["192.168.0.0/24"], "h2": ["192.168.1.0/24"]}, hostvars) == [
        {"node_name": "n1", "minion_switch_subnet": ["192.168.0.0/24"], "chassis": "id-1"},
        {"node_name": "n2", "minion_switch_subnet": ["192.168.1.0/24"]},
    ]


@pytest.mark.parametrize(
    ("result", "included"),
    [
        ({"changed": True, "physical_mac": "02:00:00:00:00:01"}, True),
        ({"failed": True, "changed": False, "msg": "no such NIC"}, False),
        (None, False),
    ],
)
def test_a_gateway_whose_host_failed_gets_no_rows(result, included):
    """Protects egress from a gateway router on a chassis without an uplink; one that has rows already keeps them."""
    hostvars = {"h1": {} if result is None else {"gateway_result": result}, "h2": {}}
    assert [entry["node_name"] for entry in overlay_gateways(SETTINGS, [], hostvars)] == ["n1"] * included
    assert [entry["node_name"] for entry in overlay_gateways(SETTINGS, ["n1"], hostvars)] == ["n1"]


def test_a_gateway_has_what_is_known_of_it():
    """Protects the module's options: what has no value is left out, since an empty text is no NIC."""
    hostvars = {
        "h1": {
            "gateway_result": {"physical_mac": "02:00:00:00:00:01", "physical_mtu": 1500},
            "node_result": {"chassis": "id-1"},
        }
    }
    assert overlay_gateways(SETTINGS, [], hostvars) == [
        {
            "node_name": "n1",
            "physical_interface": "eth1",
            "physical_ip": ["10.55.0.12/24"],
            "default_gw": ["10.55.0.254"],
            "physical_mac": "02:00:00:00:00:01",
            "physical_mtu": 1500,
            "mtu": 1400,
            "chassis": "id-1",
        }
    ]


def test_hosts_are_removed_by_name():
    """Protects the removal of hosts that can't be reached: their names are enough."""
    assert named_nodes(["n1", "n2"]) == [{"node_name": "n1"}, {"node_name": "n2"}]
