# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the rows of network policies.

A policy's own rows are its ACLs. They name groups and sets, which the same transaction makes where they are not there.
Those that nobody names any more are removed after the last ACL that names them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from .._kube import reasons
from .._kube.reference import OnEvent
from .._kube.told import Told
from .._ovsdb.plan import Change
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow, Owner, Row
from .._pods import northbound
from .._pods.model import Pod
from .._reconcile.engine import Engine
from . import acls, nodes
from .acls import KIND, Acl, Watch
from .groups import GroupPlanner, SetPlanner
from .index import PolicyIndex
from .membership import MEMBER_COLUMNS, Membership
from .model import Namespace, Policy, PortName
from .nodes import NodePlanner
from .shared import GROUP_KIND, GROUP_TABLE, SET_KIND, SET_TABLE, Key, PeerPods, PodGroup, Shared

LOG = logging.getLogger("ovn-k8s-watcher")
KINDS = (nodes.KIND, KIND, GROUP_KIND, SET_KIND)
MAXIMUM_MEMBERS = 200_000  # of all sets of pods of a policy: 20 that have 10,000 pods each
MAXIMUM_NUMBERS = 32  # of a named port, among the pods of one selector


class PolicyPlanner:
    """The planner of network policies, and what hears of everything that policies depend on.

    :param replica: the Northbound database, with the members of groups and sets (:data:`.membership.MEMBER_COLUMNS`).
    :param policies: key -> policy, the informer's store.
    :param pods: key -> pod, the informer's store.
    :param namespaces: name -> namespace, the informer's store.
    :param on_event: writes an event about a policy.

    :ivar groups, sets, nodes: the planners of what policies share.
    :ivar membership: what policies add to the rows of pods.
    """

    tables = ("ACL",)

    def __init__(
        self,
        replica: Replica,
        policies: Mapping[str, Policy],
        pods: Mapping[str, Pod],
        namespaces: Mapping[str, Namespace],
        on_event: OnEvent,
    ) -> None:
        self.index = PolicyIndex(pods, namespaces, self._addresses_of)
        self.groups, self.sets = GroupPlanner(replica, self.index), SetPlanner(replica, self.index)
        self.groups.on_done = self.sets.on_done = self._is_there
        self.groups.are_acls_known = self.sets.are_acls_known = lambda: not self._of_before
        self.nodes = NodePlanner(replica)
        self._replica = replica
        self._policies = policies
        self._pods = pods
        self.membership = Membership(replica, self.index)
        self.membership.on_gone = self._pod_gone
        self._told = Told(on_event, LOG)
        self._cautious: set[str] = set()  # new policies that failed: they isolate without waiting for what they allow
        self._waiting: dict[str, int] = {}  # policy -> how many of its ACLs were left out of its last plan
        self._acls: dict[str, list[Acl]] = {}  # policy -> its ACLs
        self._planned: dict[str, list[Acl] | None] = {}  # policy -> the ACLs that were planned last
        self._watches: dict[str, list[Watch]] = {}  # policy -> the names of ports that it has
        self._numbers: dict[str, dict[Watch, list[int]]] = {}  # policy -> the numbers that its ACLs have for names
        self._refused: dict[str, set[PeerPods]] = {}  # policy -> peers for which it has no members left
        self._unnumbered: set[str] = set()  # policies whose numbers are looked for when they are planned
        self._of_before: set[str] = set()  # policies whose ACLs an earlier watcher may have written
        self._crowded: dict[str, str] = {}  # policy -> which name of a port has too many numbers
        self._used: dict[str, set[Key]] = {}  # policy -> groups and sets of its ACLs, and of those that are written

    @property
    def planners(self) -> dict[str, PolicyPlanner | GroupPlanner | SetPlanner | NodePlanner]:
        """Kind -> planner, in the order in which they are best planned."""
        return {nodes.KIND: self.nodes, KIND: self, GROUP_KIND: self.groups, SET_KIND: self.sets}

    @property
    def engine(self) -> Engine:
        """The engine, which whoever makes it sets."""
        return self.nodes.engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        self.groups.engine = self.sets.engine = self.nodes.engine = engine

    # Events.

    def policy_changed(self, key: str, _old: Policy | None, new: Policy | None) -> None:
        """Take in a change of a policy."""
        if new is None:
            self._told.forget(key)
            self._cautious.discard(key)
        self._refresh(key)

    def namespace_changed(self, key: str, _old: Namespace | None, new: Namespace | None) -> None:
        """Take in a change of a namespace: its pods may be in other sets."""
        if self.index.namespace_changed(key, new):
            self._pods_changed(self.index.pods_in(key))

    def pod_changed(self, key: str, old: Pod | None, new: Pod | None) -> None:
        """Take in a change of a pod, whose own planner hears of it too."""
        self.index.pod_changed(key, old, new)
        if old is not None:
            self._look_at_ports(old)
        if new is not None:
            self._number_anew(self.index.stale(new))

    def _pod_gone(self, key: str) -> None:
        """Take in that a pod has no port any more."""
        pod = self.index.pod_gone(key)
        if pod is not None:
            self._look_at_ports(pod)

    def _look_at_ports(self, pod: Pod) -> None:
        """Look at the groups and sets where a pod may have been the last one with a number."""
        for shared in self.index.by_port(pod):
            self._mark(shared)

    def port_changed(self, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in a change of a switch port."""
        self.sets.port_changed(old, new)
        if new is not None and new.owner is not None and new.owner.type == northbound.KIND:
            pod = self.index.pod(new.owner.name)
            if pod is not None and pod.ports:
                self._number_anew(self.index.stale(pod))

    def _addresses_of(self, pod: str) -> Iterator[str]:
        for port in self._replica.owned(northbound.owner(pod), (northbound.TABLE,)):
            yield from northbound.addresses_of_port(port)

    def switch_changed(self, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in a change of a switch."""
        self.nodes.switch_changed(old, new)

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
        if shared is not None and gone:
            self._without_pods(shared)

    def _is_there(self, shared: Shared) -> None:
        """Take in that the rows of a group or a set are as desired: policies may have waited for them."""
        for key in shared.users & self._cautious:
            self.engine.mark(KIND, key)
        self._without_pods(shared)

    def _without_pods(self, shared: Shared) -> None:
        """Find the ACLs of policies anew where no pod has a number any more that one of them has for a port's name."""
        if shared.port is not None and not any(self.index.is_inside(shared, pod) for pod in self.index.pods_of(shared)):
            self._number_anew(shared.wanted_by)

    def begin(self) -> None:
        """Look at everything, now that everything is known: nothing is left of what an earlier run may have written."""
        for key in {*self._policies, *self._used}:
            self._refresh(key)
            self._release(key, are_rows_known=False)
        self._of_before = self._replica.owners(KIND)
        self.sets.begin()
        self.nodes.begin()
        for shared in self.index.all():
            self._mark(shared)
        for key in self._policies:
            self.engine.mark(KIND, key)
        for key in (*self._pods, *self.index.away()):
            self.engine.mark(northbound.KIND, key)
        for name in self._of_before:
            self.engine.mark(KIND, name)
        self._remove_left_over()

    def _remove_left_over(self) -> None:
        """Look at the groups and sets that nobody uses, once no ACL of before may name one of them."""
        if self._of_before:
            return
        for kind in (GROUP_KIND, SET_KIND):
            for name in self._replica.owners(kind):
                shared = self.index.named(name)
                if shared is None or not shared.users:
                    self.engine.mark(kind, name)

    def _mark(self, shared: Shared) -> None:
        self.engine.mark(shared.kind, shared.name)

    def _pods_changed(self, pods: Iterable[Pod]) -> None:
        """Look at pods again whose groups and sets may be others."""
        stale: set[str] = set()
        for pod in pods:
            self.engine.mark(northbound.KIND, pod.key)
            stale |= self.index.stale(pod)
        self._number_anew(stale)

    # Which groups and sets a policy uses.

    def _refresh(self, key: str) -> None:
        """Find the ACLs of a policy anew, and use what they name at once: pods that are planned from now on are in it.

        What it used before it uses until its rows are written. Numbers of ports with names take a look at all pods of
        each peer: they only let something through, and wait until the policy is planned.
        """
        policy = self._policies.get(key)
        for watch in self._watches.pop(key, ()):
            self.index.unwatch(watch.key, key)
        if policy is not None:
            self._watches[key] = acls.watches(policy)
            for watch in self._watches[key]:
                self.index.watch(watch.key, key, watch.port)
            self._unnumbered.add(key)
        else:
            self._numbers.pop(key, None)
            self._refused.pop(key, None)
            self._crowded.pop(key, None)
            self._unnumbered.discard(key)
        self._find_acls(key)
        if not self.engine.active:
            self._release(key, are_rows_known=False)
        self.engine.mark(KIND, key)

    def _number_anew(self, keys: Iterable[str]) -> None:
        """Look again for the numbers that policies need, when they are planned."""
        for key in keys:
            self._unnumbered.add(key)
            self.engine.mark(KIND, key)

    def _find_acls(self, key: str) -> None:
        """Find the ACLs of a policy, with the numbers that are known, and use what they name."""
        policy, numbers = self._policies.get(key), self._numbers.get(key, {})
        if policy is None:
            self._acls.pop(key, None)
        else:
            self._acls[key] = acls.wanted(policy, lambda watch: numbers.get(watch, ()), self._refused.get(key, ()))
        used, current = self._used.setdefault(key, set()), self._current_keys(key)
        for one in used - current:
            self.index.give_up(one, key)
        for one in current:
            used.add(one)
            if self.index.use(one, key):
                self._adopt(one)

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

    def _find_numbers(self, key: str) -> None:
        """Find the numbers that pods have for the names of a policy's ports: one look at the pods of each selector."""
        self._unnumbered.discard(key)
        self._crowded.pop(key, None)
        names: dict[PodGroup | PeerPods, set[PortName]] = {}
        for watch in self._watches.get(key, ()):
            names.setdefault(watch.key, set()).add(watch.port)
        counts = {one: self.index.numbers(one, wanted) for one, wanted in names.items()}
        before, found = self._numbers.get(key, {}), {}
        for watch in self._watches.get(key, ()):
            numbers = counts[watch.key].get(watch.port)
            if numbers:
                found[watch] = _most(numbers, before.get(watch, ()))
                if len(numbers) > MAXIMUM_NUMBERS:
                    self._crowded[key] = watch.port.name
        refused = self._beyond_members(key)
        if found != before or refused != self._refused.get(key, set()):
            self._numbers[key], self._refused[key] = found, refused
            self._find_acls(key)

    def _beyond_members(self, key: str) -> set[PeerPods]:
        """Return the peers of a policy that have more members than are left for them."""
        policy, left = self._policies.get(key), MAXIMUM_MEMBERS
        peers = acls.peers_of(policy) if policy is not None else []
        refused: set[PeerPods] = set()
        if len(peers) * len(self._pods) <= MAXIMUM_MEMBERS:
            return refused
        for one in peers:
            size = self.index.size(one)
            if size > left:
                refused.add(one)
            else:
                left -= size
        return refused

    def _current_keys(self, key: str) -> set[Key]:
        """Return the groups and sets that the ACLs of a policy name."""
        found: set[Key] = set()
        for acl in self._acls.get(key, ()):
            found.add(acl.group)
            found.update(acl.peers or ())
        return found

    def _release(self, key: str, are_rows_known: bool = True) -> None:
        """Give up the groups and sets that the ACLs of a policy do not name now.

        :param are_rows_known: no row of the policy names them, so they may go where nobody else uses them.
        """
        used = self._used.get(key, set())
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

    # For the engine.

    @staticmethod
    def owner(key: str) -> Owner:
        """Return the owner of a policy's rows."""
        return Owner(KIND, key)

    def desired(self, key: str) -> list[Row]:
        """Return the ACLs of a policy."""
        if key in self._unnumbered:
            self._find_numbers(key)
        found = self._planned[key] = self._acls.get(key)
        rows = [acls.row(key, acl, self._find) for acl in found or ()]
        return self._without_waiting(key, rows) if key in self._cautious else rows

    def _without_waiting(self, key: str, rows: Sequence[Row]) -> list[Row]:
        """Return those rows of a policy that isolate, and those for which everything is there."""
        kept: list[Row] = []
        for row in rows:
            missing = [one for one in row.needs if not self._replica.owned(one.owner, (one.table,))]
            if not missing or row.columns["action"] == acls.DROP:
                kept.append(row)
            else:
                for one in missing:
                    self.engine.mark(*one.owner)
        self._waiting[key] = len(rows) - len(kept)
        return kept

    # What others use of it.

    def borrow(self, key: Key, user: str) -> Shared:
        """Use a group or a set for another object than a policy, and return it.

        :param user: known to no policy: it has no namespace.
        """
        if self.index.use(key, user):
            self._adopt(key)
        return self._find(key)

    def give_back(self, key: Key, user: str) -> None:
        """Use it no more: no row of this user names it."""
        shared = self.index.get(key)
        if shared is not None:
            self.index.release(shared, user)
            if not shared.users:
                self._mark(shared)
            self.index.forget(shared)

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
        policy, waiting = self._policies.get(key), self._waiting.pop(key, 0)
        if policy is None:
            return
        if waiting:
            message = (
                f"its pods are isolated, but {waiting} of its rules let nothing through yet: their rows are not there"
            )
            self._told.tell(key, policy.reference, reasons.POLICY_NOT_ENFORCED, message)
            return
        self._cautious.discard(key)
        self._told.tell(key, policy.reference, reasons.POLICY_NOT_ENFORCED, "")
        faults = list(policy.faults)
        if key in self._crowded:
            faults.append(
                f"port name {self._crowded[key]!r} has more than {MAXIMUM_NUMBERS} numbers among its pods: "
                "those of most pods count"
            )
        if self._refused.get(key):
            faults.append(
                f"its peers are more than {MAXIMUM_MEMBERS} pods in sum: rules with {len(self._refused[key])} of its "
                "selectors allow nothing"
            )
        message = f"not enforced as written: {'; '.join(faults)}" if faults else ""
        self._told.tell(key, policy.reference, reasons.POLICY_PART_REFUSED, message)

    def failed(self, key: str, reason: str) -> None:
        """Say that a policy is not enforced yet. One that has no rows isolates its pods next, whatever else fails."""
        policy = self._policies.get(key)
        if policy is not None and key not in self._cautious and not self._replica.owned(self.owner(key), self.tables):
            self._cautious.add(key)
            self.engine.mark(KIND, key)
        if policy is not None:
            self._told.tell(key, policy.reference, reasons.POLICY_NOT_ENFORCED, f"it is not enforced yet: {reason}")


def _most(counts: Counter[int], before: Collection[int]) -> list[int]:
    """Return the numbers that are served: those that are already, then those of most pods."""
    ordered = sorted(counts, key=lambda number: (number not in before, -counts[number], number))
    return sorted(ordered[:MAXIMUM_NUMBERS])
