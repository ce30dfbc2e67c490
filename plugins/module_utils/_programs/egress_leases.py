# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Grant leases of egress addresses, on the acting master (:mod:`.._egress_ip.lease`).

A thread beside the gateways' checks of ``ovn-k8s-egress``, with a lock of its own. It needs the Northbound database
and no API server: the watcher writes there what the objects ask for. While the database is away it renews what is
there, as long as it can't be that another master acts.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
import socket
import threading
import time

from .._common import names
from .._common.errors import DatabaseError
from .._common.tasks import end
from .._egress_ip import granting, wire
from .._egress_ip.granting import LOCK, Granting
from .._egress_ip.lease import Granter
from .._ovsdb.access import Access
from .._ovsdb.fence import Fence
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow
from .._ovsdb.values import as_set
from .._reconcile.engine import Engine

LOG = logging.getLogger("ovn-k8s-egress")
TICK = 0.05  # seconds between two looks at who is silent
PROVE = 1.0  # seconds between two proofs that this master acts
LOOK_AT_ADDRESS = 5.0  # seconds between two looks at this host's address in the overlay
AGAIN = 0.2  # seconds until an attempt to begin is repeated
OVERLAP = 60.0  # seconds for which requests with the secret of before are answered: hosts hear of another one later
RESTART = 1.0  # seconds after an error until all begins anew
ANYWHERE = 9  # the discard port (RFC 863): nothing is sent there


