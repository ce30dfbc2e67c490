# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what an uplink is: the bridge looks like the NIC, and the userspace datapath gets what it needs and the
kernel's none of it."""

from __future__ import annotations

import json

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import AddressMove
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic import uplink
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.moved import MovedNic, moved_nic_file

MAC = "52:54:00:00:00:01"


@pytest.mark.parametrize(("datapath", "column"), [("system", ""), ("netdev", "netdev")])
def test_the_bridge_looks_like_the_nic(datapath, column):
    """Protects peers' neighbour tables and large packets: the NIC's MAC and MTU, and the keys by which others find the
    NIC."""
    rows = uplink.rows(uplink.UplinkSettings("eth0", MAC, 9000, datapath))
    assert [(row.table, row.name, row.parent) for row in rows] == [
        ("Bridge", "breth0", "."),
        ("Port", "breth0", "breth0"),
        ("Interface", "breth0", "breth0"),
        ("Port", "eth0", "breth0"),
        ("Interface", "eth0", "eth0"),
    ]
    bridge = rows[0].columns
    assert (bridge["datapath_type"], bridge["other_config"], bridge["external_ids"]) == (
        column,
        {"hwaddr": MAC},
        {"bridge-uplink": "eth0"},
    )
    assert rows[2].columns == {"type": "internal", "mtu_request": (9000,)}
    assert {row.owner for row in rows} == {uplink.owner("eth0")}


@pytest.mark.parametrize(("datapath", "measures"), [("system", 0), ("netdev", 1)])
def test_userspace_measures(datapath, measures):
    """Protects the kernel's datapath from what only the one of user space needs: no offload, and a host that does not
    see packets twice."""
    state = uplink.state(uplink.UplinkSettings("eth0", MAC, 1500, datapath))
    assert (len(state.no_offloads), len(state.drops)) == (measures, measures)
    assert state.moves == (AddressMove("eth0", "breth0"),)


@pytest.mark.parametrize("promiscuous", [True, False])
def test_promiscuity_goes_along(promiscuous):
    """Protects whoever listens on the NIC for others; the bridge of a NIC that nobody made so is left alone."""
    nic, link = uplink.state(uplink.UplinkSettings("eth0", MAC, 1500, "system", promiscuous)).links
    assert (nic.promiscuous, link.promiscuous) == (None, True if promiscuous else None)


def test_what_is_given_back():
    """Protects the way back: the opposite move, no drop, no rows, no file."""
    state = uplink.state_gone("eth0", "netdev")
    assert state.moves == (AddressMove("breth0", "eth0"),)
    assert [drop.link for drop in state.absent_drops] == ["eth0"]
    assert uplink.state_gone("eth0", "system").absent_drops == ()
    assert uplink.rows(None) == []
    assert moved_nic_file("eth0", None).content is None
    assert json.loads(moved_nic_file("eth0", MovedNic(("node",))).content)["users"] == ["node"]
