# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make a database have the desired rows: read, plan, apply in one transaction.

Check mode stops before the transaction. The diff shows the plan. ``changed`` means that the plan was not empty.
To remove an object is to desire no rows of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .._common.errors import Conflict, DatabaseError, Disconnected, SettingsError
from .._common.result import Result
from .._common.retry import Pause, retry
from .difference import difference
from .plan import Plan, Read
from .rows import CurrentRow, Query, Row, SetMembers, by_name, is_uuid
from .schema import FIXED_NAMES
from .transaction import operations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Protocol

    from .operations import Operation
    from .plan import Change
    from .rows import Owner, RawRow

    class Database(Protocol):
        """A connection to one database."""

        def transact(self, operations: Iterable[Operation]) -> list[Any]:
            """Run one transaction, and return the result of each operation."""

    class DatabaseConnection(Database, Protocol):
        """A connection that can be opened again."""

        def reopen(self) -> None:
            """Connect again after the connection was lost."""

        def close(self) -> None:
            """Close the connection."""

    class DesiredRows(Protocol):
        """All that one call desires of a database. No I/O: it returns queries, and gets the rows that they find."""

        @property
        def fast_path(self) -> DesiredRows | None:
            """Return the same, for a first plan that reads rows by their UUID only; None when it can't be planned so.

            When that plan is empty no table is searched, so a call that changes nothing costs the same in any cluster.
            """

        def columns(self, table: str) -> tuple[str, ...]:
            """Return the columns to read of a row that is found by its name."""

        def owned_queries(self, owners: Iterable[Owner] | None = None) -> list[Query]:
            """Return the queries for all rows of these owners; None: of the call's owners."""

        def renamed_owners(self, current: Sequence[CurrentRow]) -> Mapping[Owner, str]:
            """Return the owners that have rows under an old name, with their new names."""

        def owned_rows(self, current: Sequence[CurrentRow], renamed: Mapping[Owner, str]) -> list[CurrentRow]:
            """Return those of the rows found that the call is about; all others stay as they are."""

        def reads(self, current: Sequence[CurrentRow], renamed: Mapping[Owner, str]) -> Mapping[str, Query]:
            """Return what else the rows depend on: name -> query."""

        def rows(
            self,
            current: Sequence[CurrentRow],
            renamed: Mapping[Owner, str],
            reads: Mapping[str, Sequence[CurrentRow]],
        ) -> list[Row]:
            """Return the desired rows.

            :param reads: name -> rows that the query of this name found.
            :raises SettingsError: the settings conflict with what the database has.
            """


PATIENCE = 60.0  # seconds in which a plan is made again while other clients change what it was made from
CONFLICT_PAUSE = Pause(0.05, jitter=0.98)  # almost all of it random, so that clients that started together part


def too_busy(database: str) -> DatabaseError:
    """Return the error of a change that met conflicts until its deadline."""
    return DatabaseError(
        f"{database} changes faster than a change can be planned: find out who else writes these rows again and again"
    )


def converge_rows(
    connect: Callable[[], DatabaseConnection], desired: DesiredRows, comment: str, check: bool = False
) -> Result:
    """Make a database have the desired rows, in one transaction.

    :param connect: opens a connection, which is closed at the end.
    :param comment: the program and its purpose, for the database's log.
    :param check: plan only.
    :raises DatabaseError: nothing was changed.
    """
    connection = connect()
    try:
        call = _Convergence(connection, desired, comment, check)
        return retry(call.attempt, Conflict, PATIENCE, CONFLICT_PAUSE, lambda _conflict: too_busy("the database"))
    finally:
        connection.close()


class _Convergence:
    """The attempts of one call."""

    def __init__(self, connection: DatabaseConnection, desired: DesiredRows, comment: str, check: bool) -> None:
        self._connection = connection
        self._desired = desired
        self._comment = comment
        self._check = check
        self._planned: Sequence[Change] = ()
        self._maybe_committed: Sequence[Change] = ()
        self._reconnected = False

    def attempt(self) -> Result:
        """Plan and apply; the second time on a new connection, when the first one was lost.

        :raises Conflict: another client changed what the plan was made from.
        """
        try:
            return self._apply()
        except Disconnected:
            if self._reconnected or self._check:
                raise
        # Whether the transaction was committed shows in what is read next: then there is nothing left to plan.
        self._reconnected, self._maybe_committed = True, self._planned
        self._connection.reopen()
        return self._apply()

    def _apply(self) -> Result:
        self._planned = ()
        plan = plan_rows(self._connection, self._desired)
        if self._check or not plan.changes:
            return Result(plan.changes or self._maybe_committed)
        self._planned = plan.changes
        self._connection.transact(operations(plan, self._comment))
        return Result(plan.changes)


