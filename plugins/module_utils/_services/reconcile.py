# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the Northbound rows of services: their load balancers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .._kube import reasons
from .._kube.reference import OnEvent
from .._kube.told import Told
from .._ovsdb.plan import Change
from .._ovsdb.rows import Owner, Row
from .._reconcile.engine import Engine
from . import affinity, host_rows, northbound
from .address_book import AddressBook, not_served
from .endpoint_slices import EndpointSlice
from .model import Service, ServicePort
from .nodes import Place
from .service_state import MAXIMUM_BACKENDS, MAXIMUM_SLICE_PORTS, MAXIMUM_TARGETS, Hinted, ServiceState
from .slice_index import SliceIndex, nodes_that_differ

if TYPE_CHECKING:
    from .host_planner import HostPlanner

LOG = logging.getLogger("ovn-k8s-watcher")
# Without a number, which may change with each of thousands of endpoints.
LEFT_OUT = (
    f"some of its endpoints: a service has {MAXIMUM_TARGETS} at all ports, {MAXIMUM_BACKENDS} at all ports of all "
    f"addresses, and slices with {MAXIMUM_SLICE_PORTS} ports"
)
# Called with what was measured, and its seconds.
Observer = Callable[[str, float], object]


class Hints(NamedTuple):
    """What hosts' rows say of a service whose endpoints have hints.

    :ivar hinted: port and IP version -> endpoints by their hints.
    :ivar everywhere: the endpoints of each, for places that no hint names; and its IPv6 addresses.
    """

    hinted: Mapping[tuple[ServicePort, int], Hinted]
    everywhere: tuple[object, ...] = ()

    @classmethod
    def of(cls, state: ServiceState) -> Hints:
        """Return the hints of a service."""
        service = state.service
        pairs = [(port, version) for port in service.ports for version in service.ip_versions]
        found = {(port, version): state.hinted(port, version) for port, version in pairs}
        hinted = {pair: one for pair, one in found.items() if one is not None}
        everywhere = tuple(tuple(state.targets(*pair)) for pair in hinted)
        return cls(hinted, (*everywhere, service.cluster_ips, service.external_ips))

    def for_place(self, place: Place) -> list[object]:
        """Return what the rows of a host at a place say."""
        return [
            *self.everywhere[-2:],
            *((pair, one.of(place) or targets) for (pair, one), targets in zip(self.hinted.items(), self.everywhere)),
        ]


NO_HINTS = Hints({})


