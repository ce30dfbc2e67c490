# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One change of this host, on disk before its first step, so that whoever comes next, after whatever, can take it back.

The journal is one JSON file, written whole and durably at each turn of the change. Steps are marked in a file beside it, without
waiting for the disk: marks have to outlive processes only, since after a boot the kernel's state is gone anyway.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os

from .._common.errors import HostError
from .._common.files import FileContent, read_file, remove_file, write_file

PLANNED, APPLYING, APPLIED, UNDOING, CONFIRMED, UNDONE = (
    "planned",
    "applying",
    "applied",
    "undoing",
    "confirmed",
    "undone",
)
FINAL = (CONFIRMED, UNDONE)


def this_boot():
    """What tells one boot of this host from the next, also where the host is a container."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        kernel = stream.read().strip()
    with open("/proc/1/stat", encoding="utf-8", errors="replace") as stream:
        return "%s-%s" % (kernel, stream.read().rpartition(")")[2].split()[19])  # proc_pid_stat(5): starttime


class Journal:
    """The journal in a directory."""

    def __init__(self, directory):
        self.directory = directory
        self.path = os.path.join(directory, "change.json")
        self._marks = os.path.join(directory, "marks")
        self._confirmation = os.path.join(directory, "confirmation")

    @contextlib.contextmanager
    def held(self, wait=False):
        """Inside, nobody else works on the change; gives False at once when somebody does (``wait``: after they have ended, True).

        A process that dies lets go.
        """
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        handle = os.open(os.path.join(self.directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(handle)

    def read(self):
        """The change, a dict with ``id``, ``state``, ``boot`` and what it began with; None when there never was one."""
        kept = read_file(self.path)
        if kept is None:
            return None
        try:
            return dict(json.loads(kept.content))
        except ValueError:
            raise HostError(
                "%s can't be read: look at the network of this host, and remove the file" % self.path
            ) from None

    def pending(self):
        """The change when it is neither confirmed nor undone, else None."""
        change = self.read()
        return change if change and change["state"] not in FINAL else None

    def begin(self, identity, content):
        """Put a new change on disk; the caller holds the journal."""
        for path in (self._marks, self._confirmation):
            remove_file(path)
        self._write(dict(content, id=identity, state=PLANNED, boot=this_boot()))

    def turn(self, state, **more):
        """The change has got so far."""
        self._write(dict(self.read(), state=state, **more))

    def mark(self, index):
        """The act of that number begins."""
        with open(self._marks, "a", encoding="ascii") as stream:
            stream.write("%d\n" % index)

    def begun(self):
        """How many acts have begun."""
        marks = read_file(self._marks)
        return max((int(line) + 1 for line in marks.content.split()), default=0) if marks else 0

    def confirm(self, identity):
        """Say that this change is good; whoever holds the journal takes note."""
        write_file(self._confirmation, FileContent(identity, 0o600))

    def is_confirmed(self, identity):
        """Whether somebody has said so."""
        found = read_file(self._confirmation)
        return found is not None and found.content == identity

    def _write(self, change):
        write_file(self.path, FileContent(json.dumps(change, indent=1, sort_keys=True) + "\n", 0o600))
