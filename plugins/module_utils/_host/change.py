# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One change of this host, in five phases, and its rollback.

1. The state before the rows: what a NIC gets back before its bridge is deleted.
2. Rows that are inserted or updated.
3. The state after the rows: what is on links that Open vSwitch makes.
4. Rows that are deleted. They come last, when nothing else can fail: a link that Open vSwitch removed can't be
   restored as it was.
5. What can only be done then: a NIC that is free again is configured by its network manager. A failure there leaves the
   rest of the change, and the next call goes on from there.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from .._common.errors import Conflict, DatabaseError, Disconnected, HostError, RollbackFailed
from .._common.failures import Failures, sentence
from .._ovsdb.transaction import operations
from .._ovsdb.undo import committed_guard, undo, with_uuids
from .apply import apply_steps, undo_steps
from .desired import HostState
from .read import read_and_plan
from .vswitchd import commit, wait_for_applied, wait_for_vswitchd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from .._common.result import Operation
    from .._ovsdb.operations import Operation as RowOperation
    from .._ovsdb.plan import Change, Plan
    from .rows import LocalRows
    from .steps.base import Step
    from .vswitchd import LocalConnection


@dataclass(frozen=True)
class DesiredHost:
    """The desired rows and states of a host.

    :ivar before: the state that comes before the rows.
    :ivar after: the state that comes after the rows.
    :ivar at_last: states that come after all else, each planned when it is due.
    """

    rows: LocalRows
    before: HostState = field(default_factory=HostState)
    after: HostState = field(default_factory=HostState)
    at_last: tuple[HostState, ...] = ()


class DeletionUnknown(Disconnected):
    """All phases were done but the deletion, and the connection was lost before its reply.

    :ivar done: what was done.
    :ivar deletions: what may have been done.
    """

    def __init__(self, cause: Disconnected, done: Sequence[Operation], deletions: Sequence[Change]) -> None:
        super().__init__(str(cause))
        self.done = done
        self.deletions = deletions


class Split(NamedTuple):
    """The changes of a plan by their phases.

    :ivar writes: those that insert or update.
    """

    writes: list[Change]
    deletions: list[Change]


def split(changes: Sequence[Change]) -> Split:
    """Sort changes by their phases."""
    return Split(
        writes=[change for change in changes if change.kind != "delete"],
        deletions=[change for change in changes if change.kind == "delete"],
    )


class HostChange:
    """One attempt of a change."""

    def __init__(self, connection: LocalConnection, desired: DesiredHost, plan: Plan, comment: str) -> None:
        self._connection = connection
        self._desired = desired
        self._plan = plan
        self._comment = comment
        self._rollback = _Rollback()

    def apply(self) -> list[Operation]:
        """Carry out all phases, and return what was done, in order.

        :raises DeletionUnknown: as it says.
        :raises RollbackFailed: a part of the changes stays.
        :raises DatabaseError, HostError: all changes have been rolled back.
        """
        writes, deletions = split(self._plan.changes)
        writes = with_uuids(writes)
        done: list[Operation] = []
        with self._rollback:
            done += self._apply_state(self._desired.before)
            if writes:
                self._write(writes)
                done += writes
            done += self._apply_state(self._desired.after)
            if deletions:
                # The guards on what was read were part of the first transaction.
                self._delete(deletions, reads=not writes, done=done)
            done += deletions
        self._rollback.clear()
        return [*done, *self._apply_at_last()]

    def _apply_at_last(self) -> list[Operation]:
        done: list[Operation] = []
        try:
            for state in self._desired.at_last:
                steps = read_and_plan(state)
                apply_steps(steps)
                done += steps
        except HostError as error:
            raise RollbackFailed(f"{error}; the rest was done: run it again, which goes on from there") from error
        return done

    def _apply_state(self, desired: HostState) -> list[Step]:
        steps = read_and_plan(desired)
        apply_steps(steps)
        self._rollback.add(lambda: undo_steps(steps))
        return steps

    def _write(self, changes: list[Change]) -> None:
        try:
            next_cfg = commit(self._connection, operations(self._plan.only(changes), self._comment))
        except Disconnected:
            self._rollback.add(lambda: self._undo_if_committed(changes))
            raise
        self._rollback.add(lambda: self._undo(changes))
        wait_for_vswitchd(self._connection, self._desired.rows, next_cfg)

    def _delete(self, changes: list[Change], reads: bool, done: Sequence[Operation]) -> None:
        plan = replace(self._plan.only(changes), reads=self._plan.reads if reads else ())
        try:
            next_cfg = commit(self._connection, operations(plan, self._comment))
            self._rollback.clear()
            try:
                wait_for_vswitchd(self._connection, self._desired.rows, next_cfg)
            except Disconnected:
                raise
            except DatabaseError as error:
                raise RollbackFailed(f"{error}; the rest of the change was made, and is not rolled back") from error
        except Disconnected as error:
            self._rollback.clear()  # the rows may be deleted already
            raise DeletionUnknown(error, done, changes) from error

    def _undo_if_committed(self, changes: Sequence[Change]) -> None:
        """Undo changes of rows whose reply was lost."""
        with contextlib.suppress(Conflict):  # the guard fails: they were not committed
            self._undo(changes, [committed_guard(changes)])

    def _undo(self, changes: Sequence[Change], guards: Sequence[RowOperation] = ()) -> None:
        if self._connection.closed:
            self._connection.reopen()
        next_cfg = commit(self._connection, [*guards, *undo(changes)])
        with contextlib.suppress(Conflict):  # that ovs-vswitchd does not run may be what failed
            wait_for_applied(self._connection, next_cfg)


class _Rollback:
    """The inverses of what was done. They run in the opposite order when the block fails.

    An inverse that fails hides neither the cause nor keeps the other inverses from running.
    """

    def __init__(self) -> None:
        self._inverses: list[Callable[[], None]] = []

    def add(self, inverse: Callable[[], None]) -> None:
        """Add the inverse of what was just done."""
        self._inverses.append(inverse)

    def clear(self) -> None:
        """Forget all inverses: what was done stays."""
        self._inverses.clear()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            return
        failures = Failures()
        for inverse in reversed(self._inverses):
            with failures.collected():
                inverse()
        if failures and isinstance(error, (DatabaseError, HostError, OSError)):
            raise RollbackFailed(
                f"{sentence(error)}; what was done before could not be rolled back: {failures}: "
                "run it again when that is mended"
            ) from error
