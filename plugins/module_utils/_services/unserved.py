# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Drop packets to addresses of services that no load balancer takes (yet), at the switch that they come from.

Without that, they would leave through a gateway, and conntrack would remember their connection as one that is not
balanced. A client that sends a moment before its host balances a new service would then never reach it: what it sends
again belongs to that connection. (ovn-northd's stage ls_in_stateful commits each new connection, and load balancers
take only new connections.)
"""

from __future__ import annotations

from collections.abc import Iterable

from .._ovsdb.rows import Row
from .addresses import of_version
from .host import Host

ROLES = (("ACL", "unserved-4"), ("ACL", "unserved-6"))
PRIORITY = 1000


def rows(host: Host, service_subnets: Iterable[str]) -> list[Row]:
    """Return the ACLs of one host: drop what load balancers did not translate, before conntrack commits it."""
    networks = sorted(service_subnets)
    return [
        Row(
            "ACL",
            host.owner,
            f"unserved-{version}",
            parent=host.name,
            columns={
                "direction": "from-lport",
                "priority": PRIORITY,
                "action": "drop",
                "options": {"apply-after-lb": "true"},
                "match": f"ip{version}.dst == {{{', '.join(of_version(networks, version))}}}",
            },
        )
        for version in (4, 6)
        if of_version(networks, version)
    ]
