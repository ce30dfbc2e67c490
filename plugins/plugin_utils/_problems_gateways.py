# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the gateways. Private to the collection."""

from __future__ import annotations

from ..module_utils._common.names import uplink_bridge
from ._inventory import GATEWAYS, Inventory
from ._problems_cluster import cluster_networks
from ._settings import shared_addresses, tunnel_address
from ._subnets import overlaps
from ._values import BITS, parse_address, show

DEDICATED, SHARED = "ovn_gateway_interface", "ovn_gateway_shared_interface"
IP, HOP = "ovn_gateway_ip", "ovn_gateway_next_hop"


def gateway_problems(inventory: Inventory, found) -> None:
    """Say what is wrong to ``found``."""
    for host in inventory.gateways:
        _interface_problems(inventory, host, found)
        _next_hop_problems(inventory, host, found)
    _address_problems(inventory, found)


def _interface_problems(inventory: Inventory, host: str, found) -> None:
    dedicated, shared = inventory.is_set(host, DEDICATED), inventory.is_set(host, SHARED)
    if dedicated and shared:
        found.say(
            host,
            "%s %s and %s %s are both set, and a gateway has one way outside: keep one of them"
            % (DEDICATED, show(inventory.given(host, DEDICATED)), SHARED, show(inventory.given(host, SHARED))),
        )
        return
    if not dedicated and not shared:
        found.say(
            host,
            "%s is not set, and the host is in %s: set it to the NIC for the outside, like %s"
            % (DEDICATED, GATEWAYS, show("eth1")),
        )
        return
    if not dedicated:
        _shared_problems(inventory, host, found)
        return
    if not inventory.is_set(host, IP):
        found.say(
            host,
            "%s is not set, and a dedicated NIC needs it: set it to the gateway's address outside, like %s"
            % (IP, show("10.33.74.138/24")),
        )
    nic = inventory.value_or_none(host, DEDICATED)
    facts = inventory.facts(host)
    if not _has_nic(facts, host, DEDICATED, nic, found):
        return
    tunnel = parse_address(tunnel_address(inventory, host))
    link = facts.link_of(tunnel) if tunnel is not None else None
    if link is not None and link.name == nic:
        found.say(
            host,
            "%s %s holds the tunnel address %s, which the host would lose: give the gateway a NIC of its own"
            % (DEDICATED, show(nic), show(tunnel)),
        )
    elif nic in facts.default_links:
        found.say(
            host,
            "%s %s holds the host's default route, which the host would lose: give the gateway a NIC of its own"
            % (DEDICATED, show(nic)),
        )


def _has_nic(facts, host: str, variable: str, nic: str | None, found) -> bool:
    """Whether the NIC is known to be there; that it is not is said."""
    if nic is not None and facts.links and nic not in facts.links:
        found.say(
            host,
            "%s %s is no NIC of this host: write one of %s" % (variable, show(nic), ", ".join(sorted(facts.links)[:8])),
        )
    return nic in facts.links


def _shared_problems(inventory: Inventory, host: str, found) -> None:
    nic = inventory.value_or_none(host, SHARED)
    facts = inventory.facts(host)
    if not _has_nic(facts, host, SHARED, nic, found):
        return
    given = inventory.value_or_none(host, IP)
    have = facts.link_addresses((uplink_bridge(nic), nic))
    if given is None and not inventory.is_set(host, IP) and not have:
        found.say(
            host,
            "%s %s has no address, and %s is not set: give the NIC an address, or set %s" % (SHARED, show(nic), IP, IP),
        )
    for entry in given or []:
        if have and entry.ip not in [one.ip for one in have]:
            found.say(
                host,
                "%s %s is not an address of the shared NIC %s, which has %s: leave it out, or write one of these"
                % (IP, show(entry), nic, ", ".join(show(one) for one in have)),
            )


def _next_hop_problems(inventory: Inventory, host: str, found) -> None:
    addresses = {entry.version: entry for entry in _addresses(inventory, host)}
    for hop in inventory.value_or_none(host, HOP) or []:
        own = addresses.get(hop.version)
        if own is None:
            if addresses:
                found.say(
                    host,
                    "%s %s is IPv%d, and %s has no IPv%d address: add one there, or remove it here"
                    % (HOP, show(hop), hop.version, IP, hop.version),
                )
        elif hop == own.ip:
            found.say(host, "%s %s is the gateway's own address: write that of the next router" % (HOP, show(hop)))
        elif hop not in own and own.prefixlen < BITS[own.version] and not (hop.version == 6 and hop.is_link_local()):
            found.say(
                host,
                "%s %s is not in the gateway's network %s: write an address in it, or give %s as %s where the router is off the subnet"
                % (HOP, show(hop), show(own.cidr), IP, show("%s/%d" % (own.ip, BITS[own.version]))),
            )


def _next_hops_of_gateways(inventory: Inventory, found) -> None:
    """A gateway leads outside; through another one traffic would go round in circles."""
    owners = {entry.ip: host for host in reversed(inventory.gateways) for entry in _addresses(inventory, host)}
    for host in inventory.gateways:
        for hop in inventory.value_or_none(host, HOP) or []:
            if owners.get(hop, host) != host:
                found.say(
                    host,
                    "%s %s is the address of the gateway %s: write that of the next router outside"
                    % (HOP, show(hop), owners[hop]),
                )


def _addresses(inventory: Inventory, host: str) -> list:
    """What was given; for a shared NIC without that, what the NIC has."""
    if (
        inventory.is_set(host, IP)
        or not inventory.is_set(host, SHARED)
        or inventory.value_or_none(host, SHARED) is None
    ):
        return inventory.value_or_none(host, IP) or []
    return shared_addresses(inventory, host) if inventory.cluster_value_or_none("ovn_cluster_subnet") else []


def _address_problems(inventory: Inventory, found) -> None:
    families = {network.version for network in inventory.cluster_value_or_none("ovn_cluster_subnet") or []}
    networks = cluster_networks(inventory)
    tunnels = {}
    for host in inventory.hosts:
        address = parse_address(tunnel_address(inventory, host))
        if address is not None:
            tunnels[address] = host
    owners: dict = {}
    _next_hops_of_gateways(inventory, found)
    for host in inventory.gateways:
        for entry in _addresses(inventory, host):
            owner = owners.setdefault(entry.ip, host)
            if owner != host:
                found.say(host, "%s %s is also that of %s: give each gateway its own" % (IP, show(entry), owner))
            if families and entry.version not in families:
                found.say(
                    host,
                    "%s %s is IPv%d, and ovn_cluster_subnet has no IPv%d network: remove it, or add one there"
                    % (IP, show(entry), entry.version, entry.version),
                )
            if entry.ip in tunnels and not (inventory.is_set(host, SHARED) and tunnels[entry.ip] == host):
                found.say(
                    host,
                    "%s %s is the tunnel address of %s: give the gateway one that no host has"
                    % (IP, show(entry), tunnels[entry.ip]),
                )
            for name, network, words in networks:
                if overlaps(network, entry.cidr):
                    found.say(
                        host,
                        "%s %s is in a network that %s overlaps: choose another network for %s"
                        % (IP, show(entry), words, name),
                    )
