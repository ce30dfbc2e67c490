# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values that are derived from variables and facts: tunnel addresses, MTUs, join networks, a shared NIC's addresses.
Private to the collection."""

from __future__ import annotations

import ipaddress
import typing as t

from ..module_utils._common.names import uplink_bridge
from ._errors import InventoryError
from ._inventory import Inventory
from ._values import parse_address
from ._variables import VARIABLES

if t.TYPE_CHECKING:
    from ..module_utils._common.addressing import IPAddress, IPInterface, IPNetwork

JOIN = "ovn_join_subnet"
SHARED_NIC = "ovn_gateway_shared_interface"
NO_DEFAULT_ROUTE = (
    "ovn_encap_ip is not set, and the host has no default route to take it from: "
    "set it to the host's address that the others reach"
)


class OverlayNetwork(t.NamedTuple):
    """A network that exists only in the overlay, with its variable, and with both in words for a sentence."""

    variable: str
    network: IPNetwork
    words: str


def tunnel_address(inventory: Inventory, host: str) -> str:
    """Return the host's tunnel address; empty when its variable can't be read, or is not set and the facts don't have
    it.

    A master that can't be reached has the address at which the other hosts look for it.
    """
    return _own_tunnel_address(inventory, host) or _saved_by_others(inventory, host)


def _own_tunnel_address(inventory: Inventory, host: str) -> str:
    if inventory.is_set(host, "ovn_encap_ip"):
        address = inventory.valid_value(host, "ovn_encap_ip")
        return "" if address is None else str(address)
    return inventory.facts(host).default_address


def _saved_by_others(inventory: Inventory, host: str) -> str:
    """Return the address of a master from what other hosts have saved; empty where nothing says which of theirs it is.

    They have saved the masters' addresses in the inventory's order. So the list tells it where the other masters that
    can be reached are at their places, and one of them at least can.
    """
    masters = inventory.masters
    if host not in masters or len(masters) < 2 or inventory.facts(host).known or inventory.is_set(host, "ovn_encap_ip"):
        return ""
    known = {place: parse_address(_own_tunnel_address(inventory, one)) for place, one in enumerate(masters)}
    if not any(known.values()):
        return ""
    for other in inventory.hosts:
        # A list with two ports of each master has each twice.
        saved = list(map(parse_address, dict.fromkeys(inventory.facts(other).own.databases)))
        if len(saved) == len(masters) and all(known[place] in (None, saved[place]) for place in known):
            return str(saved[masters.index(host)] or "")
    return ""


def log_level(inventory: Inventory, host: str) -> str:
    """Return from which level on the host's programs log; the default when the variable can't be read."""
    return str(inventory.valid_value(host, "ovn_log_level") or VARIABLES["ovn_log_level"].default)


def tunnel_ip(inventory: Inventory, host: str) -> IPAddress | None:
    """Return the host's tunnel address as :func:`tunnel_address` does, as an address."""
    return parse_address(tunnel_address(inventory, host))


def configured_tunnel_addresses(inventory: Inventory) -> list[str]:
    """Return the tunnel addresses that variables say, as far as they can be read; each once."""
    found = (inventory.valid_value(host, "ovn_encap_ip") for host in inventory.hosts)
    return list(dict.fromkeys(str(address) for address in found if address is not None))


def required_tunnel_address(inventory: Inventory, host: str, reason: str) -> str:
    """Return the host's tunnel address.

    :param reason: why it is needed, for the error.
    :raises InventoryError: there is none.
    """
    inventory.value(host, "ovn_encap_ip")  # raises when it can't be read
    address = tunnel_address(inventory, host)
    if address:
        return address
    if inventory.facts(host).known:
        raise InventoryError(NO_DEFAULT_ROUTE, host)
    raise InventoryError(
        f"ovn_encap_ip is not set, and the host's facts are not known, while {reason}: gather its facts, or set "
        "ovn_encap_ip",
        host,
    )


def underlay_mtus(inventory: Inventory) -> dict[str, tuple[IPAddress, int]]:
    """Return host to its tunnel address, and to the least MTU of the links through which it reaches those of the
    others; without hosts whose facts don't have it."""
    addresses = {host: tunnel_ip(inventory, host) for host in inventory.named}
    known = {host: address for host, address in addresses.items() if address is not None}
    found = {}
    for host, address in known.items():
        facts = inventory.facts(host)
        mtu = facts.way_mtu(address.version) or facts.outgoing_mtu(address)
        if mtu is not None:
            found[host] = address, mtu
    return found


def join_subnets(inventory: Inventory) -> list[IPNetwork]:
    """Return the join networks of the cluster's IP versions, in their order: what is set, and defaults for the rest.

    :raises InventoryError: one of the variables can't be read.
    """
    defaults: list[IPNetwork] = [ipaddress.ip_network(text) for text in VARIABLES[JOIN].default]
    networks = {network.version: network for network in (*defaults, *(inventory.cluster_value(JOIN) or []))}
    return [networks[network.version] for network in inventory.cluster_value("ovn_cluster_subnet") or []]


def shared_links(nic: str) -> tuple[str, str]:
    """Return the links that can have a shared NIC's addresses: its bridge, once it is there, and the NIC."""
    return (uplink_bridge(nic), nic)


def shared_addresses(inventory: Inventory, host: str) -> list[IPInterface]:
    """Return the addresses of a gateway that shares the host's NIC: what is set, else the NIC's, one of each IP version
    of the cluster.

    It is empty when the facts don't have them.

    :raises InventoryError: one of the variables can't be read.
    """
    addresses: list[IPInterface]
    if inventory.is_set(host, "ovn_gateway_ip"):
        addresses = inventory.value(host, "ovn_gateway_ip")
        return addresses
    versions = {network.version for network in inventory.cluster_value("ovn_cluster_subnet") or []}
    chosen: dict[int, IPInterface] = {}
    for face in inventory.facts(host).link_addresses(shared_links(inventory.value(host, SHARED_NIC))):
        if face.version in versions:
            chosen.setdefault(face.version, face)
    return list(chosen.values())
