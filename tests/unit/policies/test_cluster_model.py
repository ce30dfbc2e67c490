# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the API's documentation says of a ClusterNetworkPolicy's fields (network-policy-api v0.3.0), and that
what can't be read opens nothing.
"""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import tiers
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.cluster_model import ClusterPolicy, Condition
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.model import PodPeer, PortName, PortRange, Rule
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.selectors import EVERYTHING, Selector

RED = {"matchLabels": {"team": "red"}}
ALL = {"namespaces": {}}


def policy(**spec):
    """A policy for all pods."""
    spec = {"tier": "Admin", "priority": 0, "subject": ALL, **spec}
    return ClusterPolicy.from_object({"metadata": {"name": "p", "uid": "u", "generation": 3}, "spec": spec})


def egress(action="Deny", to=(ALL,), **more):
    """The only egress rule of a policy that has nothing to complain of."""
    made = policy(egress=[{"action": action, "to": list(to), **more}])
    assert made.faults == ()
    return made.egress[0]


def refused(rule, field="egress"):
    """The rules that are left of one that can't be read, whose policy says so."""
    made = policy(**{field: [rule]})
    assert len(made.faults) == 1 and "rule 0" in made.faults[0]
    return getattr(made, field)


@pytest.mark.parametrize(
    ("subject", "namespaces", "pods"),
    [
        ({"namespaces": {}}, EVERYTHING, EVERYTHING),
        ({"namespaces": RED}, Selector.parse(RED), EVERYTHING),
        ({"pods": {"podSelector": {}}}, EVERYTHING, EVERYTHING),
        ({"pods": {"namespaceSelector": {}, "podSelector": {}}}, EVERYTHING, EVERYTHING),
        ({"pods": {"namespaceSelector": RED, "podSelector": {}}}, Selector.parse(RED), EVERYTHING),
        ({"pods": {"podSelector": RED}}, EVERYTHING, Selector.parse(RED)),
    ],
)
def test_subjects_and_peers(subject, namespaces, pods):
    """namespaceSelector: "if empty, it selects all Namespaces"; podSelector: "if empty, it selects all Pods": of a
    subject and of peers in both directions.
    """
    peer = PodPeer(namespaces, pods)
    made = policy(subject=subject, ingress=[{"action": "Deny", "from": [subject]}])
    assert made.subject == peer and made.ingress[0].peers == (peer,) and made.faults == ()
    assert (made.namespace, made.pods) == (namespaces, pods)
    assert egress(to=[subject]).peers == (peer,)


def test_nodes_networks_and_names():
    """nodes: "if present but empty, it selects all Nodes"; networks are CIDRs; names are those of Accept rules."""
    rule = egress(
        "Accept", [{"nodes": {}}, {"networks": ["10.0.0.0/8", "fd00::/8"]}, {"domainNames": ["Example.org."]}]
    )
    assert not rule.everyone and rule.peers == ()
    assert rule.nodes == (EVERYTHING,) and rule.networks == ("10.0.0.0/8", "fd00::/8")
    assert rule.domains == ("example.org",)


def test_protocols():
    """protocols: "If unspecified, protocol-specific attributes will not be used"; without destinationPort all ports of
    the protocol; a name of a port is one in any protocol.
    """
    assert egress().ports is None
    (one,) = egress(protocols=[{"tcp": {"destinationPort": {"number": 80}}}]).ports.ranges
    assert one == PortRange("tcp", 80, 80)
    rule = egress(protocols=[{"udp": {"destinationPort": {"range": {"start": 5, "end": 9}}}}, {"sctp": {}}])
    assert rule.ports.ranges == (PortRange("sctp", 0, 65535), PortRange("udp", 5, 9))
    names = egress(protocols=[{"destinationNamedPort": "web"}]).ports.names
    assert names == tuple(PortName(protocol, "web") for protocol in ("sctp", "tcp", "udp"))


def test_rules_keep_their_places():
    """ "a rule that appears at the top ... would take the highest precedence": numbers are those in the object, also
    where a rule between matches nothing.
    """
    bad = {"action": "Accept", "from": [{"unknown": {}}]}
    made = policy(ingress=[{"action": "Pass", "from": [ALL]}, bad, {"action": "Deny", "from": [ALL]}])
    assert [(rule.number, rule.action) for rule in made.ingress] == [(0, "Pass"), (2, "Deny")]
    assert made.egress == ()


