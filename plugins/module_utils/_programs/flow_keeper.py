# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the flows of one shared NIC as they should be.

The flows follow from ports, addresses and load balancers (:mod:`.._topology.flows`). Four sources of events wake the
program: the host's Open_vSwitch database, the kernel's addresses, the load balancers in the Southbound database, and
changes of flows on the bridge. At each event, and after some seconds without one, the program compares the bridge's
flows with the desired ones. Only a comparison without a difference resets systemd's watchdog.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import BridgeIncomplete, FlowError, HostError
from .._common.tasks import end
from .._host.sysctl import read_sysctl
from .._netlink import events
from .._netlink.listening import LocalHost, read_listeners
from .._openflow.flows import CookieFlows
from .._ovsdb import access
from .._ovsdb.replica import Replica
from .._topology.flows import flows
from .._topology.shared_nic import LOCAL_TABLES, SOUTHBOUND_TABLES, other_hosts, services, shared_nic
from . import daemon

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Sequence
    from typing import Any

    from .._topology.flows import ServiceEndpoint

LOG = logging.getLogger("ovn-k8s-gateway-helper")
# Whether conntrack takes up connections in their middle (nf_conntrack-sysctl.rst of the kernel).
TCP_LOOSE = ("net", "netfilter", "nf_conntrack_tcp_loose")
CHECK_INTERVAL = 5.0  # seconds without an event until the flows are compared again
SOUTHBOUND_TIMEOUT = 5.0  # seconds to wait for the first copy of the load balancers
RETRY_PAUSE = 0.1
CHANGES_IN_A_ROW = 3  # changes of the same desired flows after which the bridge is at fault
OPEN_VSWITCH_TIMEOUT = 15.0  # seconds in which Open vSwitch may be away


