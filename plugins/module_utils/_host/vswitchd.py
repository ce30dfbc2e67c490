# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Transactions of the Open_vSwitch database that ovs-vswitchd has to apply.

The database counts them in next_cfg, and ovs-vswitchd those that it has applied in cur_cfg (ovs-vswitchd.conf.db(5)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common.errors import Conflict, DatabaseError
from .._ovsdb.converge import read_rows
from .._ovsdb.next_cfg import INCREMENT_NEXT_CFG, wait_for_cur_cfg
from .._ovsdb.values import as_set

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from .._ovsdb.converge import DatabaseConnection
    from .._ovsdb.operations import Operation
    from .rows import LocalRows

    class LocalConnection(DatabaseConnection, Protocol):
        """A connection to the host's own Open_vSwitch database."""

        @property
        def timeout(self) -> float:
            """The seconds that it waits for a reply."""

        @property
        def closed(self) -> bool:
            """Whether the connection was lost or closed."""


def commit(connection: LocalConnection, operations: Iterable[Operation]) -> int:
    """Commit operations. Return the number of the configuration that ovs-vswitchd has to apply.

    :raises Conflict: a guard failed, nothing was changed.
    """
    results = connection.transact([*operations, *INCREMENT_NEXT_CFG])
    return int(results[-1]["rows"][0]["next_cfg"])


def wait_for_applied(connection: LocalConnection, next_cfg: int) -> None:
    """Wait until ovs-vswitchd has applied a configuration.

    :raises Conflict: it has not in time.
    """
    connection.transact([wait_for_cur_cfg(next_cfg, connection.timeout)])


def wait_for_vswitchd(connection: LocalConnection, rows: LocalRows, next_cfg: int) -> None:
    """Wait until ovs-vswitchd has applied a configuration, and check that it could.

    :param rows: those that are checked.
    :raises DatabaseError: it has not in time, or it has an error for one of the rows.
    """
    try:
        wait_for_applied(connection, next_cfg)
    except Conflict:
        raise DatabaseError(
            "ovs-vswitchd did not take over the change in time: "
            "start it (systemctl start openvswitch-switch) and look at its log"
        ) from None
    for row in read_rows(connection, rows.owned_queries()):
        reason = as_set(row.columns.get("error"))
        if reason:
            raise DatabaseError(f"ovs-vswitchd can't use {row.name}: {reason[0]}")
