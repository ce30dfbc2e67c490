# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that the controller brings to a host: what differs, and the steps that write it."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .._common.files import FileContent, read_file
from .steps.files import AccessStep, FileStep, NewFolderStep

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .steps.base import Step

# Around a block in a file of others, as ansible.builtin.blockinfile writes them.
BEGIN, END = "# BEGIN ovn.kubernetes\n", "# END ovn.kubernetes\n"
FILE_MODE, SECRET = 0o644, 0o600


@dataclass(frozen=True)
class BroughtFile:
    """A file of which one of the following is desired, or its mode and owner alone, where it is there.

    :ivar content: its text.
    :ivar block: lines of it between our two markers; the rest of the file is somebody else's.
    :ivar source: another file of this host, which it is a copy of. Where it is there it stays as it is.
    :ivar sha256: of its content, which only the controller can bring.
    :ivar mode: its permission bits. None: that of a file that is there stays.
    :ivar absent: it is removed.
    :ivar folder: it is a folder, which is made with this mode.
    """

    path: str
    content: str | None = field(default=None, repr=False)
    block: str | None = None
    source: str | None = None
    sha256: str | None = None
    mode: int | None = None
    absent: bool = False
    folder: bool = False


def missing(files: Iterable[BroughtFile]) -> list[str]:
    """Return the paths of files whose content only the controller has, and that are not here as they should be.

    :raises OSError: a file can't be read.
    """
    return [file.path for file in files if file.sha256 is not None and file.sha256 != _digest(file.path)]


def plan(files: Iterable[BroughtFile]) -> list[Step]:
    """Return the steps that write the files whose content is here, and give files their mode.

    A source that does not exist yet comes with a package: the file is left out.

    :raises OSError: a file can't be read.
    """
    return [step for file in files for step in _plan(file)]


def secret(path: str, text: str) -> list[Step]:
    """Return the steps after which the file is root's alone, and has the text.

    :raises OSError: the file can't be read.
    """
    current = read_file(path)
    if current is None or current.content != text:
        return [FileStep(path, FileContent(text, SECRET), current)]
    return _access(path, SECRET)


def _plan(file: BroughtFile) -> list[Step]:
    if file.absent:
        current = read_file(file.path)
        return [] if current is None else [FileStep(file.path, None, current)]
    if file.folder and not os.path.isdir(file.path):
        return [NewFolderStep(file.path, FILE_MODE if file.mode is None else file.mode)]
    if file.content is None and file.block is None and file.source is None:
        return [] if file.mode is None else _access(file.path, file.mode)
    current = read_file(file.path)
    mode = file.mode if file.mode is not None else current.mode if current else FILE_MODE
    if file.source is not None:
        source = None if current else read_file(file.source)
        return _write(file.path, current, FileContent(source.content, mode)) if source else []
    content = file.content if file.block is None else with_block(current.content if current else "", file.block)
    return _write(file.path, current, FileContent(content or "", mode))


def _write(path: str, current: FileContent | None, desired: FileContent) -> list[Step]:
    return [] if current == desired else [FileStep(path, desired, current)]


def _access(path: str, mode: int) -> list[Step]:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return []
    current = stat.S_IMODE(status.st_mode)
    return [] if (current, status.st_uid) == (mode, 0) else [AccessStep(path, mode, current, status.st_uid)]


def with_block(text: str, block: str) -> str:
    """Return a file's text with our lines in it: in the place of those that are there, else at the end."""
    ours = f"{BEGIN}{block.rstrip()}\n{END}"
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if begin and end:
        return before + ours + after
    return text + ("\n" if text and not text.endswith("\n") else "") + ours


def _digest(path: str) -> str | None:
    file = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            for part in iter(lambda: stream.read(1 << 16), b""):
                file.update(part)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return file.hexdigest()


def from_options(options: dict[str, Any]) -> BroughtFile:
    """Return the file of a module's options, which have the same names; ``mode`` is octal there."""
    mode = options["mode"]
    return BroughtFile(**{**options, "mode": None if mode is None else int(mode, 8)})
