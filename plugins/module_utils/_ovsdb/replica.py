# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A copy of chosen tables and columns of one database that the server keeps up to date, for asyncio programs.

The copy can be read while the server is away. After a new connection only what differs from the copy is reported as a
change, so a restart of the server is no event for its users.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

from .._common.errors import DatabaseError, DatabaseUnreachable, Disconnected
from .._common.retry import Pause
from .channel import Channel
from .columns import allowed_values, column_kinds
from .replies import MEMBER_TIMEOUT, SERVER_COLUMNS, check_results, unusable_reason
from .table_copy import TableCopy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from .operations import Operation
    from .table_copy import OnChange
    from .tls import MaybeTls

LOG = logging.getLogger("ovsdb")
PROBE = 5.0  # seconds of silence after which the server is probed, and seconds for its reply
RECONNECT_PAUSE = Pause(0.1, longest=5.0, jitter=0.5)
# Of a list of members, for who needs the one that leads: the same for so many attempts, since another one leads after a
# second or two. Programs of all hosts, which need any member, would storm those that are left.
ELECTION_PAUSE, ELECTION_ATTEMPTS = Pause(0.1, jitter=0.5), 100
MEMBER_PROBE = 2.5  # as PROBE, where another member can take over
CONTENT_TIMEOUTS = 6  # the whole content may take longer than other replies by this factor
UNKNOWN = {"name": "", "connected": False, "leader": False}  # the server omits columns with their default


