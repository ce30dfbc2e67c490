# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the rows of network policies.

A policy's own rows are its ACLs. They name groups and sets, which the same transaction makes where they are not there.
Those that nobody names any more are removed after the last ACL that names them.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import cast

from .._ovsdb.plan import Change
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow, Owner, Row
from .._pods import northbound
from .._pods.model import Pod
from .._reconcile import retries
from .._reconcile.engine import Engine
from .._reconcile.planning import NotReady, Unfinished
from . import acls, cluster_acls, nodes, tiers
from .acl_log import METER_KIND, OFF, AclLogging, MeterPlanner, NamespaceLogging
from .acls import KIND, Acl
from .cluster_model import ClusterPolicy
from .domain_sets import DomainPlanner
from .enforcement import Changes, Observe
from .groups import GroupPlanner, SetPlanner
from .index import PolicyIndex
from .isolation_first import IsolationFirst
from .looks import Looks
from .membership import MEMBER_COLUMNS, Membership
from .model import Namespace, Policy
from .moving import Move
from .named_ports import Written
from .nodes import NodePlanner
from .policy_domains import PolicyDomains
from .reports import NO_TIERS, NOT_SUPPORTED, AnyPolicy, Reports, kind_of
from .shared import GROUP_KIND, GROUP_TABLE, SET_KIND, SET_TABLE, VERSIONS, Key, Node, PeerDomain, Shared
from .sharing import Sharing

KINDS = (nodes.KIND, KIND, cluster_acls.KIND, GROUP_KIND, SET_KIND, METER_KIND)


