# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Typed rows: what policy wants of a database, as plain values (no I/O).

How a column is held follows from the type of its value:

========================  =====================================================================
value                     meaning
========================  =====================================================================
``str int bool``          exactly this value
``tuple``                 exactly this set, e.g. ``networks``; one element for an optional value
``dict``                  these keys hold these values (None: the key is not there); other keys are left alone
``ExactMap``                 exactly this map
``SetMembers``              the set of references includes these; other members are left alone
``ListMember`` in a ``dict``    the key's text is a comma-separated list with this member; other members are left alone
========================  =====================================================================
"""

from __future__ import annotations

import sys
import uuid
from dataclasses import dataclass, field

from .._common.names import CONTROLLER, OWNER_CONTROLLER, OWNER_ID, OWNER_NAME, OWNER_TYPE

# Which row's column holds a row (ovn-nb(5), ovs-vswitchd.conf.db(5)): without it, the row would go, or be of no use.
HOLDERS = {
    "Logical_Switch_Port": ("Logical_Switch", "ports"),
    "Logical_Router_Port": ("Logical_Router", "ports"),
    "Logical_Router_Static_Route": ("Logical_Router", "static_routes"),
    "Logical_Router_Policy": ("Logical_Router", "policies"),
    "NAT": ("Logical_Router", "nat"),
    "ACL": ("Logical_Switch", "acls"),
    "Bridge": ("Open_vSwitch", "bridges"),
    "Port": ("Bridge", "ports"),
    "Interface": ("Port", "interfaces"),
    "Load_Balancer": ("Load_Balancer_Group", "load_balancer"),
}
ROOTS = ("Load_Balancer",)  # tables whose rows stay when nothing holds them
SINGLETON = "Open_vSwitch"  # the table that has exactly one row, and no names
FIXED_NAMES = (
    "Bridge",
    "Port",
    "Interface",
)  # tables whose names the schema forbids to change: a new name is a new row


@dataclass(frozen=True)
class Owner:
    """Whose rows these are: the cluster's, a node's, a gateway's."""

    type: str
    name: str

    def keys(self, role=None):
        """The external_ids of this owner's rows; with ``role``, of the one row that plays it."""
        keys = {OWNER_CONTROLLER: CONTROLLER, OWNER_TYPE: self.type, OWNER_NAME: self.name}
        if role:
            keys[OWNER_ID] = f"{CONTROLLER}:{self.type}:{self.name}:{role}"
        return keys

    def place(self, role):
        """The uuid that a new row of this role gets: it follows from the identity, so that the row is found without looking through its table.

        Only a hint: after a rename, say, the row that plays the role is elsewhere. Its owner keys tell.
        """
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, self.keys(role)[OWNER_ID]))


@dataclass(frozen=True)
class Ref:
    """A row by its name, found or made in the same transaction."""

    table: str
    name: str


class Uuid(str):
    """A row by its uuid, in a set of references that is held exactly; the row's insert asks for that uuid (:meth:`Owner.place`)."""


@dataclass(frozen=True)
class SetMembers:
    """A set of references that must hold these, among others."""

    refs: tuple


class ExactMap(dict):
    """A map that holds these keys and no others."""


@dataclass(frozen=True)
class ListMember:
    """A member ``key:value`` of a comma-separated text; value None: no such member."""

    key: str
    value: str | None

    def merged(self, text):
        """``text`` with this member in its place; None when nothing is left."""
        items = [item.strip() for item in (text or "").split(",") if item.strip()]
        mine = [] if self.value is None else [f"{self.key}:{self.value}"]
        kept, placed = [], False
        for item in items:
            if item.split(":")[0] != self.key:
                kept.append(item)
            elif not placed:
                kept, placed = kept + mine, True
        return ",".join(kept if placed else kept + mine) or None


