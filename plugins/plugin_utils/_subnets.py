# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Node subnets: which are taken, and which each host gets. Private to the collection.

Subnets either contain each other or share no address. So it is enough to sort them by their first address to find
overlaps: planning takes
no noticeable time for a thousand hosts.
"""

from __future__ import annotations

import bisect
import ipaddress
import itertools
import typing as t
from collections.abc import Iterable, Iterator, Mapping

from ._derived import tunnel_address
from ._errors import InventoryError, count
from ._inventory import Inventory
from ._variables import VARIABLES

try:
    import netaddr
except ImportError:  # Inventory reports it
    netaddr = None

if t.TYPE_CHECKING:
    from ..module_utils._common.addressing import IPNetwork

    Subnets = Mapping[str, t.Any]  # node name -> its subnets, a list or text with commas

# The longest prefix of a node subnet: 3 bits for hosts. Its own address, the router's, the host's and the broadcast
# address are not for pods.
HOST_BITS = 3


class Claim(t.NamedTuple):
    """A node subnet, and its owner: a host of the inventory, or a node that only the database knows."""

    network: IPNetwork
    owner: str


def first(network: IPNetwork) -> int:
    """Return the first address as a number."""
    return int(network.network_address)


def last(network: IPNetwork) -> int:
    """Return the last address as a number."""
    return int(network.broadcast_address)


def contains(outer: IPNetwork, inner: IPNetwork) -> bool:
    """Return whether one network contains the other."""
    return outer.version == inner.version and first(outer) <= first(inner) and last(inner) <= last(outer)


def clashes(claims: Iterable[Claim]) -> list[tuple[Claim, Claim]]:
    """Return pairs of claims that share addresses: each claim at most once, with one before it in the order of
    addresses."""
    pairs = []
    furthest: dict[int, Claim] = {}  # IP version -> the claim so far that ends last
    for claim in sorted(claims, key=lambda claim: (claim.network.version, first(claim.network), -last(claim.network))):
        other = furthest.get(claim.network.version)
        if other is not None and first(claim.network) <= last(other.network):
            pairs.append((other, claim))
        if other is None or last(claim.network) > last(other.network):
            furthest[claim.network.version] = claim
    return pairs


class Claims:
    """Claims of one IP version that share no address."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._claims: list[Claim] = []

    def overlapping(self, network: IPNetwork) -> Claim | None:
        """Return a claim that shares an address with the network."""
        index = bisect.bisect_right(self._firsts, last(network))
        if index and last(self._claims[index - 1].network) >= first(network):
            return self._claims[index - 1]
        return None

    def add(self, network: IPNetwork, owner: str) -> Claim | None:
        """Add a claim; return the existing claim that it overlaps, if there is one, and add nothing then."""
        other = self.overlapping(network)
        if other is None:
            index = bisect.bisect(self._firsts, first(network))
            self._firsts.insert(index, first(network))
            self._claims.insert(index, Claim(network, owner))
        return other


def prefixes(inventory: Inventory, cluster: Iterable[IPNetwork]) -> dict[int, int]:
    """Return the size of a planned subnet: IP version to prefix length, for each version of the cluster.

    :raises InventoryError: ovn_node_subnet_prefix can't be read.
    """
    versions = {network.version for network in cluster}
    default = VARIABLES["ovn_node_subnet_prefix"].default
    values = inventory.cluster_value("ovn_node_subnet_prefix") or list(default)
    if len(values) == 2:
        sizes = {4: values[0], 6: values[1]}
    elif versions == {6}:
        sizes = {6: values[0]}
    else:
        sizes = {4: values[0], 6: default[1]}
    return {version: sizes[version] for version in versions}


