# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Delete the chassis of hosts that have come back with another system-id, so that they can register.

The Northbound database decides which they are (:func:`.._topology.chassis.stale`). It runs beside the check of
gateways, in a thread of its own: a Southbound database that does not answer must not hold up that one.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import OvnKubernetesError
from .._common.retry import Pause
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._topology import chassis, report
from .._topology.chassis import NodeChassis
from .._topology.overlay_queries import query_for_main_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .._ovsdb.tls import MaybeTls


LOOK = 5.0  # seconds between two looks
# Seconds until a chassis is deleted that has a node's address or name: the site play writes a host's new system-id a
# moment after the host has it.
GRACE = 10.0
AGAIN = Pause(10.0, longest=600.0)  # seconds between two deletions of a chassis that registers again and again
MOST = 1000  # chassis that are remembered
NODES = (query_for_main_rows("Node"), query_for_main_rows("Gateway"))
LOG = logging.getLogger("ovn-k8s-egress")


class StaleChassis:
    """The deletion.

    :param northbound, southbound: remotes of the databases.
    :param may_act: returns whether this master is the one that acts.
    :param clock: returns the time of a monotonic clock, in seconds.
    :param tls: the files for databases at ``ssl``.
    """

    def __init__(
        self,
        northbound: str,
        southbound: str,
        may_act: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        tls: MaybeTls = None,
    ) -> None:
        self._tls = tls
        self._remotes = {names.NORTHBOUND: northbound, names.SOUTHBOUND: southbound}
        self._may_act = may_act
        self._clock = clock
        self._connections: dict[str, Connection] = {}
        self._current: dict[str, str] = {}  # node -> its system-id
        self._former: dict[str, str] = {}  # system-id -> the node that had it
        self._due: dict[str, float] = {}  # system-id -> when it may be deleted
        self._deletions: dict[str, int] = {}

    def start(self) -> None:
        """Look again and again, for as long as the program runs."""
        threading.Thread(target=self._run, daemon=True, name="stale chassis").start()

    def _run(self) -> None:
        problem = ""
        while True:
            try:
                if self._may_act():
                    self.look()
                    problem = ""
            except Exception as exc:
                if str(exc) != problem:
                    LOG.warning("stale chassis can't be looked for: %s; trying again", exc)
                problem = str(exc)
                self.close()
            time.sleep(LOOK)

    def close(self) -> None:
        """Close the connections. The next look opens them again."""
        while self._connections:
            _database, connection = self._connections.popitem()
            with contextlib.suppress(OSError, OvnKubernetesError):
                connection.close()

    def look(self) -> None:
        """Delete what is stale and due.

        :raises DatabaseError: a database can't be used.
        """
        nodes = [NodeChassis.from_row(row) for row in read_rows(self._connection(names.NORTHBOUND), NODES)]
        self._take_in(nodes)
        southbound = self._connection(names.SOUTHBOUND)
        found = chassis.stale(nodes, report.chassis(read_rows(southbound, report.SOUTHBOUND)), self._former)
        now = self._clock()
        if len(self._deletions) > MOST:
            self._deletions.clear()
        known = {**{one.system_id: now if one.is_former else now + GRACE for one in found}, **self._due}
        kept = {*self._deletions, *(one.system_id for one in found)}
        self._due = {system_id: due for system_id, due in known.items() if system_id in kept}
        due = [one for one in found if self._due[one.system_id] <= now]
        if not due:
            return
        chassis.remove(southbound, [one.system_id for one in due], "ovn-k8s-egress: stale chassis")
        for one in due:
            count = self._deletions.get(one.system_id, 0)
            self._deletions[one.system_id] = count + 1
            self._due[one.system_id] = now + AGAIN.seconds(count)
            why = "was its host before" if one.is_former else "has its name or its tunnel address"
            LOG.warning("chassis %s is deleted: node %s is another one now, and this %s", one.system_id, one.node, why)

    def _take_in(self, nodes: Iterable[NodeChassis]) -> None:
        """Take in which nodes have got another system-id since the last look."""
        if len(self._former) > MOST:
            self._former.clear()
        current = {node.node: node.system_id for node in nodes if node.system_id}
        for name, system_id in current.items():
            before = self._current.get(name, system_id)
            if before != system_id:
                self._former[before] = name
        self._current = current

    def _connection(self, database: str) -> Connection:
        if database not in self._connections:
            self._connections[database] = Connection(self._remotes[database], database, tls=self._tls)
        return self._connections[database]
