# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Services converged: their load balancers, and each host's template variables."""

from __future__ import annotations

from .. import names
from ..desired import services as policy

KIND_OF_HOSTS = "Host"


class Services:
    """The planner of services.

    :param services: key -> Service, :param slices: key -> Slice, of the informers.
    """

    tables = ("Load_Balancer",)

    def __init__(self, services, slices):
        self.engine = None
        self.hosts = None
        self._services = services
        self._slices = slices
        self._of = {}  # key of a service -> keys of its slices

    def service_changed(self, key, before, after):
        """The API server told of a service."""
        self.engine.mark(policy.KIND, key)
        if (before and before.local) or (after and after.local):
            self.hosts.mark_all()

    def slice_changed(self, key, before, after):
        """The API server told of an endpoint slice."""
        if before is not None:
            self._of.get(before.service, set()).discard(key)
        if after is not None:
            self._of.setdefault(after.service, set()).add(key)
        for one in {one.service for one in (before, after) if one is not None}:
            self.engine.mark(policy.KIND, one)
            service = self._services.get(one)
            if service is not None and service.local:
                self.hosts.mark_nodes({endpoint.node for slice_ in (before, after) if slice_ is not None for endpoint in slice_.endpoints})

    def balancer_changed(self, before, after):
        """The Northbound database told of a load balancer."""
        row = after or before
        if row.key(names.OWNER_TYPE) == policy.KIND:
            self.engine.mark(policy.KIND, row.key(names.OWNER_NAME))

    def begin(self, found):
        """Look at all services, and at those (names) that only the database knows."""
        for key in {*self._services, *found}:
            self.engine.mark(policy.KIND, key)

    def mark_all(self):
        """Look at all services: the groups came anew."""
        for key in self._services:
            self.engine.mark(policy.KIND, key)

    def local(self):
        """(service, its slices) of all services that keep some traffic on the host."""
        return [(service, self.slices(key)) for key, service in self._services.items() if service.local]

    def slices(self, key):
        """The endpoint slices of a service."""
        return [self._slices[one] for one in sorted(self._of.get(key, ())) if one in self._slices]

    @staticmethod
    def owner(key):
        """Whose rows they are."""
        return policy.owner(key)

    def wanted(self, key):
        """The service's load balancers."""
        service = self._services.get(key)
        if service is None:
            return []
        return policy.rows(service, self.slices(key))

    def done(self, key, changes):
        """Nothing follows."""

    def failed(self, key, sentence):
        """The log has it."""


class Hosts:
    """The planner of the hosts' template variables.

    :param replica: the Northbound database.
    :param nodes: name -> Host, of the informer.
    """

    tables = ("Chassis_Template_Var",)

    def __init__(self, replica, nodes, services):
        self.engine = None
        self._replica = replica
        self._nodes = nodes
        self._services = services

    def node_changed(self, key, before, after):
        """The API server told of a node."""
        self.engine.mark(KIND_OF_HOSTS, (after or before).name)

    def row_changed(self, before, after):
        """The Northbound database told of a switch, a gateway's router or a host's variables."""
        row = after or before
        kind = row.key(names.OWNER_TYPE)
        if kind in ("Node", "Gateway", KIND_OF_HOSTS):
            self.engine.mark(KIND_OF_HOSTS, row.key(names.OWNER_NAME))

    def mark_all(self):
        """Look at all hosts."""
        for name in {*(host.name for host in self._nodes.values()), *self._replica.owners("Node"), *self._replica.owners(KIND_OF_HOSTS)}:
            self.engine.mark(KIND_OF_HOSTS, name)

    def mark_nodes(self, nodes):
        """Look at these hosts."""
        for name in nodes:
            if name:
                self.engine.mark(KIND_OF_HOSTS, name)

    def _gateway_addresses(self, name):
        router = self._replica.named("Logical_Router", names.gateway_router(name))
        return [cidr.split("/")[0] for cidr in ((router.key(names.PHYSICAL_IPS_KEY) if router else None) or "").split(",") if cidr]

    @staticmethod
    def owner(name):
        """Whose rows they are."""
        return policy.host_owner(name)

    def wanted(self, name):
        """The host's variables; nothing for a host that has no switch in the overlay."""
        switch = self._replica.named("Logical_Switch", name)
        chassis = switch.key(names.CHASSIS_KEY) if switch else None
        if not chassis:
            return []
        host = self._nodes.get(name) or next((host for host in self._nodes.values() if host.name == name), None)
        return policy.host_rows(name, chassis, host.addresses if host else (), self._gateway_addresses(name), self._services.local())

    def done(self, name, changes):
        """Nothing follows."""

    def failed(self, name, sentence):
        """The log has it."""
