# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ACLs of network policies (ovn-nb(5), ACL): those of each rule of a policy, one for each IP version of its peers
and each protocol of its ports (:mod:`.conditions`), and one that drops all else.

They belong to the port group of the pods that the policy is for. Each policy has its own drop: so it is written, and
removed, in one transaction with its rules, whichever other policies are there. ovn-northd makes one flow of equal ones.

A match consists of names that are hashes, of addresses and of numbers that were parsed, and of words of OVN. No text of
a user gets into it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple, Protocol

from .._common import names
from .._ovsdb.rows import Need, Owner, Row
from .._pods.model import ContainerPort
from . import acl_log, conditions, tiers
from .acl_log import OFF, AclLogging
from .domain_sets import DomainPlanner
from .model import EGRESS, INGRESS, PodPeer, Policy, PortName, PortRange, Rule
from .selectors import EVERYTHING, Selector
from .shared import GROUP_TABLE, VERSIONS, Key, Peer, PeerDomain, PeerNetworks, PeerNodes, PeerPods, PodGroup, Shared

KIND = "NetworkPolicy"
LOG_KIND, CLUSTER_LOG_KIND = "NP", "CNP"  # in names of ACLs
DROP, ALLOW = "drop", "allow-related"


class AnyPolicy(Protocol):
    """What a NetworkPolicy and a ClusterNetworkPolicy have in common."""

    @property
    def key(self) -> str:
        """What the informer calls it."""

    @property
    def namespace(self) -> str | Selector:
        """The namespace of the pods that it is for, or what selects their namespaces."""

    @property
    def pods(self) -> Selector:
        """The pods that it is for."""

    @property
    def ingress(self) -> tuple[Rule, ...] | None:
        """Rules of what they receive."""

    @property
    def egress(self) -> tuple[Rule, ...] | None:
        """Rules of what they send."""


class Acl(NamedTuple):
    """What a policy says of one protocol, or all: an ACL for each IP version, whose groups and sets are named by their
    keys.

    :ivar tier: one of :mod:`.tiers`.

    :ivar group: the pods whose port group it belongs to, and that it is about.
    :ivar peers: None: everyone.
    :ivar ports: a condition of ports of one protocol; empty: all packets.
    :ivar rule: the number of the rule that lets it through, the first of several; None: it is the isolation.
    """

    direction: str
    priority: int
    action: str
    group: PodGroup
    peers: tuple[Peer | PeerDomain, ...] | None = None
    ports: str = ""
    tier: int = tiers.NETWORK
    rule: int | None = None


class Watch(NamedTuple):
    """A port's name, and the pods whose numbers for it a policy has ACLs for."""

    key: PodGroup | PeerPods
    port: PortName


class Sets(Protocol):
    """The address sets of a peer."""

    @property
    def need(self) -> Need:
        """What a row that names them needs."""

    @property
    def versions(self) -> tuple[int, ...]:
        """The IP versions for which there is one."""

    def set_name(self, version: int) -> str:
        """Return the name of the set for an IP version."""


class Domain(NamedTuple):
    """The address sets of a domain name (:mod:`.domain_sets`)."""

    name: str

    @property
    def need(self) -> Need:
        """What a row that names them needs."""
        return DomainPlanner.need(self.name)

    @property
    def versions(self) -> tuple[int, ...]:
        """The IP versions for which there is one."""
        return VERSIONS

    def set_name(self, version: int) -> str:
        """Return the name of the set for an IP version."""
        return names.domain_set(self.name, version)


# Returns a group or a set by its key.
Find = Callable[[Key], Shared]
# Returns the numbers that pods have for a port's name.
Numbers = Callable[[Watch], Sequence[int]]


def watches(policy: AnyPolicy) -> list[Watch]:
    """Return the names of ports that a policy has."""
    found: dict[Watch, None] = {}
    group = PodGroup(policy.namespace, policy.pods)
    for rule in policy.ingress or ():
        found.update((Watch(group, port), None) for port in (rule.ports.names if rule.ports else ()))
    for rule in policy.egress or ():
        for port in rule.ports.names if rule.ports else ():
            found.update((Watch(key, port), None) for key in pods_behind(policy, rule))
    return list(found)


