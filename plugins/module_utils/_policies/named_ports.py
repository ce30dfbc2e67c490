# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The numbers that pods have for the names of ports, for each selector and name that policies have rows for.

They are counted once, by one look at the selector's pods, and kept from then on: a pod's event costs the selectors that
select it, however many policies share them. Policies hear of it where other numbers are served now, or where all are
served that were not, and the other way round.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .._common import names
from .._ovsdb.rows import CurrentRow, Owner
from .._pods.model import ContainerPort, Pod
from .model import PortName
from .shared import GROUP_KIND, GROUP_TABLE, SET_KIND, SET_TABLE, Key, PeerPods, PodGroup, Shared

if TYPE_CHECKING:
    from .._ovsdb.replica import Replica

MAXIMUM_NUMBERS = 32  # of a named port, among the pods of one selector
NAMED = re.compile(r"([@$])(\w+)")  # groups and sets in a match
NUMBER = re.compile(r"[0-9]{1,5}", re.ASCII)


class Index(Protocol):
    """What is asked of the index of pods."""

    def pods_of(self, shared: Shared) -> Iterator[Pod]:
        """Yield the pods of a group or a set."""

    def selecting(self, pod: Pod) -> Iterator[Shared]:
        """Yield the groups and sets whose selectors select a pod."""

    def is_inside(self, shared: Shared, pod: Pod) -> bool:
        """Return whether a set takes an address of a pod, where it has only those in networks."""


class Numbers:
    """The numbers that the pods of one selector have for one name.

    :ivar pods: number -> how many pods have it.
    :ivar served: those that rows are made for: as long as pods have them, then those of most pods.
    """

    __slots__ = ("pods", "served")

    def __init__(self, pods: Counter[int], kept: Iterable[int] = ()) -> None:
        self.pods = pods
        self.served = set(heapq.nsmallest(MAXIMUM_NUMBERS, kept, key=self.order))
        self._fill()

    def order(self, number: int) -> tuple[int, int]:
        """Return by what numbers are ordered: the same for each watcher that begins. Whoever has the same number of
        pods comes by its own.
        """
        return -self.pods[number], number

    @property
    def are_crowded(self) -> bool:
        """Whether not all are served."""
        return len(self.pods) > len(self.served)

    def add(self, number: int) -> bool:
        """Take in one more pod with a number; return whether policies must know."""
        were_crowded = self.are_crowded
        self.pods[number] += 1
        if self.pods[number] > 1:
            return False
        return self._fill() or not were_crowded

    def remove(self, number: int) -> bool:
        """Take in one pod less with a number; return whether policies must know."""
        self.pods[number] -= 1
        if self.pods[number] > 0:
            return False
        del self.pods[number]
        if number in self.served:
            self.served.discard(number)
            self._fill()
            return True
        return not self.are_crowded

    def _fill(self) -> bool:
        """Serve more while there is room; return whether some came."""
        room = MAXIMUM_NUMBERS - len(self.served)
        if room <= 0 or not self.are_crowded:
            return False
        self.served.update(heapq.nsmallest(room, self.pods.keys() - self.served, key=self.order))
        return True


class _Counted:
    """One selector.

    :ivar numbers: name -> its numbers.
    :ivar ports: key of a pod -> its ports, as they are counted.
    """

    __slots__ = ("numbers", "ports")

    def __init__(self) -> None:
        self.numbers: dict[PortName, Numbers] = {}
        self.ports: dict[str, tuple[ContainerPort, ...]] = {}


