# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with what hosts say about themselves, seen beside the others. Private to the collection."""

from __future__ import annotations

import collections

from ._inventory import Inventory
from ._settings import tunnel_address
from ._subnets import HOST_BITS, Claim, clashes, contains
from ._values import BITS, InventoryError, parse_address, show

SUBNET, ENCAP, NAME = "ovn_node_subnet", "ovn_encap_ip", "ovn_node_name"


def host_problems(inventory: Inventory, found) -> None:
    """Say what is wrong to ``found``."""
    _name_problems(inventory, found)
    _subnet_problems(inventory, found)
    _tunnel_problems(inventory, found)


def _name_problems(inventory: Inventory, found) -> None:
    owners: dict[str, str] = {}
    for host in inventory.hosts:
        try:
            name = inventory.node_name(host)
        except InventoryError as error:
            found.say(host, error.text)  # said once, also when the value's own check said it before
            continue
        owner = owners.setdefault(name, host)
        if owner != host:
            value = show(name) if inventory.is_set(host, NAME) else "is not set, and its default %s" % show(name)
            found.say(host, "%s %s is also the name of %s: give each host its own" % (NAME, value, owner))


def _subnet_problems(inventory: Inventory, found) -> None:
    cluster = inventory.cluster_value_or_none("ovn_cluster_subnet") or []
    of_family = {network.version: network for network in cluster}
    claims = []
    for host in inventory.hosts:
        networks = inventory.value_or_none(host, SUBNET) or []
        for network in networks:
            claims.append(Claim(network, host))
            outer = of_family.get(network.version)
            highest = BITS[network.version] - HOST_BITS
            if cluster and outer is None:
                found.say(
                    host,
                    "%s %s is IPv%d, and ovn_cluster_subnet has no IPv%d network: write one inside %s"
                    % (SUBNET, show(network), network.version, network.version, show(cluster[0])),
                )
            elif cluster and not contains(outer, network):
                found.say(
                    host,
                    "%s %s is outside ovn_cluster_subnet %s: write one inside it, or leave it out to have it planned"
                    % (SUBNET, show(network), show(outer)),
                )
            elif network.prefixlen > highest:
                found.say(
                    host, "%s %s leaves no address for pods: give it /%d or wider" % (SUBNET, show(network), highest)
                )
        missing = sorted(set(of_family) - {network.version for network in networks})
        if len(networks) == 1 and len(cluster) == 2 and len(missing) == 1:
            found.say(
                host,
                "%s %s has no IPv%d network, and ovn_cluster_subnet is of both families: add one inside %s"
                % (SUBNET, show(networks[0]), missing[0], show(of_family[missing[0]])),
            )
    for before, claim in clashes(claims):
        if before.network == claim.network:
            found.say(
                claim.owner,
                "%s %s is also that of %s: give each host its own" % (SUBNET, show(claim.network), before.owner),
            )
        else:
            found.say(
                claim.owner,
                "%s %s overlaps %s of %s: give each host its own"
                % (SUBNET, show(claim.network), show(before.network), before.owner),
            )


def _tunnel_problems(inventory: Inventory, found) -> None:
    owners: dict[str, str] = {}
    families: dict[int, list[str]] = collections.defaultdict(list)
    shown = {}
    for host in inventory.hosts:
        facts = inventory.facts(host)
        given = inventory.is_set(host, ENCAP)
        address = parse_address(tunnel_address(inventory, host))
        if address is None:
            if facts.known and not given:
                found.say(
                    host,
                    "%s is not set, and the host has no default route to take it from: set it to the host's address that the others reach"
                    % ENCAP,
                )
            continue
        shown[host] = (
            "%s %s" % (ENCAP, show(address)) if given else "%s is not set, and its default %s" % (ENCAP, show(address))
        )
        families[address.version].append(host)
        if given and facts.addresses and address not in facts.addresses:
            found.say(
                host,
                "%s is no address of this host: write one of %s"
                % (shown[host], ", ".join(str(one) for one in facts.addresses[:4])),
            )
        owner = owners.setdefault(str(address), host)
        if owner != host:
            found.say(host, "%s is also that of %s: give each host its own" % (shown[host], owner))
    if len(families) > 1:
        most = max(families.values(), key=len)
        for version, hosts in families.items():
            for host in hosts if hosts is not most else ():
                found.say(
                    host,
                    "%s is IPv%d, and %s has one of IPv%d: tunnels need one family on all hosts"
                    % (shown[host], version, most[0], 10 - version),
                )