class Replica(TableCopy):
    """The copy, and the connection that keeps it up to date.

    :param remote: comma-separated list; the first member that is connected to its cluster and leads it is used.
    :param leader_only: false: the first member that is connected will do, or a relay; for a copy that is only read.
    :param tables: :param on_change: :param parents_of: :param lasting: as :class:`.table_copy.TableCopy` has them.
    :param lock: name of an OVSDB lock to ask for (RFC 7047, 4.1.8); :attr:`locked` says whether this connection has it,
        after all messages that have come, in their order. See :meth:`want_lock`.
    :param on_state: called without arguments whenever :attr:`connected` or :attr:`locked` changed.

    :ivar connected: the copy is the database's content now.
    :ivar ready: an event that is set while connected.
    """

    def __init__(
        self,
        remote: str,
        database: str,
        tables: Mapping[str, Iterable[str]],
        on_change: OnChange | None = None,
        parents_of: Iterable[str] = (),
        lock: str | None = None,
        on_state: Callable[[], None] | None = None,
        tls: MaybeTls = None,
        timeout: float = 10.0,
        lasting: Iterable[str] = (),
        leader_only: bool = True,
    ) -> None:
        super().__init__(tables, on_change, parents_of, lasting)
        self.remotes = [part.strip() for part in remote.split(",") if part.strip()]
        self.database = database
        self.connected = False
        self.locked = False
        self.ready = asyncio.Event()
        self._left = asyncio.Event()  # the connection of before was given up
        self._on_state = on_state or (lambda: None)
        self._lock = lock
        self._wants_lock = True
        self._lock_channel: Channel | None = None  # the connection that has asked for the lock, or may do so
        self._lock_requests: set[asyncio.Task[None]] = set()
        self._tls = tls
        self._timeout = timeout
        self._leader_only = leader_only
        several = len(self.remotes) > 1
        self._member_timeout = min(MEMBER_TIMEOUT, timeout) if several else timeout
        self._probe_time = MEMBER_PROBE if several else PROBE
        self._servers: dict[str, dict[str, Any]] = {}  # rows of the server's table Database
        self._channel: Channel | None = None
        self._allowed: dict[tuple[str, str], frozenset[Any]] = {}

    def allowed_values(self, table: str, column: str) -> frozenset[Any]:
        """Return the values that the server's schema allows in a column; empty: all of its type, or not known yet."""
        return self._allowed.get((table, column), frozenset())

    def want_lock(self, wanted: bool) -> None:
        """Ask for the lock, or give it back and ask for it no more, now and after each new connection."""
        if wanted == self._wants_lock:
            return
        self._wants_lock = wanted
        if self._lock_channel is not None:
            request = asyncio.ensure_future(self._request_lock(self._lock_channel, "lock" if wanted else "unlock"))
            self._lock_requests.add(request)
            request.add_done_callback(self._lock_requests.discard)
        if self.locked:
            self.locked = False
            self._on_state()

    async def transact(self, operations: Iterable[Operation]) -> list[Any]:
        """Run one transaction, and return the result of each operation. The copy has its changes then.

        :raises Disconnected: there is no connection, or the reply did not come. Whether the transaction was committed
            shows in the copy later.
        :raises Conflict: :raises LockLost: :raises DatabaseError: as :func:`.replies.check_results`.
        """
        if not self.connected or self._channel is None:
            raise Disconnected(f"there is no connection to {self.database}")
        operations, channel = list(operations), self._channel
        try:
            results = await channel.request("transact", [self.database, *operations], self._timeout)
        except Disconnected:
            channel.close()
            if self._channel is channel:  # who waits for the next connection must not find this one again
                await self._left.wait()
            raise
        return check_results(self.database, operations, results)

    def reconnect(self) -> None:
        """Give up the connection, and with it the lock; :meth:`run` makes a new one."""
        if self._channel is not None:
            self._channel.close()

    async def run(self) -> None:
        """Keep the copy up to date for ever: connect, follow, and connect again after a pause that grows."""
        attempt, order = 0, list(self.remotes)
        if not self._leader_only:
            random.shuffle(order)  # each host has the same list: its members are to have an equal share of the hosts
        while True:
            reasons = []
            for remote in list(order):
                try:
                    await self._follow(remote)
                except DatabaseUnreachable as exc:
                    reasons.append(str(exc))
                except DatabaseError as exc:
                    reasons = [str(exc)]
                    attempt = 0 if self.connected else attempt
                    # The others first: whoever led, and is gone or silent, may be the last to lead again.
                    order = [*(one for one in order if one != remote), remote]
                finally:
                    self._disconnect()
            LOG.warning("%s: %s; trying again", self.database, "; ".join(reasons))
            await asyncio.sleep(self._pause(attempt))
            attempt += 1

    def _pause(self, attempt: int) -> float:
        if len(self.remotes) > 1 and self._leader_only:
            if attempt < ELECTION_ATTEMPTS:
                return ELECTION_PAUSE.seconds(0)
            attempt -= ELECTION_ATTEMPTS
        return RECONNECT_PAUSE.seconds(attempt)

    def _disconnect(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._lock_channel = None
        self._left.set()
        if self.connected or self.locked:
            self.connected = self.locked = False
            self.ready.clear()
            self._on_state()

    async def _follow(self, remote: str) -> None:
        """Follow one server until it can't be used any more, which always ends in an exception."""
        self._left.clear()
        channel = self._channel = await Channel.open(remote, self._notified, self._member_timeout, self._tls)
        # The results are taken over before the coroutine goes on: notifications in the same packet change what they
        # say.
        await channel.request(
            "monitor_cond",
            ["_Server", ["server"], {"Database": [{"columns": list(SERVER_COLUMNS)}]}],
            self._member_timeout,
            self._set_servers,
        )
        reason = self._unusable_reason()
        if reason:
            raise DatabaseUnreachable(f"{remote}: {reason}")
        schema = await channel.request("get_schema", [self.database], self._timeout)
        kinds = column_kinds(schema, self._tables)
        self._allowed = allowed_values(schema, self._tables)
        if self._lock:
            self._lock_channel = channel
            if self._wants_lock:
                await channel.request("lock", [self._lock], self._timeout, self._set_lock)
        monitored = {table: [{"columns": columns}] for table, columns in self.monitored_columns().items()}
        await channel.request(
            "monitor_cond",
            [self.database, ["content"], monitored],
            self._timeout * CONTENT_TIMEOUTS,
            lambda content: self.load(content, kinds),
        )
        self.connected = True
        self.ready.set()
        LOG.info("%s: connected to %s", self.database, remote)
        self._on_state()
        await self._probe(channel)
        raise Disconnected(f"the connection to {remote} ended")

    async def _probe(self, channel: Channel) -> None:
        """Send an echo after each silence; return when the connection was closed.

        :raises Disconnected: the server does not reply.
        """
        loop = asyncio.get_running_loop()
        while not channel.closed.is_set():
            silence = loop.time() - channel.last_received
            if silence >= self._probe_time:
                await channel.request("echo", [], self._probe_time)
                continue
            try:
                await asyncio.wait_for(channel.closed.wait(), self._probe_time - silence)
            except asyncio.TimeoutError:
                continue

    def _set_servers(self, content: Mapping[str, Any]) -> None:
        databases = content.get("Database", {})
        self._servers = {uuid: {**UNKNOWN, **row["initial"]} for uuid, row in databases.items()}

    async def _request_lock(self, channel: Channel, method: str) -> None:
        """Send "lock" or "unlock"; the server answers requests in their order (RFC 7047, 4.1.8, 4.1.9)."""
        try:
            await channel.request(method, [self._lock], self._timeout, self._set_lock)
        except DatabaseError as exc:
            LOG.warning("%s", exc)

    def _set_lock(self, result: Mapping[str, Any]) -> None:
        """Take over the reply to "lock", or to "unlock", which is empty."""
        self._set_locked(result.get("locked", False))

    def _set_locked(self, locked: bool) -> None:
        locked = locked and self._wants_lock
        if locked != self.locked:
            self.locked = locked
            if self.connected:
                self._on_state()

    def _notified(self, method: str, params: list[Any]) -> None:
        """Handle a notification of the server (RFC 7047, 4.1.9 and 4.1.10; ovsdb-server(7), 4.1.14)."""
        if method in ("locked", "stolen"):
            self._set_locked(method == "locked")
        elif method == "update2" and params[0] == ["content"]:
            for table, rows in params[1].items():
                for uuid, change in rows.items():
                    self.update(table, uuid, change)
        elif method == "update2" and params[0] == ["server"]:
            self._update_servers(params[1].get("Database", {}))

    def _update_servers(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Take over which databases the server serves and leads; disconnect when ours can't be used any more."""
        for uuid, change in changes.items():
            ((kind, row),) = change.items()
            if kind == "delete":
                self._servers.pop(uuid, None)
            else:
                self._servers[uuid] = {**self._servers.get(uuid, UNKNOWN), **row}
        if self._unusable_reason() and self._channel is not None:
            self._channel.close()

    def _unusable_reason(self) -> str | None:
        return unusable_reason(self.database, self._servers.values(), self._leader_only)
