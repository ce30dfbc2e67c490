# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A change of NICs that is taken back unless somebody confirms it over a new connection: begin, look, confirm."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass

from .._common import names
from .._common.errors import HostError
from .._common.systemd import is_loaded, start_unit, wait_until_gone
from .executor import refuse_while_pending, settle, the_journal
from .journal import APPLIED, CONFIRMED, FINAL, UNDONE

MINIMUM_TIMEOUT, MAXIMUM_TIMEOUT = 5, 3600  # seconds: a new connection takes its time, and nobody waits for ever
ENDING = 10.0  # seconds in which the unit of an earlier change that was killed has its last run
GRACE = 5.0  # seconds over the time-out before systemd ends a program that hangs
LOOK = 0.02  # seconds between two looks at the journal
PATIENCE = 30.0  # seconds over the time-out in which a change comes to its end
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Outcome:
    """How far a change has got: a state of :mod:`._nic.journal`, or UNKNOWN; ``reason`` says why it was taken back."""

    state: str
    reason: str | None = None

    @property
    def final(self):
        """Whether nothing more will happen."""
        return self.state in FINAL

    @property
    def waits(self):
        """Whether all is done, and a confirmation is waited for."""
        return self.state == APPLIED

    @property
    def good(self):
        """Whether it stays."""
        return self.state == CONFIRMED


def check_timeout(what, seconds):
    """:raises HostError: when nobody could confirm in so many seconds, or would wait for so long."""
    if not MINIMUM_TIMEOUT <= seconds <= MAXIMUM_TIMEOUT:
        raise HostError(f"{what} {seconds} does not fit: give {MINIMUM_TIMEOUT} to {MAXIMUM_TIMEOUT} seconds")


def begin(plan, nics, identity, timeout, remote=names.LOCAL_SOCKET, asked_by=None):
    """Plan the change, put it on disk, and let systemd carry it out, apart from this process.

    :param plan: makes the :class:`.plan.Change`.
    :param identity: by which the caller knows the change again.
    :param timeout: seconds from now until it is taken back.
    :param asked_by: the number of the process whose answer is to leave before the network changes; None: this one does not wait for anything.
    :returns: the change; without acts nothing was begun.
    :raises HostError: nothing was touched.
    """
    journal = the_journal()
    if is_loaded(names.UPLINKS_UNIT):
        refuse_while_pending(journal)
        wait_until_gone(names.UPLINKS_UNIT, ENDING)
    if not os.path.exists(names.ARCHIVE):
        raise HostError(
            f"the programs are missing on this host ({names.ARCHIVE}): install them with the role ovn.kubernetes.node"
        )
    with journal.held() as mine:
        if not mine:
            refuse_while_pending(journal)
            raise HostError("another call works on this host's NICs just now: run it again in a moment")
        settle(journal)  # whoever began it was killed before systemd had taken it over
        change = plan()
        if not change.acts:
            return change
        journal.begin(
            identity,
            {"acts": change.acts, "nics": list(nics), "remote": remote, "timeout": timeout, "asked_by": asked_by},
        )
        command = [sys.executable, names.ARCHIVE, "uplinks"]
        try:
            start_unit(
                names.UPLINKS_UNIT,
                "Change of this host's NICs, taken back unless it is confirmed",
                [*command, "apply"],
                [*command, "settle"],
                timeout + GRACE,
            )
        except HostError:
            settle(journal)
            raise
    return change


def look(identity):
    """How far the change of that identity has got."""
    change = the_journal().read()
    if not change or change["id"] != identity:
        return Outcome(UNKNOWN)
    return Outcome(change["state"], change.get("reason") if change["state"] == UNDONE else None)


def confirm(identity, patience):
    """Say that the host can be reached with the change; over a connection that was made after it.

    :param patience: seconds to wait until whoever carries the change out has taken note.
    """
    outcome, deadline = look(identity), time.monotonic() + patience
    if outcome.waits:
        the_journal().confirm(identity)
        while not outcome.final and time.monotonic() < deadline:
            time.sleep(LOOK)
            outcome = look(identity)
    return outcome


def see_through(identity, nics, timeout, proof=None):
    """Wait until the change that was begun has been done, and bring it to its end.

    :param proof: asked when all is done, again and again while there is time, whether the host can be reached: then the change is confirmed.
        None: all is done, and it is for somebody else to say.
    :raises HostError: in one sentence, once the host has what it had before.
    """
    outcome, deadline = look(identity), time.monotonic() + timeout + PATIENCE
    while not outcome.final and time.monotonic() < deadline:
        if outcome.waits and proof is None:
            return
        if outcome.waits and proof():
            outcome = confirm(identity, PATIENCE)
            break
        time.sleep(LOOK)
        outcome = look(identity)
    if not outcome.good:
        raise HostError(
            f"{', '.join(nics)}: the change was taken back, and the host has what it had before: {outcome.reason or outcome.state}"
        )
