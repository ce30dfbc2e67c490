# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write the rows of a NIC's bridge into the host's own Open_vSwitch database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import Conflict, DatabaseError, Disconnected
from .._common.retry import Pause, retry
from .._host.rows import LocalRows
from .._host.vswitchd import commit, wait_for_vswitchd
from .._ovsdb.connection import Connection
from .._ovsdb.converge import plan_rows
from .._ovsdb.transaction import operations
from . import uplink

if TYPE_CHECKING:
    from typing import Any

CONFLICT_TIMEOUT = 30.0  # seconds in which rows are planned again while other programs change them
CONFLICT_PAUSE = Pause(0.02, 0.5, jitter=0.9)
SERVED_TIMEOUT = 3.0  # seconds for ovs-vswitchd to answer where there is nothing to do


def write_rows(nic: str, settings: dict[str, Any] | None, remote: str) -> None:
    """Write the rows, and wait until Open vSwitch has realised them; also where they are there already.

    :param settings: the fields of :class:`.uplink.UplinkSettings`; None: the rows are removed.
    :raises DatabaseError: Open vSwitch refused them, or other programs write these rows again and again.
    """
    desired = LocalRows(uplink.owner(nic), tuple(uplink.rows(uplink.UplinkSettings(**settings) if settings else None)))
    connection = Connection(remote, names.LOCAL)
    try:
        writer = _Writer(connection, desired, f"ovn.kubernetes: uplink {nic}")
        retry(writer.write, Conflict, CONFLICT_TIMEOUT, CONFLICT_PAUSE, lambda _conflict: _too_busy(nic))
    finally:
        connection.close()


def _too_busy(nic: str) -> DatabaseError:
    return DatabaseError(
        f"the rows of {names.uplink_bridge(nic)} in this host's Open_vSwitch database change faster than they can be "
        "written: "
        "find out which other program writes them again and again"
    )


class _Writer:
    """Writes the rows once; after a lost connection a second time, over a new one."""

    def __init__(self, connection: Connection, desired: LocalRows, comment: str) -> None:
        self._connection = connection
        self._desired = desired
        self._comment = comment
        self._reconnected = False

    def write(self) -> None:
        """Plan the rows and write them.

        :raises Conflict: another program has changed the rows since they were read.
        """
        try:
            self._write()
        except Disconnected:
            if self._reconnected:
                raise
            self._reconnected = True
            self._connection.reopen()
            self._write()

    def _write(self) -> None:
        plan = plan_rows(self._connection, self._desired)
        if not plan.changes and not self._reconnected:
            if not self._desired.desired:
                return
            self._connection.timeout = SERVED_TIMEOUT
        # Rows that are there may not be realised: after a lost connection, and where ovs-vswitchd does not run.
        next_cfg = commit(self._connection, operations(plan, self._comment))
        wait_for_vswitchd(self._connection, self._desired, next_cfg)
