# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a command ends: what it did, line by line, and 0; or one sentence that says what is wrong, and 1."""

from __future__ import annotations

import os
import sys

from .._common.errors import DatabaseError, HostError, SettingsError

DONE, FAILED = 0, 1
COMPLETE = "Initialization complete."
UNCHANGED = "Nothing to change."
ENABLED = "/etc/systemd/system/multi-user.target.wants/ovn-k8s-host.service"


def answer(command, work, dry_run, complete=COMPLETE, unchanged=COMPLETE):
    """Run ``work(notes)``, which yields results, and say how it went.

    :param notes: list that takes what the user should know.
    :param complete: the last line; ``unchanged``: where nothing differed.
    :returns: the exit status.
    """
    notes, said = [], 0
    try:
        for result in work(notes):
            for item in result.plan:
                said += 1
                _say(item.describe())
                if dry_run:
                    for sign, lines in (("-", item.before()), ("+", item.after())):
                        for line in lines:
                            _say(f"    {sign} {line}")
            notes += result.notes
    except (SettingsError, DatabaseError, HostError, OSError) as exc:
        sys.stderr.write(f"{command}: {exc}\n")
        return FAILED
    for note in dict.fromkeys(notes):
        sys.stderr.write(f"{command}: note: {note}\n")
    if dry_run:
        _say("Nothing was changed (--dry-run)." if said else UNCHANGED)
    else:
        _say(complete if said else unchanged)
    return DONE


def _say(line):
    """At once: who watches wants to see how far it is."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def after_a_boot(notes):
    """Say it where nobody brings back after a boot what was done."""
    if not os.path.exists(ENABLED):
        notes.append("after a boot of this host nobody brings this back yet: run systemctl enable --now ovn-k8s-host")
