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
from .acls import ALLOW, DROP, Acl, Numbers, from_peers, peers_of, pods_of, to_peers
from .cluster_model import KIND, ClusterPolicy
from .model import ACCEPT, DENY, PASS, Rule
from .shared import PeerPods

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
    crowded: Collection[str] = (),
    unknown: Collection[str] = (),
) -> list[Acl]:
    """Return the ACLs of a policy.

    :param refused: peers with which an Accept rule matches nothing, and another one denies everything.
    :param crowded: names of ports with so many numbers that not all are served: as refused, except that Accept rules
        match those that are served.
    :param unknown: domain names that are not served: rules match nothing by them.
    """
    found: dict[Acl, None] = {}
    if policy.subject is None:
        return []
    for direction, rules in ((tiers.TO_POD, policy.ingress), (tiers.FROM_POD, policy.egress)):
        for rule in rules:
            served = _served(policy, rule, refused, crowded, unknown)
            if served is not None:
                found.update((acl, None) for acl in _of_rule(policy, direction, served, numbers))
    return list(found)


def _served(
    policy: ClusterPolicy,
    rule: Rule,
    refused: Collection[PeerPods],
    crowded: Collection[str],
    unknown: Collection[str],
) -> Rule | None:
    """Return what is served of a rule; None: nothing."""
    is_refused = any(pods_of(policy, one) in refused for one in rule.peers)
    is_crowded = rule.ports is not None and any(one.name in crowded for one in rule.ports.names)
    if rule.action == ACCEPT:
        return None if is_refused else rule._replace(domains=tuple(one for one in rule.domains if one not in unknown))
    return Rule(True, action=DENY, number=rule.number) if is_refused or is_crowded else rule


def _of_rule(policy: ClusterPolicy, direction: str, rule: Rule, numbers: Numbers) -> Iterator[Acl]:
    make = from_peers if direction == tiers.TO_POD else to_peers
    priority, action = tiers.of_rule(policy.priority, rule.number), ACTIONS[policy.tier][rule.action]
    for acl in make(policy, rule, numbers):
        yield acl._replace(tier=policy.tier, priority=priority, action=action, rule=rule.number)
