# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Node subnets: which are taken, and which each host gets. Private to the collection.

A host with pods keeps its subnet. Who knows it is asked in this order: the inventory, the node's switch in the
Northbound database, the host's own saved settings, the port of the cluster router, which outlives a switch that was
deleted, and the annotations of the node's pods.
"""

from __future__ import annotations

import ipaddress
import itertools
import typing as t
from collections.abc import Iterable, Iterator

from ..module_utils._common.names import NODE_SETTINGS
from ._claims import Claim, Claims, contains
from ._errors import InventoryError, count
from ._facts import NOTHING, OwnFacts
from ._inventory import Inventory, natural
from ._known_nodes import Known, inside, of_version, only, renamed
from ._variables import VARIABLES

try:
    import netaddr
except ImportError:  # Inventory reports it
    netaddr = None

if t.TYPE_CHECKING:
    from ..module_utils._common.addressing import IPNetwork
    from ._known_nodes import Subnets

# The longest prefix of a node subnet: 3 bits for hosts. Its own address, the router's, the host's and the broadcast
# address are not for pods.
HOST_BITS = 3


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


def plan(inventory: Inventory, known: Known, saved: bool = True) -> dict[str, list[str]]:
    """Return each host's node subnets, one of each IP version of the cluster and in the order of
    ``ovn_cluster_subnet``. Hosts whose names are not known have none here.

    :param saved: whether what hosts have saved counts. It can be judged only beside what the databases know.
    :raises InventoryError: the cluster's network is exhausted, or those who know subnets contradict each other.
    """
    if not inventory.hosts:
        return {}
    cluster = inventory.cluster_value("ovn_cluster_subnet")
    if not cluster:
        raise InventoryError(
            'ovn_cluster_subnet is not set: set it for all hosts, like "192.168.0.0/16"', inventory.hosts[0]
        )
    names = renamed(inventory, known)
    existing, leftovers = (
        {names.get(str(node), str(node)): subnets for node, subnets in found.items()}
        for found in (known.subnets, known.leftovers)
    )
    sizes = prefixes(inventory, cluster)
    plans = [
        _Plan(inventory, network, sizes[network.version], existing, leftovers, known.pods, saved).subnets()
        for network in cluster
    ]
    return {host: [str(subnets[host]) for subnets in plans] for host in inventory.named}


class Kept(t.NamedTuple):
    """A subnet that a host has already. ``where`` says who knows it, behind "which"."""

    network: IPNetwork
    where: str


class _Plan:
    """The plan of one IP version."""

    def __init__(
        self,
        inventory: Inventory,
        cluster: IPNetwork,
        prefix: int,
        existing: Subnets,
        leftovers: Subnets,
        pods: Subnets,
        saved: bool,
    ) -> None:
        self._inventory = inventory
        self._cluster = cluster
        self._prefix = prefix
        self._saved = saved
        self._names = {host: inventory.node_name(host) for host in inventory.named}
        self._nodes = {*self._names.values(), *(name.lower() for name in (*existing, *leftovers))}
        self._held = of_version(existing, cluster.version)
        self._leftovers = of_version(leftovers, cluster.version)
        self._of_pods = inside(cluster, pods)
        self._kept = {host: kept for host in inventory.named for kept in [self._kept_by(host)] if kept}
        everywhere = {**self._leftovers, **self._held}
        names = set(self._names.values())
        self._strangers = {node: network for node, network in everywhere.items() if node not in names}
        self._claims = Claims()
        self._subnets: dict[str, IPNetwork] = {}

    def subnets(self) -> dict[str, IPNetwork]:
        """Return host to its subnet."""
        self._claim_strangers()
        self._claim_set()
        self._refuse_taken()
        self._claim_kept()
        self._claim_free()
        return self._subnets

    def _kept_by(self, host: str) -> Kept | None:
        """Return the subnet that the host has already, by the first one who knows it; None for a new host.

        :raises InventoryError: the host's settings are damaged, and nobody before them knows it.
        """
        name = self._names[host]
        own = self._own(host)
        networks = self._inventory.value(host, "ovn_node_subnet") or []
        is_set = any(network.version == self._cluster.version for network in networks)
        saved = [network for network in own.subnets if network.version == self._cluster.version]
        if name in self._held:
            kept = Kept(self._held[name], f"the northbound database holds for {host}")
        elif own.problem and not is_set:
            raise InventoryError(f"{own.problem}: set ovn_node_subnet, or remove the file where no pods run", host)
        elif saved and not is_set:
            kept = Kept(saved[0], f"{host} itself has saved as its own ({NODE_SETTINGS})")
        elif name in self._leftovers:
            kept = Kept(self._leftovers[name], f"the cluster router still has for {host}")
        elif self._of_pods.get(name) and not is_set:
            kept = Kept(only(self._of_pods[name], host), f"pods of {host} have addresses of")
        else:
            return None
        return kept if contains(self._cluster, kept.network) else None

    def _own(self, host: str) -> OwnFacts:
        """Return what the host knows of its node; of a clone nothing, whose file is that of another node."""
        own = self._inventory.facts(host).own if self._saved else NOTHING
        return NOTHING if own.node != self._names[host] and own.node in self._nodes else own

    def _claim_strangers(self) -> None:
        """Nodes that the inventory does not know keep their subnets. Larger ones come first, since others may be inside
        them."""
        for node, network in sorted(self._strangers.items(), key=lambda item: (item[1].prefixlen, item[0])):
            self._claims.add(network, node)

    def _claim_set(self) -> None:
        """Hosts get the subnets that the inventory sets for them."""
        for host in self._names:
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
        for host, (network, where) in self._kept.items():
            other = self._claims.overlapping(network) if host not in self._subnets else None
            if other is None or other.owner in self._strangers:
                continue
            has = self._kept.get(other.owner)
            if has is None or has.network != other.network:
                raise InventoryError(
                    f'ovn_node_subnet "{other.network}" overlaps "{network}", which {where}: '
                    f"choose a free subnet, or give {host} another ovn_node_subnet",
                    other.owner,
                )

    def _claim_kept(self) -> None:
        """Hosts keep what they have. What the database has for them comes first; who contradicts it is refused."""
        for host in sorted(self._kept, key=lambda host: self._names[host] not in self._held):
            network, where = self._kept[host]
            other = self._claims.add(network, host) if host not in self._subnets else None
            if other is not None and self._names[host] not in self._held:
                raise InventoryError(
                    f'its pods\' subnet "{network}", which {where}, overlaps "{other.network}" of {other.owner}: '
                    f"set ovn_node_subnet for {host}, or remove {NODE_SETTINGS} there if it is from before the host "
                    "was removed or cloned",
                    host,
                )
            if other is None:
                self._subnets.setdefault(host, network)

    def _claim_free(self) -> None:
        """The other hosts get the lowest free subnets.

        A subnet that its host leaves in this very run is not free: for a moment both would have it.
        """
        missing = [host for host in self._names if host not in self._subnets]
        subnets = list(itertools.islice(self._free(), len(missing)))
        if len(subnets) < len(missing):
            raise self._exhausted(len(missing) - len(subnets))
        self._subnets.update(zip(missing, subnets))

    def _free(self) -> Iterator[IPNetwork]:
        """Yield the free subnets, lowest first."""
        kept = [kept.network for kept in self._kept.values()]
        networks = (*self._subnets.values(), *self._held.values(), *self._leftovers.values(), *kept)
        taken = netaddr.IPSet(str(network) for network in networks)
        for network in (netaddr.IPSet([str(self._cluster)]) - taken).iter_cidrs():
            if network.prefixlen <= self._prefix:
                yield from (ipaddress.ip_network(str(subnet)) for subnet in network.subnet(self._prefix))

    def _exhausted(self, without: int) -> InventoryError:
        cluster, prefix, hosts = self._cluster, self._prefix, len(self._inventory.hosts)
        room = 1 << (prefix - cluster.prefixlen) if prefix >= cluster.prefixlen else 0
        text = (
            f'ovn_cluster_subnet "{cluster}" is exhausted: it has room for {count(room, "node subnet")} of /{prefix}, '
            f"the inventory has {count(hosts, 'host')}, and {without} of them can get none: "
        )
        stale = sorted((node for node in self._strangers if contains(cluster, self._strangers[node])), key=natural)
        if stale and self._inventory.named == self._inventory.hosts:
            return InventoryError(
                f"{text}the databases hold subnets for {', '.join(stale)}, which the inventory does not have; remove "
                f"those that are gone, ansible-playbook ovn.kubernetes.remove -e ovn_remove_hosts={','.join(stale)}"
            )
        fitting = cluster.prefixlen + max(hosts - 1, 0).bit_length()
        advice = "a wider ovn_cluster_subnet"
        if prefix < fitting <= cluster.max_prefixlen - HOST_BITS:
            advice = f"ovn_node_subnet_prefix to {fitting}, or {advice}"
        return InventoryError(f"{text}set {advice}")