class FlowKeeper:
    """Keeps the flows of one bridge.

    :param bridge: the bridge's name.
    :param nic: the NIC in it; None: the one that the bridge was made for.
    :param remote: the host's Open_vSwitch database.
    :param overlay_networks: networks whose addresses only the overlay uses; None: not known.
    """

    def __init__(
        self, bridge: str, nic: str | None, remote: str, overlay_networks: Collection[str] | None = None
    ) -> None:
        self._bridge = bridge
        self._nic = nic
        self._overlay_networks = overlay_networks
        self._flows = CookieFlows(bridge, names.FLOW_COOKIE)
        self._wake = asyncio.Event()
        self._is_ready = False
        self._knows_services = False
        self._others_cleared = False
        self._desired: tuple[str, ...] | None = None  # of the last comparison
        self._southbound: Replica | None = None
        self._southbound_remote: str | None = None
        self._southbound_task: asyncio.Task[Any] | None = None
        self._local = Replica(remote, names.LOCAL, LOCAL_TABLES, on_change=self._row_changed, on_state=self._wake.set)

    def _row_changed(self, _table: str, _old: object, _new: object) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Keep the flows until an error lasts.

        :raises FlowError: the bridge's flows can't be read or changed.
        :raises HostError: the bridge or the NIC is missing.
        """
        loop = asyncio.get_running_loop()
        kernel_events = events.subscribe()
        loop.add_reader(kernel_events, self._addresses_changed, kernel_events)
        tasks = [asyncio.create_task(self._local.run()), asyncio.create_task(self._watch_bridge())]
        try:
            await self._keep()
        finally:
            loop.remove_reader(kernel_events)
            kernel_events.close()
            await end([*tasks, *([self._southbound_task] if self._southbound_task is not None else [])])

    def _addresses_changed(self, kernel_events: socket.socket) -> None:
        events.drain(kernel_events)
        self._wake.set()

    async def _watch_bridge(self) -> None:
        """Wake when flows change, and when the connection to the bridge ends."""
        while True:
            with contextlib.suppress(FlowError):
                await self._flows.watch(self._wake.set)
            self._wake.set()
            await asyncio.sleep(RETRY_PAUSE)

    async def _keep(self) -> None:
        """Compare and change, for ever; :raises FlowError: :raises HostError: for an error that lasts."""
        failing_since: float | None = None
        last_error: str | None = None
        while True:
            self._wake.clear()
            try:
                await self._converge()
            except (FlowError, HostError) as exc:
                now = asyncio.get_running_loop().time()
                failing_since = failing_since or now
                if now - failing_since > OPEN_VSWITCH_TIMEOUT:
                    raise
                if isinstance(exc, BridgeIncomplete) and not self._is_ready:
                    raise
                if str(exc) != last_error:
                    LOG.warning("%s; trying again", exc)
                    last_error = str(exc)
                await asyncio.sleep(RETRY_PAUSE)
                continue
            failing_since, last_error = None, None
            if not self._is_ready:
                self._is_ready = True
                daemon.started()
            if not self._knows_services:
                self._look_for_services()
            daemon.alive()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), CHECK_INTERVAL)
            await asyncio.sleep(0)  # events of the same moment lead to one comparison

    def _look_for_services(self) -> None:
        """Tell systemd that the program is ready, when the load balancers have come for the first time.

        Later the last copy serves while the Southbound database is away.
        """
        self._knows_services = self._southbound is None or self._southbound.ready.is_set()
        if self._knows_services:
            daemon.status("all flows are there")
            daemon.complete()
        else:
            text = (
                f"the Southbound database {self._southbound_remote} has not sent the services yet: they have no flows"
            )
            daemon.status(text)
            LOG.warning("%s", text)

    async def _converge(self) -> None:
        """Change flows until a comparison finds no difference.

        The desired flows may change at every comparison, for example while services come and go. The bridge is at fault
        when they don't.

        :raises FlowError: the bridge still differs after some changes of the same desired flows.
        """
        count, previous = 0, self._desired
        while True:
            changes = await self._change()
            if not changes:
                return
            count = count + 1 if self._desired == previous else 1
            previous = self._desired
            if count > CHANGES_IN_A_ROW:
                raise FlowError(
                    f"bridge {self._bridge} took {len(changes)} changes of flows and still differs: {changes[0]}"
                )
            daemon.alive()
            self._wake.clear()

    async def _change(self) -> Sequence[str]:
        """Compare the bridge's flows with the desired ones, and change what differs; return the changes."""
        try:
            await asyncio.wait_for(self._local.ready.wait(), OPEN_VSWITCH_TIMEOUT)
        except asyncio.TimeoutError:
            raise FlowError(
                f"the host's Open_vSwitch database can't be read within {OPEN_VSWITCH_TIMEOUT:.0f} s: "
                "start openvswitch-switch"
            ) from None
        if not self._others_cleared:
            await self._clear_other_bridges()
            self._others_cleared = True
        await self._follow_southbound()
        # In a thread: newer versions of pyroute2 have an event loop of their own.
        addresses = await asyncio.to_thread(events.addresses_of, self._bridge)
        host = LocalHost(frozenset(addresses), await asyncio.to_thread(read_listeners))
        takes_up = read_sysctl(TCP_LOOSE) not in (None, "0")
        hosts = other_hosts(self._southbound.rows["Address_Set"].values(), addresses) if self._southbound else ()
        shared = shared_nic(self._local.rows, self._bridge, self._nic, addresses, self._services(host), takes_up, hosts)
        self._desired = desired = flows(shared) if shared else ()
        changes = await self._flows.plan(desired)
        if changes:
            await self._flows.apply(changes)
            LOG.info(
                "bridge %s: %d changes, now %d flows%s",
                self._bridge,
                len(changes),
                len(desired),
                "" if shared else ", since the gateway router has no port there yet",
            )
        return changes

    async def _clear_other_bridges(self) -> None:
        """Delete our flows from bridges that are no longer a gateway's, such as the one of a NIC that was shared
        before.

        Bridges in ovn-bridge-mappings may have a helper of their own.
        """
        mappings = self._external_ids().get("ovn-bridge-mappings", "").split(",")
        in_use = {mapping.partition(":")[2] for mapping in mappings} | {self._bridge}
        # The rows may change while flows are deleted.
        names = [row.name for row in self._local.rows["Bridge"].values() if row.name is not None]
        for name in set(names) - in_use:
            with contextlib.suppress(FlowError):  # a bridge of others that does not answer
                count = await delete_flows(name)
                if count:
                    LOG.info("bridge %s: %d flows deleted, its NIC is no longer shared", name, count)

    def _services(self, host: LocalHost) -> tuple[ServiceEndpoint, ...]:
        """Return what the gateway router balances; while the Southbound database is away, as it was last."""
        if self._southbound is None:
            return ()
        rows = self._southbound.rows
        return services(
            rows["Load_Balancer"].values(),
            rows["Chassis_Template_Var"].values(),
            self._external_ids().get("system-id"),
            host.addresses,
            self._overlay_networks,
            host.listens,
        )

    def _external_ids(self) -> dict[str, str]:
        row = next(iter(self._local.rows["Open_vSwitch"].values()), None)
        return row.columns["external_ids"] if row else {}

    async def _follow_southbound(self) -> None:
        """Copy the load balancers from the Southbound database that ovn-controller uses, also after it changes.

        Where the bridge has flows of an earlier run, wait a while for the first copy, so that the services' flows stay.
        """
        remote = self._external_ids().get("ovn-remote")
        if remote == self._southbound_remote:
            return
        if self._southbound_task is not None:
            await end([self._southbound_task])
        self._southbound = self._southbound_task = None
        self._southbound_remote = remote
        if not remote:
            return
        self._southbound = Replica(
            remote,
            names.SOUTHBOUND,
            SOUTHBOUND_TABLES,
            on_change=self._row_changed,
            on_state=self._wake.set,
            tls=access.chassis(remote).tls,
            leader_only=False,
        )
        self._southbound_task = asyncio.create_task(self._southbound.run())
        # A bridge without flows can't wait: the way to the database may lead through it.
        if await self._flows.current():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._southbound.ready.wait(), SOUTHBOUND_TIMEOUT)


async def delete_flows(bridge: str) -> int:
    """Delete our flows from a bridge and return their number. Flows of others stay."""
    ours = CookieFlows(bridge, names.FLOW_COOKIE)
    changes = await ours.plan(())
    if changes:
        await ours.apply(changes)
    return len(changes)
