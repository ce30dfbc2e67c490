# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects users whose host can't have the desired state: one sentence says why, and nothing was changed."""

from __future__ import annotations

import json

import pytest
from kernel_links import pair, snapshot
from module_calls import call
from network_namespace import ip, ip_batch
from northbound import Northbound
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.connection import Connection
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import part

NODE = {
    "node_name": "node1",
    "cluster_ip_subnet": ["192.168.0.0/16"],
    "minion_switch_subnet": ["192.168.7.0/24"],
    "southbound": "tcp:10.44.0.11:6642",
}
GATEWAY = {
    "node_name": "node1",
    "cluster_ip_subnet": ["192.168.0.0/16"],
    "physical_interface": "eth1",
    "physical_ip": ["10.55.0.12/24"],
}


@pytest.fixture
def vswitch(monkeypatch):
    """A host with a NIC for tunnels, and one for the external network."""
    pair("eth0")
    pair("eth1")
    ip_batch(
        [
            "address add 10.44.0.12/24 dev eth0",
            "route add default via 10.44.0.1",
            "address add 10.55.0.12/24 dev eth1",
        ]
    )
    server = Vswitch()
    server.keep_here(monkeypatch.setattr)
    yield server
    server.remove()


def refused(vswitch, module, **options):
    """Return the message of a call that must fail and change nothing, by default one for the host's part."""

    def seen():
        links = sorted(link["ifname"] for link in json.loads(ip("-j link show")))
        return (
            vswitch.content(),
            snapshot(*(name for name in links if name != "lo")),
            links,
            sorted(path.name for path in vswitch.directory.glob("kept/*")),
        )

    before = seen()
    arguments = dict({"part": "host", "open_vswitch": vswitch.remote}, **options)
    result = call(module, **{key: value for key, value in arguments.items() if value is not None})
    assert result.get("failed") and not result["changed"], result
    assert "\n" not in result["msg"] and "Traceback" not in str(result)
    after = seen()
    for one in (before, after):
        one[0]["Open_vSwitch"][0].pop("statistics", None)
        for counter in ("cur_cfg", "next_cfg"):  # taking something back is a change too
            one[0]["Open_vSwitch"][0].pop(counter, None)
    assert after == before
    return result["msg"]


def test_a_nic_that_does_not_exist(vswitch):
    """Protects against a bridge for a misspelt NIC."""
    assert refused(vswitch, "ovn_gateway", **(GATEWAY | {"physical_interface": "eth9"})) == (
        "physical_interface eth9 does not exist on this host: name the NIC that is connected to the "
        "physical network (ip link shows them)"
    )


def test_a_nic_with_the_default_route(vswitch):
    """Protects the user's own connection: the NIC with the default route does not become the gateway's."""
    assert refused(vswitch, "ovn_gateway", **(GATEWAY | {"physical_interface": "eth0"})) == (
        "physical_interface eth0 can't be the gateway's alone: the default route (0.0.0.0/0) goes "
        "through it; use a NIC of its own"
    )


def test_a_nic_that_carries_this_session(vswitch, monkeypatch):
    """Protects the SSH connection of the call itself."""
    monkeypatch.setenv("SSH_CONNECTION", "10.55.0.1 50000 10.55.0.12 22")
    assert refused(vswitch, "ovn_gateway", **GATEWAY) == (
        "physical_interface eth1 can't be the gateway's alone: this session's SSH connection ends on "
        "its address 10.55.0.12; use a NIC of its own"
    )


def test_a_host_without_default_route(vswitch):
    """Protects against a guessed tunnel address."""
    ip("route del default")
    assert refused(vswitch, "ovn_minion_init", **NODE) == (
        "this host has no default route, so its tunnel address is not known: set encap_ip (in the "
        "inventory ovn_encap_ip)"
    )


def test_a_tunnel_address_that_the_host_does_not_have(vswitch):
    """Protects against tunnels from an address that the host does not have."""
    assert refused(vswitch, "ovn_minion_init", **NODE, encap_ip="10.44.0.99") == (
        "encap_ip 10.44.0.99 is on no link of this host: give the address of the NIC that is "
        "connected to the other nodes"
    )


def test_a_chassis_of_another_overlay(vswitch):
    """Protects another OVN that uses the same host."""
    vswitch.transact(
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["external_ids", "insert", ["map", [["ovn-remote", "tcp:10.9.9.9:6642"]]]]],
        }
    )
    assert refused(vswitch, "ovn_minion_init", **NODE).startswith(
        "this host is a chassis of another OVN already (ovn-remote tcp:10.9.9.9:6642): "
    )


