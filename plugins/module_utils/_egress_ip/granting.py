# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the granter writes: who is to hold which address, and the ways out of the objects' pods.

Nodes, gateways and requests come from a replica of the Northbound database, the nodes' requests for leases from their
programs. All is decided anew where one of them changes; a pod that comes or goes changes none of them.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from .._common import addressing, names
from .._common.errors import SettingsError
from .._ovsdb.plan import Change
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow, Owner, Row
from .._ovsdb.values import as_set
from .._reconcile.planning import NotReady
from . import rows
from .assignment import Candidate, assign
from .lease import Answer, Granter, Held, Request

if TYPE_CHECKING:
    from .._reconcile.engine import Engine

LOG = logging.getLogger("ovn-k8s-egress")
LOCK = "ovn_kubernetes_egress_ip"
PORT = "Logical_Router_Port"
TABLES = {
    rows.SET: ("name", "addresses", "external_ids"),
    rows.ROUTER: ("name", "external_ids"),
    PORT: ("name", "networks", "external_ids"),
    rows.POLICY: ("priority", "match", "action", "nexthops", "external_ids"),
    rows.NAT: ("type", "logical_ip", "external_ip", "match", "priority", "external_ids"),
    "NB_Global": ("options",),
    "Logical_Switch": ("name", "external_ids"),
}
OPTIONAL = {rows.NAT: ("match", "priority")}  # columns that OVN before 24.03 does not have
WITH_PARENT = (PORT, rows.POLICY, rows.NAT)
MEMBER_COLUMNS = {rows.SET: "addresses"}
KINDS = (rows.ROUTES_KIND, rows.HELD_KIND, rows.POD_KIND, rows.PROOF_KIND)
STALLED = 0.3  # seconds between two looks, after which this program itself was late
PRUNE = 1.0  # seconds between two looks at what is over
FIRST_ANSWERS = 3.0  # seconds after the beginning in which no node counts as silent


class _Planner:
    """What the planners have in common."""

    kind = ""
    tables: Sequence[str] = ()

    def __init__(self, granting: Granting) -> None:
        self._granting = granting

    def owner(self, name: str) -> Owner:
        """Return the owner of an object's rows."""
        return Owner(self.kind, name)

    def done(self, name: str, changes: Sequence[Change]) -> None:
        """Do nothing: the replica has told of the changes."""

    def failed(self, name: str, reason: str) -> None:
        """Do nothing: the log has it."""


class HeldPlanner(_Planner):
    """The planner of what each node is to hold."""

    kind = rows.HELD_KIND

    def desired(self, name: str) -> list[Row]:
        """Return the keys of a gateway's router; none where there is no router."""
        return self._granting.held_rows(name)


class RoutesPlanner(_Planner):
    """The planner of the ways out."""

    kind = rows.ROUTES_KIND
    tables = (rows.POLICY, rows.NAT)

    def desired(self, name: str) -> list[Row]:
        """Return the policies and NAT rows of an object. :raises NotReady: sets that they name are not there."""
        return self._granting.routes_rows(name)


class ProofPlanner(_Planner):
    """The planner of the row of the granter's proofs."""

    kind = rows.PROOF_KIND
    tables = (rows.SET,)

    def desired(self, name: str) -> list[Row]:
        """Return the row, as long as it may be needed."""
        return [rows.proof_row()] if name == rows.ALL else []


class PodPlanner(_Planner):
    """The planner of NAT rows of single addresses of pods, for schemas without NAT.match."""

    kind = rows.POD_KIND
    tables = (rows.POLICY, rows.NAT)

    def desired(self, name: str) -> list[Row]:
        """Return the rows of one address of a pod of an object."""
        return self._granting.pod_rows(name)


