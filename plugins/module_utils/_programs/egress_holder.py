# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hold addresses of EgressIP objects on a node with a gateway, while there is a lease (:mod:`.._egress_ip.lease`).

It is a process of its own, a child of the node's server: what that has to do for pods must not delay a lease. It asks
the acting master, which the Southbound database names, several times a second through the overlay, and keeps the flows
of the gateway's bridge (:mod:`.._egress_ip.guard`). It holds nothing by itself: when it is stopped, killed or stands
still, the bridge closes within two seconds.
"""

from __future__ import annotations

import asyncio

# asyncio would load it when the process can't read it any more.
import concurrent.futures.thread  # noqa: F401  # pylint: disable=unused-import
import contextlib
import gc
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterable

from .._common import names
from .._common.errors import DatabaseError, FlowError, HostError
from .._common.tasks import end
from .._egress_ip import guard, lease, wire
from .._egress_ip.lease import Holder
from .._openflow import connection as openflow
from .._openflow.connection import BridgeConnection
from .._openflow.flows import CookieFlows
from .._ovsdb import access
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._ovsdb.replica import Replica
from .._ovsdb.rows import Query
from .._ovsdb.values import as_set
from .._topology.shared_nic import LOCAL_TABLES, shared_nic

LOG = logging.getLogger("ovn-k8s-egress-ip")
LINGER = 60.0  # seconds for which an address stays closed that this node is not to hold any more
RENEWAL = 0.3  # seconds between two renewals of a gate: each costs Open vSwitch a look at all its flows
ANNOUNCEMENTS = (0.0, 0.3, 1.0, 3.0)  # seconds after an address was opened
CHECK = 5.0  # seconds after which the flows are compared, although nothing has changed
PAUSE = 1.0  # seconds after an error of the bridge


class Bridge:
    """The bridge of the gateway, and what is open on it.

    :param run: directory of Open vSwitch's sockets.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._name = ""
        self._lock = asyncio.Lock()  # of the connection
        self._registers: dict[str, int] = {}  # address -> number of its gate
        self._ports: tuple[int, int] = (0, 0)
        self._mac = ""
        self._connection: BridgeConnection | None = None
        self._lingers: dict[str, float] = {}  # address -> until when it stays closed
        self._compared = float("-inf")
        self._renewed: dict[str, float] = {}  # address -> when its gate was renewed last
        self.is_open: frozenset[str] = frozenset()

    async def use(self, name: str, nic_port: int, patch_port: int, mac: str) -> None:
        """Use a bridge with these ports; nothing is open on it then. :raises FlowError: it does not answer."""
        if (name, (nic_port, patch_port), mac) == (self._name, self._ports, self._mac):
            return
        self.leave()
        self._connection = BridgeConnection(os.path.join(self._run, f"{name}.mgmt"))
        await self._connection.send([openflow.no_gate(guard.GATE_COOKIE, guard.GATES, None)])
        until = time.monotonic() + LINGER
        self._lingers = dict.fromkeys(guard.addresses_in(await self._flows(name).current()), until)
        self._name, self._ports, self._mac = name, (nic_port, patch_port), mac

    def leave(self) -> None:
        """Use no bridge."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._name, self._registers, self.is_open = None, "", {}, frozenset()
        self._renewed = {}

    @staticmethod
    def _flows(name: str) -> CookieFlows:
        return CookieFlows(name, names.EGRESS_IP_COOKIE)

    async def close_all_but(self, addresses: frozenset[str], now: float) -> frozenset[str]:
        """Keep these addresses closed, but for their gates; return those for which it is so.

        :raises FlowError: the bridge does not take it.
        """
        if not self._name:
            return frozenset()
        for address in self._registers.keys() - addresses:
            self._lingers.setdefault(address, now + LINGER)
        self._lingers = {
            address: until for address, until in self._lingers.items() if now < until and address not in addresses
        }
        wanted = addresses | self._lingers.keys()
        if wanted != self._registers.keys() or now - self._compared >= CHECK:
            registers = {address: number for address, number in self._registers.items() if address in wanted}
            free = (number for number in range(1, 2 * len(wanted) + 1) if number not in registers.values())
            for address, number in zip(sorted(wanted - registers.keys()), free):
                registers[address] = number
            flows = self._flows(self._name)
            changes = await flows.plan(guard.flows(*self._ports, registers))
            if changes:
                await flows.apply(changes)
                LOG.info("bridge %s: %d changes of flows for %s", self._name, len(changes), ", ".join(sorted(wanted)))
            self._registers, self._compared = registers, now
        return addresses & self._registers.keys()

    async def open(self, allowed: frozenset[str], renew: bool, now: float) -> frozenset[str]:
        """Open these addresses, and close all others; return those that are newly open.

        :param renew: the lease is fresh: gates of open addresses may be renewed. Without it nothing is opened.
        :raises FlowError: the bridge does not take it.
        """
        async with self._lock:
            return await self._open(allowed, renew, now)

    async def _open(self, allowed: frozenset[str], renew: bool, now: float) -> frozenset[str]:
        if self._connection is None:
            return frozenset()
        allowed &= self._registers.keys()
        messages = [
            openflow.no_gate(guard.GATE_COOKIE, guard.GATES, self._registers[address])
            for address in sorted(self.is_open - allowed)
            if address in self._registers
        ]
        due = [
            address
            for address in sorted(allowed)
            if renew and (address not in self.is_open or now - self._renewed.get(address, 0.0) >= RENEWAL)
        ]
        messages += [
            openflow.gate(guard.GATE_COOKIE, guard.GATES, self._registers[one], guard.PASSED, round(lease.GATE))
            for one in due
        ]
        new = frozenset(due) - self.is_open
        if messages:
            await self._connection.send(messages)
        self._renewed.update(dict.fromkeys(due, now))
        self.is_open = (self.is_open & allowed) | frozenset(due)
        return new

    async def announce(self, addresses: Iterable[str]) -> None:
        """Tell the neighbours of the addresses that are still open."""
        async with self._lock:
            frames = [
                openflow.frame(guard.announcement(address, self._mac), self._ports[0])
                for address in addresses
                if address in self.is_open
            ]
            if frames and self._connection is not None:
                await self._connection.send(frames)


class EgressHolder(asyncio.DatagramProtocol):
    """The program.

    :param node: Kubernetes' name of this node.
    :param local: where Open vSwitch's database is.
    :param run: directory of Open vSwitch's sockets.
    """

    def __init__(self, node: str, local: str, run: str) -> None:
        self._holder = Holder(node, secrets.randbits(63))
        self._bridge = Bridge(run)
        self._local = Replica(local, names.LOCAL, LOCAL_TABLES)
        self._south: Replica | None = None
        self._south_remote: str | None = None
        self._south_task: asyncio.Task[None] | None = None
        self._server: tuple[str, int] | None = None
        self._secret = b""
        self._transport: asyncio.DatagramTransport | None = None
        self._family: int | None = None
        self._answers: asyncio.Queue[bytes] = asyncio.Queue(16)
        self._announcements: list[tuple[float, frozenset[str]]] = []
        self._failure = ""
        self._kept: frozenset[str] = frozenset()  # what was offered when the flows were made
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Work for ever."""
        tasks = [
            asyncio.create_task(one) for one in (self._local.run(), self._ask_always(), self._answer(), self._upkeep())
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            await end([*tasks, *([self._south_task] if self._south_task else [])])
            with contextlib.suppress(FlowError):
                await self._bridge.open(frozenset(), renew=False, now=time.monotonic())

    # Each of these goes on by itself: processes that change flows may take long, and must not delay a lease.

    async def _ask_always(self) -> None:
        await self._local.ready.wait()
        while True:
            await self._follow()
            with contextlib.suppress(OSError):
                await self._ask()
            await asyncio.sleep(self._holder.pause())

    async def _answer(self) -> None:
        """Take in answers, open and close, and close what is over."""
        while True:
            now = time.monotonic()
            wait = min([lease.ASK_IDLE, *(at - now for at, _addresses in self._announcements)])
            if self._bridge.is_open:
                wait = min(wait, self._holder.until - now)
            data = None
            with contextlib.suppress(asyncio.TimeoutError):
                data = await asyncio.wait_for(self._answers.get(), max(wait, 0.0))
            answer = wire.parse_answer(data, self._secret) if data is not None else None
            try:
                await self._take_in(answer)
            except FlowError as exc:
                self._fail(exc)

    async def _take_in(self, answer: lease.Answer | None) -> None:
        """Close what is not granted, open what is, and tell the neighbours. :raises FlowError: the bridge does not take
        it.
        """
        now = time.monotonic()
        fresh = self._holder.take_in(answer, now) if answer is not None else False
        if self._holder.offered != self._kept:
            self._wake.set()
        new = await self._bridge.open(self._holder.allowed(now), fresh, now)
        if time.monotonic() >= self._holder.until and self._bridge.is_open:
            await self._bridge.open(frozenset(), renew=False, now=now)  # this process stood still meanwhile
        if new:
            LOG.info("holding %s", ", ".join(sorted(new)))
            self._announcements += [(now + after, new) for after in ANNOUNCEMENTS]
        due = [addresses for at, addresses in self._announcements if at <= now]
        self._announcements = [one for one in self._announcements if one[0] > now]
        for addresses in due:
            await self._bridge.announce(sorted(addresses))

    async def _upkeep(self) -> None:
        """Keep closed, but for its gate, each address that is offered."""
        await self._local.ready.wait()
        while True:
            self._wake.clear()
            offered = self._holder.offered
            try:
                await self._look_at_bridge()
                # Whoever closes an address for good closes its gate first: it is not offered any more.
                await self._bridge.open(self._bridge.is_open & offered, renew=False, now=time.monotonic())
                self._holder.guards(await self._bridge.close_all_but(offered, time.monotonic()))
                self._kept = offered
            except (FlowError, HostError, OSError) as exc:
                self._fail(exc)
                await asyncio.sleep(PAUSE)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), CHECK)

    def _fail(self, exc: Exception) -> None:
        """Hold nothing: the bridge can't be used."""
        if str(exc) != self._failure:
            LOG.warning("no egress address is held: %s; trying again", exc)
        self._failure, self._kept = str(exc), frozenset()
        self._bridge.leave()
        self._holder.guards(())

    async def _ask(self) -> None:
        server = self._server
        if server is None or not self._secret:
            return
        version = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        if self._transport is None or self._family != version:
            if self._transport is not None:
                self._transport.close()
            loop = asyncio.get_running_loop()
            self._transport, _protocol = await loop.create_datagram_endpoint(lambda: self, family=version)
            self._family = version
        self._transport.sendto(wire.pack_request(self._holder.ask(time.monotonic()), self._secret), server)

    def datagram_received(self, data: bytes, _address: object) -> None:
        """Take in a datagram."""
        if len(data) <= wire.LONGEST and not self._answers.full():
            self._answers.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        """Do nothing: the next request may arrive."""

    # What this host's databases say.

    def _external_ids(self) -> dict[str, str]:
        row = next(iter(self._local.rows["Open_vSwitch"].values()), None)
        return row.columns["external_ids"] if row is not None else {}

    async def _look_at_bridge(self) -> None:
        """Use the bridge of the gateway. :raises HostError: :raises FlowError: it can't be used."""
        mappings = dict(
            one.partition(":")[::2] for one in self._external_ids().get("ovn-bridge-mappings", "").split(",")
        )
        name = mappings.get(names.PHYSICAL_NETWORK, "")
        shared = shared_nic(self._local.rows, name, None, (), ()) if name else None
        if shared is None:
            self._bridge.leave()
            return
        row = next(row for row in self._local.rows["Bridge"].values() if row.name == name)
        nic = row.external_id(names.UPLINK_KEY)
        macs = [as_set(one.columns["mac_in_use"]) for one in self._local.rows["Interface"].values() if one.name == nic]
        mac = macs[0][0] if macs and macs[0] else shared.mac
        await self._bridge.use(name, shared.nic_port, shared.patch_port, mac)

    async def _follow(self) -> None:
        """Learn from the Southbound database where the leases are; without it the last one counts."""
        remote = self._external_ids().get("ovn-remote")
        if remote != self._south_remote:
            if self._south_task is not None:
                await end([self._south_task])
            self._south = self._south_task = None
            self._south_remote = remote
            if remote:
                tables = {"SB_Global": ("options",)}
                tls = access.chassis(remote).tls
                self._south = Replica(remote, names.SOUTHBOUND, tables, tls=tls, leader_only=False)
                self._south_task = asyncio.create_task(self._south.run())
        for row in self._south.rows["SB_Global"].values() if self._south is not None else ():
            options = row.columns["options"]
            place, secret = options.get(names.EGRESS_LEASE_SERVER_KEY), options.get(names.EGRESS_LEASE_SECRET_KEY)
            host, _colon, port = (place or "").rpartition(":")
            if host and secret and port.isdigit():
                self._server, self._secret = (host.strip("[]"), int(port)), secret.encode()


