# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the inventory asks of the relays of the Southbound database: where they listen, what they are
connected to, and which ways need none."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.plugin_utils._central_findings import central_findings
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._inventory import Inventory
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._settings import Cluster as Common

from .central_hosts import ALL, cluster, decision, member, targets
from .conftest import MASTER, NODE1


def relays(tls=False, masters=ALL, relay=None, asked=True, **southbound):
    """Masters that are asked for relays.

    :param relay: what facts say of each.
    """
    states = {host: {**member(host, masters, **southbound), "relay": relay or {}} for host in masters}
    made = cluster(states, masters, tls)
    made.everywhere(ovn_southbound_relays=asked)
    return made


CENTRAL_TCP = {"target": "ptcp:16642", "role": "", "probe": 60000, "ours": True}
CHASSIS_TCP = {"target": "ptcp:6642", "role": "", "probe": 10000, "ours": True}
RELAY = {"model": "relay", "running": True, "connected": True, "listeners": [CHASSIS_TCP]}


def test_listeners_with_relays():
    """Protects what is open: for chassis the relay, with their role, and for the relay the members' other port, also
    where there is one member that speaks tcp."""
    assert targets(relays(tls=True)) == {
        "northbound": [("pssl:6641", "")],
        "southbound": [("pssl:16642", "")],
        "relay": [("pssl:6642", "ovn-controller")],
    }
    assert targets(relays(masters=[MASTER])) == {
        "northbound": [],
        "southbound": [("ptcp:16642", "")],
        "relay": [("ptcp:6642", "")],
    }


def test_arguments_of_a_relay():
    """Protects the relay's own connection: to the port of masters on all of them, as a master; and hosts' connections
    to it, which it knows by both authorities."""
    assert decision(relays(tls=True))["relay"] == (
        "--private-key=/etc/ovn-kubernetes/tls/central.pem --certificate=/etc/ovn-kubernetes/tls/central.pem "
        "--ca-cert=/etc/ovn-kubernetes/tls/southbound-ca.crt "
        "relay:OVN_Southbound:ssl:10.44.0.11:16642,ssl:10.44.0.12:16642,ssl:10.44.0.13:16642"
    )
    assert decision(relays(masters=[MASTER]))["relay"] == "relay:OVN_Southbound:tcp:10.44.0.11:16642"
    assert decision(relays(asked=False))["relay"] == ""


BOTH_PORTS = [CENTRAL_TCP, CHASSIS_TCP]


def test_hosts_stay_with_the_protocol_of_relays():
    """Protects hosts of a run that leaves all masters out, and in which nobody refuses another protocol."""
    made = relays(tls=True, relay=RELAY, listeners=[CENTRAL_TCP])
    assert Common(Inventory(made.hostvars, made.groups, ALL)).southbound_remote.startswith("tcp:10.44.0.11:6642,")
    found = decision(made, limited=ALL)
    assert (found["refusals"], found["awaits_masters"]) == ([], True)


SWITCH_OFF = "ovn_tls can't change while there are relays: set ovn_southbound_relays: false"


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (relays(tls=True, relay=RELAY, listeners=[CENTRAL_TCP]), f"{SWITCH_OFF} and ovn_tls: false, run"),
        (relays(tls=True, relay=RELAY, listeners=[CENTRAL_TCP], asked=False), f"{SWITCH_OFF} and ovn_tls: false, run"),
        (relays(tls=True, listeners=[CENTRAL_TCP]), f"{SWITCH_OFF}, run"),
        (relays(tls=True, listeners=BOTH_PORTS), f"{SWITCH_OFF}, run"),
    ],
    ids=["with relays", "both at once", "with relays that are down", "relays are new"],
)
def test_no_switch_of_the_protocol_with_relays(made, text):
    """Protects chassis: the port of relays has no spare one, and who changes the protocol under them cuts all."""
    found = decision(made)
    assert found["steps"] == []
    (refusal,) = found["refusals"]
    assert refusal.startswith(text)
    assert refusal.endswith("and then set ovn_southbound_relays: true")


def test_relays_and_tcp_that_stays():
    """Protects clusters that speak tcp, and the end of a change between tcp and ssl: nothing is refused there."""
    assert decision(relays(relay=RELAY, listeners=[CENTRAL_TCP]))["refusals"] == []
    assert decision(relays(tls=True, listeners=BOTH_PORTS, asked=False))["refusals"] == []


def test_masters_without_a_relay():
    """Protects a play in batches from steps for relays whose unit it does not bring; one that is down has its own."""
    made = relays(relay=RELAY, listeners=[CENTRAL_TCP])
    assert decision(made)["without_relay"] == []
    found = made.hostvars[NODE1]["ansible_facts"]["ovn_kubernetes"]["central_databases"]
    found["relay"] = {"model": "standalone", "package_schema": "1.0.0"}
    assert decision(made)["without_relay"] == []
    assert [step["action"] for step in decision(made)["steps"] if step["host"] == NODE1] == ["start"]
    found["relay"] = {"model": "standalone"}
    assert decision(made)["without_relay"] == [NODE1]
    del found["relay"]
    assert decision(made)["without_relay"] == [NODE1]
    assert decision(relays(asked=False))["without_relay"] == []


def test_verify_names_what_is_wrong_with_relays():
    """Protects who looks: each state of a relay has its own words, and the host."""

    def wrong(relay):
        made = relays(masters=[MASTER], relay=relay, listeners=[{**CENTRAL_TCP}], timer=1500)
        return [(one.host, one.wrong) for one in central_findings(Inventory(made.hostvars, made.groups, ALL), ALL)]

    assert wrong(RELAY) == []
    assert wrong({}) == [(MASTER, "its relay of OVN_Southbound does not run")]
    text = "its relay of OVN_Southbound is connected to no member that has a leader"
    assert wrong({**RELAY, "connected": False}) == [(MASTER, text)]
    text = "its relay of OVN_Southbound listens in other places than it should"
    assert wrong({**RELAY, "listeners": []}) == [(MASTER, text)]
    other = {"target": "ptcp:17777", "role": "", "probe": None, "ours": False}
    assert wrong({**RELAY, "listeners": [CHASSIS_TCP, other]}) == [(MASTER, text)], "nobody else has a reason to"
