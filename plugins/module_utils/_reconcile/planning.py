# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plan the rows of one object from a replica."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common.errors import OvnKubernetesError
from .._ovsdb.difference import difference
from .._ovsdb.plan import Plan
from .._ovsdb.rows import SetMembers
from .._ovsdb.schema import UNIQUE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    from .._ovsdb.plan import Change
    from .._ovsdb.replica import Replica
    from .._ovsdb.rows import CurrentRow, Owner, Row

    class Planner(Protocol):
        """What the engine must know of one kind of object."""

        @property
        def tables(self) -> Sequence[str]:
            """Return the tables in which such objects have rows."""

        def owner(self, name: str) -> Owner:
            """Return the owner of an object's rows."""

        def desired(self, name: str) -> list[Row]:
            """Return the desired rows of an object.

            :raises NotReady: they can't be planned now.
            """

        def done(self, name: str, changes: Sequence[Change]) -> None:
            """Called when the rows are as desired, with the changes that were made."""

        def failed(self, name: str, reason: str) -> None:
            """Called when the rows can't be made as desired now; once for each new reason."""


class NotReady(OvnKubernetesError):
    """An object can't be converged now. It is tried again later, and when something that it depends on changes.

    :ivar keeps_rows: the rows that it has are right as far as can be told; else they are deleted already.
    """

    code = "not_ready"

    def __init__(self, text: str, keeps_rows: bool = False) -> None:
        super().__init__(text)
        self.keeps_rows = keeps_rows


@dataclass(frozen=True)
class ObjectPlan:
    """The plan of one object.

    :ivar again: plan it again afterwards: these changes were only the first part.
    :ivar rivals: owners whose rows have a value that the plan needs, and that only one row may have. They must be
        planned together with this object.
    """

    plan: Plan
    again: bool = False
    rivals: frozenset[Owner] = frozenset()


def plan_object(replica: Replica, planner: Planner, name: str) -> ObjectPlan:
    """Return the plan of an object.

    :raises NotReady: it can't be planned now.
    :raises DatabaseError: a row belongs to somebody else.
    """
    current = replica.owned(planner.owner(name), planner.tables)
    try:
        desired = planner.desired(name)
    except NotReady as exc:
        if not current or exc.keeps_rows:
            raise
        return ObjectPlan(Plan(difference([], current, {})), again=True)  # delete its old rows already
    # A row can't move to another parent: it is deleted first, and inserted by the next plan.
    parents: dict[tuple[str, str | None], tuple[str, str]] = {
        (row.table, row.role): row.parent_key for row in desired if row.parent_key is not None
    }
    misplaced = [row for row in current if _is_misplaced(replica, row, parents)]
    if misplaced:
        return ObjectPlan(Plan(difference([], misplaced, {})), again=True)
    by_name = _rows_by_name(replica, desired)
    changes = difference(desired, current, by_name)
    return ObjectPlan(Plan(changes, by_name), rivals=_rivals(replica, changes))


def _is_misplaced(replica: Replica, row: CurrentRow, parents: Mapping[tuple[str, str | None], tuple[str, str]]) -> bool:
    """Return whether a row has another parent than the desired one."""
    desired = parents.get((row.table, row.role))
    if desired is None:
        return False
    parent = replica.parent(row.table, row.uuid)
    return parent is None or (parent.table, parent.name) != desired


def _rivals(replica: Replica, changes: Sequence[Change]) -> frozenset[Owner]:
    """Return the owners of other rows with a value that a change writes and that only one row may have."""
    found = set()
    for change in changes:
        column = UNIQUE.get(change.table)
        if column is None or change.kind == "delete" or column not in change.columns:
            continue
        value, own = change.columns[column].after, change.current.uuid if change.current else None
        for row in replica.rows[change.table].values():
            if row.columns[column] == value and row.uuid != own and row.owner is not None:
                found.add(row.owner)
    return frozenset(found)


def _rows_by_name(replica: Replica, desired: Sequence[Row]) -> dict[tuple[str, str], CurrentRow]:
    """Return the current rows that the desired ones name: rows, parents and references."""
    keys: list[tuple[str, str]] = []
    for row in desired:
        keys += [(row.table, row.name)] if row.name is not None else []
        keys += [row.parent_key] if row.parent_key is not None else []
        for value in row.columns.values():
            if isinstance(value, SetMembers):
                keys += [(ref.table, ref.name) for ref in value.refs]
    rows = {key: replica.named(*key) for key in keys}
    return {key: current for key, current in rows.items() if current is not None}
