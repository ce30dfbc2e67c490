# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The change of a host's NICs, as systemd runs it: apart from the connection that asked for it.

``uplinks apply`` carries the planned change out and waits for its confirmation. ``uplinks settle`` runs
after it, however it ended, and rolls back what nobody has confirmed. systemd runs both again until neither
fails: a kill only makes the rollback come sooner.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import select
import time
from typing import TYPE_CHECKING

from .._common.errors import OvnKubernetesError
from .._host.drop_watch import start_watch_of_drops
from .._nic.executor import apply, await_confirmation, finish_or_roll_back, is_too_late
from .._nic.journal import PLANNED, host_journal
from . import log, version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._nic.journal import Journal, JournaledChange

LOG = logging.getLogger("ovn-k8s-uplinks")
# "settle" finishes the change or rolls it back. The names never change: modules of other versions start them too.
ACTIONS = ("apply", "settle")
ANSWER_TIMEOUT = 2.0  # seconds for whoever asked to send its answer before the network changes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Return its exit status."""
    parser = argparse.ArgumentParser(prog="ovn-k8s-uplinks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("action", choices=ACTIONS)
    version.add_option(parser)
    action = parser.parse_args(arguments).action
    log.begin()
    journal = host_journal()
    try:
        with journal.held(wait=True):
            change = journal.pending()
            if change and action == "apply" and change.state == PLANNED and not is_too_late(change):
                _apply(journal, change)
            finish_or_roll_back(journal)
            if change:
                ended = journal.current()
                LOG.info("%s", " ".join(filter(None, [f"{ended.state}:", ended.names, ended.reason])))
        start_watch_of_drops()
    except (OvnKubernetesError, OSError) as error:
        LOG.error("%s", error)
        return _is_pending(journal)
    return 0


def _is_pending(journal: Journal) -> int:
    """Return the exit status: 1 lets systemd run this again, since something is left to be rolled back."""
    try:
        return 0 if journal.pending() is None else 1
    except OvnKubernetesError:
        return 1


def _apply(journal: Journal, change: JournaledChange) -> None:
    """Carry out the change, and wait until it is confirmed."""
    deadline = time.monotonic() + change.timeout
    _await_end(change.asked_by)
    applied = apply(journal)
    LOG.info("done: %s; waiting for the confirmation", change.names)
    await_confirmation(journal, applied, deadline)


def _await_end(pid: int | None) -> None:
    """Wait until a process has ended, so that its answer is on the way."""
    if pid is None:
        return
    with contextlib.suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            select.select([handle], [], [], ANSWER_TIMEOUT)
        finally:
            os.close(handle)
