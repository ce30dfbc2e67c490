# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What network policies add to the rows of a pod: its port in port groups, and its addresses in address sets.

They are in the plan of the pod itself. So a port is written in one transaction with its groups, and an address with the
sets that it is in now, and is not in any more, whoever had it before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from .._common import names
from .._common.addressing import family
from .._ovsdb.rows import CurrentRow, Members, Need, Ref, Row
from .._pods import northbound
from .._pods.model import Pod
from .._reconcile.planning import NotReady
from .index import PolicyIndex
from .shared import GROUP_KIND, GROUP_TABLE, SET_KIND, SET_TABLE, Shared

if TYPE_CHECKING:
    from typing import Protocol

    from .._ovsdb.replica import Replica

    class Pins(Protocol):
        """Pods that are pinned to gateways."""

        @property
        def needs_namespaces(self) -> bool:
            """Whether a pod must wait while the labels of its namespace are not known."""

        def needs(self, pod: Pod) -> Iterable[Need]:
            """Yield what must be there with a pod's port."""


MEMBER_COLUMNS = {GROUP_TABLE: "ports", SET_TABLE: "addresses"}


class Membership:
    """The part of policies in pods' rows.

    :ivar on_gone: called with the key of a pod that has no port any more.
    :ivar pins: the pods that are pinned to gateways; None: there are none.
    """

    on_gone: Callable[[str], None]
    pins: Pins | None = None

    def __init__(self, replica: Replica, index: PolicyIndex) -> None:
        self._replica = replica
        self._index = index

    def rows(self, pod: Pod, addresses: Sequence[str]) -> list[Row]:
        """Return what a pod has beside its port.

        :param addresses: without prefix length.
        :raises NotReady: it is not known of which groups it is.
        """
        pod = self._index.pod(pod.key) or pod  # of a static pod whose copy is away the caller may not have the labels
        if self._index.waits_for_namespace(pod, self.pins is not None and self.pins.needs_namespaces):
            raise NotReady(f"the labels of namespace {pod.namespace} are not known yet", keeps_rows=True)
        groups, sets = list(self._index.groups_of(pod)), list(self._index.sets_of(pod))
        return [*self._in_groups(pod, groups), *self._in_sets(pod.key, addresses, sets)]

    def needs(self, pod: Pod) -> tuple[Need, ...]:
        """Return what must be there with a pod's port: the rows that pin it."""
        return tuple(self.pins.needs(pod)) if self.pins is not None else ()

    def knows(self, key: str) -> bool:
        """Return whether the labels of a pod are known."""
        return self._index.pod(key) is not None

    def rows_of_gone(self, key: str) -> list[Row]:
        """Return what remains to be done for a pod that has no port any more: its addresses leave all sets."""
        self.on_gone(key)
        return self._in_sets(key, (), ())

    def _ports(self, key: str) -> list[CurrentRow]:
        return self._replica.owned(northbound.owner(key), (northbound.TABLE,))

    def _in_groups(self, pod: Pod, groups: Iterable[Shared]) -> list[Row]:
        """Return the port groups of a pod, and those that it leaves."""
        port = Ref(northbound.TABLE, names.pod_port(pod.namespace, pod.name))
        rows = [self._joined(GROUP_TABLE, pod.key, group.group, Members((port,)), group) for group in groups]
        known = {row.name for row in rows}
        for current in self._ports(pod.key):
            for row in self._replica.holders(GROUP_TABLE, current.uuid):
                if row.name not in known and self._is_kept(row, GROUP_KIND):
                    rows.append(self._joined(GROUP_TABLE, pod.key, row.name or "", Members(lacks=(port,))))
        return rows

    def _in_sets(self, key: str, addresses: Sequence[str], sets: Iterable[Shared]) -> list[Row]:
        """Return the address sets of a pod, and those that addresses leave: those that it has, and those that it had.

        They leave also where another pod has left them behind. A set that is not there yet gets them when it is made:
        nobody's port waits for what only lets something through.
        """
        desired: dict[str, list[str]] = {}
        for one in sets:
            for address in addresses:
                if one.takes_address(address) and self._replica.named(SET_TABLE, one.set_name(family(address))):
                    desired.setdefault(one.set_name(family(address)), []).append(address)
        left: dict[str, list[str]] = {}
        had = {ip for port in self._ports(key) for ip in northbound.addresses_of_port(port)}
        for address in {*addresses, *had}:
            for row in self._replica.holders(SET_TABLE, address):
                if address in desired.get(row.name or "", ()):
                    continue
                if self._is_kept(row, SET_KIND):
                    left.setdefault(row.name or "", []).append(address)
        rows = [
            self._joined(SET_TABLE, key, name, Members(tuple(has), tuple(left.pop(name, ()))))
            for name, has in desired.items()
        ]
        return rows + [self._joined(SET_TABLE, key, name, Members(lacks=tuple(lacks))) for name, lacks in left.items()]

    def _is_kept(self, row: CurrentRow, kind: str) -> bool:
        """Return whether pods leave a group or set by themselves: policies use it. Others are about to be removed."""
        shared = self._index.named(row.owner.name) if row.owner is not None and row.owner.type == kind else None
        return shared is not None and bool(shared.users) and shared.keeps_pods

    @staticmethod
    def _joined(table: str, key: str, name: str, members: Members, shared: Shared | None = None) -> Row:
        needs = (shared.need,) if shared is not None else ()
        columns = {MEMBER_COLUMNS[table]: members}
        return Row(table, northbound.owner(key), "member", name, columns=columns, kind="joined", needs=needs)
