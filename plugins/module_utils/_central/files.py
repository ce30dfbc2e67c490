# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of databases: made beside the old one, and then put in its place. The old one is set aside, and never deleted.

At each moment there is either the old file or the new one, so that ovn-ctl(8), which makes an empty database where
there is none, has no reason to.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from .._common.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    # Runs a command: its arguments; returns its exit status, its output and its error output.
    Run = Callable[[list[str]], tuple[int, str, str]]


def tool(run: Run, *arguments: str) -> str:
    """Return the output of ovsdb-tool(1).

    :raises HostError: with its own words.
    """
    code, out, err = run(["ovsdb-tool", "-vconsole:off", *arguments])
    if code:
        raise HostError(f"ovsdb-tool {' '.join(arguments)} failed: {' '.join((err or out).split())}")
    return out.strip()


def create_cluster(run: Run, file: str, content: str, address: str, timer: int) -> None:
    """Make the file of a cluster of one member in the place of what is there.

    :param content: a schema, or a standalone database, whose rows the cluster gets.
    :param timer: the election timer, milliseconds.
    """
    with new_file(file) as new:
        tool(run, f"--election-timer={timer}", "create-cluster", new, content, address)


def join_cluster(run: Run, file: str, database: str, address: str, remotes: Iterable[str], cluster: str = "") -> None:
    """Make the file of a member that is to join, in the place of what is there.

    :param cluster: the cluster's ID: a server that has another one is not joined.
    """
    identity = [f"--cid={cluster}"] if cluster else []
    with new_file(file) as new:
        tool(run, *identity, "join-cluster", new, database, address, *remotes)


def to_standalone(run: Run, file: str, copy: str) -> None:
    """Write the rows of a clustered database's file to a standalone one."""
    _remove(copy)
    tool(run, "cluster-to-standalone", copy, file)


@contextlib.contextmanager
def new_file(file: str) -> Iterator[str]:
    """Give the path of a new file, which takes the place of the old one when all has gone well."""
    new = f"{file}.new"
    _remove(new)
    try:
        yield new
        set_aside(file, keep=True)
        os.replace(new, file)
    finally:
        _remove(new)
        _remove(lock_of(new))


def set_aside(file: str, keep: bool = False) -> str:
    """Give a file another name beside it, with the time; nothing happens where there is none.

    :param keep: the file keeps its old name too, until another one takes it.
    :returns: the new path, empty: there was no file.
    """
    for number in range(100):
        aside = f"{file}.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}{f'-{number}' if number else ''}"
        try:
            os.link(file, aside)
        except FileExistsError:
            continue
        except FileNotFoundError:
            return ""
        if not keep:
            os.unlink(file)
        return aside
    raise HostError(f"{file} can't be set aside: too many files have its name and this time")


def lock_of(file: str) -> str:
    """Return the file by which ovsdb-server and ovsdb-tool lock a database (ovsdb(7))."""
    folder, name = os.path.split(file)
    return f"{folder}/.{name}.~lock~"


def _remove(path: str) -> None:
    """Remove a file that only this run has made."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
