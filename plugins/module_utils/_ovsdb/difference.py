# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compare desired rows with current rows: a pure function, the same for every database and every object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common.errors import Conflict, DatabaseError
from .._common.names import CONTROLLER, OWNER_ID
from .plan import Change, Values
from .rows import CurrentRow, ExactMap, ListMember, Row, SetMembers
from .schema import FIXED_NAMES
from .values import as_set

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from .plan import ByName
    from .rows import Owner

    Identity = tuple[str, Any, Any, Any]  # table, owner's type, owner's name, role


def difference(
    desired: Iterable[Row],
    current: Iterable[CurrentRow],
    by_name: ByName,
    renamed_owners: Mapping[Owner, str] | None = None,
) -> list[Change]:
    """Return the changes that make the current rows the desired ones.

    :param current: all rows that have the owners' keys.
    :param by_name: rows that are found by their name: rows of other owners, parents and references.
    :param renamed_owners: owner as its rows name it -> its new name.
    :returns: inserts and updates in the order of the desired rows, then deletes in the opposite order.
    :raises DatabaseError: a row of that name belongs to somebody else.
    :raises Conflict: a row with our owner keys was inserted between the two reads.
    """
    rest = _Unmatched(current, renamed_owners or {})
    changes, deletes = [], []
    for row in desired:
        match = _match(row, rest, by_name)
        if not row.present and match is not None and row.kind != "shared":
            deletes.append(_delete(row, match))
        elif match is not None:
            columns = _differing_columns(row, match, by_name)
            if columns:
                changes.append(Change("update", row, match, columns))
        elif row.present and row.kind != "released":
            columns = {column: Values(None, _inserted(value)) for column, value in row.all_columns().items()}
            changes.append(Change("insert", row, None, columns))
    deletes += [_delete(None, row) for row in rest.rows()]
    return changes + deletes[::-1]


class _Unmatched:
    """Current rows that no desired row corresponds to yet, by their identity."""

    def __init__(self, current: Iterable[CurrentRow], renamed_owners: Mapping[Owner, str]) -> None:
        self.uuids = set()
        self._rows: dict[Identity, list[CurrentRow]] = {}
        for row in current:
            self.uuids.add(row.uuid)
            owner = row.owner
            name = None if owner is None else renamed_owners.get(owner, owner.name)
            identity = (row.table, owner and owner.type, name, row.role)
            # A row that has the owner's new name already comes before one with the old name.
            position = 1 if owner in renamed_owners else 0
            self._rows.setdefault(identity, []).insert(position, row)

    def take(self, row: Row) -> CurrentRow | None:
        """Return the current row of this identity, and forget it; None when there is none."""
        rows = self._rows.get((row.table, row.owner.type, row.owner.name, row.role), [])
        # Two rows may claim to be the same one. The one with the right name stays.
        for candidate in sorted(rows, key=lambda candidate: candidate.name != row.name):
            if candidate.name == row.name or row.table not in FIXED_NAMES:
                rows.remove(candidate)
                return candidate
        return None

    def take_unknown(self, row: Row, named: CurrentRow) -> CurrentRow | None:
        """Return the row of the same name and owner whose role nothing tells, and forget it; None when it is not so."""
        rows = self._rows.get((row.table, row.owner.type, row.owner.name, None), [])
        found = next((candidate for candidate in rows if candidate.uuid == named.uuid), None)
        if found is not None:
            rows.remove(found)
        return found

    def rows(self) -> list[CurrentRow]:
        """Return the rows that are left."""
        return [row for rows in self._rows.values() for row in rows]


def _match(row: Row, rest: _Unmatched, by_name: ByName) -> CurrentRow | None:
    """Return the current row that the desired row corresponds to; None when there is none."""
    named = by_name.get((row.table, row.name or ""))
    if not row.has_owner_keys:
        if named is None and row.kind == "shared" and row.present:
            raise DatabaseError(f"{row.label()} does not exist: make the cluster first (ovn_master_init)")
        return named
    owned = rest.take(row)
    if owned is not None:
        return owned
    if named is None or not row.present or row.kind == "released":
        return None
    owned = rest.take_unknown(row, named)
    if owned is not None:
        return owned
    if named.uuid not in rest.uuids and named.external_id(OWNER_ID) == row.owner.keys(row.role)[OWNER_ID]:
        raise Conflict(f"another client inserted {row.label()} between two reads")
    if row.kind == "adopted" and named.controller in (None, CONTROLLER) and named.role is None:
        return named
    if row.kind == "known" and named.controller is None and not _differs_beside_keys(row, named, by_name):
        return named
    owner = named.owner if named.role else None
    whose = f"{owner.type} {owner.name}" if owner else "somebody else (it carries no owner keys of ours)"
    raise DatabaseError(
        f"{named.label()} exists already and belongs to {whose}: give this one another name, or remove that row"
    )


def _delete(desired: Row | None, row: CurrentRow) -> Change:
    return Change("delete", desired, row, {column: Values(value, None) for column, value in row.columns.items()})


def _inserted(value: Any) -> Any:
    """Return the value of a column in a new row."""
    if isinstance(value, SetMembers):
        return tuple(value.refs)
    if isinstance(value, dict):
        merged = {key: item.merged("") if isinstance(item, ListMember) else item for key, item in value.items()}
        return {key: item for key, item in merged.items() if item is not None}
    return value


def _differing_columns(row: Row, current: CurrentRow, by_name: ByName) -> dict[str, Values]:
    """Return the columns of a current row that are not as desired."""
    out = {}
    for column, value in row.all_columns().items():
        values = _column_difference(value, current.columns.get(column), by_name)
        if values is not None:
            out[column] = values
    return out


def _differs_beside_keys(row: Row, current: CurrentRow, by_name: ByName) -> bool:
    """Return whether anything but ``external_ids`` differs from the desired row."""
    return bool(_differing_columns(row, current, by_name).keys() - {"external_ids"})


def _column_difference(desired: Any, current: Any, by_name: ByName) -> Values | None:
    """Return what differs in a column; None when nothing does."""
    if isinstance(desired, SetMembers):
        members = as_set(current)
        named = [(ref, by_name.get((ref.table, ref.name))) for ref in desired.refs]
        missing = tuple(ref for ref, row in named if row is None or row.uuid not in members)
        return Values((), missing) if missing else None
    if isinstance(desired, dict):
        return _map_difference(desired, current or {})
    if isinstance(desired, tuple):
        return Values(as_set(current), desired) if sorted(as_set(current)) != sorted(desired) else None
    return Values(current, desired) if current != desired else None


def _map_difference(desired: dict[str, Any], current: dict[str, Any]) -> Values | None:
    """Return the keys of a map that differ; None when none does."""
    after = {
        key: item.merged(current.get(key)) if isinstance(item, ListMember) else item for key, item in desired.items()
    }
    if isinstance(desired, ExactMap):
        after.update((key, None) for key in current if key not in desired)
    keys = [key for key, item in after.items() if current.get(key) != item]
    return Values({key: current.get(key) for key in keys}, {key: after[key] for key in keys}) if keys else None
