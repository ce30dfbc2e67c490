# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One change of this host's NICs, on disk before its first step, so that any later program can take it back.

The journal is one JSON file. It is written whole and durably at each change of its state. The acts that have begun are
counted in a file beside it, which is not synced to disk: it has to outlive processes only, since a boot removes what
the acts did in the kernel anyway.

The way there fails when it can't be recorded. The way back does not: what can't be recorded becomes a note, where there
is room for one (:mod:`.notes`).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError
from .._common.failures import sentence
from .._common.files import FileContent, read_file, remove_file, reserve_file, write_file, write_reserved
from .._common.processes import START_TIME, stat
from .notes import Notes

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
    return f"{kernel}-{stat(1)[START_TIME]}"


def boot_time() -> float:
    """Return the seconds since the boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class JournaledChange:
    """A change as the journal has it.

    :ivar id: by which whoever began it knows it again.
    :ivar state: PLANNED, APPLYING, APPLIED, UNDOING, CONFIRMED or UNDONE.
    :ivar boot: the boot in which it began, see :func:`this_boot`.
    :ivar acts: in their order.
    :ivar remote: the host's Open_vSwitch database.
    :ivar timeout: seconds after which it is rolled back unless it is confirmed; 0: nobody has to confirm it.
    :ivar asked_by: the process whose answer is to leave the host before the network changes; None: none.
    :ivar reason: why it is rolled back.
    :ivar peers: those that answered this host before it: name -> address; None: nobody asks them.
    :ivar planned_at, applied_at: when it was put on disk, and when all was done, in seconds of CLOCK_BOOTTIME,
        clock_gettime(2).
    :ivar left: what could not be rolled back yet, and why; None: nothing.
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
    left: str | None = None
    peers: dict[str, str] | None = None
    applied_at: float | None = None
    planned_at: float | None = None

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
    """The journal in a directory.

    :param spare: a directory in memory for notes; None: there is none.
    """

    def __init__(self, directory: str, spare: str | None = None) -> None:
        self.directory = directory
        self.path = os.path.join(directory, "change.json")
        self.notes = Notes(directory, spare)
        self._marks = os.path.join(directory, "marks")
        self._confirmation = os.path.join(directory, "confirmation")

    @contextlib.contextmanager
    def held(self, wait: bool = False) -> Iterator[bool]:
        """Hold the journal's lock: nobody else works on the change meanwhile. A process that dies releases it.

        :param wait: wait until others have released it.
        :returns: False when another process holds it, and the caller does not.
        :raises HostError: there is no lock, and none can be made.
        """
        handle = self._open_lock()
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(handle)

    def _open_lock(self) -> int:
        path = os.path.join(self.directory, "lock")
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            with contextlib.suppress(OSError):  # flock(2) needs no more than to read, where nothing can be written
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            raise HostError(f"{path} can't be made: {sentence(error)}") from error

    def read(self) -> JournaledChange | None:
        """Return the last change; None: there never was one.

        :raises HostError: the file was edited, or can't be read.
        """
        try:
            file = read_file(self.path)
            return self.notes.added_to(JournaledChange.from_json(json.loads(file.content))) if file else None
        except OSError as error:
            raise HostError(f"{self.path} can't be read: {sentence(error)}") from error
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
        self,
        identity: str,
        acts: list[Act],
        nics: list[str],
        remote: str,
        timeout: int,
        asked_by: int | None = None,
        peers: dict[str, str] | None = None,
    ) -> JournaledChange:
        """Put a new change on disk. The caller holds the journal.

        :raises HostError: it can't be written; nothing was touched.
        """
        values = (identity, PLANNED, this_boot(), acts, nics, remote, timeout, asked_by)
        change = JournaledChange(*values, peers=peers, planned_at=boot_time())
        with self._writing():
            remove_file(self._marks)
            remove_file(self._confirmation)
            self._write(change)
        with contextlib.suppress(OSError):
            reserve_file(self._confirmation, len(identity))
        self.notes.begin(len(_text(change)))
        return change

    def set_state(self, state: str) -> JournaledChange:
        """Record how far the change has got, on the way there.

        :raises HostError: that can't be written.
        """
        change = replace(self.current(), state=state)
        if state == APPLIED:
            change = replace(change, applied_at=boot_time())
        with self._writing():
            self._write(change)
        return change

    def record(self, change: JournaledChange) -> None:
        """Record how far a change has got, on the way back, wherever there is room for it."""
        for _attempt in range(2):
            with contextlib.suppress(OSError):
                self._write(change)
                self.notes.clear()
                return
            self.notes.release_room()
        self.notes.write(change)

    def mark(self, index: int) -> None:
        """Record that the act of this number begins.

        :raises HostError: that can't be written.
        """
        with self._writing(), open(self._marks, "a", encoding="ascii") as stream:
            stream.write(f"{index}\n")

    def begun(self) -> int:
        """Return how many acts have begun.

        :raises HostError: that can't be read.
        """
        try:
            marks = read_file(self._marks)
            return max((int(line) + 1 for line in marks.content.split()), default=0) if marks else 0
        except (OSError, ValueError) as error:
            raise HostError(f"{self._marks} can't be read: {sentence(error)}") from error

    def confirm(self, identity: str) -> None:
        """Record that the change is good. Whoever holds the journal will see it.

        :raises HostError: that can't be written.
        """
        with self._writing():
            try:
                write_reserved(self._confirmation, identity)
            except FileNotFoundError:
                write_file(self._confirmation, FileContent(identity, 0o600))

    def is_confirmed(self, identity: str) -> bool:
        """Return whether somebody has confirmed the change."""
        with contextlib.suppress(OSError):
            file = read_file(self._confirmation)
            return file is not None and file.content == identity
        return False

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HostError(
                f"the change of this host's NICs can't be recorded in {self.directory} ({sentence(error)}): "
                "see that there is room, and that files can be written there"
            ) from error

    def _write(self, change: JournaledChange) -> None:
        write_file(self.path, FileContent(_text(change), 0o600))


def _text(change: JournaledChange) -> str:
    return json.dumps(change.to_json(), indent=1, sort_keys=True) + "\n"


def host_journal() -> Journal:
    """Return this host's journal."""
    return Journal(names.JOURNAL_DIRECTORY, names.RUN_DIRECTORY)
