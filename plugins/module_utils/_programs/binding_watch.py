# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Raise an alarm for ports that are bound where they do not belong (:mod:`.._topology.bindings`): a chassis has claimed
them that is not theirs.

It runs beside the check of gateways, in a thread of its own, and follows both databases while this master is the one
that acts: a look costs what has changed since the last one. A port counts when two looks have found it at the same
chassis: one that moves shows for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import OvnKubernetesError
from .._common.tasks import end
from .._ovsdb.replica import Replica
from .._topology import bindings

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._ovsdb.access import Access
    from .._ovsdb.rows import CurrentRow
    from .._topology.bindings import Misplaced

LOOK = 5.0  # seconds between two looks
IDLE = 1.0  # seconds between two questions whether this master acts
SAID = 20  # ports that one look names in the log; more are counted
LOG = logging.getLogger("ovn-k8s-egress")


class BindingWatch:
    """The looks.

    :param northbound, southbound: where the databases are.
    :param may_act: returns whether this master is the one that acts.
    :param report: takes the number of misplaced ports; None: it is not known here.
    """

    def __init__(
        self,
        northbound: Access,
        southbound: Access,
        may_act: Callable[[], bool],
        report: Callable[[int | None], object],
    ) -> None:
        self._northbound, self._southbound = northbound, southbound
        self._may_act = may_act
        self._report = report

    def start(self) -> None:
        """Look again and again, for as long as the program runs."""
        threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True, name="bindings").start()

    async def run(self) -> None:
        """Follow the databases whenever this master acts, for ever."""
        while True:
            try:
                if self._may_act():
                    await self._follow()
            except (OvnKubernetesError, OSError) as exc:
                LOG.warning("it can't be seen which ports are at other chassis: %s; trying again", exc)
            self._report(None)
            await asyncio.sleep(IDLE)

    async def _follow(self) -> None:
        """Look for as long as this master acts."""
        looks = Looks(self._northbound, self._southbound)
        tasks = [asyncio.create_task(replica.run()) for replica in looks.replicas]
        try:
            with contextlib.suppress(asyncio.TimeoutError):  # the first look is the first value
                await asyncio.wait_for(asyncio.gather(*(replica.ready.wait() for replica in looks.replicas)), LOOK)
            while self._may_act():
                self._report(looks.look())
                await asyncio.sleep(LOOK)
        finally:
            await end(tasks)


class Looks:
    """The copies of both databases, and what the looks at them have found.

    :ivar replicas: the copies, which somebody must run.
    """

    def __init__(self, northbound: Access, southbound: Access) -> None:
        north = Replica(northbound.remote, names.NORTHBOUND, bindings.NORTHBOUND_TABLES, tls=northbound.tls)
        south = Replica(
            southbound.remote,
            names.SOUTHBOUND,
            bindings.SOUTHBOUND_TABLES,
            on_change=self._changed,
            tls=southbound.tls,
        )
        self.replicas = (north, south)
        self._homes: dict[str, str] = {}
        self._all = True  # all ports are to be looked at
        self._ports: set[str] = set()  # UUIDs of ports that are to be looked at
        self._found: dict[str, list[Misplaced]] = {}  # UUID of a port -> what the last look has found
        self._alarms: set[Misplaced] = set()

    def _changed(self, table: str, _before: CurrentRow | None, after: CurrentRow | None) -> None:
        if table == "Chassis":
            self._all = True
        elif after is not None:
            self._ports.add(after.uuid)

    def look(self) -> int | None:
        """Return how many ports are misplaced, and log those that were not before; None: it is not known now."""
        north, south = self.replicas
        if not (north.connected and south.connected):
            return None
        homes = bindings.homes_of(row for rows in north.rows.values() for row in rows.values())
        ports, chassis = south.rows["Port_Binding"], south.rows["Chassis"]
        if self._all or homes != self._homes:
            self._ports = set(ports)
        self._homes, self._all = homes, False
        before = {one for found in self._found.values() for one in found}
        for uuid in self._ports | set(self._found):
            found = list(bindings.of_port(ports[uuid], homes, chassis)) if uuid in ports else []
            if found:
                self._found[uuid] = found
            else:
                self._found.pop(uuid, None)
        self._ports = set()
        self._say({one for found in self._found.values() for one in found if one in before})
        return len(self._alarms)

    def _say(self, alarms: set[Misplaced]) -> None:
        new = sorted(alarms - self._alarms)
        for one in new[:SAID]:
            LOG.error("%s: another host gets its packets; docs/security.md says what follows", one.describe())
        if len(new) > SAID:
            LOG.error("%d more ports are bound to chassis that they do not belong to", len(new) - SAID)
        if self._alarms and not alarms:
            LOG.warning("each port is at its own chassis again")
        self._alarms = alarms
