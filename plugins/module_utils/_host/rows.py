# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Desired rows of the host's own Open_vSwitch database (:class:`._ovsdb.converge.DesiredRows`)."""

from __future__ import annotations

from dataclasses import dataclass

from .._common import names
from .._ovsdb.rows import Query, includes
from .._ovsdb.values import as_set

COLUMNS = {
    "Bridge": ("name", "datapath_type", "fail_mode", "other_config", "external_ids"),
    "Port": ("name", "external_ids"),
    "Interface": ("name", "type", "mac", "mtu_request", "error", "external_ids"),
    "Open_vSwitch": ("external_ids",),
}


@dataclass(frozen=True)
class LocalRows:
    """The rows of one owner on this host: the node's part, or the gateway's part.

    :ivar owner: whose.
    :ivar wanted: its rows; rows of the owner that are not among them go.
    """

    owner: object
    wanted: tuple = ()
    fast_path = None  # a host's tables are small

    @staticmethod
    def columns(table):
        """What is read of a row that is looked up by its name."""
        return COLUMNS[table]

    def owned_queries(self, _owners=None):
        """Return the queries for all rows of the owner."""
        return [
            Query(table, (includes("external_ids", self.owner.keys()),), columns)
            for table, columns in COLUMNS.items()
            if table != "Open_vSwitch"
        ]

    def renamed_owners(self, current):
        """Owners on a host are never renamed."""
        return {}

    def owned_rows(self, current, renamed):
        """Return all rows: the queries find the owner's only."""
        return current

    def reads(self, current, renamed):
        """Read the ports of a bridge that is to be removed."""
        bridges = [row.name for row in self.wanted if row.kind == "released"]
        return (
            {
                "bridge": Query("Bridge", (("name", "==", bridges[0]),), ("ports",)),
                "ports": Query("Port", (), ("name", "external_ids")),
            }
            if bridges
            else {}
        )

    def rows(self, current, renamed, reads):
        """The rows that are wanted; a bridge stays, released, only as long as ports of others are in it."""
        ports = {port for bridge in reads.get("bridge", ()) for port in as_set(bridge.columns["ports"])}
        kept = any(row.uuid in ports and _foreign(row) for row in reads.get("ports", ()))
        return [row for row in self.wanted if kept or row.kind != "released"]


def _foreign(port):
    """Whether a port is neither ours nor the integration bridge's own nor ovn-controller's (a tunnel, or a patch to another bridge)."""
    made = ("ovn-chassis-id", "ovn-localnet-port", "ovn-l3gateway-port", "ovn-logical-patch-port")
    return (
        port.name != names.INTEGRATION_BRIDGE
        and port.external_id(names.OWNER_CONTROLLER) is None
        and not any(port.external_id(key) for key in made)
    )


def uplink(current):
    """The NIC in the bridge that the owner made for it, None where there is none."""
    for row in current:
        if row.table == "Bridge" and row.external_id(names.UPLINK_KEY):
            return row.external_id(names.UPLINK_KEY)
    return None
