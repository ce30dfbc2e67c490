# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the watcher does for EgressIP objects: it judges their addresses, writes what they ask for into the Northbound
database, and tells in their status who holds what, and what is refused.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from .._common import names
from .._kube import reasons, statuses
from .._kube.reference import OnEvent
from .._kube.statuses import StatusWriter
from .._kube.told import Told
from .._ovsdb.plan import Change
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow, Owner, Row
from .._policies.shared import PeerPods, Shared
from .._reconcile.planning import NotReady
from .._services.address_book import EXTERNAL_ROUTER, AddressBook
from .._services.address_book import Owner as AddressOwner
from . import rows
from .model import PATH, EgressIP, packed, unpacked
from .status import Condition, conditions

if TYPE_CHECKING:
    from typing import Protocol

    from .._reconcile.engine import Engine

    class Sets(Protocol):
        """The sets of pods that policies keep."""

        def get(self, key: PeerPods) -> Shared:
            """Return a set that is in use."""

        def use(self, key: PeerPods, user: str) -> None:
            """Use a set."""

        def release(self, key: PeerPods, user: str) -> None:
            """Use it no more."""

    class AssignableNode(Protocol):
        """What is used of a node."""

        @property
        def name(self) -> str:
            """Its name in the overlay."""

        @property
        def is_egress_assignable(self) -> bool:
            """Whether it may hold addresses."""


LOG = logging.getLogger("ovn-k8s-watcher")
KINDS = (rows.SHARED_KIND, rows.KIND)
PATIENCE = 5.0  # seconds for a node to hold an address, until it is said that none does


