# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A copy of chosen tables and columns of a database in memory, with indexes: what a replica keeps up to date."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from .columns import RawColumns, default_value, modified_value
from .rows import CurrentRow, Owner, StrayRow
from .schema import possible_parents
from .values import as_set, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import Any

    from .columns import ColumnKinds

    OnChange = Callable[[str, "CurrentRow | None", "CurrentRow | None"], None]

LOG = logging.getLogger("ovsdb")


class _Child(NamedTuple):
    """A table whose rows a column refers to."""

    table: str
    column: str


class TableCopy:
    """Rows, and indexes by name, owner and parent.

    :param tables: table -> columns. ``external_ids`` and ``name`` among them make :meth:`owned` and :meth:`named` work.
    :param on_change: called with (table, row before, row after) for each row that was inserted (before is None),
        changed or deleted (after is None), and for one that still exists after its parent ceased to refer to it (both
        are the same), also when another parent refers to it now.
    :param parents_of: tables of :data:`.schema.PARENTS` for which :meth:`parent` works.
    :param lasting: owner types of which no client moves a row to another owner: such a row stays its owner's also when
        somebody changes or removes its owner keys, until they are restored or the row is deleted.

    :ivar rows: table -> UUID -> row.
    """

    def __init__(
        self,
        tables: Mapping[str, Iterable[str]],
        on_change: OnChange | None,
        parents_of: Iterable[str],
        lasting: Iterable[str] = (),
    ) -> None:
        self.rows: dict[str, dict[str, CurrentRow]] = {table: {} for table in tables}
        self._tables = {table: tuple(columns) for table, columns in tables.items()}
        self._on_change = on_change or (lambda _table, _before, _after: None)
        self._lasting = frozenset(lasting)
        self._column_kinds: Mapping[str, ColumnKinds] = {}
        self._by_name: dict[str, dict[str | None, str]] = {table: {} for table in tables}  # table -> name -> UUID
        # Table -> owner -> UUIDs. Most owners have one row in a table: its UUID alone takes a third of a set's memory.
        self._by_owner: dict[str, dict[Owner, str | set[str]]] = {table: {} for table in tables}
        self._children: dict[str, list[_Child]] = {}  # table of a parent -> what its columns refer to
        self._members: dict[tuple[str, str], set[str]] = {}  # (table, UUID of a parent) -> UUIDs of the table's rows
        self._parents: dict[str, dict[str, str]] = {}  # table -> UUID of a row -> UUID of its parent
        for table in parents_of:
            self._parents[table] = {}
            for parent, column in possible_parents(table):
                self._children.setdefault(parent, []).append(_Child(table, column))

    def named(self, table: str, name: str) -> CurrentRow | None:
        """Return the row of this name; None when there is none."""
        return self.rows[table].get(self._by_name[table].get(name, ""))

    def owned(self, owner: Owner, tables: Iterable[str] | None = None) -> list[CurrentRow]:
        """Return all rows that have the owner's keys."""
        return [
            self.rows[table][uuid]
            for table in (self._tables if tables is None else tables)
            for uuid in _each(self._by_owner[table].get(owner, ()))
        ]

    def owners(self, kind: str) -> set[str]:
        """Return the names of all owners of a type that have rows."""
        return {owner.name for owners in self._by_owner.values() for owner in owners if owner.type == kind}

    def parent(self, table: str, uuid: str) -> CurrentRow | None:
        """Return the row that refers to this one; None when no row does."""
        parent = self._parents[table].get(uuid, "")
        found = (self.rows[one.table].get(parent) for one in possible_parents(table) if one.table in self.rows)
        return next(filter(None, found), None)

    def monitored_columns(self) -> dict[str, list[str]]:
        """Return table -> columns that the server must send: those of the copy, and those that refer to children."""
        return {
            table: sorted({*columns, *(child.column for child in self._children.get(table, ()))})
            for table, columns in self._tables.items()
        }

    def load(self, content: dict[str, dict[str, dict[str, Any]]], kinds: Mapping[str, ColumnKinds]) -> None:
        """Take over the whole content of a new connection. Only what differs from the copy is a change.

        :param content: table -> UUID -> ``{"initial": row}`` (ovsdb-server(7), 4.1.14); emptied on the way, because it
            is the largest object that a program ever has.
        :param kinds: of the columns.
        """
        self._column_kinds = kinds
        for members in self._members.values():
            members.clear()
        for parents in self._parents.values():
            parents.clear()
        for table in self._tables:
            new = content.get(table, {})
            for uuid in [uuid for uuid in self.rows[table] if uuid not in new]:
                self._put(table, uuid, None)
            for uuid in list(new):
                row = new.pop(uuid)["initial"]
                self._set_members(table, uuid, row)
                columns = self._decode(table, row)
                known = self.rows[table].get(uuid)
                if known is None or known.columns != columns:
                    self._put(table, uuid, columns)

    def update(self, table: str, uuid: str, change: Mapping[str, Any]) -> None:
        """Take over a change of one row: ``{"insert": row}``, ``{"modify": columns}`` or ``{"delete": null}``."""
        ((kind, row),) = change.items()
        if kind == "delete":
            for child in self._children.get(table, ()):
                self._members.pop((child.table, uuid), None)
            self._put(table, uuid, None)
        elif kind in ("insert", "initial"):
            self._set_members(table, uuid, row)
            self._put(table, uuid, self._decode(table, row))
        else:
            left = self._modify_members(table, uuid, row)
            known, kinds = self.rows[table][uuid].columns, self._column_kinds[table]
            modified = {
                column: modified_value(kinds[column], known[column], decode(value))
                for column, value in row.items()
                if column in known
            }
            if modified:
                self._put(table, uuid, {**known, **modified})
            for left_table, member in left:
                same = self.rows[left_table].get(member)
                self._report(left_table, same, same)

    def _decode(self, table: str, row: Mapping[str, Any]) -> dict[str, Any]:
        kinds = self._column_kinds[table]
        return {
            column: decode(row[column]) if column in row else default_value(kinds[column])
            for column in self._tables[table]
        }

    def _set_members(self, table: str, uuid: str, row: Mapping[str, Any]) -> None:
        """Take over which children a row refers to."""
        for child, column in self._children.get(table, ()):
            if column in row:
                self._add_members(child, uuid, as_set(decode(row[column])))

    def _modify_members(self, table: str, uuid: str, row: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Take over a change of the children that a row refers to; return (table, UUID) of those that it refers to
        no more.
        """
        left = []
        for child, column in self._children.get(table, ()):
            if column not in row:
                continue
            members = self._members.setdefault((child, uuid), set())
            differing = as_set(decode(row[column]))
            removed = [member for member in differing if member in members]
            self._add_members(child, uuid, [member for member in differing if member not in members])
            for member in removed:
                members.discard(member)
                if self._parents[child].get(member) == uuid:
                    del self._parents[child][member]
                left.append((child, member))
        return left

    def _add_members(self, child: str, uuid: str, members: Collection[str]) -> None:
        self._members.setdefault((child, uuid), set()).update(members)
        self._parents[child].update(dict.fromkeys(members, uuid))

    def _put(self, table: str, uuid: str, columns: dict[str, Any] | None) -> None:
        """Set the columns of a row, or remove it, and report the change."""
        before = self.rows[table].pop(uuid, None)
        if before is not None:
            if self._by_name[table].get(before.name) == uuid:
                del self._by_name[table][before.name]
            self._forget_owner(table, before)
        after = None
        if columns is not None:
            after = CurrentRow(table, uuid, columns, RawColumns(columns, self._column_kinds[table]))
            if before is not None:
                after = self._as_known(before, after)
            self.rows[table][uuid] = after
            if after.name is not None:
                self._by_name[table][after.name] = uuid
            owner = after.owner
            if owner is not None:
                known = self._by_owner[table].setdefault(owner, uuid)
                if isinstance(known, set):
                    known.add(uuid)
                elif known != uuid:
                    self._by_owner[table][owner] = {known, uuid}
        self._report(table, before, after)

    def _as_known(self, before: CurrentRow, after: CurrentRow) -> CurrentRow:
        """Return a changed row, with its identity before where that lasts."""
        identity = before.identity
        if identity is None or identity.owner.type not in self._lasting or identity == after.identity:
            return after
        return StrayRow(after, identity)

    def _forget_owner(self, table: str, row: CurrentRow) -> None:
        owner = row.owner
        if owner is not None:
            known = self._by_owner[table][owner]
            if isinstance(known, set):
                known.discard(row.uuid)
            if known in (row.uuid, set()):
                del self._by_owner[table][owner]

    def _report(self, table: str, before: CurrentRow | None, after: CurrentRow | None) -> None:
        row = after or before
        if row is None:
            return
        try:
            self._on_change(table, before, after)
        except Exception:
            LOG.exception("a change of %s could not be handled", row.label())


def _each(found: str | Collection[str]) -> Collection[str]:
    """Return the UUIDs of an owner's rows."""
    return (found,) if isinstance(found, str) else found
