# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the flows of a shared NIC are made from: ports, addresses and load balancers in the databases."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import BridgeIncomplete
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import CurrentRow
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.flows import SharedNic
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology.shared_nic import (
    other_hosts,
    services,
    shared_nic,
)

MAC, OWN = "52:54:00:00:00:01", ("10.44.0.12", "fd44::12", "fe80::1")


def row(table, uuid, **columns):
    return CurrentRow(table, uuid, columns, {})


@pytest.fixture
def tables():
    """A host's database: breth0 with eth0 and the gateway router's patch port."""
    return {
        "Open_vSwitch": {
            "o": row("Open_vSwitch", "o", external_ids={"ovn-encap-ip": "10.44.0.12", "system-id": "id-1"})
        },
        "Bridge": {
            "b": row(
                "Bridge",
                "b",
                name="breth0",
                ports=("p1", "p2", "p3"),
                external_ids={"bridge-uplink": "eth0"},
                datapath_type="",
            )
        },
        "Port": {
            "p1": row("Port", "p1", name="breth0", interfaces="i1", external_ids={}),
            "p2": row("Port", "p2", name="eth0", interfaces="i2", external_ids={}),
            "p3": row("Port", "p3", name="patch", interfaces="i3", external_ids={"ovn-localnet-port": "breth0_node1"}),
        },
        "Interface": {
            "i1": row("Interface", "i1", name="breth0", type="internal", ofport=65534, mac_in_use=MAC),
            "i2": row("Interface", "i2", name="eth0", type="", ofport=1, mac_in_use=MAC),
            "i3": row("Interface", "i3", name="patch", type="patch", ofport=2, mac_in_use="aa:aa:aa:aa:aa:aa"),
        },
    }


def test_ports_mac_and_tunnel_come_from_the_database(tables):
    """Protects the numbers in the flows; the NIC is the one that the bridge was made for, where none is named."""
    assert shared_nic(tables, "breth0", None, OWN, ()) == SharedNic(1, 2, MAC, OWN, (("10.44.0.12", 6081),), ())


@pytest.mark.parametrize(
    ("datapath", "takes_up", "drops"),
    [("", True, True), ("system", True, True), ("", False, False), ("netdev", True, False)],
)
def test_where_invalid_segments_are_the_pods(tables, datapath, takes_up, drops):
    """Protects the host's own connections where conntrack calls them invalid (nf_conntrack_tcp_loose is 0), and in the
    userspace datapath, where checksums that are still to be computed are invalid too.
    """
    tables["Bridge"]["b"].columns["datapath_type"] = datapath
    assert shared_nic(tables, "breth0", None, OWN, (), takes_up).drops_invalid is drops


@pytest.mark.parametrize("uuid", ["i2", "i3"])
@pytest.mark.parametrize("number", [(), -1])
def test_there_are_no_flows_while_a_port_has_no_number(tables, uuid, number):
    """Protects against flows for ports that are not there: the host has the NIC alone then."""
    tables["Interface"][uuid].columns["ofport"] = number
    assert shared_nic(tables, "breth0", "eth0", OWN, ()) is None


def test_a_localnet_port_of_another_network_is_not_the_routers(tables):
    """Protects against another network's way to the bridge."""
    tables["Port"]["p3"].columns["external_ids"]["ovn-localnet-port"] = "underlay"
    assert shared_nic(tables, "breth0", "eth0", OWN, ()) is None


@pytest.mark.parametrize(
    ("bridge", "nic", "text"),
    [
        ("breth9", "eth0", "physical-bridge breth9 does not exist"),
        ("breth0", "eth9", "physical-interface eth9 is not in bridge breth0"),
    ],
)
def test_a_missing_bridge_or_nic_is_an_error(tables, bridge, nic, text):
    """Protects who mistypes."""
    with pytest.raises(BridgeIncomplete, match=text):
        shared_nic(tables, bridge, nic, OWN, ())


def test_services_are_load_balancers_at_the_hosts_addresses():
    """Protects node ports, also those that the chassis's template variables make, of this chassis alone."""
    balancers = [
        row(
            "Load_Balancer",
            "1",
            protocol="tcp",
            vips={"10.44.0.12:30080": "192.168.1.3:80", "10.96.0.1:443": "10.44.0.10:6443"},
        ),
        row(
            "Load_Balancer",
            "2",
            protocol="udp",
            vips={"^NODE_IPv6:30053": "x", "^NODE_IPv4:30053": "x", "^NONE:1": "x"},
        ),
        # With externalTrafficPolicy: Local switches and routers have a load balancer each.
        row("Load_Balancer", "5", protocol="tcp", vips={"10.44.0.12:30080": "x"}, options={"skip_snat": "true"}),
        row("Load_Balancer", "4", protocol=(), vips={"10.44.0.300:80": "", "10.44.0.12:70000": "", "[::g]:1": ""}),
        row("Load_Balancer", "3", protocol=(), vips={"[fd44::12]:30081": "", "203.0.113.9:80": ""}),
    ]
    variables = [
        row(
            "Chassis_Template_Var",
            "1",
            chassis="id-1",
            variables={"NODE_IPv4": "10.44.0.12", "NODE_IPv6": "fd44::12"},
        ),
        row("Chassis_Template_Var", "2", chassis="id-2", variables={"NONE": "10.44.0.12"}),
    ]
    own = (
        ("10.44.0.12", "tcp", 30080, True),
        ("10.44.0.12", "udp", 30053, False),
        ("fd44::12", "tcp", 30081, False),
        ("fd44::12", "udp", 30053, False),
    )
    assert services(balancers, variables, "id-1", OWN) == own
    # What a program of the host listens on is the host's.
    taken = services(balancers, variables, "id-1", OWN, (), lambda *port: port in {("tcp", "10.44.0.12", 30080)})
    assert set(taken) & set(own) == set(own[1:]) and ("203.0.113.9", "tcp", 80, False) in taken
    # Where it is known what is for the inside alone, all else comes from outside: external addresses of services.
    assert services(balancers, variables, "id-1", OWN, ("10.96.0.0/16", "192.168.0.0/16")) == tuple(
        sorted((*own, ("203.0.113.9", "tcp", 80, False)))
    )


def test_other_hosts_are_those_of_the_address_sets():
    """Protects the flows from what anybody has written into an address set, and this host from itself."""
    sets = [
        row(
            "Address_Set",
            "1",
            name="ovn_kubernetes_hosts_IPv4",
            addresses=("10.44.0.12", "10.44.0.11", "x", "0.0.0.0/0"),
        ),
        row("Address_Set", "2", name="ovn_kubernetes_hosts_IPv6", addresses=("fd44::11",)),
        row("Address_Set", "3", name="others", addresses=("10.44.0.99",)),
    ]
    assert other_hosts(sets, OWN) == ("10.44.0.11", "fd44::11")
