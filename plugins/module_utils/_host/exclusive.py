# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run at a time on this host: each waits for the one before it, and says who that is when it takes too long."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError
from .._common.retry import Pause, wait_until
from .ssh import session_peer

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 60.0  # seconds; a run takes longer where services start slowly
POLL = 0.1  # seconds between two tries
LONGEST = 200  # bytes of the file that are read


@contextlib.contextmanager
def exclusive(patience: float = PATIENCE) -> Iterator[None]:
    """Hold this host, flock(2). A process that dies releases it.

    :param patience: seconds to wait for another run.
    :raises HostError: the other one has not ended by then.
    """
    handle = os.open(names.HOST_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if not wait_until(lambda: _is_taken(handle), patience, Pause(POLL)):
            holder = os.pread(handle, LONGEST, 0).decode("ascii", "replace")
            raise HostError(f"another run changes this host{holder}: wait for its end, and run it again")
        os.ftruncate(handle, 0)
        os.pwrite(handle, _who().encode("ascii", "replace"), 0)
        yield
    finally:
        os.close(handle)


def _is_taken(handle: int) -> bool:
    """Take the lock; return whether that was possible."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _who() -> str:
    """Return who this process is, for the sentence of others."""
    peer = session_peer()
    came_from = f", over SSH from {peer}" if peer else ""
    return f" (PID {os.getpid()}{came_from}, since {time.strftime('%H:%M:%S', time.gmtime())} UTC)"
