# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read files, and write them atomically and durably: readers see the old or the new content, also after a power cut."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FileContent:
    """A file's content and mode.

    :ivar content: text; bytes that are not UTF-8 are kept as surrogates (PEP 383), so that reading and writing
        preserves them.
    :ivar mode: the permission bits, for example 0o644.
    """

    content: str = field(repr=False)
    mode: int


def read_file(path: str) -> FileContent | None:
    """Return the file at ``path``; None when there is none.

    :raises OSError: it can't be read.
    """
    try:
        with open(path, "rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode & 0o7777
            return FileContent(stream.read().decode("utf-8", "surrogateescape"), mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_regular_file(path: str, most: int) -> bytes:
    """Return the content of a file that may be anything: it never waits, and never reads more than it may.

    :param most: bytes.
    :raises OSError: it can't be read, or is a link.
    :raises ValueError: it is no regular file, or larger.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError(f"{path} is no regular file")
        with open(handle, "rb", closefd=False) as stream:
            content = stream.read(most + 1)
    finally:
        os.close(handle)
    if len(content) > most:
        raise ValueError(f"{path} has more than {most} bytes")
    return content


def make_directory(path: str) -> None:
    """Make a folder and those above it that are missing, readable for all whatever the caller's umask is, umask(2).

    :raises OSError: it can't be made.
    """
    missing = []
    while path and not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):  # somebody else has just made it
            os.mkdir(folder)
            os.chmod(folder, 0o755)


def write_file(path: str, file: FileContent) -> None:
    """Replace the file at ``path``, or create it and its folder.

    The content goes to a temporary file first, which has mode 0600 until it is complete. Then it is renamed, rename(2).

    :raises OSError: it can't be written; the old file is unchanged then.
    """
    directory = os.path.dirname(path) or "."
    make_directory(directory)
    _remove_interrupted(directory, path)
    prefix = f".{os.path.basename(path)}.{os.getpid()}."
    handle, temporary = tempfile.mkstemp(prefix=prefix, dir=directory)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(file.content.encode("utf-8", "surrogateescape"))
            os.fchmod(stream.fileno(), file.mode)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_directory(directory)


def reserve_file(path: str, size: int) -> None:
    """Make a file of blanks, in which :func:`write_reserved` has room also when there is none left on the disk.

    :param size: bytes.
    :raises OSError: there is no room now.
    """
    write_file(path, FileContent(" " * size, 0o600))


def write_reserved(path: str, text: str) -> None:
    """Write a text over a reserved file, as far as it has room, and blanks over the rest.

    :raises OSError: there is no such file, or it can't be written.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(handle).st_size
        os.pwrite(handle, text.encode("utf-8", "replace")[:size].ljust(size), 0)
        os.fsync(handle)
    finally:
        os.close(handle)


def keep_second_name(path: str) -> None:
    """Give the file at ``path`` a second name, link(2), by which it is there also after another one has replaced it.

    Where the file system has no such names, there is none.
    """
    forget_second_name(path)
    with contextlib.suppress(OSError):
        os.link(path, _second_name(path))


def restore_second_name(path: str, file: FileContent) -> bool:
    """Put a file back by its second name. That needs no room on the disk.

    :param file: what it has to be.
    :returns: False when there is no such file.
    :raises OSError: the folder can't be written.
    """
    second = _second_name(path)
    if read_file(second) != file:
        return False
    os.rename(second, path)
    _sync_directory(os.path.dirname(path) or ".")
    return True


def forget_second_name(path: str) -> None:
    """Remove the second name of a file, where there is one and it can be removed."""
    with contextlib.suppress(OSError):
        os.unlink(_second_name(path))


def _second_name(path: str) -> str:
    """Return a name beside the file that no program reads: hidden, and without the file's suffix."""
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name}.ovn-kubernetes-before")


def remove_file(path: str) -> bool:
    """Remove the file at ``path``.

    :returns: False when there is none.
    :raises OSError: it can't be removed.
    """
    directory = os.path.dirname(path) or "."
    _remove_interrupted(directory, path)
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    _sync_directory(directory)
    return True


def _remove_interrupted(directory: str, path: str) -> None:
    """Remove temporary files for ``path`` whose writer was killed: no process has the PID in their name any more."""
    temporary = re.compile(rf"\.{re.escape(os.path.basename(path))}\.(\d+)\.[a-z0-9_]{{8}}")
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            match = temporary.fullmatch(name)
            if match and not _runs(int(match[1])):
                os.unlink(os.path.join(directory, name))


def _runs(process: int) -> bool:
    """Return whether there is a process, kill(2). A unit with ProtectProc=invisible does not see others below /proc."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it may not be ours to signal
        return True
    return True


def _sync_directory(directory: str) -> None:
    """Make a rename or a removal in the folder durable, fsync(2)."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
