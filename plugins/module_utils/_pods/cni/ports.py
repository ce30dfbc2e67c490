# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pods' ports in the host's own Open_vSwitch database: a copy in memory, and one guarded transaction for each
change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..._common import names
from ..._common.errors import Conflict, DatabaseError, Disconnected
from ..._common.retry import Pause, retry_async
from ..._host.rows import COLUMNS
from ..._ovsdb.difference import difference
from ..._ovsdb.next_cfg import INCREMENT_NEXT_CFG, wait_for_cur_cfg
from ..._ovsdb.operations import remove_from_parent
from ..._ovsdb.plan import Change, Plan
from ..._ovsdb.replica import Replica
from ..._ovsdb.rows import CurrentRow, Owner, Row
from ..._ovsdb.transaction import operations
from ..._ovsdb.values import as_set
from ..interface import OWNER_TYPE, Attachment, PodInterface
from .concurrency import run_to_end
from .own_rows import OwnRows, has_flows

TABLES = {
    "Bridge": COLUMNS["Bridge"],
    "Port": (*COLUMNS["Port"], "qos"),
    "Interface": (*COLUMNS["Interface"], "ingress_policing_rate", "ingress_policing_burst"),
    "Open_vSwitch": COLUMNS["Open_vSwitch"],
    "QoS": ("type", "other_config", "external_ids"),
}
OWN_TABLES = ("Port", "Interface", "QoS")
# How long a change is planned again while others change the same rows, or the database is away.
TIMEOUT = 20.0
PAUSE = Pause(0.05, jitter=0.98)


