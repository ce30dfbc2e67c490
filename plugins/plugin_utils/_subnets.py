# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Node subnets: which are taken, and which each host gets. Private to the collection.

Networks either nest or have nothing in common, so that sorting them by their first address is enough to find what overlaps:
a thousand hosts take no time.
"""

from __future__ import annotations

import bisect
import typing as t
from collections.abc import Mapping

from ._inventory import Inventory
from ._settings import tunnel_address
from ._values import BITS, InventoryError, netaddr
from ._variables import VARIABLES

# Addresses of a node subnet that pods can't have: the network's own, the router's, the host's, and the broadcast address.
# With 3 bits of hosts there are pods' addresses left; with 2 there is none.
HOST_BITS = 3


class Claim(t.NamedTuple):
    """A node subnet and whose it is: a host of the inventory, or a node that only the database knows."""

    network: t.Any  # IPNetwork
    owner: str


def overlaps(one, other) -> bool:
    """Whether two networks share an address."""
    return one.version == other.version and one.first <= other.last and other.first <= one.last


def contains(outer, inner) -> bool:
    """Whether one network holds the other."""
    return outer.version == inner.version and outer.first <= inner.first and inner.last <= outer.last


def clashes(claims: t.Iterable[Claim]) -> list[tuple[Claim, Claim]]:
    """Pairs of claims that share addresses: each claim at most once, with one before it in the order of addresses."""
    found = []
    reach: dict[int, Claim] = {}  # by family: the claim so far that goes furthest
    for claim in sorted(claims, key=lambda entry: (entry.network.version, entry.network.first, -entry.network.last)):
        before = reach.get(claim.network.version)
        if before is not None and claim.network.first <= before.network.last:
            found.append((before, claim))
        if before is None or claim.network.last > before.network.last:
            reach[claim.network.version] = claim
    return found


class _Taken:
    """Claims in one family that share nothing."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._claims: list[Claim] = []

    def overlapping(self, network) -> Claim | None:
        """A claim that shares an address with ``network``."""
        index = bisect.bisect_right(self._firsts, network.last)
        if index and self._claims[index - 1].network.last >= network.first:
            return self._claims[index - 1]
        return None

    def add(self, network, owner: str) -> Claim | None:
        """Take ``network``, or give the claim that is in its way."""
        other = self.overlapping(network)
        if other is None:
            index = bisect.bisect(self._firsts, network.first)
            self._firsts.insert(index, network.first)
            self._claims.insert(index, Claim(network, owner))
        return other


def prefixes(inventory: Inventory, cluster: list) -> dict[int, int]:
    """The size of a planned subnet for each family of the cluster: family to prefix length."""
    default = VARIABLES["ovn_node_subnet_prefix"].default
    given = inventory.cluster_value("ovn_node_subnet_prefix") or list(default)
    if len(given) == 2:
        sizes = {4: given[0], 6: given[1]}
    elif all(network.version == 6 for network in cluster):
        sizes = {6: given[0]}
    else:
        sizes = {4: given[0], 6: default[1]}
    return {network.version: sizes[network.version] for network in cluster}


def _held(existing: Mapping, version: int) -> dict[str, t.Any]:
    """What the northbound database holds in one family: node name to network. Text that is no network holds nothing."""
    held = {}
    for node, subnets in existing.items():
        for text in subnets.split(",") if isinstance(subnets, str) else subnets or []:
            try:
                network = netaddr.IPNetwork(str(text).strip())
            except (netaddr.AddrFormatError, ValueError):
                continue
            if network.version == version:
                held[str(node).lower()] = network.cidr
    return held