def test_open_vswitch_is_missing(vswitch):
    """Protects users whose host lacks the package."""
    remote = "unix:/nonexistent/db.sock"
    assert refused(vswitch, "ovn_minion_init", **NODE, open_vswitch=remote) == (
        f"can't use database Open_vSwitch at {remote}: there is no such socket: the server is not "
        f"installed or not running"
    )


def test_ovs_vswitchd_does_not_run(vswitch, monkeypatch):
    """Protects against a call that waits for ever for ports that nothing makes, and against the rows that it wrote."""
    vswitch.daemon.terminate()
    vswitch.daemon.wait(10)
    monkeypatch.setattr(part, "Connection", lambda remote, database: Connection(remote, database, timeout=1.0))
    assert refused(vswitch, "ovn_minion_init", **NODE, datapath_type="system") == (
        "ovs-vswitchd did not take over the change in time: start it (systemctl start "
        "openvswitch-switch) and look at its log"
    )


MASTER = {
    "node_name": "node1",
    "cluster_ip_subnet": ["192.168.0.0/16"],
    "master_switch_subnet": ["192.168.7.0/24"],
    "southbound": "tcp:10.44.0.11:6642",
}
BOTH = [("ovn_minion_init", NODE), ("ovn_master_init", MASTER), ("ovn_gateway", GATEWAY)]


@pytest.fixture
def nb():
    """A Northbound database."""
    server = Northbound()
    yield server
    server.remove()


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize(("module", "options"), BOTH)
def test_the_northbound_database_is_unreachable(vswitch, module, options, state):
    """Protects the host when a call is about both parts, the default, and the other part fails."""
    if state == "absent":
        vswitch.host().gateway({"nic": "eth1", "datapath_type": "netdev"})
        vswitch.host().node(
            {
                "name": "node1",
                "subnets": ["192.168.7.0/24"],
                "cluster_subnets": ["192.168.0.0/16"],
                "southbound": "tcp:10.44.0.11:6642",
                "datapath_type": "netdev",
            },
            move_underlay=False,
        )
    assert refused(vswitch, module, **options, part=None, state=state, northbound="unix:/nonexistent/nb.sock") == (
        "can't use database OVN_Northbound at unix:/nonexistent/nb.sock: there is no such socket: "
        "the server is not installed or not running"
    )


@pytest.mark.parametrize(("module", "options"), BOTH[:2])
def test_a_subnet_of_another_node(vswitch, nb, module, options):
    """Protects the host and the Northbound database against half a node."""
    nb.build(nodes=(7,), gateways=())
    before = nb.everything()
    assert refused(vswitch, module, **options, part=None, northbound=nb.remote) == (
        "minion_switch_subnet of node node1 '192.168.7.0/24' overlaps 192.168.7.0/24 of node node7: "
        "give each node a subnet of its own"
    )
    assert nb.everything() == before


def test_a_gateway_without_a_cluster(vswitch, nb):
    """Protects the gateway's NIC while there is no cluster that it could connect."""
    assert refused(vswitch, "ovn_gateway", **GATEWAY, part=None, northbound=nb.remote) == (
        "the cluster router does not exist in the Northbound database: make the cluster first (ovn_master_init)"
    )
    assert nb.content() == {}


def test_a_shared_bridge_without_addresses(vswitch, nb):
    """Protects against half a gateway: a bridge without addresses has none for the external network."""
    nb.build(gateways=())
    options = {key: value for key, value in GATEWAY.items() if not key.startswith("physical")}
    pair("breth2")
    assert "physical_ip" in refused(
        vswitch, "ovn_gateway", **options, bridge_interface="breth2", part=None, northbound=nb.remote
    )


@pytest.mark.parametrize(("module", "options"), BOTH)
def test_a_host_that_fails_leaves_no_rows(vswitch, nb, module, options):
    """Protects the Northbound database: a host that fails leaves no rows there."""
    nb.build(nodes=(2,), gateways=())
    before = nb.everything()
    wrong = {"physical_interface": "eth9"} if module == "ovn_gateway" else {"encap_ip": "10.44.0.99"}
    refused(vswitch, module, **(options | wrong), part=None, northbound=nb.remote)
    assert nb.everything() == before