class RequestPlanner:
    """The planner of what one object asks for.

    :param replica: the Northbound database.
    :param objects: name -> object, the informer's store.
    :param nodes: name -> node, the informer's store.
    :param book: says whose an address is.
    :param sets: :class:`.._policies.sharing.Sharing`.
    :param networks: returns the overlay's own networks.
    :param recheck_services: called with the keys of services that may not have an address any more.
    :param are_unread: returns whether there may be objects that nobody has read.

    :ivar engine: set by whoever makes it.
    """

    tables = (rows.SET,)
    engine: Engine

    def __init__(
        self,
        replica: Replica,
        objects: Mapping[str, EgressIP],
        nodes: Mapping[str, AssignableNode],
        book: AddressBook,
        sets: Sets,
        on_event: OnEvent,
        status: StatusWriter,
        networks: Callable[[], Sequence[str]],
        recheck_services: Callable[[Iterable[str]], object] = lambda keys: None,
        are_unread: Callable[[], bool] = lambda: False,
    ) -> None:
        self.shared = SharedPlanner(self)
        self._replica = replica
        self._objects = objects
        self.nodes = nodes
        self._book = book
        self._sets = sets
        self._told = Told(on_event, LOG)
        self._status = status
        self.networks = networks
        self._known_networks: Sequence[str] = ()
        self._recheck_services = recheck_services
        self._are_unread = are_unread
        self._used: dict[
            str, set[PeerPods]
        ] = {}  # object -> the sets of its pods, those of now and those that rows name
        self._by_address: dict[str, set[str]] = {}  # address -> objects that name it
        self._refused: dict[str, tuple[str, ...]] = {}
        self._free_since: dict[str, float] = {}  # object -> since when an address of it is held by nobody

    @property
    def planners(self) -> dict[str, RequestPlanner | SharedPlanner]:
        """Kind -> planner."""
        return {rows.SHARED_KIND: self.shared, rows.KIND: self}

    # Events.

    def object_changed(self, key: str, old: EgressIP | None, new: EgressIP | None) -> None:
        """Take in a change of an object."""
        before, after = (set(one.addresses) if one is not None else set() for one in (old, new))
        for address in before - after:
            self._by_address[address].discard(key)
            if not self._by_address[address]:
                del self._by_address[address]
        for address in after - before:
            self._by_address.setdefault(address, set()).add(key)
        if new is None:
            self._told.forget(key)
            self._refused.pop(key, None)
            self._free_since.pop(key, None)
            self._status.forget(f"{PATH}/{key}")
            self._recheck_services(self._book.set_owner(_source(key), None))
        elif old is not None and old._replace(items=new.items, conditions=new.conditions) == new:
            self._tell(key)  # only its status: somebody may have changed it
            return
        pods = _pods_of(new)
        if pods is not None:
            self._used.setdefault(key, set()).add(pods)
            self._sets.use(pods, _user(key))
        self._mark(key)
        for address in before ^ after:
            for other in self._by_address.get(address, set()) - {key}:
                self._mark(other)
        self._mark_shared()

    def node_changed(self, old: AssignableNode | None, new: AssignableNode | None) -> None:
        """Take in a change of a node."""
        if _is_assignable(old) != _is_assignable(new):
            self._mark_shared()
            for key in self._objects:
                self._tell(key)

    def router_changed(self, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in a change of a router: it may hold other addresses now."""
        before, after = (rows.held_of(row) if row is not None else {} for row in (old, new))
        for address in {one for one in {*before, *after} if before.get(one) != after.get(one)}:
            for key in self._by_address.get(address, ()):
                self._tell(key)

    def routes_changed(self, row: CurrentRow) -> None:
        """Take in that a policy of the granter has changed: it may name a set of pods no more."""
        if row.owner is None or row.owner.type != rows.ROUTES_KIND:
            return
        if self._used.get(row.owner.name, set()) - {_pods_of(self._objects.get(row.owner.name))}:
            self._mark(row.owner.name)

    def follow_networks(self) -> None:
        """Look at all objects again where the overlay's networks have changed."""
        networks = self.networks()
        if networks != self._known_networks:
            self._known_networks = networks
            self._mark_shared()
            for key in self._objects:
                self._mark(key)

    def addresses_changed(self, addresses: Iterable[str]) -> None:
        """Look at the objects again that name one of these addresses of others."""
        for address in addresses:
            for key in self._by_address.get(address, ()):
                self._mark(key)

    def begin_sets(self) -> None:
        """Use the sets of pods that rows of before may name, the granter's too, until it is known what they are for."""
        for key in self._replica.owners(rows.KIND):
            row = self._row(key)
            for pods in unpacked(row.external_id(names.EGRESS_IP_SELECTORS_KEY) if row is not None else None):
                self._used.setdefault(key, set()).add(pods)
                self._sets.use(pods, _user(key))

    def begin(self) -> None:
        """Look at everything."""
        self._mark_shared()
        for key in {*self._objects, *self._used, *self._replica.owners(rows.KIND)}:
            self._mark(key)

    def _row(self, key: str) -> CurrentRow | None:
        return next(iter(self._replica.owned(self.owner(key), self.tables)), None)

    def _mark(self, key: str) -> None:
        self.engine.mark(rows.KIND, key)

    def _mark_shared(self) -> None:
        self.engine.mark(rows.SHARED_KIND, rows.ALL)

    @property
    def has_objects(self) -> bool:
        """Whether there is an object."""
        return bool(self._objects)

    @property
    def has_shared_rows(self) -> bool:
        """Whether the rows are there that all objects share."""
        return self._replica.named(rows.SET, names.EGRESS_IP_NODES) is not None

    # For the engine.

    @staticmethod
    def owner(name: str) -> Owner:
        """Return the owner of an object's rows."""
        return Owner(rows.KIND, name)

    def desired(self, name: str) -> list[Row]:
        """Return what an object asks for, also without an address that is served: its pods are closed then.

        :raises NotReady: there may be such an object that was not read.
        """
        one = self._objects.get(name)
        owner = AddressOwner(f"EgressIP {name}", is_host=False)
        if one is None:
            if self._are_unread():
                row = self._row(name)
                self._book.set_owner(_source(name), owner, row.columns["addresses"] if row is not None else ())
                raise NotReady("what its pods leave with can't be read now", keeps_rows=True)
            return []
        reasons_of = {address: self._why_not(one, address) for address in one.addresses}
        served = [address for address, reason in reasons_of.items() if reason is None]
        self._refused[name] = (*one.faults, *(f"{ip} {reason}" for ip, reason in reasons_of.items() if reason))
        self._recheck_services(self._book.set_owner(_source(name), owner, served))
        pods = _pods_of(one)
        if not one.versions or pods is None:
            return []
        self._used.setdefault(name, set()).add(pods)
        self._sets.use(pods, _user(name))
        shared = self._sets.get(pods)
        selectors = packed([pods, *sorted(self._used[name] - {pods})])
        return [rows.request_row(name, served, one.versions, shared.digest, selectors, shared.need)]

    def _why_not(self, one: EgressIP, ip: str) -> str | None:
        """Return why an address is not served, in a clause; None when it is."""
        network = self._book.network_of(ip)
        if network:
            return f"is in {network[1]} {network[0]}"
        row = self._row(one.name)
        # A host says of itself what it likes: by that nobody loses an address.
        is_served = row is not None and ip in row.columns["addresses"]
        for source, owner in self._book.owners(ip).items():
            if not source.startswith(_source("")) and not (owner.reported and is_served):
                return f"is an address of {owner.name}"
        user = self._book.user_of(ip, one.created)
        if user and not (user == EXTERNAL_ROUTER.name and is_served):
            return f"is an address of {user}"
        rivals = [self._objects[key] for key in self._by_address.get(ip, ()) if key in self._objects]
        first = min(rivals, key=lambda other: other.order, default=one)
        return f"is an address of EgressIP {first.name}, which is older" if first.name != one.name else None

    def done(self, name: str, changes: Sequence[Change]) -> None:
        """Take in that the rows are as desired: give back sets that no row names any more, and tell."""
        current = _pods_of(self._objects.get(name))
        # OVN leaves out what names a set that is not there: the pods would leave as if there were no object.
        policies = self._replica.owned(Owner(rows.ROUTES_KIND, name), (rows.POLICY,))
        matches = " ".join(row.columns["match"] for row in policies)
        for pods in list(self._used.get(name, ())):
            if pods != current and self._sets.get(pods).digest not in matches:
                self._used[name].discard(pods)
                self._sets.release(pods, _user(name))
                if current is not None:
                    self._mark(name)  # its row names this set for later watchers
        if not self._used.get(name):
            self._used.pop(name, None)
        self._tell(name)

    def failed(self, name: str, reason: str) -> None:
        """Say that an object is not served yet."""
        one = self._objects.get(name)
        if one is not None:
            self._told.tell(name, one.reference, reasons.EGRESS_IP_NOT_HELD, f"it is not served yet: {reason}")

    # What is told.

    def _holders(self, one: EgressIP) -> dict[str, str]:
        """Return address -> node, of those that are held."""
        found = {}
        for row in self._replica.rows["Logical_Router"].values():
            if row.owner is not None and row.owner.type == "Gateway":
                held = rows.held_of(row)
                found.update({ip: row.owner.name for ip in one.addresses if held.get(ip)})
        return found

    def _tell(self, key: str) -> None:
        """Write events and the status, where they are others than before."""
        one = self._objects.get(key)
        if one is None or not self.engine.active or key not in self._refused:
            return
        holders = self._holders(one)
        refused = "; ".join(self._refused[key])
        asked = [ip for ip in one.addresses if self._why_not(one, ip) is None]
        free = [ip for ip in asked if ip not in holders]
        is_late = True
        if not free:
            self._free_since.pop(key, None)
        elif time.monotonic() - self._free_since.setdefault(key, time.monotonic()) < PATIENCE:
            self.engine.mark_later(rows.KIND, key, PATIENCE)
            is_late = False
        self._told.tell(key, one.reference, reasons.EGRESS_IP_PART_REFUSED, f"not served: {refused}" if refused else "")
        message = ""
        if free and _pods_of(one) is not None:
            message = (
                f"no node holds {', '.join(free)}: label nodes {names.EGRESS_ASSIGNABLE_LABEL} that have a gateway in "
                "its network, one for each address"
            )
        if is_late:
            self._told.tell(key, one.reference, reasons.EGRESS_IP_NOT_HELD, message)
        self._write(one, tuple(sorted(holders.items())), conditions(refused, message))

    def _write(self, one: EgressIP, items: tuple[tuple[str, str], ...], told: tuple[Condition, ...]) -> None:
        """Write the status.

        :param items: pairs of address and node.
        """
        now = statuses.now()
        status = {
            "items": [{"node": node, "egressIP": ip} for ip, node in items],
            "conditions": [
                {"type": kind, "status": state, "reason": reason, "message": message, "lastTransitionTime": now}
                for kind, state, reason, message in told
            ],
        }
        says = (items, tuple(sorted(told)))
        self._status.merge(f"{PATH}/{one.name}", one.uid, status, says, (one.items, one.conditions))


class SharedPlanner:
    """The planner of what all objects have in common: nodes, and the overlay's own networks."""

    tables = (rows.SET,)

    def __init__(self, requests: RequestPlanner) -> None:
        self._requests = requests

    @staticmethod
    def owner(name: str) -> Owner:
        """Return the owner of the rows."""
        return Owner(rows.SHARED_KIND, name)

    def desired(self, _name: str) -> list[Row]:
        """Return the rows, as long as there is an object; afterwards they stay, since a policy may name them still."""
        if not self._requests.has_objects and not self._requests.has_shared_rows:
            return []
        nodes = [one.name for one in self._requests.nodes.values() if one.is_egress_assignable]
        return rows.shared_rows(nodes, self._requests.networks())

    def done(self, name: str, changes: Sequence[Change]) -> None:
        """Do nothing."""

    def failed(self, name: str, reason: str) -> None:
        """Do nothing: the log has it."""


def _is_assignable(node: AssignableNode | None) -> tuple[str, bool]:
    return (node.name, node.is_egress_assignable) if node is not None else ("", False)


def _pods_of(one: EgressIP | None) -> PeerPods | None:
    """Return the set of the pods of an object; None: it selects none."""
    return PeerPods(one.namespaces, one.pods) if one is not None and one.namespaces is not None else None


def _user(name: str) -> str:
    """Return by what the sets know an object: no policy is called like this."""
    return f"EgressIP {name}"


def _source(name: str) -> str:
    """Return by what the address book knows an object."""
    return f"EgressIP {name}"
