# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the gateways: their NICs, addresses and next hops. Private to the collection."""

from __future__ import annotations

import typing as t
from collections.abc import Sequence

from ..module_utils._topology import gateway_checks as policy
from ..module_utils._topology.gateway import Gateway
from ._derived import SHARED_NIC as SHARED
from ._derived import shared_addresses, shared_links, tunnel_ip
from ._errors import show
from ._facts import Facts
from ._inventory import GATEWAYS, Inventory
from ._problems_cluster import CLUSTER, overlay_networks
from ._report import Report

if t.TYPE_CHECKING:
    from ..module_utils._common.addressing import IPInterface

DEDICATED = "ovn_gateway_interface"
IP, NEXT_HOP = "ovn_gateway_ip", "ovn_gateway_next_hop"
SHOWN_LINKS = 8  # of a host, in a message


def add_gateway_problems(inventory: Inventory, report: Report) -> None:
    """Add what is wrong with the gateways."""
    for host in inventory.gateways:
        _add_nic(inventory, host, report)
    gateways = gateways_of(inventory)
    for gateway in gateways:
        if gateway.cluster_subnets and gateway.physical_ips:
            report.add_problems(gateway.node, policy.problems(gateway))
    for problem in policy.sharing_problems(gateways, {}):
        report.add_problems(problem.subject.split(" ", 1)[1], [problem])
    _add_addresses(inventory, report)


def gateways_of(inventory: Inventory) -> list[Gateway]:
    """Return the gateways as the policy knows them."""
    return [_gateway(inventory, host) for host in inventory.gateways]


def _gateway(inventory: Inventory, host: str) -> Gateway:
    """Return the gateway as the policy knows it, with what can be read, by the name of its host in the inventory."""
    return Gateway(
        node=host,
        cluster_subnets=_texts(inventory.valid_cluster_value(CLUSTER)),
        physical_ips=_texts(_addresses(inventory, host)),
        next_hops=_texts(inventory.valid_value(host, NEXT_HOP)),
        bridge="",
    )


def _texts(values: Sequence[t.Any] | None) -> tuple[str, ...]:
    return tuple(map(str, values or ()))


def _addresses(inventory: Inventory, host: str) -> list[IPInterface]:
    """Return the gateway's addresses: what is set, and for a shared NIC without that, what the NIC has."""
    if inventory.is_set(host, IP) or inventory.valid_value(host, SHARED) is None:
        return inventory.valid_value(host, IP) or []
    return shared_addresses(inventory, host) if inventory.valid_cluster_value(CLUSTER) else []


def _add_nic(inventory: Inventory, host: str, report: Report) -> None:
    dedicated, shared = inventory.is_set(host, DEDICATED), inventory.is_set(host, SHARED)
    if dedicated and shared:
        report.add(
            host,
            f"{DEDICATED} {show(inventory.raw(host, DEDICATED))} and {SHARED} {show(inventory.raw(host, SHARED))} "
            "are both set, "
            "and a gateway uses one NIC: keep one of them",
        )
    elif dedicated:
        _add_dedicated(inventory, host, report)
    elif shared:
        _add_shared(inventory, host, report)
    else:
        report.add(
            host,
            f"{DEDICATED} is not set, and the host is in {GATEWAYS}: set it to the NIC on the physical network, "
            f"like {show('eth1')}",
        )


def _add_dedicated(inventory: Inventory, host: str, report: Report) -> None:
    """Add a dedicated NIC without an address, and one that the host needs."""
    if not inventory.is_set(host, IP):
        report.add(
            host,
            f"{IP} is not set, and a dedicated NIC needs it: set it to the gateway's physical address, like "
            f"{show('10.33.74.138/24')}",
        )
    nic = inventory.valid_value(host, DEDICATED)
    facts = inventory.facts(host)
    if not _has_nic(facts, host, DEDICATED, nic, report):
        return
    tunnel = tunnel_ip(inventory, host)
    link = facts.link_of(tunnel) if tunnel is not None else None
    advice = "which the host would lose: give the gateway a NIC of its own"
    if link is not None and link.name == nic:
        report.add(host, f"{DEDICATED} {show(nic)} has the tunnel address {show(tunnel)}, {advice}")
    elif nic in facts.default_links:
        report.add(host, f"{DEDICATED} {show(nic)} has the host's default route, {advice}")


def _add_shared(inventory: Inventory, host: str, report: Report) -> None:
    """Add a shared NIC without an address, and addresses that it does not have."""
    nic = inventory.valid_value(host, SHARED)
    facts = inventory.facts(host)
    if nic is None or not _has_nic(facts, host, SHARED, nic, report):
        return
    current = facts.link_addresses(shared_links(nic))
    if not inventory.is_set(host, IP) and not current:
        report.add(
            host,
            f"{SHARED} {show(nic)} has no address, and {IP} is not set: give the NIC an address, or set {IP}",
        )
    for face in inventory.valid_value(host, IP) or []:
        if current and face.ip not in [other.ip for other in current]:
            report.add(
                host,
                f"{IP} {show(face)} is not an address of the shared NIC {nic}, "
                f"which has {', '.join(map(show, current))}: "
                "leave it out, or write one of these",
            )


def _has_nic(facts: Facts, host: str, variable: str, nic: str | None, report: Report) -> bool:
    """Return whether the host is known to have the NIC; add it when it is known not to."""
    if nic is not None and facts.links and nic not in facts.links:
        links = ", ".join(sorted(facts.links)[:SHOWN_LINKS])
        report.add(host, f"{variable} {show(nic)} is no NIC of this host: write one of {links}")
    return nic in facts.links


def _add_addresses(inventory: Inventory, report: Report) -> None:
    """Add addresses of an IP version that the pods don't have, tunnel addresses, and those in other networks of the
    overlay."""
    versions = {network.version for network in inventory.valid_cluster_value(CLUSTER) or []}
    networks = [
        network for network in overlay_networks(inventory) if network.variable != CLUSTER
    ]  # the policy knows that one
    tunnels = {tunnel_ip(inventory, host): host for host in inventory.hosts}
    for host in inventory.gateways:
        for face in _addresses(inventory, host):
            value = f"{IP} {show(face)}"
            if versions and face.version not in versions:
                report.add(
                    host,
                    f"{value} is IPv{face.version}, and {CLUSTER} has no IPv{face.version} network: remove it, or "
                    "add one there",
                )
            owner = tunnels.get(face.ip)
            if owner is not None and not (inventory.is_set(host, SHARED) and owner == host):
                report.add(host, f"{value} is the tunnel address of {owner}: give the gateway one that no host has")
            for network in networks:
                problems = policy.network_overlap_problems(str(face), [str(network.network)], network.variable, "")
                report.add_problems(host, problems)
