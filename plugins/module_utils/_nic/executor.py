# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Apply a change of this host's NICs from its journal, wait for its confirmation, and roll it back without one.

Any program can do so, and can begin again: the module, the unit of the change, the unit of the boot.
Every act and every inverse may be done twice without harm. So a change can be rolled back without knowing whether its
last act had been done when the process that did it was killed.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError, RollbackFailed
from .._common.failures import sentence
from .._common.files import forget_second_name, keep_second_name
from .._common.retry import Pause, wait_until
from .._common.systemd import is_loaded
from .._host.apply import StepRunner
from .._host.steps.files import FileStep
from .bridge_rows import write_rows
from .journal import (
    APPLIED,
    APPLYING,
    CONFIRMED,
    PLANNED,
    UNDOING,
    UNDONE,
    Journal,
    JournaledChange,
    boot_time,
    this_boot,
)
from .memory_journal import MemoryJournal
from .serialize import from_json
from .way_back import WayBack, restore_flag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .journal import Act
    from .plan import Change

LINK_TIMEOUT = 5.0  # seconds for a link that ovs-vswitchd is about to make
CONFIRMATION_PAUSE = Pause(0.05)
UNIT_TIMEOUT = 10.0  # seconds for systemd to start the unit of a change
PATIENCE = 10.0  # seconds in which a way back is tried again: systemd starts a server that was killed
PATIENCE_PAUSE = Pause(0.2, 1.0)


def refuse_while_pending(journal: Journal) -> None:
    """Check that no change is under way.

    :raises HostError: there is one.
    """
    pending = journal.pending()
    if pending and pending.left:
        raise HostError(
            f"a change of this host's NICs ({pending.names}) could not be rolled back completely: {pending.left}; mend "
            f"that, and it goes on by itself (systemctl restart {names.HOST_UNIT} begins it at once)"
        )
    if pending:
        raise HostError(
            f"another change of this host's NICs is under way ({pending.names}): "
            f"wait until it is confirmed or rolled back, {pending.timeout} s at most"
        )


def change_now(
    journal: Journal, plan: Callable[[], Change], nics: Iterable[str], remote: str = names.LOCAL_SOCKET
) -> Change:
    """Carry out a change here and now, without anybody who has to confirm it.

    :param plan: makes the change, once nobody else works on this host's NICs.
    :raises HostError: all has been rolled back.
    """
    wait_for_unit(journal)
    with journal.held(wait=True):
        finish_or_roll_back(journal)
        change = plan()
        if change.acts:
            journal.begin(uuid.uuid4().hex, change.acts, list(nics), remote, 0)
            _end(journal, apply(journal), CONFIRMED)
    return change


def restore_now(journal: Journal, plan: Callable[[], Change], nics: list[str], remote: str) -> Change:
    """Carry out the change that gives bridges what a boot has taken, as :func:`change_now`.

    A journal that can't be written, or has another change in it that can't be rolled back yet, keeps no host from
    its addresses.

    :raises HostError: all has been rolled back; or that other change is one of these NICs.
    """
    with contextlib.suppress(HostError):  # about the journal, and said below
        wait_for_unit(journal)
    with journal.held(wait=True):
        try:
            finish_or_roll_back(journal)
        except HostError:
            journal = _instead_of(journal, nics)
        change = plan()
        if change.acts:
            values = (uuid.uuid4().hex, change.acts, nics, remote, 0)
            try:
                journal.begin(*values)
            except HostError:
                journal = MemoryJournal()
                journal.begin(*values)
            _end(journal, apply(journal), CONFIRMED)
    return change


def _instead_of(journal: Journal, nics: list[str]) -> Journal:
    """Return a journal beside one that is in use; :raises HostError: it is in use for one of these NICs."""
    try:
        pending = journal.pending()
    except HostError:  # it can't be read, and the one who finishes changes has said so
        return MemoryJournal()
    if pending and set(pending.nics).intersection(nics):
        refuse_while_pending(journal)
    return MemoryJournal()


def finish_pending(journal: Journal) -> None:
    """Wait until nobody works on a change, and take it back when it was left in the middle."""
    wait_for_unit(journal)
    if journal.pending():
        with journal.held(wait=True):
            finish_or_roll_back(journal)


def wait_for_unit(journal: Journal) -> None:
    """Wait until the unit that carries a planned change out has begun, or is gone.

    Until then nobody holds the journal, and who came in between would roll the change back. That takes a moment when
    systemd starts Open vSwitch first, which was killed or is updated: this host's boot unit starts then, too.
    """

    def has_begun() -> bool:
        change = journal.pending()
        awaits = change is not None and change.state == PLANNED and change.timeout > 0 and change.boot == this_boot()
        return not awaits or not is_loaded(names.UPLINKS_UNIT)

    wait_until(has_begun, UNIT_TIMEOUT, CONFIRMATION_PAUSE)


