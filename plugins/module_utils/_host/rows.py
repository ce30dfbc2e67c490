# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Desired rows of the host's own Open_vSwitch database (:class:`._ovsdb.converge.DesiredRows`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import names
from .._ovsdb.rows import Query, includes
from .._ovsdb.values import as_set

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .._ovsdb.rows import CurrentRow, Owner, Row

COLUMNS = {
    "Bridge": ("name", "datapath_type", "fail_mode", "other_config", "external_ids"),
    "Port": ("name", "external_ids"),
    "Interface": ("name", "type", "mac", "mtu_request", "error", "external_ids"),
    "SSL": ("private_key", "certificate", "ca_cert", "bootstrap_ca_cert", "external_ids"),
    "Open_vSwitch": ("external_ids",),
}
# external_ids of ports that ovn-controller makes: tunnels, and patch ports to other bridges.
OVN_CONTROLLER_KEYS = ("ovn-chassis-id", "ovn-localnet-port", "ovn-l3gateway-port", "ovn-logical-patch-port")


@dataclass(frozen=True)
class LocalRows:
    """The rows of one owner on this host: the node's part, or the gateway's part.

    :ivar desired: its rows. Other rows of the owner are deleted.
    """

    owner: Owner
    desired: tuple[Row, ...] = ()

    @property
    def fast_path(self) -> None:
        """None: the tables of a host are small."""
        return

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the columns to read of a row that is found by its name."""
        return COLUMNS[table]

    def owned_queries(self, owners: Iterable[Owner] | None = None) -> list[Query]:
        """Return the queries for all rows of the owner."""
        is_owned = includes("external_ids", self.owner.keys())
        return [Query(table, (is_owned,), columns) for table, columns in COLUMNS.items() if table != "Open_vSwitch"]

    def renamed_owners(self, current: Sequence[CurrentRow]) -> Mapping[Owner, str]:
        """Return nothing: owners on a host are never renamed."""
        return {}

    def owned_rows(self, current: Sequence[CurrentRow], renamed: Mapping[Owner, str]) -> list[CurrentRow]:
        """Return all rows: the queries find the owner's only."""
        return list(current)

    def reads(self, current: Sequence[CurrentRow], renamed: Mapping[Owner, str]) -> Mapping[str, Query]:
        """Read the ports of a bridge that is to be deleted."""
        bridge = next((row.name for row in self.desired if row.kind == "released"), None)
        if bridge is None:
            return {}
        return {
            "bridge": Query("Bridge", (("name", "==", bridge),), ("ports",)),
            "ports": Query("Port", (), ("name", "external_ids")),
        }

    def rows(
        self,
        current: Sequence[CurrentRow],
        renamed: Mapping[Owner, str],
        reads: Mapping[str, Sequence[CurrentRow]],
    ) -> list[Row]:
        """Return the desired rows. A released bridge stays only while it has ports of other owners."""
        ports = {port for bridge in reads.get("bridge", ()) for port in as_set(bridge.columns["ports"])}
        stays = any(row.uuid in ports and _has_other_owner(row) for row in reads.get("ports", ()))
        return [row for row in self.desired if stays or row.kind != "released"]


def _has_other_owner(port: CurrentRow) -> bool:
    """Return whether a port is neither ours, nor the integration bridge's own port, nor ovn-controller's."""
    return (
        port.name != names.INTEGRATION_BRIDGE
        and port.controller != names.CONTROLLER
        and not any(port.external_id(key) for key in OVN_CONTROLLER_KEYS)
    )


def uplink_nic(current: Iterable[CurrentRow]) -> str | None:
    """Return the NIC in the bridge that the owner made for it, None where there is no such bridge."""
    for row in current:
        nic = row.external_id(names.UPLINK_KEY) if row.table == "Bridge" else None
        if nic:
            return nic
    return None
