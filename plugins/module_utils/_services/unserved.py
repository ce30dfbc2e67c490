# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packets to addresses of services that nobody serves, or not yet: they end at the switch that they come from.

Without that they would leave through a gateway; and conntrack would remember their connection as one that is not balanced. A client that asks
a moment before its host balances a new service would then be lost whole: what it sends again belongs to that connection (ovn-northd's
ls_in_stateful commits whatever is new, and load balancers take up only what is new).
"""

from __future__ import annotations

from .._common import addressing
from .._ovsdb.rows import Row
from .northbound import host_owner

ROLES = (("ACL", "unserved-4"), ("ACL", "unserved-6"))
PRIORITY = 1000


def rows(name, service_subnets):
    """The rows of one host: what a load balancer has not led elsewhere is dropped, before it is committed."""
    out = []
    for version in sorted({addressing.family(subnet) for subnet in service_subnets}):
        subnets = sorted(subnet for subnet in service_subnets if addressing.family(subnet) == version)
        out.append(
            Row(
                "ACL",
                host_owner(name),
                f"unserved-{version}",
                parent=name,
                columns={
                    "direction": "from-lport",
                    "priority": PRIORITY,
                    "action": "drop",
                    "options": {"apply-after-lb": "true"},
                    "match": "ip{}.dst == {{{}}}".format(version, ", ".join(subnets)),
                },
            )
        )
    return out