def apply(journal: Journal) -> JournaledChange:
    """Carry out all acts, and return the change. The caller holds the journal.

    :raises HostError: one failed; all has been rolled back.
    :raises RollbackFailed: one failed, and not all could be rolled back.
    """
    change = journal.current()
    begun, doing = 0, None
    try:
        journal.set_state(APPLYING)
        with StepRunner(LINK_TIMEOUT) as runner:
            for index, act in enumerate(change.acts):
                doing = None
                journal.mark(index)
                begun, doing = index + 1, act
                _do(act, runner, change.remote)
        doing = None
        return journal.set_state(APPLIED)
    except BaseException as error:
        reason = _failure(doing, error)
        try:
            _roll_back(journal, change, begun, reason)
        except HostError as rest:
            raise RollbackFailed(f"{reason}; {rest}: run it again when that is mended") from error
        if not isinstance(error, Exception):
            raise
        raise HostError(reason) from error


def is_too_late(change: JournaledChange) -> bool:
    """Return whether a planned change has waited for so long that nobody may wait for it any more."""
    return change.planned_at is not None and 0 < change.timeout < boot_time() - change.planned_at


def await_confirmation(journal: Journal, change: JournaledChange, deadline: float) -> None:
    """Wait until somebody confirms the applied change, and bring it to its end.

    :param deadline: of the monotonic clock; then all is rolled back.
    """
    wait_until(lambda: journal.is_confirmed(change.id), deadline - time.monotonic(), CONFIRMATION_PAUSE)
    _finish(journal, change, len(change.acts))


def finish_or_roll_back(journal: Journal) -> None:
    """Keep the last change when it was applied and confirmed; roll back any other. The caller holds the journal.

    :raises HostError: something can't be rolled back now; a later call tries again.
    """
    change = journal.pending()
    if change is None:
        return
    try:
        begun = journal.begun()
    except HostError:
        begun = len(change.acts)  # an inverse does no harm where its act was not done
    _finish(journal, change, begun)


def _finish(journal: Journal, change: JournaledChange, begun: int) -> None:
    """Keep a change or roll it back. This is the only place that decides it."""
    if change.state == APPLIED and journal.is_confirmed(change.id):
        _end(journal, change, CONFIRMED)
    else:
        _roll_back(journal, change, begun)


def _end(journal: Journal, change: JournaledChange, state: str) -> None:
    """Record that nothing more will happen."""
    journal.record(replace(change, state=state, left=None))
    for act in change.acts:
        step = from_json(act["step"]) if "step" in act else None
        if isinstance(step, FileStep):
            forget_second_name(step.path)


def _roll_back(journal: Journal, change: JournaledChange, begun: int, reason: str | None = None) -> None:
    """Roll back the acts that have begun. Nothing that it does for the record can keep it from that.

    :param reason: for the user.
    :raises HostError: what could not be rolled back.
    """
    change = replace(change, state=UNDOING, reason=reason or change.reason or _reason(change))
    journal.record(change)
    way_back = WayBack(change, begun, journal.notes.undone(change.id), write_rows)
    wait_until(way_back.attempt, PATIENCE, PATIENCE_PAUSE)
    if way_back.failures:
        journal.notes.mark_undone(change.id, way_back.undone)
        journal.record(replace(change, left=str(way_back.failures)))
        raise HostError(f"not all could be rolled back: {way_back.failures}")
    _end(journal, change, UNDONE)


def _failure(act: Act | None, error: BaseException) -> str:
    """Return the sentence about an act that failed; None: the error is one of the journal."""
    if act is not None and "step" in act and isinstance(error, (OSError, HostError)):
        return str(from_json(act["step"]).failure(error))
    return sentence(error)


def _reason(change: JournaledChange) -> str:
    """Return why a change is rolled back that nobody gave a reason for."""
    if change.state == APPLIED:
        return f"nobody confirmed over a new connection within {change.timeout} s that the host can be reached"
    if change.state == PLANNED and is_too_late(change):
        return (
            f"it was not begun within {change.timeout} s: look at the services that systemd starts first, such as Open "
            "vSwitch (systemctl list-jobs)"
        )
    if change.state == PLANNED:
        return "the change was stopped before its first step"
    return "the program that carried it out was stopped in the middle"


def _do(act: Act, runner: StepRunner, remote: str) -> None:
    if "rows" in act:
        write_rows(act["rows"], act["after"], remote)
        if act["after"] is None:
            restore_flag(act["rows"], act["before"], runner)
        return
    step = from_json(act["step"])
    if isinstance(step, FileStep):
        keep_second_name(step.path)
    runner.run(step)
