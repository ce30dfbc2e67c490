# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What policies share: groups of pods that they are for, and sets of peers that they name.

Each is known by what selects its members, so that policies which select the same have one row together. A pod that is
in a thousand policies with one selector is in one group. The names of rows are hashes of 128 bits: whatever a user
writes into a selector, nothing of it gets into a name or a match, and nobody finds another selector with the same hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple, Protocol, Union

from .._common import names
from .._common.addressing import family
from .._ovsdb.rows import Need, Owner
from .._pods.model import ContainerPort, Pod
from .model import PortName
from .networks import Spans
from .selectors import Selector

GROUP_KIND, SET_KIND = "PolicyPods", "PolicyPeers"
GROUP_TABLE, SET_TABLE = "Port_Group", "Address_Set"
VERSIONS: tuple[int, ...] = (4, 6)
FEW_PODS = 100  # by which the size of a set may differ from what policies know


class Node(Protocol):
    """What is used of a node of Kubernetes."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its own addresses."""

    @property
    def outer_addresses(self) -> tuple[str, ...]:
        """Those by which it is reached from outside."""


class OtherNumbers(NamedTuple):
    """A port of this name whose number is none of these.

    :ivar numbers: sorted.
    """

    protocol: str
    name: str
    numbers: tuple[int, ...]


PortOf = Union[ContainerPort, OtherNumbers]


class PodGroup(NamedTuple):
    """Pods that policies are for: a port group.

    :ivar namespace: the name of their namespace, or what selects it.
    :ivar port: only those which have this port; None: all.
    """

    namespace: str | Selector
    pods: Selector
    port: PortOf | None = None


class PeerPods(NamedTuple):
    """Pods as peers: an address set for each IP version.

    :ivar namespaces: the name of their namespace, or what selects it.
    :ivar port: only those which have this port; None: all.
    :ivar networks: only addresses in one of them; empty: all.
    """

    namespaces: str | Selector
    pods: Selector
    port: PortOf | None = None
    networks: tuple[str, ...] = ()


class PeerNetworks(NamedTuple):
    """Networks as peers: an address set for each IP version."""

    networks: tuple[str, ...]


class PeerNodes(NamedTuple):
    """Nodes as peers, by the addresses that they report: an address set for each IP version."""

    nodes: Selector


class PeerDomain(NamedTuple):
    """A domain name as a peer. Its sets are those of :mod:`.domain_sets`."""

    domain: str


OTHERS = (PeerNetworks, PeerNodes)  # peers that are no pods
Peer = Union[PeerPods, PeerNetworks, PeerNodes]
Key = Union[PodGroup, PeerPods, PeerNetworks, PeerNodes]


class Shared:
    """One group or set, and which policies use it.

    :ivar key: what selects its members.
    :ivar kind: of its owner.
    :ivar name: of its owner.
    :ivar digest: the hash in the names of its rows.
    :ivar versions: the IP versions of its address sets.
    :ivar users: keys of the policies that use it, or did until their rows are written.
    :ivar wanted_by: keys of those among them that use it now.
    :ivar counters: keys of the policies that count its pods. One for which they are too many does not use it.
    :ivar size: how many pods its selectors select; None: nobody has counted them yet.
    :ivar told_size: the size that those policies know.
    :ivar watchers: name of a port -> keys of the policies that have rows for each number that these pods have for it.
        Such a group need not have users: then it has no rows.
    """

    __slots__ = (
        "_spans",
        "counters",
        "digest",
        "key",
        "kind",
        "name",
        "size",
        "told_size",
        "users",
        "versions",
        "wanted_by",
        "watchers",
    )

    def __init__(self, key: Key) -> None:
        self.key = key
        self.kind = GROUP_KIND if isinstance(key, PodGroup) else SET_KIND
        text = json.dumps([type(key).__name__, key], separators=(",", ":"))
        self.digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        self.name = self.digest
        if isinstance(key, PodGroup):
            self.name = f"{key.namespace if isinstance(key.namespace, str) else '*'}/{self.digest}"
        self.versions = VERSIONS
        if isinstance(key, PeerNetworks):
            self.versions = tuple(sorted({family(one) for one in key.networks}))
        self.users: set[str] = set()
        self.wanted_by: set[str] = set()
        self.watchers: dict[PortName, set[str]] = {}
        self.counters: set[str] = set()
        self.size: int | None = None
        self.told_size = 0
        self._spans: Spans | None = None

    def resize(self, by: int) -> bool:
        """Take in that its selectors select more pods or fewer; return whether those who count them must know it: after
        a tenth more or less, so that a pod costs nothing for each of a thousand policies.
        """
        if self.size is None:
            return False
        self.size += by
        if abs(self.size - self.told_size) <= max(self.told_size // 10, FEW_PODS):
            return False
        self.told_size = self.size
        return True

    def __str__(self) -> str:
        """Return what selects the members, for people."""
        key = self.key
        if isinstance(key, PeerNetworks):
            return f"{len(key.networks)} networks"
        if isinstance(key, PeerNodes):
            return f"nodes={key.nodes}"
        port = f" port={_told(key.port)}" if key.port else ""
        if isinstance(key, PodGroup) and isinstance(key.namespace, str):
            return f"pods={key.pods}{port}"
        if isinstance(key, PodGroup):
            return f"namespaces={key.namespace} pods={key.pods}{port}"
        return f"namespaces={key.namespaces} pods={key.pods}{port}"

    @property
    def owner(self) -> Owner:
        """The owner of its rows."""
        return Owner(self.kind, self.name)

    @property
    def need(self) -> Need:
        """What a row that names it needs."""
        return Need(GROUP_TABLE if self.kind == GROUP_KIND else SET_TABLE, self.owner)

    @property
    def keeps_pods(self) -> bool:
        """Whether its members are pods, which come and go."""
        return not isinstance(self.key, OTHERS)

    @property
    def port(self) -> PortOf | None:
        """The port that all its pods have; None: they need not have one."""
        return None if isinstance(self.key, (PeerNetworks, PeerNodes)) else self.key.port

    def takes(self, pod: Pod) -> bool:
        """Return whether it takes a pod that its selectors select: one that has the port."""
        port = self.port
        if isinstance(port, OtherNumbers):
            return any(one[:2] == port[:2] and one.number not in port.numbers for one in pod.ports)
        return port is None or port in pod.ports

    @property
    def has_networks(self) -> bool:
        """Whether it takes only those addresses of pods that are in networks."""
        return isinstance(self.key, PeerPods) and bool(self.key.networks)

    def takes_address(self, address: str) -> bool:
        """Return whether it takes this address of a pod that it takes."""
        if not isinstance(self.key, PeerPods) or not self.key.networks:
            return True
        if self._spans is None:
            self._spans = Spans(self.key.networks)
        return self._spans.have(address)

    def node_addresses(self, node: Node | None) -> tuple[str, ...]:
        """Return the addresses of a node that a set of nodes has."""
        if node is None or not isinstance(self.key, PeerNodes) or not self.key.nodes.matches(node.labels):
            return ()
        return (*node.addresses, *node.outer_addresses)

    @property
    def group(self) -> str:
        """The name of its port group."""
        return names.policy_group(self.digest)

    def set_name(self, version: int) -> str:
        """Return the name of its address set for an IP version."""
        return names.peer_set(self.digest, version)


def _told(port: PortOf) -> str:
    """Return a port for people."""
    if isinstance(port, OtherNumbers):
        return f"{port.name}, not one of {len(port.numbers)} numbers"
    return f"{port.name}={port.number}"
