# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Carry out a change of this host from its journal, or take it back: whoever does it, and however often it is begun.

Every act and every inverse may be done twice: what is so already stays so. So a change can be taken back without knowing whether
its last act had been done when the process that did it was killed.
"""

from __future__ import annotations

import time
import uuid

from .._common import names
from .._common.errors import Conflict, DatabaseError, Disconnected, HostError, RollbackFailed
from .._host.apply import StepRunner
from .._host.read import read_and_plan
from .._host.rows import LocalRows
from .._host.steps.files import FileStep
from .._host.steps.links import LinkStep
from .._host.vswitchd import commit, wait_for_vswitchd
from .._ovsdb.connection import Connection
from .._ovsdb.converge import plan_rows
from .._ovsdb.transaction import operations
from . import journal as journals
from . import uplink as policy
from .journal import APPLIED, APPLYING, CONFIRMED, PLANNED, UNDOING, UNDONE, Journal
from .serialize import from_json
from .steps import HandoverStep, address_move

PATIENCE = 5.0  # seconds for a link that ovs-vswitchd is about to make
NO_LINK = 19  # ENODEV: what it was on has gone too
LOOK = 0.05  # seconds between two looks for the confirmation


def the_journal():
    """This host's journal."""
    return Journal(names.JOURNAL_DIRECTORY)


def refuse_while_pending(journal):
    """:raises HostError: while another change has not come to its end."""
    pending = journal.pending()
    if pending:
        raise HostError(
            "another change of this host's NICs is under way ({}): wait until it is confirmed or taken back, {} s at most".format(
                ", ".join(pending["nics"]), pending["timeout"]
            )
        )


def at_once(journal, plan, nics, remote=names.LOCAL_SOCKET):
    """Carry out a change here and now, without anybody who must confirm it.

    :param plan: makes the :class:`.plan.Change`, once nobody else works on this host's NICs.
    :returns: it. :raises HostError: after all has been taken back.
    """
    with journal.held(wait=True):
        settle(journal)
        change = plan()
        if change.acts:
            journal.begin(uuid.uuid4().hex, {"acts": change.acts, "nics": list(nics), "remote": remote, "timeout": 0})
            apply(journal)
            journal.turn(CONFIRMED)
    return change


def finish(journal):
    """Wait until nobody works on a change, and take it back when it was left half-way."""
    if journal.pending():
        with journal.held(wait=True):
            settle(journal)


def apply(journal):
    """Do all acts; the caller holds the journal. :raises HostError: one sentence; all has been taken back then."""
    change = journal.read()
    journal.turn(APPLYING)
    index = 0
    try:
        with StepRunner(PATIENCE) as hands:
            for index, act in enumerate(change["acts"]):
                journal.mark(index)
                _do(act, hands, change["remote"])
    except (OSError, HostError, DatabaseError) as error:
        act = change["acts"][index]
        reason = (
            from_json(act["step"]).failure(error)
            if "step" in act and not isinstance(error, DatabaseError)
            else str(error)
        )
        try:
            settle(journal, reason)
        except HostError as left:
            raise RollbackFailed(f"{reason}; {left}: run it again when that is mended") from error
        raise HostError(reason) from error
    journal.turn(APPLIED)


def await_confirmation(journal, deadline):
    """Wait until somebody confirms the applied change; ``deadline``: of time.monotonic(). Nobody did: all is taken back."""
    identity = journal.read()["id"]
    while time.monotonic() < deadline and not journal.is_confirmed(identity):
        time.sleep(LOOK)
    settle(journal)


def settle(journal, reason=None):
    """Bring a change to its end: confirmed where somebody confirmed it, else all is taken back. The caller holds the journal.

    :param reason: why it is taken back, for the user.
    :raises HostError: when something can't be taken back now; once more later does no harm.
    """
    change = journal.pending()
    if change is None:
        return
    if change["state"] == APPLIED and journal.is_confirmed(change["id"]):
        journal.turn(CONFIRMED)
        return
    reason = reason or change.get("reason") or _why(change)
    rebooted = change["boot"] != journals.this_boot()
    acts = change["acts"]
    if not rebooted:
        acts = acts[: journal.begun()]
    journal.turn(UNDOING, reason=reason)
    failed = []
    with StepRunner(0) as hands:
        for act in reversed(acts):
            # After a boot the kernel has nothing of it; whoever configures the NICs has given them what they have, and may have to do it again.
            if rebooted and "step" in act and not isinstance(from_json(act["step"]), (FileStep, HandoverStep)):
                continue
            failed += _undo(act, hands, change["remote"], rebooted)
    if failed:
        raise HostError("not all could be taken back: %s" % "; ".join(failed))
    journal.turn(UNDONE)


def _why(change):
    if change["state"] == APPLIED:
        return "nobody confirmed over a new connection within {} s that the host can be reached".format(
            change["timeout"]
        )
    if change["state"] == PLANNED:
        return "the change was stopped before its first step"
    return "the program that carried it out was stopped half-way"


def _do(act, hands, remote):
    if "rows" in act:
        _write_rows(act["rows"], act["after"], remote)
    else:
        hands.run(from_json(act["step"]))


def _undo(act, hands, remote, rebooted):
    """Take one act back; :returns: what failed, as texts. Whatever it is, a fault of our own too, must not keep the other acts from being taken back."""
    try:
        if "rows" in act:
            if rebooted and act["before"] is None:
                _empty_bridge(act["rows"], hands)
            _write_rows(act["rows"], act["before"], remote)
            if act["before"]:  # a bridge that Open vSwitch makes again is down
                hands.run(
                    LinkStep(
                        names.uplink_bridge(act["rows"]), up=True, promiscuous=act["before"]["promiscuous"] or None
                    )
                )
            return []
        step = from_json(act["step"]).undo()
        if step is not None:
            hands.run(step)
    except Exception as error:
        if getattr(error, "errno", None) != NO_LINK:
            return [getattr(error, "strerror", None) or str(error)]
    return []


def _empty_bridge(nic, hands):
    """Give the NIC what its bridge has: a boot that found the files of the change gave it to the bridge, which is about to go."""
    try:
        for step in read_and_plan(address_move(names.uplink_bridge(nic), nic)):
            for part in step.parts():
                hands.run(part)
    except OSError as error:
        if error.errno != NO_LINK:
            raise


def _write_rows(nic, settings, remote):
    """Make the uplink's rows what the settings say, and wait until Open vSwitch has taken it over."""
    subject = LocalRows(policy.owner(nic), tuple(policy.rows(policy.UplinkHost(**settings) if settings else None)))
    connection, lost = Connection(remote, names.LOCAL), False
    try:
        while True:
            try:
                plan = plan_rows(connection, subject)
                if not plan.changes and not lost:
                    return
                next_cfg = commit(connection, operations(plan, f"ovn.kubernetes: uplink {nic}"))
                wait_for_vswitchd(connection, subject, next_cfg)
                return
            except Conflict:
                continue  # somebody else wrote meanwhile: look again
            except Disconnected:
                if lost:
                    raise
                lost = True
                connection.reopen()
    finally:
        connection.close()
