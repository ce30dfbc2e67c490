# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Daemons of this host that use OVN's databases: whether they are connected, and how they forget a cluster that is no
more.

The log of a cluster that was made anew begins anew. Who has seen a later entry of the one before takes all that it says
for old news ("clustered database server has stale data"), connects again and again, and stays without the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import DatabaseError
from .._common.processes import age
from .._common.retry import Pause, wait_until
from .._ovsdb.control_socket import ask_plainly, process_of

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 5.0  # seconds for a daemon's answer to a command
GLANCE = 1.0  # the same for facts, which every run gathers
# Seconds until a daemon that can connect has done so: it tries again every 8 s at most (RECONNECT_DEFAULT_MAX_BACKOFF
# of Open vSwitch's lib/reconnect.h).
CONNECT_TIME = 12.0
# Seconds until a daemon has had the time to see a cluster, and to lose it: a younger one waits for a database that is
# just being made, and connects by itself.
SETTLED = 60.0
LOOKS = 3  # a server whose data is taken for old news is connected to for some milliseconds of each attempt
PAUSE = Pause(0.3, longest=0.5)


@dataclass(frozen=True)
class Use:
    """A database that a daemon uses: commands of its control socket.

    :ivar question: it says ``connected`` or ``not connected``.
    :ivar reset: the daemon forgets which entry of the cluster's log it has seen.
    """

    daemon: str
    database: str
    question: str
    reset: str


USES = (  # ovn-controller(8), ovn-northd(8)
    Use("ovn-controller", names.SOUTHBOUND, "connection-status", "sb-cluster-state-reset"),
    Use("ovn-northd", names.NORTHBOUND, "nb-connection-status", "nb-cluster-state-reset"),
    Use("ovn-northd", names.SOUTHBOUND, "sb-connection-status", "sb-cluster-state-reset"),
)


def cut_off(directory: str = names.OVN_RUN_DIRECTORY, for_seconds: float = 0.0) -> list[str]:
    """Return the daemons that run here, and say at this moment that they are not connected to a database.

    :param for_seconds: without those that have run for a shorter time.
    """
    found = dict.fromkeys(use.daemon for use in USES if _said(directory, use) == "not connected")
    return [daemon for daemon in found if _age(directory, daemon) >= for_seconds]


def reset(check: bool, database: str = "", directory: str = names.OVN_RUN_DIRECTORY) -> list[str]:
    """Let the daemons of this host forget what they know of the clusters' logs; return what was done.

    A daemon that does not run knows nothing.

    :param database: of whose cluster; empty: of both.
    """
    return [
        f"{use.daemon}: {use.reset}"
        for use in USES
        if database in ("", use.database) and _ask(directory, use.daemon, "version" if check else use.reset) is not None
    ]


def reset_cut_off(
    check: bool, directory: str = names.OVN_RUN_DIRECTORY, patience: float = CONNECT_TIME
) -> tuple[list[str], list[str]]:
    """Let those daemons forget that are not connected, and don't become so by themselves.

    :param patience: seconds that each may take to connect.
    :returns: what was done, and one sentence for each that is not connected even then. That was for nothing, and
        counts as no change.
    """
    done, left = [], []
    for use in USES:
        if _said(directory, use) != "not connected" or _connects(directory, use, patience):
            continue
        if not check:
            _ask(directory, use.daemon, use.reset)
        if check or _connects(directory, use, patience):
            done.append(f"{use.daemon}: {use.reset}")
        else:
            log = f"/var/log/ovn/{use.daemon}.log"
            left.append(f"{use.daemon} is not connected to {use.database}: {log} says why")
    return done, left


def _connects(directory: str, use: Use, patience: float) -> bool:
    """Wait until a daemon is connected, and stays so for a moment; return whether it is."""
    return bool(wait_until(_steadily(lambda: _said(directory, use) != "not connected"), patience, PAUSE))


def _steadily(look: Callable[[], bool]) -> Callable[[], bool]:
    """Return whether the last looks were all good."""
    good = 0

    def looked() -> bool:
        nonlocal good
        good = good + 1 if look() else 0
        return good >= LOOKS

    return looked


def _said(directory: str, use: Use) -> str:
    """Return what a daemon says of its connection; empty: it does not run, or does not say."""
    return (_ask(directory, use.daemon, use.question, GLANCE) or "").strip()


def _age(directory: str, daemon: str) -> float:
    """Return the seconds for which a daemon has run; 0: it has just ended."""
    try:
        return age(process_of(directory, daemon))
    except (OSError, ValueError):
        return 0.0


def _ask(directory: str, daemon: str, question: str, timeout: float = PATIENCE) -> str | None:
    try:
        return ask_plainly(directory, daemon, question, timeout)
    except (OSError, ValueError, DatabaseError):
        return None