class PolicyPlanner:
    """The planner of network policies and cluster network policies, and what hears of everything that they depend on.

    :param replica: the Northbound database, with the members of groups and sets (:data:`.membership.MEMBER_COLUMNS`).
    :param policies: key -> network policy, the informer's store.
    :param cluster_policies: name -> cluster network policy, the informer's store.
    :param pods: key -> pod, the informer's store.
    :param namespaces: name -> namespace, the informer's store.
    :param k8s_nodes: name -> node, the informer's store.
    :param domains: the planner of domain names' sets.
    :param reports: says what became of policies.
    :param observe: called with "policy", and the seconds from the news of a change until its rows are written.
    :param versions: returns the IP versions that pods have.

    :ivar groups, sets, nodes, meter: the planners of what policies share.
    :ivar membership, sharing: what policies add to the rows of pods; their groups and sets, for other kinds.
    :ivar are_unread: returns whether there may be cluster network policies that nobody has read.
    :ivar logging: which ACLs namespaces want logged.
    """

    tables = ("ACL",)
    are_unread: Callable[[], bool]

    def __init__(
        self,
        replica: Replica,
        policies: Mapping[str, Policy],
        cluster_policies: Mapping[str, ClusterPolicy],
        pods: Mapping[str, Pod],
        namespaces: Mapping[str, Namespace],
        k8s_nodes: Mapping[str, Node],
        domains: DomainPlanner,
        reports: Reports,
        observe: Observe = lambda what, seconds: None,
        versions: Callable[[], tuple[int, ...]] = lambda: VERSIONS,
    ) -> None:
        self._versions, self._known_versions = versions, VERSIONS
        self.index = PolicyIndex(pods, namespaces, self._addresses_of)
        self.looks = Looks(self.index, pods, self._mark_policy, Written(replica))
        self.groups, self.sets = GroupPlanner(replica, self.index), SetPlanner(replica, self.index, k8s_nodes)
        self.groups.on_done = self.sets.on_done = self._is_there
        self.groups.are_acls_known = self.sets.are_acls_known = self._are_acls_known
        self.nodes = NodePlanner(replica)
        self.are_unread = lambda: False
        self._move = Move(replica, lambda: self.nodes.lacking, self._share_pods)
        self.nodes.on_complete = self._all_pass
        self._replica = replica
        self._policies: Mapping[str, AnyPolicy] = ChainMap(
            cast("MutableMapping[str, AnyPolicy]", policies), cast("MutableMapping[str, AnyPolicy]", cluster_policies)
        )
        self._cluster_policies = cluster_policies
        self._pods = pods
        self._namespaces = namespaces
        self.membership = Membership(replica, self.index)
        self.sharing = Sharing(self.index, self._adopt, self._mark, self._remove_left_over)
        self.membership.on_gone = self._pod_gone
        self._reports = reports
        self._names = PolicyDomains(domains, self._mark_policy, self._refresh)
        self._observe = observe
        self.changes = Changes()
        self.meter = MeterPlanner()
        self.logging = NamespaceLogging(namespaces, reports.told)
        self.logging.followers.append(self._logging_changed)
        self._first = IsolationFirst(
            replica, lambda owner: self.engine.mark(*owner), lambda owner: retries.Key(*owner) in self.engine.failing
        )
        self._acls: dict[str, list[Acl]] = {}  # policy -> its ACLs
        self._sizes: dict[str, int] = {}  # policy -> how many rows its ACLs have
        self._planned: dict[str, list[Acl] | None] = {}  # policy -> the ACLs that were planned last
        self._of_before: set[str] = set()  # policies whose ACLs an earlier watcher may have written
        self._surplus: set[str] = set()  # policies that use what their ACLs name no more
        self._used: dict[str, set[Key]] = {}  # policy -> groups and sets of its ACLs, and of those that are written

    @property
    def planners(self) -> dict[str, PolicyPlanner | GroupPlanner | SetPlanner | NodePlanner | MeterPlanner]:
        """Kind -> planner, in the order in which they are best planned."""
        return {
            nodes.KIND: self.nodes,
            KIND: self,
            cluster_acls.KIND: self,
            GROUP_KIND: self.groups,
            SET_KIND: self.sets,
            METER_KIND: self.meter,
        }

    @property
    def engine(self) -> Engine:
        """The engine, which whoever makes it sets."""
        return self.nodes.engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        self.groups.engine = self.sets.engine = self.nodes.engine = self.meter.engine = engine

    # Events.

    def policy_changed(self, key: str, old: AnyPolicy | None, new: AnyPolicy | None) -> None:
        """Take in a change of a policy."""
        if isinstance(old, ClusterPolicy) and isinstance(new, ClusterPolicy) and old.is_as(new):
            if not self._reports.is_told(new):
                self._mark_policy(key)
            return
        if self.engine.active:
            self.changes.changed(key)
        if new is None:
            self._reports.forget(key, old)
            self._first.discard(key)
        if kind_of(key) == KIND:
            self.logging.policy_changed(key, new is not None)
        self._refresh(key)

    def namespace_changed(self, key: str, old: Namespace | None, new: Namespace | None) -> None:
        """Take in a change of a namespace: its pods may be in other sets, and its ACLs may be logged."""
        self.logging.changed(key, old, new)
        if self.engine.active:
            self.logging.tell(key)
        if self.index.namespace_changed(key, new):
            self._pods_changed(self.index.pods_in(key))

    def _logging_of(self, key: str) -> AclLogging:
        """Return which ACLs of a policy are logged."""
        policy = self._policies.get(key)
        if isinstance(policy, ClusterPolicy):
            return policy.logging
        return self.logging.of(policy.namespace) if policy is not None else OFF

    def _logging_changed(self, namespace: str) -> None:
        """Look at the policies of a namespace, whose ACLs may be logged otherwise."""
        for key in self.logging.policies_of(namespace):
            self.engine.mark(KIND, key)

    def pod_changed(self, key: str, old: Pod | None, new: Pod | None) -> None:
        """Take in a change of a pod, whose own planner hears of it too."""
        self.index.pod_changed(key, old, new)
        if old is None:
            self.looks.pod_came()

    def node_changed(self, old: Node | None, new: Node | None) -> None:
        """Take in a change of a node of Kubernetes: it may be in other sets, or have other addresses."""
        for shared in self.index.sets_of_nodes():
            if shared.node_addresses(old) != shared.node_addresses(new):
                self._mark(shared)

    def _pod_gone(self, key: str) -> None:
        """Take in that a pod has no port any more."""
        self.index.pod_gone(key)

    def port_changed(self, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in a change of a switch port."""
        self.sets.port_changed(old, new)
        for row in (old, new):
            if row is not None and row.owner is not None and row.owner.type == northbound.KIND:
                self.index.named_ports.changed(row.owner.name, self.index.pod(row.owner.name))

    def _addresses_of(self, pod: str) -> Iterator[str]:
        for port in self._replica.owned(northbound.owner(pod), (northbound.TABLE,)):
            yield from northbound.addresses_of_port(port)

    def switch_changed(self, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in a change of a switch: with the one of all gateways pods may have another IP version."""
        self.nodes.switch_changed(old, new)
        if self._known_versions != self._versions():
            self._known_versions = self._versions()
            for key in self._policies:
                self._count_rows(key)
                self._mark_policy(key)

    def _all_pass(self) -> None:
        """Take in that all switches pass on to later tiers."""
        for key in self._move.waiting:
            self._mark_policy(key)
        self._move.waiting.clear()

    def members_changed(self, row: CurrentRow, come: Collection[str], gone: Collection[str]) -> None:
        """Take in that a group or a set has got members, and lost some: by us, or by somebody else."""
        owner = row.owner
        if owner is None or owner.type not in (GROUP_KIND, SET_KIND):
            return
        shared = self.index.named(owner.name)
        if owner.type == GROUP_KIND:
            for port in filter(None, (self._replica.rows[northbound.TABLE].get(uuid) for uuid in (*come, *gone))):
                self.engine.row_changed(port)
        elif shared is not None and not shared.keeps_pods:
            self.sets.mark(shared)
        else:
            for address in (*come, *gone):
                for key in self.sets.pods_with(address):
                    self.engine.mark(northbound.KIND, key)
            self.sets.suspect(row, come)

    def _is_there(self, shared: Shared) -> None:
        """Take in that the rows of a group or a set are as desired: policies may have waited for them."""
        for key in self._first.among(shared.users):
            self._mark_policy(key)

    def begin(self) -> None:
        """Look at everything, now that everything is known: nothing is left of what an earlier run may have written."""
        self.changes.clear()
        for key in self._policies:
            if kind_of(key) != KIND:
                self._find_acls(key)  # whether there are tiers was not known before
        for key in list(self._surplus):
            self._release(key, are_rows_known=False)
        self.looks.begin()
        self._of_before = self._replica.owners(KIND) | self._replica.owners(cluster_acls.KIND)
        self._move.begin()
        self.sets.begin()
        self.nodes.begin()
        for name in self._replica.owners(METER_KIND):
            self.engine.mark(METER_KIND, name)
        for name in self._namespaces:
            self.logging.tell(name)
        for shared in self.index.all():
            self._mark(shared)
        for key in (*self._policies, *self._of_before):
            self._mark_policy(key)
        for key in (*self._pods, *self.index.away()):
            self.engine.mark(northbound.KIND, key)
        self._remove_left_over()

    def _are_acls_known(self) -> bool:
        return not self._of_before and self.sharing.are_rows_known

    def _remove_left_over(self) -> None:
        """Look at the groups and sets that nobody uses, once no ACL of before may name one of them."""
        if not self._are_acls_known():
            return
        for kind in (GROUP_KIND, SET_KIND):
            for name in self._replica.owners(kind):
                shared = self.index.named(name)
                if shared is None or not shared.users:
                    self.engine.mark(kind, name)

    def _mark_policy(self, key: str) -> None:
        self.engine.mark(kind_of(key), key)

    def _mark(self, shared: Shared) -> None:
        self.engine.mark(shared.kind, shared.name)

    def _pods_changed(self, pods: Iterable[Pod]) -> None:
        """Look at pods again whose groups and sets may be others."""
        for pod in pods:
            self.engine.mark(northbound.KIND, pod.key)

    # Which groups and sets a policy uses.

    def _refresh(self, key: str) -> None:
        """Find the ACLs of a policy anew, and use what they name at once: pods that are planned from now on are in it.

        What it used before it uses until its rows are written. Numbers of ports with names take a look at all pods of
        each peer: they only let something through, and wait until the policy is planned.
        """
        policy = self._policies.get(key)
        self.looks.policy_changed(key, policy)
        if policy is None:
            self._names.forget(key)
        self._find_acls(key)
        if not self.engine.active:
            self._release(key, are_rows_known=False)
        self._mark_policy(key)

    def _find_acls(self, key: str) -> None:
        """Find the ACLs of a policy, with the numbers that are known, and use what they name."""
        policy, numbers = self._policies.get(key), self.looks.numbers.get(key, {})
        if policy is None:
            self._acls.pop(key, None)
        elif isinstance(policy, Policy):
            self._acls[key] = acls.wanted(policy, lambda watch: numbers.get(watch, ()), self.looks.refused.get(key, ()))
        else:
            self._acls[key] = self._of_cluster(policy) if self.has_tiers() else []
        used, current = self._used.setdefault(key, set()), self._current_keys(key)
        for one in used - current:
            self.index.give_up(one, key)
        if not used <= current or not self._current_domains(key).issuperset(self._names.of(key)):
            self._surplus.add(key)
        for one in current:
            used.add(one)
            if self.index.use(one, key):
                self._adopt(one)
        self._count_rows(key)

    def _count_rows(self, key: str) -> None:
        found = self._acls.get(key)
        if found is None:
            self._sizes.pop(key, None)
        else:
            self._sizes[key] = sum(acls.count_rows(acl, self._find, self._known_versions) for acl in found)

    def has_tiers(self) -> bool:
        """Return whether the database has tiers, without which cluster network policies are refused."""
        return tiers.are_served(self._replica.missing_columns("ACL"))

    def _of_cluster(self, policy: ClusterPolicy) -> list[Acl]:
        """Return the ACLs of a cluster network policy, and use its domain names."""
        key, looks = policy.key, self.looks
        numbers, refused, crowded = looks.numbers.get(key, {}), looks.refused.get(key, ()), looks.crowded.get(key, ())
        unknown = self._names.use(key, cluster_acls.domains_of(policy))
        return cluster_acls.wanted(policy, lambda watch: numbers.get(watch, ()), refused, crowded, unknown)

    def _adopt(self, key: Key) -> None:
        """Look at the pods of a group or set that nobody used until now, where its rows are still there: pods have not
        kept them meanwhile.
        """
        shared = self._find(key)
        rows = self._replica.owned(shared.owner, (GROUP_TABLE, SET_TABLE))
        for row in rows:
            self.members_changed(row, tuple(row.columns[MEMBER_COLUMNS[row.table]]), ())
        for pod in self.index.pods_of(shared) if rows else ():
            self.engine.mark(northbound.KIND, pod.key)

    def _current_keys(self, key: str) -> set[Key]:
        """Return the groups and sets that the ACLs of a policy name."""
        found: set[Key] = set()
        for acl in self._acls.get(key, ()):
            found.add(acl.group)
            found.update(one for one in acl.peers or () if not isinstance(one, PeerDomain))
        return found

    def _current_domains(self, key: str) -> set[str]:
        """Return the domain names that the ACLs of a policy name."""
        peers = (one for acl in self._acls.get(key, ()) for one in acl.peers or ())
        return {one.domain for one in peers if isinstance(one, PeerDomain)}

    def _release(self, key: str, are_rows_known: bool = True) -> None:
        """Give up the groups and sets that the ACLs of a policy do not name now.

        :param are_rows_known: no row of the policy names them, so they may go where nobody else uses them.
        """
        used = self._used.get(key, set())
        self._surplus.discard(key)
        for one in used - self._current_keys(key):
            used.discard(one)
            shared = self.index.get(one)
            if shared is None:
                continue
            self.index.release(shared, key)
            if not shared.users and are_rows_known:
                self._mark(shared)
            self.index.forget(shared)
        if not used:
            self._used.pop(key, None)
        self._names.release(key, self._current_domains(key))

    # For the engine.

    @staticmethod
    def owner(key: str) -> Owner:
        """Return the owner of a policy's rows."""
        return Owner(kind_of(key), key)

    def desired(self, key: str) -> list[Row]:
        """Return the ACLs of a policy.

        :raises Unfinished: not all that it needs is found and made, and it has rows, which hold until then.
        :raises NotReady: those that are there must stay where they are.
        """
        is_ready = self.looks.go_on(key, self._find_acls) and not self._waits_for_sets(key)
        kind = kind_of(key)
        if not is_ready and (kind != KIND or self._replica.owned(self.owner(key), self.tables)):
            raise Unfinished(f"the pods of policy {key} are not all looked at yet")
        if kind != KIND and key not in self._policies and self.are_unread():
            raise NotReady("cluster network policies can't be read now", keeps_rows=True)
        found = self._planned[key] = self._acls.get(key)
        logging, versions = self._logging_of(key), self._versions()
        made = (acls.rows(key, acl, self._find, kind, logging, versions) for acl in found or ())
        rows = self._move.rows(key, [row for some in made for row in some])
        if not is_ready:  # a new one isolates at once
            self._mark_policy(key)
            return [row for row in rows if row.columns["action"] == acls.DROP]
        self.changes.planned(key)
        return self._first.rows(key, rows)

    def _waits_for_sets(self, key: str) -> bool:
        """Return whether a policy waits for groups and sets that it lacks."""
        if key in self._first:
            return False
        lacks = self._first.lacks_many(map(self._find, self._current_keys(key)), len(self._pods))
        if lacks is None and kind_of(key) == KIND:
            self._first.add(key)
        return bool(lacks)

    def sizes(self) -> dict[str, int]:
        """Return how many policies, and rows of theirs, there are: what is desired."""
        return {"policy": len(self._policies), "acl": sum(self._sizes.values()), **self.index.sizes()}

    def chassis_of(self, key: str) -> set[str]:
        """Return the chassis that the pods of a policy are on."""
        groups = (self.index.get(one) for one in {acl.group for acl in self._acls.get(key, ())})
        pods = (pod for shared in groups if shared is not None for pod in self.index.pods_of(shared))
        ports = (self._replica.owned(northbound.owner(pod.key), (northbound.TABLE,)) for pod in pods)
        found = (row.map_value("options", "requested-chassis") for rows in ports for row in rows)
        return {one for one in found if one}

    def _find(self, key: Key) -> Shared:
        shared = self.index.get(key)
        if shared is None:
            raise AssertionError(f"{key} is used, and not known")
        return shared

    def done(self, key: str, changes: Sequence[Change]) -> None:
        """Take in that the rows are as desired: release what they name no more, and say what is not enforced."""
        if self._planned.pop(key, None) is self._acls.get(key):
            self._release(key)
        if key in self._of_before:
            self._of_before.discard(key)
            self._remove_left_over()
        self._moved(self._move.done, key)
        if (seconds := self.changes.done(key)) is not None and changes:
            self._observe("policy", seconds)
        policy, waiting = self._policies.get(key), self._first.left_out(key)
        if policy is None or self.looks.is_under_way(key):
            return
        if waiting:
            some = f"{waiting} of its rules let nothing through yet: their rows are not there"
            self._reports.not_enforced(policy, f"its pods are isolated, but {some}")
            return
        self._first.discard(key)
        if isinstance(policy, ClusterPolicy) and not self.has_tiers():
            self._reports.not_enforced(policy, NO_TIERS, NOT_SUPPORTED)
        elif isinstance(policy, ClusterPolicy) and self._move.is_under_way:
            self._reports.not_enforced(policy, str(self._move))
        else:
            self._reports.written(policy, self._faults(key, policy))

    def _moved(self, heard: Callable[[str], set[str]], key: str) -> None:
        """Take in what became of a policy that may move into its tier. When all have, cluster network policies hold."""
        was_under_way = self._move.is_under_way
        for other in heard(key):
            self._mark_policy(other)
        for name in self._cluster_policies if was_under_way and not self._move.is_under_way else ():
            self._mark_policy(name)

    def _share_pods(self, key: str, other: str) -> bool:
        """Return whether two policies may be for the same pod: they are now, or it is not known whom one is for."""
        mine, others = ({self._find(acl.group) for acl in self._acls.get(one, ())} for one in (key, other))
        return not others or self.index.share_pods(mine, others)

    def _faults(self, key: str, policy: AnyPolicy) -> list[str]:
        """Return what of a policy is not enforced as written, in words."""
        return [*policy.faults, *self.looks.faults(key), *self._names.faults(key)]

    def failed(self, key: str, reason: str) -> None:
        """Say that a policy is not enforced yet. One that has no rows isolates its pods next, whatever else fails."""
        self._moved(self._move.failed, key)
        policy = self._policies.get(key)
        is_new = not self._replica.owned(self.owner(key), self.tables)
        if isinstance(policy, Policy) and key not in self._first and is_new:
            self._first.add(key)
            self._mark_policy(key)
        if policy is not None and key not in self._move.waiting:
            self._reports.not_enforced(policy, f"it is not enforced yet: {reason}")