class NamedPorts:
    """The numbers of all names that are watched.

    :ivar on_change: called with a group or set, and a name for which other numbers of its pods are served.
    """

    on_change: Callable[[Shared, PortName], object]

    def __init__(self, index: Index) -> None:
        self._index = index
        self._counted: dict[Shared, _Counted] = {}
        self._of_pod: dict[str, set[Shared]] = {}  # key of a pod -> what counts its ports

    def get(self, shared: Shared, name: PortName) -> Numbers:
        """Return the numbers of a name that is counted."""
        return self._counted[shared].numbers[name]

    def count(
        self, shared: Shared, wanted: Collection[PortName], written: Callable[[Shared, PortName], Collection[int]]
    ) -> bool:
        """Count the numbers of names that are not counted yet; return whether that took a look at pods.

        :param written: returns the numbers that rows are there for: those stay, whoever has written them.
        """
        counted = self._counted.get(shared)
        missing = [name for name in wanted if counted is None or name not in counted.numbers]
        if not missing:
            return False
        if counted is None:
            counted = self._counted[shared] = _Counted()
            for pod in self._index.pods_of(shared):
                if pod.ports and self._index.is_inside(shared, pod):
                    counted.ports[pod.key] = pod.ports
                    self._of_pod.setdefault(pod.key, set()).add(shared)
        found: dict[tuple[str, str], Counter[int]] = {name: Counter() for name in missing}
        for ports in counted.ports.values():
            for port in ports:
                if port[:2] in found:
                    found[port[:2]][port.number] += 1
        for name in missing:
            kept = [one for one in written(shared, name) if one in found[name]]
            counted.numbers[name] = Numbers(found[name], kept)
        return True

    def drop(self, shared: Shared, name: PortName) -> None:
        """Forget the numbers of a name that nobody watches any more."""
        counted = self._counted.get(shared)
        if counted is None or counted.numbers.pop(name, None) is None or counted.numbers:
            return
        del self._counted[shared]
        for key in counted.ports:
            self._no_longer(key, shared)

    def clear(self) -> None:
        """Forget everything: all is counted anew, and what is served is what has rows then."""
        self._counted.clear()
        self._of_pod.clear()

    def changed(self, key: str, pod: Pod | None) -> None:
        """Take in that a pod, its namespace or its addresses may be others.

        :param pod: None: it is gone.
        """
        if not self._counted:
            return
        now = {one for one in self._index.selecting(pod) if one in self._counted} if pod and pod.ports else set()
        for shared in now | self._of_pod.get(key, set()):
            is_in = pod is not None and shared in now and self._index.is_inside(shared, pod)
            self._set(shared, key, pod.ports if is_in and pod is not None else ())

    def _set(self, shared: Shared, key: str, ports: tuple[ContainerPort, ...]) -> None:
        """Count the ports of a pod as these."""
        counted = self._counted[shared]
        before = counted.ports.get(key, ())
        if before == ports:
            return
        if ports:
            counted.ports[key] = ports
            self._of_pod.setdefault(key, set()).add(shared)
        else:
            del counted.ports[key]
            self._no_longer(key, shared)
        changed: dict[PortName, None] = {}
        for some, others, is_more in ((before, ports, False), (ports, before, True)):
            for port in some:
                name = PortName(*port[:2])
                numbers = counted.numbers.get(name)
                if numbers is None or port in others:
                    continue
                if numbers.add(port.number) if is_more else numbers.remove(port.number):
                    changed[name] = None
        for name in changed:
            self.on_change(shared, name)

    def _no_longer(self, key: str, shared: Shared) -> None:
        of_pod = self._of_pod[key]
        of_pod.discard(shared)
        if not of_pod:
            del self._of_pod[key]


class PortNumber(NamedTuple):
    """A number of a name that rows are made for, as those rows tell it.

    :ivar digest: of the group or set whose pods have it (:class:`.shared.Shared`).
    """

    digest: str
    protocol: str
    name: str
    number: int


class Written:
    """The numbers that rows are there for when a watcher begins, also those that an earlier one has written."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._numbers: dict[tuple[str, str, str], set[int]] | None = None  # None: they are not read yet

    def clear(self) -> None:
        """Read them anew."""
        self._numbers = None

    def numbers(self, shared: Shared, name: PortName) -> set[int]:
        """Return the numbers of a name that the pods of a group or set had, once."""
        if self._numbers is None:
            self._numbers = {}
            for kind, table in ((GROUP_KIND, GROUP_TABLE), (SET_KIND, SET_TABLE)):
                for owner in self._replica.owners(kind):
                    for one in filter(None, map(_number_of, self._replica.owned(Owner(kind, owner), (table,)))):
                        self._numbers.setdefault(one[:3], set()).add(one.number)
        return self._numbers.pop((shared.digest, *name), set())

    def numbers_of(self, owner: Owner) -> set[PortNumber]:
        """Return the numbers that the ACLs of an owner are about."""
        found = set()
        for row in self._replica.owned(owner, ("ACL",)):
            for mark, name in NAMED.findall(row.columns["match"]):
                named = self._replica.named(GROUP_TABLE if mark == "@" else SET_TABLE, name)
                number = _number_of(named) if named is not None else None
                if number is not None:
                    found.add(number)
        return found


def number_key(key: Key) -> str:
    """Return what the rows of a group or set tell of the port that its pods have; empty: they need not have one."""
    if not isinstance(key, (PodGroup, PeerPods)) or not isinstance(key.port, ContainerPort):
        return ""
    return f"{Shared(key._replace(port=None)).digest} {key.port.protocol} {key.port.number} {key.port.name}"


def _number_of(row: CurrentRow) -> PortNumber | None:
    """Return what a row tells of the port that its pods have; None: nothing that can be read."""
    parts = (row.external_id(names.NUMBER_KEY) or "").split(" ", 3)
    if len(parts) < 4 or not NUMBER.fullmatch(parts[2]):
        return None
    return PortNumber(parts[0], parts[1], parts[3], int(parts[2]))
