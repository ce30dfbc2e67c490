# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each node's switch has whatever policies there are: the traffic between a node and its pods, which no policy
forbids (NetworkPolicy's documentation), and IPv6 between link-local addresses, which no policy knows.

It comes from the node's management port, from its address there, and to pods of its own switch only; or it goes from
them to that address. What the node passes on for others has another source, and what comes from other nodes comes by
the router's port. Other addresses of the node are beyond the gateway, and are judged like any other.

Each port may use the IPv6 link-local address of its MAC (ovn-nb(5), Logical_Switch_Port: port_security), which
Kubernetes does not know of: no peer has it, and nothing that denies by peers would hit it. So all of it is dropped,
multicast and the node's own too. Neighbour and router discovery and MLD pass: ovn-northd lets them through before all
ACLs of a switch that has one which is ``allow-related``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from .._common import addressing, names
from .._ovsdb.plan import Change
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow, Owner, Row
from .._pods.northbound import NodeSwitch
from .._reconcile.engine import Engine
from . import tiers

KIND = "PolicyNode"
TABLE = "Logical_Switch"
LINK_LOCAL = "ip6.src == fe80::/10 || ip6.dst == fe80::/10"


def rows(switch: NodeSwitch, has_tiers: bool) -> list[Row]:
    """Return the ACLs of a node's switch.

    :param has_tiers: the database has tiers.

    They are ``allow-related``, so OVN tracks all connections of the switch from its first day on. With the first policy
    it would begin to otherwise, and take whoever sends next for the one that has begun a connection which is there.
    """
    found = [*_link_local(switch), *(_passing(switch) if has_tiers else ())]
    for subnet in switch.subnets:
        version = addressing.family(subnet)
        address = addressing.nth(subnet, addressing.HOST, prefix=False)
        come = f"inport == {json.dumps(names.management_port(switch.name))} && ip{version}.src == {address}"
        for role, direction, match in (
            (f"node-{version}", tiers.TO_POD, come),
            (f"to-node-{version}", tiers.FROM_POD, f"ip{version}.dst == {address}"),
        ):
            columns = tiers.columns(direction, tiers.FIREWALL, tiers.ALWAYS, "allow-related", match)
            found.append(Row("ACL", Owner(KIND, switch.name), role, parent=switch.name, columns=columns))
    return found


def _link_local(switch: NodeSwitch) -> list[Row]:
    """Return the ACLs that drop what uses link-local addresses of IPv6."""
    return [
        Row(
            "ACL",
            Owner(KIND, switch.name),
            f"link-local-{direction}",
            parent=switch.name,
            columns=tiers.columns(direction, tiers.FIREWALL, tiers.LINK_LOCAL, "drop", LINK_LOCAL),
        )
        for direction in (tiers.TO_POD, tiers.FROM_POD)
    ]


def _passing(switch: NodeSwitch) -> list[Row]:
    """Return the ACLs of what no other ACL of a tier matches (:mod:`.tiers`)."""
    return [
        Row(
            "ACL",
            Owner(KIND, switch.name),
            f"next-{direction}-{tier}",
            parent=switch.name,
            columns=tiers.columns(
                direction, tier, tiers.NEXT, tiers.PASS if tier < tiers.LAST else "allow-related", "ip"
            ),
        )
        for tier in range(tiers.LAST + 1)
        for direction in (tiers.TO_POD, tiers.FROM_POD)
    ]


class NodePlanner:
    """The planner of these ACLs.

    :ivar engine: set by whoever makes the engine.
    :ivar lacking: nodes whose rows are not known to be as desired.
    :ivar on_complete: called when there is none any more.
    """

    tables = ("ACL",)
    engine: Engine

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self.lacking: set[str] = set()
        self.on_complete: Callable[[], object] = lambda: None

    def begin(self) -> None:
        """Look at all nodes."""
        self.lacking = self._replica.owners("Node") | self._replica.owners(KIND)
        for name in self.lacking:
            self.engine.mark(KIND, name)

    def switch_changed(self, *rows_of_switch: CurrentRow | None) -> None:
        """Take in a change of a switch."""
        for row in rows_of_switch:
            if row is not None and row.owner is not None and row.owner.type == "Node":
                self.engine.mark(KIND, row.name or "")

    @staticmethod
    def owner(name: str) -> Owner:
        """Return the owner of a node's rows."""
        return Owner(KIND, name)

    def desired(self, name: str) -> list[Row]:
        """Return the rows of a node; none without its switch."""
        switch = self._replica.named(TABLE, name)
        if switch is None or switch.owner is None or switch.owner.type != "Node":
            return []
        return rows(NodeSwitch.from_row(switch), tiers.are_served(self._replica.missing_columns("ACL")))

    def done(self, name: str, changes: Sequence[Change]) -> None:
        """Take in that the rows of a node are as desired."""
        if name in self.lacking:
            self.lacking.discard(name)
            if not self.lacking:
                self.on_complete()

    def failed(self, name: str, reason: str) -> None:
        """Do nothing: the log has it."""
