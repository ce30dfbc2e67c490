# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make this host have a desired state: rows of its Open_vSwitch database, and its kernel and files.

No transaction spans both. So when one phase of a change fails, the phases before it are rolled back (:mod:`.change`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common.errors import Conflict, DatabaseError, Disconnected, HostError, RollbackFailed
from .._common.result import Result
from .._common.retry import retry
from .._ovsdb.converge import CONFLICT_PAUSE, PATIENCE, plan_rows, too_busy
from .apply import apply_steps
from .change import DeletionUnknown, HostChange, split
from .read import read_and_plan
from .vswitchd import commit, wait_for_vswitchd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._common.result import Operation
    from .._ovsdb.plan import Change
    from .change import DesiredHost
    from .desired import HostState
    from .vswitchd import LocalConnection


def converge_host(
    connect: Callable[[], LocalConnection], desired: DesiredHost, comment: str, check: bool = False
) -> Result:
    """Make this host have the desired rows and states.

    :param connect: opens a connection to the host's Open_vSwitch database, which is closed at the end.
    :param comment: the program and its purpose, for the database's log.
    :param check: plan only.
    :raises DatabaseError, HostError: all changes have been rolled back.
    :raises RollbackFailed: a part of the changes stays.
    """
    connection = connect()
    try:
        return _Convergence(connection, desired, comment, check).run()
    finally:
        connection.close()


def converge_state(desired: HostState, check: bool = False) -> Result:
    """Make this host's kernel and files have a desired state that needs no rows.

    :raises HostError: nothing was changed.
    """
    steps = read_and_plan(desired)
    if not check:
        apply_steps(steps)
    return Result(steps)


class _Convergence:
    """The attempts of one call.

    A conflict is planned again: ovn-controller writes to this database too, often at the same time. A lost connection
    is opened again, once.
    """

    def __init__(self, connection: LocalConnection, desired: DesiredHost, comment: str, check: bool) -> None:
        self._connection = connection
        self._desired = desired
        self._comment = comment
        self._check = check
        self._lost: Disconnected | None = None

    def run(self) -> Result:
        """Attempt until there is no conflict."""
        database = "this host's Open_vSwitch database"
        try:
            return retry(self._attempt, Conflict, PATIENCE, CONFLICT_PAUSE, lambda _conflict: too_busy(database))
        except (DatabaseError, HostError) as error:
            if isinstance(self._lost, DeletionUnknown) or isinstance(error, DeletionUnknown):
                raise RollbackFailed(
                    f"{error}; the change was made but for its last part: run it again, which goes on from there"
                ) from error
            raise

    def _attempt(self) -> Result:
        try:
            return self._apply()
        except Disconnected as error:
            if self._lost or self._check:
                raise
            self._lost = error
        self._reconnect(self._lost)
        return self._attempt()

    def _reconnect(self, lost: Disconnected) -> None:
        """Open the connection again.

        :raises Disconnected: the first error, when that fails.
        """
        try:
            self._connection.reopen()
        except DatabaseError:
            raise lost from None

    def _apply(self) -> Result:
        plan = plan_rows(self._connection, self._desired.rows)
        if self._check:
            return self._preview(plan.changes)
        earlier: list[Operation] = []
        if isinstance(self._lost, DeletionUnknown):
            earlier += self._lost.done
            if not plan.changes:  # the deletion was committed, and ovs-vswitchd may still be applying it
                earlier += self._lost.deletions
                wait_for_vswitchd(self._connection, self._desired.rows, commit(self._connection, []))
        return Result([*earlier, *HostChange(self._connection, self._desired, plan, self._comment).apply()])

    def _preview(self, changes: Sequence[Change]) -> Result:
        """Return the plan of check mode. A host where libraries are still to be installed shows its rows only."""
        writes, deletions = split(changes)
        try:
            before, after = read_and_plan(self._desired.before), read_and_plan(self._desired.after)
            at_last = [step for state in self._desired.at_last for step in read_and_plan(state)]
        except HostError as error:
            return Result(changes, [f"the plan does not show links, addresses, routes and files: {error}"])
        operations: list[Operation] = [*before, *writes, *after, *deletions, *at_last]
        return Result(operations)
