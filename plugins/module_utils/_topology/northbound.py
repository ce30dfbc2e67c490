# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Northbound part of one call: refuse before anything is changed, then converge."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from .._common.errors import Conflict
from .._ovsdb.converge import converge_rows, plan_rows
from .._ovsdb.fence import remove_marks
from .._ovsdb.transaction import operations
from . import egress

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._common.result import Result
    from .._ovsdb.connection import Connection
    from .overlay import Overlay


class Northbound:
    """The Northbound database as one call uses it.

    :param connect: opens a connection.
    :param comment: who changes the rows; it goes into the database's log.
    :param check: plan only.
    """

    def __init__(self, connect: Callable[[], Connection], comment: str, check: bool) -> None:
        self._connect = connect
        self._comment = comment
        self._check = check

    def preflight(self, overlay: Overlay) -> None:
        """Plan the change without making it, so that a call fails before it has changed a host.

        :raises SettingsError: the settings can't work, alone or beside the rows that exist.
        :raises DatabaseError: the database can't be read, or holds rows that conflict.
        """
        overlay.check()
        connection = self._connect()
        try:
            # The rows change at this moment: the change itself reads and plans them again.
            with contextlib.suppress(Conflict):
                operations(plan_rows(connection, overlay), self._comment)
        finally:
            connection.close()

    def converge(self, overlay: Overlay) -> Result:
        """Make the database hold the overlay's rows; raise as :meth:`preflight` does."""
        overlay.check()
        return converge_rows(self._connect, overlay, self._comment, self._check)

    def rebalance(self) -> Result:
        """Divide the pods equally among the gateways that carry traffic; :raises DatabaseError: nothing was changed."""
        return egress.rebalance(self._connect, self._comment, self._check)

    def remove_marks(self) -> Result:
        """Remove the marks of programs that wrote; :raises DatabaseError: nothing was changed."""
        return remove_marks(self._connect, self._comment, self._check)
