# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a host on which a change fails half-way: Open vSwitch, links, addresses and routes are as before, what was to go among them.

The failure is the last thing that is done: the settings can't be kept. Open vSwitch and kernel are the real ones.
"""

from __future__ import annotations

import json

import pytest
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils.hostnet.errors import HostError

from .conftest import ip, pair, snapshot

CLUSTER = ["192.168.0.0/16"]


@pytest.fixture
def vswitch(monkeypatch):
    """A host with an underlay and a NIC for the outside, both with addresses and routes."""
    pair("eth0")
    pair("eth1")
    pair("eth2")
    for command in ("address add 10.44.0.12/24 dev eth0", "route add default via 10.44.0.1", "address add 10.55.0.12/24 dev eth1",
                    "address add 10.56.0.12/24 dev eth2"):
        ip(command)
    server = Vswitch()
    server.keep_here(monkeypatch.setattr)
    yield server
    server.remove()


def node(name="node1", **more):
    """Settings of the node's part."""
    return dict({"name": name, "subnets": ["192.168.7.0/24"], "cluster_subnets": CLUSTER, "southbound": "tcp:10.44.0.11:6642",
                 "datapath_type": "netdev"}, **more)


def gateway(nic):
    """Settings of the gateway's part."""
    return {"nic": nic, "datapath_type": "netdev"}


def seen(vswitch):
    """What the host is: rows to the letter, links with their kernel numbers, addresses, routes."""
    columns = ("name", "external_ids", "ports", "interfaces", "other_config", "ofport")
    tables = {table: {uuid: {key: value for key, value in row.items() if key in columns} for uuid, row in rows.items()}
              for table, rows in vswitch.everything().items() if table in ("Bridge", "Port", "Interface", "Open_vSwitch")}
    links = sorted((link["ifname"], link["ifindex"]) for link in json.loads(ip("-j link show")))
    return tables, links, snapshot(*(name for name, _index in links if name != "lo")), ip("-6 route")


def spoil(vswitch):
    """From now on nothing can be kept: a file is in the directory's place."""
    vswitch.kept.rename(vswitch.directory / "away")
    vswitch.kept.write_text("not a directory")


def test_a_rename_that_fails_leaves_the_old_port(vswitch):
    """Protects the management port, and all that hangs on its link, against a rename that can't be finished."""
    vswitch.host().node(node("node1"))
    before = seen(vswitch)
    spoil(vswitch)
    with pytest.raises(HostError, match="File exists"):
        vswitch.host().node(node("node9"))
    assert seen(vswitch) == before


def test_a_rename_leaves_nothing_of_the_old_name(vswitch):
    """Protects the way that works: the old port is there until the new one is complete, and then goes."""
    vswitch.host().node(node("node1"))
    planned = [item.describe() for item in vswitch.host().node(node("node9")).plan]
    assert planned[-1].endswith(": delete")
    tables, links, shown, _routes = seen(vswitch)
    assert "k8s-node1" not in str(tables) and "k8s-node1" not in dict(links)
    assert [entry["local"] for entry in shown["k8s-node9"]] == ["192.168.7.2"]
    assert "192.168.0.0/16 via 192.168.7.1 dev k8s-node9" in ip("route")
    assert vswitch.host().node(node("node9")).plan == []


def test_another_nic_that_fails_leaves_the_old_one(vswitch):
    """Protects the gateway's way out against a change of its NIC that can't be finished."""
    vswitch.host().gateway(gateway("eth1"))
    before = seen(vswitch)
    spoil(vswitch)
    with pytest.raises(HostError, match="File exists"):
        vswitch.host().gateway(gateway("eth2"))
    assert seen(vswitch) == before


def test_a_removal_that_fails_leaves_everything(vswitch):
    """Protects against a node that is half gone: its settings could not be removed, so nothing is."""
    vswitch.host().node(node("node1"))
    before = seen(vswitch)
    vswitch.kept.joinpath("node.json").unlink()
    vswitch.kept.joinpath("node.json").mkdir()
    with pytest.raises(HostError):
        vswitch.host().node(None)
    assert seen(vswitch) == before
