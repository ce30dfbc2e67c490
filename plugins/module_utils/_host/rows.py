# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What one call wants of the host's own Open_vSwitch database, in the shape that the loop takes."""

from __future__ import annotations

from dataclasses import dataclass

from .._common import names
from .._ovsdb.rows import Query, as_set, includes

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
    near = None  # a host's tables are small

    @staticmethod
    def columns(table):
        """What is read of a row that is looked up by its name."""
        return COLUMNS[table]

    def own(self, _owners=None):
        """Queries for every row of the owner."""
        return [
            Query(table, (includes("external_ids", self.owner.keys()),), columns)
            for table, columns in COLUMNS.items()
            if table != "Open_vSwitch"
        ]

    def aliases(self, own):
        """The owners on a host have no other names."""
        return {}

    def mine(self, own, aliases):
        """The queries find the owner's rows only."""
        return own

    def questions(self, own, aliases):
        """Whose ports are in a bridge that is to go."""
        bridges = [row.name for row in self.wanted if row.kind == "released"]
        return (
            {
                "bridge": Query("Bridge", (("name", "==", bridges[0]),), ("ports",)),
                "ports": Query("Port", (), ("name", "external_ids")),
            }
            if bridges
            else {}
        )

    def rows(self, own, aliases, answers):
        """The rows that are wanted; a bridge stays, released, only as long as ports of others are in it."""
        ports = {port for bridge in answers.get("bridge", ()) for port in as_set(bridge.columns["ports"])}
        kept = any(row.uuid in ports and _foreign(row) for row in answers.get("ports", ()))
        return [row for row in self.wanted if kept or row.kind != "released"]


def _foreign(port):
    """Whether a port is neither ours nor the integration bridge's own nor ovn-controller's (a tunnel, or a patch to another bridge)."""
    made = ("ovn-chassis-id", "ovn-localnet-port", "ovn-l3gateway-port", "ovn-logical-patch-port")
    return (
        port.name != names.INTEGRATION_BRIDGE
        and port.key(names.OWNER_CONTROLLER) is None
        and not any(port.key(key) for key in made)
    )


def uplink(own):
    """The NIC in the bridge that the owner made for it, None where there is none."""
    for row in own:
        if row.table == "Bridge" and row.key(names.UPLINK_KEY):
            return row.key(names.UPLINK_KEY)
    return None
