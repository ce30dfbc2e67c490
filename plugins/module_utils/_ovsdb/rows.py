# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Desired rows and current rows of a database, and the queries that find rows. Values only, no I/O.

The type of a value in :attr:`Row.columns` says how the column is compared and written:

=========================  ====================================================================================
type of the value          meaning
=========================  ====================================================================================
``str``, ``int``, ``bool``  exactly this value
``tuple``                  exactly this set; a tuple of one element also for an optional value
:class:`LargeSet`          exactly this set, of which only the members that differ are written
``dict``                   these keys have these values (None: the key does not exist); other keys are not touched
:class:`ExactMap`          exactly this map
:class:`SetMembers`        the set of references has these members; other members are not touched
:class:`ListMember`        value in a ``dict``: the text is a comma-separated list with this member
=========================  ====================================================================================
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast

from .._common.names import CONTROLLER, OWNER_CONTROLLER, OWNER_ID, OWNER_NAME, OWNER_TYPE
from .._common.sharing import shared
from .labels import label
from .schema import PARENTS, SINGLETONS
from .values import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, Literal, Protocol

    Condition = tuple[str, str, Any]  # [column, function, value], RFC 7047, 5.1
    RawRow = Mapping[str, Any]  # column -> value as it is on the wire
    Kind = Literal["owned", "adopted", "known", "named", "shared", "released"]

    class RawColumns(Protocol):
        """The columns of a row as they are on the wire."""

        def __getitem__(self, column: str, /) -> Any:
            """Return a column's value."""


# The value of OWNER_ID: controller, type, name, role. Only roles of routes to hosts have colons: of an IPv6 address.
ID = re.compile(f"{re.escape(CONTROLLER)}:([^:]+):(.+?):(host-[0-9A-Fa-f:.]+|[^:]+)")


class Owner(NamedTuple):
    """The object that rows belong to: the cluster, a node, a gateway, a pod, a service.

    :ivar type: for example ``Node``.
    :ivar name: the object's name, unique within its type.
    """

    type: str
    name: str

    def keys(self, role: str | None = None) -> dict[str, str]:
        """Return the owner keys in ``external_ids`` of this owner's rows.

        :param role: with it, the keys of the one row that has this role.
        """
        keys = {OWNER_CONTROLLER: CONTROLLER, OWNER_TYPE: self.type, OWNER_NAME: self.name}
        if role:
            keys[OWNER_ID] = f"{CONTROLLER}:{self.type}:{self.name}:{role}"
        return keys

    def row_uuid(self, role: str) -> str:
        """Return the UUID that a new row of this role asks for.

        It is a UUID of version 5 (RFC 4122, 4.3) of the row's identity, so that the row is found by its UUID without a
        search of its table.
        It is a hint only: after a rename, for example, the row with this role has another UUID. The owner keys decide.
        """
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, self.keys(role)[OWNER_ID]))


class Identity(NamedTuple):
    """Which row of which owner a row is.

    :ivar role: None: not known.
    """

    owner: Owner
    role: str | None


@dataclass(frozen=True)
class Ref:
    """A reference to a row by its name. The row exists, or the same transaction inserts it."""

    table: str
    name: str


@dataclass(frozen=True)
class SetMembers:
    """A set of references that must have these members, among others."""

    refs: tuple[Ref, ...]


class LargeSet(tuple[object, ...]):
    """A set of so many members that a change of one must not write all of them."""

    __slots__ = ()


class ExactMap(dict[str, object]):
    """A map that has these keys and no others."""


@dataclass(frozen=True)
class ListMember:
    """A member ``key:value`` of a comma-separated text, such as ``ovn-bridge-mappings``.

    :ivar value: None: there is no such member.
    """

    key: str
    value: str | None

    def merged(self, text: str | None) -> str | None:
        """Return ``text`` with this member at its old position, or at the end; None when no member is left."""
        members = [member.strip() for member in (text or "").split(",") if member.strip()]
        new = [] if self.value is None else [f"{self.key}:{self.value}"]
        out: list[str] = []
        replaced = False
        for member in members:
            if member.split(":")[0] != self.key:
                out.append(member)
            elif not replaced:
                out, replaced = out + new, True
        return ",".join(out if replaced else out + new) or None


@dataclass(frozen=True)
class Row:
    """A desired row, or with ``present=False`` one that must not exist.

    :ivar role: what the row is to its owner. Owner and role identify the row, so that a new name is an update.
    :ivar name: value of the column ``name``; None in tables without it.
    :ivar parent: name of the row that refers to this one, in tables of :data:`.schema.PARENTS`.
    :ivar parent_table: the parent's table; None: that of :data:`.schema.PARENTS`.
    :ivar kind: who owns the row.

        - ``owned``: ours, it has owner keys;
        - ``adopted``: as owned; a row of this name that has no owner is taken over;
        - ``known``: as owned; a row of this name that has no owner, and is as desired in all else, is one of ours that
          has lost its owner keys;
        - ``named``: ours by its name, in a table without ``external_ids``;
        - ``shared``: a row of another program in which some keys are ours;
        - ``released``: the row was ours until now. It stays, and our keys are removed.
    """

    table: str
    owner: Owner
    role: str
    name: str | None = None
    parent: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    kind: Kind = "owned"
    present: bool = True
    parent_table: str | None = None

    @property
    def parent_key(self) -> tuple[str, str] | None:
        """Table and name of the row that refers to this one; None: no row does."""
        return None if self.parent is None else (self.parent_table or PARENTS[self.table].table, self.parent)

    @property
    def has_owner_keys(self) -> bool:
        """Return whether the row is found by the owner keys in its ``external_ids``."""
        return self.kind not in ("named", "shared")

    def label(self) -> str:
        """Return what messages call the row."""
        return label(self.table, {**self.columns, "name": self.name}, self.role, self.owner.name)

    def all_columns(self) -> dict[str, Any]:
        """Return the desired columns together with the name and the owner keys."""
        columns = dict(self.columns)
        if self.name is not None and self.table not in SINGLETONS:
            columns["name"] = self.name
        if self.has_owner_keys:
            keys: dict[str, Any] = dict(self.owner.keys(self.role))
            if self.kind == "released":
                keys = dict.fromkeys(keys)
            columns["external_ids"] = {**columns.get("external_ids", {}), **keys}
        return columns


