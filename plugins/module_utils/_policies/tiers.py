# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In which order packets meet the ACLs of policies: by priority. The watcher's other ACLs, which come first, have 1000
and higher (:mod:`._services.range_rules`, :mod:`._services.unserved`).

All are in tier 0 (ovn-nb(5), ACL: tier), also where OVN has others (23.06 and later). ovn-northd writes into each tier
a flow that lets a connection through which was dropped before (``ip && ct.est && ct_mark.blocked == 1``, priority 1):
it means one that nothing drops any more. But it ends the stage, so a drop in a later tier is not asked. There a
connection that a policy cuts would go on with every second packet: seen with OVN 25.03. In tier 0 the drop's own
priority is higher.

ClusterNetworkPolicy's Admin and Baseline tiers may be priorities above ALLOW and below ISOLATE, except for what
``Pass`` leaves to NetworkPolicy: OVN's ``pass`` goes on with the next tier only. Whoever moves NetworkPolicy to a later
tier for it must have an ACL in each tier before, with priority 0 and action ``pass``, that matches all IP: ACLs of
priority 0 come before that flow. This was not tried.

What a pod sends is judged after load balancing (``apply-after-lb``), by the address of the endpoint. What it receives
has been load balanced before.
"""

from __future__ import annotations

from typing import Any

ALWAYS = 503  # the node's own traffic, and a pod's to itself
ALLOW = 502  # what a rule lets through
ISOLATE = 501  # all else of a pod that a policy isolates

TO_POD, FROM_POD = "to-lport", "from-lport"


def columns(direction: str, priority: int, action: str, match: str) -> dict[str, Any]:
    """Return the columns of an ACL.

    :param direction: TO_POD or FROM_POD.
    """
    options = {"options": {"apply-after-lb": "true"}} if direction == FROM_POD else {}
    return {"direction": direction, "priority": priority, "action": action, "match": match, **options}
