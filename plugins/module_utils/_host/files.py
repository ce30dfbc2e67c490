# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files, written whole or not at all, and the kernel's settings below /proc/sys."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile

from .current import FoundFile

SYSCTLS = "/proc/sys"


def read_file(path):
    """A :class:`.found.FoundFile`, or None. Bytes that are no UTF-8 survive reading and writing."""
    try:
        with open(path, "rb") as stream:
            return FoundFile(
                stream.read().decode("utf-8", "surrogateescape"), os.fstat(stream.fileno()).st_mode & 0o7777
            )
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_file(path, file):
    """Make the file what ``file`` is, and durable: who reads it at any time, even after a power cut, sees the old or the new one."""
    directory = os.path.dirname(path) or "."
    os.makedirs(directory, mode=0o755, exist_ok=True)
    _sweep(directory, path)
    prefix = ".%s.%d." % (os.path.basename(path), os.getpid())
    handle, temporary = tempfile.mkstemp(prefix=prefix, dir=directory)  # mode 0600: a secret is never open to others
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
    _sync(directory)


def remove_file(path):
    """:returns: False when there is none."""
    directory = os.path.dirname(path) or "."
    _sweep(directory, path)
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    _sync(directory)
    return True


def _sweep(directory, path):
    """Remove what others have left who were killed while they wrote the file."""
    left = re.compile(r"\.%s\.(\d+)\.[a-z0-9_]{8}" % re.escape(os.path.basename(path)))
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            written = left.fullmatch(name)
            if written and not os.path.exists("/proc/" + written[1]):
                os.unlink(os.path.join(directory, name))


def _sync(directory):
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_sysctl(parts):
    """A setting's text, or None where the kernel has none of that name."""
    try:
        with open(sysctl_path(parts), encoding="ascii") as stream:
            return stream.read().strip()
    except FileNotFoundError:
        return None


def write_sysctl(parts, value):
    """Set it; :raises OSError: what the kernel answers."""
    handle = os.open(sysctl_path(parts), os.O_WRONLY)
    try:
        os.write(handle, value.encode() + b"\n")
    finally:
        os.close(handle)


def sysctl_path(parts):
    return os.path.join(SYSCTLS, *parts)