@dataclass(frozen=True)
class CurrentRow:
    """A row as the database has it.

    :ivar columns: column -> value, decoded by :func:`.values.decode`.
    :ivar raw: the same columns as they are on the wire.
    """

    __slots__ = ("_identity", "columns", "raw", "table", "uuid")

    table: str
    uuid: str
    columns: dict[str, Any]
    raw: RawColumns

    @property
    def name(self) -> str | None:
        """Return the column ``name``; None in tables without it."""
        return self.columns.get("name")

    def map_value(self, column: str, key: str) -> Any:
        """Return the value of a key in a map; None when it does not exist."""
        return self.columns.get(column, {}).get(key)

    def external_id(self, key: str) -> str | None:
        """Return the value of a key in ``external_ids``; None when it does not exist."""
        value: str | None = self.columns.get("external_ids", {}).get(key)
        return value

    @property
    def controller(self) -> str | None:
        """Return the controller whose row it is, ours or another; None: no owner keys name one."""
        return self.external_id(OWNER_CONTROLLER) or (self.external_id(OWNER_ID) or "").partition(":")[0] or None

    @property
    def identity(self) -> Identity | None:
        """Return the owner and the role of a row of ours; None for any other row, also one of another controller.

        The key with the whole identity decides. Where somebody has removed it, the keys of type and name do.
        """
        found: Identity | CurrentRow | None = getattr(self, "_identity", self)
        if found is self:  # it is asked for again and again, and never changes
            found = self._told_identity()
            object.__setattr__(self, "_identity", found)
        return cast("Identity | None", found)

    def _told_identity(self) -> Identity | None:
        """Return the identity that ``external_ids`` tell of."""
        if self.controller != CONTROLLER:
            return None
        whole = ID.fullmatch(self.external_id(OWNER_ID) or "")
        kind, name = self.external_id(OWNER_TYPE), self.external_id(OWNER_NAME)
        if whole is not None:
            # Each text is in memory once.
            same = name if name is not None and name == whole[2] else whole[2]
            return Identity(Owner(shared(whole[1]), same), shared(whole[3]))
        return None if kind is None or name is None else Identity(Owner(kind, name), None)

    @property
    def owner(self) -> Owner | None:
        """Return the object of ours that the row belongs to; None for a row that is not ours."""
        return self.identity.owner if self.identity else None

    @property
    def role(self) -> str | None:
        """Return what the row is to its owner; None for a row that is not ours."""
        return self.identity.role if self.identity else None

    def label(self) -> str:
        """Return what messages call the row."""
        return label(self.table, self.columns, self.role, self.owner.name if self.owner else None)


class StrayRow(CurrentRow):
    """A row of ours whose owner keys somebody else has changed or removed.

    :ivar identity: as it was before.
    """

    __slots__ = ("identity",)

    def __init__(self, row: CurrentRow, identity: Identity) -> None:
        super().__init__(row.table, row.uuid, row.columns, row.raw)
        object.__setattr__(self, "identity", identity)


@dataclass(frozen=True)
class Query:
    """A search of one table.

    :ivar where: conditions, all of which must hold (RFC 7047, 5.1).
    :ivar columns: the columns to read.
    """

    table: str
    where: tuple[Condition, ...]
    columns: tuple[str, ...]

    def operation(self) -> dict[str, Any]:
        """Return the ``select`` operation (RFC 7047, 5.2.2)."""
        where = [list(condition) for condition in self.where]
        return {"op": "select", "table": self.table, "where": where, "columns": ["_uuid", *self.columns]}

    def current_row(self, raw: RawRow) -> CurrentRow:
        """Return a row of the ``select`` operation's result."""
        columns = {column: value for column, value in raw.items() if column != "_uuid"}
        decoded = {column: decode(value) for column, value in columns.items()}
        return CurrentRow(self.table, raw["_uuid"][1], decoded, columns)


def includes(column: str, keys: Mapping[str, str]) -> Condition:
    """Return the condition that a map has all of these keys with these values."""
    return (column, "includes", ["map", [[key, value] for key, value in sorted(keys.items())]])


def is_uuid(text: str) -> Condition:
    """Return the condition that a row has this UUID."""
    return ("_uuid", "==", ["uuid", text])


def by_name(table: str, name: str, columns: Iterable[str]) -> Query:
    """Return the query for the row of this name."""
    where: tuple[Condition, ...] = () if table in SINGLETONS else (("name", "==", name),)
    return Query(table, where, tuple(columns))
