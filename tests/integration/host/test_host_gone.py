# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a host from which a node or a gateway is removed: it is as before, with a real Open vSwitch and kernel."""

from __future__ import annotations

import pathlib
import subprocess

import pytest
from database_server import wait_for
from kernel_links import pair, snapshot
from network_namespace import ip, ip_batch
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import DatabaseUnreachable, HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.rows import LocalRows
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.moved import moved_nics
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.uplink import uplink_rows
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.connection import Connection
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.converge import converge_rows
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import Owner
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.host import Host

NODE = {
    "name": "node1",
    "subnets": ["192.168.7.0/24"],
    "cluster_subnets": ["192.168.0.0/16"],
    "southbound": "tcp:10.44.0.11:6642",
    "datapath_type": "netdev",
}
ETH1 = """
address add 10.55.0.12/24 broadcast 10.55.0.255 dev eth1
address add 10.55.0.13/24 dev eth1
address add fd55::12/64 dev eth1 nodad
route add 198.51.100.0/24 via 10.55.0.254 metric 7
route add 198.51.101.0/24 dev eth1 src 10.55.0.13
route add default via 10.55.0.254 table 100
-6 route add 2001:db8::/32 via fd55::fe
"""


@pytest.fixture
def vswitch(monkeypatch):
    """A host with a NIC for tunnels, and one for the external network that has addresses and routes."""
    pair("eth0")
    pair("eth1")
    ip("address add 10.44.0.12/24 dev eth0")
    ip("route add default via 10.44.0.1")
    ip_batch(ETH1.strip().splitlines())
    server = Vswitch()
    server.keep_here(monkeypatch.setattr)
    yield server
    server.remove()


def offloads(nic):
    """Return what ethtool shows of the offloads that are switched."""
    shown = subprocess.run(["ethtool", "-k", nic], check=True, capture_output=True, text=True, timeout=10).stdout
    return [
        line.strip() for line in shown.splitlines() if line.startswith(("tx-checksumming", "tcp-segmentation-offload"))
    ]


def forwarding():
    """Return net.ipv4.ip_forward of the namespace."""
    with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as setting:
        return setting.read().strip()


def test_a_gateways_nic_gets_back_what_it_had(vswitch):
    """Protects addresses, routes of all tables and offloads, also after the gateway was converged twice."""
    before = snapshot("eth1"), offloads("eth1")
    settings = {"nic": "eth1", "datapath_type": "netdev"}
    vswitch.host().gateway(settings)
    assert snapshot("eth1") != before[0] and offloads("eth1") != before[1]
    assert vswitch.host().gateway(settings).plan == []
    vswitch.host().gateway(None)
    assert (snapshot("eth1"), offloads("eth1")) == before
    assert vswitch.host().gateway(None).plan == []


def delete_bridge(vswitch, name):
    """``ovs-vsctl del-br``."""
    (uuid,) = (uuid for uuid, row in vswitch.everything()["Bridge"].items() if row["name"] == name)
    vswitch.transact(
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["bridges", "delete", ["set", [["uuid", uuid]]]]],
        }
    )
    wait_for(lambda: name not in ip("link"), "the bridge to go")


def settings_of(nic):
    """Return the settings of a link that a gateway changes."""
    return [ip(f"-d link show dev {nic}").split("promiscuity")[0]] + [
        pathlib.Path("/proc/sys/net", family, "conf", nic, key).read_text()
        for family, key in (("ipv4", "arp_ignore"), ("ipv6", "accept_ra"), ("ipv6", "disable_ipv6"))
    ]


@pytest.mark.parametrize("again", [True, False], ids=["converged again", "removed at once"])
def test_a_gateways_nic_gets_back_what_it_had_although_its_bridge_was_deleted(vswitch, again):
    """Protects addresses, routes, offloads and settings of the NIC against somebody who deletes the bridge, whose row
    kept them."""
    pathlib.Path("/proc/sys/net/ipv4/conf/eth1/arp_ignore").write_text("2")
    before = snapshot("eth1"), offloads("eth1"), settings_of("eth1")
    settings = {"nic": "eth1", "datapath_type": "netdev"}
    vswitch.host().gateway(settings)
    delete_bridge(vswitch, "breth1")
    if again:
        vswitch.host().gateway(settings)
        assert vswitch.host().gateway(settings).plan == []
    vswitch.host().gateway(None)
    assert (snapshot("eth1"), offloads("eth1"), settings_of("eth1")) == before
    assert not list(vswitch.kept.glob("*.before")) and vswitch.host().gateway(None).plan == []


