# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Begin a change of NICs, look how far it is, and confirm it over a new connection.

Without the confirmation the host rolls it back: :func:`.executor.finish_or_roll_back`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError
from .._common.failures import Failures
from .._common.retry import Pause, wait_until
from .._common.systemd import is_loaded, start_unit, wait_until_gone
from .executor import finish_or_roll_back, refuse_while_pending
from .journal import APPLIED, UNDOING, UNDONE, boot_time, host_journal
from .outcome import UNKNOWN, Outcome, not_kept
from .reachability import answering_peers, why_unproven

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .plan import Change

MINIMUM_TIMEOUT, MAXIMUM_TIMEOUT = 5, 3600  # seconds: a new connection takes its time, and nobody waits for ever
UNIT_END_TIMEOUT = 10.0  # seconds in which the unit of an earlier change that was killed has its last run
UNIT_GRACE = 5.0  # seconds beyond the time-out before systemd ends a program that hangs
END_TIMEOUT = 30.0  # seconds beyond the time-out in which a change comes to its end
JOURNAL_PAUSE = Pause(0.02)
# Actions of the program ``uplinks``, by the names that all its versions know: the archive on the host may be older than
# this module.
ACTION_APPLY = "apply"
ACTION_SETTLE = "settle"  # finish or roll back


def check_timeout(option: str, seconds: int) -> None:
    """Check a time-out.

    :raises HostError: nobody could confirm in so many seconds, or would wait for so long.
    """
    if not MINIMUM_TIMEOUT <= seconds <= MAXIMUM_TIMEOUT:
        raise HostError(f"{option} {seconds} does not fit: give {MINIMUM_TIMEOUT} to {MAXIMUM_TIMEOUT} seconds")


def begin(
    plan: Callable[[], Change],
    nics: Sequence[str],
    identity: str,
    timeout: int,
    remote: str = names.LOCAL_SOCKET,
    asked_by: int | None = None,
) -> Change:
    """Plan a change, put it on disk, and let systemd carry it out, apart from this process.

    :param plan: makes the change.
    :param identity: by which the caller knows the change again.
    :param timeout: seconds from now until it is rolled back.
    :param asked_by: the process whose answer is to leave the host before the network changes, and by whose like it is
        confirmed (:func:`confirm_if_proven`); None: nobody waits for an answer.
    :returns: the change; without acts nothing was begun.
    :raises HostError: nothing was touched.
    """
    journal = host_journal()
    if is_loaded(names.UPLINKS_UNIT):
        refuse_while_pending(journal)
        if not wait_until_gone(names.UPLINKS_UNIT, UNIT_END_TIMEOUT):
            raise HostError(
                f"{names.UPLINKS_UNIT} of an earlier change has not ended, though that change has: look at it "
                f"(systemctl status {names.UPLINKS_UNIT}), and run this again when systemd does not know it any more"
            )
    if not os.path.exists(names.ARCHIVE):
        raise HostError(
            f"the programs are missing on this host ({names.ARCHIVE}): install them with the role ovn.kubernetes.node"
        )
    with journal.held() as holds:
        if not holds:
            refuse_while_pending(journal)
            raise HostError("another call works on this host's NICs just now: run it again in a moment")
        finish_or_roll_back(journal)  # whoever began it was killed before systemd had taken it over
        change = plan()
        if not change.acts:
            return change
        peers = None if asked_by is None else answering_peers()
        journal.begin(identity, change.acts, list(nics), remote, timeout, asked_by, peers)
        command = [sys.executable, names.ARCHIVE, "uplinks"]
        try:
            start_unit(
                names.UPLINKS_UNIT,
                "Change of this host's NICs, rolled back unless it is confirmed",
                [*command, ACTION_APPLY],
                [*command, ACTION_SETTLE],
                timeout + UNIT_GRACE,
            )
        except HostError as error:
            failures = Failures()
            with failures.collected():
                finish_or_roll_back(journal)
            raise HostError("; ".join(filter(None, [str(error), str(failures)]))) from error
    return change


def look(identity: str) -> Outcome:
    """Return how far the change of that identity has got."""
    change = host_journal().read()
    if not change or change.id != identity:
        return Outcome(UNKNOWN)
    is_back = change.state in (UNDOING, UNDONE)
    return Outcome(change.state, change.reason if is_back else None, change.left if is_back else None)


def confirm(identity: str, timeout: float) -> Outcome:
    """Confirm that the host can be reached with the change, over a connection that was made after it.

    :param timeout: seconds to wait until whoever carries the change out has seen it.
    """
    outcome = look(identity)
    if outcome.awaits_confirmation:
        host_journal().confirm(identity)
        wait_until(lambda: look(identity).is_final, timeout, JOURNAL_PAUSE)
        outcome = look(identity)
    return outcome


def confirm_if_proven(identity: str, timeout: float) -> Outcome:
    """Confirm, as :func:`confirm` does, when it is proven that the host can be reached with the change.

    :returns: how far it is, and why that is not proven.
    """
    change = host_journal().read()
    if change and change.id == identity and change.state == APPLIED:
        reason = why_unproven(change.peers, change.applied_at, boot_time())
        if reason:
            return replace(look(identity), unproven=reason)
    return confirm(identity, timeout)


def wait_for_end(
    identity: str, nics: Sequence[str], timeout: float, is_reachable: Callable[[], bool] | None = None
) -> None:
    """Wait until the change that was begun has been done, and bring it to its end.

    :param is_reachable: called when all is done, again while there is time; once it is true the change is confirmed.
        None: return when all is done, since somebody else will confirm.
    :raises HostError: the change was rolled back.
    """

    def has_ended() -> bool:
        outcome = look(identity)
        if outcome.awaits_confirmation and is_reachable is not None and is_reachable():
            confirm(identity, END_TIMEOUT)
            return True
        return outcome.is_final or bool(outcome.left) or (outcome.awaits_confirmation and is_reachable is None)

    wait_until(has_ended, timeout + END_TIMEOUT, JOURNAL_PAUSE)
    outcome = look(identity)
    if not outcome.is_confirmed and not (outcome.awaits_confirmation and is_reachable is None):
        raise HostError(not_kept(", ".join(nics), outcome))
