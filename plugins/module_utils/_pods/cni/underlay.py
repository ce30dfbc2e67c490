# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether this host has what its tunnels leave by: their address, and the NIC in its bridge where it was moved; and the
subnets of its pods.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable, Sequence

from ..._common import addressing, names
from ..._netlink.addresses import read_addresses
from ..._netlink.records import KernelAddress
from ..._netlink.socket import RouteSocket
from ..._ovsdb.table_copy import TableCopy

ENCAP_IP = "ovn-encap-ip"  # of ovn-controller(8), external_ids of the table Open_vSwitch
RESTORE = "systemctl restart ovn-k8s-host, or run ovn.kubernetes.site"


class Underlay:
    """The tunnels' addresses.

    :param database: the copy of the host's Open_vSwitch database.
    :param management_link: of this node; its address is one of the node's subnets.

    :ivar subnets: of this node's pods.
    :ivar addresses: of all links of this host.
    """

    def __init__(self, database: TableCopy, management_link: str) -> None:
        self.subnets: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self.addresses: Sequence[KernelAddress] = ()
        self._database = database
        self._management_link = management_link
        self._links: dict[str, str] | None = None  # address -> the link that has it; None: not read yet

    async def read(self) -> None:
        """Read the kernel's addresses; where it refuses, what was read before counts."""
        try:
            found = await asyncio.to_thread(_read)
        except OSError:
            return
        self.addresses = found
        own = [ipaddress.ip_interface(one.cidr) for one in found if one.link == self._management_link]
        self.subnets = [one.network for one in own if not one.is_link_local]
        self._links = {addressing.normalized(address.ip) or address.ip: address.link for address in found}

    def problem(self) -> str | None:
        """Return why tunnels can't work, in one sentence; None when they can."""
        settings = next(iter(self._database.rows["Open_vSwitch"].values()), None)
        if settings is None or self._links is None:
            return None
        for ip in filter(None, (settings.external_id(ENCAP_IP) or "").split(",")):
            link = self._links.get(addressing.normalized(ip.strip()) or ip)
            if link is None:
                return f"no link of this host has the tunnels' address {ip}: {RESTORE}"
            bridge = self._database.named("Bridge", link)
            nic = bridge.external_id(names.UPLINK_KEY) if bridge else None
            if bridge and nic and not self._has_port(bridge.uuid, nic):
                return f"{nic} is not in its bridge {link}, which has the tunnels' address {ip}: {RESTORE}"
        return None

    def strays(self, cidrs: Iterable[str]) -> list[str]:
        """Return the addresses that are in none of the node's subnets, of the IP versions of which it has one."""
        found = [ipaddress.ip_interface(cidr) for cidr in cidrs]
        versions = {subnet.version for subnet in self.subnets}
        return [
            str(one.ip)
            for one in found
            if one.version in versions and not any(one.ip in subnet for subnet in self.subnets)
        ]

    def _has_port(self, bridge: str, nic: str) -> bool:
        port = self._database.named("Port", nic)
        parent = self._database.parent("Port", port.uuid) if port else None
        return parent is not None and parent.uuid == bridge


def _read() -> list[KernelAddress]:
    with RouteSocket() as kernel:
        return read_addresses(kernel)
