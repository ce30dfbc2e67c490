# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wanted rows and found rows make the plan: a pure function, the same for every database and every object."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._common.errors import Conflict, DatabaseError
from .._common.names import OWNER_CONTROLLER, OWNER_ID, OWNER_NAME, OWNER_TYPE
from .rows import FIXED_NAMES, ExactMap, Found, ListMember, Ref, Row, SetMembers, as_set

OWNER_KEYS = (OWNER_CONTROLLER, OWNER_ID, OWNER_NAME, OWNER_TYPE)  # they follow from the row, and diffs leave them out


@dataclass(frozen=True)
class Change:
    """One row's part of the plan.

    :ivar kind: insert, update or delete.
    :ivar row: the wanted row; None for one that only was found.
    :ivar found: the row as it is; None for an insert.
    :ivar columns: column -> (before, after); of a map only the keys that differ, of an ``SetMembers`` only what is missing.
    :ivar place: the uuid that an insert asks for, None: the server chooses.
    """

    kind: str
    row: Row | None
    found: Found | None
    columns: dict = field(default_factory=dict)
    place: str | None = None

    def label(self):
        """How messages call the row: by the name that it has now."""
        return (self.found or self.row).label()

    def describe(self):
        """One line of a plan."""
        if self.kind != "update":
            return f"{self.label()}: {self.kind}"
        moves = [
            f"{column} {shown(before)} -> {shown(after)}" for column, (before, after) in sorted(self.columns.items())
        ]
        return "{}: {}".format(self.label(), ", ".join(moves))

    def as_dict(self):
        """For a module's result."""
        out = {"operation": self.kind, "table": (self.row or self.found).table, "row": self.label()}
        if self.kind != "delete":
            out["columns"] = {column: shown(after) for column, (_before, after) in sorted(self.columns.items())}
        return out

    def before(self):
        """Lines of a diff, as it is."""
        return self._lines(0)

    def after(self):
        """Lines of a diff, as it is wanted."""
        return self._lines(1)

    def _lines(self, side):
        if (self.kind == "insert" and side == 0) or (self.kind == "delete" and side == 1):
            return []
        lines = []
        for column, both in sorted(self.columns.items()):
            value = both[side]
            if isinstance(value, dict):
                lines += [
                    f"{column}:{key}={item}"
                    for key, item in sorted(value.items())
                    if item is not None and key not in OWNER_KEYS
                ]
            elif value not in ((), None, ""):
                lines.append(f"{column}={shown(value)}")
        return [f"{self.label()} {line}" for line in lines] or [self.label()]


def shown(value):
    """A column's value as people read it."""
    if isinstance(value, dict):
        return {key: shown(item) for key, item in sorted(value.items())}
    if isinstance(value, (tuple, list)):
        return [shown(item) for item in value]
    if isinstance(value, Ref):
        return value.name
    return value


def difference(wanted, own, named, aliases=None):
    """The plan.

    :param wanted: rows in the order in which they are to be shown.
    :param own: every row found that carries the owners' keys.
    :param named: (table, name) -> row found, for the rows, holders and references that go by name.
    :param aliases: (owner type, old name) -> new name, for owners that were renamed.
    :returns: inserts and updates in the order wanted, then deletes in the opposite order.
    :raises DatabaseError: when a row of that name belongs to somebody else.
    :raises Conflict: when a row of ours came between the two reads.
    """
    aliases = aliases or {}
    left = {}
    for found in own:
        owner = (found.key(OWNER_TYPE), found.key(OWNER_NAME))
        exact = owner not in aliases
        left.setdefault((found.table, owner[0], aliases.get(owner, owner[1]), found.role()), []).insert(
            0 if exact else 1, found
        )
    plan, gone, read = [], [], {found.uuid for found in own}
    for row in wanted:
        match = _match(row, left, named, read)
        if not row.present:
            if match is not None and row.kind != "shared":
                gone.append(Change("delete", row, match, _whole(match)))
                continue
            if match is None:
                continue
        if match is None and row.kind == "released":
            continue
        if match is None:
            plan.append(
                Change(
                    "insert", row, None, {column: (None, _inserted(value)) for column, value in row.wanted().items()}
                )
            )
            continue
        columns = _columns(row, match, named)
        if columns:
            plan.append(Change("update", row, match, columns))
    for leftovers in left.values():
        gone += [Change("delete", None, found, _whole(found)) for found in leftovers]
    return plan + gone[::-1]


def _match(row, left, named, read):
    """The found row that is ``row``, taken out of what is left."""
    by_name = named.get((row.table, row.name))
    if not row.stamped:
        if by_name is None and row.kind == "shared" and row.present:
            raise DatabaseError("{} does not exist: {}".format(row.label(), "make the cluster first (ovn_master_init)"))
        return by_name
    candidates = left.get((row.table, row.owner.type, row.owner.name, row.role), [])
    for candidate in candidates:
        if candidate.name == row.name or row.table not in FIXED_NAMES:
            candidates.remove(candidate)
            return candidate
    if by_name is None or not row.present or row.kind == "released":
        return None
    if by_name.uuid not in read and by_name.key(OWNER_ID) == row.owner.keys(row.role)[OWNER_ID]:
        raise Conflict(f"another client made {row.label()} while it was looked for")
    if row.kind == "adopted" and by_name.role() is None:
        return by_name
    raise DatabaseError(
        "{} exists already and belongs to {}: give this one another name, or remove that row".format(
            by_name.label(),
            f"{by_name.key(OWNER_TYPE)} {by_name.key(OWNER_NAME)}"
            if by_name.role()
            else "somebody else (it carries no owner keys of ours)",
        )
    )


def _whole(found):
    """All columns of a row that goes."""
    return {column: (value, None) for column, value in found.columns.items()}


def _inserted(value):
    """A wanted value as a new row has it."""
    if isinstance(value, SetMembers):
        return tuple(value.refs)
    if isinstance(value, dict):
        merged = {key: item.merged("") if isinstance(item, ListMember) else item for key, item in value.items()}
        return {key: item for key, item in merged.items() if item is not None}
    return value


def _columns(row, found, named):
    """column -> (before, after) of what differs."""
    out = {}
    for column, value in row.wanted().items():
        have = found.columns.get(column)
        if isinstance(value, SetMembers):
            members = as_set(have)
            missing = tuple(
                ref for ref in value.refs if getattr(named.get((ref.table, ref.name)), "uuid", None) not in members
            )
            if missing:
                out[column] = ((), missing)
        elif isinstance(value, dict):
            have = have or {}
            after = {
                key: item.merged(have.get(key)) if isinstance(item, ListMember) else item for key, item in value.items()
            }
            if isinstance(value, ExactMap):
                after.update((key, None) for key in have if key not in value)
            keys = [key for key, item in after.items() if have.get(key) != item]
            if keys:
                out[column] = ({key: have.get(key) for key in keys}, {key: after[key] for key in keys})
        elif isinstance(value, tuple):
            if sorted(as_set(have)) != sorted(value):
                out[column] = (as_set(have), value)
        elif have != value:
            out[column] = (have, value)
    return out
