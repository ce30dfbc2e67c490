# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what a node and a gateway are on their host: rows of its Open vSwitch, links, addresses, routes, files."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import (
    Address,
    IngressDrop,
    Link,
    Route,
    SavedNic,
    Sysctl,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.records import KernelAddress, KernelRoute, Nexthop
from ansible_collections.ovn.kubernetes.plugins.module_utils._nic.saved import as_text, from_text
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import CurrentRow, ListMember
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import (
    gateway_host,
    node,
    node_host,
    node_part,
    part,
)

BEFORE = SavedNic(
    "eth1",
    (KernelAddress("eth1", "fd55::12/64"), KernelAddress("eth1", "10.55.0.12/24")),
    (KernelRoute("198.51.100.0/24", (Nexthop("eth1", "10.55.0.254"),)),),
    ("tx", "tso"),
)
DUAL = node.Node("Node1", ("192.168.2.0/24", "fd10:128:0:2::/64"), ("192.168.0.0/16", "fd10:128::/48"))


def settings(made=DUAL, datapath="system", **more):
    """A node's own side."""
    return node_host.NodeHost(made, "tcp:10.44.0.11:6642", "geneve", "10.44.0.12", 1442, datapath, **more)


def columns(rows, table, name):
    """The columns of the row of that name."""
    (row,) = (row for row in rows if (row.table, row.name) == (table, name))
    return row.columns


def test_the_management_port():
    """Protects the host's way into the overlay: an internal port with the node's second address, MTU and MAC.

    Its iface-id binds it.
    """
    rows = node_host.rows(settings())
    interface = columns(rows, "Interface", "k8s-node1")
    assert interface == {
        "type": "internal",
        "mac": ("0a:58:c0:a8:02:02",),
        "mtu_request": (1442,),
        "external_ids": {"iface-id": "k8s-node1"},
    }
    # The logical port has the same MAC and addresses.
    logical = next(row for row in node.rows(DUAL) if row.role == "management-port")
    assert logical.columns["addresses"] == ("0a:58:c0:a8:02:02 192.168.2.2 fd10:128:0:2::2",)
    state = node_host.state(settings())
    assert state.addresses == (Address("k8s-node1", "192.168.2.2/24"), Address("k8s-node1", "fd10:128:0:2::2/64"))
    assert state.routes == (
        Route("k8s-node1", "192.168.0.0/16", "192.168.2.1"),
        Route("k8s-node1", "fd10:128::/48", "fd10:128:0:2::1"),
    )


def test_w24_a_long_name_is_recorded_where_the_link_is_cut():
    """Protects whoever looks for the port: the link's name is cut, the iface-id beside it is whole."""
    long = node.Node("a-node-with-a-very-long-name", ("192.168.2.0/24",), ("192.168.0.0/16",))
    (interface,) = (row for row in node_host.rows(settings(long)) if row.table == "Interface")
    assert len(interface.name) <= 15 and interface.columns["external_ids"] == {
        "iface-id": "k8s-a-node-with-a-very-long-name"
    }
    assert {address.link for address in node_host.state(settings(long)).addresses} == {interface.name}


@pytest.mark.parametrize(
    ("datapath", "kept", "bridges"), [("system", None, ("", "system")), ("netdev", "netdev", ("netdev",))]
)
def test_the_settings_of_ovn_controller(datapath, kept, bridges):
    """Protects the keys by which ovn-controller finds its database and its tunnels, and the switch of datapaths."""
    rows = node_host.rows(settings(datapath=datapath))
    keys = columns(rows, "Open_vSwitch", ".")["external_ids"]
    assert keys == {
        "ovn-remote": "tcp:10.44.0.11:6642",
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": "10.44.0.12",
        "ovn-bridge-datapath-type": kept,
        "hostname": "node1",
    }
    bridge = columns(rows, "Bridge", "br-int")
    assert bridge["fail_mode"] == ("secure",) and bridge["datapath_type"] in bridges


def test_more_networks_lead_into_the_overlay():
    """Protects services and the liveness check's route to the join switch.

    A family that the node does not have is left out.
    """
    single = node.Node("n", ("192.168.2.0/24",), ("192.168.0.0/16",))
    routes = node_host.state(settings(single, routes=("10.96.0.0/16", "100.64.0.0/16", "fd96::/112"))).routes
    assert [route.destination for route in routes] == ["192.168.0.0/16", "10.96.0.0/16", "100.64.0.0/16"]


def test_a_node_that_goes_gives_back_what_it_took():
    """Protects the host after removal: keys and file."""
    rows, state = node_host.absent_rows(), node_host.absent_state()
    assert set(rows[0].columns["external_ids"].values()) == {None}
    assert {file.content for file in state.files} == {None}
    assert {file.path for file in state.files} > {file.path for file in node_host.state(settings()).files}