def peers_of(policy: AnyPolicy) -> list[PeerPods]:
    """Return the pods that a policy names as peers, in the order of its rules, none twice."""
    rules = (*(policy.ingress or ()), *(policy.egress or ()))
    return list(dict.fromkeys(pods_of(policy, one) for rule in rules for one in rule.peers))


def wanted(policy: Policy, numbers: Numbers, refused: Collection[PeerPods] = ()) -> list[Acl]:
    """Return the ACLs of a policy: for each direction that it is about a drop, and what its rules let through.

    :param refused: peers with which a rule lets nothing through.
    """
    group = PodGroup(policy.namespace, policy.pods)
    found: dict[Acl, int | None] = {}
    for direction, rules in ((tiers.TO_POD, policy.ingress), (tiers.FROM_POD, policy.egress)):
        if rules is None:
            continue
        found[Acl(direction, tiers.ISOLATE, DROP, group)] = None
        for rule in rules:
            if refused and any(pods_of(policy, one) in refused for one in rule.peers):
                continue
            make = from_peers if direction == tiers.TO_POD else to_peers
            for one in make(policy, rule, numbers):
                found.setdefault(one, rule.number)
    return [acl._replace(rule=number) for acl, number in found.items()]


def from_peers(policy: AnyPolicy, rule: Rule, numbers: Numbers) -> Iterator[Acl]:
    """Yield the ACLs of an ingress rule."""
    peers = rule_peers(policy, rule)
    if peers == ():
        return
    group = PodGroup(policy.namespace, policy.pods)
    for ports in _conditions(rule):
        yield Acl(tiers.TO_POD, tiers.ALLOW, ALLOW, group, peers, ports)
    for name in rule.ports.names if rule.ports else ():
        for number in numbers(Watch(group, name)):
            some = group._replace(port=ContainerPort(name.protocol, name.name, number))
            yield Acl(tiers.TO_POD, tiers.ALLOW, ALLOW, some, peers, _number(name.protocol, number))


def to_peers(policy: AnyPolicy, rule: Rule, numbers: Numbers) -> Iterator[Acl]:
    """Yield the ACLs of an egress rule. The name of a port means pods only, also where the peer is a network."""
    peers = rule_peers(policy, rule)
    if peers == ():
        return
    group = PodGroup(policy.namespace, policy.pods)
    for ports in _conditions(rule):
        yield Acl(tiers.FROM_POD, tiers.ALLOW, ALLOW, group, peers, ports)
    for name in rule.ports.names if rule.ports else ():
        by_number: dict[int, list[PeerPods]] = {}
        for key in pods_behind(policy, rule):
            for number in numbers(Watch(key, name)):
                port = ContainerPort(name.protocol, name.name, number)
                by_number.setdefault(number, []).append(key._replace(port=port))
        for number, keys in sorted(by_number.items()):
            yield Acl(tiers.FROM_POD, tiers.ALLOW, ALLOW, group, tuple(keys), _number(name.protocol, number))


def rule_peers(policy: AnyPolicy, rule: Rule) -> tuple[Peer | PeerDomain, ...] | None:
    """Return the peers of a rule; None: everyone."""
    if rule.everyone:
        return None
    blocks = (PeerNetworks(rule.networks),) if rule.networks else ()
    pods = (pods_of(policy, one) for one in rule.peers)
    return (*pods, *blocks, *map(PeerNodes, rule.nodes), *map(PeerDomain, rule.domains))


def pods_of(policy: AnyPolicy, peer: PodPeer) -> PeerPods:
    """Return the key of a peer's pods."""
    return PeerPods(policy.namespace if peer.namespaces is None else peer.namespaces, peer.pods)


def pods_behind(policy: AnyPolicy, rule: Rule) -> list[PeerPods]:
    """Return the pods among the peers of a rule, also those in its networks."""
    if rule.everyone:
        return [PeerPods(EVERYTHING, EVERYTHING)]
    blocks = [PeerPods(EVERYTHING, EVERYTHING, networks=rule.networks)] if rule.networks else []
    return [*(pods_of(policy, one) for one in rule.peers), *blocks]


def _conditions(rule: Rule) -> list[str]:
    """Return the conditions of the ports that a rule has numbers of; an empty one: all packets."""
    return conditions.of_ports(rule.ports.ranges) if rule.ports else [""]


