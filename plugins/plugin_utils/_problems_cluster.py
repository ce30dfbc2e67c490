# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the values that hold for the whole cluster, seen together. Private to the collection."""

from __future__ import annotations

import itertools
import typing as t

from ._inventory import Inventory
from ._settings import JOIN, MINIMUM_MTU, OVERHEAD, join_subnets, tunnel_address, underlay_mtu
from ._subnets import HOST_BITS, overlaps, prefixes
from ._values import BITS, InventoryError, parse_address, show

_LOWEST, _HIGHEST = 576, 65535  # what every IPv4 host takes, RFC 791; what the length field can say


def hosts_with(inventory: Inventory, name: str) -> list[str]:
    """The hosts that a sentence about this variable is about."""
    return [host for host in inventory.hosts if inventory.is_set(host, name)] or inventory.hosts


def cluster_networks(inventory: Inventory) -> list[tuple[str, t.Any, str]]:
    """The networks that exist only inside the overlay: variable, network, and its words in a sentence."""
    found = []
    for name in ("ovn_cluster_subnet", "ovn_service_subnet"):
        found += [
            (name, network, "%s %s" % (name, show(network))) for network in inventory.cluster_value_or_none(name) or []
        ]
    try:
        joins = join_subnets(inventory)
    except InventoryError:
        joins = []
    given = inventory.cluster_value_or_none(JOIN) or []
    for network in joins:
        found.append((JOIN, network, "%s %s%s" % (JOIN, show(network), "" if network in given else " (its default)")))
    return found


def cluster_problems(inventory: Inventory, found) -> None:
    """Say what is wrong to ``found``."""
    if not any(inventory.is_set(host, "ovn_cluster_subnet") for host in inventory.hosts):
        found.say(
            inventory.hosts,
            "ovn_cluster_subnet is not set, and has no default: set it for all hosts, like %s" % show("192.168.0.0/16"),
        )
    _overlap_problems(inventory, found)
    _family_problems(inventory, found)
    _size_problems(inventory, found)
    _mtu_problems(inventory, found)


def _overlap_problems(inventory: Inventory, found) -> None:
    networks = cluster_networks(inventory)
    for (_name, one, words), (other_name, other, other_words) in itertools.combinations(networks, 2):
        if overlaps(one, other):  # the later one is the one to move: pods' networks are the hardest to change
            found.say(
                hosts_with(inventory, other_name),
                "%s overlaps %s: choose networks that share nothing" % (other_words, words),
            )
    underlay: dict[t.Any, list[str]] = {}
    for host in inventory.hosts:
        address = parse_address(tunnel_address(inventory, host))
        if address is None:
            continue
        link = inventory.facts(host).link_of(address)
        if link is not None and link.network is not None:
            underlay.setdefault(link.network, []).append(host)
            continue
        for name, network, words in networks:
            if address in network:
                found.say(
                    host,
                    "ovn_encap_ip %s lies in %s: tunnels run outside the overlay, choose another network for %s"
                    % (show(address), words, name),
                )
    for network, hosts in underlay.items():
        for name, one, words in networks:
            if overlaps(one, network):
                found.say(
                    hosts,
                    "%s overlaps the underlay's network %s: choose another network for %s"
                    % (words, show(network), name),
                )


def _family_problems(inventory: Inventory, found) -> None:
    families = {network.version for network in inventory.cluster_value_or_none("ovn_cluster_subnet") or []}
    if not families:
        return
    for name in ("ovn_service_subnet", JOIN):
        for network in inventory.cluster_value_or_none(name) or []:
            if network.version not in families:
                found.say(
                    hosts_with(inventory, name),
                    "%s %s is IPv%d, and ovn_cluster_subnet has no IPv%d network: remove it, or add one there"
                    % (name, show(network), network.version, network.version),
                )


def _size_problems(inventory: Inventory, found) -> None:
    name = "ovn_node_subnet_prefix"
    cluster = inventory.cluster_value_or_none("ovn_cluster_subnet") or []
    try:
        sizes = prefixes(inventory, cluster)
    except InventoryError:
        sizes = {}
    for network in cluster:
        highest = BITS[network.version] - HOST_BITS
        if network.prefixlen > highest:
            found.say(
                hosts_with(inventory, "ovn_cluster_subnet"),
                "ovn_cluster_subnet %s is too small for a node subnet with pods: give it /%d or wider"
                % (show(network), highest),
            )
            continue
        size = sizes.get(network.version)
        if size is None or network.prefixlen <= size <= highest:
            continue
        given = inventory.cluster_value_or_none(name)
        value = "is not set, and its default %d" % size if given is None or size not in given else "%d" % size
        why = (
            "is wider than ovn_cluster_subnet %s" % show(network)
            if size < network.prefixlen
            else "leaves no address for pods"
        )
        found.say(
            hosts_with(inventory, name),
            "%s %s %s: set it to a number from %d to %d for IPv%d"
            % (name, value, why, network.prefixlen, highest, network.version),
        )
    for network in inventory.cluster_value_or_none(JOIN) or []:
        gateways = len(inventory.gateways)
        needed = max(gateways + 3, 4)  # the network's own, the router's, the broadcast address
        if network.size < needed:
            found.say(
                hosts_with(inventory, JOIN),
                "%s %s is too small for the cluster router and %d gateway%s: give it /%d or wider"
                % (
                    JOIN,
                    show(network),
                    gateways,
                    "" if gateways == 1 else "s",
                    BITS[network.version] - (needed - 1).bit_length(),
                ),
            )


def _mtu_problems(inventory: Inventory, found) -> None:
    mtu = inventory.cluster_value_or_none("ovn_mtu")
    if mtu is None:
        return
    where = hosts_with(inventory, "ovn_mtu")
    ipv6 = any(network.version == 6 for network in inventory.cluster_value_or_none("ovn_cluster_subnet") or [])
    if ipv6 and _LOWEST <= mtu < MINIMUM_MTU[6]:
        found.say(where, "ovn_mtu %d is too small for IPv6: give it at least %d" % (mtu, MINIMUM_MTU[6]))
    elif not _LOWEST <= mtu <= _HIGHEST:
        found.say(
            where,
            "ovn_mtu %d is out of range: write a number from %d to %d"
            % (mtu, MINIMUM_MTU[6] if ipv6 else _LOWEST, _HIGHEST),
        )
    else:
        for host in inventory.hosts:
            address = parse_address(tunnel_address(inventory, host))
            under = underlay_mtu(inventory, host) if address is not None else None
            if under is not None and mtu > under - OVERHEAD[address.version]:
                found.say(
                    host,
                    "ovn_mtu %d does not fit through the underlay's %d with %d bytes of encapsulation: give it at most %d, or leave it out"
                    % (mtu, under, OVERHEAD[address.version], under - OVERHEAD[address.version]),
                )
