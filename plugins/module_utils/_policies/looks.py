# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a policy has to know of pods before its rows are made: the numbers that they have for the names of its ports,
and whether its peers are too many.

Both take looks at all pods of each selector, of which that for numbers is once for all policies
(:mod:`.named_ports`). They are due when the policy is planned, and pause there: 100 selectors
among 10,000 pods take seconds, in which nobody else should wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from .._ovsdb.rows import Owner
from .._pods.model import Pod
from .._reconcile.engine import PLANNING_TIME
from . import acls
from .acls import Watch
from .cluster_model import ClusterPolicy
from .index import PolicyIndex
from .model import PortName
from .named_ports import MAXIMUM_NUMBERS, Numbers, PortNumber, Written
from .reports import AnyPolicy, kind_of
from .shared import FEW_PODS, Key, PeerPods, PodGroup, Shared

MAXIMUM_MEMBERS = 200_000  # of all sets of pods of a policy: 20 that have 10,000 pods each
NOT_ACCEPT = ", and rules with another action than Accept deny everything"
NOT_ACCEPT_NUMBERS = (
    ", and rules with another action than Accept deny their peers all of that protocol to the other pods"
)
MAXIMUM_SERVED = 1000  # numbers of all named ports of a policy, each counted for each selector


class Looks:
    """The looks of all policies at pods.

    :param pods: key -> pod, the informer's store.
    :param mark: called with the key of a policy that must be planned, for a look is due.
    :param written: the numbers of ports that rows are there for.

    :ivar numbers: policy -> the numbers that its ACLs have for names.
    :ivar refused: policy -> peers for which it has no members left.
    :ivar crowded: policy -> names of ports of which not all numbers are served.
    """

    def __init__(
        self,
        index: PolicyIndex,
        pods: Mapping[str, Pod],
        mark: Callable[[str], object],
        written: Written,
    ) -> None:
        self.numbers: dict[str, dict[Watch, list[int]]] = {}
        self.refused: dict[str, set[PeerPods]] = {}
        self.crowded: dict[str, list[Watch]] = {}
        self._index = index
        self._index.on_size = self._size_changed
        self._index.named_ports.on_change = self._numbers_changed
        self._written = written
        self._inheriting: set[str] = set()  # policies whose numbers have not been looked for since this watcher began
        self._pods = pods
        self._mark = mark
        self._watches: dict[str, list[Watch]] = {}  # policy -> the names of ports that it has
        self._peers: dict[str, list[PeerPods]] = {}  # policy -> peers, in the order in which they get members
        self._clusters: set[str] = set()  # policies of the cluster
        self._unnumbered: set[str] = set()  # policies whose numbers must be looked for
        self._uncounted: set[str] = set()  # policies whose members must be counted
        self._under_way: dict[str, Iterator[None]] = {}  # policy -> its look
        self._known_pods = 0  # how many pods there were when it was last known who must count

    # Events.

    def policy_changed(self, key: str, policy: AnyPolicy | None) -> None:
        """Take in a change of a policy: what it knows, it knows until its next look has ended."""
        self._under_way.pop(key, None)
        watches, peers = self._watches.pop(key, ()), self._peers.pop(key, ())
        if policy is not None:
            self._peers[key] = acls.peers_of(policy)
            for peer in self._peers[key]:
                self._index.count(peer, key)
        if policy is not None:
            self._watches[key] = acls.watches(policy)
            for watch in self._watches[key]:
                self._index.watch(watch.key, key, watch.port)
            self._unnumbered.add(key)
            self._uncounted.add(key)
            (self._clusters.add if isinstance(policy, ClusterPolicy) else self._clusters.discard)(key)
        else:
            self._clusters.discard(key)
            self._inheriting.discard(key)
            self.numbers.pop(key, None)
            self.refused.pop(key, None)
            self.crowded.pop(key, None)
            self._unnumbered.discard(key)
            self._uncounted.discard(key)
        for watch in {*watches} - {*self._watches.get(key, ())}:
            self._index.unwatch(watch.key, key, watch.port)
        for peer in {*peers} - {*self._peers.get(key, ())}:
            self._index.uncount(peer, key)

    def number_anew(self, keys: Iterable[str]) -> None:
        """Look for the numbers that policies need again, when they are planned."""
        for key in keys:
            self._unnumbered.add(key)
            self._mark(key)

    def _numbers_changed(self, shared: Shared, name: PortName) -> None:
        """Take in that other numbers of a name are served."""
        self.number_anew(list(shared.watchers.get(name, ())))

    def pod_came(self) -> None:
        """Find the policies whose members must be counted now, whenever there is a tenth more of pods."""
        pods = len(self._pods)
        if pods <= self._known_pods + max(self._known_pods // 10, FEW_PODS):
            return
        self._known_pods = pods
        for key, peers in self._peers.items():
            if self._may_be_beyond(peers):
                self._count_anew(key)

    def _size_changed(self, shared: Shared) -> None:
        """Take in that a set has far more pods than the policies know that count it, or far fewer."""
        for key in shared.counters:
            self._count_anew(key)

    def _count_anew(self, key: str) -> None:
        self._uncounted.add(key)
        self._mark(key)

    def begin(self) -> None:
        """Let all numbers be looked for again: this watcher begins to act, and those that have rows stay."""
        self._index.named_ports.clear()
        self._written.clear()
        self._inheriting.update(self._watches)
        self._uncounted.update(self._under_way)
        self._under_way.clear()
        self._unnumbered.update(key for key, watches in self._watches.items() if watches)

    # The look.

    def is_under_way(self, key: str) -> bool:
        """Return whether a look at pods has begun, and has not ended."""
        return key in self._under_way

    def go_on(self, key: str, on_found: Callable[[str], object]) -> bool:
        """Look at the pods that a policy depends on, where that is due; return whether the look has ended.

        Pods that change meanwhile have no part in it: then the next one follows.

        :param on_found: called with the key when it has found something else than the last one.
        """
        if key not in self._under_way:
            if key not in self._unnumbered and key not in self._uncounted:
                return True
            self._under_way[key] = self._look(key, key in self._unnumbered, on_found)
            self._unnumbered.discard(key)
            self._uncounted.discard(key)
        deadline = time.monotonic() + PLANNING_TIME
        for _pause in self._under_way[key]:
            if time.monotonic() > deadline:
                return False
        del self._under_way[key]
        if key in self._unnumbered or key in self._uncounted:
            self._mark(key)
        return True

    def _look(self, key: str, are_numbers_due: bool, on_found: Callable[[str], object]) -> Iterator[None]:
        """Look at the pods of one selector after the other."""
        refused: set[PeerPods] = set()
        for _pause in self._count_members(key, refused):
            yield
        before = found = self.numbers.get(key, {})
        crowded_before = self.crowded.get(key)
        if are_numbers_due:
            for _pause in self._count_numbers(key):
                yield
            found = self._served(key)
            self._inheriting.discard(key)
        if found != before or refused != self.refused.get(key, set()) or self.crowded.get(key) != crowded_before:
            self.numbers[key], self.refused[key] = found, refused
            on_found(key)

    def _may_be_beyond(self, peers: Collection[PeerPods]) -> bool:
        """Return whether peers may have more members than a policy may have: else nobody counts them."""
        return len(peers) * len(self._pods) > MAXIMUM_MEMBERS

    def _count_members(self, key: str, refused: set[PeerPods]) -> Iterator[None]:
        """Find the peers of a policy that have more members than are left for them."""
        peers, left = self._peers.get(key, []), MAXIMUM_MEMBERS
        for one in peers if self._may_be_beyond(peers) else ():
            size = self._index.size(one)
            if size > left:
                refused.add(one)
            else:
                left -= size
            yield

    def _count_numbers(self, key: str) -> Iterator[None]:
        """Count the pods that have a number, of each number of each name, where nobody has yet: one look at the pods of
        each selector.
        """
        names: dict[PodGroup | PeerPods, set[PortName]] = {}
        for watch in self._watches.get(key, ()):
            names.setdefault(watch.key, set()).add(watch.port)
        for one, wanted in names.items():
            if self._index.named_ports.count(self._shared(one), wanted, self._written.numbers):
                yield

    def _shared(self, key: Key) -> Shared:
        shared = self._index.get(key)
        if shared is None:
            raise AssertionError(f"{key} is watched, and not known")
        return shared

    def _served(self, key: str) -> dict[Watch, list[int]]:
        """Return the numbers that a policy gets ACLs for."""
        watches = self._watches.get(key, ())
        numbers = {watch: self._index.named_ports.get(self._shared(watch.key), watch.port) for watch in watches}
        found = {watch: sorted(one.served) for watch, one in numbers.items() if one.served}
        if sum(map(len, found.values())) > MAXIMUM_SERVED:
            found = self._fewer(key, numbers)
        self.crowded.pop(key, None)
        crowded = [watch for watch, one in numbers.items() if len(one.pods) > len(found.get(watch, ()))]
        if crowded:
            self.crowded[key] = crowded
        return found

    def _fewer(self, key: str, numbers: Mapping[Watch, Numbers]) -> dict[Watch, list[int]]:
        """Return as many numbers as a policy may have: first those that it has already, also by an earlier watcher."""
        before = {(watch, number) for watch, found in self.numbers.get(key, {}).items() for number in found}
        written = self._written.numbers_of(Owner(kind_of(key), key)) if key in self._inheriting else set()
        kept: list[tuple[Watch, int]] = []
        new: list[tuple[Watch, int]] = []
        for watch, one in numbers.items():
            digest = self._shared(watch.key).digest
            for number in sorted(one.served, key=one.order):
                is_kept = PortNumber(digest, *watch.port, number) in written if written else (watch, number) in before
                (kept if is_kept else new).append((watch, number))
        found: dict[Watch, list[int]] = {}
        for watch, number in (*kept, *new)[:MAXIMUM_SERVED]:
            found.setdefault(watch, []).append(number)
        return {watch: sorted(some) for watch, some in found.items()}

    def faults(self, key: str) -> Iterator[str]:
        """Yield what of a policy is not enforced as it is written, in words."""
        is_cluster = key in self._clusters
        if key in self.crowded:
            more = NOT_ACCEPT_NUMBERS if is_cluster else ""
            yield (
                f"port name {self.crowded[key][0].port.name!r} has more than {MAXIMUM_NUMBERS} numbers among its pods, "
                f"or all its port names more than {MAXIMUM_SERVED}: those of most pods count{more}"
            )
        if self.refused.get(key):
            yield (
                f"its peers are more than {MAXIMUM_MEMBERS} pods in sum: rules with {len(self.refused[key])} of its "
                f"selectors allow nothing{NOT_ACCEPT if is_cluster else ''}"
            )
