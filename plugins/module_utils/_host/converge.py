# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The loop for a host, whose rows and kernel no transaction spans: when one part fails, those before it are taken back."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from .._common.errors import Conflict, DatabaseError, Disconnected, HostError, RollbackFailed
from .._common.result import Result
from .._common.retry import retry
from .._ovsdb.converge import CONFLICT_PAUSE, PATIENCE, plan_rows, read_rows, too_busy
from .._ovsdb.next_cfg import INCREMENT_NEXT_CFG, wait_for_cur_cfg
from .._ovsdb.transaction import operations
from .._ovsdb.undo import committed_guard, undo, with_uuids
from .._ovsdb.values import as_set
from .apply import apply_steps, undo_steps
from .read import read_and_plan


def converge_host(connect, subject, before, state, comment, check=False):
    """Make this host hold what is wanted: rows of its Open_vSwitch database, and state of its kernel and files.

    :param subject: the rows, see :class:`._host.rows.LocalRows`.
    :param before: host state that comes before the rows: what a NIC gets back before its bridge goes.
    :param state: host state that follows them: what stands on links that Open vSwitch makes.
    :returns: a :class:`Result`.
    :raises DatabaseError: in words; what was changed has been taken back then.
    :raises HostError: in words; what was changed has been taken back then, unless it is a :class:`._common.errors.RollbackFailed`.
    """
    connection, lost = connect(), None

    def attempt():
        nonlocal lost
        while True:
            try:
                plan = plan_rows(connection, subject)
                if check:
                    return _preview(plan.changes, before, state)
                items = _apply(connection, subject, plan, comment, before, state)
                if not isinstance(lost, _LastUnknown):
                    return Result(items)
                if not items:  # it was done, and ovs-vswitchd is perhaps still about it
                    await_realised(connection, subject, _apply_rows(connection, []))
                return Result(lost.done + (items or lost.last))
            except Disconnected as exc:
                if lost or check:
                    raise
                lost = exc
                _again(connection, lost)

    try:
        # ovn-controller writes to this database too, often at the same time.
        database = "this host's Open_vSwitch database"
        return retry(attempt, Conflict, PATIENCE, CONFLICT_PAUSE, lambda _conflict: too_busy(database))
    except (DatabaseError, HostError) as exc:
        if _LastUnknown in (type(lost), type(exc)):
            raise RollbackFailed(
                f"{exc}; the change was made but for its last part: run it again, which goes on from there"
            ) from exc
        raise
    finally:
        connection.close()


class _LastUnknown(Disconnected):
    """All was done but the last part, whose answer is lost.

    :ivar done: what was done.
    :ivar last: what may be done.
    """

    def __init__(self, cause, done, last):
        super().__init__(str(cause))
        self.done, self.last = done, last


def _again(connection, lost):
    """Connect anew; :raises DatabaseError: what was first, when that can't be."""
    try:
        connection.reopen()
    except DatabaseError:
        raise lost from None


def _apply(connection, subject, plan, comment, before, state):
    """One try of :func:`converge_host`; whatever it raises but :class:`_LastUnknown`, everything is as before.

    What goes from the database goes last, when nothing else can fail any more: a link that Open vSwitch has removed can't be given back as it was.
    """
    left = []
    try:
        with contextlib.ExitStack() as back:

            def on_failure(take_back, *args):
                back.callback(_attempt, left, take_back, *args)

            first = _apply_host(before, on_failure)
            come, go = (
                with_uuids([change for change in plan.changes if change.kind != "delete"]),
                [change for change in plan.changes if change.kind == "delete"],
            )
            if come:
                try:
                    results = _apply_rows(connection, operations(plan.only(come), comment))
                except Disconnected:
                    on_failure(_take_back_if_done, connection, come)
                    raise
                on_failure(_take_back, connection, come)
                await_realised(connection, subject, results)
            steps = _apply_host(state, on_failure)
            if go:
                try:
                    results = _apply_rows(
                        connection, operations(replace(plan.only(go), reads=[] if come else plan.reads), comment)
                    )
                    back.pop_all()
                    try:
                        await_realised(connection, subject, results)
                    except DatabaseError as exc:
                        if isinstance(exc, Disconnected):
                            raise
                        raise RollbackFailed(f"{exc}; the rest of the change was made, and is not taken back") from exc
                except Disconnected as exc:
                    back.pop_all()  # they may be gone
                    raise _LastUnknown(exc, first + come + steps, go) from exc
            back.pop_all()
    except (DatabaseError, HostError) as exc:
        if left:
            raise RollbackFailed(
                f"{exc}; what was done before could not be taken back: {'; '.join(left)}: run it again when that is mended"
            ) from exc
        raise
    return first + come + steps + go


def _attempt(left, take_back, *args):
    """Take back a part of what was done; what can't be is told, and hides neither the cause nor the other parts."""
    try:
        take_back(*args)
    except (DatabaseError, HostError, OSError) as exc:
        left.append(str(exc))


def _apply_host(wanted, on_failure):
    """Make kernel and files what is wanted; ``on_failure`` takes the inverse. :returns: the steps."""
    steps = read_and_plan(wanted)
    apply_steps(steps)
    on_failure(undo_steps, steps)
    return steps


def _apply_rows(connection, sent):
    return connection.transact(sent + INCREMENT_NEXT_CFG)


def _take_back_if_done(connection, plan):
    """As :func:`_take_back`, where nobody knows whether the plan was committed."""
    with contextlib.suppress(Conflict):
        _take_back(connection, plan, [committed_guard(plan)])


def _take_back(connection, plan, guards=()):
    if connection.closed:
        connection.reopen()
    results = _apply_rows(connection, [*guards, *undo(plan)])
    with contextlib.suppress(Conflict):  # an ovs-vswitchd that does not run may be what failed
        connection.transact([_realised(connection, results)])


def _realised(connection, results):
    return wait_for_cur_cfg(results[-1]["rows"][0]["next_cfg"], connection.timeout)


def await_realised(connection, subject, results):
    """Wait until ovs-vswitchd has taken over the configuration of a transaction; :raises DatabaseError: when it can't, with its own words."""
    try:
        connection.transact([_realised(connection, results)])
    except Conflict:
        raise DatabaseError(
            "ovs-vswitchd did not take over the change in time: "
            "start it (systemctl start openvswitch-switch) and look at its log"
        ) from None
    for row in read_rows(connection, subject.owned_queries()):
        reason = as_set(row.columns.get("error"))
        if reason:
            raise DatabaseError(f"ovs-vswitchd can't use {row.name}: {reason[0]}")


def _preview(plan, before, state):
    """The plan of check mode; a host where the libraries are still to be installed shows its rows only."""
    come, go = (
        [change for change in plan if change.kind != "delete"],
        [change for change in plan if change.kind == "delete"],
    )
    try:
        return Result(read_and_plan(before) + come + read_and_plan(state) + go)
    except HostError as exc:
        return Result(plan, [f"the plan does not show links, addresses, routes and files: {exc}"])


def converge_state(state, check=False):
    """Make this host's kernel and files hold what is wanted, without rows; :raises HostError: in words, with nothing changed."""
    plan = read_and_plan(state)
    if not check:
        apply_steps(plan)
    return Result(plan)
