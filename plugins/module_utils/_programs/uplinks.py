# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The guarded change of a host's NICs, as systemd runs it: apart from the connection that asked for it.

``uplinks apply`` carries the planned change out and waits for its confirmation; ``uplinks settle`` runs after it, however it ended, and
takes back what nobody has confirmed. systemd runs both again until neither fails: killing them only makes the rollback come sooner.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import select
import time

from .._common.errors import HostError
from .._nic.executor import apply, await_confirmation, settle, the_journal
from .._nic.journal import PLANNED

LOG = logging.getLogger("ovn-k8s-uplinks")
ANSWER = 2.0  # seconds at most for whoever asked to give its answer before the network changes


def main(arguments=None):
    """The program."""
    parser = argparse.ArgumentParser(prog="uplinks", description=__doc__.partition("\n")[0])
    parser.add_argument("action", choices=["apply", "settle"])
    action = parser.parse_args(arguments).action
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    journal = the_journal()
    try:
        with journal.held(wait=True):
            change = journal.pending()
            if change and action == "apply" and change["state"] == PLANNED:
                deadline = time.monotonic() + change["timeout"]
                _await_end(change.get("asked_by"))
                apply(journal)
                LOG.info("done: %s; waiting for the confirmation", ", ".join(change["nics"]))
                await_confirmation(journal, deadline)
            settle(journal)
            if change:
                ended = journal.read()
                LOG.info(
                    "%s", " ".join(filter(None, [ended["state"] + ":", ", ".join(ended["nics"]), ended.get("reason")]))
                )
    except (HostError, OSError) as exc:
        LOG.error("%s", exc)
        return 0 if journal.pending() is None else 1
    return 0


def _await_end(pid):
    """Wait until the process has ended, so that its answer is under way."""
    with contextlib.suppress(OSError, TypeError):
        handle = os.pidfd_open(pid)
        try:
            select.select([handle], [], [], ANSWER)
        finally:
            os.close(handle)
