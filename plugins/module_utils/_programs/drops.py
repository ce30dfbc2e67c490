# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``drops``: keep the ingress drops of this host's NICs, which other programs remove together with all of nftables.

Without the drop the host's own stack answers packets that the bridge gets too. The kernel tells of removals, so a drop
is back at once.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import socket
import time
from typing import TYPE_CHECKING

from .._common.errors import HostError, OvnKubernetesError
from .._netlink import nftables_events
from .._netlink.ingress import dropped_nics, keep_drop, kept_nics, restore_drop
from . import log, version

if TYPE_CHECKING:
    from collections.abc import Sequence

LOG = logging.getLogger("ovn-k8s-drops")
CHECK_INTERVAL = 5.0  # seconds without an event until the drops are compared again
GATHER = 0.05  # seconds in which removals gather: all of nftables goes in many events
PATIENCE = 15.0  # seconds without any drop until the program ends; it may start just before the first one


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program until no drop is wanted any more. Return 1 after an error, and when the archive was replaced:
    systemd starts the program again."""
    parser = argparse.ArgumentParser(prog="ovn-k8s-drops", description="Keep the ingress drops of this host's NICs.")
    version.add_option(parser)
    parser.parse_args(arguments or [])
    log.begin()
    archive = getattr(globals().get("__loader__"), "archive", None)
    try:
        return _Keeper(archive).run()
    except OvnKubernetesError as error:
        LOG.error("%s", error)
        return 1


class _Keeper:
    """Keeps the drops.

    :param archive: the file that the program runs from; None: it is not known.
    """

    def __init__(self, archive: str | None) -> None:
        self._archive = archive
        self._replaced = _stamp(archive)
        self._problem = ""

    def run(self) -> int:
        """Compare at each event, and every few seconds; return the exit status."""
        with nftables_events.subscribe() as events:
            if kept_nics() is None:  # those of a release that had no such program
                for nic in dropped_nics():
                    keep_drop(nic)
            last_wanted = time.monotonic()
            while True:
                if self._restore():
                    last_wanted = time.monotonic()
                elif time.monotonic() - last_wanted > PATIENCE:
                    return 0
                if _stamp(self._archive) not in (self._replaced, None):
                    LOG.info("%s was replaced", self._archive)
                    return 1
                if self._wait(events):
                    time.sleep(GATHER)
                    nftables_events.has_removed(events)

    @staticmethod
    def _wait(events: socket.socket) -> bool:
        """Wait for a removal, CHECK_INTERVAL at most; return whether there was one."""
        end = time.monotonic() + CHECK_INTERVAL
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([events], [], [], left)[0]:
                return False
            if nftables_events.has_removed(events):
                return True

    def _restore(self) -> bool:
        """Add the drops that are missing; return whether any is wanted. A NIC that is gone has none."""
        wanted = kept_nics() or frozenset()
        try:
            for nic in sorted(wanted - dropped_nics()) if wanted else ():
                if _exists(nic) and restore_drop(nic):
                    LOG.warning("another program has removed the drop of what %s receives: it is there again", nic)
            self._problem = ""
        except HostError as error:
            if str(error) != self._problem:
                LOG.error("%s; trying again", error)
            self._problem = str(error)
        return bool(wanted)


def _exists(link: str) -> bool:
    """Return whether there is a link of this name, in the network namespace of this thread."""
    try:
        return bool(socket.if_nametoindex(link))
    except OSError:
        return False


def _stamp(path: str | None) -> tuple[int, int] | None:
    """Return what changes when a file is replaced; None where there is none."""
    try:
        found = os.stat(path or "")
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
