# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Learn at once that somebody changed a file, or removed it (inotify(7)), for programs with asyncio's loop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import logging
import os
from enum import IntFlag
from typing import TYPE_CHECKING, NamedTuple

from .tasks import tell_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LOG = logging.getLogger(__name__)
AGAIN = 10.0  # seconds after which files are looked at without an event, where inotify can't be used
DEBOUNCE = 0.05  # seconds: a change comes as several events


class In(IntFlag):
    """Events and flags (linux/inotify.h, IN_*)."""

    ATTRIB = 0x004
    CLOSE_WRITE = 0x008
    MOVED_FROM = 0x040
    MOVED_TO = 0x080
    CREATE = 0x100
    DELETE = 0x200
    DELETE_SELF = 0x400
    MOVE_SELF = 0x800
    ONLYDIR = 0x01000000


CHANGES = (
    In.ATTRIB
    | In.CLOSE_WRITE
    | In.MOVED_FROM
    | In.MOVED_TO
    | In.CREATE
    | In.DELETE
    | In.DELETE_SELF
    | In.MOVE_SELF
    | In.ONLYDIR
)


async def watch(paths: Iterable[str], on_change: Callable[[], object]) -> None:
    """Call ``on_change`` once they are watched, and whenever something changes in the folders of these files, for ever.

    A folder that does not exist is awaited in the one above it. After an event the caller looks at the files.
    """
    paths = tuple(paths)
    refused = False
    with contextlib.ExitStack() as stack:
        changed = stack.enter_context(_watched(paths))
        on_change()
        while True:
            if changed.refusal and not refused:
                LOG.warning(
                    "%s can't be watched: %s; looking every %.0f s (sysctl fs.inotify says how many watches there are)",
                    ", ".join(paths),
                    changed.refusal,
                    AGAIN,
                )
            refused = bool(changed.refusal)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.event.wait(), AGAIN)
                await asyncio.sleep(DEBOUNCE)
            # New watches for each change: a folder that was removed and made again is another one. They are there
            # before the caller looks: what changes after that look is an event.
            with stack.pop_all():
                changed = stack.enter_context(_watched(paths))
            on_change()


class _Watched(NamedTuple):
    """Files that are watched.

    :ivar event: set when something has changed.
    :ivar refusal: why the kernel does not watch them, empty: it does.
    """

    event: asyncio.Event
    refusal: str


@contextlib.contextmanager
def _watched(paths: Iterable[str]) -> Iterator[_Watched]:
    """Watch the folders of files."""
    event = asyncio.Event()
    libc = ctypes.CDLL(None, use_errno=True)
    handle: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if handle < 0:
        yield _Watched(event, os.strerror(ctypes.get_errno()))
        return
    loop = asyncio.get_running_loop()
    tell_once(handle, event)
    try:
        refusals = set()
        for path in paths:
            *_lower, top = folders = _folders(path)
            numbers = {folder: _add(libc, handle, folder) for folder in reversed(folders)}
            if numbers[top] in (errno.ENOENT, errno.ENOTDIR):
                event.set()  # it was there a moment ago
            refusals |= set(numbers.values()) - {0, errno.ENOENT, errno.ENOTDIR}
        yield _Watched(event, ", ".join(map(os.strerror, sorted(refusals))))
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def _add(libc: ctypes.CDLL, handle: int, folder: str) -> int:
    """Watch a folder; return why the kernel refuses (errno(3)), 0: it does not."""
    return (
        0 if libc.inotify_add_watch(handle, os.fsencode(folder), ctypes.c_uint32(CHANGES)) >= 0 else ctypes.get_errno()
    )


def _folders(path: str) -> list[str]:
    """Return the folder of a file, and those above it up to one that exists, which tells of its removal."""
    folder = os.path.dirname(os.path.abspath(path))
    folders = [folder, os.path.dirname(folder)]
    while not os.path.isdir(folders[-1]):
        folders.append(os.path.dirname(folders[-1]))
    return folders
