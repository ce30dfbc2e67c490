# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a command ends: with what it did, line by line, and 0; or with one sentence that says what is wrong, and 1."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .._common.errors import OvnKubernetesError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .._common.result import Operation, Result

DONE, FAILED = 0, 1
COMPLETE = "Initialization complete."
UNCHANGED = "Nothing to change."
ENABLED = "/etc/systemd/system/multi-user.target.wants/ovn-k8s-host.service"


def run_command(
    command: str,
    work: Callable[[list[str]], Iterable[Result]],
    dry_run: bool,
    complete: str = COMPLETE,
    unchanged: str = COMPLETE,
) -> int:
    """Run ``work(notes)``, print its results, and return the exit status.

    :param command: the command, for errors and notes.
    :param work: gets a list for sentences that the user should read, returns one result for each part.
    :param complete: the last line.
    :param unchanged: the last line where nothing differed.
    """
    notes: list[str] = []
    changes = 0
    try:
        for result in work(notes):
            for operation in result.plan:
                changes += 1
                _print_operation(operation, dry_run)
            notes += result.notes
    except (OvnKubernetesError, OSError) as exc:
        sys.stderr.write(f"{command}: {exc}\n")
        return FAILED
    for note in dict.fromkeys(notes):
        sys.stderr.write(f"{command}: note: {note}\n")
    if dry_run:
        _print("Nothing was changed (--dry-run)." if changes else UNCHANGED)
    else:
        _print(complete if changes else unchanged)
    return DONE


def _print_operation(operation: Operation, with_diff: bool) -> None:
    """Print one operation of the plan; ``with_diff``: with its lines before and after."""
    _print(operation.describe())
    if with_diff:
        for sign, lines in (("-", operation.before()), ("+", operation.after())):
            for line in lines:
                _print(f"    {sign} {line}")


def _print(line: str) -> None:
    """Print a line at once, so that the user sees the progress."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def note_disabled_unit(notes: list[str]) -> None:
    """Add a note where the unit that brings the host's part back after a boot is not enabled."""
    if not os.path.exists(ENABLED):
        notes.append("nothing restores this after a boot of this host yet: run systemctl enable --now ovn-k8s-host")
