# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ACLs of cluster network policies: of each rule those of its peers and ports, with the rule's own priority in the
policy's tier (:mod:`.tiers`), and its action.

In the tier Baseline Pass is an allow: no tier comes after it, and what nobody has decided is allowed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from . import tiers
from .acls import ALLOW, DROP, Acl, Numbers, Watch, from_peers, peers_of, pods_behind, pods_of, rule_peers, to_peers
from .cluster_model import KIND, ClusterPolicy
from .conditions import of_ports
from .model import ACCEPT, DENY, LAST_PORT, PASS, PortRange, Rule
from .shared import OtherNumbers, PeerPods, PodGroup

__all__ = ["KIND", "domains_of", "peers_of", "wanted"]

ACTIONS = {
    tiers.ADMIN: {ACCEPT: ALLOW, DENY: DROP, PASS: tiers.PASS},
    tiers.BASELINE: {ACCEPT: ALLOW, DENY: DROP, PASS: ALLOW},
}


def domains_of(policy: ClusterPolicy) -> list[str]:
    """Return the domain names of a policy, in the order of its rules, none twice."""
    return list(dict.fromkeys(name for rule in policy.egress for name in rule.domains))


def wanted(
    policy: ClusterPolicy,
    numbers: Numbers,
    refused: Collection[PeerPods] = (),
    crowded: Collection[Watch] = (),
    unknown: Collection[str] = (),
) -> list[Acl]:
    """Return the ACLs of a policy.

    :param refused: peers with which an Accept rule matches nothing, and another one denies everything.
    :param crowded: names of ports of which not all numbers are served: Accept rules match those that are; others deny
        the pods with another one all of the protocol, from or to the rule's peers.
    :param unknown: domain names that are not served: rules match nothing by them.
    """
    found: dict[Acl, None] = {}
    if policy.subject is None:
        return []
    for direction, rules in ((tiers.TO_POD, policy.ingress), (tiers.FROM_POD, policy.egress)):
        for rule in rules:
            served = _served(policy, rule, refused, unknown)
            if served is not None:
                found.update((acl, None) for acl in _of_rule(policy, direction, served, numbers))
                if crowded and served.action != ACCEPT:
                    found.update((acl, None) for acl in _unserved(policy, direction, served, numbers, crowded))
    return list(found)


def _served(
    policy: ClusterPolicy,
    rule: Rule,
    refused: Collection[PeerPods],
    unknown: Collection[str],
) -> Rule | None:
    """Return what is served of a rule; None: nothing."""
    is_refused = any(pods_of(policy, one) in refused for one in rule.peers)
    if rule.action == ACCEPT:
        return None if is_refused else rule._replace(domains=tuple(one for one in rule.domains if one not in unknown))
    return Rule(True, action=DENY, number=rule.number) if is_refused else rule


def _of_rule(policy: ClusterPolicy, direction: str, rule: Rule, numbers: Numbers) -> Iterator[Acl]:
    make = from_peers if direction == tiers.TO_POD else to_peers
    priority, action = tiers.of_rule(policy.priority, rule.number), ACTIONS[policy.tier][rule.action]
    for acl in make(policy, rule, numbers):
        yield acl._replace(tier=policy.tier, priority=priority, action=action, rule=rule.number)


def _unserved(
    policy: ClusterPolicy, direction: str, rule: Rule, numbers: Numbers, crowded: Collection[Watch]
) -> Iterator[Acl]:
    """Yield the ACLs that deny what a rule with another action than Accept may be about, where not all numbers of a
    port's name are served: what its peers have to do with the pods that have another one.
    """
    own, priority = PodGroup(policy.namespace, policy.pods), tiers.of_rule(policy.priority, rule.number)
    for name in rule.ports.names if rule.ports else ():
        group, peers = own, rule_peers(policy, rule)
        if direction == tiers.TO_POD:
            if Watch(own, name) not in crowded:
                continue
            group = own._replace(port=_others(Watch(own, name), numbers))
        else:
            keys = [key for key in pods_behind(policy, rule) if Watch(key, name) in crowded]
            if not keys:
                continue
            peers = tuple(key._replace(port=_others(Watch(key, name), numbers)) for key in keys)
        for ports in [name.protocol] if rule.action == DENY else _not_passed(rule, name.protocol):
            yield Acl(direction, priority, DROP, group, peers, ports, policy.tier, rule.number)


def _others(watch: Watch, numbers: Numbers) -> OtherNumbers:
    """Return a port that has a number which is not served."""
    return OtherNumbers(*watch.port, tuple(numbers(watch)))


def _not_passed(rule: Rule, protocol: str) -> list[str]:
    """Return the condition of the ports of a protocol that a Pass rule does not name by numbers.

    A pod may still be in what it passes and in what is denied: by two names, or two peers. Both have one priority, and
    OVN takes one of them: what the rule says, or less.
    """
    left, first = [], 0
    for one in rule.ports.ranges if rule.ports else ():
        if one.protocol == protocol:
            left.append(PortRange(protocol, first, one.first - 1))
            first = one.last + 1
    left.append(PortRange(protocol, first, LAST_PORT))
    return of_ports(one for one in left if one.first <= one.last)
