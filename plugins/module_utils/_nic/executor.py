# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Apply a change of this host's NICs from its journal, wait for its confirmation, and roll it back without one.

Any program can do so, and can begin again: the module, the unit of the change, the unit of the boot.
Every act and every inverse may be done twice without harm. So a change can be taken back without knowing whether its
last act had been done when the process that did it was killed.
"""

from __future__ import annotations

import errno
import time
import uuid
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError, OvnKubernetesError, RollbackFailed
from .._common.retry import Pause, wait_until
from .._host.apply import StepRunner
from .._host.read import read_and_plan
from .._host.steps.files import FileStep
from .._host.steps.links import LinkStep
from . import journal as journals
from .bridge_rows import write_rows
from .journal import APPLIED, APPLYING, CONFIRMED, PLANNED, UNDOING, UNDONE, Journal, JournaledChange
from .serialize import from_json
from .steps import HandoverStep, address_move

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .journal import Act
    from .plan import Change

LINK_TIMEOUT = 5.0  # seconds for a link that ovs-vswitchd is about to make
CONFIRMATION_PAUSE = Pause(0.05)


def refuse_while_pending(journal: Journal) -> None:
    """Check that no change is under way.

    :raises HostError: there is one.
    """
    pending = journal.pending()
    if pending:
        raise HostError(
            f"another change of this host's NICs is under way ({pending.names}): "
            f"wait until it is confirmed or taken back, {pending.timeout} s at most"
        )


def change_now(
    journal: Journal, plan: Callable[[], Change], nics: Iterable[str], remote: str = names.LOCAL_SOCKET
) -> Change:
    """Carry out a change here and now, without anybody who has to confirm it.

    :param plan: makes the change, once nobody else works on this host's NICs.
    :raises HostError: all has been taken back.
    """
    with journal.held(wait=True):
        finish_or_roll_back(journal)
        change = plan()
        if change.acts:
            journal.begin(uuid.uuid4().hex, change.acts, list(nics), remote, 0)
            apply(journal)
            journal.set_state(CONFIRMED)
    return change


def finish_pending(journal: Journal) -> None:
    """Wait until nobody works on a change, and take it back when it was left in the middle."""
    if journal.pending():
        with journal.held(wait=True):
            finish_or_roll_back(journal)


def apply(journal: Journal) -> None:
    """Carry out all acts. The caller holds the journal.

    :raises HostError: one failed; all has been taken back.
    :raises RollbackFailed: one failed, and not all could be taken back.
    """
    change = journal.current()
    journal.set_state(APPLYING)
    index = 0
    try:
        with StepRunner(LINK_TIMEOUT) as runner:
            for index, act in enumerate(change.acts):
                journal.mark(index)
                _do(act, runner, change.remote)
    except (OSError, OvnKubernetesError) as error:
        reason = _failure(change.acts[index], error)
        try:
            finish_or_roll_back(journal, reason)
        except HostError as rest:
            raise RollbackFailed(f"{reason}; {rest}: run it again when that is mended") from error
        raise HostError(reason) from error
    journal.set_state(APPLIED)


def await_confirmation(journal: Journal, deadline: float) -> None:
    """Wait until somebody confirms the applied change, and bring it to its end.

    :param deadline: of the monotonic clock; then all is taken back.
    """
    identity = journal.current().id
    wait_until(lambda: journal.is_confirmed(identity), deadline - time.monotonic(), CONFIRMATION_PAUSE)
    finish_or_roll_back(journal)


def finish_or_roll_back(journal: Journal, reason: str | None = None) -> None:
    """Keep a change that was applied and confirmed; roll back any other.

    This is the only place that decides it. The caller holds the journal.

    :param reason: why it is taken back, for the user.
    :raises HostError: something can't be taken back now; a later call tries again.
    """
    change = journal.pending()
    if change is None:
        return
    if change.state == APPLIED and journal.is_confirmed(change.id):
        journal.set_state(CONFIRMED)
        return
    journal.set_state(UNDOING, reason or change.reason or _reason(change))
    failures = _undo_all(change, journal.begun(), rebooted=change.boot != journals.this_boot())
    if failures:
        raise HostError(f"not all could be taken back: {'; '.join(failures)}")
    journal.set_state(UNDONE)


def _failure(act: Act, error: OSError | OvnKubernetesError) -> str:
    """Return the sentence about an act that failed."""
    if "step" in act and isinstance(error, (OSError, HostError)):
        return str(from_json(act["step"]).failure(error))
    return str(error)


def _reason(change: JournaledChange) -> str:
    """Return why a change is taken back that nobody gave a reason for."""
    if change.state == APPLIED:
        return f"nobody confirmed over a new connection within {change.timeout} s that the host can be reached"
    if change.state == PLANNED:
        return "the change was stopped before its first step"
    return "the program that carried it out was stopped in the middle"


def _do(act: Act, runner: StepRunner, remote: str) -> None:
    if "rows" in act:
        write_rows(act["rows"], act["after"], remote)
    else:
        runner.run(from_json(act["step"]))


def _undo_all(change: JournaledChange, begun: int, rebooted: bool) -> list[str]:
    """Take back the acts that have begun; after a boot all of them. Return what failed.

    A boot has removed what steps did in the kernel. The network managers have given the NICs their addresses since, and
    may have to again.
    """
    acts = change.acts if rebooted else change.acts[:begun]
    failures = []
    with StepRunner(0) as runner:
        for act in reversed(acts):
            # Whatever the error is, one of this program too: it must not keep the other acts from being taken back.
            try:
                if not rebooted or "rows" in act or isinstance(from_json(act["step"]), (FileStep, HandoverStep)):
                    _undo(act, runner, change.remote, rebooted)
            except Exception as error:
                if getattr(error, "errno", None) != errno.ENODEV:  # ENODEV: the link is gone, and with it what it had
                    failures.append(str(getattr(error, "strerror", None) or error))
    return failures


def _undo(act: Act, runner: StepRunner, remote: str, rebooted: bool) -> None:
    if "rows" not in act:
        inverse = from_json(act["step"]).undo()
        if inverse is not None:
            runner.run(inverse)
        return
    nic, settings = act["rows"], act["before"]
    if rebooted and settings is None:
        _empty_bridge(nic, runner)
    write_rows(nic, settings, remote)
    if settings:  # a bridge that Open vSwitch makes again is down
        runner.run(LinkStep(names.uplink_bridge(nic), up=True, promiscuous=settings["promiscuous"] or None))


def _empty_bridge(nic: str, runner: StepRunner) -> None:
    """Give the NIC what its bridge has: a boot that found the files of the change gave it to the bridge, which is about
    to be removed."""
    try:
        for step in read_and_plan(address_move(names.uplink_bridge(nic), nic)):
            for part in step.parts():
                runner.run(part)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
