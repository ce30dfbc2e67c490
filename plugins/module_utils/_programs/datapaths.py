# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What hosts' ovn-controllers say in the Southbound database: whether they have the userspace datapath, and up to which
number of the Northbound database's (nb_cfg) all is in force there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .._common import names
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow

if TYPE_CHECKING:
    from .._ovsdb.tls import MaybeTls

CONFIGURED, GLOBAL = "Chassis_Private", "SB_Global"
TYPE, USERSPACE = "datapath-type", "netdev"  # ovn-sb(5), other_config of Chassis; ovs-vswitchd.conf.db(5), Bridge


class Datapaths:
    """The datapaths of all hosts.

    :param southbound: where the Southbound database is. While it is away, what was read counts.
    :param tls: the files for a database at ``ssl``.
    :param on_change: called with whether a host has the userspace datapath, when that changes.
    :param on_number: called with the nb_cfg that northd has written, together with all before it.
    :param on_applied: called with a chassis and its nb_cfg when that changes; None: the chassis is gone.
    """

    def __init__(
        self,
        southbound: str,
        on_change: Callable[[bool], object],
        tls: MaybeTls = None,
        on_applied: Callable[[str, int | None], object] = lambda chassis, number: None,
        on_number: Callable[[int], object] = lambda number: None,
    ) -> None:
        self._replica = Replica(
            southbound,
            names.SOUTHBOUND,
            {"Chassis": ("name", "other_config"), CONFIGURED: ("name", "nb_cfg"), GLOBAL: ("nb_cfg",)},
            on_change=self._changed,
            tls=tls,
        )
        self._on_applied = on_applied
        self._on_number = on_number
        self._on_change = on_change
        self._userspace: set[str] = set()  # chassis

    async def run(self) -> None:
        """Follow the database for ever."""
        await self._replica.run()

    @property
    def count(self) -> int:
        """How many chassis there are."""
        return len(self._replica.rows[CONFIGURED])

    def _changed(self, table: str, old: CurrentRow | None, new: CurrentRow | None) -> None:
        if table == GLOBAL:
            if new is not None:
                self._on_number(new.columns["nb_cfg"])
            return
        if table == CONFIGURED:
            if new is not None:
                self._on_applied(new.name or "", new.columns["nb_cfg"])
            elif old is not None:
                self._on_applied(old.name or "", None)
            return
        before = bool(self._userspace)
        if old is not None:
            self._userspace.discard(old.uuid)
        if new is not None and new.columns["other_config"].get(TYPE) == USERSPACE:
            self._userspace.add(new.uuid)
        if before != bool(self._userspace):
            self._on_change(bool(self._userspace))