def _number(protocol: str, number: int) -> str:
    return conditions.of_ports([PortRange(protocol, number, number)])[0]


def rows(
    policy: str,
    acl: Acl,
    find: Find,
    kind: str = KIND,
    logging: AclLogging = OFF,
    versions: Collection[int] = VERSIONS,
) -> list[Row]:
    """Return the rows of an ACL: one for each IP version that its peers have.

    :param policy: the policy's key.
    :param find: returns a group or a set.
    :param kind: of the policy.
    :param logging: what the policy's namespace asks for.
    :param versions: IP versions that pods have.
    """
    group = find(acl.group)
    peers = None if acl.peers is None else [_sets(one, find) for one in acl.peers]
    is_ingress = acl.direction == tiers.TO_POD
    found = conditions.matches(
        f"{'outport' if is_ingress else 'inport'} == @{group.group}",
        None if peers is None else _by_version(peers, versions),
        "src" if is_ingress else "dst",
        (acl.ports,) if acl.ports else (),
    )
    what = "isolation" if acl.action == DROP else "rule"
    if acl.tier != tiers.NETWORK:
        what = f"{acl.tier}-{acl.priority}"
    role = f"{'to' if is_ingress else 'from'}-pods-{what}"
    logged = acl_log.columns(_name(policy, acl, kind), logging, acl.action)
    return [
        Row(
            "ACL",
            Owner(kind, policy),
            f"{role}-{hashlib.sha256(match.encode()).hexdigest()[:32]}",
            parent=group.group,
            parent_table=GROUP_TABLE,
            columns={
                **tiers.columns(acl.direction, acl.tier, acl.priority, acl.action, match),
                **logged,
                "external_ids": {names.RULE_KEY: None if acl.rule is None else str(acl.rule)},
            },
            needs=(*(one.need for one in (group, *(peers or ()))), *acl_log.needs(logging, acl.action)),
        )
        for match in found
    ]


def count_rows(acl: Acl, find: Find, versions: Collection[int]) -> int:
    """Return how many rows an ACL has."""
    return 1 if acl.peers is None else len(_by_version([_sets(one, find) for one in acl.peers], versions))


def _name(policy: str, acl: Acl, kind: str) -> str:
    """Return the name of an ACL. All drops of a namespace and a direction have one: no policy by itself is the reason
    why a packet is dropped, but that none lets it through; and ovn-northd makes one flow of equal drops.
    """
    direction = INGRESS if acl.direction == tiers.TO_POD else EGRESS
    if kind != KIND:
        return acl_log.acl_name(CLUSTER_LOG_KIND, (policy,), direction, str(acl.rule))
    namespace, _slash, name = policy.partition("/")
    if acl.rule is None:
        return acl_log.acl_name(LOG_KIND, (namespace,), direction)
    return acl_log.acl_name(LOG_KIND, (namespace, name), direction, acl.rule)


def _sets(peer: Peer | PeerDomain, find: Find) -> Sets:
    return Domain(peer.domain) if isinstance(peer, PeerDomain) else find(peer)


def _by_version(peers: Sequence[Sets], versions: Collection[int]) -> dict[int, list[str]]:
    """Return the names of the address sets of peers, by IP version."""
    found: dict[int, list[str]] = {}
    for one in peers:
        for version in one.versions:
            if version in versions:
                found.setdefault(version, []).append(one.set_name(version))
    return found


def group_rows(group: Shared, ports: Row) -> list[Row]:
    """Return the rows of a group: its port group, and the ACL by which a pod reaches itself through a service.

    Nothing isolates a pod from itself. What it sends to itself by a load balancer comes back from the address of
    ``hairpin_snat_ip``, at the port that it was sent from, and OVN does not ask the ACLs of what it sends
    (ovn-northd(8): the hairpin stages come before those of from-lport ACLs after load balancing).
    """
    name = group.group
    sources = " || ".join(f"ip{version}.src == {address}" for version, address in names.HAIRPIN.items())
    match = f"outport == @{name} && inport == @{name} && ({sources})"
    columns = tiers.columns(tiers.TO_POD, tiers.FIREWALL, tiers.ALWAYS, ALLOW, match)
    itself = Row("ACL", group.owner, "hairpin", parent=name, parent_table=GROUP_TABLE, columns=columns)
    return [ports, itself]
