# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bridge of a gateway, as the holder of egress addresses keeps it (:mod:`.egress_holder`).

Whatever a node was ever offered is kept closed on its bridge, until OVN on this host answers for it no more. The
bridge's own row has these addresses: a program that begins anew, or after a boot, knows them before it hears anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from .._common import names
from .._common.errors import DatabaseError, FlowError, HostError
from .._egress_ip import guard, lease
from .._host.vswitchd import commit, wait_for_applied
from .._openflow import connection as openflow
from .._openflow.client import run_client
from .._openflow.connection import BridgeConnection
from .._openflow.flows import ALL_VERSIONS, CookieFlows
from .._openflow.matches import asks
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._ovsdb.next_cfg import INCREMENT_NEXT_CFG, wait_for_cur_cfg
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow, Query
from .._ovsdb.values import as_set
from .._topology.shared_nic import kept_addresses, shared_nic

LOG = logging.getLogger("ovn-k8s-egress-ip")
LINGER = 60.0  # seconds for which an address stays closed at least that this node is not to hold any more
# Seconds between two renewals of the gates, of all at once: each makes Open vSwitch look at all flows of its datapath.
# A gate lasts twice as long (lease.GATE), so an answer or two may be lost.
RENEWAL = 0.5
SLOWEST_REVALIDATOR = 500  # milliseconds: lease.EXPIRY counts on it (other_config:max-revalidator, its default)
CHECK = 5.0  # seconds after which the flows are compared, although nothing has changed
WATCH_PAUSE = 0.1  # seconds until the bridge is watched again
CLEARED, CLEAR_PAUSE = 20.0, 0.5  # seconds for OVN to hear that others have the addresses; between two looks
APPLIED = 5.0  # seconds for ovs-vswitchd to apply rows


class Place(NamedTuple):
    """Where the gateway's router meets the physical network.

    :ivar nic: number of the NIC's port.
    :ivar patch: number of the router's patch port.
    :ivar mac: the gateway's.
    """

    bridge: str
    nic: int
    patch: int
    mac: str


def find(local: Replica) -> tuple[Place, str] | None:
    """Return the place, and the UUID of the patch port's row in the table Port; None: there is none (yet).

    :param local: with :data:`..shared_nic.LOCAL_TABLES`.
    :raises BridgeIncomplete: the mapping names a bridge that is not there.
    """
    settings = next(iter(local.rows["Open_vSwitch"].values()), None)
    mappings = settings.columns["external_ids"].get("ovn-bridge-mappings", "") if settings is not None else ""
    name = dict(one.partition(":")[::2] for one in mappings.split(",")).get(names.PHYSICAL_NETWORK, "")
    shared = shared_nic(local.rows, name, None, (), ()) if name else None
    if shared is None:
        return None
    row = next(row for row in local.rows["Bridge"].values() if row.name == name)
    nic = row.external_id(names.UPLINK_KEY)
    macs = [as_set(one.columns["mac_in_use"]) for one in local.rows["Interface"].values() if one.name == nic]
    mac = macs[0][0] if macs and macs[0] else shared.mac
    return Place(name, shared.nic_port, shared.patch_port, mac), shared.patch_row


def refuse_slow_revalidator(local: Replica) -> None:
    """:raises HostError: Open vSwitch is told to look at the time-outs of flows more seldom than leases count on."""
    settings = next(iter(local.rows["Open_vSwitch"].values()), None)
    value = (settings.columns["other_config"] if settings is not None else {}).get("max-revalidator", "")
    if value.isdecimal() and int(value) > SLOWEST_REVALIDATOR:
        raise HostError(
            f"other_config:max-revalidator of Open vSwitch is {value} ms: a gate would stay open longer than leases "
            f"count on; remove it (ovs-vsctl remove Open_vSwitch . other_config max-revalidator), or set "
            f"{SLOWEST_REVALIDATOR} at most"
        )


