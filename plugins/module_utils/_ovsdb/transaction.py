# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make the operations of one guarded transaction from a plan (RFC 7047, 5.2).

Guards are ``wait`` operations with the timeout 0. They require that all rows that the plan changes, and all that was
read for it, are still as they were read. So of two clients that plan at the same time the later one fails, reads again
and plans again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common.errors import DatabaseError
from .._common.names import OWNER_CONTROLLER, OWNER_ID
from .operations import encode_desired, remove_from_parent, set_difference, update, wait
from .plan import Change, Plan
from .rows import CurrentRow, LargeSet, Row, includes, is_uuid
from .schema import FIXED_NAMES, PARENTS, ROOT_TABLES, SINGLETONS, parent_column
from .values import encode

if TYPE_CHECKING:
    from typing import Any

    from .operations import Operation, Reference


def operations(plan: Plan, comment: str, lock: str | None = None) -> list[Operation]:
    """Return the operations of a plan.

    :param comment: the program and its purpose, for the database's log.
    :param lock: an OVSDB lock that every client that inserts such rows must have. It is asserted (RFC 7047, 5.2.10),
        and replaces the guards that search whole tables for a row of the same name.
    :raises DatabaseError: a row that the plan refers to does not exist.
    """
    return _Transaction(plan, lock).operations(comment)


class _Transaction:
    """The guards and writes of one plan."""

    def __init__(self, plan: Plan, lock: str | None) -> None:
        self._plan = plan
        self._lock = lock
        self._guards: list[Operation] = [{"op": "assert", "lock": lock}] if lock else []
        self._guards += [wait(read.query.table, read.query.where, read.query.columns, read.rows) for read in plan.reads]
        self._writes: list[Operation] = []
        self._references: dict[int, Reference] = {
            index: ["uuid", change.uuid] if change.uuid else ["named-uuid", f"row{index}"]
            for index, change in enumerate(plan.changes)
            if change.kind == "insert"
        }
        self._inserted = {
            (plan.changes[index].table, plan.changes[index].desired_row().name): reference
            for index, reference in self._references.items()
        }
        # (table, name) of a parent -> table -> references to the new rows.
        # A new parent has its new rows from the start: an Open vSwitch port without an interface is refused, even
        # within a transaction.
        self._children: dict[tuple[str, str], dict[str, list[Reference]]] = {}
        for index, reference in self._references.items():
            row = plan.changes[index].desired_row()
            if row.parent_key is not None:
                self._children.setdefault(row.parent_key, {}).setdefault(row.table, []).append(reference)

    def operations(self, comment: str) -> list[Operation]:
        """Return all operations: guards come first."""
        for index, change in enumerate(self._plan.changes):
            if change.kind == "insert":
                self._insert(index, change)
            elif change.kind == "update":
                self._guards.append(_unchanged(change))
                self._writes += update(change, self._resolve)
            else:
                self._writes += _delete(change.current_row())
        return [*self._guards, *self._writes, {"op": "comment", "comment": comment}]

    def _resolve(self, table: str, name: str) -> Reference:
        """Return a reference to a row that exists or is inserted."""
        if (table, name) in self._inserted:
            return self._inserted[table, name]
        if (table, name) in self._plan.by_name:
            return ["uuid", self._plan.by_name[table, name].uuid]
        hint = " (ovn_master_init)" if table.startswith(("Logical_", "Load_")) else ""
        raise DatabaseError(f"{table} {name} does not exist: make it first{hint}")

    def _insert(self, index: int, change: Change) -> None:
        row = change.desired_row()
        if not self._lock:
            self._guards += _absent(row)
        content = {column: encode_desired(values.after, self._resolve) for column, values in change.columns.items()}
        children = self._children.get((row.table, row.name or ""), {})
        for table, references in children.items():
            content[parent_column(table, row.table)] = ["set", references]
        insert: dict[str, Any] = {"uuid": change.uuid} if change.uuid else {}
        insert.update({"op": "insert", "table": row.table, "row": content, "uuid-name": f"row{index}"})
        self._writes.append(insert)
        if row.parent_key is not None and row.parent_key not in self._inserted:
            self._add_to_parent(row, *row.parent_key, self._references[index])

    def _add_to_parent(self, row: Row, table: str, parent: str, reference: Reference) -> None:
        """Add a new row to the column of its parent, which must still exist."""
        column = parent_column(row.table, table)
        target = self._resolve(table, parent)
        self._writes.append(
            {
                "op": "mutate",
                "table": table,
                "where": [["_uuid", "==", target]],
                "mutations": [[column, "insert", ["set", [reference]]]],
            }
        )
        guard = wait(table, [is_uuid(target[1])], ["_uuid"], [{"_uuid": target}])
        if guard not in self._guards[-1:]:
            self._guards.append(guard)


def _unchanged(change: Change) -> Operation:
    """Return the guard that a row still is as it was read, in all columns that change.

    Of a large set it names only the members that differ.
    """
    row, desired = change.current_row(), change.desired_row().columns
    where, columns = [is_uuid(row.uuid)], {}
    for column, (before, after) in change.columns.items():
        if isinstance(desired.get(column), LargeSet):
            removed, added = set_difference(before, after)
            where += [(column, "includes", encode(removed)), (column, "excludes", encode(added))]
        else:
            columns[column] = row.raw[column]
    columns = columns or {"_uuid": ["uuid", row.uuid]}
    return wait(row.table, where, sorted(columns), [columns])


def _absent(row: Row) -> list[Operation]:
    """Return the guards that no other client has inserted the row, or one of its name."""
    guards = []
    if (
        row.has_owner_keys and row.table not in FIXED_NAMES
    ):  # there the same transaction deletes the old row of this role
        keys = row.owner.keys(row.role)
        identity = {key: keys[key] for key in (OWNER_CONTROLLER, OWNER_ID)}
        guards.append(wait(row.table, [includes("external_ids", identity)], ["_uuid"], []))
    if row.name is not None and row.table not in SINGLETONS:
        guards.append(wait(row.table, [("name", "==", row.name)], ["_uuid"], []))
    return guards


def _delete(row: CurrentRow) -> list[Operation]:
    if row.table not in PARENTS or row.table in ROOT_TABLES:
        return [{"op": "delete", "table": row.table, "where": [list(is_uuid(row.uuid))]}]
    if row.table == "Interface":
        return []  # deleted with its port, which can't have none (ovs-vswitchd.conf.db(5), Port: interfaces)
    return remove_from_parent(row.table, row.uuid)