class Granting:
    """Follows the database, and decides.

    :param replica: of the Northbound database, with :data:`TABLES`.

    :ivar granter: the leases; None until this master acts for the first time.
    :ivar engine: set by whoever makes it.
    :ivar moves: how often an address got another holder.
    """

    engine: Engine

    def __init__(self, replica: Replica) -> None:
        self.granter: Granter | None = None
        self.moves = 0
        self._replica = replica
        self._looked = self._grace = float("-inf")  # the last look at who is silent; until when nobody counts as such
        self._is_stale = True  # something has changed on which the assignment depends
        self._alive: frozenset[str] = frozenset()
        self._assigned: dict[str, str] = {}  # address -> node that is to hold it
        self._free: frozenset[tuple[str, str]] = frozenset()  # (address, its node): may be settled, as of the last look
        self._may_hold: frozenset[str] | None = None  # the nodes with the label; None: to be read
        self._pruned = float("-inf")
        self._by_set: dict[str, set[str]] = {}  # name of a set of pods -> objects

    @property
    def planners(self) -> dict[str, HeldPlanner | RoutesPlanner | PodPlanner | ProofPlanner]:
        """Kind -> planner, in the order in which they are best planned."""
        all_planners = (ProofPlanner(self), HeldPlanner(self), RoutesPlanner(self), PodPlanner(self))
        return {one.kind: one for one in all_planners}

    def is_needed(self) -> bool:
        """Return whether there is, or was, an object: without any nothing is written."""
        return self._replica.named(rows.SET, names.EGRESS_IP_NODES) is not None

    # Events.

    def row_changed(self, table: str, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in a change of a row."""
        self.engine.row_changed(old, new)
        if any(row is not None and row.name == names.EGRESS_IP_NODES for row in (old, new)):
            self._may_hold = None
        owners = {row.owner for row in (old, new) if row is not None and row.owner is not None}
        for owner in owners:
            if table == rows.SET and owner.type in (rows.KIND, rows.SHARED_KIND):
                self._is_stale = True
                self._object_changed(owner)
            elif owner.type == "Gateway" and table in (rows.ROUTER, PORT):
                self._is_stale = True
                self._gateway_changed(owner.name, old, new)
            elif table == rows.SET:
                self._set_changed(old, new)

    def members_changed(self, row: CurrentRow, come: Collection[str], gone: Collection[str]) -> None:
        """Take in that a set has got members, and lost some."""
        if row.owner is not None and row.owner.type == rows.KIND:
            self._is_stale = True
            self._object_changed(row.owner)
        for name in self._by_set.get(row.name or "", ()) if not self.has_match else ():
            for ip in (*come, *gone):
                self.engine.mark(rows.POD_KIND, f"{name}/{ip}")

    def _object_changed(self, owner: Owner) -> None:
        if owner.type == rows.SHARED_KIND:
            return
        name = owner.name
        digest = self._digest(name)
        current = {names.peer_set(digest, version) for version in (4, 6)} if digest is not None else set()
        for key in [key for key, objects in self._by_set.items() if name in objects and key not in current]:
            self._by_set[key].discard(name)
            if not self._by_set[key]:
                del self._by_set[key]
        for key in current:
            self._by_set.setdefault(key, set()).add(name)
        if not self.has_match:
            for key in self._replica.owners(rows.POD_KIND):
                if key.startswith(f"{name}/"):
                    self.engine.mark(rows.POD_KIND, key)
        self._mark_routes(name)

    def _set_changed(self, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in that a set of pods is there, or is not."""
        for name in {one for row in (old, new) if row is not None for one in self._by_set.get(row.name or "", ())}:
            self._mark_routes(name)

    def _gateway_changed(self, node: str, old: CurrentRow | None, new: CurrentRow | None) -> None:
        self.engine.mark(rows.HELD_KIND, node)
        touched = {one for row in (old, new) if row is not None for one in rows.held_of(row)}
        self._took_rows()
        is_another = old is None or new is None  # each object has rows of each gateway
        for name in self._replica.owners(rows.KIND) if is_another else self._objects_of(touched):
            self._mark_routes(name)

    def _took_rows(self) -> None:
        """Take in what the routers' rows say: that alone may be granted."""
        if self.granter is not None:
            self.granter.decided = rows.all_held(self._replica.rows[rows.ROUTER].values())

    def _mark_routes(self, name: str) -> None:
        self.engine.mark(rows.ROUTES_KIND, name)
        if not self.has_match:
            for ip in self._pods(name):
                self.engine.mark(rows.POD_KIND, f"{name}/{ip}")

    def begin(self, now: float, granter: Granter | None = None, is_first: bool = False) -> None:
        """Begin to act.

        :param granter: that of before, where nobody else has acted meanwhile.
        :param is_first: nobody has ever acted before.
        """
        self._alive, self._looked, self._grace = frozenset(), now, now + FIRST_ANSWERS
        self._free, self._may_hold = frozenset(), None
        decided = rows.all_held(self._replica.rows[rows.ROUTER].values())
        self.granter = granter or Granter(now, decided, secrets.randbits(63) + 1, is_first)
        self.granter.decided = decided
        self._assigned = {address: held.node for address, held in decided.items()}
        self._is_stale = True
        for name in self._wanted():
            self._object_changed(Owner(rows.KIND, name))
        for kind in KINDS:
            for name in self._replica.owners(kind):
                self.engine.mark(kind, name)
        self.engine.mark(rows.PROOF_KIND, rows.ALL)
        for node in self._gateways():
            self.engine.mark(rows.HELD_KIND, node)

    def take_in(self, request: Request, now: float) -> Answer | None:
        """Take in a request for a lease, and return the answer; None: there is none."""
        if self.granter is None:
            return None
        before = self.granter.guarded(request.node)
        answer = self.granter.take_in(request, now, request.node in self._assignable())
        for name in self._objects_of(before ^ self.granter.guarded(request.node)):
            self._mark_routes(name)
        return answer

    def tick(self, now: float) -> None:
        """Look at who is silent, and decide anew where something has changed."""
        if self.granter is None or not self.engine.active:
            return
        if now - self._looked > STALLED:  # what has come meanwhile is not read yet
            self._grace = max(self._grace, now + STALLED)
        self._looked = now
        alive = frozenset(
            node
            for node in self._assignable()
            if not self.granter.is_silent(node, now) or (now < self._grace and node in (self._alive or (node,)))
        )
        if alive != self._alive or self._is_stale:
            for node in sorted(self._alive - alive):
                LOG.warning("node %s asks for no leases any more: its egress addresses are moved", node)
            self._alive, self._is_stale = alive, False
            self._assign()
        self._settle(now)
        if now - self._pruned >= PRUNE:
            self._pruned = now
            self.granter.prune(now)

    def _assign(self) -> None:
        before = self._assigned
        self._assigned = assign(self._wanted(), before, list(self._candidates()))
        for address in {*before, *self._assigned}:
            old, new = before.get(address), self._assigned.get(address)
            if old != new:
                self.moves += old is not None and new is not None
                LOG.info("egress address %s: %s", address, f"from {old or 'nobody'} to {new or 'nobody'}")
                for node in filter(None, (old, new)):
                    self.engine.mark(rows.HELD_KIND, node)

    def _settle(self, now: float) -> None:
        """Find what nobody else can answer for any more."""
        if self.granter is None:
            raise AssertionError("nobody acts")
        self._free = frozenset(
            (address, held.node)
            for address, held in self.granter.pending.items()
            if self.granter.guards(address, held.node) and self.granter.is_free(address, held.node, now)
        )
        for node in {node for _address, node in self._free}:
            self.engine.mark(rows.HELD_KIND, node)

    # What is in the database.

    @property
    def has_match(self) -> bool:
        """Whether rows of NAT can have a match."""
        return "match" not in self._replica.missing_columns(rows.NAT)

    def _request(self, name: str) -> CurrentRow | None:
        return next(iter(self._replica.owned(Owner(rows.KIND, name), (rows.SET,))), None)

    def _digest(self, name: str) -> str | None:
        row = self._request(name)
        return row.external_id(names.EGRESS_IP_PODS_KEY) if row is not None else None

    def _pods(self, name: str) -> list[str]:
        """Return the addresses of the pods of an object."""
        digest = self._digest(name)
        sets = [self._replica.named(rows.SET, names.peer_set(digest, version)) for version in (4, 6)] if digest else []
        return [ip for row in sets if row is not None for ip in as_set_of(row)]

    def _wanted(self) -> dict[str, list[str]]:
        """Return object -> its addresses. Of two objects that want one address the first has it."""
        found: dict[str, list[str]] = {}
        taken: set[str] = set()
        for name in sorted(self._replica.owners(rows.KIND)):
            row = self._request(name)
            addresses = [] if row is None else [one for one in map(addressing.unicast, as_set_of(row)) if one]
            found[name] = [one for one in addresses if one not in taken]
            taken.update(found[name])
        return found

    def _objects_of(self, addresses: Collection[str]) -> set[str]:
        """Return the objects that have one of the addresses."""
        return {
            row.owner.name
            for address in addresses
            for row in self._replica.holders(rows.SET, address)
            if row.owner is not None and row.owner.type == rows.KIND
        }

    def _assignable(self) -> frozenset[str]:
        if self._may_hold is None:
            row = self._replica.named(rows.SET, names.EGRESS_IP_NODES)
            text = row.external_id(names.EGRESS_IP_NODES_KEY) if row is not None else None
            self._may_hold = frozenset((text or "").split())
        return self._may_hold

    def _gateways(self) -> Iterator[str]:
        for row in self._replica.rows[rows.ROUTER].values():
            if (
                row.owner is not None
                and row.owner.type == "Gateway"
                and row.name == names.gateway_router(row.owner.name)
            ):
                yield row.owner.name

    def _candidates(self) -> Iterator[Candidate]:
        """Yield the nodes that may hold addresses."""
        assignable = self._assignable()
        for row in self._replica.rows[rows.ROUTER].values():
            if row.owner is None or row.owner.type != "Gateway" or row.owner.name not in assignable:
                continue
            networks = []
            for cidr in (row.external_id(names.PHYSICAL_IPS_KEY) or "").split(","):
                with contextlib.suppress(SettingsError):  # whoever wrote it
                    networks.append(str(addressing.interface(cidr)))
            mark = row.external_id(names.EGRESS_KEY) or ""
            down = {version for version in (4, 6) if mark == "down" or f"IPv{version}" in mark}
            versions = frozenset({4, 6} - down)
            yield Candidate(row.owner.name, tuple(networks), versions, row.owner.name in self._alive)

    def _join_ip(self, node: str, version: int) -> str | None:
        ports = self._replica.owned(Owner("Gateway", node), (PORT,))
        return next(
            (
                cidr.split("/")[0]
                for port in ports
                if port.role == "router-to-join"
                for cidr in as_set(port.columns["networks"])
                if addressing.family(cidr) == version
            ),
            None,
        )

    # Desired rows.

    def held_rows(self, node: str) -> list[Row]:
        """Return what a gateway's router has of addresses."""
        if self._replica.named(rows.ROUTER, names.gateway_router(node)) is None or self.granter is None:
            return []
        held = {}
        for address, one in self._assigned.items():
            if one == node:
                known = self.granter.decided.get(address, Held("", False))
                # The last look is not after this moment: what was free then is free.
                is_free = (address, node) in self._free and self.granter.is_free(address, node, self._looked)
                held[address] = known.node == node and (known.settled or is_free)
        return [rows.held_row(node, held)]

    def _places(self, addresses: Collection[str]) -> list[rows.Place]:
        """Return the holders of addresses that keep them closed without a lease."""
        found = []
        for address in addresses:
            held = self.granter.decided.get(address) if self.granter is not None else None
            if held is None or self.granter is None:
                continue
            if held.settled or self.granter.guards(address, held.node):
                hop = self._join_ip(held.node, addressing.family(address))
                if hop is not None:
                    found.append(rows.Place(address, held.node, hop))
        return found

    def routes_rows(self, name: str) -> list[Row]:
        """Return the ways out of an object's pods."""
        digest, request = self._digest(name), self._request(name)
        if digest is None or request is None:
            return []
        versions = rows.versions_of(request)
        sets = (names.EGRESS_IP_INSIDE, names.HOST_ADDRESSES)
        self._need(
            [*(names.peer_set(digest, one) for one in versions), *(some[one] for some in sets for one in versions)]
        )
        places = self._places(self._wanted_of(name))
        return rows.routes_rows(name, digest, versions, places, self._gateways(), self.has_match)

    def _wanted_of(self, name: str) -> list[str]:
        """Return the addresses of an object that no other one has before it."""
        row = self._request(name)
        found = [one for one in map(addressing.unicast, as_set_of(row)) if one] if row is not None else []
        return [one for one in found if min(self._objects_of([one]), default=name) == name]

    def _need(self, sets: Iterator[str] | Collection[str]) -> None:
        """:raises NotReady: one of these sets is not there: a match that names it would be none."""
        missing = [name for name in sets if self._replica.named(rows.SET, name) is None]
        if missing:
            raise NotReady(f"address set {missing[0]} is not there yet: the watcher writes it", keeps_rows=True)

    def pod_rows(self, key: str) -> list[Row]:
        """Return the NAT rows of one address of a pod of an object; none where the schema has NAT.match."""
        name, _slash, ip = key.partition("/")
        digest = self._digest(name)
        if self.has_match or digest is None:
            return []
        row = self._replica.named(rows.SET, names.peer_set(digest, addressing.family(ip)))
        if row is None or ip not in as_set_of(row):
            return []
        return rows.pod_rows(key, ip, self._places(self._wanted_of(name)))


def as_set_of(row: CurrentRow) -> Collection[str]:
    """Return the members of an address set."""
    members: Collection[str] = row.columns["addresses"]
    return members
