# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the ACLs of cluster network policies: tier, priority and action of each rule, and that nothing that is not
served opens something.
"""

from __future__ import annotations

import re

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import acls, cluster_acls, tiers
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.acls import Watch
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.cluster_model import ClusterPolicy
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.model import PortName
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.shared import (
    OtherNumbers,
    PeerPods,
    PodGroup,
    Shared,
)

ALL = {"namespaces": {}}
RED = {"namespaces": {"matchLabels": {"team": "red"}}}


def policy(**spec):
    """A policy for all pods."""
    spec = {"tier": "Admin", "priority": 7, "subject": ALL, **spec}
    return ClusterPolicy.from_object({"metadata": {"name": "p", "uid": "u"}, "spec": spec})


def rows(made, numbers=(), **more):
    """The rows of a policy."""
    known = {}

    def find(key):
        return known.setdefault(key, Shared(key))

    found = cluster_acls.wanted(made, lambda _watch: numbers, **more)
    return [row for one in found for row in acls.rows(made.key, one, find, cluster_acls.KIND)]


def rule(action, field="from", peer=ALL, **more):
    """A rule."""
    return {"action": action, field: [peer], **more}


def test_actions_and_priorities():
    """Protects the meaning of actions in both tiers: Pass goes on to the next tier, and in the last one allows what
    nobody has decided; a rule has its own priority, whatever its peers.
    """
    ingress = [rule("Accept"), rule("Deny"), rule("Pass")]
    for tier, passing in (("Admin", "pass"), ("Baseline", "allow-related")):
        made = [one.columns for one in rows(policy(tier=tier, ingress=ingress, egress=[rule("Deny", "to")]))]
        assert {one["match"].split(" ")[4] for one in made} == {"ip4.src", "ip6.src", "ip4.dst", "ip6.dst"}
        made = [one for one in made if " ip4." in one["match"]]
        assert [one["action"] for one in made] == ["allow-related", "drop", passing, "drop"]
        assert {one["tier"] for one in made} == {tiers.ADMIN if tier == "Admin" else tiers.BASELINE}
        first = tiers.of_rule(7, 0)
        assert [one["priority"] for one in made] == [first, first - 1, first - 2, first]
        assert [one["direction"] for one in made] == ["to-lport"] * 3 + ["from-lport"]
    assert len({one.role for one in rows(policy(ingress=ingress))}) == 6


def test_there_is_no_implicit_isolation():
    """ "there will not be any implicit isolation effects": a policy has no ACL but those of its rules."""
    assert rows(policy()) == [] == rows(policy(ingress=[], egress=None))
    assert len(rows(policy(ingress=[rule("Accept")]))) == 2


def test_matches_hold_no_text_of_a_user():
    """Protects the match: names are hashes, whatever selectors and names of ports say."""
    text = '" || 1'
    peer = {"namespaces": {"matchLabels": {text: text}}}
    ports = [{"destinationNamedPort": text}, {"tcp": {"destinationPort": {"number": 80}}}]
    made = rows(policy(subject=peer, ingress=[rule("Deny", peer=peer, protocols=ports)]), [1234])
    assert len(made) == 8
    for one in made:
        assert re.fullmatch(r"[a-z0-9_@$ .=&|{}(),]+", one.columns["match"])
        assert re.fullmatch(r"policy_[0-9a-f]{32}", one.parent)


def test_nodes_and_domain_names():
    """Protects peers that are no pods: sets of nodes and of domain names, which a row waits for."""
    peers = [{"nodes": {}}, {"networks": ["10.0.0.0/8"]}, {"domainNames": ["example.org", "example.net"]}]
    one, other = rows(policy(egress=[{"action": "Accept", "to": peers}]))
    assert len(re.findall(r"\$peers_[0-9a-f]{32}_v4", one.columns["match"])) == 2
    assert len(re.findall(r"\$peers_[0-9a-f]{32}_v6", other.columns["match"])) == 1
    assert len(re.findall(r"\$domain_[0-9a-f]{32}_v6", other.columns["match"])) == 2
    assert {need.owner.type for need in one.needs} == {"PolicyPods", "PolicyPeers", "PolicyDomain"}
    less = rows(policy(egress=[{"action": "Accept", "to": peers}]), unknown=["example.org"])
    assert [row.columns["match"].count("$domain_") for row in less] == [1, 1]
    only = [{"domainNames": ["example.org"]}]
    assert rows(policy(egress=[{"action": "Accept", "to": only}]), unknown=["example.org"]) == []


def test_what_is_too_much_fails_closed():
    """Protects against rules whose peers are more than what is served: Accept matches nothing; Deny and Pass deny
    everything.
    """
    (peer,) = (PeerPods(one.namespaces, one.pods) for one in policy(ingress=[rule("Deny", peer=RED)]).ingress[0].peers)
    assert rows(policy(ingress=[rule("Accept", peer=RED)]), refused=[peer]) == []
    for action in ("Deny", "Pass"):
        (one,) = rows(policy(ingress=[rule(action, peer=RED)]), [80], refused=[peer])
        assert one.columns["action"] == "drop"
        assert re.fullmatch(r"outport == @policy_[0-9a-f]{32} && ip", one.columns["match"])


def test_too_many_numbers_of_a_name():
    """Protects all pods from those that have very many numbers for a name: an Accept rule matches those that are
    served, and a Deny or Pass rule denies its own peers, and nobody else, one protocol of the pods with other numbers
    only, but what a Pass rule passes by numbers.
    """
    made = policy()
    name = PortName("tcp", "web")
    for direction, field in (("ingress", "from"), ("egress", "to")):
        key = PodGroup(made.namespace, made.pods) if direction == "ingress" else PeerPods(made.namespace, made.pods)
        ports = [{"destinationNamedPort": "web"}, {"tcp": {"destinationPort": {"range": {"start": 90, "end": 99}}}}]
        other = key._replace(port=OtherNumbers("tcp", "web", (80, 8080)))

        def wanted(action, field=field, ports=ports, direction=direction, key=key):
            one = policy(**{direction: [rule(action, field, protocols=ports)]})
            return cluster_acls.wanted(one, lambda watch: [80, 8080] * (watch.port == name), crowded=[Watch(key, name)])

        plain = len(wanted("Accept"))
        assert plain == 3
        for action, condition in (
            ("Deny", "tcp"),
            ("Pass", "(tcp.dst <= 89 || tcp.dst >= 100)"),
        ):
            found = wanted(action)
            (extra,) = (one for one in found if other in (one.group, *one.peers))
            assert len(found) == plain + 1 and extra.action == "drop" and extra.ports == condition
            assert extra.rule == 0 and {one.priority for one in found} == {extra.priority}
            assert extra.peers == ((PeerPods(made.namespace, made.pods),) if direction == "ingress" else (other,))
            assert {one.tier for one in found} == {tiers.ADMIN}


def test_a_policy_that_is_refused_has_no_rows():
    """Protects all pods from a policy whose subject is not known."""
    assert rows(policy(subject={"future": {}}, ingress=[rule("Deny")])) == []
