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

from .._common import names
from .._common.errors import DatabaseError, FlowError, HostError
from .._common.tasks import end
from .._egress_ip import lease, wire
from .._egress_ip.lease import Holder
from .._ovsdb import access
from .._ovsdb.replica import Replica
from .._topology.shared_nic import LOCAL_TABLES
from . import egress_bridge
from .egress_bridge import Bridge

LOG = logging.getLogger("ovn-k8s-egress-ip")
ANNOUNCEMENTS = (0.0, 0.3, 1.0, 3.0)  # seconds after an address was opened
PAUSE = 0.2  # seconds after an error of the bridge


class EgressHolder(asyncio.DatagramProtocol):
    """The program.

    :param node: Kubernetes' name of this node.
    :param local: where Open vSwitch's database is.
    :param run: directory of Open vSwitch's sockets.
    """

    def __init__(self, node: str, local: str, run: str) -> None:
        self._holder = Holder(node, secrets.randbits(63))
        self._wake = asyncio.Event()
        self._local = Replica(local, names.LOCAL, LOCAL_TABLES)
        self._bridge = Bridge(self._local, run, self._wake.set)
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
        self._failures = 0
        self._kept: frozenset[str] = frozenset()  # what was offered when the flows were made

    async def run(self) -> None:
        """Work for ever."""
        tasks = [
            asyncio.create_task(one)
            for one in (self._local.run(), self._bridge.watch(), self._ask_always(), self._answer(), self._upkeep())
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            await end([*tasks, *([self._south_task] if self._south_task else [])])
            with contextlib.suppress(FlowError):
                await self._bridge.open(frozenset, renew=False)

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
        new = await self._bridge.open(self._allowed, fresh, self._holder.renewable)
        if time.monotonic() >= self._holder.until and self._bridge.is_open:
            await self._bridge.open(frozenset, renew=False)  # this process stood still meanwhile
        if new:
            LOG.info("holding %s", ", ".join(sorted(new)))
            self._announcements += [(now + after, new) for after in ANNOUNCEMENTS]
        due = [addresses for at, addresses in self._announcements if at <= now]
        self._announcements = [one for one in self._announcements if one[0] > now]
        for addresses in due:
            await self._bridge.announce(sorted(addresses))

    def _allowed(self) -> frozenset[str]:
        return self._holder.allowed(time.monotonic())

    async def _upkeep(self) -> None:
        """Keep closed, but for its gate, each address that is offered."""
        await self._local.ready.wait()
        while True:
            self._wake.clear()
            offered, failures = self._holder.offered, self._failures
            try:
                # Whoever closes an address for good opens it no more, closes its gate, and says so then.
                self._holder.narrow(offered)
                if await self._bridge.look():
                    await self._bridge.open(self._allowed, renew=False)
                if failures == self._failures:
                    self._holder.closed()
                knows = self._holder.until > float("-inf")
                guarded = await self._bridge.close_all_but(offered, knows, time.monotonic())
                if failures != self._failures:  # meanwhile, in opening
                    continue
                self._holder.guards(guarded)
                self._kept, self._failure = offered, ""
            except (FlowError, HostError, DatabaseError, OSError) as exc:
                self._fail(exc)
                await asyncio.sleep(PAUSE)
                continue
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), egress_bridge.CHECK)

    def _fail(self, exc: Exception) -> None:
        """Hold nothing: the bridge can't be used. What was open may be so still, so nothing is given back until the
        bridge has said that it is closed.
        """
        if str(exc) != self._failure:
            LOG.warning("no egress address is held: %s; trying again", exc)
        self._failure, self._kept = str(exc), frozenset()
        self._failures += 1
        self._holder.fails()
        self._bridge.forget()
        self._wake.set()

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