class LeaseServer(asyncio.DatagramProtocol):
    """The program of one master.

    :param north: the Northbound database.
    :param address: where holders ask; None: this host's address in the overlay.
    """

    def __init__(self, north: Access, address: str | None = None, port: int = names.EGRESS_LEASE_PORT) -> None:
        self._replica = Replica(
            north.remote,
            names.NORTHBOUND,
            granting.TABLES,
            self._row_changed,
            granting.WITH_PARENT,
            LOCK,
            self._state_changed,
            north.tls,
            lasting=granting.KINDS,
            member_columns=granting.MEMBER_COLUMNS,
            on_members=lambda row, come, gone: self._granting.members_changed(row, come, gone),
            optional=granting.OPTIONAL,
        )
        self._granting = Granting(self._replica)
        self._engine = self._granting.engine = Engine(self._replica, LOCK, self._granting.planners)
        self._engine.stop()
        self._address, self._port = address, port
        self._fence: Fence | None = None
        self._secret = self._former = b""
        self._former_until = float("-inf")
        self._has_host_left = False  # since the secret was made
        self._said = ""
        self._transport: asyncio.DatagramTransport | None = None
        self._changed = asyncio.Event()

    @property
    def granting(self) -> Granting:
        """What is granted, for metrics."""
        return self._granting

    async def run(self) -> None:
        """Work for ever."""
        tasks = [
            asyncio.create_task(one)
            for one in (
                self._replica.run(),
                self._engine.run(),
                self._lead(),
                self._tick(),
                self._prove(),
                self._follow_address(),
            )
        ]
        try:
            await asyncio.gather(*tasks)
        except Exception:
            LOG.exception("leases of egress addresses are not granted: beginning anew")
            raise
        finally:
            await end(tasks)
            if self._transport is not None:
                self._transport.close()

    def _row_changed(self, table: str, old: CurrentRow | None, new: CurrentRow | None) -> None:
        self._granting.row_changed(table, old, new)
        if table == "NB_Global" and new is not None:
            self._take_secret(new.columns["options"].get(names.EGRESS_LEASE_SECRET_KEY) or "")
        left = old.owner if table == "Logical_Switch" and old is not None and new is None else None
        if left is not None and left.type == "Node" and self._engine.active:
            self._has_host_left = True
            self._changed.set()
        if not self._engine.active:
            self._changed.set()

    def _take_secret(self, text: str) -> None:
        """Take in the secret of the database: whoever removes it gets another one."""
        secret = text.encode()
        if secret and self._secret and secret != self._secret:
            self._former, self._former_until = self._secret, time.monotonic() + OVERLAP
        self._secret = secret or self._secret
        if not secret:
            self._changed.set()

    def _state_changed(self) -> None:
        if not (self._replica.connected and self._replica.locked) and self._engine.active:
            LOG.warning("this master grants no new leases of egress addresses")
            self._engine.stop()
        self._changed.set()

    async def _lead(self) -> None:
        """Begin to act whenever the lock comes."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not (self._replica.connected and self._replica.locked) or not self._granting.is_needed():
                continue
            try:
                await (self._write_options() if self._engine.active else self._begin())
            except (DatabaseError, OSError) as exc:
                if str(exc) != self._said:
                    LOG.warning("leases of egress addresses can't be granted yet: %s", exc)
                self._said = str(exc)
                asyncio.get_running_loop().call_later(AGAIN, self._changed.set)

    async def _begin(self) -> None:
        """Begin to act. :raises DatabaseError: the lock is not ours any more. :raises OSError: holders can't ask."""
        if not self._replica.rows["NB_Global"]:
            raise DatabaseError("ovn-northd has not begun yet: the Northbound database has no global row")
        await self._listen()
        former: Granter | None = None
        is_first = False
        if self._fence is not None:
            (found,) = await self._replica.transact([self._fence.question()])
            former = self._granting.granter if found["rows"] else None  # nobody has begun to act meanwhile
        if former is None:
            fence = Fence(LOCK + "_leases")
            # In one transaction: nobody can begin to act between the look and the mark.
            found, *_others = await self._replica.transact([fence.before(), *_under_lock(fence.take())])
            self._fence, is_first = fence, not fence.had_mark(found)
        await self._engine.take_over()
        await self._write_options()
        if self._replica.locked:
            self._engine.start()
            self._granting.begin(time.monotonic(), former, is_first)
            LOG.info("this master grants the leases of egress addresses")

    async def _listen(self) -> None:
        """Open the socket at this host's address of now. :raises OSError: it can't be done now."""
        address = self._address or self._own_address()
        if self._transport is not None and self._transport.get_extra_info("sockname")[0] == address:
            return
        former, loop = self._transport, asyncio.get_running_loop()
        self._transport, _protocol = await loop.create_datagram_endpoint(lambda: self, (address, self._port))
        if former is not None:
            former.close()

    def _own_address(self) -> str:
        """Return this host's address on the way to the gateways. :raises OSError: there is no way."""
        ports = self._replica.rows[granting.PORT].values()
        join = [
            cidr.split("/")[0]
            for row in ports
            if row.owner is not None and row.owner.type == "Gateway" and row.role == "router-to-join"
            for cidr in as_set(row.columns["networks"])
        ]
        for ip in sorted(join, key=lambda one: ":" in one)[:1]:
            with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect((ip, ANYWHERE))
                return str(probe.getsockname()[0])
        raise OSError("there is no gateway yet")

    async def _write_options(self) -> None:
        """Tell hosts, by way of ovn-northd and the Southbound database, where to ask."""
        if self._transport is None:
            raise AssertionError("nobody listens")
        host, port = self._transport.get_extra_info("sockname")[:2]
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        known = next(iter(self._replica.rows["NB_Global"].values())).columns["options"]
        secret, wait = known.get(names.EGRESS_LEASE_SECRET_KEY), self._former_until - time.monotonic()
        is_due = self._has_host_left and wait <= 0  # no host has more than one to learn
        if self._has_host_left and not is_due:
            asyncio.get_running_loop().call_later(wait, self._changed.set)
        if not secret or is_due:
            secret = secrets.token_hex(32)
            self._has_host_left = False
        self._take_secret(secret)
        new = {names.EGRESS_LEASE_SERVER_KEY: place, names.EGRESS_LEASE_SECRET_KEY: secret}
        if any(known.get(key) != value for key, value in new.items()):
            mutations = [["options", "delete", ["set", list(new)]], ["options", "insert", ["map", list(new.items())]]]
            operation = {"op": "mutate", "table": "NB_Global", "where": [], "mutations": mutations}
            comment = {"op": "comment", "comment": "ovn-k8s-egress: leases of egress addresses"}
            await self._replica.transact([{"op": "assert", "lock": LOCK}, operation, comment])

    async def _prove(self) -> None:
        """Let the database commit again and again that this master acts."""
        for number in itertools.count(1):
            granter = self._granting.granter
            waits = granter is None or granter.authority < time.monotonic()
            await asyncio.sleep(PROVE / 10 if waits else PROVE)
            granter, fence = self._granting.granter, self._fence
            if granter is None or fence is None or not self._engine.active:
                continue
            asked = time.monotonic()
            with contextlib.suppress(DatabaseError):
                results = await self._replica.transact(
                    [{"op": "assert", "lock": LOCK}, fence.guard(), fence.proof(names.EGRESS_LEASE_PROOF, number)]
                )
                if results[-1]["count"]:
                    granter.proved(asked)

    async def _follow_address(self) -> None:
        """Listen where this host has its address, when it gets another one."""
        while True:
            await asyncio.sleep(LOOK_AT_ADDRESS)
            if not self._engine.active:
                continue
            with contextlib.suppress(OSError, DatabaseError):
                former = self._transport
                await self._listen()
                if self._transport is not former:
                    await self._write_options()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._granting.tick(time.monotonic())

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Answer a request; whoever does not know the secret gets no answer."""
        now = time.monotonic()
        for secret in (self._secret, self._former if now < self._former_until else b""):
            request = wire.parse_request(data, secret) if secret and len(data) <= wire.LONGEST else None
            answer = self._granting.take_in(request, now) if request is not None else None
            if answer is not None and self._transport is not None:
                self._transport.sendto(wire.pack_answer(answer, secret), address)

    def error_received(self, exc: Exception) -> None:
        """Do nothing: holders ask again."""


def start(north: Access) -> None:
    """Grant leases in a thread, for ever. After an error, of whatever kind, all of it begins anew."""

    async def serve() -> None:
        while True:
            with contextlib.suppress(Exception):  # it is logged
                await LeaseServer(north).run()  # its events belong to the loop in which it is made
            await asyncio.sleep(RESTART)

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True, name="leases").start()


def _under_lock(operations: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the transaction of a fence under this program's lock, whose name is another than the mark's."""
    return [{"op": "assert", "lock": LOCK} if one["op"] == "assert" else one for one in operations]