async def answered(settings: CurrentRow, addresses: Collection[str]) -> frozenset[str]:
    """Return the addresses for which OVN on this host answers; all of them while that is not known.

    :param settings: the row of the table Open_vSwitch.
    :raises FlowError: the flows can't be read.
    """
    bridge = settings.columns["external_ids"].get("ovn-bridge", "br-int")
    found = set()
    for address in sorted(addresses):
        text = await run_client(*ALL_VERSIONS, "dump-flows", "--no-stats", bridge, asks(address))
        if "actions=" in text:
            found.add(address)
    # A bridge that has no flows at all has not got those of ovn-controller yet.
    if found != set(addresses) and "flow_count=0" in await run_client(*ALL_VERSIONS, "dump-aggregate", bridge):
        found.update(addresses)
    return frozenset(found)


def keep(port: str, addresses: Collection[str]) -> list[dict[str, Any]]:
    """Return the operations that write into a patch port's row what is kept closed, and close NORMAL's way to it.

    :param port: its UUID.
    :param addresses: none: NORMAL has its way again.
    """
    where = [["_uuid", "==", ["uuid", port]]]
    mutations: list[Any] = [["external_ids", "delete", ["set", [names.EGRESS_KEPT_KEY]]]]
    if addresses:
        mutations.append(["external_ids", "insert", ["map", [[names.EGRESS_KEPT_KEY, ",".join(sorted(addresses))]]]])
    trunks = [guard.NO_VLAN] if addresses else []
    return [
        {"op": "update", "table": "Port", "where": where, "row": {"trunks": ["set", trunks]}},
        {"op": "mutate", "table": "Port", "where": where, "mutations": mutations},
    ]


async def clear(remote: str, patience: float = CLEARED) -> str:
    """Remove from this host what keeps egress addresses closed, once OVN answers for none of them: the program does not
    ask any more, so the granter gives them to others. Return those that stay closed since OVN does not hear of it.

    :param remote: Open vSwitch's database.
    :raises DatabaseError: :raises FlowError: it can't be done.
    """
    connection = Connection(remote, names.LOCAL)
    try:
        columns = {"Open_vSwitch": ("external_ids",), "Bridge": ("name",), "Port": ("name", "external_ids")}
        rows = list(read_rows(connection, [Query(table, (), wanted) for table, wanted in columns.items()]))
        (settings,) = (row for row in rows if row.table == "Open_vSwitch")
        bridges = [str(row.name) for row in rows if row.table == "Bridge"]
        kept = {row.uuid: kept_addresses(row) for row in rows if row.table == "Port" and kept_addresses(row)}
        addresses = {one for each in kept.values() for one in each}
        end = time.monotonic() + patience
        while addresses and await answered(settings, addresses):
            if time.monotonic() >= end:
                return ", ".join(sorted(await answered(settings, addresses)))
            await asyncio.sleep(CLEAR_PAUSE)
        if kept:
            next_cfg = commit(connection, [one for uuid in kept for one in keep(uuid, ())])
            wait_for_applied(connection, next_cfg)
    finally:
        connection.close()
    for bridge in bridges:
        flows = CookieFlows(bridge, names.EGRESS_IP_COOKIE)  # the gates end by themselves
        changes = await flows.plan(())
        if changes:
            await flows.apply(changes)
    return ""


