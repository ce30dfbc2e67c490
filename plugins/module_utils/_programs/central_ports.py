# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``central_ports``: keep the nftables table before the ports of this master's databases, as its file has it. Other
programs remove it together with all of nftables, and people change it.

The kernel tells of removals, so the table is back at once; a change is put right within seconds.
"""

from __future__ import annotations

import argparse
import logging
import select
import time
from typing import TYPE_CHECKING

from .._common.errors import HostError, OvnKubernetesError
from .._common.retry import Pause
from .._host import central_ports
from .._netlink import nftables_events, nftables_table
from . import log, version
from .daemon import stamp

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

LOG = logging.getLogger("ovn-k8s-central-ports")
CHECK_INTERVAL = 5.0  # seconds without an event until the table is compared again
GATHER = 0.05  # seconds in which removals gather: all of nftables goes in many events
# Before the table is written once more that was not found as it was written: another program takes it away as often, or
# this nft lists it in other words. What is written is an event itself.
AGAIN = Pause(GATHER, longest=1.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program until no table is wanted any more. Return 1 after an error, and when the archive was replaced:
    systemd starts the program again."""
    description = "Keep the table before the ports of this master's databases."
    parser = argparse.ArgumentParser(prog="ovn-k8s-central-ports", description=description)
    version.add_option(parser)
    parser.parse_args(arguments or [])
    log.begin()
    archive = getattr(globals().get("__loader__"), "archive", None)
    try:
        return _keep(archive)
    except OvnKubernetesError as error:
        LOG.error("%s", error)
        return 1


def _keep(archive: str | None) -> int:
    """Compare at each event, and every few seconds; return the exit status."""
    begun = stamp(archive) if archive else None
    problem, restored = "", 0
    with nftables_events.subscribe() as events:
        while True:
            desired = central_ports.saved_objects()
            if not desired:
                return 0
            try:
                restored = restored + 1 if restore(desired, restored) else 0
                problem = ""
                if not central_ports.saved_objects():  # it was removed meanwhile
                    nftables_table.run(nftables_table.replacement(central_ports.FAMILY, central_ports.TABLE, []))
                    return 0
            except HostError as error:
                if str(error) != problem:
                    LOG.error("%s; trying again", error)
                problem = str(error)
            if archive and stamp(archive) not in (begun, None):
                LOG.info("%s was replaced", archive)
                return 1
            if _wait(events):
                time.sleep(AGAIN.seconds(restored))
                nftables_events.has_removed(events, nftables_events.NFPROTO_INET)


def restore(desired: list[nftables_table.Object], restored: int = 0) -> bool:
    """Put the table right where it is not as its file has it; return whether it was not.

    :param restored: how often in a row it was put right before.
    :raises HostError: nftables refuses.
    """
    current = nftables_table.read_table(central_ports.FAMILY, central_ports.TABLE)
    if current == desired:
        return False
    what = "changed" if current else "removed"
    nftables_table.run(nftables_table.replacement(central_ports.FAMILY, central_ports.TABLE, desired))
    if restored == 0:
        LOG.warning("another program has %s the nftables table %s: it is there again", what, central_ports.TABLE)
    elif restored == 1:
        LOG.error("the nftables table %s is %s again and again: it is put right each time", central_ports.TABLE, what)
    return True


def _wait(events: socket.socket) -> bool:
    """Wait for a removal, CHECK_INTERVAL at most; return whether there was one."""
    end = time.monotonic() + CHECK_INTERVAL
    while True:
        left = end - time.monotonic()
        if left <= 0 or not select.select([events], [], [], left)[0]:
            return False
        if nftables_events.has_removed(events, nftables_events.NFPROTO_INET):
            return True
