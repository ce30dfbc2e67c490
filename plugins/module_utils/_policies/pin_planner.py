# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the rows of pinned pods: those of namespaces and nodes that an AdminPolicyBasedExternalRoute selects.

Each namespace and each node is a scope with rows of its own, so an event costs the scopes that it changes. The pods of
a namespace are in an address set, which they join in the transaction that writes their port; the port needs the rows of
its scopes. Of several objects for one scope the oldest one counts, and the others say so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from .._kube import reasons, statuses
from .._kube.reference import OnEvent
from .._kube.statuses import StatusWriter
from .._kube.told import Told
from .._ovsdb.plan import Change
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow, Need, Owner, Row
from .._pods.model import Pod
from .._pods.northbound import NodeSwitch
from .._reconcile.engine import Engine
from .._reconcile.planning import NotReady
from . import pins
from .external_routes import LONGEST, ExternalRoute, Status
from .model import Namespace
from .pins import KIND, TABLE, Gateway, Scope, Sources, Ways
from .selectors import EVERYTHING, SelectorIndex
from .shared import VERSIONS, PeerPods
from .sharing import Sharing

LOG = logging.getLogger("ovn-k8s-watcher")
NAMESPACE, NODE = "namespace", "node"
GATEWAY_TABLES = ("Logical_Router", "Logical_Router_Port")
SHOWN = 3  # scopes that a message names