def _free(cluster, prefix: int, taken: t.Iterable) -> t.Iterator:
    """The free subnets of a network, lowest first."""
    step = 1 << (BITS[cluster.version] - prefix)
    first, end = cluster.first, cluster.last + 1
    for network in sorted(taken, key=lambda entry: entry.first):
        while first + step <= min(network.first, end):
            yield netaddr.IPNetwork((first, prefix), version=cluster.version)
            first += step
        if network.last >= first:
            first += -(-(network.last + 1 - first) // step) * step
    while first + step <= end:
        yield netaddr.IPNetwork((first, prefix), version=cluster.version)
        first += step


def _count(number: int, noun: str) -> str:
    return "%d %s%s" % (number, noun, "" if number == 1 else "s")


def _exhausted(cluster, prefix: int, hosts: int, without: int) -> InventoryError:
    room = 1 << (prefix - cluster.prefixlen) if prefix >= cluster.prefixlen else 0
    fitting = cluster.prefixlen + max(hosts - 1, 0).bit_length()
    advice = "a wider ovn_cluster_subnet"
    if prefix < fitting <= BITS[cluster.version] - HOST_BITS:
        advice = "ovn_node_subnet_prefix to %d, or %s" % (fitting, advice)
    return InventoryError(
        'ovn_cluster_subnet "%s" is exhausted: it has room for %s of /%d, the inventory has %s, and %d of them can get none: set %s'
        % (cluster, _count(room, "node subnet"), prefix, _count(hosts, "host"), without, advice)
    )


def _plan_family(inventory: Inventory, cluster, prefix: int, existing: Mapping) -> dict[str, t.Any]:
    names = {host: inventory.node_name(host) for host in inventory.hosts}
    held = _held(existing, cluster.version)
    taken = _Taken()
    plan: dict[str, t.Any] = {}

    # What nodes hold that the inventory doesn't know stays theirs. Larger ones first, since others may lie in them.
    ours = set(names.values())
    nodes = {node: network for node, network in held.items() if node not in ours}
    for node, network in sorted(nodes.items(), key=lambda entry: (entry[1].prefixlen, entry[0])):
        taken.add(network, node)

    for host in inventory.hosts:
        for network in inventory.value(host, "ovn_node_subnet") or []:
            other = taken.add(network, host) if network.version == cluster.version else None
            if other is not None and other.owner in nodes:
                raise InventoryError(
                    'ovn_node_subnet "%s" overlaps "%s", which the northbound database holds for the node %s that is not in the '
                    "inventory: choose a free subnet, or remove that node" % (network, other.network, other.owner),
                    host,
                )
            if other is not None:
                raise InventoryError(
                    'ovn_node_subnet "%s" overlaps "%s" of %s: give each host its own'
                    % (network, other.network, other.owner),
                    host,
                )
            if network.version == cluster.version:
                plan[host] = network

    # A node with pods does not move because its subnet was given to another; where it is given a new one itself, it was meant.
    for host in inventory.hosts:
        network = held.get(names[host])
        other = (
            taken.overlapping(network)
            if network is not None and host not in plan and contains(cluster, network)
            else None
        )
        if other is not None and held.get(names.get(other.owner)) != other.network:
            raise InventoryError(
                'ovn_node_subnet "%s" overlaps "%s", which the northbound database holds for %s: choose a free subnet, '
                "or give %s another ovn_node_subnet" % (other.network, network, host, host),
                other.owner,
            )

    for host in inventory.hosts:
        network = held.get(names[host])
        if host not in plan and network is not None and contains(cluster, network) and taken.add(network, host) is None:
            plan[host] = network

    # A subnet that its host leaves in this very run is not given away yet: for a moment both would have it.
    free = _free(cluster, prefix, [*plan.values(), *held.values()])
    missing = [host for host in inventory.hosts if host not in plan]
    for index, host in enumerate(missing):
        network = next(free, None)
        if network is None:
            raise _exhausted(cluster, prefix, len(inventory.hosts), len(missing) - index)
        plan[host] = network
    return plan


def renamed(inventory: Inventory, existing: Mapping, tunnels: Mapping) -> dict[str, t.Any]:
    """``existing`` by the names of today: a node that the inventory doesn't know, at the tunnel address of a host that is new, is that host."""
    ours = {inventory.node_name(host): host for host in inventory.hosts}
    new = {tunnel_address(inventory, host): name for name, host in ours.items() if name not in existing}
    today = {}
    for node, subnets in existing.items():
        names = (
            [new[address] for address in tunnels.get(node) or [] if address in new]
            if str(node).lower() not in ours
            else []
        )
        today[names[0] if names else node] = subnets
    return today


def plan(inventory: Inventory, existing: Mapping, tunnels: Mapping | None = None) -> dict[str, list[str]]:
    """Each host's node subnets, one of each family of the cluster and in the order of ``ovn_cluster_subnet``.

    :param existing: what the northbound database holds, node name to list of subnets; also of nodes that the inventory doesn't know.
    :param tunnels: node name to its tunnel addresses, as the southbound database has them.
    :raises InventoryError: when the cluster's network is exhausted, or a given subnet belongs to somebody else.
    """
    if not inventory.hosts:
        return {}
    cluster = inventory.cluster_value("ovn_cluster_subnet")
    if not cluster:
        raise InventoryError(
            'ovn_cluster_subnet is not set: set it for all hosts, like "192.168.0.0/16"', inventory.hosts[0]
        )
    existing = renamed(inventory, existing, tunnels or {})
    sizes = prefixes(inventory, cluster)
    plans = [_plan_family(inventory, network, sizes[network.version], existing) for network in cluster]
    return {host: [str(one[host]) for one in plans] for host in inventory.hosts}
