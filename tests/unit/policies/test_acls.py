# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the ACLs of network policies: few, in the right order, and without a letter of a user in their matches."""

from __future__ import annotations

import re

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.northbound import NodeSwitch
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import acls, nodes, tiers
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.model import Policy
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.shared import Shared
from ansible_collections.ovn.kubernetes.plugins.module_utils._services import unserved

HOSTILE = ('"', "\\", "$all", "@everyone", "} || 1 || {", "' or ip", "a|b", ".*", "ü", "\n", "${x}", "0.0.0.0/0")
MATCH = re.compile(r"[a-z0-9_@$ .:,=&|<>{}()]+")


def rows(numbers=(), name="p", versions=(4, 6), **spec):
    """The rows of a policy, where pods have these IP versions."""
    made = Policy.from_object({"metadata": {"namespace": "a", "name": name, "uid": "u"}, "spec": spec})
    known = {}

    def find(key):
        return known.setdefault(key, Shared(key))

    found = acls.wanted(made, lambda _watch: numbers)
    return [row for one in found for row in acls.rows(made.key, one, find, versions=versions)]


def matches(**spec):
    """Their matches, with short names."""
    names = {}

    def short(found):
        return names.setdefault(found[0], f"{found[0][:2]}{len(names)}") + found[0][-3:] * (found[0][-3:-1] == "_v")

    text = [one.columns["match"] for one in rows(**spec)]
    return [re.sub(r"[@$](policy|peers)_[0-9a-f]{32}(_v\d)?", short, one) for one in text]


def test_one_drop_for_each_direction():
    """Protects isolation: what a policy is about is dropped, IP only, so that ARP passes; the other direction is not
    touched.
    """
    both = rows(podSelector={}, policyTypes=["Ingress", "Egress"])
    assert [(one.columns["direction"], one.columns["action"]) for one in both] == [
        ("to-lport", "drop"),
        ("from-lport", "drop"),
    ]
    assert [one.columns["match"].split(" @")[0] for one in both] == ["outport ==", "inport =="]
    assert all(one.columns["match"].endswith(" && ip") for one in both)
    assert "options" not in both[0].columns and both[1].columns["options"] == {"apply-after-lb": "true"}
    assert len(rows(podSelector={}, policyTypes=["Egress"])) == 1