class PinPlanner:
    """The planner of pinned pods.

    :param replica: the Northbound database.
    :param routes: name -> object, the informer's store.
    :param namespaces: name -> namespace, the informer's store.
    :param sets: address sets of network policies, of which it uses those of namespaces.
    :param on_event: writes an event about an object.
    :param are_unread: returns whether there may be objects that nobody has read.

    :ivar engine: set by whoever makes the engine.
    """

    tables = (TABLE,)
    engine: Engine

    def __init__(
        self,
        replica: Replica,
        routes: Mapping[str, ExternalRoute],
        namespaces: Mapping[str, Namespace],
        sets: Sharing,
        on_event: OnEvent,
        status: StatusWriter,
        are_unread: Callable[[], bool] = lambda: False,
    ) -> None:
        self._replica = replica
        self._routes = routes
        self._namespaces = namespaces
        self._sharing = sets
        self._status_writer = status
        self._are_unread = are_unread
        self._told = Told(on_event, LOG)
        self._nodes: dict[str, Mapping[str, str]] = {}  # node -> its labels
        self._index: dict[str, SelectorIndex[str]] = {NAMESPACE: SelectorIndex(), NODE: SelectorIndex()}
        self._routes_of: dict[Scope, set[str]] = {}
        self._scopes_of: dict[str, set[Scope]] = {}
        self._pending: dict[str, set[Scope]] = {}  # object -> scopes whose rows are not as desired yet
        self._failing: dict[Scope, str] = {}  # why their rows are not as desired
        self._contested: set[Scope] = set()  # selected by several objects
        self._gateways: dict[str, Gateway] = {}
        self._reach = pins.Reach(self._gateways)
        self._ways: dict[str, Ways] = {}  # of objects whose ways were asked for since they may have changed
        self._used: set[Scope] = set()  # whose address sets are used

    # Events.

    def route_changed(self, key: str, old: ExternalRoute | None, new: ExternalRoute | None) -> None:
        """Take in a change of an object."""
        if old is not None and new is not None and old._replace(told=new.told) == new:
            self._status_writer.seen(new.path, new.told)
            return
        if old is not None:
            for kind, selector in _selectors(old):
                self._index[kind].remove(selector, key)
        scopes: set[Scope] = set()
        if new is not None:
            self._ways.pop(key, None)
            for kind, selector in _selectors(new):
                self._index[kind].add(selector, key)
                scopes.update(Scope(kind, name) for name, labels in self._labels(kind) if selector.matches(labels))
        else:
            self._ways.pop(key, None)
            self._told.forget(key)
            if old is not None:
                self._status_writer.forget(old.path)
        before = set(self._scopes_of.get(key, ()))
        for scope in before - scopes:
            self._set_routes(scope, self._routes_of.get(scope, set()) - {key})
        for scope in scopes:
            self._set_routes(scope, self._routes_of.get(scope, set()) | {key})
        if new is not None:
            self._scopes_of.setdefault(key, set())
        for scope in before | scopes:
            self._mark(scope)
        self._tell(key)

    def namespace_changed(self, name: str, _old: Namespace | None, new: Namespace | None) -> None:
        """Take in a change of a namespace."""
        self._labels_changed(Scope(NAMESPACE, name), new.labels if new is not None else None)

    def node_changed(self, name: str, labels: Mapping[str, str] | None) -> None:
        """Take in the labels of a node; None: it is gone."""
        if labels is None:
            self._nodes.pop(name, None)
        else:
            self._nodes[name] = labels
        self._labels_changed(Scope(NODE, name), labels)

    def _labels_changed(self, scope: Scope, labels: Mapping[str, str] | None) -> None:
        routes = set(self._index[scope.kind].matching(labels)) if labels is not None else set()
        before = self._routes_of.get(scope, set())
        if routes != before:
            self._set_routes(scope, routes)
            self._mark(scope)
            for key in before - routes:
                self._tell(key)

    def _labels(self, kind: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        if kind == NODE:
            yield from self._nodes.items()
        else:
            yield from ((name, one.labels) for name, one in self._namespaces.items())

    def row_changed(self, *rows: CurrentRow | None) -> None:
        """Take in a change of a router, of a router's port, or of a switch."""
        for row in filter(None, rows):
            owner = row.owner
            if owner is not None and owner.type == "Gateway" and row.table in GATEWAY_TABLES:
                self._gateway_changed(owner.name)
            elif owner is not None and owner.type == "Node" and row.table == "Logical_Switch":
                scope = Scope(NODE, row.name or "")
                if scope in self._routes_of:
                    self._mark(scope)

    def _gateway_changed(self, name: str) -> None:
        before = self._gateways.get(name)
        after = pins.gateway(self._replica.owned(Owner("Gateway", name), GATEWAY_TABLES))
        if before == after:
            return
        joined = pins.joined(self._gateways.values())
        if after is None:
            self._gateways.pop(name, None)
        else:
            self._gateways[name] = after
        self._reach.changed(before, after)
        concerns_all = joined != pins.joined(self._gateways.values())
        for key, route in self._routes.items():
            if concerns_all or any(pins.is_concerned(hop, before, after) for hop in route.hops):
                self._ways.pop(key, None)
                scopes = self._scopes_of.get(key, ())
                for scope in scopes:
                    self._mark(scope)
                if not scopes:  # else once their rows are as desired
                    self._tell(key)

    def _ways_of(self, route: ExternalRoute) -> Ways:
        if route.name not in self._ways:
            self._ways[route.name] = pins.ways(route, self._gateways, self._reach)
        return self._ways[route.name]

    def begin(self) -> None:
        """Look at everything. Sets that rows of an earlier run may name stay until these are gone."""
        for name in {*self._replica.owners("Gateway"), *self._gateways}:
            self._gateway_changed(name)
        for name in self._replica.owners(KIND):
            self._use_set(Scope.parse(name))
            self.engine.mark(KIND, name)
        for scope in self._routes_of:
            self._mark(scope)
        for key in self._routes:
            self._tell(key)

    def _set_routes(self, scope: Scope, routes: set[str]) -> None:
        """Take in which objects select a scope. Pods that are planned from now on are in its set."""
        before = self._routes_of.get(scope, set())
        for key in before - routes:
            self._scopes_of.get(key, set()).discard(scope)
            self._pending.get(key, set()).discard(scope)
            if key not in self._routes and not self._scopes_of.get(key):
                self._scopes_of.pop(key, None)
                self._pending.pop(key, None)
        for key in routes - before:
            self._scopes_of.setdefault(key, set()).add(scope)
        if routes:
            self._routes_of[scope] = routes
            self._use_set(scope)
        else:
            self._routes_of.pop(scope, None)
        (self._contested.add if len(routes) > 1 else self._contested.discard)(scope)

    def _use_set(self, scope: Scope) -> None:
        if scope.kind == NAMESPACE and scope not in self._used:
            self._used.add(scope)
            self._sharing.use(_pods_of(scope), _user(scope))

    def _mark(self, scope: Scope) -> None:
        for key in self._routes_of.get(scope, ()):
            self._pending.setdefault(key, set()).add(scope)
        self.engine.mark(KIND, scope.owner.name)

    # What pods need.

    def needs(self, pod: Pod) -> Iterator[Need]:
        """Yield what must be there with a pod's port: the rows of its namespace and its node."""
        for scope in (Scope(NAMESPACE, pod.namespace), Scope(NODE, pod.node)):
            if scope in self._routes_of and self._rows(scope):
                yield scope.need

    @property
    def needs_namespaces(self) -> bool:
        """Whether a pod must wait while the labels of its namespace are not known."""
        return bool(self._index[NAMESPACE])

    # For the engine.

    @staticmethod
    def owner(name: str) -> Owner:
        """Return the owner of a scope's rows."""
        return Owner(KIND, name)

    def desired(self, name: str) -> list[Row]:
        """Return the rows of a scope.

        :raises NotReady: there may be an object for it that this program may not read.
        """
        scope = Scope.parse(name)
        if scope not in self._routes_of and self._are_unread():
            raise NotReady("what its pods are pinned by can't be read now", keeps_rows=True)
        return self._rows(scope)

    def _rows(self, scope: Scope) -> list[Row]:
        route = self._first(scope)
        if route is None:
            return []
        return pins.rows(scope, self._sources(scope), self._ways_of(route), self._gateways)

    def _first(self, scope: Scope) -> ExternalRoute | None:
        """Return the object that counts for a scope."""
        routes = [self._routes[key] for key in self._routes_of.get(scope, ()) if key in self._routes]
        return min(routes, key=lambda one: one.order, default=None)

    def _sources(self, scope: Scope) -> Sources:
        if scope.kind == NAMESPACE:
            shared = self._sharing.get(_pods_of(scope))
            return Sources({version: f"${shared.set_name(version)}" for version in VERSIONS}, (shared.need,))
        row = self._replica.named("Logical_Switch", scope.name)
        is_node = row is not None and row.owner is not None and row.owner.type == "Node"
        return pins.sources_of_node(NodeSwitch.from_row(row).subnets if row is not None and is_node else ())

    def done(self, name: str, changes: Sequence[Change]) -> None:
        """Take in that the rows are as desired."""
        scope = Scope.parse(name)
        self._failing.pop(scope, None)
        if scope not in self._routes_of and scope in self._used:
            self._used.discard(scope)
            self._sharing.release(_pods_of(scope), _user(scope))
        for key in self._routes_of.get(scope, ()):
            self._pending.get(key, set()).discard(scope)
            self._tell(key)

    def failed(self, name: str, reason: str) -> None:
        """Say that the pods are not pinned yet, or are as they were."""
        scope = Scope.parse(name)
        self._failing[scope] = reason
        for key in self._routes_of.get(scope, ()):
            self._tell(key)

    # What objects tell.

    def _tell(self, key: str) -> None:
        """Write the status of an object, once the rows of all its scopes are as desired, or one of them fails."""
        route = self._routes.get(key)
        if route is None or not self.engine.active:
            return
        scopes = self._scopes_of.get(key, set())
        failing = sorted(scope for scope in self._failing if scope in scopes)
        if self._pending.get(key) and not failing:
            return
        status = self._status(route, scopes, failing)
        message = "; ".join(status.messages) if status.status != "Success" else ""
        self._told.tell(key, route.reference, reasons.EXTERNAL_ROUTE_NOT_SERVED, message)
        body = {"status": status.status, "messages": list(status.messages), "lastTransitionTime": statuses.now()}
        self._status_writer.merge(route.path, route.uid, body, status, route.told)

    def _status(self, route: ExternalRoute, scopes: Collection[Scope], failing: Sequence[Scope]) -> Status:
        found = self._ways_of(route)
        wrong = [f"{scope.kind} {scope.name} is not pinned as written yet: {self._failing[scope]}" for scope in failing]
        taken = [(scope, self._first(scope)) for scope in sorted(self._contested) if scope in scopes]
        others = [(scope, one) for scope, one in taken if one is not None and one.name != route.name]
        wrong = wrong[:SHOWN] + [
            f"{scope.kind} {scope.name} is pinned by {one.name}, which is older" for scope, one in others[:SHOWN]
        ]
        if len(others) > SHOWN:
            wrong.append(f"and so are {len(others) - SHOWN} more")
        status = "Success" if found.is_served and not wrong else "Fail"
        return Status(status, tuple(one[:LONGEST] for one in (*wrong, *found.messages)))


def _selectors(route: ExternalRoute) -> Iterator[tuple[str, Any]]:
    if route.namespaces is not None:
        yield NAMESPACE, route.namespaces
    if route.nodes is not None:
        yield NODE, route.nodes


def _pods_of(scope: Scope) -> PeerPods:
    return PeerPods(scope.name, EVERYTHING)


def _user(scope: Scope) -> str:
    return f"pinned {scope.name}"