@pytest.mark.parametrize(
    "broken",
    [
        {"to": [{}]},
        {"to": [{"future": {}}]},
        {"to": [ALL, {"future": {}}]},
        {"to": []},
        {},
        {"to": [{"namespaces": {}, "nodes": {}}]},
        {"to": [{"networks": []}]},
        {"to": [{"networks": ["10.0.0.1"]}]},
        {"to": [{"networks": ["10.0.0.0/8"] * 26}]},
        {"to": [{"pods": {}}]},
        {"to": [{"namespaces": {"matchLabels": "x"}}]},
        {"to": [ALL], "protocols": []},
        {"to": [ALL], "protocols": [{}]},
        {"to": [ALL], "protocols": [{"icmp": {}}]},
        {"to": [ALL], "protocols": [{"tcp": {"sourcePort": 1}}]},
        {"to": [ALL], "protocols": [{"TCP": {}}]},
        {"to": [ALL], "protocols": [{"tcp": {"destinationPort": {"number": 0}}}]},
        {"to": [ALL], "protocols": [{"tcp": {"destinationPort": {"number": True}}}]},
        {"to": [ALL], "protocols": [{"tcp": {"destinationPort": {"range": {"start": 9, "end": 5}}}}]},
        {"to": [{"nodes": {}}], "protocols": [{"destinationNamedPort": "web"}]},
        {"to": [{"domainNames": ["*.example.org"]}]},
        {"to": [{"domainNames": ['example.org" || 1']}]},
    ],
)
def test_what_cannot_be_read_fails_closed(broken):
    """ "For "Accept" rules, "fail closed" means: "treat the rule as matching no traffic". For "Deny" and "Pass" rules,
    "fail closed" means: "treat the rule as a 'Deny all' rule".", in its place.
    """
    assert refused({"action": "Accept", **broken}) == ()
    for action in ("Deny", "Pass", "Log", None):
        assert refused({"action": action, **broken}) == (Rule(True, action="Deny", number=0),)


def test_names_only_with_accept():
    """domainNames: "only supported for Accept rules"; ingress rules have pods as peers only."""
    assert refused({"action": "Pass", "to": [{"domainNames": ["example.org"]}]})[0].everyone
    for peer in ({"nodes": {}}, {"networks": ["10.0.0.0/8"]}, {"domainNames": ["example.org"]}):
        assert refused({"action": "Accept", "from": [peer]}, "ingress") == ()


@pytest.mark.parametrize(
    "broken",
    [
        {"tier": "Application"},
        {"tier": ["Admin"]},
        {"priority": 1001},
        {"priority": "1"},
        {"priority": True},
        {"subject": {}},
        {"subject": {"future": {}}},
        {"subject": {"namespaces": {}, "pods": {"podSelector": {}}}},
        {"egress": [{"action": "Deny", "to": [ALL]}] * 26},
        {"ingress": "x"},
    ],
)
def test_a_policy_that_cannot_be_placed(broken):
    """Protects all other pods from a policy of which nobody knows for whom it is, or where it stands: it is refused."""
    made = policy(**{"egress": [{"action": "Deny", "to": [ALL]}], **broken})
    assert made.subject is None and made.ingress == made.egress == ()
    assert "it says nothing of any pod" in made.faults[0]


def test_hostile_text_is_bounded():
    """Protects the watcher and its log: many faults with long texts are a few short ones."""
    rules = [{"action": "Deny", "to": [{"networks": ["x" * 100_000]}]}] * 25
    made = policy(ingress=rules, egress=rules)
    assert len(made.faults) == 6 and made.faults[-1] == "and 45 more"
    assert all(len(one) < 300 for one in made.faults)


def test_the_condition():
    """Protects the object from being written again and again: what it says already is known, whatever others say."""
    mine = {
        "type": "Enforced",
        "status": "True",
        "reason": "Enforced",
        "message": "m",
        "observedGeneration": 3,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    item = {"metadata": {"name": "p", "uid": "u"}, "spec": {}, "status": {"conditions": [{"type": "Other"}, mine]}}
    found = ClusterPolicy.from_object(item).condition
    assert found == Condition("True", "Enforced", "m", 3, "2026-01-01T00:00:00Z")
    for status in (None, {}, {"conditions": None}, {"conditions": ["x"]}, "x"):
        assert ClusterPolicy.from_object({**item, "status": status}).condition is None


def test_versions():
    """Protects the path and the version of what is written: those by which the object was read."""
    item = {"metadata": {"name": "p", "uid": "u"}, "spec": {}}
    for version in ("v1alpha2", "v1beta1"):
        made = ClusterPolicy.from_object({**item, "apiVersion": f"policy.networking.k8s.io/{version}"})
        assert made.version == version and made.reference.api_version == f"policy.networking.k8s.io/{version}"
    assert ClusterPolicy.from_object(item).version == "v1beta1"
    assert policy().tier == tiers.ADMIN and policy(tier="Baseline").tier == tiers.BASELINE
