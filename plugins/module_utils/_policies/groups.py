# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The planners of the groups and sets that network policies share.

A new group or set has all its members from the start. Afterwards they are the pods' own business (:mod:`.membership`),
so that a change of one member costs no look at the others. What is left here is addresses that no pod has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from .._common import names
from .._common.addressing import family
from .._ovsdb.plan import Change
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow, LargeSet, Members, Owner, Ref, Row, SetMembers
from .._pods import northbound
from .._pods.model import Pod
from .._reconcile.engine import Engine
from .._reconcile.planning import NotReady
from .acls import group_rows
from .index import PolicyIndex
from .named_ports import number_key
from .shared import GROUP_KIND, GROUP_TABLE, SET_KIND, SET_TABLE, Node, PeerNetworks, PeerNodes, Shared

PORTS = (northbound.TABLE,)
LONGEST = 200  # characters of a selector in external_ids


class SharedPlanner:
    """What planners of groups and of sets have in common.

    :ivar engine: set by whoever makes the engine.
    :ivar on_done: called with a group or set that policies use, when its rows are as desired.
    :ivar are_acls_known: returns whether no ACL of before, of which it is not known what it names, may be left.
    """

    kind = ""
    tables: Sequence[str] = ()
    on_done: Callable[[Shared], None]
    are_acls_known: Callable[[], bool]
    engine: Engine

    def __init__(self, replica: Replica, index: PolicyIndex) -> None:
        self._replica = replica
        self._index = index

    def owner(self, name: str) -> Owner:
        """Return the owner of a group's or a set's rows."""
        return Owner(self.kind, name)

    def mark(self, shared: Shared) -> None:
        """Look at a group or set again."""
        self.engine.mark(self.kind, shared.name)

    def done(self, name: str, changes: Sequence[Change]) -> None:
        """Take in that the rows are as desired."""
        shared = self._used(name)
        if shared is not None:
            self.on_done(shared)

    def failed(self, name: str, reason: str) -> None:
        """Do nothing: the log has it, and pods and policies that need the rows say it."""

    def _used(self, name: str) -> Shared | None:
        shared = self._index.named(name)
        return shared if shared is not None and shared.users else None

    def _unused(self, name: str) -> list[Row]:
        """Return the rows of a group or set that no policy uses: none.

        :raises NotReady: an ACL may name it still. With a group all its ACLs would go, also what isolates its pods, who
            may not be in another group yet.
        """
        if not self.are_acls_known() and self._replica.owned(self.owner(name), self.tables):
            raise NotReady("policies that were written by an earlier watcher may need it", keeps_rows=True)
        return []

    def _ports(self, shared: Shared) -> Iterator[tuple[Pod, CurrentRow]]:
        """Yield the pods of a group or a set that have a port, with it."""
        for pod in self._index.pods_of(shared):
            for row in self._replica.owned(northbound.owner(pod.key), PORTS):
                yield pod, row


class GroupPlanner(SharedPlanner):
    """The planner of port groups."""

    kind = GROUP_KIND
    tables = (GROUP_TABLE, "ACL")

    def desired(self, name: str) -> list[Row]:
        """Return the rows of a group; none of one that no policy uses."""
        shared = self._used(name)
        if shared is None:
            if any(self._foreign(row) for row in self._replica.owned(self.owner(name), (GROUP_TABLE,))):
                raise NotReady("it has ACLs of others still, which would go with it", keeps_rows=True)
            return self._unused(name)
        columns: dict[str, object] = {"external_ids": _told(shared)}
        if self._replica.named(GROUP_TABLE, shared.group) is None:
            ports = (names.pod_port(pod.namespace, pod.name) for pod, _row in self._ports(shared))
            columns["ports"] = SetMembers(tuple(Ref(northbound.TABLE, port) for port in dict.fromkeys(ports)))
        row = Row(GROUP_TABLE, shared.owner, "group", shared.group, columns=columns, kind="known")
        return group_rows(shared, row)

    def _foreign(self, group: CurrentRow) -> bool:
        """Return whether a group has an ACL that is not its own."""
        return any(row.owner != group.owner for row in self._replica.children("ACL", group.uuid))


