# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the Northbound rows of services: their load balancers, and what each host has for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from .._common import names
from .._ovsdb.plan import Change
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow, Owner, Row
from .._reconcile.engine import Engine
from . import host, host_rows, northbound
from .host import Host
from .model import EndpointSlice, Node, Service, ServiceState
from .slice_index import SliceIndex

# Called with what was measured, and its seconds.
Observer = Callable[[str, float], object]


class ServicePlanner:
    """The planner of load balancers.

    :param services: key -> service, the informer's store.
    :param slices: key -> endpoint slice, the informer's store.
    :param observe: gets "service": seconds from the news of a change until the load balancers are as desired.

    :ivar engine, hosts: set by whoever makes them.
    """

    tables = ("Load_Balancer",)
    engine: Engine
    hosts: HostPlanner

    def __init__(self, services: Mapping[str, Service], slices: Mapping[str, EndpointSlice], observe: Observer) -> None:
        self._services = services
        self._slices = SliceIndex(slices)
        self._observe = observe
        self._changed_at: dict[str, float] = {}  # key -> time of the first change that is not in the rows yet

    # Events.

    def service_changed(self, key: str, old: Service | None, new: Service | None) -> None:
        """Take in a change of a service."""
        self._changed(key)
        if (old and old.is_local) or (new and new.is_local):
            self.hosts.mark_all()

    def slice_changed(self, key: str, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        """Take in a change of an endpoint slice."""
        self._slices.update(key, old, new)
        both = [part for part in (old, new) if part is not None]
        for name in {part.service for part in both}:
            self._changed(name)
            service = self._services.get(name)
            if service is not None and service.is_local:
                self.hosts.mark_nodes({endpoint.node for part in both for endpoint in part.endpoints})

    def _changed(self, key: str) -> None:
        self._changed_at.setdefault(key, time.monotonic())
        self.engine.mark(northbound.KIND, key)

    def balancer_changed(self, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in a change of a load balancer."""
        row = new or old
        if row is not None and row.external_id(names.OWNER_TYPE) == northbound.KIND:
            self.engine.mark(northbound.KIND, row.external_id(names.OWNER_NAME) or "")

    def begin(self, in_database: Iterable[str]) -> None:
        """Look at all services.

        Times of changes so far don't count: another watcher has done that work, or had to.

        :param in_database: keys of the services that have rows; some of them may not exist any more.
        """
        self._changed_at.clear()
        for key in {*self._services, *in_database}:
            self.engine.mark(northbound.KIND, key)

    def mark_all(self) -> None:
        """Look at all services again: the load balancer groups are new."""
        for key in self._services:
            self.engine.mark(northbound.KIND, key)

    def local(self) -> list[ServiceState]:
        """Return all services that keep a part of their traffic on the host."""
        return [self._slices.state(key, service) for key, service in self._services.items() if service.is_local]

    # For the engine.

    @staticmethod
    def owner(key: str) -> Owner:
        """Return the owner of a service's rows."""
        return northbound.owner(key)

    def desired(self, key: str) -> list[Row]:
        """Return the rows of a service's load balancers."""
        service = self._services.get(key)
        return [] if service is None else northbound.rows(self._slices.state(key, service))

    def done(self, key: str, changes: Sequence[Change]) -> None:
        """Take in that the load balancers are as desired."""
        changed_at = self._changed_at.pop(key, None)
        if changes and changed_at is not None:
            self._observe("service", time.monotonic() - changed_at)

    def failed(self, key: str, reason: str) -> None:
        """Do nothing: the log has it."""


class HostPlanner:
    """The planner of what each host has for services.

    :param replica: the Northbound database.
    :param nodes: name in Kubernetes -> node, the informer's store.
    :param service_subnets: the networks that the API server takes cluster addresses from.

    :ivar engine: set by whoever makes the engine.
    """

    tables = ("Chassis_Template_Var", "Logical_Router_Static_Route", "Logical_Router_Policy", "ACL")
    engine: Engine

    def __init__(
        self,
        replica: Replica,
        nodes: Mapping[str, Node],
        services: ServicePlanner,
        service_subnets: Sequence[str] = (),
    ) -> None:
        self._replica = replica
        self._nodes = nodes
        self._services = services
        self._service_subnets = tuple(service_subnets)

    # Events.

    def node_changed(self, key: str, old: Node | None, new: Node | None) -> None:
        """Take in a change of a node."""
        node = new or old
        if node is not None:
            self.engine.mark(host.KIND, node.name)
        # A host's routing policy names the addresses of all hosts. Few hosts have one.
        self.mark_nodes(
            {
                row.external_id(names.OWNER_NAME)
                for row in self._replica.rows["Logical_Router_Policy"].values()
                if row.external_id(names.OWNER_TYPE) == host.KIND
            }
        )

    def row_changed(self, old: CurrentRow | None, new: CurrentRow | None) -> None:
        """Take in a change of a switch, a router, or a row of a host."""
        row = new or old
        if row is None:
            return
        kind = row.external_id(names.OWNER_TYPE)
        if kind == "Cluster" and (old is None or new is None):
            self.mark_all()
        elif kind in ("Node", "Gateway", host.KIND):
            self.mark_nodes([row.external_id(names.OWNER_NAME)])

    def mark_all(self) -> None:
        """Look at all hosts again."""
        in_kubernetes = {node.name for node in self._nodes.values()}
        self.mark_nodes(in_kubernetes | self._replica.owners("Node") | self._replica.owners(host.KIND))

    def mark_nodes(self, nodes: Iterable[str | None]) -> None:
        """Look at these hosts again."""
        for name in nodes:
            if name:
                self.engine.mark(host.KIND, name)

    # For the engine.

    @staticmethod
    def owner(name: str) -> Owner:
        """Return the owner of a host's rows."""
        return host.owner(name)

    def desired(self, name: str) -> list[Row]:
        """Return the host's rows; none for a host that has no switch in the overlay."""
        switch = self._replica.named("Logical_Switch", name)
        chassis = switch.external_id(names.CHASSIS_KEY) if switch else None
        if switch is None or not chassis:
            return []
        node = self._nodes.get(name) or next((node for node in self._nodes.values() if node.name == name), None)
        return host_rows.rows(
            Host(
                name,
                chassis,
                _split(switch.external_id(names.SUBNETS_KEY)),
                node.addresses if node else (),
                self._gateway_addresses(name),
            ),
            {ip for one in self._nodes.values() for ip in one.addresses},
            self._services.local(),
            self._service_subnets,
            self._replica.named("Logical_Router", names.CLUSTER_ROUTER) is not None,
        )

    def _gateway_addresses(self, name: str) -> tuple[str, ...]:
        """Return the addresses of the gateway on a host, without prefix length."""
        router = self._replica.named("Logical_Router", names.gateway_router(name))
        cidrs = _split(router.external_id(names.PHYSICAL_IPS_KEY)) if router else ()
        return tuple(cidr.split("/")[0] for cidr in cidrs)

    def done(self, name: str, changes: Sequence[Change]) -> None:
        """Do nothing: nothing follows."""

    def failed(self, name: str, reason: str) -> None:
        """Do nothing: the log has it."""


def _split(text: str | None) -> tuple[str, ...]:
    """Return the members of a comma-separated list."""
    return tuple(member for member in (text or "").split(",") if member)