@pytest.mark.parametrize("again", [True, False], ids=["converged again", "removed at once"])
def test_forwarding_is_restored_although_br_int_was_deleted(vswitch, again):
    """Protects net.ipv4.ip_forward and the host's name in Open vSwitch as they were before the node, likewise."""
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
    vswitch.host().node(NODE)
    assert oct((vswitch.kept / "node.before").stat().st_mode)[-3:] == "600"
    delete_bridge(vswitch, "br-int")
    if again:
        vswitch.host().node(NODE)
        assert vswitch.host().node(NODE).plan == []
    vswitch.host().node(None)
    assert forwarding() == "0" and "hostname" not in str(vswitch.rows("Open_vSwitch")[0]["external_ids"])


def test_what_an_earlier_version_has_kept_in_the_row_alone_counts(vswitch):
    """Protects hosts whose node came with an earlier version: the file appears with the next run."""
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
    vswitch.host().node(NODE)
    (vswitch.kept / "node.before").unlink()
    assert [item.describe().rpartition("/")[2] for item in vswitch.host().node(NODE).plan] == ["node.before: add"]
    vswitch.host().node(None)
    assert forwarding() == "0"


def test_a_gateway_is_removed_although_its_nic_is_gone(vswitch):
    """Protects against a gateway that can't be removed because its NIC was unplugged."""
    vswitch.host().gateway({"nic": "eth1", "datapath_type": "netdev"})
    ip("link del eth1")
    vswitch.host().gateway(None)
    assert "breth1" not in str(vswitch.rows("Bridge"))


@pytest.mark.parametrize(("value", "hostname"), [("0", {}), ("1", {"hostname": "host-12"})])
def test_forwarding_and_the_hosts_name_are_restored(vswitch, value, hostname):
    """Protects net.ipv4.ip_forward as it was before the node, and the name of the host in Open vSwitch."""
    vswitch.transact(
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["external_ids", "insert", ["map", list(hostname.items())]]],
        }
    )
    before = vswitch.rows("Open_vSwitch")[0]["external_ids"]
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as setting:
        setting.write(value)
    vswitch.host().node(NODE)
    assert forwarding() == "1"
    assert vswitch.host().node(NODE).plan == []
    vswitch.host().node(None)
    assert forwarding() == value
    assert vswitch.rows("Bridge") == [] and vswitch.rows("Open_vSwitch")[0]["external_ids"] == before


def test_the_tunnels_nic_gets_back_what_it_had(vswitch):
    """Protects the NIC of userspace tunnels: addresses, routes and offloads."""
    before = snapshot("eth0"), offloads("eth0")
    vswitch.host().node(NODE)
    assert snapshot("eth0") != before[0] and offloads("eth0") != before[1]
    vswitch.host().node(None)
    assert (snapshot("eth0"), offloads("eth0")) == before


def test_a_bridge_of_an_earlier_version_is_not_deleted_with_the_hosts_addresses(vswitch):
    """Protects hosts whose bridge has rows of the node, as earlier versions made it: the host's addresses are on it."""
    owner = Owner("Node", "host")
    rows = tuple(uplink_rows(owner, "eth0", "02:00:00:00:00:01", "netdev"))
    converge_rows(lambda: Connection(vswitch.remote, "Open_vSwitch"), LocalRows(owner, rows), "test")

    def there():  # Open vSwitch adds to its rows by and by
        return snapshot("eth0"), [(row["name"], row["ports"], row["external_ids"]) for row in vswitch.rows("Bridge")]

    before = there()
    for settings in (NODE, None):
        with pytest.raises(
            HostError,
            match=r"^the bridge breth0 on this host was made by an earlier state .*\(ovn\.kubernetes\.remove\)$",
        ):
            vswitch.host().node(settings)
    assert there() == before


def test_a_shared_nic_that_is_gone_is_given_up(vswitch):
    """Protects against a gateway that can't be removed because the NIC which it shares with the host was unplugged: the
    bridge goes, and so does what is kept of the NIC."""
    vswitch.host().uplinks(["eth1"], True, "gateway")
    ip("link del eth1")
    vswitch.host().uplinks(["eth1"], False, "gateway")
    assert "breth1" not in str(vswitch.rows("Bridge"))
    assert moved_nics() == [] and vswitch.host().uplinks(["eth1"], False, "gateway").plan == []


def test_nothing_is_removed_where_nothing_is(vswitch):
    """Protects the removal of a host on which the site play failed before Open vSwitch was there. A host that has
    something of ours is not taken for such a one."""
    bare = Host("unix:/nonexistent/db.sock")
    assert bare.node(None).plan == [] and bare.gateway(None).plan == []
    vswitch.host().node(NODE)
    with pytest.raises(DatabaseUnreachable):
        bare.node(None)
