# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what pods may reach outside: the drops of an egress firewall say what its rules say, and what can't be
served is closed.
"""

from __future__ import annotations

import ipaddress
import random

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import egress_firewall_drops as compiling
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import egress_firewalls
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.acl_log import OFF
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.egress_firewall_drops import Resolved, drops
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.egress_firewall_model import (
    DENY_ALL,
    EgressFirewall,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.model import PortRange
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.networks import Spans, span
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.selectors import EVERYTHING
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.shared import PodGroup, Shared

INSIDE = [span("10.1.0.0/16"), span("fd10::/48")]


def firewall(*rules, **more):
    """A firewall from an object with these rules."""
    metadata = {"namespace": "a", "name": "default", "uid": "u"}
    return EgressFirewall.from_object({"metadata": metadata, "spec": {"egress": list(rules)}, **more})


def is_dropped(compiled, address, protocol, port):
    """Whether one of the drops hits a packet."""
    for one in compiled.drops:
        if one.has_no_ports and protocol in ("tcp", "udp", "sctp"):
            continue
        if one.ports is not None and not any(own[0] == protocol and own[1] <= port <= own[2] for own in one.ports):
            continue
        if Spans(one.networks).have(address):
            return True
    return False


def rows_of(compiled):
    """The rows of drops, which must be rows that a database takes together."""
    group = Shared(PodGroup("a", EVERYTHING))
    found = [row for drop in compiled.drops for row in egress_firewalls._rows("a/default", drop, group, OFF, (4, 6))]
    assert len({(row.table, row.role) for row in found}) == len(found), compiled
    names = [row.name for row in found if row.name is not None]
    assert len(set(names)) == len(names), compiled
    return found


def is_denied(rules, address, protocol, port):
    """What the rules say, one after the other."""
    if any(one.first <= int(ipaddress.ip_address(address)) <= one.last for one in INSIDE):
        return False
    number, version = int(ipaddress.ip_address(address)), ipaddress.ip_address(address).version
    for rule in rules:
        if not any(one.version == version and one.first <= number <= one.last for one in rule.networks):
            continue
        if rule.ports is None or any(one[0] == protocol and one[1] <= port <= one[2] for one in rule.ports):
            return not rule.is_allow
    return False


def test_drops_are_what_the_rules_say():
    """Protects the meaning of rules in any order, with any ports: random rules over few networks and ports, and for
    each packet the verdict of the drops is that of the rules one after the other. No two rows of one have the same role
    or name: the database would refuse all of them, and the firewall would be open.
    """
    chance = random.Random(7)
    networks = [
        "10.0.0.0/8",
        "10.1.2.0/24",
        "10.2.0.0/16",
        "10.2.3.0/24",
        "10.2.3.4/32",
        "0.0.0.0/0",
        "fd10::/32",
        "::/0",
    ]
    addresses = [
        "10.1.2.3",
        "10.2.3.4",
        "10.2.3.5",
        "10.2.4.4",
        "10.3.0.1",
        "11.0.0.1",
        "fd10::7",
        "fd10:1::1",
        "fd11::1",
    ]
    choices = [
        None,
        (PortRange("tcp", 80, 80),),
        (PortRange("tcp", 80, 80), PortRange("udp", 53, 53)),
        (PortRange("tcp", 1, 1), PortRange("tcp", 65535, 65535)),
        (PortRange("sctp", 80, 80),),
        (PortRange("tcp", 79, 81), PortRange("tcp", 80, 80), PortRange("udp", 0, 65535)),
    ]
    packets = [(one, port) for one in ("tcp", "udp", "sctp") for port in (1, 53, 79, 80, 81, 65535)] + [("icmp", 0)]
    for _n in range(300):
        rules = [
            Resolved(
                chance.random() < 0.5,
                tuple(span(one) for one in chance.sample(networks, chance.randint(1, 2))),
                chance.choice(choices),
            )
            for _m in range(chance.randint(1, 7))
        ]
        compiled = drops(rules, INSIDE)
        assert not compiled.faults
        rows_of(compiled)
        for address in addresses:
            for protocol, port in packets:
                expected = is_denied(rules, address, protocol, port)
                assert is_dropped(compiled, address, protocol, port) == expected, (rules, address, protocol, port)


@pytest.mark.parametrize(
    "rules",
    [
        (("Allow", "198.51.100.0/24", "tcp", 80), ("Deny", "0.0.0.0/0", "tcp", 25)),
        (("Allow", "198.51.100.0/24", "tcp", 80), ("Deny", "0.0.0.0/0", "tcp", 80), ("Deny", "::/0", None, 0)),
    ],
)
def test_ports_of_others(rules):
    """Protects a usual firewall from being refused as a whole: a Deny of one port after an Allow of another one is one
    row, of all networks, since they have nothing in common.
    """
    resolved = [
        Resolved(kind == "Allow", (span(network),), None if protocol is None else (PortRange(protocol, port, port),))
        for kind, network, protocol, port in rules
    ]
    compiled = drops(resolved, INSIDE)
    rows_of(compiled)
    if len(rules) == 2:
        (row,) = [row for row in rows_of(compiled) if row.table == "ACL"]
        assert row.columns["match"].endswith("&& tcp.dst == 25") and "ip4.dst" in row.columns["match"]
        assert is_dropped(compiled, "198.51.100.7", "tcp", 25)


def test_one_row_for_each_version_and_protocol():
    """Protects ovn-controller from flows of each address and port: no match is about two IP versions or protocols."""
    allow = [Resolved(True, (span(f"203.0.113.{n}/32"),), (PortRange("tcp", 80, 80),)) for n in range(0, 20, 2)]
    rows = rows_of(drops([*allow, Resolved(False, (span("0.0.0.0/0"), span("::/0")), None)], INSIDE))
    matches = [row.columns["match"] for row in rows if row.table == "ACL"]
    assert len(matches) == len(set(matches)) == 6  # no Allow: one of each version; IPv4: three protocols, and the rest
    for match in matches:
        assert len({one for one in ("ip4", "ip6") if one in match}) == 1
        assert len({one for one in ("tcp", "udp", "sctp") if one in match}) <= 1


def test_what_is_too_large_is_closed_by_rows():
    """Protects a firewall at its limits: what is closed instead has rows that the database takes with the others."""
    allow = [
        Resolved(True, (span(f"100.0.{n >> 7}.{2 * n & 255}/32"),), (PortRange("tcp", 1000 + n % 12, 1000 + n % 12),))
        for n in range(7000)
    ]
    compiled = drops([*allow, Resolved(False, (span("0.0.0.0/0"),), None)], INSIDE)
    assert "everything is denied" in compiled.faults[0] and compiled.drops[-1].kind == compiling.ALL
    assert len(compiled.drops) > 1, "the limit must be met after a part, as it was when roles were the same"
    rows_of(compiled)
    assert is_dropped(compiled, "100.0.1.0", "tcp", 1008) and not is_dropped(compiled, "10.1.2.3", "tcp", 80)


def test_what_never_leaves_the_cluster():
    """Protects multicast, and what has no way out, from a Deny of everything; and what clouds serve at link-local
    addresses from being open in spite of it.
    """
    deny = [Resolved(False, (span("0.0.0.0/0"), span("::/0")), None)]
    compiled = drops(deny, egress_firewalls.NEVER_OUTSIDE)
    for address in ("224.0.0.251", "255.255.255.255", "fe80::1", "ff02::1"):
        assert not is_dropped(compiled, address, "udp", 53), address
    for address in ("169.254.169.254", "169.254.170.2", "8.8.8.8", "2001:db8::1"):
        assert is_dropped(compiled, address, "tcp", 80), address


def test_few_rows():
    """Protects OVN from many flows: the usual firewall is one drop of all, and small ones of what is opened in part."""
    found = firewall(
        {"type": "Allow", "to": {"cidrSelector": "203.0.113.7/32"}, "ports": [{"protocol": "TCP", "port": 443}]},
        {"type": "Allow", "to": {"cidrSelector": "198.51.100.0/24"}},
        {"type": "Deny", "to": {"cidrSelector": "0.0.0.0/0"}},
    )
    compiled = drops([Resolved(one.is_allow, one.networks, one.ports) for one in found.rules], INSIDE)
    ports = [("sctp", 0, 65535), ("tcp", 0, 442), ("tcp", 444, 65535), ("udp", 0, 65535)]
    assert [(one.ports, len(one.networks), one.has_no_ports) for one in compiled.drops][1:] == [
        (tuple(PortRange(*one) for one in ports), 1, False),
        (None, 1, True),
    ]
    many = [firewall(*({"type": "Deny", "to": {"cidrSelector": f"192.0.2.{n}/32"}} for n in range(0, 200, 2)))]
    compiled = drops([Resolved(False, one.networks, None) for one in many[0].rules], INSIDE)
    assert len(compiled.drops) == 1 and len(compiled.drops[0].networks) == 100


def test_drops_name_their_rules():
    """Protects whoever reads a log line, or an explanation: the rule that drops is named by its place in the object,
    also behind one that can't be read, and of several in one row the first and the last.
    """
    allow, deny = (
        lambda network, kind=kind: {"type": kind, "to": {"cidrSelector": network}} for kind in ("Allow", "Deny")
    )
    found = firewall(
        deny("192.0.2.0/24"), allow("none"), deny("198.51.100.0/24"), allow("203.0.113.7/32"), deny("203.0.113.0/24")
    )
    resolved = [Resolved(one.is_allow, one.networks, one.ports, one.number) for one in found.rules]
    compiled = drops(resolved, INSIDE)
    found = [(one.rules, one.networks[0]) for one in compiled.drops]
    assert found == [((0, 2), "192.0.2.0/24"), ((4, 4), "203.0.113.0/30")]


@pytest.mark.parametrize(
    "rule",
    [
        "text",
        {},
        {"type": "Deny"},
        {"type": "deny", "to": {"cidrSelector": "192.0.2.0/24"}},
        {"type": "Deny", "to": {}},
        {"type": "Deny", "to": {"cidrSelector": "192.0.2.0"}},
        {"type": "Deny", "to": {"cidrSelector": '1.2.3.4/32 || 1"'}},
        {"type": "Deny", "to": {"cidrSelector": "192.0.2.0/24", "dnsName": "example.com"}},
        {"type": "Deny", "to": {"dnsName": "*.example.com"}},
        {"type": "Deny", "to": {"nodeSelector": "all"}},
        {"type": "Deny", "to": {"cidrSelector": "192.0.2.0/24"}, "ports": [{"port": 1}]},
        {"type": "Deny", "to": {"cidrSelector": "192.0.2.0/24"}, "ports": [{"protocol": "TCP", "port": 65536}]},
        {"type": "Deny", "to": {"cidrSelector": "192.0.2.0/24"}, "ports": [{"protocol": "ICMP", "port": 1}]},
    ],
)
def test_what_cannot_be_read_is_closed(rule):
    """Protects a namespace from a rule that can't be read: a Deny denies everything, an Allow allows nothing, and the
    firewall says so.
    """
    first = {"type": "Allow", "to": {"cidrSelector": "198.51.100.0/24"}}
    found = firewall(first, rule, first)
    assert found.rules[1:] == (DENY_ALL._replace(number=1),) and "rule 1 denies everything" in found.faults[0]
    if isinstance(rule, dict) and rule.get("type") == "Deny":
        found = firewall(first, {**rule, "type": "Allow"}, first)
        assert len(found.rules) == 2 and "rule 1 allows nothing" in found.faults[0]


def test_large_firewalls_are_closed():
    """Protects the watcher, and everybody else, from a firewall of any size: what is too much is closed, and said."""
    found = firewall(*({"type": "Allow", "to": {"cidrSelector": "192.0.2.0/24"}} for _n in range(8001)))
    assert found.rules[-1] == DENY_ALL._replace(number=8000) and "8000" in found.faults[0]
    names = [{"type": "Deny", "to": {"dnsName": f"n{n}.example.com"}} for n in range(101)]
    found = firewall(*names)
    assert found.rules[-1] == DENY_ALL._replace(number=100) and len(found.domains) == 100
    scattered = [Resolved(True, (span(f"{n % 200}.{n // 200}.7.9/32"),), None) for n in range(2000)]
    everything = Resolved(False, (span("0.0.0.0/0"),), None)
    compiled = drops([*scattered, everything], INSIDE)
    assert "10000" in compiled.faults[0] and is_dropped(compiled, "1.1.7.9", "tcp", 80)
    assert not is_dropped(compiled, "10.1.2.3", "tcp", 80) and is_dropped(compiled, "fd77::1", "tcp", 80)
    ports = [Resolved(True, (span("0.0.0.0/0"),), (PortRange("tcp", n, n),)) for n in range(1, 400)]
    compiled = drops([*ports, everything], INSIDE)
    assert f"{compiling.MAXIMUM_PORTS} ports" in compiled.faults[0]
    assert is_dropped(compiled, "1.1.1.1", "tcp", 399) and not is_dropped(compiled, "1.1.1.1", "tcp", 7)
    mixed = [Resolved(n % 2 == 0, (span(f"{n % 200}.{n // 200}.0.0/16"),), None) for n in range(8000)]
    compiled = drops(mixed, INSIDE)
    assert compiled.faults and is_dropped(compiled, "250.1.1.1", "tcp", 80)


def test_only_addresses_and_numbers_get_into_rows():
    """Protects matches from users: what a rule names is a network, a number, or a hash."""
    found = firewall(
        {"type": "Deny", "to": {"cidrSelector": "192.0.2.7/24"}, "ports": [{"protocol": "UDP", "port": 53}]}
    )
    compiled = drops([Resolved(one.is_allow, one.networks, one.ports) for one in found.rules], INSIDE)
    assert compiled.drops[0].networks == ("192.0.2.0/24",) and compiled.drops[0].ports == (PortRange("udp", 53, 53),)


def test_status_is_read_bounded():
    """Protects the watcher from a status that somebody has written."""
    for status in (
        None,
        7,
        {"status": {"a": 1}, "messages": "x"},
        {"status": "x" * 10000, "messages": ["y" * 10000] * 99},
    ):
        text, messages = firewall(status=status).status
        assert len(text) <= 600 and len(messages) <= 5 and all(len(one) <= 600 for one in messages)
