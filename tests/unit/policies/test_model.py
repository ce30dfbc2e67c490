# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the API's documentation says of a NetworkPolicy's fields (networking.k8s.io/v1), one by one."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import model, networks
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.model import (
    PodPeer,
    Policy,
    PortName,
    PortRange,
    Ports,
    Rule,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.selectors import EVERYTHING, Selector

WEB = {"matchLabels": {"app": "web"}}


def policy(**spec):
    """A policy in namespace a."""
    return Policy.from_object({"metadata": {"namespace": "a", "name": "p", "uid": "u"}, "spec": spec})


def ingress(*rules, **more):
    """The ingress rules of a policy that has nothing to complain of."""
    made = policy(podSelector={}, ingress=list(rules), **more)
    assert made.faults == ()
    return made.ingress


def test_an_empty_pod_selector_selects_all_pods_of_the_namespace():
    """podSelector: "An empty podSelector matches all pods in this namespace"."""
    assert policy(podSelector={}).pods == policy().pods == policy(podSelector=None).pods == EVERYTHING
    assert policy(podSelector=WEB).pods == Selector.parse(WEB)


def test_policy_types_default():
    """policyTypes: "If this field is not specified, it will default based on the existence of ingress or egress rules;
    policies that contain an egress section are assumed to affect egress, and all policies (whether or not they contain
    an ingress section) are assumed to affect ingress."
    """
    plain = policy(podSelector={})
    assert plain.ingress == () and plain.egress is None
    both = policy(podSelector={}, egress=[{}])
    assert both.ingress == () and both.egress == (Rule(True),)
    assert policy(podSelector={}, policyTypes=[], egress=[]).egress is None


def test_policy_types_that_are_said():
    """policyTypes: "If you want to write an egress-only policy, you must explicitly specify policyTypes [ "Egress" ].
    Likewise, if you want to write a policy that specifies that no egress is allowed, you must specify a policyTypes
    value that include "Egress""; rules of a type that is not named say nothing.
    """
    only = policy(podSelector={}, policyTypes=["Egress"], ingress=[{}])
    assert only.ingress is None and only.egress == ()
    both = policy(podSelector={}, policyTypes=["Ingress", "Egress"])
    assert both.ingress == both.egress == ()


def test_no_rules_let_nothing_through():
    """ingress: "If this field is empty then this NetworkPolicy does not allow any traffic (and serves solely to ensure
    that the pods it selects are isolated by default)".
    """
    assert ingress() == () == policy(podSelector={}, ingress=None).ingress


def test_an_empty_rule_lets_everything_through():
    """from: "If this field is empty or missing, this rule matches all sources"; ports: "If this field is empty or
    missing, this rule matches all ports".
    """
    assert ingress({}) == ingress({"from": [], "ports": []}) == ingress({"from": None, "ports": None}) == (Rule(True),)


def test_peers_are_combined_by_or():
    """from: "Items in this list are combined using a logical OR operation"."""
    (rule,) = ingress({"from": [{"podSelector": WEB}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]})
    assert not rule.everyone and rule.networks == ("10.0.0.0/8",)
    assert rule.peers == (PodPeer(None, Selector.parse(WEB)),)


def test_selectors_of_a_peer():
    """podSelector: "If present but empty, it selects all pods. If namespaceSelector is also set, then the peer as a
    whole selects the pods matching podSelector in the namespaces selected by namespaceSelector. Otherwise it selects
    the pods matching podSelector in the policy's own namespace." namespaceSelector: "if present but empty, it selects
    all namespaces. ... Otherwise it selects all pods in the namespaces selected by namespaceSelector."
    """
    web = Selector.parse(WEB)
    for peer, expected in (
        ({"podSelector": {}}, PodPeer(None, EVERYTHING)),
        ({"podSelector": WEB}, PodPeer(None, web)),
        ({"namespaceSelector": {}}, PodPeer(EVERYTHING, EVERYTHING)),
        ({"namespaceSelector": WEB}, PodPeer(web, EVERYTHING)),
        ({"namespaceSelector": {}, "podSelector": WEB}, PodPeer(EVERYTHING, web)),
    ):
        assert ingress({"from": [peer]}) == (Rule(False, (expected,)),)


def test_networks_without_what_they_except():
    """ipBlock: "cidr is a string representing the IPBlock", "except is a slice of CIDRs that should not be included
    within an IPBlock": it is taken away before.
    """
    block = {"cidr": "10.0.0.0/30", "except": ["10.0.0.1/32"]}
    assert ingress({"from": [{"ipBlock": block}]})[0].networks == ("10.0.0.0/32", "10.0.0.2/31")
    # What one block excepts another may let through, and nothing is left of a block that is excepted whole.
    other = {"ipBlock": {"cidr": "10.0.0.0/31"}}
    assert ingress({"from": [{"ipBlock": block}, other]})[0].networks == ("10.0.0.0/30",)
    whole = {"cidr": "fd00::/64", "except": ["fd00::/65", "fd00:0:0:0:8000::/65"]}
    assert ingress({"from": [{"ipBlock": whole}]}) == (Rule(False),)
    # The API server takes bits of a host.
    assert ingress({"from": [{"ipBlock": {"cidr": "10.1.2.3/16"}}]})[0].networks == ("10.1.0.0/16",)


def test_ports():
    """protocol: "If not specified, this field defaults to TCP"; port: "If this field is not provided, this matches all
    port names and numbers"; endPort: "indicates that the range of ports from port to endPort if set, inclusive".
    """
    (rule,) = ingress(
        {
            "ports": [
                {"port": 80},
                {"port": 81, "protocol": "TCP"},
                {"port": 1000, "endPort": 2000, "protocol": "UDP"},
                {"port": 1500, "endPort": 2500, "protocol": "UDP"},
                {"protocol": "SCTP"},
                {"port": "http"},
            ]
        }
    )
    ranges = (PortRange("sctp", 0, 65535), PortRange("tcp", 80, 81), PortRange("udp", 1000, 2500))
    assert rule.ports == Ports(ranges, (PortName("tcp", "http"),))
    assert ingress({"ports": [{}]})[0].ports == Ports((PortRange("tcp", 0, 65535),))


def test_equal_rules_are_one():
    """Protects the number of rows: what is said twice, or in other words, is one rule."""
    one = {"from": [{"podSelector": WEB}, {"podSelector": {}}], "ports": [{"port": 80}]}
    same = {
        "ports": [{"protocol": "TCP", "port": 80}, {"port": 80}],
        "from": [
            {"podSelector": {"matchLabels": None}},
            {"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "web"]}]}},
        ],
    }
    assert len(ingress(one, same)) == 1


@pytest.mark.parametrize(
    "rule",
    [
        {"from": [{}]},
        {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]},
        {"from": [{"ipBlock": {"cidr": "10.0.0.0"}}]},
        {"from": [{"ipBlock": {"cidr": "fe80::1%eth0/64"}}]},
        {"from": [{"ipBlock": {"cidr": "10.0.0.0/255.0.0.0"}}]},
        {"from": [{"ipBlock": {"cidr": "0.0.0.0/0 || ip4"}}]},
        {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["x"]}}]},
        {"from": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "Like", "values": ["x"]}]}}]},
        {"from": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": []}]}}]},
        {"from": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}}]},
        {"from": [{"podSelector": {"matchLabels": {"a": 1}}}]},
        {"from": [{"podSelector": {"matchLabels": {str(n): "x" for n in range(65)}}}]},
        {"from": [{"podSelector": {"matchLabels": {"n": str(n)}}} for n in range(model.MAXIMUM_PEERS + 1)]},
        {
            "from": [{"podSelector": {"matchLabels": {"n": str(n)}}} for n in range(50)],
            "ports": [{"port": f"n{n}"} for n in range(model.MAXIMUM_NAMED // 50 + 1)],
        },
        {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}] * (networks.MAXIMUM_BLOCKS + 1)},
        {"from": "everybody"},
        {"ports": [{"port": 80}] * (model.MAXIMUM_PORTS + 1)},
        {"ports": [{"port": 80, "endPort": 79}]},
        {"ports": [{"endPort": 80}]},
        {"ports": [{"port": "http", "endPort": 80}]},
        {"ports": [{"port": 0}]},
        {"ports": [{"port": 65536}]},
        {"ports": [{"port": True}]},
        {"ports": [{"port": "a" * 16}]},
        {"ports": [{"protocol": 'TCP" || "1'}]},
        {"ports": 80},
        "all",
        None,
    ],
)
def test_what_cannot_be_read_allows_nothing(rule):
    """Protects pods: a rule that is unreadable, or larger than what is served, lets nothing through; the others do, the
    pods are isolated, and the user is told which and why.
    """
    made = policy(podSelector={}, ingress=[{"ports": [{"port": 1}]}, rule, {"ports": [{"port": 2}]}])
    ports = [rule.ports.ranges for rule in made.ingress]
    assert ports == [(PortRange("tcp", 1, 1),), (PortRange("tcp", 2, 2),)]
    (fault,) = made.faults
    assert fault.startswith("ingress rule 1 allows nothing: it has ") and len(fault) < 200


