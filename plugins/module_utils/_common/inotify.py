# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Learn at once that somebody changed a file, or removed it (inotify(7)), for programs with asyncio's loop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
from enum import IntFlag
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

AGAIN = 30.0  # seconds after which files are looked at without an event, where inotify can't be used
LARGEST_READ = 1 << 16


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
    """Call ``on_change`` whenever something changes in the folders of these files, for ever.

    A folder that does not exist is awaited in the one above it. After an event the caller looks at the files.
    """
    paths = tuple(paths)
    loop = asyncio.get_running_loop()
    while True:
        changed = asyncio.Event()
        handle = _watches({folder for path in paths for folder in _folders(path)})
        if handle is not None:
            loop.add_reader(handle, changed.set)
        try:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), AGAIN)
        finally:
            # New watches for each change: a folder that was removed and made again is another one.
            if handle is not None:
                loop.remove_reader(handle)
                os.close(handle)
        on_change()


def _folders(path: str) -> list[str]:
    """Return the folder of a file, and those above it up to one that exists, which tells of its removal."""
    folder = os.path.dirname(os.path.abspath(path))
    folders = [folder, os.path.dirname(folder)]
    while not os.path.isdir(folders[-1]):
        folders.append(os.path.dirname(folders[-1]))
    return folders


def _watches(folders: Iterable[str]) -> int | None:
    """Return a file that becomes readable when something changes in the folders; None: the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if handle < 0:
        return None
    for folder in sorted(folders):
        libc.inotify_add_watch(handle, os.fsencode(folder), ctypes.c_uint32(CHANGES))
    return handle