async def clear(remote: str) -> None:
    """Delete the flows of egress addresses from every bridge of the host.

    :param remote: Open vSwitch's database.
    :raises DatabaseError: :raises FlowError: it can't be done.
    """
    connection = Connection(remote, names.LOCAL)
    try:
        bridges = [str(row.name) for row in read_rows(connection, [Query("Bridge", (), ("name",))])]
    finally:
        connection.close()
    for bridge in bridges:
        flows = CookieFlows(bridge, names.EGRESS_IP_COOKIE)  # the gates end by themselves
        changes = await flows.plan(())
        if changes:
            await flows.apply(changes)


class HolderProcess:
    """The node server's side: the process."""

    def __init__(self, channel: socket.socket, process: int) -> None:
        self._channel = channel
        self._process = process

    @classmethod
    def start(cls, node: str, local: str, run: str) -> HolderProcess:
        """Start the process. Threads and event loops must not exist yet: the process would not have them."""
        ours, its = socket.socketpair()
        process = os.fork()
        if process:
            its.close()
            ours.setblocking(False)
            return cls(ours, process)
        gc.freeze()
        status = 1
        try:
            ours.close()
            for number in (signal.SIGTERM, signal.SIGINT):  # systemd sends them to all processes of the unit
                signal.signal(number, signal.SIG_IGN)
            asyncio.run(_serve(its, node, local, run))
            status = 0
        except Exception:
            LOG.exception("egress addresses are not held any more")
        finally:
            sys.stderr.flush()
            os._exit(status)

    async def ended(self) -> None:
        """Wait until the process has ended. :raises HostError: then; only a new start of the program can repair it."""
        while await asyncio.get_running_loop().sock_recv(self._channel, 1):
            pass
        raise HostError("the process that holds egress addresses has ended")

    def close(self) -> None:
        """End the process."""
        self._channel.close()
        os.waitpid(self._process, 0)


async def _serve(channel: socket.socket, node: str, local: str, run: str) -> None:
    """Work until the other side closes. :raises DatabaseError: a database can't be read at all."""
    channel.setblocking(False)
    work = asyncio.create_task(EgressHolder(node, local, run).run())
    parent = asyncio.create_task(asyncio.get_running_loop().sock_recv(channel, 1))
    done, _pending = await asyncio.wait([work, parent], return_when=asyncio.FIRST_COMPLETED)
    await end([work, parent])
    for task in done:
        if task is work:
            raise DatabaseError(str(task.exception()))
