# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a host has the userspace datapath: its ovn-controller says so in the Southbound database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .._common import names
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow

if TYPE_CHECKING:
    from .._ovsdb.tls import MaybeTls

TYPE, USERSPACE = "datapath-type", "netdev"  # ovn-sb(5), other_config of Chassis; ovs-vswitchd.conf.db(5), Bridge


class Datapaths:
    """The datapaths of all hosts.

    :param southbound: where the Southbound database is. While it is away, what was read counts.
    :param tls: the files for a database at ``ssl``.
    :param on_change: called with whether a host has the userspace datapath, when that changes.
    """

    def __init__(self, southbound: str, on_change: Callable[[bool], object], tls: MaybeTls = None) -> None:
        self._replica = Replica(
            southbound, names.SOUTHBOUND, {"Chassis": ("name", "other_config")}, on_change=self._changed, tls=tls
        )
        self._on_change = on_change
        self._userspace: set[str] = set()  # chassis

    async def run(self) -> None:
        """Follow the database for ever."""
        await self._replica.run()

    def _changed(self, _table: str, old: CurrentRow | None, new: CurrentRow | None) -> None:
        before = bool(self._userspace)
        if old is not None:
            self._userspace.discard(old.uuid)
        if new is not None and new.columns["other_config"].get(TYPE) == USERSPACE:
            self._userspace.add(new.uuid)
        if before != bool(self._userspace):
            self._on_change(bool(self._userspace))
