# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Roll back a transaction that was committed, or that may have been: for callers that change more than a database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from .operations import remove_from_parent, update, wait
from .plan import Values
from .rows import SetMembers, includes, is_uuid
from .schema import PARENTS
from .values import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from .operations import Operation, Reference
    from .plan import Change
    from .rows import Condition


def with_uuids(changes: Iterable[Change]) -> list[Change]:
    """Return the changes with a UUID for each insert.

    So the new rows can be deleted also when the reply, in which the server names their UUIDs, is lost.
    """
    return [
        replace(change, uuid=change.uuid or str(uuid4())) if change.kind == "insert" else change for change in changes
    ]


def undo(changes: Sequence[Change]) -> list[Operation]:
    """Return the operations that roll back inserts and updates.

    Members that were added to a set of references stay: another program may rely on them by now.

    :param changes: of :func:`with_uuids`.
    """
    inserts = {(change.table, change.desired_row().name) for change in changes if change.kind == "insert"}
    out: list[Operation] = []
    for change in changes:
        if change.kind == "insert" and change.uuid and change.table in PARENTS:
            # A row whose parent is deleted too is deleted with it.
            if change.desired_row().parent_key not in inserts:
                out += remove_from_parent(change.table, change.uuid)
        elif change.kind == "update":
            desired = change.desired_row().all_columns()
            columns = {
                column: Values(after, before)
                for column, (before, after) in change.columns.items()
                if not isinstance(desired[column], SetMembers)
            }
            out += update(replace(change, columns=columns), _no_reference)
    return out[::-1]


def _no_reference(table: str, name: str) -> Reference:
    raise AssertionError(f"the old value of a column refers to {table} {name} by name")


def committed_guard(changes: Sequence[Change]) -> Operation:
    """Return the guard that holds when the transaction of these changes was committed.

    It checks one change only, because a transaction is committed as a whole or not at all.

    :param changes: of :func:`with_uuids`; at least one.
    """
    change = next((change for change in changes if change.kind == "insert"), changes[0])
    uuid = change.uuid or change.current_row().uuid
    where: list[Condition] = [is_uuid(uuid)]
    if change.kind == "update":
        desired = change.desired_row().all_columns()
        for column, values in change.columns.items():
            if not isinstance(desired[column], SetMembers):
                where += _has_value(column, values)
    return wait(change.table, where, ["_uuid"], [{"_uuid": ["uuid", uuid]}])


def _has_value(column: str, values: Values) -> list[Condition]:
    """Return the conditions that a column has its new value."""
    before: Any
    before, after = values
    if not isinstance(after, dict):
        return [(column, "==", encode(after))]
    conditions: list[Condition] = [includes(column, {key: value for key, value in after.items() if value is not None})]
    removed = {key: before[key] for key, value in after.items() if value is None}
    return conditions + ([(column, "excludes", encode(removed))] if removed else [])
