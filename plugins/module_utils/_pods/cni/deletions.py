# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DEL requests that the plugin has left as files, since this server was away."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import NamedTuple

from ..._common.files import read_regular_file
from ..interface import Attachment
from .protocol import LARGEST_REQUEST

UNFINISHED = ".new"  # suffix of a file that the plugin still writes
MOST_REFUSED = 20  # entries that are kept for whoever looks for the reason; they are below /run, in memory


class LeftDeletion(NamedTuple):
    """A request, as it would have come over the socket.

    :ivar problem: why the file can't be read; empty: it can.
    """

    path: str
    payload: bytes
    problem: str = ""

    def remove(self) -> None:
        """Remove the file."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def set_aside(self, directory: str) -> str:
        """Move the file out of the way of the others; return where it is now.

        :raises OSError: it can't be moved.
        """
        os.makedirs(directory, 0o700, exist_ok=True)
        others = sorted((entry.path for entry in os.scandir(directory)), key=lambda path: os.lstat(path).st_ctime_ns)
        for path in others[: max(0, len(others) - MOST_REFUSED + 1)]:
            _remove(path)
        target = os.path.join(directory, os.path.basename(self.path))
        _remove(target)
        os.rename(self.path, target)
        return target


def _remove(path: str) -> None:
    """Remove what is there, whatever it is."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def path_of(directory: str, attachment: Attachment) -> str:
    """Return the file of an attachment's request, as the plugin names it."""
    return os.path.join(directory, f"{attachment.container}/{attachment.ifname}".encode().hex())


def read(directory: str) -> Iterator[LeftDeletion]:
    """Yield the requests in a directory."""
    try:
        paths = [entry.path for entry in os.scandir(directory) if not entry.name.endswith(UNFINISHED)]
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in paths:
        try:
            yield LeftDeletion(path, read_regular_file(path, LARGEST_REQUEST))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as exc:
            yield LeftDeletion(path, b"", str(exc))
