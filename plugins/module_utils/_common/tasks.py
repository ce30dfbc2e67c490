# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""End asyncio's tasks for certain, and let nothing occupy the loop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable
    from typing import Any, Union

    Readable = Union[int, socket.socket]

T = TypeVar("T")
# Seconds until what has not ended is cancelled again. A task needs less for what it does at its end, which a second
# cancellation would cut off.
AGAIN = 3.0
PIECE = 0.02  # seconds


async def end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel the tasks, and return when all have ended, whatever their results are.

    A cancellation can be lost: before Python 3.12, ``asyncio.wait_for`` returns its result instead, when both come at
    the same moment (CPython issue 86296). Therefore it is repeated.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=AGAIN)
        for task in done:
            if not task.cancelled():
                task.exception()  # asyncio would report one that nobody has asked for


async def collect(items: Iterable[T]) -> list[T]:
    """Return all items of an iterator that computes them; other tasks of the loop have their turn after each
    :data:`PIECE` seconds.
    """
    found, since = [], time.monotonic()
    for item in items:
        found.append(item)
        if time.monotonic() - since > PIECE:
            await asyncio.sleep(0)
            since = time.monotonic()
    return found


def tell_once(file: Readable, event: asyncio.Event) -> None:
    """Set an event when a file can be read, and look at the file no more.

    A reader that stays is called again and again until somebody has read: while others wait for more to come, the loop
    would not rest.
    """
    loop = asyncio.get_running_loop()

    def tell() -> None:
        loop.remove_reader(file)
        event.set()

    loop.add_reader(file, tell)
