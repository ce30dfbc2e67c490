# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the rows of egress firewalls: ACLs that drop, and the address sets of what they drop.

They belong to the port group of all pods of the namespace. What a pod sends is judged after load balancing, so a
service's endpoints count, and not its address. Networks of the cluster are taken out of all sets: traffic between pods,
and from a pod to the node's address in the pods' network, is no firewall's business; that to other addresses of nodes
is (as ovn-kubernetes has it). Link-local addresses that hosts carry for their own pods (NodeLocal DNSCache) are inside,
too: as long as a host has one, packets to it leave by no gateway (:mod:`._services.link_local`). Others are outside,
such as those of clouds' metadata.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from .._common import addressing, names
from .._common.addressing import family
from .._kube import reasons
from .._kube.reference import OnEvent
from .._kube.statuses import StatusWriter
from .._kube.told import Told
from .._ovsdb.plan import Change
from .._ovsdb.replica import Replica
from .._ovsdb.rows import LargeSet, Owner, Row
from .._reconcile.engine import Engine
from .._reconcile.planning import NotReady
from . import acl_log, conditions, tiers
from .acl_log import OFF, AclLogging, NamespaceLogging
from .cluster_networks import ClusterNetworks
from .domain_sets import DomainPlanner
from .egress_firewall_drops import Drop, Resolved, drops
from .egress_firewall_model import EVERYTHING, NAME, EgressFirewall, FirewallRule
from .networks import Span, span
from .selectors import EVERYTHING as ALL_PODS
from .selectors import Selector
from .shared import GROUP_TABLE, SET_TABLE, PodGroup, Shared
from .sharing import Sharing