def plan(inventory: Inventory, existing: Subnets, tunnels: Subnets | None = None) -> dict[str, list[str]]:
    """Return each host's node subnets, one of each IP version of the cluster and in the order of
    ``ovn_cluster_subnet``.

    :param existing: what the Northbound database has, node name to subnets; also of nodes that the inventory does
        not know.
    :param tunnels: node name to its tunnel addresses, from the Southbound database.
    :raises InventoryError: the cluster's network is exhausted, or a subnet of the inventory belongs to another node.
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
    plans = [_Plan(inventory, network, sizes[network.version], existing).subnets() for network in cluster]
    return {host: [str(subnets[host]) for subnets in plans] for host in inventory.hosts}


def renamed(inventory: Inventory, existing: Subnets, tunnels: Subnets) -> dict[str, t.Any]:
    """Return ``existing`` by the names of today.

    A node that the inventory does not know, and that has the tunnel address of a host that the database does not know,
    is that host.
    """
    hosts = {inventory.node_name(host): host for host in inventory.hosts}
    new = {tunnel_address(inventory, host): name for name, host in hosts.items() if name not in existing}
    today = {}
    for node, subnets in existing.items():
        name = node
        if str(node).lower() not in hosts:
            name = next((new[address] for address in tunnels.get(node) or [] if address in new), node)
        today[name] = subnets
    return today


class _Plan:
    """The plan of one IP version."""

    def __init__(self, inventory: Inventory, cluster: IPNetwork, prefix: int, existing: Subnets) -> None:
        self._inventory = inventory
        self._cluster = cluster
        self._prefix = prefix
        self._names = {host: inventory.node_name(host) for host in inventory.hosts}
        self._held = _held(existing, cluster.version)
        self._strangers = {node for node in self._held if node not in set(self._names.values())}
        self._claims = Claims()
        self._subnets: dict[str, IPNetwork] = {}

    def subnets(self) -> dict[str, IPNetwork]:
        """Return host to its subnet."""
        self._claim_strangers()
        self._claim_set()
        self._refuse_taken()
        self._claim_held()
        self._claim_free()
        return self._subnets

    def _claim_strangers(self) -> None:
        """Nodes that the inventory does not know keep their subnets. Larger ones come first, since others may be inside
        them."""
        for node in sorted(self._strangers, key=lambda node: (self._held[node].prefixlen, node)):
            self._claims.add(self._held[node], node)

    def _claim_set(self) -> None:
        """Hosts get the subnets that the inventory sets for them."""
        for host in self._inventory.hosts:
            for network in self._inventory.value(host, "ovn_node_subnet") or []:
                if network.version != self._cluster.version:
                    continue
                other = self._claims.add(network, host)
                if other is not None:
                    raise self._overlap(host, network, other)
                self._subnets[host] = network

    def _overlap(self, host: str, network: IPNetwork, other: Claim) -> InventoryError:
        text = f'ovn_node_subnet "{network}" overlaps "{other.network}"'
        if other.owner in self._strangers:
            return InventoryError(
                f"{text}, which the northbound database holds for the node {other.owner} that is not in the inventory: "
                "choose a free subnet, or remove that node",
                host,
            )
        return InventoryError(f"{text} of {other.owner}: give each host its own", host)

    def _refuse_taken(self) -> None:
        """A node with pods keeps its subnet, even if another host is set to it, unless the node itself is set to
        another one."""
        for host in self._inventory.hosts:
            network = self._held_in_cluster(host)
            other = self._claims.overlapping(network) if network is not None and host not in self._subnets else None
            if other is not None and self._held.get(self._names.get(other.owner, "")) != other.network:
                raise InventoryError(
                    f'ovn_node_subnet "{other.network}" overlaps "{network}", which the northbound database holds '
                    f"for {host}: "
                    f"choose a free subnet, or give {host} another ovn_node_subnet",
                    other.owner,
                )

    def _claim_held(self) -> None:
        """Hosts keep what the database has for them."""
        for host in self._inventory.hosts:
            network = self._held_in_cluster(host)
            if host not in self._subnets and network is not None and self._claims.add(network, host) is None:
                self._subnets[host] = network

    def _held_in_cluster(self, host: str) -> IPNetwork | None:
        network = self._held.get(self._names[host])
        return network if network is not None and contains(self._cluster, network) else None

    def _claim_free(self) -> None:
        """The other hosts get the lowest free subnets.

        A subnet that its host leaves in this very run is not free: for a moment both would have it.
        """
        missing = [host for host in self._inventory.hosts if host not in self._subnets]
        subnets = list(itertools.islice(self._free(), len(missing)))
        if len(subnets) < len(missing):
            raise self._exhausted(len(missing) - len(subnets))
        self._subnets.update(zip(missing, subnets))

    def _free(self) -> Iterator[IPNetwork]:
        """Yield the free subnets, lowest first."""
        taken = netaddr.IPSet(str(network) for network in (*self._subnets.values(), *self._held.values()))
        for network in (netaddr.IPSet([str(self._cluster)]) - taken).iter_cidrs():
            if network.prefixlen <= self._prefix:
                yield from (ipaddress.ip_network(str(subnet)) for subnet in network.subnet(self._prefix))

    def _exhausted(self, without: int) -> InventoryError:
        cluster, prefix, hosts = self._cluster, self._prefix, len(self._inventory.hosts)
        room = 1 << (prefix - cluster.prefixlen) if prefix >= cluster.prefixlen else 0
        fitting = cluster.prefixlen + max(hosts - 1, 0).bit_length()
        advice = "a wider ovn_cluster_subnet"
        if prefix < fitting <= cluster.max_prefixlen - HOST_BITS:
            advice = f"ovn_node_subnet_prefix to {fitting}, or {advice}"
        return InventoryError(
            f'ovn_cluster_subnet "{cluster}" is exhausted: it has room for {count(room, "node subnet")} of /{prefix}, '
            f"the inventory has {count(hosts, 'host')}, and {without} of them can get none: set {advice}"
        )


def _held(existing: Subnets, version: int) -> dict[str, IPNetwork]:
    """Return what the Northbound database has of one IP version: node name to subnet. Text that is no network is
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
