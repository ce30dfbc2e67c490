# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Work that must not be interrupted, and one at a time for each attachment."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

from ..interface import Attachment

T = TypeVar("T")


async def run_to_end(work: Awaitable[T]) -> T:
    """Return the result of work that can't be interrupted.

    When the caller is cancelled meanwhile, CancelledError is raised only after the work has ended. So whoever cleans up
    then finds all of it.
    """
    task, cancelled = asyncio.ensure_future(work), False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:  # may come several times: the plugin is killed, then the runtime sends DEL
            cancelled = True
    if cancelled:
        if not task.cancelled():
            task.exception()  # mark it as seen
        raise asyncio.CancelledError
    return task.result()


class AttachmentLocks:
    """A lock for each attachment that is worked on."""

    def __init__(self) -> None:
        self._locks: dict[Attachment, asyncio.Lock] = {}
        self._users: dict[Attachment, int] = {}  # who holds the lock, or waits for it

    def __contains__(self, attachment: object) -> bool:
        return attachment in self._locks

    @contextlib.asynccontextmanager
    async def hold(self, attachment: Attachment) -> AsyncIterator[None]:
        """Hold the lock of an attachment."""
        lock = self._locks.setdefault(attachment, asyncio.Lock())
        self._users[attachment] = self._users.get(attachment, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._users[attachment] -= 1
            if not self._users[attachment]:
                del self._users[attachment], self._locks[attachment]