LOG = logging.getLogger("ovn-k8s-watcher")
KIND, LOG_KIND = "EgressFirewall", "EF"  # the latter in names of ACLs
PATH = "/apis/k8s.ovn.org/v1/egressfirewalls"
ZONE = "global"  # of a message in a status: ovn-kubernetes' name of the only zone
APPLIED, NOT_APPLIED = "EgressFirewall Rules applied", "EgressFirewall Rules not correctly applied"
LONGEST = 500  # characters of a message
# What never leaves the cluster, beside its own networks: multicast, and what is link-local in IPv6.
NEVER_OUTSIDE = tuple(map(span, ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8", "fe80::/10")))
MAXIMUM_LINK_LOCAL = 8  # addresses that are taken out of each set: each makes up to 32 networks of one


class Node(Protocol):
    """What a firewall must know of a node."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its own addresses."""

    @property
    def outer_addresses(self) -> tuple[str, ...]:
        """Those by which it is reached from outside."""

    @property
    def link_local(self) -> tuple[str, ...]:
        """IPv4 link-local addresses that it carries for its own pods."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""


class FirewallPlanner:
    """The planner of egress firewalls.

    :param firewalls: key -> firewall, the informer's store.
    :param groups: port groups of network policies, which firewalls use too.
    :param nodes: name -> node, the informer's store.
    :param on_event: writes an event about a firewall.
    :param is_readable: returns whether the API server shows firewalls, or does not know them.
    :param logging: whose drops namespaces want logged.

    :ivar engine: set by whoever makes the engine.
    """

    tables = ("ACL", SET_TABLE)
    engine: Engine

    def __init__(
        self,
        replica: Replica,
        firewalls: Mapping[str, EgressFirewall],
        groups: Sharing,
        domains: DomainPlanner,
        networks: ClusterNetworks,
        nodes: Mapping[str, Node],
        on_event: OnEvent,
        statuses: StatusWriter,
        is_readable: Callable[[], bool],
        logging: NamespaceLogging,
    ) -> None:
        self._replica = replica
        self._firewalls = firewalls
        self._sharing = groups
        self._domains = domains
        self._networks = networks
        self._nodes = nodes
        self._statuses = statuses
        self._is_readable = is_readable
        self._logging = logging
        logging.followers.append(self._logging_changed)
        self._told = Told(on_event, LOG)
        self._shared: set[str] = set()  # firewalls that use their port group
        self._names: dict[str, set[str]] = {}  # firewall -> domain names that it uses
        self._selectors: dict[str, set[Selector]] = {}  # firewall -> selectors of nodes
        self._faults: dict[str, tuple[str, ...]] = {}  # firewall -> what its last plan could not serve
        self._carried: Counter[str] = Counter()  # link-local address -> how many nodes carry it
        self._link_local: tuple[str, ...] = ()  # those that are inside
        domains.listeners.append(self._domain_changed)

    def begin_sets(self) -> None:
        """Keep the port groups that rows of an earlier run name, with their pods, until these are as desired: so also
        where this account may not read firewalls.
        """
        for key in self._replica.owners(KIND):
            self._share(key)

    def begin(self) -> None:
        """Look at all firewalls."""
        for key in {*self._firewalls, *self._shared, *self._replica.owners(KIND)}:
            self.engine.mark(KIND, key)

    # Events.

    def firewall_changed(self, key: str, old: EgressFirewall | None, new: EgressFirewall | None) -> None:
        """Take in a change of a firewall."""
        if old is not None and new is not None and old._replace(status=new.status) == new:
            self._statuses.seen(_path(key), new.status)
            return
        served = new if new is not None and new.name == NAME else None
        if served is not None:
            self._share(key)
        self._use_names(key, served)
        self._selectors[key] = {rule.nodes for rule in served.rules if rule.nodes is not None} if served else set()
        if new is None:
            self._told.forget(key)
            self._statuses.forget(_path(key))
            self._domains.forget(_user(key))
            del self._names[key], self._selectors[key]
            self._faults.pop(key, None)
            if not self.engine.active:
                self._unshare(key)
        self.engine.mark(KIND, key)

    def _use_names(self, key: str, served: EgressFirewall | None) -> None:
        """Use the domain names of a firewall, and no others."""
        wanted = set(served.domains) if served is not None else set()
        used = self._names.get(key, set())
        for name in used - wanted:
            self._domains.release(name, _user(key))
        new = {name for name in wanted - used if self._domains.use(name, _user(key), lambda: self._room_came(key))}
        self._names[key] = (used & wanted) | new

    def _room_came(self, key: str) -> None:
        """Use domain names that were more than what is served."""
        firewall = self._firewalls.get(key)
        if firewall is not None and firewall.name == NAME:
            self._use_names(key, firewall)
            self.engine.mark(KIND, key)

    def _share(self, key: str) -> None:
        if key not in self._shared:
            self._shared.add(key)
            self._sharing.use(_group(key.partition("/")[0]), _user(key))

    def _unshare(self, key: str) -> None:
        if key in self._shared:
            self._shared.discard(key)
            self._sharing.release(_group(key.partition("/")[0]), _user(key))

    def node_changed(self, _key: str, old: Node | None, new: Node | None) -> None:
        """Take in a change of a node: firewalls may name its addresses, and its link-local ones are inside."""
        self._count_link_local(old, new)
        for key, selectors in self._selectors.items():
            if any(_of_node(selector, old) != _of_node(selector, new) for selector in selectors):
                self.engine.mark(KIND, key)

    def _count_link_local(self, old: Node | None, new: Node | None) -> None:
        before, after = (one.link_local if one is not None else () for one in (old, new))
        if before == after:
            return
        self._carried.subtract(before)
        self._carried.update(after)
        self._carried = +self._carried
        first = sorted(self._carried, key=lambda one: (-self._carried[one], one))[:MAXIMUM_LINK_LOCAL]
        inside = tuple(sorted(first))
        if inside != self._link_local:
            self._link_local = inside
            self.networks_changed()

    def _domain_changed(self, name: str) -> None:
        for key in {user.partition(" ")[2] for user in self._domains.names.users(name) if user.startswith(KIND)}:
            self.engine.mark(KIND, key)

    def networks_changed(self) -> None:
        """Take in that the cluster's networks may be others."""
        for key in self._shared:
            self.engine.mark(KIND, key)

    def _logging_changed(self, namespace: str) -> None:
        """Take in that the drops of a namespace may be logged otherwise."""
        key = f"{namespace}/{NAME}"
        if key in self._shared:
            self.engine.mark(KIND, key)

    # For the engine.

    @staticmethod
    def owner(key: str) -> Owner:
        """Return the owner of a firewall's rows."""
        return Owner(KIND, key)

    def desired(self, key: str) -> list[Row]:
        """Return the rows of a firewall."""
        firewall = self._firewalls.get(key)
        if firewall is None and not self._is_readable():
            raise NotReady("egress firewalls can't be read now", keeps_rows=True)
        if firewall is None or firewall.name != NAME:
            return []
        pods = self._networks.pods()
        if not pods:
            raise NotReady("the networks of pods are not known yet", keeps_rows=True)
        known: dict[Selector, tuple[Span, ...]] = {}
        rules = [Resolved(one.is_allow, self._spans(key, one, known), one.ports, one.number) for one in firewall.rules]
        carried = map(addressing.single, self._link_local)
        compiled = drops(rules, (*map(span, (*pods, *carried)), *NEVER_OUTSIDE))
        self._faults[key] = (*firewall.faults, *compiled.faults, *self._of_names(key, firewall))
        group = self._sharing.get(_group(firewall.namespace))
        logging = self._logging.of(firewall.namespace)
        versions = self._networks.versions()
        rows = [row for drop in compiled.drops for row in _rows(key, drop, group, logging, versions)]
        return [*rows, *([_with_ports(key, group)] if any(drop.has_no_ports for drop in compiled.drops) else [])]

    def _spans(self, key: str, rule: FirewallRule, known: dict[Selector, tuple[Span, ...]]) -> tuple[Span, ...]:
        """Return the networks that a rule is about now."""
        if rule.domain is not None:
            if rule.domain not in self._names.get(key, ()):
                return () if rule.is_allow else EVERYTHING
            served = tuple(span(addressing.single(one)) for one in self._domains.names.addresses(rule.domain))
            partial = () if rule.is_allow else self._domains.names.partial(rule.domain)
            return (*served, *(one for one in EVERYTHING if one.version in partial))
        if rule.nodes is None:
            return rule.networks
        if rule.nodes not in known:
            found = (one for node in self._nodes.values() for one in _of_node(rule.nodes, node))
            known[rule.nodes] = tuple(span(addressing.single(one)) for one in dict.fromkeys(found))
        return known[rule.nodes]

    def _of_names(self, key: str, firewall: EgressFirewall) -> list[str]:
        """Return what is wrong with the domain names of a firewall."""
        found = []
        for name in firewall.domains:
            if name not in self._names.get(key, ()):
                found.append(f"{name}: policies have too many domain names: an Allow allows nothing, a Deny denies all")
            elif problem := self._domains.names.problem(name):
                closed = ", and a Deny denies all" if self._domains.names.partial(name) else ""
                found.append(f"{name}: {problem}{closed}")
        return found[:5]

    def done(self, key: str, changes: Sequence[Change]) -> None:
        """Take in that the rows are as desired, and say what is not served as it is written."""
        firewall = self._firewalls.get(key)
        if firewall is None:
            self._unshare(key)
            return
        faults: Sequence[str] = self._faults.get(key, ())
        if firewall.name != NAME:
            faults = (f"its name is not {NAME!r}: it is not served",)
        self._tell(firewall, reasons.FIREWALL_NOT_ENFORCED, "")
        said = "; ".join(faults)
        self._tell(firewall, reasons.FIREWALL_PART_REFUSED, f"not enforced as written: {said}" if said else "")
        self._write(firewall, f"{NOT_APPLIED}: {said}"[:LONGEST] if said else APPLIED)

    def failed(self, key: str, reason: str) -> None:
        """Say that a firewall is not enforced yet."""
        firewall = self._firewalls.get(key)
        if firewall is not None:
            self._tell(firewall, reasons.FIREWALL_NOT_ENFORCED, f"it is not enforced yet: {reason}")
            self._write(firewall, f"{NOT_APPLIED}: {reason}"[:LONGEST])

    def _tell(self, firewall: EgressFirewall, reason: str, message: str) -> None:
        self._told.tell(firewall.key, firewall.reference, reason, message)

    def _write(self, firewall: EgressFirewall, message: str) -> None:
        status = {"status": APPLIED if message == APPLIED else NOT_APPLIED, "messages": [f"{ZONE}: {message}"]}
        says = (status["status"], tuple(status["messages"]))
        self._statuses.merge(_path(firewall.key), firewall.uid, status, says, firewall.status)


def _group(namespace: str) -> PodGroup:
    return PodGroup(namespace, ALL_PODS)


def _user(key: str) -> str:
    return f"{KIND} {key}"


def _path(key: str) -> str:
    namespace, _slash, name = key.partition("/")
    return f"/apis/k8s.ovn.org/v1/namespaces/{namespace}/egressfirewalls/{name}"


def _of_node(selector: Selector, node: Node | None) -> tuple[str, ...]:
    """Return the addresses of a node that a selector selects."""
    return (*node.addresses, *node.outer_addresses) if node is not None and selector.matches(node.labels) else ()


def _rows(key: str, drop: Drop, group: Shared, logging: AclLogging, versions: Sequence[int]) -> list[Row]:
    """Return the rows of a drop: its address sets, and an ACL for each IP version and each protocol."""
    owner, which = Owner(KIND, key), f"{drop.number}:{drop.kind}:{drop.ports}"
    digest = hashlib.sha256(which.encode()).hexdigest()[:32]
    first, last = drop.rules
    rules = str(first) if first == last else f"{first}-{last}"
    found, sets = [], {}
    for version in versions:
        members = [one for one in drop.networks if family(one) == version]
        if members:
            name = names.firewall_set(key, which, version)
            sets[version] = [name]
            columns = {"addresses": LargeSet(members)}
            found.append(Row(SET_TABLE, owner, f"networks-{digest}-{version}", name, columns=columns, kind="known"))
    for match in conditions.matches(f"inport == @{group.group}", sets, "dst", conditions.of_ports(drop.ports or ())):
        if drop.has_no_ports:
            acl = tiers.columns_before(tiers.PORTLESS_DROP, "drop", match)
        else:
            acl = tiers.columns(tiers.FROM_POD, tiers.FIREWALL, tiers.EGRESS_FIRST, "drop", match)
        role = f"drop-{hashlib.sha256(f'{which}:{match}'.encode()).hexdigest()[:32]}"
        found.append(_acl(owner, role, group, acl, logging, rules))
    return found


def _with_ports(key: str, group: Shared) -> Row:
    """Return the ACL by which protocols with ports don't meet the drops of those without."""
    match = f"inport == @{group.group} && (tcp || udp || sctp)"
    columns = tiers.columns_before(tiers.PORTS_ALLOW, "allow", match)
    return _acl(Owner(KIND, key), "with-ports", group, columns, OFF, "ports")


def _acl(owner: Owner, role: str, group: Shared, columns: Mapping[str, Any], logging: AclLogging, what: str) -> Row:
    """Return an ACL.

    :param what: the end of its name: numbers of rules, or a word.
    """
    name, action = acl_log.acl_name(LOG_KIND, (owner.name.partition("/")[0],), what), columns["action"]
    return Row(
        "ACL",
        owner,
        role,
        parent=group.group,
        parent_table=GROUP_TABLE,
        columns={
            **columns,
            **acl_log.columns(name, logging, action),
            "external_ids": {names.RULE_KEY: what if action == "drop" else None},
        },
        needs=(group.need, *acl_log.needs(logging, action)),
    )
