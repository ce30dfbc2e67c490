# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A gateway on its own host: what its Open vSwitch and its kernel must have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import names
from .._host.desired import HostState, IngressDrop, Link, NoOffload, Unaddressed
from .._nic.uplink import uplink_rows
from .._ovsdb.rows import ListMember, Owner, Row

if TYPE_CHECKING:
    from .._host.desired import SavedNic

OWNER = Owner("Gateway", "host")


@dataclass(frozen=True)
class GatewayHost:
    """Settings of a gateway's own host, where the NIC is the gateway's alone.

    :ivar nic: the NIC.
    :ivar nic_mac: its MAC.
    :ivar datapath_type: ``system`` or ``netdev``.
    :ivar saved_nic: the NIC's earlier configuration as text, which its bridge keeps until the gateway is removed; None:
        not known.
    """

    nic: str
    nic_mac: str
    datapath_type: str
    saved_nic: str | None = None


def rows(host: GatewayHost) -> list[Row]:
    """Return the gateway's rows in the host's own Open_vSwitch database."""
    bridge_rows: list[Row] = uplink_rows(
        OWNER, host.nic, host.nic_mac, "netdev" if host.datapath_type == "netdev" else ""
    )
    if host.saved_nic:
        bridge_rows[0].columns["external_ids"][names.NIC_BEFORE_KEY] = host.saved_nic
    return [*bridge_rows, _bridge_mapping(names.uplink_bridge(host.nic))]


def state(host: GatewayHost) -> HostState:
    """Return the gateway's state of the host's kernel: only the gateway router uses the NIC."""
    netdev = host.datapath_type == "netdev"
    return HostState(
        links=(Link(host.nic, owned=False), Link(names.uplink_bridge(host.nic), owned=False)),
        unaddressed=(Unaddressed(host.nic),),
        no_offloads=(NoOffload(host.nic),) if netdev else (),
        drops=(IngressDrop(host.nic),) if netdev else (),
    )


def shared_rows(bridge: str) -> list[Row]:
    """Return the rows where the host uses the NIC too: its bridge exists, and ovn-controller connects br-int to it."""
    return [_bridge_mapping(bridge)]


def absent_rows() -> list[Row]:
    """Return the rows of a host without the gateway. Rows with the gateway's owner keys beside them are deleted."""
    return [_bridge_mapping(None)]


def absent_state(nic: str | None, saved: SavedNic | None) -> HostState:
    """Return the state of the kernel of a host without the gateway.

    :param nic: the gateway's NIC; None: it had none of its own.
    :param saved: the NIC's earlier configuration, which it gets back; None: not known.
    """
    if nic is None:
        return HostState()
    return HostState(saved_nics=(saved,) if saved else (), absent_drops=(IngressDrop(nic),))


def _bridge_mapping(bridge: str | None) -> Row:
    """Return the row by which ovn-controller finds the bridge of the physical network; None: there is none."""
    mapping = {"ovn-bridge-mappings": ListMember(names.PHYSICAL_NETWORK, bridge)}
    return Row("Open_vSwitch", OWNER, "settings", ".", kind="shared", columns={"external_ids": mapping})
