# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an uplink is: a NIC in a bridge of its own, which has the NIC's addresses and MAC. Its rows, and its state in
the kernel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .._common import names
from .._host.desired import HostState, IngressDrop, Link, NoOffload
from .._ovsdb.rows import Owner, Row
from .steps import address_move

if TYPE_CHECKING:
    from collections.abc import Mapping

UPLINK = "Uplink"  # type of the owner of its rows
# Who can need a NIC in its bridge -> why, for a sentence. The NIC goes back when nobody needs it any more.
USERS = {
    "request": "somebody asked for it (nics_to_bridge)",
    "node": "this host's tunnels use it (userspace datapath)",
    "gateway": "the shared gateway uses it for the external network",
}


@dataclass(frozen=True)
class UplinkSettings:
    """Settings of an uplink. The journal holds its fields by their names, which never change.

    :ivar mac: of the NIC, and so of the bridge.
    :ivar mtu: of the NIC, and so of the bridge.
    :ivar datapath_type: system or netdev.
    :ivar promiscuous: whether the NIC accepted packets for other MACs before; then the bridge does.
    """

    nic: str
    mac: str
    mtu: int
    datapath_type: str
    promiscuous: bool = False


def owner(nic: str) -> Owner:
    """Return the owner of an uplink's rows."""
    return Owner(UPLINK, nic)


def rows(settings: UplinkSettings | None) -> list[Row]:
    """Return the uplink's rows in the host's own Open_vSwitch database; None: there are none."""
    if settings is None:
        return []
    # Without an MTU Open vSwitch gives the bridge the smallest one of its ports, and a new bridge 1500.
    return [
        replace(row, columns={**row.columns, "mtu_request": (settings.mtu,)})
        if row.role == "uplink-bridge-interface"
        else row
        for row in uplink_rows(
            owner(settings.nic),
            settings.nic,
            settings.mac,
            "netdev" if settings.datapath_type == "netdev" else "",
        )
    ]


def uplink_rows(row_owner: Owner, nic: str, mac: str, datapath: str) -> list[Row]:
    """Return the rows of a bridge that has a NIC as its port for the external network, and the NIC's MAC
    (other_config:hwaddr).

    :param datapath: column ``datapath_type`` of the bridge: netdev, or empty for the kernel's.
    """
    bridge = names.uplink_bridge(nic)
    columns = {
        "datapath_type": datapath,
        "fail_mode": ("standalone",),
        "other_config": {"hwaddr": mac},
        "external_ids": {names.UPLINK_KEY: nic},
    }
    return [
        Row("Bridge", row_owner, "uplink-bridge", bridge, ".", columns),
        Row("Port", row_owner, "uplink-bridge-port", bridge, bridge, {}),
        Row("Interface", row_owner, "uplink-bridge-interface", bridge, bridge, {"type": "internal"}),
        Row("Port", row_owner, "uplink-port", nic, bridge, {}),
        Row("Interface", row_owner, "uplink-interface", nic, nic, {}),
    ]


def state(settings: UplinkSettings) -> HostState:
    """Return the state of the kernel once the rows are there: the bridge has what the NIC had."""
    is_netdev = settings.datapath_type == "netdev"
    bridge = names.uplink_bridge(settings.nic)
    return replace(
        address_move(settings.nic, bridge),
        links=(
            Link(settings.nic, owned=False),
            Link(bridge, owned=False, promiscuous=settings.promiscuous or None),
        ),
        no_offloads=(NoOffload(settings.nic),) if is_netdev else (),
        drops=(IngressDrop(settings.nic),) if is_netdev else (),
    )


def state_gone(nic: str, datapath_type: str, exists: bool = True, labels: Mapping[str, str] | None = None) -> HostState:
    """Return the state of the kernel before the rows are removed: the NIC has what the bridge had.

    Only the userspace datapath has drops: hosts with the other may lack nftables.

    :param exists: whether the NIC is still there; otherwise what the bridge had goes with it.
    :param labels: that addresses had on the NIC, and that were too long for the bridge: CIDR to label.
    """
    return replace(
        address_move(names.uplink_bridge(nic), nic, labels) if exists else HostState(),
        absent_drops=(IngressDrop(nic),) if datapath_type == "netdev" else (),
    )
