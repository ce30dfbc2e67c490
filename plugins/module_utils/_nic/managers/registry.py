# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The network managers that this collection knows, and which of them configures a NIC."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING

from ..._common.errors import HostError
from ..._netlink.addresses import read_addresses
from ..._netlink.constants import INFINITY
from ..._netlink.links import link_index, read_kind, read_link
from ..._netlink.socket import RouteSocket
from .base import ADVICE, Manager, NicConfiguration, NicLink
from .dhclient import refuse_clients, refuse_unknown_managers
from .ifupdown import Ifupdown
from .network_manager import NetworkManager
from .networkd import Networkd

if TYPE_CHECKING:
    from ..._netlink.records import KernelAddress

# Detection tries them in this order. netplan writes files for the first two, so it is no manager of its own
# (see :mod:`.netplan`).
MANAGERS: tuple[Manager, ...] = (Networkd(), NetworkManager(), Ifupdown())


def manager(name: str) -> Manager:
    """Return a manager by the name that is kept on hosts.

    :raises HostError: this version of the collection has no such manager.
    """
    for one in MANAGERS:
        if one.name == name:
            return one
    raise HostError(f"the network manager {name} is not known: another version of the collection wrote its name")


def detect(nic: str) -> NicConfiguration:
    """Return which manager configures the NIC, and how.

    :raises HostError: several managers do at once, or one that this collection does not know.
    """
    try:
        return _detect(_read_link(nic))
    except OSError as error:
        raise HostError(f"who configures {nic} can't be found out: {error}") from error


def _detect(link: NicLink) -> NicConfiguration:
    found = [(one, nic) for one, nic in ((one, one.detect(link)) for one in MANAGERS) if nic is not None]
    if len(found) > 1:
        names = " and ".join(one.name for one, _nic in found)
        raise HostError(f"{link.name} is configured by {names} at once: {ADVICE} alone")
    own, nic = found[0] if found else (None, NicConfiguration(link.name))
    refuse_unknown_managers()
    refuse_clients(link.name, own)
    running = tuple(one.name for one in MANAGERS if one.is_running())
    return replace(nic, mac=link.mac, leased=link.leased(own), running=running)


def _read_link(nic: str) -> NicLink:
    with RouteSocket() as kernel:
        link, kind = read_link(kernel, nic), read_kind(kernel, nic)
        addresses = [one for one in read_addresses(kernel, {nic}) if one.configured and one.valid != INFINITY]
    mac = link.mac if link else ""
    return NicLink(
        nic,
        link_index(nic) if link else 0,
        mac,
        kind.kind if kind else None,
        tuple(address.cidr for address in addresses),
        tuple(address.cidr for address in addresses if _is_autoconfigured(address, mac)),
    )


def _is_autoconfigured(address: KernelAddress, mac: str) -> bool:
    """Return whether the kernel made the address of an advertised /64 and the MAC (modified EUI-64, RFC 4291, appendix
    A).

    It will make the same one on the bridge.
    """
    if address.version != 6 or not mac or not address.cidr.endswith("/64"):
        return False
    first, *rest = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes([first ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]])
    return ipaddress.ip_address(address.ip).packed[8:] == identifier
