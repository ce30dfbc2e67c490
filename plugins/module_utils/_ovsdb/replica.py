# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A copy in memory of chosen tables and columns of one database, kept up to date by the server, for asyncio programs.

Rows are :class:`.rows.Found`. The copy stays readable while the server is away; after a new connection only what differs
from it is told. So a restart of the server is no event for whoever watches, unless something changed.
"""

from __future__ import annotations

import asyncio
import logging
import random

from .._common.errors import DatabaseError, DatabaseUnreachable, Disconnected
from .._common.names import OWNER_NAME, OWNER_TYPE
from .channel import Channel
from .replies import SERVER_COLUMNS, checked, unfit
from .rows import CurrentRow
from .schema import PARENTS
from .values import as_set, decode, encode

LOG = logging.getLogger("ovsdb")
PROBE = 5.0  # seconds of silence until the server is asked for a sign of life, and until it is given up
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
UNKNOWN = {"name": "", "connected": False, "leader": False}  # the server leaves out what holds its default
DEFAULTS = {"string": "", "integer": 0, "real": 0.0, "boolean": False}


class Replica:
    """The copy, and the connection that keeps it.

    :param remote: comma-separated list; the first member that is connected to its cluster and leads it is used.
    :param tables: table -> columns. ``external_ids`` and ``name`` among them make :meth:`owned` and :meth:`named` work.
    :param changed: called with (table, row before, row after) for each row that came (before is None), changed or went (after is None), and for one
        that is still there when its holder let it go (both are the same).
    :param held: tables of PARENTS for which :meth:`holder` is to be known.
    :param lock: name of an OVSDB lock to ask for; :attr:`locked` says whether it is ours now.
    :param state: called without arguments whenever :attr:`connected` or :attr:`locked` changed.

    :ivar rows: table -> uuid -> Found.
    :ivar connected: the copy is the database's content now.
    """

    def __init__(self, remote, database, tables, changed=None, held=(), lock=None, state=None, tls=None, timeout=10.0):
        self.remotes = [one.strip() for one in remote.split(",") if one.strip()]
        self.database = database
        self.rows = {table: {} for table in tables}
        self.connected = False
        self.locked = False
        self.ready = asyncio.Event()
        self._tables = {table: tuple(columns) for table, columns in tables.items()}
        self._changed = changed or (lambda table, before, after: None)
        self._state = state or (lambda: None)
        self._lock = lock
        self._tls = tls
        self._timeout = timeout
        self._held = {}  # holder's table -> [(table, column)]
        for table in held:
            self._held.setdefault(PARENTS[table][0], []).append((table, PARENTS[table][1]))
        self._members = {}  # (table, uuid of a holder) -> uuids of the table's rows that it holds
        self._holders = {table: {} for table in held}  # table -> uuid of a row -> uuid of its holder
        self._names = {}
        self._owners = {}
        self._kinds = {}
        self._channel = None

    # What the copy says.

    def named(self, table, name):
        """The row of that name, None when there is none."""
        return self.rows[table].get(self._names.get((table, name)))

    def owned(self, owner, tables=None):
        """All rows that carry the owner's keys."""
        return [
            self.rows[table][uuid]
            for table in (tables or self._tables)
            for uuid in self._owners.get((table, owner.type, owner.name), ())
        ]

    def owners(self, kind):
        """Names of all owners of a type that have rows."""
        return {name for _table, type_, name in self._owners if type_ == kind}

    def parent(self, table, uuid):
        """The row that holds this one, None for a row that nobody holds."""
        return self.rows[PARENTS[table][0]].get(self._holders[table].get(uuid))

    # What can be done.

    async def transact(self, operations):
        """The results of one transaction; the copy already shows it then.

        :raises Disconnected: without a connection, or when the answer did not come: whether it was committed shows in the copy later.
        :raises Conflict: :raises LockLost: :raises DatabaseError: as :func:`.answers.checked` says; nothing was written then.
        """
        if not self.connected:
            raise Disconnected(f"there is no connection to {self.database}")
        operations = list(operations)
        return checked(
            self.database,
            operations,
            await self._channel.request("transact", [self.database, *operations], self._timeout),
        )

    async def run(self):
        """Keep the copy for ever: connect, follow, and connect again after a pause that grows."""
        pause = FIRST_PAUSE
        while True:
            reasons = []
            for remote in list(self.remotes):
                try:
                    await self._follow(remote)
                except DatabaseUnreachable as exc:
                    reasons.append(str(exc))
                except DatabaseError as exc:
                    reasons = [str(exc)]
                    pause = FIRST_PAUSE if self.connected else pause
                finally:
                    self._disconnect()
            LOG.warning("%s: %s; trying again", self.database, "; ".join(reasons))
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)

    def _disconnect(self):
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self.connected or self.locked:
            self.connected = self.locked = False
            self.ready.clear()
            self._state()

    async def _follow(self, remote):
        """Serve from one server until it can't serve any more, which is always an exception."""
        channel = self._channel = await Channel.open(remote, self._notified, self._timeout, self._tls)
        kinds = _kinds(await channel.request("get_schema", [self.database], self._timeout), self._tables)
        # What these answer is taken over at once: what the server says next may come in the same piece, and builds on it.
        await channel.request(
            "monitor_cond",
            ["_Server", ["server"], {"Database": [{"columns": list(SERVER_COLUMNS)}]}],
            self._timeout,
            self._know_servers,
        )
        reason = unfit(self.database, self._servers.values())
        if reason:
            raise DatabaseUnreachable(f"{remote}: {reason}")
        if self._lock:
            await channel.request("lock", [self._lock], self._timeout, self._know_lock)
        wanted = {
            table: [{"columns": sorted({*columns, *(column for _child, column in self._held.get(table, ()))})}]
            for table, columns in self._tables.items()
        }
        self._kinds = kinds
        await channel.request("monitor_cond", [self.database, ["content"], wanted], self._timeout * 6, self._snapshot)
        self.connected = True
        self.ready.set()
        LOG.info("%s: connected to %s", self.database, remote)
        self._state()
        loop = asyncio.get_running_loop()
        while True:
            silent = loop.time() - channel.heard
            if silent >= PROBE:
                await channel.request("echo", [], PROBE)
                continue
            try:
                await asyncio.wait_for(channel.closed.wait(), PROBE - silent)
            except asyncio.TimeoutError:
                continue
            raise Disconnected(f"the connection to {remote} ended")

    # What the server says.

    def _know_servers(self, server):
        self._servers = {uuid: dict(UNKNOWN, **row["initial"]) for uuid, row in server.get("Database", {}).items()}

    def _know_lock(self, answer):
        self.locked = answer["locked"]

    def _notified(self, method, params):
        if method in ("locked", "stolen"):
            self.locked = method == "locked"
            self._state()
        elif method == "update2" and params[0] == ["content"]:
            for table, rows in params[1].items():
                for uuid, change in rows.items():
                    self._update(table, uuid, change)
        elif method == "update2" and params[0] == ["server"]:
            for uuid, change in params[1].get("Database", {}).items():
                ((kind, row),) = change.items()
                if kind == "delete":
                    self._servers.pop(uuid, None)
                else:
                    self._servers[uuid] = dict(self._servers.get(uuid, UNKNOWN), **row)
            if unfit(self.database, self._servers.values()) and self._channel is not None:
                self._channel.close()

    def _snapshot(self, tables):
        """The whole content, after a new connection: tell only what differs from the copy."""
        for members in self._members.values():
            members.clear()
        for holders in self._holders.values():
            holders.clear()
        for table in self._tables:
            fresh = tables.get(table, {})
            for uuid in [uuid for uuid in self.rows[table] if uuid not in fresh]:
                self._put(table, uuid, None)
            for uuid in list(fresh):
                row = fresh.pop(uuid)[
                    "initial"
                ]  # what is taken over need not be kept: it is the largest thing that a program holds
                self._hold(table, uuid, row, whole=True)
                columns = {
                    column: decode(row[column]) if column in row else _empty(self._kinds[table][column])
                    for column in self._tables[table]
                }
                known = self.rows[table].get(uuid)
                if known is None or known.columns != columns:
                    self._put(table, uuid, columns)

    def _update(self, table, uuid, change):
        ((kind, row),) = change.items()
        if kind == "delete":
            for child, _column in self._held.get(table, ()):
                self._members.pop((child, uuid), None)
            self._put(table, uuid, None)
        elif kind in ("insert", "initial"):
            self._hold(table, uuid, row, whole=True)
            self._put(
                table,
                uuid,
                {
                    column: decode(row[column]) if column in row else _empty(self._kinds[table][column])
                    for column in self._tables[table]
                },
            )
        else:
            lost = self._hold(table, uuid, row, whole=False)
            known, kinds = self.rows[table][uuid].columns, self._kinds[table]
            news = {
                column: _changed(kinds[column], known[column], decode(value))
                for column, value in row.items()
                if column in known
            }
            if news:
                self._put(table, uuid, dict(known, **news))
            for child, one in lost:
                self._tell(child, self.rows[child].get(one), self.rows[child].get(one))

    def _hold(self, table, uuid, row, whole):
        """Take over which rows this one holds: all of them, or those whose membership changed. (table, uuid) of those that it let go."""
        lost = []
        for child, column in self._held.get(table, ()):
            if column not in row:
                continue
            members, holders = self._members.setdefault((child, uuid), set()), self._holders[child]
            for one in as_set(decode(row[column])):
                if whole or one not in members:
                    members.add(one)
                    holders[one] = uuid
                else:
                    members.discard(one)
                    if holders.get(one) == uuid:
                        del holders[one]
                        lost.append((child, one))
        return lost

    def _put(self, table, uuid, columns):
        """Make the copy hold these columns of the row (None: it is gone), and tell."""
        before = self.rows[table].pop(uuid, None)
        if before is not None:
            if self._names.get((table, before.name)) == uuid:
                del self._names[table, before.name]
            self._own(table, before, False)
        after = None
        if columns is not None:
            after = self.rows[table][uuid] = CurrentRow(table, uuid, columns, Wire(columns, self._kinds[table]))
            if after.name is not None:
                self._names[table, after.name] = uuid
            self._own(table, after, True)
        self._tell(table, before, after)

    def _tell(self, table, before, after):
        if before is None and after is None:
            return
        try:
            self._changed(table, before, after)
        except Exception:
            LOG.exception("%s: a change of %s could not be used", self.database, (after or before).label())

    def _own(self, table, row, there):
        owner = (table, row.external_id(OWNER_TYPE), row.external_id(OWNER_NAME))
        if owner[1] is None:
            return
        if there:
            self._owners.setdefault(owner, set()).add(row.uuid)
        else:
            self._owners[owner].discard(row.uuid)
            if not self._owners[owner]:
                del self._owners[owner]


