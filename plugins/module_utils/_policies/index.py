# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which pods are in which groups and sets of policies. An event costs what it changes, however many others there are.

A pod's groups are found by its namespace and its labels, a selector's pods by the namespaces that it selects. Which
namespaces a selector selects is kept: that changes with namespaces' labels only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Union

from .._pods.model import ContainerPort, Pod
from .model import Namespace, PortName
from .named_ports import NamedPorts
from .selectors import Selector, SelectorIndex
from .shared import GROUP_KIND, SET_KIND, Key, OtherNumbers, PeerNetworks, PeerNodes, PeerPods, PodGroup, PortOf, Shared

Part = Union[str, Selector]  # what selects namespaces: the name of one, or labels


class PolicyIndex:
    """Groups and sets, and the pods in them.

    :param pods: key -> pod, the informer's store.
    :param namespaces: name -> namespace, the informer's store.
    :param addresses_of: returns the addresses that the port of a pod has.

    :ivar on_size: called with a set whose size is another one than policies know that count it.
    :ivar named_ports: the numbers that pods have for names of ports.
    """

    on_size: Callable[[Shared], object]

    def __init__(
        self,
        pods: Mapping[str, Pod],
        namespaces: Mapping[str, Namespace],
        addresses_of: Callable[[str], Iterable[str]],
    ) -> None:
        self._pods = pods
        self._namespaces = namespaces
        self._addresses_of = addresses_of
        self._by_key: dict[Key, Shared] = {}
        self._by_name: dict[str, Shared] = {}  # by the name of its rows' owner
        self._groups: dict[Part, SelectorIndex[Shared]] = {}  # what selects namespaces -> groups of their pods
        self._peers: dict[Part, SelectorIndex[Shared]] = {}  # what selects namespaces -> sets of their pods
        self._parts: SelectorIndex[Selector] = SelectorIndex()  # those of both that are selectors
        self._parts_of: dict[str, set[Selector]] = {}  # namespace -> selectors that select it
        self._pods_of: dict[str, set[str]] = {}  # namespace -> keys of its pods
        self._nodes: set[Shared] = set()  # sets of nodes
        self._away: dict[str, Pod] = {}  # key -> static pod whose copy at the API server is away
        self._with_port: dict[tuple[str, str], dict[ContainerPort, set[str]]] = {}  # name -> port -> pods that have it
        self._are_counted = False  # some set's pods were counted
        self.named_ports = NamedPorts(self)

    # Events.

    def pod_changed(self, key: str, old: Pod | None, new: Pod | None) -> None:
        """Take in that a pod is there, or is not. A static pod stays without its copy until :meth:`pod_gone`."""
        namespace = key.partition("/")[0]
        before = self._away.get(key, old)
        after = before if new is None and before is not None and before.static_uid is not None else new
        self._recount(before, after)
        self._index_ports(key, before, after)
        if new is not None:
            self._away.pop(key, None)
            self._pods_of.setdefault(namespace, set()).add(key)
        elif old is not None and old.static_uid is not None:
            self._away[key] = old
        else:
            self._forget_pod(namespace, key)
        self.named_ports.changed(key, after)

    def pod_gone(self, key: str) -> Pod | None:
        """Take in that a pod has no port any more; return it where it was a static pod that has stayed."""
        pod = self._away.pop(key, None)
        if pod is not None and key not in self._pods:
            self._recount(pod, None)
            self._index_ports(key, pod, None)
            self._forget_pod(pod.namespace, key)
            self.named_ports.changed(key, None)
        return pod

    def _index_ports(self, key: str, old: Pod | None, new: Pod | None) -> None:
        """Take in that a pod has other ports."""
        before, after = (set(pod.ports) if pod is not None else set() for pod in (old, new))
        for port in before - after:
            ports = self._with_port.get(port[:2], {})
            keys = ports.get(port, set())
            keys.discard(key)
            if not keys:
                ports.pop(port, None)
            if not ports:
                self._with_port.pop(port[:2], None)
        for port in after - before:
            self._with_port.setdefault(port[:2], {}).setdefault(port, set()).add(key)

    def _recount(self, old: Pod | None, new: Pod | None) -> None:
        """Take in that a pod has other labels, has come or has gone: the sets that are counted have other sizes."""
        if self._are_counted and (old is None or new is None or old.labels != new.labels):
            for pod, by in ((old, -1), (new, 1)):
                self._resize(self._selected_sets(pod) if pod is not None else (), by)

    def _resize(self, sets: Iterable[Shared], by: int) -> None:
        for shared in sets:
            if shared.resize(by):
                self.on_size(shared)

    def _forget_pod(self, namespace: str, key: str) -> None:
        keys = self._pods_of.get(namespace, set())
        keys.discard(key)
        if not keys:
            self._pods_of.pop(namespace, None)

    def namespace_changed(self, name: str, new: Namespace | None) -> bool:
        """Take in a change of a namespace; return whether its pods may be in other sets now."""
        before = self._parts_of.pop(name, None)
        after = set(self._parts.matching(new.labels)) if new is not None else set()
        if new is not None:
            self._parts_of[name] = after
        for parts, by in (((before or set()) - after, -1), (after - (before or set()), 1)):
            for pod in self.pods_in(name) if parts and self._are_counted else ():
                for index in filter(None, map(self._peers.get, parts)):
                    self._resize(index.matching(pod.labels), by)
        is_other = before != after if new is not None else bool(before)
        for pod in self.pods_in(name) if is_other else ():
            self.named_ports.changed(pod.key, pod)
        return is_other

    # Policies.

    def use(self, key: Key, policy: str) -> bool:
        """Note that a policy uses a group or a set; return whether nobody did until now."""
        shared = self._shared(key)
        is_first = not shared.users
        shared.users.add(policy)
        shared.wanted_by.add(policy)
        return is_first

    def give_up(self, key: Key, policy: str) -> None:
        """Note that a policy uses a group or a set only until its rows are written."""
        shared = self._by_key.get(key)
        if shared is not None:
            shared.wanted_by.discard(policy)

    def watch(self, key: Key, policy: str, name: PortName) -> None:
        """Note that a policy has rows for each number that pods have for a port's name."""
        self._shared(key).watchers.setdefault(name, set()).add(policy)

    def count(self, key: PeerPods, policy: str) -> None:
        """Note that a policy counts the pods of a set, whether it uses it or not."""
        self._shared(key).counters.add(policy)

    def uncount(self, key: PeerPods, policy: str) -> None:
        """Undo :meth:`count`."""
        shared = self._by_key.get(key)
        if shared is not None:
            shared.counters.discard(policy)
            self.forget(shared)

    def release(self, shared: Shared, policy: str) -> None:
        """Note that a policy does not use a group or a set any more."""
        shared.users.discard(policy)
        shared.wanted_by.discard(policy)

    def unwatch(self, key: Key, policy: str, name: PortName) -> None:
        """Undo :meth:`watch`."""
        shared = self._by_key.get(key)
        if shared is None:
            return
        policies = shared.watchers.get(name, set())
        policies.discard(policy)
        if not policies:
            shared.watchers.pop(name, None)
            self.named_ports.drop(shared, name)
            self.forget(shared)

    def forget(self, shared: Shared) -> None:
        """Forget a group or a set that no policy knows any more, and that has no rows."""
        if shared.users or shared.watchers or shared.counters or self._by_key.get(shared.key) is not shared:
            return
        del self._by_key[shared.key], self._by_name[shared.name]
        key = shared.key
        self._nodes.discard(shared)
        if isinstance(key, (PeerNetworks, PeerNodes)):
            return
        part = _part(key)
        _remove(self._groups if isinstance(key, PodGroup) else self._peers, part, key.pods, shared)
        if isinstance(part, Selector) and part not in self._groups and part not in self._peers:
            self._parts.remove(part, part)
            for parts in self._parts_of.values():
                parts.discard(part)

    def _shared(self, key: Key) -> Shared:
        shared = self._by_key.get(key)
        if shared is None:
            shared = self._by_key[key] = Shared(key)
            self._by_name[shared.name] = shared
            if isinstance(key, PeerNodes):
                self._nodes.add(shared)
            elif not isinstance(key, PeerNetworks):
                self._add(key, shared)
        return shared

    def _add(self, key: PodGroup | PeerPods, shared: Shared) -> None:
        part = _part(key)
        if isinstance(part, Selector) and part not in self._groups and part not in self._peers:
            self._parts.add(part, part)
            for name, namespace in self._namespaces.items():
                if part.matches(namespace.labels):
                    self._parts_of.setdefault(name, set()).add(part)
        places = self._groups if isinstance(key, PodGroup) else self._peers
        places.setdefault(part, SelectorIndex()).add(key.pods, shared)

    # Questions.

    def named(self, name: str) -> Shared | None:
        """Return the group or set whose rows' owner has this name."""
        return self._by_name.get(name)

    def get(self, key: Key) -> Shared | None:
        """Return the group or set of a key; None: no policy knows it."""
        return self._by_key.get(key)

    def sizes(self) -> dict[str, int]:
        """Return how many rows there are for those that are used, of each table."""
        kinds = Counter(one.kind for one in self.all() if one.users)
        sets = sum(len(one.versions) for one in self.all() if one.users and one.kind == SET_KIND)
        return {"port_group": kinds[GROUP_KIND], "address_set": sets}

    def all(self) -> list[Shared]:
        """Return all groups and sets."""
        return list(self._by_key.values())

    def sets_of_nodes(self) -> list[Shared]:
        """Return the sets of nodes."""
        return list(self._nodes)

    def waits_for_namespace(self, pod: Pod, by_others: bool = False) -> bool:
        """Return whether policies select namespaces by labels, and those of a pod's namespace are not known.

        :param by_others: others select by them too.
        """
        return (bool(self._parts) or by_others) and pod.namespace not in self._namespaces

    def groups_of(self, pod: Pod) -> Iterator[Shared]:
        """Yield the groups that a pod is in."""
        return (one for one in self._selected_groups(pod) if one.users and one.takes(pod))

    def sets_of(self, pod: Pod) -> Iterator[Shared]:
        """Yield the sets that a pod is in, as far as they do not look at its addresses."""
        return (one for one in self._selected_sets(pod) if one.users and one.takes(pod))

    def pods_of(self, shared: Shared) -> Iterator[Pod]:
        """Yield the pods of a group or a set."""
        key = shared.key
        if isinstance(key, (PeerNetworks, PeerNodes)):
            return
        for pod in self._pods_near(key):
            if key.pods.matches(pod.labels) and shared.takes(pod):
                yield pod

    def share_pods(self, some: Iterable[Shared], others: Iterable[Shared]) -> bool:
        """Return whether a pod is in one of some groups and in one of others."""
        pods = {pod.key for one in some for pod in self.pods_of(one)}
        return any(pod.key in pods for one in others for pod in self.pods_of(one))

    def _pods_near(self, key: PodGroup | PeerPods) -> Iterator[Pod]:
        """Yield the pods of the namespaces of a group or a set, of those that have its port."""
        if key.port is not None:
            for pod in filter(None, map(self.pod, self._having(key.port))):
                if self._is_near(key, pod.namespace):
                    yield pod
            return
        for namespace in self._selected(_part(key)):
            yield from self.pods_in(namespace)

    def _having(self, wanted: PortOf) -> list[str]:
        """Return the keys of the pods that have a port."""
        ports = self._with_port.get(wanted[:2], {})
        if isinstance(wanted, OtherNumbers):
            return [key for port, keys in ports.items() if port.number not in wanted.numbers for key in keys]
        return list(ports.get(wanted, ()))

    def _is_near(self, key: PodGroup | PeerPods, namespace: str) -> bool:
        part = _part(key)
        return part == namespace if isinstance(part, str) else part in self._parts_of.get(namespace, ())

    def is_inside(self, shared: Shared, pod: Pod) -> bool:
        """Return whether a set takes an address of a pod, where it has only those in networks."""
        return not shared.has_networks or any(map(shared.takes_address, self._addresses_of(pod.key)))

    def pods_in(self, namespace: str) -> Iterator[Pod]:
        """Yield the pods of a namespace."""
        return (pod for pod in map(self.pod, self._pods_of.get(namespace, ())) if pod is not None)

    def pod(self, key: str) -> Pod | None:
        """Return a pod."""
        return self._pods.get(key) or self._away.get(key)

    def away(self) -> list[str]:
        """Return the keys of the static pods whose copy is away."""
        return list(self._away)

    def size(self, key: PeerPods) -> int:
        """Return how many pods a set has that a policy counts: one look at all of them, the first time."""
        shared = self._by_key[key]
        if shared.size is None:
            self._are_counted = True
            shared.size = shared.told_size = sum(key.pods.matches(pod.labels) for pod in self._pods_near(key))
        return shared.size

    def _selected(self, part: Part) -> Iterable[str]:
        """Return the namespaces that a part of a key selects."""
        if isinstance(part, str):
            return (part,)
        return [name for name, parts in self._parts_of.items() if part in parts]

    def selecting(self, pod: Pod) -> Iterator[Shared]:
        """Yield the groups and sets whose selectors select a pod."""
        yield from self._selected_groups(pod)
        yield from self._selected_sets(pod)

    def _selected_groups(self, pod: Pod) -> Iterator[Shared]:
        return self._selecting(self._groups, pod)

    def _selected_sets(self, pod: Pod) -> Iterator[Shared]:
        return self._selecting(self._peers, pod)

    def _selecting(self, places: Mapping[Part, SelectorIndex[Shared]], pod: Pod) -> Iterator[Shared]:
        for part in (pod.namespace, *self._parts_of.get(pod.namespace, ())):
            index = places.get(part)
            if index is not None:
                yield from index.matching(pod.labels)


def _part(key: PodGroup | PeerPods) -> Part:
    """Return what selects the namespaces of a group or a set."""
    return key.namespace if isinstance(key, PodGroup) else key.namespaces


def _remove(places: dict[Part, SelectorIndex[Shared]], place: Part, selector: Selector, shared: Shared) -> None:
    """Remove a thing from the index at a place, and the place with the last one."""
    index = places[place]
    index.remove(selector, shared)
    if not index:
        del places[place]
