# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In which order packets meet the ACLs of policies: tiers (ovn-nb(5), ACL: tier), and priorities within one.

A verdict ends a stage of the pipeline, and its tier; where no ACL of a tier matches, the next tier is asked. OVN before
23.06 has no tiers: there all ACLs of a stage are one list, and so the priorities of all tiers differ. Those of the
watcher's other ACLs, which must come first there too, are 1000 and higher (:mod:`._services.range_rules`,
:mod:`._services.unserved`).

What a pod sends is judged after load balancing (``apply-after-lb``), by the address of the endpoint. What it receives
has been load balanced before.
"""

from __future__ import annotations

from typing import Any

# Tiers: what the watcher itself decides, and EgressFirewall; ClusterNetworkPolicy's Admin; NetworkPolicy;
# ClusterNetworkPolicy's Baseline.
OWN, ADMIN, NETWORK_POLICY, BASELINE = 0, 1, 2, 3

# Priorities in NETWORK_POLICY.
ALWAYS = 503  # the node's own traffic, and a pod's to itself
ALLOW = 502  # what a rule lets through
ISOLATE = 501  # all else of a pod that a policy isolates

TO_POD, FROM_POD = "to-lport", "from-lport"


def columns(direction: str, priority: int, action: str, match: str, tier: int | None) -> dict[str, Any]:
    """Return the columns of an ACL.

    :param direction: TO_POD or FROM_POD.
    :param tier: None: the database has none.
    """
    options = {"options": {"apply-after-lb": "true"}} if direction == FROM_POD else {}
    tiers = {} if tier is None else {"tier": tier}
    return {"direction": direction, "priority": priority, "action": action, "match": match, **options, **tiers}