class ServicePlanner:
    """The planner of load balancers.

    :param services: key -> service, the informer's store.
    :param slices: key -> endpoint slice, the informer's store.
    :param book: says which addresses of a service are served.
    :param on_event: writes an event about a service.
    :param observe: gets "service": seconds from the news of a change until the load balancers are as desired.

    :ivar engine, hosts: set by whoever makes them.
    """

    tables = ("Load_Balancer", "ACL")
    engine: Engine
    hosts: HostPlanner

    def __init__(
        self,
        services: Mapping[str, Service],
        slices: Mapping[str, EndpointSlice],
        book: AddressBook,
        on_event: OnEvent,
        observe: Observer,
    ) -> None:
        self._services = services
        self._slices = SliceIndex(slices)
        self._book = book
        self._told = Told(on_event, LOG)
        self._observe = observe
        self._left_out: set[str] = set()  # keys of services with too many endpoints
        # Services that keep a part of their traffic on a host: key -> what hosts were last marked for.
        self._host_parts: dict[str, host_rows.HostPart] = {}
        self._hints: dict[str, Hints] = {}  # the same of services whose endpoints have hints
        self._states: dict[str, ServiceState] = {}  # of both, until something changes
        self._local: list[ServiceState] | None = None  # what local() returns, until something changes
        self._changed_at: dict[str, float] = {}  # key -> time of the first change that is not in the rows yet
        self._fields: frozenset[str] = frozenset()  # what the database allows as selection_fields
        self._userspace = False  # a host has the userspace datapath

    # Events.

    def database_allows(self, selection_fields: frozenset[str]) -> None:
        """Take in by what the database's schema lets load balancers select endpoints."""
        if selection_fields != self._fields:
            self._fields = selection_fields
            self.mark_all()

    def set_userspace(self, userspace: bool) -> None:
        """Take in whether a host has the userspace datapath, which does not serve all of a service's affinity."""
        self._userspace = userspace
        for key, service in self._services.items():
            if service.affinity:
                self.engine.mark(northbound.KIND, key)

    def service_changed(self, key: str, old: Service | None, new: Service | None) -> None:
        """Take in a change of a service."""
        if new is None:
            self._told.forget(key)
            self._left_out.discard(key)
        self._changed(key)
        self.recheck({key, *self._book.update(key, old, new)})

    def recheck(self, keys: Iterable[str]) -> None:
        """Look at these services again: somebody else has, or had, one of their addresses."""
        for key in keys:
            self._forget(key)
            self.engine.mark(northbound.KIND, key)
            service = self._services.get(key)
            is_local = service is not None and service.is_local
            part = host_rows.part_of(self._book.served(self._services[key]).service) if is_local else None
            before = self._host_parts.pop(key, None)
            if part is not None:
                self._host_parts[key] = part
            if part != before:
                self._mark_hosts(key, any(one.everywhere for one in (before, part) if one is not None))
            self._follow_hints(key)

    def _follow_hints(self, key: str) -> None:
        """Take in for which hosts a service's endpoints are, and look at the hosts again for which that differs."""
        before, after = self._hints.pop(key, NO_HINTS), NO_HINTS
        if key in self._services and self._slices.has_hints(key):
            found = Hints.of(self._state(key))
            if found.hinted:
                self._hints[key] = after = found
        if before != after:
            self.hosts.mark_places(lambda place: before.for_place(place) != after.for_place(place))

    def _mark_hosts(self, key: str, everywhere: bool) -> None:
        """Look at the hosts again whose rows say something of a service."""
        if everywhere:
            self.hosts.mark_all()
        else:
            self.hosts.mark_gateways()
            self.hosts.mark_nodes(self._slices.nodes(key))

    def slice_changed(self, key: str, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        """Take in a change of an endpoint slice."""
        self._slices.update(key, old, new)
        self.recheck(self._book.slice_changed(key, old, new))
        both = [part for part in (old, new) if part is not None]
        for name in {part.service for part in both}:
            self._changed(name)
            if name in self._host_parts:
                self.hosts.mark_nodes(nodes_that_differ(old, new))
            self._follow_hints(name)

    def _forget(self, key: str) -> None:
        """Forget what is kept of a service until it changes."""
        self._states.pop(key, None)
        self._local = None

    def _changed(self, key: str) -> None:
        self._forget(key)
        if self.engine.active:
            self._changed_at.setdefault(key, time.monotonic())
        self.engine.mark(northbound.KIND, key)

    def begin(self, in_database: Iterable[str]) -> None:
        """Look at all services.

        Times of changes so far don't count: another watcher has done that work, or had to.

        :param in_database: keys of the services that have rows; some of them may not exist any more.
        """
        self._changed_at.clear()
        for key in {*self._services, *in_database}:
            self.engine.mark(northbound.KIND, key)

    def mark_all(self) -> None:
        """Look at all services again: the load balancer groups are new, or the overlay's networks."""
        self.recheck(list(self._services))

    def local(self) -> Sequence[ServiceState]:
        """Return all services that keep a part of their traffic on the host, or whose endpoints have hints."""
        if self._local is None:  # all hosts ask for it, one after the other
            self._local = [self._state(key) for key in {**self._host_parts, **self._hints}]
        return self._local

    def _state(self, key: str) -> ServiceState:
        """Return what is served of one of those services, with its endpoints."""
        if key not in self._states:
            self._states[key] = self._slices.state(key, self._book.served(self._services[key]).service)
        return self._states[key]

    # For the engine.

    @staticmethod
    def owner(key: str) -> Owner:
        """Return the owner of a service's rows."""
        return northbound.owner(key)

    def desired(self, key: str) -> list[Row]:
        """Return the rows of a service's load balancers."""
        service = self._services.get(key)
        if service is None:
            return []
        state = self._slices.state(key, self._book.served(service).service)
        if state.left_out:
            self._left_out.add(key)
        else:
            self._left_out.discard(key)
        return northbound.rows(state, self._fields)

    def done(self, key: str, changes: Sequence[Change]) -> None:
        """Take in that the load balancers are as desired, and report what is refused."""
        service = self._services.get(key)
        if service is not None:
            self._tell(key, service)
        changed_at = self._changed_at.pop(key, None)
        if changes and changed_at is not None:
            self._observe("service", time.monotonic() - changed_at)

    def _tell(self, key: str, service: Service) -> None:
        """Say what of a service is not served."""
        self._told.tell(
            key, service.reference, reasons.ADDRESS_REFUSED, not_served(self._book.served(service).refusals)
        )
        left_out = [LEFT_OUT] if key in self._left_out else []
        parts = (*service.unserved, *affinity.gaps(service, self._userspace), *left_out)
        self._told.tell(key, service.reference, reasons.SERVICE_NOT_SERVED, not_served(parts))

    def failed(self, key: str, reason: str) -> None:
        """Do nothing: the log has it."""
