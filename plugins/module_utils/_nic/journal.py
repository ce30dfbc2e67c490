# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One change of this host's NICs, on disk before its first step, so that any later program can take it back.

The journal is one JSON file. It is written whole and durably at each change of its state. The acts that have begun are
counted in a file beside it, which is not synced to disk: it has to outlive processes only, since a boot removes what
the acts did in the kernel anyway.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError
from .._common.files import FileContent, read_file, remove_file, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    # ``{"step": a step in the wire format}``, or ``{"rows": NIC, "before": settings or None, "after": settings or
    # None}``: the rows of the NIC's
    # bridge, with the fields of :class:`.uplink.UplinkSettings`.
    Act = dict[str, Any]

PLANNED = "planned"
APPLYING = "applying"
APPLIED = "applied"  # all is done, and a confirmation is waited for
UNDOING = "undoing"
CONFIRMED = "confirmed"
UNDONE = "undone"
FINAL = (CONFIRMED, UNDONE)


def this_boot() -> str:
    """Return what tells one boot of this host from the next, also where the host is a container."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        kernel = stream.read().strip()
    with open("/proc/1/stat", encoding="utf-8", errors="replace") as stream:
        start_time = stream.read().rpartition(")")[2].split()[19]  # proc_pid_stat(5): starttime
    return f"{kernel}-{start_time}"


@dataclass(frozen=True)
class JournaledChange:
    """A change as the journal has it.

    :ivar id: by which whoever began it knows it again.
    :ivar state: PLANNED, APPLYING, APPLIED, UNDOING, CONFIRMED or UNDONE.
    :ivar boot: the boot in which it began, see :func:`this_boot`.
    :ivar acts: in their order.
    :ivar remote: the host's Open_vSwitch database.
    :ivar timeout: seconds after which it is taken back unless it is confirmed; 0: nobody has to confirm it.
    :ivar asked_by: the process whose answer is to leave the host before the network changes; None: none.
    :ivar reason: why it is taken back.
    """

    id: str
    state: str
    boot: str
    acts: list[Act]
    nics: list[str]
    remote: str
    timeout: int
    asked_by: int | None = None
    reason: str | None = None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> JournaledChange:
        """Return the change; keys that this version does not know are left out.

        :raises TypeError: a key is missing.
        """
        known = {one.name for one in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})

    def to_json(self) -> dict[str, Any]:
        """Return the change without what is None."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @property
    def names(self) -> str:
        """The NICs, for a sentence."""
        return ", ".join(self.nics)


class Journal:
    """The journal in a directory."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.path = os.path.join(directory, "change.json")
        self._marks = os.path.join(directory, "marks")
        self._confirmation = os.path.join(directory, "confirmation")

    @contextlib.contextmanager
    def held(self, wait: bool = False) -> Iterator[bool]:
        """Hold the journal's lock: nobody else works on the change meanwhile. A process that dies releases it.

        :param wait: wait until others have released it.
        :returns: False when another process holds it, and the caller does not.
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

    def read(self) -> JournaledChange | None:
        """Return the last change; None: there never was one.

        :raises HostError: the file was edited.
        """
        file = read_file(self.path)
        if file is None:
            return None
        try:
            return JournaledChange.from_json(json.loads(file.content))
        except (AttributeError, TypeError, ValueError):
            raise HostError(
                f"{self.path} can't be read: look at the network of this host, and remove the file"
            ) from None

    def current(self) -> JournaledChange:
        """Return the change that the caller works on.

        :raises HostError: somebody removed or edited the file.
        """
        change = self.read()
        if change is None:
            raise HostError(f"{self.path} is gone: look at the network of this host")
        return change

    def pending(self) -> JournaledChange | None:
        """Return the last change when it is neither confirmed nor undone, else None."""
        change = self.read()
        return change if change and change.state not in FINAL else None

    def begin(
        self, identity: str, acts: list[Act], nics: list[str], remote: str, timeout: int, asked_by: int | None = None
    ) -> None:
        """Put a new change on disk. The caller holds the journal."""
        for path in (self._marks, self._confirmation):
            remove_file(path)
        self._write(JournaledChange(identity, PLANNED, this_boot(), acts, nics, remote, timeout, asked_by))

    def set_state(self, state: str, reason: str | None = None) -> None:
        """Record how far the change has got.

        :param reason: why it is taken back; None: as before.
        """
        change = self.current()
        self._write(replace(change, state=state, reason=reason or change.reason))

    def mark(self, index: int) -> None:
        """Record that the act of this number begins."""
        with open(self._marks, "a", encoding="ascii") as stream:
            stream.write(f"{index}\n")

    def begun(self) -> int:
        """Return how many acts have begun."""
        marks = read_file(self._marks)
        return max((int(line) + 1 for line in marks.content.split()), default=0) if marks else 0

    def confirm(self, identity: str) -> None:
        """Record that the change is good. Whoever holds the journal will see it."""
        write_file(self._confirmation, FileContent(identity, 0o600))

    def is_confirmed(self, identity: str) -> bool:
        """Return whether somebody has confirmed the change."""
        file = read_file(self._confirmation)
        return file is not None and file.content == identity

    def _write(self, change: JournaledChange) -> None:
        write_file(self.path, FileContent(json.dumps(change.to_json(), indent=1, sort_keys=True) + "\n", 0o600))


def host_journal() -> Journal:
    """Return this host's journal."""
    return Journal(names.JOURNAL_DIRECTORY)
