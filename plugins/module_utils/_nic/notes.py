# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Notes on the way back of a change, for where the journal can't be written any more: a full disk, a read-only one.

A full disk gets back the room of a file that is there for nothing else, for the journal itself. Else a note goes into a
file that has its room since the change began, else into a directory in memory.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from .._common.files import FileContent, read_file, remove_file, reserve_file, write_file, write_reserved

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .journal import JournaledChange

NOTED = ("state", "reason", "left")  # what a note says of a change
RESERVED = 4096  # bytes
MOST_TEXT = 600  # characters of a sentence, so that a note has room
ORDER = ("planned", "applying", "applied", "undoing", "confirmed", "undone")  # states; no change goes back in it


class Notes:
    """The notes beside a journal.

    :param directory: of the journal.
    :param spare: a directory in memory; None: there is none.
    """

    def __init__(self, directory: str, spare: str | None) -> None:
        self._reserved = os.path.join(directory, "note")
        self._room = os.path.join(directory, "room")
        self._spare = os.path.join(spare or directory, "uplinks-note")
        self._undone = os.path.join(spare or directory, "uplinks-undone")

    def begin(self, size: int) -> None:
        """Forget the notes on the change before, and reserve room where there is some.

        :param size: of the journal, in bytes.
        """
        for path in (self._spare, self._undone, self._reserved, self._room):
            with contextlib.suppress(OSError):
                remove_file(path)
        with contextlib.suppress(OSError):
            reserve_file(self._reserved, RESERVED)
            reserve_file(self._room, size + RESERVED)

    def release_room(self) -> None:
        """Give the reserved room to whoever writes next."""
        with contextlib.suppress(OSError):
            os.unlink(self._room)

    def write(self, change: JournaledChange) -> None:
        """Note how far the change has got, wherever that is possible."""
        values = {name: getattr(change, name) for name in NOTED}
        cut = {name: value[:MOST_TEXT] if value else None for name, value in values.items()}
        text = json.dumps({"id": change.id, **cut}, sort_keys=True)
        with contextlib.suppress(OSError):
            write_reserved(self._reserved, text)
            return
        with contextlib.suppress(OSError):
            write_file(self._spare, FileContent(text, 0o600))

    def clear(self) -> None:
        """Forget what was noted: the journal itself says more."""
        with contextlib.suppress(OSError):
            write_reserved(self._reserved, "")
        with contextlib.suppress(OSError):
            os.unlink(self._spare)

    def added_to(self, change: JournaledChange) -> JournaledChange:
        """Return the change as the notes say, where they are later than the journal."""
        for path in (self._reserved, self._spare):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
                file = read_file(path)
                noted = json.loads(file.content) if file else {}
                if noted["id"] == change.id and ORDER.index(noted["state"]) >= ORDER.index(change.state):
                    change = replace(change, **{name: noted[name] for name in NOTED})
        return change

    def mark_undone(self, identity: str, indices: Iterable[int]) -> None:
        """Note which acts of a change have been rolled back, so that no manager is told again and again."""
        text = json.dumps({"id": identity, "undone": sorted(indices)})
        with contextlib.suppress(OSError):
            write_file(self._undone, FileContent(text, 0o600))

    def undone(self, identity: str) -> set[int]:
        """Return which acts of a change have been rolled back in this boot, as far as that is known."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            file = read_file(self._undone)
            noted = json.loads(file.content) if file else {}
            return set(noted["undone"]) if noted["id"] == identity else set()
        return set()
