# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pods' ports in the host's own Open_vSwitch database: a copy in memory, and one guarded transaction for each
change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..._common import names
from ..._common.errors import Conflict, DatabaseError, Disconnected
from ..._common.retry import Pause, retry_async
from ..._host.rows import COLUMNS
from ..._ovsdb.difference import difference
from ..._ovsdb.plan import Change, Plan
from ..._ovsdb.replica import Replica
from ..._ovsdb.rows import CurrentRow, Owner, Row
from ..._ovsdb.transaction import operations
from ..._ovsdb.values import as_set
from ..interface import OWNER_TYPE, Attachment
from .concurrency import run_to_end

TABLES = {
    "Bridge": COLUMNS["Bridge"],
    "Port": (*COLUMNS["Port"], "qos"),
    "Interface": (*COLUMNS["Interface"], "ingress_policing_rate", "ingress_policing_burst"),
    "QoS": ("type", "other_config", "external_ids"),
}
OWN_TABLES = ("Port", "Interface", "QoS")
NODE = Owner("Node", "host")
MANAGEMENT_ROLE = "management-interface"
# How long a change is planned again while others change the same rows, or the database is away.
TIMEOUT = 20.0
PAUSE = Pause(0.05, jitter=0.98)


@dataclass(frozen=True)
class NodeFacts:
    """What the node's own rows tell.

    :ivar mtu: of the pods' network, in bytes.
    :ivar userspace: whether br-int has the userspace datapath.
    """

    mtu: int
    userspace: bool


class Ports:
    """The pods' ports, and who waits until ovn-controller has installed their flows.

    :param on_lost_link: called when Open vSwitch has lost the link of a pod's port.
    :param on_state: called when what :meth:`problem` returns may have changed.
    """

    def __init__(self, remote: str, on_lost_link: Callable[[], object], on_state: Callable[[], None]) -> None:
        self._on_lost_link = on_lost_link
        self._on_state = on_state
        self._waiters: dict[str, asyncio.Future[None]] = {}  # name of an interface -> who waits for its flows
        self.replica = Replica(remote, names.LOCAL, TABLES, self._row_changed, on_state=on_state)

    def _row_changed(self, table: str, old: CurrentRow | None, new: CurrentRow | None) -> None:
        row = new or old
        if row is None or row.external_id(names.OWNER_TYPE) != OWNER_TYPE:
            self._on_state()
            return
        if table != "Interface" or new is None:
            return
        waiter = self._waiters.get(new.name or "")
        if waiter is not None and _has_flows(new) and not waiter.done():
            waiter.set_result(None)
        if as_set(new.columns["error"]):
            self._on_lost_link()

    # The node.

    def _bridge(self) -> CurrentRow | None:
        row: CurrentRow | None = self.replica.named("Bridge", names.INTEGRATION_BRIDGE)
        return row

    def _management(self) -> CurrentRow | None:
        """Return the interface of the management port."""
        rows = self.replica.owned(NODE, ("Interface",))
        return next((row for row in rows if row.role == MANAGEMENT_ROLE), None)

    def problem(self) -> str | None:
        """Return why no pod can get a port now, in one sentence; None when it can."""
        if not self.replica.connected:
            return "Open vSwitch's database does not answer: look at systemctl status openvswitch-switch"
        management = self._management()
        if self._bridge() is None or management is None or not management.columns["mtu_request"]:
            return "this host is not a node of the overlay (yet): run ovn.kubernetes.site"
        if not _has_flows(management):
            return (
                "ovn-controller has not installed the flows of this node's own port: "
                "look at systemctl status ovn-controller"
            )
        return None

    def node(self) -> NodeFacts:
        """Return what the node's own rows tell; :meth:`problem` must be None."""
        bridge, management = self._bridge(), self._management()
        if bridge is None or management is None:
            raise AssertionError("readiness was not checked before")
        return NodeFacts(as_set(management.columns["mtu_request"])[0], bridge.columns["datapath_type"] == "netdev")

    # The ports.

    def attachments(self) -> dict[Attachment, str]:
        """Return the attachments that have a port, with the path of their network namespace."""
        return {
            Attachment.from_owner_name(name): row.external_id(names.NETNS_KEY) or ""
            for name in self.replica.owners(OWNER_TYPE)
            for row in self.replica.owned(Owner(OWNER_TYPE, name), ("Interface",))
        }

    def changes(self, owner: Owner, desired: Sequence[Row]) -> Sequence[Change]:
        """Return what differs from the desired rows of an owner."""
        return self._plan(owner, desired).changes

    def _plan(self, owner: Owner, desired: Sequence[Row]) -> Plan:
        current = self.replica.owned(owner, OWN_TABLES)
        by_name = {(row.table, row.name or ""): row for row in current}
        wanted = [("Bridge", names.INTEGRATION_BRIDGE), *((row.table, row.name or "") for row in desired)]
        for table, name in wanted:
            row = self.replica.named(table, name)
            if row is not None:
                by_name.setdefault((table, name), row)
        changes = [
            replace(change, uuid=owner.row_uuid(change.desired_row().role))
            if change.kind == "insert" and change.table == "QoS"
            else change
            for change in difference(desired, current, by_name)
        ]
        return Plan(changes, by_name)

    async def converge(self, owner: Owner, desired: Sequence[Row], comment: str) -> Sequence[Change]:
        """Make the database have the desired rows of an owner, and no others of this owner; return what was changed.

        :param comment: for the database's log.
        :raises DatabaseError: when it can't be done within TIMEOUT seconds.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + TIMEOUT

        async def attempt() -> Sequence[Change]:
            if not self.replica.connected:
                await asyncio.wait_for(self.replica.ready.wait(), max(0.0, deadline - loop.time()))
            plan = self._plan(owner, desired)
            if plan.changes:
                await run_to_end(self.replica.transact(_unset_qos(plan.changes) + operations(plan, comment)))
            return plan.changes

        try:
            # The copy shows what was committed, also when the reply was lost.
            return await retry_async(attempt, (Conflict, Disconnected), TIMEOUT, PAUSE)
        except asyncio.TimeoutError:
            problem = self.problem() or "the connection to Open vSwitch's database fails again and again"
            raise DatabaseError(problem) from None

    async def wait_for_flows(self, name: str) -> None:
        """Wait until ovn-controller has installed the flows of an interface."""
        if self.has_flows(name):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[name] = waiter
        try:
            await waiter
        finally:
            if self._waiters.get(name) is waiter:
                del self._waiters[name]

    def has_flows(self, name: str) -> bool:
        """Return whether ovn-controller has installed the flows of an interface."""
        row = self.replica.named("Interface", name)
        return row is not None and _has_flows(row)

    def error(self, name: str) -> str | None:
        """Return the error that Open vSwitch reports for an interface, None: there is none."""
        row = self.replica.named("Interface", name)
        return next(iter(as_set(row.columns["error"])), None) if row is not None else None


def _unset_qos(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Return the operations that take the reference to the QoS row from a port that is deleted in the same transaction.

    The server checks references before it drops rows that nothing refers to.
    """
    if not any(change.kind == "delete" and change.table == "QoS" for change in changes):
        return []
    return [
        {
            "op": "update",
            "table": "Port",
            "where": [["_uuid", "==", ["uuid", change.current_row().uuid]]],
            "row": {"qos": ["set", []]},
        }
        for change in changes
        if change.kind == "delete" and change.table == "Port"
    ]


def _has_flows(row: CurrentRow) -> bool:
    return row.external_id(names.INSTALLED_KEY) == "true"
