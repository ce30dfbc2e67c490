# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the values of the whole cluster. Private to the collection."""

from __future__ import annotations

import itertools
import typing as t
from collections.abc import Iterator

from ..module_utils._common import address_rules
from ..module_utils._common.addressing import GENEVE_OVERHEAD, networks_overlap
from ..module_utils._common.errors import SettingsError
from ..module_utils._topology import cluster as policy
from ._derived import JOIN, OverlayNetwork, join_subnets, tunnel_ip, underlay_mtus
from ._errors import InventoryError, show
from ._inventory import Inventory
from ._problems_used import add_used_problems
from ._report import Report
from ._subnets import HOST_BITS, prefixes

if t.TYPE_CHECKING:
    from ..module_utils._common.addressing import IPNetwork

CLUSTER, SERVICE, SIZE, MTU = "ovn_cluster_subnet", "ovn_service_subnet", "ovn_node_subnet_prefix", "ovn_mtu"


def overlay_networks(inventory: Inventory) -> list[OverlayNetwork]:
    """Return the networks of pods and services and the join networks, as far as they can be read."""
    networks = [
        OverlayNetwork(name, network, f"{name} {show(network)}")
        for name in (CLUSTER, SERVICE)
        for network in inventory.valid_cluster_value(name) or []
    ]
    is_set = inventory.valid_cluster_value(JOIN) or []
    for network in _joins(inventory):
        default = "" if network in is_set else " (its default)"
        networks.append(OverlayNetwork(JOIN, network, f"{JOIN} {show(network)}{default}"))
    return networks


def add_cluster_problems(inventory: Inventory, report: Report) -> None:
    """Add what is wrong with the cluster's values."""
    if not any(inventory.is_set(host, CLUSTER) for host in inventory.hosts):
        report.add(
            inventory.hosts,
            f"{CLUSTER} is not set, and has no default: set it for all hosts, like {show('192.168.0.0/16')}",
        )
    _add_policy_problems(inventory, report)
    _add_overlaps(inventory, report)
    _add_underlay_overlaps(inventory, report)
    add_used_problems(inventory, report, overlay_networks(inventory))
    _add_families(inventory, report)
    _add_sizes(inventory, report)
    _add_mtu(inventory, report)


def _joins(inventory: Inventory) -> list[IPNetwork]:
    try:
        return join_subnets(inventory)
    except InventoryError:
        return []


def _add_policy_problems(inventory: Inventory, report: Report) -> None:
    """Add what the policy of the cluster says about the pods' networks and the join networks."""
    subnets = tuple(map(str, inventory.valid_cluster_value(CLUSTER) or ()))
    joins = tuple(map(str, _joins(inventory)))
    if subnets and joins:
        report.add_problems("", policy.problems(policy.Cluster(subnets, joins), len(inventory.gateways)))


def _add_overlaps(inventory: Inventory, report: Report) -> None:
    """Add services' networks that overlap others. The later one is to be changed: pods' networks are the hardest to
    change."""
    for one, other in itertools.combinations(overlay_networks(inventory), 2):
        if SERVICE in (one.variable, other.variable) and networks_overlap(one.network, other.network):
            report.add(
                inventory.hosts_with(other.variable),
                f"{other.words} overlaps {one.words}: choose networks that share no address",
            )


def _add_underlay_overlaps(inventory: Inventory, report: Report) -> None:
    networks = overlay_networks(inventory)
    underlay: dict[IPNetwork, list[str]] = {}
    for host in inventory.hosts:
        address = tunnel_ip(inventory, host)
        link = inventory.facts(host).link_of(address) if address is not None else None
        if link is not None and link.network is not None:
            underlay.setdefault(link.network, []).append(host)
            continue
        for name, network, words in networks:
            if address is not None and address in network:
                report.add(
                    host,
                    f"ovn_encap_ip {show(address)} is in {words}: tunnels are not in the overlay, choose another "
                    f"network for {name}",
                )
    for physical, hosts in underlay.items():
        for name, network, words in networks:
            if networks_overlap(network, physical):
                report.add(
                    hosts,
                    f"{words} overlaps the underlay's network {show(physical)}: choose another network for {name}",
                )


def _add_families(inventory: Inventory, report: Report) -> None:
    """Add networks of an IP version that the pods don't have."""
    versions = {network.version for network in inventory.valid_cluster_value(CLUSTER) or []}
    for name in (SERVICE, JOIN):
        for network in inventory.valid_cluster_value(name) or []:
            if versions and network.version not in versions:
                report.add(
                    inventory.hosts_with(name),
                    f"{name} {show(network)} is IPv{network.version}, and {CLUSTER} has no IPv{network.version} "
                    "network: "
                    "remove it, or add one there",
                )


def _add_sizes(inventory: Inventory, report: Report) -> None:
    """Add sizes of planned node subnets that leave no room, for pods or for the subnet itself."""
    networks = inventory.valid_cluster_value(CLUSTER) or []
    try:
        sizes = prefixes(inventory, networks)
    except InventoryError:
        sizes = {}
    for network in networks:
        highest = network.max_prefixlen - HOST_BITS
        if network.prefixlen > highest:
            text = f"is too small for a node subnet with pods: give it /{highest} or wider"
            report.add(inventory.hosts_with(CLUSTER), f"{CLUSTER} {show(network)} {text}")
        elif network.version in sizes:
            for text in _size_problems(inventory, network, sizes[network.version]):
                report.add(inventory.hosts_with(SIZE), f"{SIZE} {text}")


def _size_problems(inventory: Inventory, network: IPNetwork, size: int) -> Iterator[str]:
    highest = network.max_prefixlen - HOST_BITS
    if network.prefixlen <= size <= highest:
        return
    is_default = size not in (inventory.valid_cluster_value(SIZE) or [])
    value = f"is not set, and its default {size}" if is_default else str(size)
    too_wide = size < network.prefixlen
    reason = f"is wider than {CLUSTER} {show(network)}" if too_wide else "leaves no address for pods"
    yield f"{value} {reason}: set it to a number from {network.prefixlen} to {highest} for IPv{network.version}"


def _add_mtu(inventory: Inventory, report: Report) -> None:
    mtu = inventory.valid_cluster_value(MTU)
    if mtu is None:
        return
    try:
        address_rules.mtu(mtu, {network.version for network in inventory.valid_cluster_value(CLUSTER) or []})
    except SettingsError as error:
        report.add_error(MTU, error)
        return
    for host, (address, underlay) in underlay_mtus(inventory).items():
        overhead = GENEVE_OVERHEAD[address.version]
        if mtu > underlay - overhead:
            report.add(
                host,
                f"{MTU} {mtu} does not fit through the underlay's {underlay} with {overhead} bytes of encapsulation: "
                f"give it at most {underlay - overhead}, or leave it out",
            )
