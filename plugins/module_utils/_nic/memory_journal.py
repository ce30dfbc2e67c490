# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal where the disk can't be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common import names
from .journal import PLANNED, Journal, JournaledChange, this_boot

if TYPE_CHECKING:
    from .journal import Act


class MemoryJournal(Journal):
    """A journal that this process alone knows: a host gets its addresses at a boot also when its disk is full."""

    def __init__(self) -> None:
        super().__init__(names.RUN_DIRECTORY, names.RUN_DIRECTORY)
        self._change: JournaledChange | None = None

    def read(self) -> JournaledChange | None:
        return self._change

    def mark(self, index: int) -> None:
        return

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
        self._change = JournaledChange(identity, PLANNED, this_boot(), acts, nics, remote, timeout, asked_by)
        return self._change

    def record(self, change: JournaledChange) -> None:
        self._change = change

    def _write(self, change: JournaledChange) -> None:
        self._change = change