@dataclass(frozen=True)
class Row:
    """A row that is wanted (or, ``present=False``, not wanted).

    :ivar role: what it is to its owner; with the owner it identifies the row, so that a new name is an update.
    :ivar name: content of the column ``name``, None in tables without one.
    :ivar holder: name of the row that holds it, in tables of HOLDERS.
    :ivar kind: ``owned`` carries owner keys; ``adopted`` does too, and takes over a row of that name that has no owner;
        ``named`` is ours by its name, in tables without external_ids; ``shared`` is somebody else's row in which we hold some keys;
        ``released`` was ours until now: it stays, and our keys go.
    """

    table: str
    owner: Owner
    role: str
    name: str | None = None
    holder: str | None = None
    columns: dict = field(default_factory=dict)
    kind: str = "owned"
    present: bool = True

    @property
    def stamped(self):
        """Whether the row carries owner keys."""
        return self.kind in ("owned", "adopted", "released")

    def label(self):
        """How messages call it."""
        if self.table == SINGLETON:
            return self.table
        return "{} {}".format(self.table, self.name or f"{self.role} of {self.owner.name}")

    def wanted(self):
        """All columns that are held, the name and the owner keys among them."""
        columns = dict(self.columns)
        if self.name is not None and self.table != SINGLETON:
            columns["name"] = self.name
        if self.stamped:
            keys = self.owner.keys(self.role)
            columns["external_ids"] = dict(
                columns.get("external_ids", {}), **(dict.fromkeys(keys) if self.kind == "released" else keys)
            )
        return columns


@dataclass(frozen=True)
class Query:
    """A question to a table: rows that meet ``where`` (RFC 7047 conditions), and of them ``columns``."""

    table: str
    where: tuple
    columns: tuple

    def operation(self):
        """As a select operation."""
        return {
            "op": "select",
            "table": self.table,
            "where": [list(clause) for clause in self.where],
            "columns": ["_uuid", *list(self.columns)],
        }


@dataclass(frozen=True)
class Found:
    """A row as it is: ``columns`` decoded (sets are tuples, maps dicts, references the uuid's text), ``raw`` as it came."""

    __slots__ = ("columns", "raw", "table", "uuid")

    table: str
    uuid: str
    columns: dict
    raw: dict

    @property
    def name(self):
        return self.columns.get("name")

    def key(self, key, column="external_ids"):
        """A value in a map column, None when it isn't there."""
        return self.columns.get(column, {}).get(key)

    def role(self):
        """The role that its owner keys name, None for a row without."""
        return (self.key(OWNER_ID) or "").rpartition(":")[2] or None

    def label(self):
        """How messages call it."""
        if self.table == SINGLETON:
            return self.table
        return "{} {}".format(self.table, self.name or f"{self.role()} of {self.key(OWNER_NAME)}")


def includes(column, keys):
    """A condition: the map ``column`` holds all of ``keys``."""
    return (column, "includes", ["map", [[key, value] for key, value in sorted(keys.items())]])


def is_uuid(text):
    """A condition: the row is this one. The server answers it at once; for any other condition it looks through the whole table."""
    return ("_uuid", "==", ["uuid", text])


def by_name(table, name, columns):
    """The query for one row by its name, with ``external_ids`` (where the table has them) telling whose it is."""
    where = () if table == SINGLETON else (("name", "==", name),)
    return Query(table, where, columns)


def decode(value):
    """A value of the wire as a plain one."""
    if isinstance(value, list):
        kind, content = value
        if kind == "set":
            return tuple(decode(item) for item in content)
        if kind == "map":
            return {sys.intern(key) if isinstance(key, str) else decode(key): decode(item) for key, item in content}
        return content
    return value


def encode(value):
    """A plain value (scalar, tuple, dict) as it goes over the wire."""
    if isinstance(value, Uuid):
        return ["uuid", str(value)]
    if isinstance(value, tuple):
        return ["set", [encode(item) for item in value]]
    if isinstance(value, dict):
        return ["map", [[key, encode(item)] for key, item in sorted(value.items())]]
    return value


def found(query, row):
    """A row of a select's answer as :class:`Found`."""
    columns = {key: decode(value) for key, value in row.items() if key != "_uuid"}
    return Found(query.table, row["_uuid"][1], columns, {key: value for key, value in row.items() if key != "_uuid"})


def as_set(value):
    """A set column's value, which the wire writes bare when it has one member."""
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)
