# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A gateway on its own host: what its Open vSwitch and its kernel must have.

The host has no part in a network that is the gateway's alone. Linux answers ARP requests for any of its addresses at
any link, and takes a default route from any router advertisement. The NIC's MAC is the gateway router's, so that a
bridge whose own port has it as well would learn it there, and would send to the host what is for the pods. So the
bridge has another MAC, its own port is down, and neither it nor the NIC has IPv6 or answers ARP.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import names
from .._host.desired import HostState, IngressDrop, Link, NoOffload, Sysctl, Unaddressed
from .._host.drop_watch import DropWatch
from .._host.liberal_conntrack import LiberalConntrack
from .._nic.uplink import uplink_rows
from .._ovsdb.rows import ListMember, Owner, Row

if TYPE_CHECKING:
    from collections.abc import Mapping

OWNER = Owner("Gateway", "host")
IPV6_DEFAULT = "net.ipv6.conf.default.disable_ipv6"  # is there where the kernel has IPv6
# Settings of a link on which the host has no stack (ip-sysctl of the kernel) -> value. arp_ignore 8: no answers at all.
NO_STACK = {"ipv6/conf/{link}/disable_ipv6": "1", "ipv6/conf/{link}/accept_ra": "0", "ipv4/conf/{link}/arp_ignore": "8"}


@dataclass(frozen=True)
class GatewayHost:
    """Settings of a gateway's own host, where the NIC is the gateway's alone.

    :ivar nic: the NIC.
    :ivar nic_mac: its MAC.
    :ivar datapath_type: ``system`` or ``netdev``.
    :ivar saved_nic: the NIC's earlier configuration as text, which its bridge keeps until the gateway is removed; None:
        not known.
    :ivar saved_settings: the NIC's earlier values of :data:`NO_STACK` as text, likewise.
    :ivar ipv6: whether the kernel has IPv6.
    """

    nic: str
    nic_mac: str
    datapath_type: str
    saved_nic: str | None = None
    saved_settings: str | None = None
    ipv6: bool = True


def rows(host: GatewayHost) -> list[Row]:
    """Return the gateway's rows in the host's own Open_vSwitch database."""
    bridge_rows: list[Row] = uplink_rows(
        OWNER, host.nic, bridge_mac(host.nic_mac), "netdev" if host.datapath_type == "netdev" else ""
    )
    for key, text in ((names.NIC_BEFORE_KEY, host.saved_nic), (names.NIC_SETTINGS_BEFORE_KEY, host.saved_settings)):
        if text:
            bridge_rows[0].columns["external_ids"][key] = text
    return [*bridge_rows, _bridge_mapping(names.uplink_bridge(host.nic))]


def state(host: GatewayHost) -> HostState:
    """Return the gateway's state of the host's kernel: only the gateway router uses the NIC."""
    netdev = host.datapath_type == "netdev"
    bridge = names.uplink_bridge(host.nic)
    return HostState(
        links=(Link(host.nic, owned=False), Link(bridge, owned=False, up=False)),
        sysctls=tuple(
            Sysctl(key, NO_STACK[setting])
            for link in (host.nic, bridge)
            for setting, key in settings_of(link, host.ipv6).items()
        ),
        unaddressed=(Unaddressed(host.nic),),
        no_offloads=(NoOffload(host.nic),) if netdev else (),
        drops=(IngressDrop(host.nic),) if netdev else (),
        companions=(DropWatch(), LiberalConntrack()) if netdev else (),
    )


def bridge_mac(nic_mac: str) -> str:
    """Return the MAC of the bridge, which follows from the NIC's and is another one: unicast and locally administered
    (IEEE 802).
    """
    return ":".join(("06", *(f"{byte:02x}" for byte in hashlib.sha256(nic_mac.lower().encode()).digest()[:5])))


def settings_of(link: str, ipv6: bool) -> dict[str, str]:
    """Return the settings of :data:`NO_STACK` that a link has: setting -> key.

    :param ipv6: whether the kernel has IPv6.
    """
    return {setting: _key(setting, link) for setting in NO_STACK if ipv6 or setting.startswith("ipv4/")}


def settings_text(values: Mapping[str, str | None]) -> str:
    """Return values of :data:`NO_STACK` as the bridge keeps them, without those that the kernel does not have."""
    return ",".join(f"{setting}={value}" for setting, value in sorted(values.items()) if value is not None)


def _saved_settings(nic: str, text: str | None) -> tuple[Sysctl, ...]:
    """Return the settings that a NIC had; none where they are not known. Those that nobody knows here are left out."""
    pairs = [member.partition("=") for member in (text or "").split(",")]
    return tuple(
        Sysctl(_key(setting, nic), value) for setting, _equals, value in pairs if setting in NO_STACK and value
    )


def _key(setting: str, link: str) -> str:
    """Return a setting's key as sysctl(8) writes it, with slashes, since the name of a link may have dots."""
    return f"net/{setting.format(link=link)}"


def shared_rows(bridge: str) -> list[Row]:
    """Return the rows where the host uses the NIC too: its bridge exists, and ovn-controller connects br-int to it."""
    return [_bridge_mapping(bridge)]


def absent_rows() -> list[Row]:
    """Return the rows of a host without the gateway. Rows with the gateway's owner keys beside them are deleted."""
    return [_bridge_mapping(None)]


def absent_state(nic: str | None, saved_settings: str | None = None) -> HostState:
    """Return the state of the kernel of a host without the gateway, before its rows are removed.

    :param nic: the gateway's NIC; None: it had none of its own.
    :param saved_settings: its earlier values of :data:`NO_STACK`, as text; None: not known.
    """
    if nic is None:
        return HostState()
    return HostState(sysctls=_saved_settings(nic, saved_settings), absent_drops=(IngressDrop(nic),))


def _bridge_mapping(bridge: str | None) -> Row:
    """Return the row by which ovn-controller finds the bridge of the physical network; None: there is none."""
    mapping = {"ovn-bridge-mappings": ListMember(names.PHYSICAL_NETWORK, bridge)}
    return Row("Open_vSwitch", OWNER, "settings", ".", kind="shared", columns={"external_ids": mapping})