def test_policies_that_cannot_be_read_isolate():
    """Protects pods of a policy whose own fields are unreadable: all of the namespace, in both directions."""
    made = policy(podSelector={"matchExpressions": 1}, policyTypes=["Ingress", "Sideways"], ingress=5, egress=None)
    assert (made.pods, made.ingress, made.egress) == (EVERYTHING, (), ()) and len(made.faults) == 3
    for spec in (None, [], "x", {"ingress": {}}, {"podSelector": []}):
        found = Policy.from_object({"metadata": {"namespace": "a", "name": "p", "uid": "u"}, "spec": spec})
        assert (found.pods, found.ingress) == (EVERYTHING, ())


def test_many_rules_and_faults_are_bounded():
    """Protects the watcher and OVN from 10,000 rules in one policy, and the event from its length."""
    made = policy(podSelector={}, ingress=[{"ports": [{"port": n + 1}]} for n in range(10000)])
    assert len(made.ingress) == model.MAXIMUM_RULES and "more than 500 rules" in made.faults[0]
    made = policy(podSelector={}, egress=[{"to": "x"}] * 100)
    assert len(made.faults) == model.FAULTS + 1 and made.faults[-1] == "and 95 more"


def test_exceptions_that_make_too_many_networks():
    """Protects OVN from blocks that fall apart into very many networks."""
    block = {"cidr": "fd00::/16", "except": [f"fd00:{n:x}::1/128" for n in range(1, 500)]}
    made = policy(podSelector={}, ingress=[{"from": [{"ipBlock": block}]}])
    assert made.ingress == () and "more than 10000 networks" in made.faults[0]
