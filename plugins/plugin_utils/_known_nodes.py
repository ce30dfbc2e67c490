# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the databases know of nodes, by the names that the nodes have today. Private to the collection."""

from __future__ import annotations

import ipaddress
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ._claims import contains
from ._derived import tunnel_address
from ._errors import InventoryError
from ._inventory import Inventory

if t.TYPE_CHECKING:
    from ..module_utils._common.addressing import IPNetwork

SHOWN = 3  # subnets that a message names
Subnets = Mapping[str, t.Any]  # node name -> its subnets, a list or text with commas


@dataclass(frozen=True)
class Known:
    """What the databases know of nodes, by node name; also of nodes that are not in the inventory.

    :ivar subnets: of switches in the Northbound database.
    :ivar leftovers: of ports of the cluster router whose switch is gone.
    :ivar pods: of pods' annotations, of nodes that neither the databases nor their hosts know.
    :ivar tunnels: tunnel addresses, from the Southbound database.
    :ivar chassis: system-ids.
    """

    subnets: Subnets = field(default_factory=dict)
    leftovers: Subnets = field(default_factory=dict)
    pods: Subnets = field(default_factory=dict)
    tunnels: Subnets = field(default_factory=dict)
    chassis: Mapping[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, overlay: Mapping[str, t.Any]) -> Known:
        """Return what ``ovn_info`` has found."""
        nodes = overlay.get("nodes") or {}
        return cls(
            {name: node.get("subnets") for name, node in nodes.items()},
            overlay.get("leftover_subnets") or {},
            overlay.get("pod_subnets") or {},
            {name: node.get("encap_ips") for name, node in nodes.items()},
            {name: node.get("chassis") for name, node in nodes.items()},
        )


def renamed(inventory: Inventory, known: Known) -> dict[str, str]:
    """Return the nodes of the databases that have another name today, with that name.

    A node that the inventory does not know is a host that the database does not know, when it has that host's
    system-id, or its tunnel address. A host with another system-id has only got the address of one that is gone.
    """
    hosts = {inventory.node_name(host): host for host in inventory.named}
    new = {name: host for name, host in hosts.items() if name not in known.subnets}
    addresses = {tunnel_address(inventory, host): name for name, host in new.items()}
    system_ids = {inventory.facts(host).own.system_id: name for name, host in new.items()}
    today = {}
    for node in known.subnets:
        if str(node).lower() not in hosts:
            chassis = known.chassis.get(node) or "-"
            name = next((addresses[one] for one in known.tunnels.get(node) or [] if one in addresses), None)
            own = inventory.facts(new[name]).own.system_id if name else ""
            if name is None or (own and own != chassis != "-"):
                name = system_ids.get(chassis)
            if name:
                today[str(node)] = name
    return today


def former_names(inventory: Inventory, known: Known) -> dict[str, str]:
    """Return host to the node that it is in the databases under an older name, of hosts that say so themselves.

    A clone has the saved name and the system-id of its original too, but not its tunnel address: the original has that.
    """
    hosts = {inventory.node_name(host): host for host in inventory.named}
    former = {}
    for node, name in renamed(inventory, known).items():
        host, had = hosts[name], set(map(str, known.tunnels.get(node) or ()))
        others = (other for other in inventory.hosts if other != host)
        elsewhere = any(had & _addresses(inventory, other) for other in others)
        if inventory.facts(host).own.node == node.lower() and had and not elsewhere:
            former[host] = node
    return former


def _addresses(inventory: Inventory, host: str) -> set[str]:
    """Return the addresses of a host, as far as they are known."""
    return {tunnel_address(inventory, host), *map(str, inventory.facts(host).addresses)}


def of_version(existing: Subnets, version: int) -> dict[str, IPNetwork]:
    """Return the subnets of one IP version: node name to subnet. Text that is no network is
    ignored."""
    held = {}
    for node, subnets in existing.items():
        for text in subnets.split(",") if isinstance(subnets, str) else subnets or []:
            try:
                network = ipaddress.ip_network(str(text).strip(), strict=False)
            except ValueError:
                continue
            if network.version == version:
                held[str(node).lower()] = network
    return held


def inside(cluster: IPNetwork, pods: Subnets) -> dict[str, list[IPNetwork]]:
    """Return node to the subnets that its pods' annotations name, of those in the cluster's network."""
    return {
        str(node): [network for network in map(ipaddress.ip_network, networks) if contains(cluster, network)]
        for node, networks in pods.items()
    }


def only(subnets: Sequence[IPNetwork], host: str) -> IPNetwork:
    """Return the one subnet of a host's pods; :raises InventoryError: they name several, and nobody guesses."""
    if len(subnets) > 1:
        shown = ", ".join(map(str, subnets[:SHOWN]))
        raise InventoryError(f"its pods have addresses of several subnets ({shown}): set ovn_node_subnet", host)
    return subnets[0]
