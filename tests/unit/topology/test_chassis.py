# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects chassis of living hosts, and hosts that can't register because of what they were before."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.chassis import ChassisOwner, left_behind

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


def test_addresses_that_two_hosts_exchange_are_no_reason():
    """Protects hosts that run: each has the address of the other until its controller has seen the new one."""
    owners = [ChassisOwner("node2", "id-2", "10.0.0.3"), ChassisOwner("node3", "id-3", "10.0.0.22")]
    assert left_behind({key: REGISTERED[key] for key in ("id-2", "id-3")}, owners) == []
