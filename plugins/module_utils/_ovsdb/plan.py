# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a plan for one database consists of: changed rows, and what was read to decide on them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from .._common.names import OWNER_CONTROLLER, OWNER_ID, OWNER_NAME, OWNER_TYPE
from .rows import CurrentRow, Query, Ref, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Literal

    from .rows import RawRow

    ByName = Mapping[tuple[str, str], CurrentRow]  # (table, name) -> row

SHORT = 240  # characters of a column's change that a line has; an address set, or a service, has thousands of members
OWNER_KEYS = (OWNER_CONTROLLER, OWNER_ID, OWNER_NAME, OWNER_TYPE)  # diffs omit them: they follow from the row


class Values(NamedTuple):
    """A column before and after a change.

    Of a map only the keys that differ; None for a key that does not exist. Of a :class:`.rows.SetMembers` only the
    missing members.
    """

    before: Any
    after: Any


@dataclass(frozen=True)
class Change:
    """The change of one row.

    :ivar desired: None for a current row that no desired row corresponds to.
    :ivar current: None for an insert.
    :ivar columns: the columns that differ.
    :ivar uuid: the UUID that an insert asks for (ovsdb-server(7), 5.2.1); None: the server chooses.
    """

    kind: Literal["insert", "update", "delete"]
    desired: Row | None
    current: CurrentRow | None
    columns: dict[str, Values] = field(default_factory=dict)
    uuid: str | None = None

    @property
    def table(self) -> str:
        """Return the row's table."""
        return self._row().table

    def desired_row(self) -> Row:
        """Return the desired row of an insert or an update."""
        if self.desired is None:
            raise AssertionError("a row that is deleted has no desired row")
        return self.desired

    def current_row(self) -> CurrentRow:
        """Return the current row of an update or a delete."""
        if self.current is None:
            raise AssertionError("a row that is inserted has no current row")
        return self.current

    def _row(self) -> CurrentRow | Row:
        return self.current or self.desired_row()

    def label(self) -> str:
        """Return what messages call the row: by its current name when it exists."""
        return self._row().label()

    def describe(self) -> str:
        """Return one line of the plan; of long values it has counts."""
        if self.kind != "update":
            return f"{self.label()}: {self.kind}"
        columns = [f"{column} {brief(old, new)}" for column, (old, new) in sorted(self.columns.items())]
        return f"{self.label()}: {', '.join(columns)}"

    def as_dict(self) -> dict[str, Any]:
        """Return the change as JSON values, for a module's ``plan``."""
        out: dict[str, Any] = {"operation": self.kind, "table": self.table, "row": self.label()}
        if self.kind != "delete":
            out["columns"] = {column: shown(values.after) for column, values in sorted(self.columns.items())}
        return out

    def before(self) -> list[str]:
        """Return the diff's lines before the change."""
        return [] if self.kind == "insert" else self._lines({key: value.before for key, value in self.columns.items()})

    def after(self) -> list[str]:
        """Return the diff's lines after the change."""
        return [] if self.kind == "delete" else self._lines({key: value.after for key, value in self.columns.items()})

    def _lines(self, columns: Mapping[str, Any]) -> list[str]:
        lines = []
        for column, value in sorted(columns.items()):
            if isinstance(value, dict):
                keys = [key for key in sorted(value) if value[key] is not None and key not in OWNER_KEYS]
                lines += [f"{column}:{key}={value[key]}" for key in keys]
            elif value not in ((), None, ""):
                lines.append(f"{column}={shown(value)}")
        return [f"{self.label()} {line}" for line in lines] or [self.label()]


@dataclass(frozen=True)
class Read:
    """A query, and the rows that it found, as they are on the wire."""

    query: Query
    rows: Sequence[RawRow]


@dataclass(frozen=True)
class Plan:
    """The changes that make a database have the desired rows.

    :ivar changes: in the order in which they are shown.
    :ivar by_name: the current rows that the changes name: rows, parents, references.
    :ivar reads: what the plan depends on beside the rows that it changes.
    """

    changes: Sequence[Change] = ()
    by_name: ByName = field(default_factory=dict)
    reads: Sequence[Read] = ()

    def only(self, changes: Iterable[Change]) -> Plan:
        """Return the plan with these of its changes."""
        return replace(self, changes=list(changes))


def shown(value: Any) -> Any:
    """Return a column's value as users read it."""
    if isinstance(value, dict):
        return {key: shown(item) for key, item in sorted(value.items())}
    if isinstance(value, Ref):
        return value.name
    if isinstance(value, (tuple, list)):
        return [shown(item) for item in value]
    return value


def brief(before: Any, after: Any) -> str:
    """Return a column's change in one short line: both values, or how many members differ."""
    text = f"{shown(before)} -> {shown(after)}"
    if len(text) <= SHORT:
        return text
    if isinstance(after, dict) and len(after) == 1:
        ((key, value),) = after.items()
        return f"{str(key)[:SHORT]}: {brief((before or {}).get(key), value)}"
    old, new = _members(before), _members(after)
    return f"{len(new - old)} added, {len(old - new)} removed, {len(new)} in all"


def _members(value: Any) -> set[Any]:
    """Return what is counted of a value: the pairs of a map, members of a set, parts of a text between commas."""
    if isinstance(value, dict):
        return {(key, str(item)) for key, item in value.items() if item is not None}
    if isinstance(value, (tuple, list)):
        return set(value)
    return {part.strip() for part in str(value or "").split(",")} - {""}