class SetPlanner(SharedPlanner):
    """The planner of address sets."""

    kind = SET_KIND
    tables = (SET_TABLE,)

    def __init__(self, replica: Replica, index: PolicyIndex, nodes: Mapping[str, Node]) -> None:
        super().__init__(replica, index)
        self._nodes = nodes
        self._ports_with: dict[str, set[str]] = {}  # address -> UUIDs of pods' ports
        self._suspects: dict[str, set[str]] = {}  # name -> addresses that may be no pod's
        self._unseen: set[str] = set()  # names whose addresses may all be no pod's

    # Events.

    def begin(self) -> None:
        """Look for addresses in sets that no pod has."""
        self._suspects.clear()
        self._unseen = set(self._replica.owners(SET_KIND))
        for name in self._unseen:
            self.engine.mark(self.kind, name)

    def port_changed(self, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in a change of a pod's port: its addresses may be nobody's now."""
        before, after = (set(_addresses(row)) for row in (old, new))
        for address in after - before:
            self._ports_with.setdefault(address, set()).add(new.uuid if new else "")
        for address in before - after:
            ports = self._ports_with.get(address, set())
            ports.discard(old.uuid if old else "")
            if not ports:
                self._ports_with.pop(address, None)
                for row in self._replica.holders(SET_TABLE, address):
                    self.suspect(row, (address,))

    def suspect(self, row: CurrentRow, addresses: Iterable[str]) -> None:
        """Look at a set again whose row has addresses that may be no pod's."""
        found = self._without_ports(addresses)
        if found and row.owner is not None and row.owner.type == SET_KIND:
            self._suspects.setdefault(row.owner.name, set()).update(found)
            self.engine.mark(self.kind, row.owner.name)

    def _without_ports(self, addresses: Iterable[str]) -> list[str]:
        return [address for address in addresses if address not in self._ports_with]

    def pods_with(self, address: str) -> Iterator[str]:
        """Yield the keys of pods whose port has an address."""
        for uuid in self._ports_with.get(address, ()):
            row = self._replica.rows[northbound.TABLE].get(uuid)
            if row is not None and row.owner is not None:
                yield row.owner.name

    # For the engine.

    def desired(self, name: str) -> list[Row]:
        """Return the rows of a set; none of one that no policy uses."""
        shared = self._used(name)
        if shared is None:
            return self._unused(name)
        if isinstance(shared.key, PeerNodes):
            of_nodes = self._addresses_of_nodes(shared)
            return [self._row(shared, version, _of(of_nodes, version)) for version in shared.versions]
        if isinstance(shared.key, PeerNetworks):
            return [self._row(shared, version, _of(shared.key.networks, version)) for version in shared.versions]
        if name in self._unseen:
            self._unseen.discard(name)
            for row in self._replica.owned(shared.owner, self.tables):
                self._suspects.setdefault(name, set()).update(self._without_ports(row.columns["addresses"]))
        rows: list[Row] = []
        missing = [
            version for version in shared.versions if self._replica.named(SET_TABLE, shared.set_name(version)) is None
        ]
        found = self._addresses(shared) if missing else ()
        for version in shared.versions:
            rows.append(self._row(shared, version, _of(found, version) if version in missing else None))
            if version not in missing:
                rows += self._without_orphans(shared, version)
        return rows

    def done(self, name: str, changes: Sequence[Change]) -> None:
        """Forget what was suspected, but what has come since then: addresses that are still there without a pod."""
        left = {one for one in self._suspects.pop(name, ()) if one not in self._ports_with and self._is_in(name, one)}
        if left:
            self._suspects[name] = left
        super().done(name, changes)

    def _is_in(self, name: str, address: str) -> bool:
        owners = (row.owner for row in self._replica.holders(SET_TABLE, address))
        return any(owner is not None and owner.name == name for owner in owners)

    @staticmethod
    def _row(shared: Shared, version: int, addresses: Sequence[str] | None) -> Row:
        columns: dict[str, object] = {"external_ids": _told(shared)}
        if addresses is not None:
            columns["addresses"] = LargeSet(addresses)
        name = shared.set_name(version)
        return Row(SET_TABLE, shared.owner, f"addresses-{version}", name, columns=columns, kind="known")

    def _addresses_of_nodes(self, shared: Shared) -> list[str]:
        """Return the addresses of nodes, as their status has them."""
        return sorted({address for node in self._nodes.values() for address in shared.node_addresses(node)})

    def _addresses(self, shared: Shared) -> list[str]:
        """Return the addresses of the pods of a set, as their ports have them."""
        found = {ip for _pod, row in self._ports(shared) for ip in northbound.addresses_of_port(row)}
        return [ip for ip in sorted(found) if shared.takes_address(ip)]

    def _without_orphans(self, shared: Shared, version: int) -> list[Row]:
        """Return the change by which a set loses addresses that no port of a pod has."""
        suspects = sorted(self._suspects.get(shared.name, ()))
        lacks = tuple(one for one in suspects if one not in self._ports_with)
        columns = {"addresses": Members(lacks=lacks)}
        name = shared.set_name(version)
        return [Row(SET_TABLE, shared.owner, "orphans", name, columns=columns, kind="joined")] if lacks else []


def _addresses(port: CurrentRow | None) -> tuple[str, ...]:
    if port is None or port.owner is None or port.owner.type != northbound.KIND:
        return ()
    return northbound.addresses_of_port(port)


def _of(addresses: Iterable[str], version: int) -> list[str]:
    return [one for one in addresses if family(one) == version]


def _told(shared: Shared) -> dict[str, str]:
    """Return what is told of a row in ``external_ids``: to people what selects its members, bounded; to the next
    watcher the port that they have.
    """
    number = number_key(shared.key)
    return {names.SELECTOR_KEY: str(shared)[:LONGEST], **({names.NUMBER_KEY: number} if number else {})}