class Bridge:
    """The bridge, and what is open on it.

    :param local: the host's Open_vSwitch database.
    :param run: directory of Open vSwitch's sockets.
    :param on_change: called when somebody has changed flows.

    :ivar is_open: the addresses that are open.
    """

    def __init__(self, local: Replica, run: str, on_change: Callable[[], None] = lambda: None) -> None:
        self._local = local
        self._run = run
        self._on_change = on_change
        self._place: Place | None = None
        self._patch_row = ""  # UUID of the patch port's row in the table Port
        self._lock = asyncio.Lock()  # of the connection
        self._registers: dict[str, int] = {}  # address -> number of its gate
        self._connection: BridgeConnection | None = None
        self._connected_to = ""
        self._lingers: dict[str, float] = {}  # address that is not offered -> when OVN may be asked about it
        self._compared = float("-inf")
        self._renewed = float("-inf")  # when the gates were renewed last
        self.is_open: frozenset[str] = frozenset()

    async def watch(self) -> None:
        """Look at each change of flows, for ever; also at the end of ovs-vswitchd, and at its return."""
        while True:
            place = self._place
            if place is not None:
                with contextlib.suppress(FlowError):
                    await self._flows(place.bridge).watch(self._changed, (guard.CLASSIFY, guard.PASSED))
                self._changed()
            await asyncio.sleep(WATCH_PAUSE)

    def _changed(self) -> None:
        self._compared = float("-inf")
        self._on_change()

    async def look(self) -> bool:
        """Use the bridge of the gateway; all gates are closed on one that was not used before. Return whether there is
        one.

        :raises FlowError: it does not answer: what was open may be so still.
        :raises HostError: it is not there, or can't close in time.
        """
        refuse_slow_revalidator(self._local)
        found = find(self._local)
        place, self._patch_row = found if found is not None else (None, "")
        if place == self._place:
            return place is not None
        async with self._lock:
            self.forget()
            if self._connected_to != (place.bridge if place is not None else ""):
                await self._leave()
            if place is None:
                return False
            if self._connection is None:
                path = os.path.join(self._run, f"{place.bridge}.mgmt")
                self._connection, self._connected_to = BridgeConnection(path), place.bridge
            await self._connection.send([openflow.no_gate(guard.GATE_COOKIE, guard.GATES, None)])
            self._place = place
        return True

    async def _leave(self) -> None:
        """Close all on the bridge that was used before. :raises FlowError: it does not answer, and is still there."""
        if self._connection is None:
            return
        try:
            await self._connection.send([openflow.no_gate(guard.GATE_COOKIE, guard.GATES, None)])
        except FlowError:
            if any(row.name == self._connected_to for row in self._local.rows["Bridge"].values()):
                raise
        self._connection.close()
        self._connection, self._connected_to = None, ""

    def forget(self) -> None:
        """Close all gates as soon as the bridge takes it, and hold nothing: what it does is not known until
        :meth:`look`. The connection stays: nothing that was sent before comes after this.
        """
        if self._connection is not None and self._place is not None:
            self._connection.post([openflow.no_gate(guard.GATE_COOKIE, guard.GATES, None)])
        self._place, self._registers, self._lingers = None, {}, {}
        self._compared = self._renewed = float("-inf")
        self.is_open = frozenset()

    @staticmethod
    def _flows(name: str) -> CookieFlows:
        return CookieFlows(name, names.EGRESS_IP_COOKIE)

    async def close_all_but(self, offered: frozenset[str], knows: bool, now: float) -> frozenset[str]:
        """Keep these addresses closed, but for their gates, and all that were offered before; return those of them for
        which it is so.

        :param knows: a granter has said in this program's time what is offered.
        :raises FlowError: the bridge does not take it. :raises DatabaseError: the database does not.
        """
        place = self._place
        if place is None:
            return frozenset()
        port = self._local.rows["Port"].get(self._patch_row)
        kept = frozenset(kept_addresses(port)) if port is not None else frozenset()
        self._lingers = {one: self._lingers.get(one, now + LINGER) for one in kept - offered}
        wanted = (kept | offered) - await self._answered_no_more(knows, now)
        if wanted != self._registers.keys() or now - self._compared >= CHECK:
            if not wanted:
                await self._write(kept, wanted)  # NORMAL passes before the flows that pass go
            registers = {address: number for address, number in self._registers.items() if address in wanted}
            free = (number for number in range(1, 2 * len(wanted) + 1) if number not in registers.values())
            for address, number in zip(sorted(wanted - registers.keys()), free):
                registers[address] = number
            flows = self._flows(place.bridge)
            changes = await flows.plan(guard.flows(place.nic, place.patch, place.mac, registers))
            if changes:
                await flows.apply(changes)
                LOG.info("bridge %s: %d changes of flows for %s", place.bridge, len(changes), ", ".join(sorted(wanted)))
            if self._place != place:
                raise FlowError(f"{place.bridge}: the bridge has changed meanwhile")
            self._registers, self._compared = registers, now
        if wanted:
            await self._write(kept, wanted)
        return offered & self._registers.keys()

    async def _answered_no_more(self, knows: bool, now: float) -> frozenset[str]:
        """Return the addresses, not offered for long, for which OVN on this host has no answer any more. It may have
        one for hours, as the host's ovn-controller does what the Southbound database said when it was last there."""
        due = sorted(address for address, after in self._lingers.items() if now >= after)
        if not due or not knows:
            return frozenset()
        settings = next(iter(self._local.rows["Open_vSwitch"].values()))
        self._lingers.update(dict.fromkeys(due, now + CHECK))
        return frozenset(due) - await answered(settings, due)

    async def _write(self, kept: frozenset[str], wanted: frozenset[str]) -> None:
        """Write into the patch port's row what is kept closed, and that NORMAL has no way there meanwhile; wait until
        ovs-vswitchd has applied it.

        :raises FlowError: :raises DatabaseError: it could not be done.
        """
        port = self._local.rows["Port"].get(self._patch_row)
        trunks = [guard.NO_VLAN] if wanted else []
        if wanted == kept and port is not None and list(as_set(port.columns["trunks"])) == trunks:
            return
        operations = keep(self._patch_row, wanted)
        results = await self._local.transact([*operations, *INCREMENT_NEXT_CFG])
        if any(result.get("count") != 1 for result in results[: len(operations)]):
            raise DatabaseError("the patch port of the gateway's router has changed meanwhile")
        await self._local.transact([wait_for_cur_cfg(int(results[-1]["rows"][0]["next_cfg"]), APPLIED)])

    async def open(
        self, allowed: Callable[[], frozenset[str]], renew: bool, before: float = float("inf")
    ) -> frozenset[str]:
        """Open these addresses, and close all others; return those that are newly open.

        :param allowed: returns them; it is called when nobody else opens or closes.
        :param renew: the lease is fresh: gates of open addresses may be renewed. Without it nothing is opened.
        :param before: when the bridge must have taken a gate: one that came later would stay for too long.
        :raises FlowError: the bridge does not take it.
        """
        async with self._lock:
            return await self._open(allowed(), renew, before)

    async def _open(self, allowed: frozenset[str], renew: bool, before: float) -> frozenset[str]:
        if self._connection is None or self._place is None:
            return frozenset()
        now = time.monotonic()
        allowed &= self._registers.keys()
        due: list[str] = []
        if renew and now < before and (allowed - self.is_open or now - self._renewed >= RENEWAL):
            due = sorted(allowed)
        messages = self._no_gates(self.is_open - allowed) + [
            openflow.gate(guard.GATE_COOKIE, guard.GATES, self._registers[one], guard.PASSED, round(lease.GATE))
            for one in due
        ]
        new = frozenset(due) - self.is_open
        if messages:
            await self._connection.send(messages)
        if self._place is None:
            raise FlowError("the bridge was left meanwhile")
        if due:
            self._renewed = now
        self.is_open = (self.is_open & allowed) | frozenset(due)
        if due and time.monotonic() >= before:
            LOG.warning("Open vSwitch was too slow for %s: closed until the next answer", ", ".join(due))
            await self._connection.send(self._no_gates(frozenset(due)))
            self.is_open -= frozenset(due)
            return frozenset()
        return new

    def _no_gates(self, addresses: frozenset[str]) -> list[bytes]:
        return [
            openflow.no_gate(guard.GATE_COOKIE, guard.GATES, self._registers[address])
            for address in sorted(addresses)
            if address in self._registers
        ]

    async def announce(self, addresses: Iterable[str]) -> None:
        """Tell the neighbours of the addresses that are still open: frames that pass the gates as the router's do.

        :raises FlowError: the bridge does not take it.
        """
        async with self._lock:
            place = self._place
            if self._connection is None or place is None:
                return
            frames = [
                openflow.frame(guard.announcement(address, place.mac), place.patch)
                for address in addresses
                if address in self.is_open
            ]
            if frames:
                await self._connection.send(frames)