class Ports:
    """The pods' ports, and who waits until ovn-controller has installed their flows.

    :param on_lost_link: called when Open vSwitch has lost the link of a pod's port, or two are for one logical port.
    :param on_port: called with the attachment whose port was changed by somebody, or by this program.
    :param on_state: called when what :attr:`own` tells may have changed.
    """

    def __init__(
        self,
        remote: str,
        on_lost_link: Callable[[], object],
        on_port: Callable[[Attachment], object],
        on_state: Callable[[], None],
    ) -> None:
        self._on_lost_link = on_lost_link
        self._on_port = on_port
        self._on_state = on_state
        self._waiters: dict[str, asyncio.Future[None]] = {}  # name of an interface -> who waits for its flows
        self.replica = Replica(remote, names.LOCAL, TABLES, self._row_changed, ("Port",), on_state=on_state)
        self.own = OwnRows(self.replica)

    def _row_changed(self, table: str, old: CurrentRow | None, new: CurrentRow | None) -> None:
        owners = {row.owner for row in (old, new) if row is not None and row.owner is not None}
        attachments = {Attachment.from_owner_name(owner.name) for owner in owners if owner.type == OWNER_TYPE}
        if not attachments:
            self._on_state()
            return
        for attachment in attachments:
            self._on_port(attachment)
        if table != "Interface" or new is None:
            return
        waiter = self._waiters.get(new.name or "")
        if waiter is not None and has_flows(new) and not waiter.done():
            waiter.set_result(None)
        if as_set(new.columns["error"]) or (old is None and self._is_double(new)):
            self._on_lost_link()

    def _is_double(self, row: CurrentRow) -> bool:
        """Return whether another interface is for the same logical port."""
        port, others = row.external_id("iface-id"), self.replica.rows["Interface"].values()
        return any(one.uuid != row.uuid and one.external_id("iface-id") == port for one in others)

    def can_change(self) -> bool:
        """Return whether the database is there, and the bridge."""
        return self.replica.connected and self.own.bridge() is not None

    def attachments(self) -> dict[Attachment, CurrentRow]:
        """Return the attachments that have a port, with the row of their interface."""
        return {
            Attachment.from_owner_name(name): row
            for name in self.replica.owners(OWNER_TYPE)
            for row in self.replica.owned(Owner(OWNER_TYPE, name), ("Interface",))
        }

    def networks(self) -> dict[Attachment, str]:
        """Return the names of the networks that the attachments with a port are of; empty: it says none."""
        return {key: row.external_id(names.NETWORK_KEY) or "" for key, row in self.attachments().items()}

    def doubles(self) -> dict[str, dict[Attachment, str | None]]:
        """Return the logical ports that attachments of several sandboxes are for, with these attachments and the UID of
        the pod that each is for.
        """
        ports: dict[str, dict[Attachment, str | None]] = {}
        for attachment, row in self.attachments().items():
            ports.setdefault(row.external_id("iface-id") or "", {})[attachment] = row.external_id("iface-id-ver")
        return {port: found for port, found in ports.items() if port and len({one.container for one in found}) > 1}

    def interface_ids(self) -> set[str]:
        """Return the logical ports that this host's interfaces are for, whoever has made them."""
        return {row.external_id("iface-id") or "" for row in self.replica.rows["Interface"].values()}

    def changes(self, owner: Owner, desired: Sequence[Row]) -> Sequence[Change]:
        """Return what differs from the desired rows of an owner."""
        return self._plan(owner, desired).changes

    def misplaced(self, link: str) -> CurrentRow | None:
        """Return the port of this name that is in another bridge; None: there is none."""
        port = self.replica.named("Port", link)
        bridge = None if port is None else self.replica.parent("Port", port.uuid)
        return None if bridge is None or bridge.name == names.INTEGRATION_BRIDGE else port

    def _plan(self, owner: Owner, desired: Sequence[Row]) -> Plan:
        # One that has lost the key of its role is found by its name, and goes with the others.
        current = [row for row in self.replica.owned(owner, OWN_TABLES) if row.role or not desired]
        if not desired:
            current += self._unowned(Attachment.from_owner_name(owner.name).host_link)
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

    def _unowned(self, link: str) -> list[CurrentRow]:
        """Return the rows of a port of br-int that have lost all keys. The name is a hash of the attachment, so nobody
        else has it.
        """
        port = self.replica.named("Port", link)
        bridge = None if port is None else self.replica.parent("Port", port.uuid)
        if bridge is None or bridge.name != names.INTEGRATION_BRIDGE:
            return []
        found = (port, self.replica.named("Interface", link))
        return [row for row in found if row is not None and row.controller is None]

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
            # A port can't be in two bridges: it leaves the other one first.
            misplaced = [self.misplaced(row.name or "") for row in desired if row.table == "Port"]
            leave = [one for row in misplaced if row is not None for one in remove_from_parent("Port", row.uuid)]
            if leave:
                await run_to_end(self.replica.transact([*leave, {"op": "comment", "comment": comment}]))
            plan = self._plan(owner, desired)
            if plan.changes:
                await run_to_end(self.replica.transact(_unset_qos(plan.changes) + operations(plan, comment)))
            return plan.changes

        try:
            # The copy shows what was committed, also when the reply was lost.
            return await retry_async(attempt, (Conflict, Disconnected), TIMEOUT, PAUSE)
        except asyncio.TimeoutError:
            problem = self.own.problem() or "the connection to Open vSwitch's database fails again and again"
            raise DatabaseError(problem) from None

    async def release(self, owner: Owner, comment: str) -> None:
        """Delete the rows of an owner, and wait until ovs-vswitchd has taken that in.

        :raises DatabaseError: it does not answer.
        """
        await self.converge(owner, [], comment)
        *_results, row = await self.replica.transact(INCREMENT_NEXT_CFG)
        await self.replica.transact([wait_for_cur_cfg(row["rows"][0]["next_cfg"], TIMEOUT / 2)])

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
        return row is not None and has_flows(row)

    def why_no_flows(self, interface: PodInterface) -> str:
        """Return why an interface has no flows, as far as it is known."""
        error = self.error(interface.host_link)
        if error:
            return f"Open vSwitch can't use {interface.host_link}: {error}"
        port = names.pod_port(interface.namespace, interface.pod)
        return (
            f"ovn-controller did not install the flows of logical port {port}: "
            "look at its log, and whether the port is there (ovn-nbctl show)"
        )

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