def test_matches():
    """Protects what a rule lets through: peers by address sets of both IP versions, networks by those that they have,
    and ports; and hosts from rows about two versions or protocols, which become very many flows.
    """
    peers = [{"podSelector": {}}, {"namespaceSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]
    ports = [{"port": 80}, {"port": 443}, {"port": 8000, "endPort": 8010}, {"protocol": "UDP"}]
    tcp = "(tcp.dst == {80, 443} || 8000 <= tcp.dst <= 8010)"
    both = {
        4: [f"outport == @p0 && ip4.src == {{$p1_v4, $p2_v4, $p3_v4}} && {one}" for one in (tcp, "udp")],
        6: [f"outport == @p0 && ip6.src == {{$p4_v6, $p5_v6}} && {one}" for one in (tcp, "udp")],
    }
    spec = {"podSelector": {}, "ingress": [{"from": peers, "ports": ports}]}
    assert sorted(matches(**spec)[1:]) == sorted(both[4] + both[6])
    assert matches(**spec, versions=(4,))[1:] == both[4]
    assert len({one.role for one in rows(**spec)}) == 5
    assert len({one.columns["name"] for one in rows(**spec)}) == 2  # the rule's, and the isolation's
    assert [one.columns["external_ids"]["gress-index"] for one in rows(**spec)] == [None] + ["0"] * 4
    assert matches(podSelector={}, ingress=[{}])[1] == "outport == @p0 && ip"
    assert matches(podSelector={}, ingress=[{"ports": [{"port": 80}]}])[1] == "outport == @p0 && tcp.dst == 80"
    block = [{"ipBlock": {"cidr": "fd00::/8"}}]
    egress = matches(podSelector={}, policyTypes=["Egress"], egress=[{"to": block, "ports": [{"protocol": "SCTP"}]}])
    assert egress[1] == "inport == @p0 && ip6.dst == $p1_v6 && sctp"


def test_a_rule_without_peers_that_are_left():
    """Protects pods where exceptions leave nothing of a block: it does not become everybody."""
    whole = {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}}
    assert len(rows(podSelector={}, ingress=[{"from": [whole]}])) == 1


def test_named_ports_by_number():
    """Protects names of ports: for each number that pods have there is one ACL, about those pods only."""
    by_number = rows(numbers=[80, 8080], podSelector={}, ingress=[{"ports": [{"port": "http"}]}])
    assert [one.columns["match"].rpartition(" ")[2] for one in by_number[1:]] == ["80", "8080"]
    assert len({one.parent for one in by_number}) == 3
    egress = [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": "http", "protocol": "UDP"}]}]
    assert matches(numbers=[53], podSelector={}, policyTypes=["Egress"], egress=egress)[1:] == [
        "inport == @p0 && ip4.dst == $p1_v4 && udp.dst == 53",
        "inport == @p0 && ip6.dst == $p2_v6 && udp.dst == 53",
    ]
    assert len(rows(numbers=[], podSelector={}, ingress=[{"ports": [{"port": "http"}]}])) == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_user_in_a_match(text):
    """Protects everybody from labels, names and values that look like a part of a match."""
    selector = {
        "matchLabels": {text: text},
        "matchExpressions": [{"key": text, "operator": "In", "values": [text, "x"]}],
    }
    peers = [{"podSelector": selector, "namespaceSelector": selector}, {"podSelector": selector}]
    rule = {"from": peers, "to": peers, "ports": [{"port": text[:15]}, {"port": 80}]}
    made = rows(
        numbers=[80],
        name=text,
        podSelector=selector,
        policyTypes=["Ingress", "Egress"],
        ingress=[rule],
        egress=[rule],
    )
    assert len(made) == 10
    for one in made:
        assert MATCH.fullmatch(one.columns["match"]) and re.fullmatch(r"policy_[0-9a-f]{32}", one.parent)
        assert re.fullmatch(r"(to|from)-pods-(rule|isolation)-[0-9a-f]{32}", one.role)


def test_the_order():
    """Protects the order of ACLs: by tier, and where there are no tiers by priority alone. What always passes comes
    before EgressFirewall, that before rules, those before isolation; ACLs of services come before all of them, or are
    those of a stage of their own.
    """
    made = rows(podSelector={}, ingress=[{}])
    assert [one.columns["priority"] for one in made] == [tiers.ISOLATE, tiers.ALLOW]
    assert tiers.NEXT < tiers.ISOLATE < tiers.ALLOW < tiers.EGRESS_LAST < tiers.EGRESS_FIRST < tiers.ALWAYS
    assert tiers.ALWAYS < unserved.PRIORITY <= 32767
    assert {one.columns["tier"] for one in made} == {tiers.NETWORK}
    assert tiers.FIREWALL < tiers.ADMIN < tiers.NETWORK < tiers.BASELINE


def test_the_priorities_of_cluster_network_policies():
    """Protects the order of rules: an earlier rule comes before a later one, whatever policy of a lower priority number
    before others, within what OVN takes; and what has no place is refused.
    """
    order = [tiers.of_rule(policy, rule) for policy in range(1001) for rule in range(25)]
    assert order == sorted(order, reverse=True) and len(set(order)) == len(order)
    assert order[0] <= 32767 and order[-1] > tiers.NEXT
    for priority, number in ((-1, 0), (1001, 0), (0, 25), (0, -1)):
        with pytest.raises(ValueError, match="has no rule"):
            tiers.of_rule(priority, number)


def test_what_passes_to_the_next_tier():
    """Protects connections that a policy of a later tier has cut, and the answers of those that none has: each tier has
    an ACL of priority 0 for all IP, both ways, which passes it on, and in the last one allows it; a database without
    tiers has none.
    """
    switch = NodeSwitch("n", ("192.168.1.0/24",), None)
    last = [one.columns for one in nodes.rows(switch, True) if one.columns["priority"] == tiers.NEXT]
    assert {(one["direction"], one["tier"], one["action"]) for one in last} == {
        (direction, tier, action)
        for direction in ("to-lport", "from-lport")
        for tier, action in enumerate(("pass", "pass", "pass", "allow-related"))
    }
    assert {one["match"] for one in last} == {"ip"}
    assert not [one for one in nodes.rows(switch, False) if one.columns["priority"] == tiers.NEXT]


def test_a_changed_rule_is_another_row():
    """Protects the other rules of a policy: what a change does not concern keeps its row, wherever in the list."""
    first, second = {"ports": [{"port": 1}]}, {"ports": [{"port": 2}]}
    before = {one.role for one in rows(podSelector={}, ingress=[first, second])}
    after = {one.role for one in rows(podSelector={}, ingress=[second])}
    assert after < before