def plan_rows(connection: Database, desired: DesiredRows) -> Plan:
    """Read what the plan depends on, and plan.

    :raises SettingsError: the settings conflict with what the database has.
    :raises DatabaseError: a row belongs to somebody else.
    """
    fast_path = desired.fast_path
    if fast_path is not None and _is_converged(connection, fast_path):
        return Plan()
    return _ask_for_uuids(connection, _plan(connection, desired))


def _is_converged(connection: Database, fast_path: DesiredRows) -> bool:
    """Return whether all rows have the UUID of their identity and are as desired; False when that can't be told."""
    try:
        return not _plan(connection, fast_path).changes
    except Disconnected:
        raise
    except (SettingsError, DatabaseError):
        return False


def _ask_for_uuids(connection: Database, plan: Plan) -> Plan:
    """Return the plan whose inserts ask for the UUIDs of their identity.

    A UUID may be in use: after a rename the row belongs to another owner.
    """
    uuids = {
        index: change.desired_row().owner.row_uuid(change.desired_row().role)
        for index, change in enumerate(plan.changes)
        if change.kind == "insert" and change.desired_row().has_owner_keys and change.table not in FIXED_NAMES
    }
    queries = [Query(plan.changes[index].table, (is_uuid(uuid),), ()) for index, uuid in uuids.items()]
    results = _select(connection, queries)
    free = {index: uuid for (index, uuid), rows in zip(uuids.items(), results) if not rows}
    return plan.only(replace(change, uuid=free.get(index)) for index, change in enumerate(plan.changes))


def _plan(connection: Database, desired: DesiredRows) -> Plan:
    current = read_rows(connection, desired.owned_queries())
    renamed = desired.renamed_owners(current)
    if renamed:
        current += read_rows(connection, desired.owned_queries(list(renamed)))
    current = list({row.uuid: row for row in desired.owned_rows(current, renamed)}.values())
    queries = desired.reads(current, renamed)
    results = _select(connection, queries.values())
    found = {name: [query.current_row(row) for row in rows] for (name, query), rows in zip(queries.items(), results)}
    rows = desired.rows(current, renamed, found)
    named = _rows_by_name(connection, desired, rows, current, renamed)
    return Plan(
        difference(rows, current, named, renamed),
        named,
        [Read(query, _only(query.columns, rows)) for query, rows in zip(queries.values(), results)],
    )


def _only(columns: Sequence[str], rows: Iterable[RawRow]) -> list[dict[str, Any]]:
    """Return the rows with these columns: not with ``_uuid``, which a select adds."""
    return [{column: row[column] for column in columns} for row in rows]


def _select(connection: Database, queries: Iterable[Query]) -> list[list[RawRow]]:
    """Return the rows that each query finds, as they are on the wire, all read in one transaction."""
    selects = [query.operation() for query in queries]
    return [result["rows"] for result in connection.transact(selects)] if selects else []


def read_rows(connection: Database, queries: Iterable[Query]) -> list[CurrentRow]:
    """Return the rows that the queries find, all read in one transaction."""
    queries = list(queries)
    return [query.current_row(row) for query, rows in zip(queries, _select(connection, queries)) for row in rows]


def _rows_by_name(
    connection: Database,
    desired: DesiredRows,
    rows: Iterable[Row],
    current: Iterable[CurrentRow],
    renamed: Mapping[Owner, str],
) -> dict[tuple[str, str], CurrentRow]:
    """Return the current rows that the desired ones name, by table and name.

    These are parents, references, rows without owner keys, and rows of others that have the name of a new row.
    """
    existing = set()
    by_names = {}
    for row in current:
        owner = row.owner
        if owner is not None:
            existing.add((row.table, owner.type, renamed.get(owner, owner.name), row.role))
        if row.name is not None:
            by_names[row.table, row.name] = row
    keys: dict[tuple[str, str], None] = {}  # a set that keeps its order
    for desired_row in rows:
        identity = (desired_row.table, desired_row.owner.type, desired_row.owner.name, desired_row.role)
        is_new = desired_row.table in FIXED_NAMES or identity not in existing
        if desired_row.name is not None and (is_new or not desired_row.has_owner_keys):
            keys[desired_row.table, desired_row.name] = None
        if desired_row.parent_key is not None and is_new:
            keys[desired_row.parent_key] = None
        for value in desired_row.columns.values():
            if isinstance(value, SetMembers):
                keys.update(((ref.table, ref.name), None) for ref in value.refs)
    missing = [key for key in keys if key not in by_names]
    queries = [by_name(table, name, desired.columns(table)) for table, name in missing]
    for key, query, found in zip(missing, queries, _select(connection, queries)):
        if found:
            by_names[key] = query.current_row(found[0])
    return by_names
