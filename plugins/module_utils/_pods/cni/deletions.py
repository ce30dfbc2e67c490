# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DEL requests that the plugin has left as files, since this server was away."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

UNFINISHED = ".new"  # suffix of a file that the plugin still writes


class LeftDeletion(NamedTuple):
    """A request, as it would have come over the socket."""

    path: str
    payload: bytes

    def remove(self) -> None:
        """Remove the file."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def read(directory: str) -> Iterator[LeftDeletion]:
    """Yield the requests in a directory."""
    try:
        paths = [entry.path for entry in os.scandir(directory) if not entry.name.endswith(UNFINISHED)]
    except FileNotFoundError:
        return
    for path in paths:
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as stream:
            yield LeftDeletion(path, stream.read())
