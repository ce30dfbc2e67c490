# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who may reach the ports of the databases, and which addresses are shut out. Private to the collection."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from ._derived import tunnel_ip
from ._errors import show
from ._inventory import Inventory
from ._report import Report

if t.TYPE_CHECKING:
    from ..module_utils._common.addressing import IPAddress

WITHDRAWN = "ovn_withdrawn_addresses"
DEDICATED = "ovn_gateway_interface"
OVERLAY = ("ovn_cluster_subnet", "ovn_service_subnet")


def central_ports(inventory: Inventory, leaving: t.Iterable[str] = ()) -> dict[str, t.Any]:
    """Return the option ``central_ports`` of ovn_host, and of ovn_verify.

    Masters connect to each other's tunnel addresses, from one of their own addresses of the same IP version.

    :param leaving: hosts that are no masters any more, and are let in until their databases have left the clusters.
    """
    addresses: set[IPAddress] = set()
    for master in (*inventory.masters, *leaving):
        addresses.update(set(_own_addresses(inventory, master)) - _given_up(inventory, master))
    tunnels = [tunnel_ip(inventory, master) for master in inventory.masters]
    versions = {tunnel.version for tunnel in tunnels if tunnel is not None}
    withdrawn = inventory.valid_cluster_value(WITHDRAWN) or []
    return {
        "masters": _texts(address for address in addresses if address.version in versions or not versions),
        "withdrawn": _texts(set(withdrawn) - addresses),
        "complete": all(inventory.facts(master).known for master in inventory.masters),
    }


def add_withdrawn_problems(inventory: Inventory, report: Report) -> None:
    """Add withdrawn addresses of hosts of the inventory: a run would give the host certificates and tokens anew, and
    without its masters there is no overlay."""
    withdrawn = inventory.valid_cluster_value(WITHDRAWN) or []
    if not withdrawn:
        return
    owners = {address: host for host in inventory.hosts for address in _own_addresses(inventory, host)}
    for address in withdrawn:
        host = owners.get(address)
        if host is None:
            continue
        text = f"{WITHDRAWN} {show(address)} is an address of {host}, "
        if host in inventory.masters:
            text += "a master: remove it from the list, or the host from ovn_masters"
        else:
            text += (
                "which is still in the inventory, so that this run would give it certificates and tokens again: take "
                "the host out of all groups, or the address out of the list"
            )
        report.add(inventory.hosts_with(WITHDRAWN), text)


def _own_addresses(inventory: Inventory, host: str) -> Iterator[IPAddress]:
    """Yield the host's addresses that inventory and facts know, without link-local ones and those in the overlay."""
    tunnel = tunnel_ip(inventory, host)
    if tunnel is not None:
        yield tunnel
    networks = [network for name in OVERLAY for network in inventory.valid_cluster_value(name) or []]
    for address in inventory.facts(host).addresses:
        if not (address.is_link_local or address.is_loopback or any(address in network for network in networks)):
            yield address


def _given_up(inventory: Inventory, host: str) -> set[IPAddress]:
    """Return the addresses of a gateway's own NIC: the run takes them from the host, and pods have them outside."""
    nic = inventory.valid_value(host, DEDICATED) if inventory.is_gateway(host) else None
    found = {face.ip for face in inventory.facts(host).link_addresses([nic])} if nic else set()
    return found - {tunnel_ip(inventory, host)}


def _texts(addresses: t.Iterable[IPAddress]) -> list[str]:
    return [str(address) for address in sorted(addresses, key=lambda one: (one.version, int(one)))]
