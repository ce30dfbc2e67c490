# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Single operations of a transaction (RFC 7047, 5.2), as :mod:`.transaction` and others need them.

Which guards a transaction has is decided in :mod:`.transaction`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .plan import Change
from .rows import LargeSet, Ref, SetMembers, is_uuid
from .schema import possible_parents
from .values import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from .rows import Condition, RawRow

    Operation = dict[str, Any]
    Reference = list[str]  # ["uuid", UUID], or ["named-uuid", name of the insert in this transaction]
    Resolve = Callable[[str, str], Reference]  # (table, name) -> reference; :raises DatabaseError: there is no such row


def wait(table: str, where: Iterable[Condition], columns: Iterable[str], rows: Sequence[RawRow]) -> Operation:
    """Return a guard: the transaction fails at once unless the query finds exactly these rows (RFC 7047, 5.2.6)."""
    return {
        "op": "wait",
        "timeout": 0,
        "table": table,
        "where": [list(condition) for condition in where],
        "columns": list(columns),
        "until": "==",
        "rows": list(rows),
    }


def update(change: Change, resolve: Resolve) -> list[Operation]:
    """Return the operations of an update: it writes values, and mutates maps and sets of references (RFC 7047, 5.1)."""
    exact: dict[str, Any] = {}
    mutations: list[list[Any]] = []
    desired = change.desired_row().all_columns()
    for column, (before, after) in sorted(change.columns.items()):
        if isinstance(desired[column], SetMembers):
            mutations.append([column, "insert", encode_desired(after, resolve)])
        elif isinstance(desired[column], LargeSet):
            removed, added = set_difference(before, after)
            mutations += [[column, "delete", encode(removed)]] if removed else []
            mutations += [[column, "insert", encode(added)]] if added else []
        elif isinstance(after, dict):
            # Inserting a key that exists changes nothing (RFC 7047, 5.1, <mutation>), so it is deleted first.
            old = sorted(key for key, value in before.items() if value is not None)
            new = {key: value for key, value in after.items() if value is not None}
            mutations += [[column, "delete", ["set", old]]] if old else []
            mutations += [[column, "insert", encode(new)]] if new else []
        else:
            exact[column] = encode(after)
    row = change.current_row()
    target = {"table": row.table, "where": [list(is_uuid(row.uuid))]}
    out: list[Operation] = [{"op": "update", **target, "row": exact}] if exact else []
    return out + ([{"op": "mutate", **target, "mutations": mutations}] if mutations else [])


def set_difference(before: Iterable[Any], after: Iterable[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the members that a set loses, and those that it gets."""
    old, new = set(before), set(after)
    return tuple(sorted(old - new)), tuple(sorted(new - old))


def encode_desired(value: Any, resolve: Resolve) -> Any:
    """Return a desired value as it goes over the wire; members that are a :class:`.rows.Ref` become references."""
    if isinstance(value, tuple) and any(isinstance(item, Ref) for item in value):
        return ["set", [resolve(ref.table, ref.name) for ref in value]]
    return encode(value)


def remove_from_parent(table: str, uuid: str) -> list[Operation]:
    """Return the operations that remove a row from the column of its parent, whereupon the server deletes the row."""
    reference = ["set", [["uuid", uuid]]]
    return [
        {
            "op": "mutate",
            "table": parent,
            "where": [[column, "includes", reference]],
            "mutations": [[column, "delete", reference]],
        }
        for parent, column in possible_parents(table)
    ]
