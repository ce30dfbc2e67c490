# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects chassis of living hosts, and hosts that can't register because of what they were before."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import CurrentRow, Owner
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.chassis import (
    ChassisOwner,
    NodeChassis,
    Stale,
    left_behind,
    stale,
)

REGISTERED = {
    "old-2": {"hostname": "node2", "encap_ips": ["10.0.0.2"]},
    "id-2": {"hostname": "node2", "encap_ips": ["10.0.0.22"]},
    "id-3": {"hostname": "node3", "encap_ips": ["10.0.0.3"]},
    "foreign": {"hostname": "", "encap_ips": []},
}


def test_a_removed_node_has_none():
    """Protects removal: also chassis of earlier system-ids go, and those of others stay."""
    assert left_behind(REGISTERED, [ChassisOwner("node2")]) == ["old-2", "id-2"]
    assert left_behind(REGISTERED, [ChassisOwner("node9")]) == []


def test_a_host_installed_anew_replaces_what_it_was():
    """Protects a host with a new system-id: the old chassis goes by its name, and also by its tunnel address when the
    host's name is another one now."""
    assert left_behind(REGISTERED, [ChassisOwner("node2", "id-2", "10.0.0.22")]) == ["old-2"]
    assert left_behind(REGISTERED, [ChassisOwner("new", "id-new", "10.0.0.3")]) == ["id-3"]


def test_a_host_with_another_name_registers_again_where_it_must():
    """Protects a renamed host: with its role its ovn-controller may not change the name that it has registered with,
    and would try for ever. Without one it changes it by itself."""
    assert left_behind(REGISTERED, [ChassisOwner("edge", "id-3", "10.0.0.3", True)]) == ["id-3"]
    assert left_behind(REGISTERED, [ChassisOwner("edge", "id-3", "10.0.0.3")]) == []
    assert left_behind(REGISTERED, [ChassisOwner("node3", "id-3", "10.0.0.3", True)]) == []
    assert left_behind(REGISTERED, [ChassisOwner("edge", "id-9", "10.0.0.9", True)]) == []


def test_addresses_that_two_hosts_exchange_are_no_reason():
    """Protects hosts that run: each has the address of the other until its controller has seen the new one."""
    owners = [ChassisOwner("node2", "id-2", "10.0.0.3"), ChassisOwner("node3", "id-3", "10.0.0.22")]
    assert left_behind({key: REGISTERED[key] for key in ("id-2", "id-3")}, owners) == []


def test_a_chassis_that_says_that_it_is_another_host_is_not_that_hosts_end():
    """Protects a living host: a chassis says its name and addresses itself. Neither the removal of the host that it
    claims to be, nor that host's new system-id, takes the chassis of another node."""
    nodes = {"node2": {"chassis": "old-2"}, "node3": {"chassis": "id-3"}, "bare": {"chassis": None}}
    liar = {**REGISTERED, "id-3": {"hostname": "node2", "encap_ips": ["10.0.0.2"]}}
    assert left_behind(liar, [ChassisOwner("node2")], nodes) == ["old-2", "id-2"]
    assert left_behind(liar, [ChassisOwner("node2", "id-2", "10.0.0.2")], nodes) == ["old-2"]


def test_addresses_are_compared_by_value():
    """Protects hosts with IPv6 tunnels, or several: the same address may be spelled in another way."""
    registered = {"old": {"hostname": "x", "encap_ips": ["10.0.0.1", "fd00:0:0::1"]}}
    assert left_behind(registered, [ChassisOwner("node1", "id-1", "10.0.0.9,FD00::1")]) == ["old"]


def node_row(name, chassis, encaps="", table="Logical_Switch", kind="Node"):
    """What the main row of a node says."""
    keys = Owner(kind, name).keys("switch" if kind == "Node" else "router")
    keys.update({"k8s.ovn.org/chassis": chassis} if chassis else {})
    keys.update({"k8s.ovn.org/node-encap-ips": encaps} if encaps else {})
    return NodeChassis.from_row(CurrentRow(table, f"uuid-{name}", {"external_ids": keys}, {}))


def test_what_a_nodes_row_decides_is_stale():
    """Protects hosts that were installed anew: by the system-id that their row had, the tunnel address and the name
    that the inventory gives; IPv6 and several addresses too."""
    rows = [node_row("node2", "id-2", "10.0.0.2,fd00::2"), node_row("node3", "id-3", "10.0.0.3")]
    registered = {
        "old-2": {"hostname": "", "encap_ips": ["10.0.0.77"]},
        "id-2": {"hostname": "node2", "encap_ips": ["10.0.0.2"]},
        "address": {"hostname": "", "encap_ips": ["fd00:0::2"]},
        "name": {"hostname": "node3", "encap_ips": ["10.0.0.99"]},
        "stranger": {"hostname": "elsewhere", "encap_ips": ["10.0.0.98"]},
    }
    assert stale(rows, registered, {"old-2": "node2"}) == [
        Stale("address", "node2"),
        Stale("name", "node3"),
        Stale("old-2", "node2", True),
    ]


def test_what_a_chassis_says_makes_no_other_stale():
    """Protects living hosts from one that claims their name, their address, or to be what a node was before; and from
    what can't be decided."""
    rows = [
        node_row("node1", "id-1", "10.0.0.1,10.0.0.9"),
        node_row("node2", "id-2", "10.0.0.2,10.0.0.9"),
        node_row("gw", "id-gw", table="Logical_Router", kind="Gateway"),
        node_row("node4", None, "10.0.0.4"),
    ]
    liar = {"hostname": "node1", "encap_ips": ["10.0.0.1"]}
    registered = {"id-1": liar, "id-2": liar, "id-gw": liar, "id-4": {"hostname": "node4", "encap_ips": ["10.0.0.4"]}}
    assert stale(rows, registered, {"id-2": "node1"}) == []
    assert stale(rows, {"x": {"hostname": "", "encap_ips": ["10.0.0.9"]}}, {}) == []
    assert stale(rows, {"x": {"hostname": "node2", "encap_ips": ["10.0.0.1"]}}, {}) == []