class Wire:
    """The columns of a row as the wire has them, made when asked for: guards of transactions need them."""

    __slots__ = ("_columns", "_kinds")

    def __init__(self, columns, kinds):
        self._columns = columns
        self._kinds = kinds

    def __getitem__(self, column):
        value = self._columns[column]
        if self._kinds[column].endswith("reference"):
            return ["set", [["uuid", uuid] for uuid in as_set(value)]]
        return encode(value)


def _kinds(schema, tables):
    """table -> column -> its type where it holds one value, else ``optional``, ``set`` or ``map``; and ``reference`` of uuids (RFC 7047, 3.2)."""
    out = {}
    for table, columns in tables.items():
        if table not in schema["tables"]:
            raise DatabaseError(f"database {schema['name']} has no table {table}: it is too old")
        known = schema["tables"][table]["columns"]
        missing = [column for column in columns if column not in known]
        if missing:
            raise DatabaseError(
                f"table {table} of {schema['name']} has no column {missing[0]}: the database is too old"
            )
        out[table] = {column: _kind(known[column]["type"]) for column in columns}
    return out


def _kind(column):
    """The kind of a column, from its type in the schema."""
    if isinstance(column, str):
        return column
    key = column["key"] if isinstance(column["key"], str) else column["key"]["type"]
    if "value" in column:
        return "map"
    kind = "set" if column.get("max", 1) != 1 else "optional" if column.get("min", 1) == 0 else key
    return kind + " reference" if key == "uuid" else kind


def _empty(kind):
    """A column that the server left out because it holds its default."""
    return {} if kind == "map" else DEFAULTS.get(kind, ())


def _changed(kind, before, change):
    """A column's value after a change as "modify" tells it (ovsdb-server(7), 4.1.14): sets and maps by what differs, others whole."""
    if kind == "map":
        after = dict(before)
        for key, value in change.items():
            if after.get(key) == value:
                del after[key]
            else:
                after[key] = value
        return after
    if kind.startswith("set"):
        have, differ = as_set(before), as_set(change)
        gone = set(have).intersection(differ)
        return tuple(item for item in have if item not in gone) + tuple(item for item in differ if item not in gone)
    return change
