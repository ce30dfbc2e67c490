# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Services converged: their load balancers, and what each host has for them: template variables, and the ways between pods and hosts."""

from __future__ import annotations

import time

from .._common import names
from . import hosts as way_policy
from . import northbound as policy
from . import unserved
from .slices import Slices

KIND_OF_HOSTS = "Host"


class Services:
    """The planner of services.

    :param services: key -> Service, :param slices: key -> Slice, of the informers.
    :param observe: called with (what, seconds) as :class:`.cluster.Cluster` says.
    """

    tables = ("Load_Balancer",)

    def __init__(self, services, slices, observe):
        self.engine = None
        self.hosts = None
        self._services = services
        self._slices = Slices(slices)
        self._observe = observe
        self._heard = {}  # key -> when a change was heard of, until its rows are as wanted

    def service_changed(self, key, before, after):
        """The API server told of a service."""
        self._heard.setdefault(key, time.monotonic())
        self.engine.mark(policy.KIND, key)
        if (before and before.local) or (after and after.local):
            self.hosts.mark_all()

    def slice_changed(self, key, before, after):
        """The API server told of an endpoint slice."""
        self._slices.changed(key, before, after)
        for one in {one.service for one in (before, after) if one is not None}:
            self._heard.setdefault(one, time.monotonic())
            self.engine.mark(policy.KIND, one)
            service = self._services.get(one)
            if service is not None and service.local:
                self.hosts.mark_nodes(
                    {endpoint.node for slice_ in (before, after) if slice_ is not None for endpoint in slice_.endpoints}
                )

    def balancer_changed(self, before, after):
        """The Northbound database told of a load balancer."""
        row = after or before
        if row.external_id(names.OWNER_TYPE) == policy.KIND:
            self.engine.mark(policy.KIND, row.external_id(names.OWNER_NAME))

    def begin(self, found):
        """Look at all services, and at those (names) that only the database knows. What was heard of before was another watcher's to do."""
        self._heard.clear()
        for key in {*self._services, *found}:
            self.engine.mark(policy.KIND, key)

    def mark_all(self):
        """Look at all services: the groups came anew."""
        for key in self._services:
            self.engine.mark(policy.KIND, key)

    def local(self):
        """(service, its slices) of all services that keep some traffic on the host."""
        return [(service, self._slices.of(key)) for key, service in self._services.items() if service.local]

    @staticmethod
    def owner(key):
        """Whose rows they are."""
        return policy.owner(key)

    def desired(self, key):
        """The service's load balancers."""
        service = self._services.get(key)
        if service is None:
            return []
        return policy.rows(service, self._slices.of(key))

    def done(self, key, changes):
        """The load balancers are as wanted."""
        heard = self._heard.pop(key, None)
        if changes and heard is not None:
            self._observe("service", time.monotonic() - heard)

    def failed(self, key, sentence):
        """The log has it."""


class Hosts:
    """The planner of what the hosts have.

    :param replica: the Northbound database.
    :param nodes: name -> Host, of the informer.
    :param service_subnets: networks that the addresses of services are taken from.
    """

    tables = ("Chassis_Template_Var", "Logical_Router_Static_Route", "Logical_Router_Policy", "ACL")

    def __init__(self, replica, nodes, services, service_subnets=()):
        self.engine = None
        self._replica = replica
        self._nodes = nodes
        self._services = services
        self._service_subnets = service_subnets

    def node_changed(self, key, before, after):
        """The API server told of a node."""
        self.engine.mark(KIND_OF_HOSTS, (after or before).name)
        # Answers to all hosts' addresses are matched where a service keeps its clients' addresses: on few hosts.
        self.mark_nodes(
            {
                row.external_id(names.OWNER_NAME)
                for row in self._replica.rows["Logical_Router_Policy"].values()
                if row.external_id(names.OWNER_TYPE) == KIND_OF_HOSTS
            }
        )

    def row_changed(self, before, after):
        """The Northbound database told of a switch, a gateway's router or a host's rows."""
        row = after or before
        kind = row.external_id(names.OWNER_TYPE)
        if kind == "Cluster" and (before is None or after is None):
            self.mark_all()
        elif kind in ("Node", "Gateway", KIND_OF_HOSTS):
            self.engine.mark(KIND_OF_HOSTS, row.external_id(names.OWNER_NAME))

    def mark_all(self):
        """Look at all hosts."""
        for name in {
            *(host.name for host in self._nodes.values()),
            *self._replica.owners("Node"),
            *self._replica.owners(KIND_OF_HOSTS),
        }:
            self.engine.mark(KIND_OF_HOSTS, name)

    def mark_nodes(self, nodes):
        """Look at these hosts."""
        for name in nodes:
            if name:
                self.engine.mark(KIND_OF_HOSTS, name)

    def _gateway_addresses(self, name):
        router = self._replica.named("Logical_Router", names.gateway_router(name))
        return [
            cidr.split("/")[0]
            for cidr in ((router.external_id(names.PHYSICAL_IPS_KEY) if router else None) or "").split(",")
            if cidr
        ]

    @staticmethod
    def owner(name):
        """Whose rows they are."""
        return policy.host_owner(name)

    def desired(self, name):
        """The host's rows; nothing for a host that has no switch in the overlay."""
        switch = self._replica.named("Logical_Switch", name)
        chassis = switch.external_id(names.CHASSIS_KEY) if switch else None
        if not chassis:
            return []
        host = self._nodes.get(name) or next((host for host in self._nodes.values() if host.name == name), None)
        addresses, gateway, services = (
            host.addresses if host else (),
            self._gateway_addresses(name),
            self._services.local(),
        )
        subnets = [subnet for subnet in (switch.external_id(names.SUBNETS_KEY) or "").split(",") if subnet]
        rows = policy.host_rows(
            name, chassis, subnets, addresses, gateway, services, bool(self._service_subnets)
        ) + unserved.rows(name, self._service_subnets)
        if self._replica.named("Logical_Router", names.CLUSTER_ROUTER) is not None:
            rows += way_policy.ways(
                name,
                subnets,
                addresses,
                gateway,
                {ip for one in self._nodes.values() for ip in one.addresses},
                services,
            )
        return rows

    def done(self, name, changes):
        """Nothing follows."""

    def failed(self, name, sentence):
        """The log has it."""
