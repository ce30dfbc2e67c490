# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who writes under a lock of a clustered Northbound database: a mark in the database itself.

An OVSDB lock is in the memory of one server. When another member leads, another program can have the lock there, while
a transaction of the former one is still on its way: a member that leads no more passes it on, and it may be committed
later, after what it was planned from was read again. So who begins to act writes a mark of its own, and each of its
transactions requires that mark. Of two programs the former one's are refused from that moment on.

A server without others needs none: its lock ends with the connection, and with it all that was sent there.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common.result import Result
from .values import decode

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .converge import DatabaseConnection
    from .operations import Operation

TABLE = "NB_Global"  # it has one row, which northd makes, and keeps
KEY = "k8s.ovn.org/writer-"  # and the lock's name


class Fence:
    """The mark of one session of a program, under the lock of this name."""

    def __init__(self, lock: str) -> None:
        self._lock = lock
        self._key = f"{KEY}{lock}"
        self._mark = uuid.uuid4().hex

    def take(self) -> list[Operation]:
        """Return the transaction that writes the mark, if the server says that the lock is ours."""
        where: list[Any] = []
        mutations = [
            ["external_ids", "delete", ["set", [self._key]]],
            ["external_ids", "insert", ["map", [[self._key, self._mark]]]],
        ]
        return [
            {"op": "assert", "lock": self._lock},
            {"op": "mutate", "table": TABLE, "where": where, "mutations": mutations},
            {"op": "comment", "comment": f"{self._lock}: another program acts"},
        ]

    @property
    def _where(self) -> list[Any]:
        return [["external_ids", "includes", ["map", [[self._key, self._mark]]]]]

    def guard(self) -> Operation:
        """Return the operation that lets a transaction fail as a conflict when another program has begun to act."""
        return {
            "op": "wait",
            "timeout": 0,
            "table": TABLE,
            "where": self._where,
            "columns": ["_uuid"],
            "until": "!=",
            "rows": [],
        }

    def question(self) -> Operation:
        """Return the operation whose result has rows while the mark is there."""
        return {"op": "select", "table": TABLE, "where": self._where, "columns": ["_uuid"]}


@dataclass(frozen=True)
class Removed:
    """Marks that a removal takes along, for users.

    :ivar keys: their keys in external_ids.
    """

    keys: tuple[str, ...]

    def describe(self) -> str:
        """Return one line of the plan."""
        return f"{TABLE}: remove {', '.join(self.keys)} from external_ids"

    def as_dict(self) -> dict[str, Any]:
        """Return the same as JSON values, for a module's ``plan``."""
        return {"kind": "update", "table": TABLE, "keys": list(self.keys)}

    def before(self) -> list[str]:
        """Return the diff's lines before it."""
        return [f"{TABLE} external_ids:{key}" for key in self.keys]

    def after(self) -> list[str]:
        """Return the diff's lines after it."""
        return []


def remove_marks(connect: Callable[[], DatabaseConnection], comment: str, check: bool) -> Result:
    """Remove the marks of all programs; they no longer run.

    :param connect: opens a connection, which is closed at the end.
    :param check: plan only.
    :raises DatabaseError: nothing was changed.
    """
    connection = connect()
    try:
        select = {"op": "select", "table": TABLE, "where": [], "columns": ["external_ids"]}
        rows = connection.transact([select])[0]["rows"]
        keys = tuple(sorted(key for row in rows for key in decode(row["external_ids"]) if key.startswith(KEY)))
        if keys and not check:
            mutations = [["external_ids", "delete", ["set", list(keys)]]]
            mutate = {"op": "mutate", "table": TABLE, "where": [], "mutations": mutations}
            connection.transact([mutate, {"op": "comment", "comment": comment}])
    finally:
        connection.close()
    return Result([Removed(keys)] if keys else [])
