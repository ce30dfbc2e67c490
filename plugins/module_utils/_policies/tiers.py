# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In which order packets meet the ACLs of policies: by tier, then by priority (ovn-nb(5), ACL).

===========  ==============  =====================  ========================================================
tier         priority        action                 whose
===========  ==============  =====================  ========================================================
FIREWALL     LINK_LOCAL      drop                   IPv6 from and to link-local addresses
FIREWALL     30000           drop                   addresses of services without endpoints (of services)
FIREWALL     ALWAYS          allow-related          the node's own traffic, and a pod's to itself
FIREWALL     EGRESS_FIRST    drop                   EgressFirewall
ADMIN        1 to 25025      any                    ClusterNetworkPolicy, tier Admin
NETWORK      ALLOW, ISOLATE  allow-related, drop    NetworkPolicy
NETWORK      MULTICAST_*     allow, drop            multicast, what pods receive
BASELINE     1 to 25025      allow-related, drop    ClusterNetworkPolicy, tier Baseline
all but it   NEXT            pass                   all that no ACL of the tier matches
BASELINE     NEXT            allow-related          all that nothing has decided
===========  ==============  =====================  ========================================================

An allow ends the stage: no later tier is asked. So only what no policy may forbid is allowed in the first tier, and
EgressFirewall leaves to the others what it does not drop. ``pass`` goes on with the next tier.

**Connections that are there.** ovn-northd writes into each tier a flow that lets a connection through which was dropped
before (``ip && ct.est && ct_mark.blocked == 1``, priority 1, which ends the stage): it means one that nothing drops any
more. A drop in a later tier would not be asked: a connection that a policy has cut would go on with every second
packet. ACLs of priority 0 come before that flow (their flows have priority 1000). So each switch has one in each tier
that passes all IP (:mod:`.nodes`). The last tier has one that allows all: what is passed in the last tier that a switch
has ACLs in goes through without being committed to conntrack, so nobody would know its answers.

**OVN 23.03** has no tiers and no ``pass``. All is in one tier there, and the priorities of all that is served are in
the same order without tiers. What leaves a decision to others is refused: ClusterNetworkPolicy. EgressFirewall has
drops only.

What a pod sends is judged after load balancing (``apply-after-lb``), by the address of the endpoint. What it receives
has been load balanced before. ACLs of what a pod sends, before load balancing, are a stage by themselves: an allow
there (:mod:`._services.range_rules`) says nothing of this one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

FIREWALL, ADMIN, NETWORK, BASELINE = range(4)
LAST = BASELINE

# In the tier FIREWALL. ACLs of services have 30000 (:mod:`._services.unserved`).
LINK_LOCAL = 31000  # IPv6 beside neighbour discovery and MLD, from addresses that no set of peers has
ALWAYS = 29000  # the node's own traffic, and a pod's to itself
EGRESS_FIRST, EGRESS_LAST = 28000, 1001  # EgressFirewall: its drops have the first one

# In the tier NETWORK.
ALLOW = 502  # what a rule lets through
ISOLATE = 501  # all else of a pod that a policy isolates
MULTICAST_ALLOW, MULTICAST_DROP = 400, 399  # what a pod may receive of it, where no NetworkPolicy says something

# Of what a pod sends, before load balancing, after the ranges of services (:mod:`._services.range_rules`): a stage by
# itself. First multicast, of namespaces that may send it; then protocols with ports are allowed before EgressFirewall
# drops others.
MULTICAST_SENT, MULTICAST_UNSENT = 910, 909
PORTS_ALLOW, PORTLESS_DROP = 900, 899

NEXT = 0  # what no other ACL of a tier matches goes on with the next one; in the last one it is allowed

# In the tiers ADMIN and BASELINE: rules of one policy have priorities of their own, those of equal policies the same.
MAXIMUM_PRIORITY, MAXIMUM_RULES = 1000, 25  # of a ClusterNetworkPolicy; rules in one direction (its definition)

TO_POD, FROM_POD = "to-lport", "from-lport"
PASS = "pass"


def of_rule(priority: int, number: int) -> int:
    """Return the priority of an ACL of a ClusterNetworkPolicy.

    :param priority: of the policy, from 0, which comes first, to 1000.
    :param number: of the rule among those of its direction, from 0.
    """
    if not (0 <= priority <= MAXIMUM_PRIORITY and 0 <= number < MAXIMUM_RULES):
        raise ValueError(f"a ClusterNetworkPolicy has no rule {number} of priority {priority}")
    return (MAXIMUM_PRIORITY + 1) * MAXIMUM_RULES - priority * MAXIMUM_RULES - number


def are_served(missing_columns: Collection[str]) -> bool:
    """Return whether a database has tiers.

    :param missing_columns: that its table ACL does not have.
    """
    return "tier" not in missing_columns


def columns(direction: str, tier: int, priority: int, action: str, match: str) -> dict[str, Any]:
    """Return the columns of an ACL. Where a database has no tiers that column is left out by :mod:`._reconcile`.

    :param direction: TO_POD or FROM_POD.
    """
    options = {"options": {"apply-after-lb": "true"}} if direction == FROM_POD else {}
    return {"direction": direction, "tier": tier, "priority": priority, "action": action, "match": match, **options}


def columns_before(priority: int, action: str, match: str) -> dict[str, Any]:
    """Return the columns of an ACL of what a pod sends, before load balancing."""
    return {"direction": FROM_POD, "tier": FIREWALL, "priority": priority, "action": action, "match": match}
