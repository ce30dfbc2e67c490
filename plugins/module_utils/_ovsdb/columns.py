# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Columns of tables in a copy of a database: their kinds, defaults and changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common.errors import DatabaseError
from .values import as_set, decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    # An atomic type where the column has exactly one value, else "optional", "set" or "map"; with " reference" for
    # UUIDs.
    ColumnKinds = Mapping[str, str]

DEFAULTS = {"string": "", "integer": 0, "real": 0.0, "boolean": False}  # RFC 7047, 5.2.1


class RawColumns:
    """The columns of a row as they are on the wire, encoded when a guard needs them."""

    __slots__ = ("_columns", "_kinds")

    def __init__(self, columns: Mapping[str, Any], kinds: ColumnKinds) -> None:
        self._columns = columns
        self._kinds = kinds

    def __getitem__(self, column: str) -> Any:
        value = self._columns[column]
        if self._kinds[column].endswith("reference"):
            return ["set", [["uuid", uuid] for uuid in as_set(value)]]
        return encode(value)


def column_kinds(schema: Mapping[str, Any], tables: Mapping[str, Iterable[str]]) -> dict[str, dict[str, str]]:
    """Return table -> column -> kind.

    :param schema: result of ``get_schema`` (RFC 7047, 3.2).
    :raises DatabaseError: the schema has no such table or column.
    """
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


def allowed_values(
    schema: Mapping[str, Any], tables: Mapping[str, Iterable[str]]
) -> dict[tuple[str, str], frozenset[Any]]:
    """Return (table, column) -> the values that it may have, where they are enumerated (RFC 7047, 3.2, <base-type>)."""
    out = {}
    for table, columns in tables.items():
        for column in columns:
            column_type = schema["tables"][table]["columns"][column]["type"]
            key = column_type["key"] if isinstance(column_type, dict) else column_type
            if isinstance(key, dict) and "enum" in key:
                out[table, column] = frozenset(as_set(decode(key["enum"])))
    return out


def _kind(column_type: Any) -> str:
    """Return the kind of a column of this type, RFC 7047, 3.2, <type>."""
    if isinstance(column_type, str):
        return column_type
    key: str = column_type["key"] if isinstance(column_type["key"], str) else column_type["key"]["type"]
    if "value" in column_type:
        return "map"
    kind = "set" if column_type.get("max", 1) != 1 else "optional" if column_type.get("min", 1) == 0 else key
    return f"{kind} reference" if key == "uuid" else kind


def default_value(kind: str) -> Any:
    """Return the value of a column that the server omits because it has its default."""
    return {} if kind == "map" else DEFAULTS.get(kind, ())


def modified_value(kind: str, before: Any, change: Any) -> Any:
    """Return a column's value after a "modify" of update2 (ovsdb-server(7), 4.1.14).

    :param change: members of a set, or keys of a map, that differ; of other columns the new value.
    """
    if kind == "map":
        after = dict(before)
        for key, value in change.items():
            if after.get(key) == value:
                del after[key]
            else:
                after[key] = value
        return after
    if kind.startswith("set"):
        members, differing = as_set(before), as_set(change)
        removed = set(members).intersection(differing)
        added = tuple(member for member in differing if member not in removed)
        return tuple(member for member in members if member not in removed) + added
    return change