@pytest.mark.parametrize("programs", [True, False])
def test_the_commands_in_the_path(programs):
    """Protects: they are there where the archive is, and nothing dangles where it is not."""
    files = {file.path: file for file in node_host.state(settings(programs=programs)).files}
    overlay = files["/usr/local/bin/ovn-k8s-overlay"]
    assert overlay.mode == 0o755
    assert overlay.content == (
        "#!/bin/sh\n# Part of the Ansible collection ovn.kubernetes.\n"
        'exec /usr/bin/python3 -I /usr/local/lib/ovn_kubernetes.pyz overlay "$@"\n'
        if programs
        else None
    )


def test_a_gateways_nic():
    """Protects the external network: the NIC is in its bridge, and the bridge in the mappings beside others'.

    The NIC's addresses are saved for the way back.
    """
    rows = gateway_host.rows(gateway_host.GatewayHost("eth1", "52:54:00:00:00:01", "system", as_text(BEFORE)))
    bridge = columns(rows, "Bridge", "breth1")
    assert bridge["external_ids"]["bridge-uplink"] == "eth1"
    assert from_text("eth1", bridge["external_ids"]["k8s.ovn.org/nic-before"]) == BEFORE
    assert columns(rows, "Open_vSwitch", ".")["external_ids"] == {
        "ovn-bridge-mappings": ListMember("physnet", "breth1")
    }
    mac = bridge["other_config"]["hwaddr"]
    assert mac != "52:54:00:00:00:01" and int(mac[:2], 16) & 3 == 2  # another one, unicast and locally administered
    gone = gateway_host.absent_rows()
    assert gone[0].columns["external_ids"] == {"ovn-bridge-mappings": ListMember("physnet", None)}
    assert gateway_host.absent_state("eth1").absent_drops == (IngressDrop("eth1"),)


def test_the_host_has_no_stack_on_a_gateways_network():
    """Protects the gateway's MAC and address from the host's own answers, and the host from routers there."""
    state = gateway_host.state(gateway_host.GatewayHost("eth1.7", "52:54:00:00:00:01", "system"))
    assert Link("breth1.7", owned=False, up=False) in state.links and Link("eth1.7", owned=False) in state.links
    assert {(sysctl.link, sysctl.parts[-1], sysctl.value) for sysctl in state.sysctls} == {
        (link, *setting)
        for link in ("eth1.7", "breth1.7")
        for setting in (("disable_ipv6", "1"), ("accept_ra", "0"), ("arp_ignore", "8"))
    }
    without = gateway_host.state(gateway_host.GatewayHost("eth1.7", "52:54:00:00:00:01", "system", ipv6=False))
    assert {sysctl.parts[-1] for sysctl in without.sysctls} == {"arp_ignore"}


def test_what_a_gateways_nic_gets_back():
    """Protects against settings of nobody: of a text that somebody has changed only known ones are set."""
    text = gateway_host.settings_text({"ipv6/conf/{link}/accept_ra": "2", "ipv4/conf/{link}/arp_ignore": None})
    for kept in (text, f"{text},net/ipv4/ip_forward=0,ipv4/conf/{{link}}/arp_ignore=,x"):
        assert gateway_host.absent_state("eth1", kept).sysctls == (Sysctl("net/ipv6/conf/eth1/accept_ra", "2"),)
    assert gateway_host.absent_state("eth1").sysctls == ()


@pytest.mark.parametrize("text", ["[]", "{", '{"addresses": [{"is": "FoundAddress"}]}', '{"more": []}'])
def test_what_is_kept_of_a_nic_and_was_changed_by_hand(text):
    """Protects the user: one sentence instead of a NIC that gets back half of it."""
    with pytest.raises(HostError, match="can't be read: "):
        from_text("eth1", text)


def test_a_host_that_is_known_under_its_former_name(monkeypatch):
    """Protects a host with a new name and a new address: its file has the name that the caller knows. A clone's caller
    knows none."""
    asked = []
    monkeypatch.setattr(node_part.clones, "refuse_registered", lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(node_part.own_facts, "saved_node", lambda path: ("older", []))
    current = part.Current((), CurrentRow("Open_vSwitch", "u", {"external_ids": {"system-id": "id-1"}}, {}))
    node = settings()
    node_part._refuse_clone(current, node, frozenset({"older"}))
    assert asked == []
    node_part._refuse_clone(current, node, frozenset())
    assert asked == [(node.southbound, "id-1", node.node.owner.name, node.encap_ip)]
