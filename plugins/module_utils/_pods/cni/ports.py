# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pods' ports in the host's own Open_vSwitch database: a followed copy, and one guarded transaction for each change."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, replace

from ..._common import names
from ..._common.errors import Conflict, DatabaseError, Disconnected
from ..._host.rows import COLUMNS
from ..._ovsdb.difference import difference
from ..._ovsdb.plan import Plan
from ..._ovsdb.replica import Replica
from ..._ovsdb.rows import Owner
from ..._ovsdb.transaction import operations
from ..._ovsdb.values import as_set
from .. import interface as pod_interface

TABLES = {
    "Bridge": COLUMNS["Bridge"],
    "Port": (*COLUMNS["Port"], "qos"),
    "Interface": (*COLUMNS["Interface"], "ingress_policing_rate", "ingress_policing_burst"),
    "QoS": ("type", "other_config", "external_ids"),
}
OURS = ("Port", "Interface", "QoS")
NODE = Owner("Node", "host")
PATIENCE = 20.0  # seconds in which a change is planned anew while others change the same rows, or the database is away


@dataclass(frozen=True)
class NodeFacts:
    """What the node's own rows say of it."""

    mtu: int
    userspace: bool


class Ports:
    """The ports, and those who wait for ovn-controller to have made their flows.

    :param disappeared: called without arguments when Open vSwitch has lost the link of one of our ports.
    :param state: called without arguments when what :meth:`problem` says may have changed.
    """

    def __init__(self, remote, disappeared, state):
        self._disappeared = disappeared
        self._state = state
        self._installed = {}
        self.replica = Replica(remote, names.LOCAL, TABLES, self._changed, on_state=state)

    def _changed(self, table, before, after):
        if (after or before).external_id(names.OWNER_TYPE) != pod_interface.TYPE:
            self._state()
            return
        if table != "Interface" or after is None:
            return
        if after.name in self._installed and _ready(after) and not self._installed[after.name].done():
            self._installed[after.name].set_result(None)
        if as_set(after.columns["error"]):
            self._disappeared()

    # What the node is.

    def _management(self):
        return next(
            (row for row in self.replica.owned(NODE, ("Interface",)) if row.role == "management-interface"), None
        )

    def problem(self):
        """Why no pod can get a port now, in one sentence; None when it can."""
        if not self.replica.connected:
            return "Open vSwitch's database does not answer: look at systemctl status openvswitch-switch"
        if (
            self.replica.named("Bridge", names.INTEGRATION_BRIDGE) is None
            or self._management() is None
            or not self._management().columns["mtu_request"]
        ):
            return "this host is not a node of the overlay (yet): run ovn.kubernetes.site"
        if not _ready(self._management()):
            return "ovn-controller has not installed the flows of this node's own port: look at systemctl status ovn-controller"
        return None

    def node(self):
        """The :class:`NodeFacts`; call it when there is no problem."""
        mtu = as_set(self._management().columns["mtu_request"])
        return NodeFacts(
            mtu[0], self.replica.named("Bridge", names.INTEGRATION_BRIDGE).columns["datapath_type"] == "netdev"
        )

    # The ports.

    def attachments(self):
        """(container, ifname) -> path of its network namespace, for all ports that there are."""
        found = {}
        for name in self.replica.owners(pod_interface.TYPE):
            for row in self.replica.owned(Owner(pod_interface.TYPE, name), ("Interface",)):
                found[pod_interface.attachment(name)] = row.external_id(names.NETNS_KEY) or ""
        return found

    def plan(self, owner, wanted):
        """What differs from the rows that are wanted of an owner."""
        return self._plan(owner, wanted).changes

    def _plan(self, owner, wanted):
        own = self.replica.owned(owner, OURS)
        named = {(row.table, row.name): row for row in own}
        for table, name in [("Bridge", names.INTEGRATION_BRIDGE)] + [(row.table, row.name) for row in wanted]:
            row = self.replica.named(table, name)
            if row is not None:
                named.setdefault((table, name), row)
        changes = [
            replace(change, uuid=owner.row_uuid(change.desired_row().role))
            if change.kind == "insert" and change.table == "QoS"
            else change
            for change in difference(wanted, own, named)
        ]
        return Plan(changes, named)

    async def converge(self, owner, wanted, comment):
        """Make the database hold the rows of an owner, none when nothing is wanted; :returns: the plan. :raises DatabaseError: in words."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if not self.replica.connected:
                    await asyncio.wait_for(self.replica.ready.wait(), max(0.0, deadline - time.monotonic()))
                plan = self._plan(owner, wanted)
                if plan.changes:
                    await to_its_end(self.replica.transact(_let_go(plan.changes) + operations(plan, comment)))
                return plan.changes
            except asyncio.TimeoutError:
                raise DatabaseError(self.problem() or "Open vSwitch's database went away again and again") from None
            except (Conflict, Disconnected):
                # What was committed shows in the copy, also when its answer was lost.
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(random.uniform(0.001, 0.05))

    async def installed(self, name):
        """Wait until ovn-controller has made the flows of an interface."""
        row = self.replica.named("Interface", name)
        if row is not None and _ready(row):
            return
        waiter = self._installed[name] = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            if self._installed.get(name) is waiter:
                del self._installed[name]

    def error(self, name):
        """Open vSwitch's own words on what is wrong with an interface, None when nothing is."""
        row = self.replica.named("Interface", name)
        return next(iter(as_set(row.columns["error"])), None) if row is not None else None

    def is_installed(self, name):
        """Whether ovn-controller has made the flows of an interface."""
        row = self.replica.named("Interface", name)
        return row is not None and _ready(row)


def _let_go(plan):
    """A port that goes lets its limit go first: the server looks at references before it drops the rows that nothing holds."""
    if not any(change.kind == "delete" and change.table == "QoS" for change in plan):
        return []
    return [
        {
            "op": "update",
            "table": "Port",
            "where": [["_uuid", "==", ["uuid", change.current_row().uuid]]],
            "row": {"qos": ["set", []]},
        }
        for change in plan
        if change.kind == "delete" and change.table == "Port"
    ]


async def to_its_end(work):
    """The result of what can't be cut off: who is cancelled meanwhile goes on only when it has ended, so that cleaning up finds all of it."""
    work, cut_off = asyncio.ensure_future(work), False
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:  # and it may come again: the plugin went, and then the runtime deletes
            cut_off = True
    if cut_off:
        if not work.cancelled():
            work.exception()
        raise asyncio.CancelledError
    return work.result()


def _ready(row):
    return row.external_id(names.INSTALLED_KEY) == "true"
