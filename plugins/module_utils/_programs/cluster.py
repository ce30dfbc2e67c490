# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One watcher of a Kubernetes cluster: informers, a replica of the Northbound database, and the engine between them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._common import names
from .._common.tasks import end
from .._kube.client import Client
from .._kube.health import HealthCheck
from .._kube.informer import Informer
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow
from .._pods import model as pods_model
from .._pods import northbound as pods_northbound
from .._pods.model import Pod
from .._pods.policies import Policies
from .._pods.reconcile import PodPlanner
from .._reconcile import retries
from .._reconcile.engine import Engine
from .._services import host as services_host
from .._services import northbound as services_northbound
from .._services import service_cidrs
from .._services.address_book import AddressBook
from .._services.endpoint_slices import EndpointSlice
from .._services.host_planner import HostPlanner
from .._services.model import LABEL_SELECTOR, Service
from .._services.nodes import Node
from .._services.reconcile import ServicePlanner
from .._services.service_cidrs import ServiceCIDR
from .._services.surroundings import set_known_addresses
from .datapaths import Datapaths
from .kubernetes_events import EventWriter
from .leadership import Leadership

if TYPE_CHECKING:
    from .._ovsdb.tls import MaybeTls

LOG = logging.getLogger("ovn-k8s-watcher")
LOCK = "ovn_kubernetes_watcher"
TABLES = {
    "Logical_Switch": ("name", "load_balancer_group", "external_ids"),
    "Logical_Switch_Port": ("name", "addresses", "port_security", "options", "up", "external_ids"),
    "Logical_Router": ("name", "load_balancer_group", "external_ids"),
    "Logical_Router_Static_Route": ("ip_prefix", "nexthop", "output_port", "external_ids"),
    "Logical_Router_Policy": ("priority", "match", "action", "nexthops", "external_ids"),
    "Address_Set": ("name", "addresses", "external_ids"),
    "ACL": ("direction", "priority", "match", "action", "options", "external_ids"),
    "Load_Balancer": ("name", "protocol", "vips", "options", "selection_fields", "external_ids"),
    "Load_Balancer_Group": ("name",),
    "Port_Group": ("name", "ports", "external_ids"),
    "Chassis_Template_Var": ("chassis", "variables", "external_ids"),
}
# Owner types of the watcher's own rows: only watchers write them, and none moves a row from one object to another.
KINDS = (pods_northbound.KIND, services_northbound.KIND, services_host.KIND)
# Tables for whose rows the replica knows the parent.
WITH_PARENT = ("Logical_Switch_Port", "Logical_Router_Static_Route", "Logical_Router_Policy", "ACL", "Load_Balancer")
LONGEST_BATCH = 20.0  # seconds after which the loop counts as stuck


class Cluster:
    """Everything that one watcher does.

    :param northbound: where the Northbound database is.
    :param tls: the files for databases at ``ssl``.
    :param observe: called with what was measured, and its seconds: "lsp" and "annotation" from the first sight of a
        pod; "service" from the news of a change until the load balancers are as desired.
    :param on_transaction: called with seconds, objects and operations after each transaction.
    :param southbound: where the Southbound database is, which tells of hosts' datapaths; empty: they are not known.
    """

    def __init__(
        self,
        client: Client,
        northbound: str,
        observe: Callable[[str, float], object] = lambda what, seconds: None,
        on_transaction: Callable[[float, int, int], None] = lambda seconds, objects, operations: None,
        tls: MaybeTls = None,
        southbound: str = "",
    ) -> None:
        self.client = client
        self.replica = Replica(
            northbound,
            names.NORTHBOUND,
            TABLES,
            self._row_changed,
            WITH_PARENT,
            LOCK,
            self._state_changed,
            tls,
            lasting=KINDS,
        )
        pods = Informer(
            client,
            "/api/v1/pods",
            pods_model.pod_with_port,
            self._pod_changed,
            fields=pods_model.WITH_PORT_SELECTOR,
            on_state=self._state_changed,
        )
        services = Informer(
            client,
            "/api/v1/services",
            Service.from_object,
            self._service_changed,
            labels=LABEL_SELECTOR,
            on_state=self._state_changed,
        )
        slices = Informer(
            client,
            "/apis/discovery.k8s.io/v1/endpointslices",
            EndpointSlice.from_object,
            self._slice_changed,
            labels=LABEL_SELECTOR,
            on_state=self._state_changed,
        )
        cidrs = Informer(
            client,
            service_cidrs.PATH,
            ServiceCIDR.from_object,
            self._cidr_changed,
            on_state=self._state_changed,
            is_optional=True,
        )
        nodes = Informer(client, "/api/v1/nodes", Node.from_object, self._node_changed, on_state=self._state_changed)
        self.informers: dict[str, Informer[Any]] = {
            "pods": pods,
            "services": services,
            "endpointslices": slices,
            "nodes": nodes,
            "servicecidrs": cidrs,
        }
        self.events = EventWriter(client, "ovn-k8s-watcher", self._is_busy)
        self.policies = Policies(client, self.events.write, lambda: self.engine.active)
        self.pods = PodPlanner(self.replica, pods.store, client, self.events.write, observe)
        book = AddressBook(services.store, client.settings.external_ip_networks)
        set_known_addresses(book, client.settings)
        self.services = ServicePlanner(services.store, slices.store, book, self.events.write, observe)
        subnets = client.settings.service_subnets
        self.hosts = HostPlanner(
            self.replica, nodes.store, self.services, book, self.events.write, subnets, cidrs.store
        )
        self.services.hosts = self.hosts
        self.datapaths = Datapaths(southbound, self.services.set_userspace, tls) if southbound else None
        self.engine = Engine(
            self.replica,
            LOCK,
            {
                pods_northbound.KIND: self.pods,
                services_northbound.KIND: self.services,
                services_host.KIND: self.hosts,
            },
            on_transaction,
        )
        self.pods.engine = self.services.engine = self.hosts.engine = self.engine
        self.api_health = HealthCheck(client, self._state_changed)
        self.leadership = Leadership(self.replica, self.engine, self.informers.values(), self.api_health, self._begin)
        self.synced = self.leadership.synced

    async def run(self) -> None:
        """Work for ever; ends only with an exception."""
        tasks = {
            asyncio.create_task(work)
            for work in (
                *([self.datapaths.run()] if self.datapaths else []),
                self.replica.run(),
                self.engine.run(),
                self.api_health.run(),
                self.leadership.run(),
                self.policies.informer.run(),
                *(informer.run() for informer in self.informers.values()),
            )
        }
        try:
            while tasks:
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            await end(tasks)
            await self.events.close()

    def _begin(self) -> None:
        """Look at everything."""
        self.pods.begin()
        self.services.begin(self.replica.owners(services_northbound.KIND))
        self.hosts.begin()
        self.policies.begin()

    def _state_changed(self) -> None:
        self.services.database_allows(self.replica.allowed_values("Load_Balancer", "selection_fields"))
        self.leadership.update()

    def problem(self) -> str | None:
        """Return why this watcher does not work, in one sentence; None when it works, or stands by for the one that
        does.
        """
        if not self.replica.connected:
            return "there is no connection to the Northbound database"
        return self.leadership.problem() or self._stuck()

    async def findings(self) -> list[dict[str, str]]:
        """Return what verify should say of the whole cluster; nothing where another watcher acts."""
        return [one._asdict() for one in await self.policies.findings()]

    def stuck(self) -> dict[retries.Key, retries.Failure]:
        """Return the objects that this watcher can't serve for long: no rows, or no annotation."""
        annotations = retries.stuck(self.pods.annotator.failing) if self.engine.active else {}
        return {
            **{retries.Key(pods_northbound.KIND, name): failure for name, failure in annotations.items()},
            **self.engine.stuck(),
        }

    def _stuck(self) -> str | None:
        """Return which objects can't be made as desired for long; None when there are none."""
        stuck = self.stuck()
        if not stuck:
            return None
        key, failure = next(iter(stuck.items()))
        others = f" (and {len(stuck) - 1} other objects)" if len(stuck) > 1 else ""
        return f"{key}{others} fails for more than {retries.STUCK:.0f} s: {failure.reason}"

    def is_alive(self) -> bool:
        """Return whether the loop goes on."""
        busy_since = self.engine.busy_since
        return busy_since is None or asyncio.get_running_loop().time() - busy_since < LONGEST_BATCH

    def _is_busy(self) -> bool:
        """Return whether objects or annotations wait, which come before events."""
        return bool(self.engine) or self.engine.busy_since is not None or bool(self.pods.annotator)

    # Events: which planner has to know.

    def _row_changed(self, table: str, old: CurrentRow | None, new: CurrentRow | None) -> None:
        if table == "Logical_Switch_Port" and self.pods.is_only_up(old, new):
            return
        self.engine.row_changed(old, new)
        if table == "Logical_Switch_Port":
            self.pods.port_changed(old, new)
            self.hosts.port_changed(old, new)
        elif table == "Load_Balancer_Group":
            if new is not None and old is None:
                self.services.mark_all()
        elif table == "Port_Group":
            self.hosts.group_changed(old, new)
        elif table in ("Logical_Switch", "Logical_Router"):
            self.hosts.surroundings_changed(table, old, new)
            self.hosts.row_changed(old, new)
            if table == "Logical_Switch":
                for name in {row.name for row in (old, new) if row is not None}:
                    self.pods.switch_changed(name or "")

    # The informers are made before the planners, so they can't have the planners' methods.

    def _pod_changed(self, key: str, old: Pod | None, new: Pod | None) -> None:
        self.pods.pod_changed(key, old, new)

    def _service_changed(self, key: str, old: Service | None, new: Service | None) -> None:
        self.services.service_changed(key, old, new)

    def _slice_changed(self, key: str, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        self.services.slice_changed(key, old, new)

    def _cidr_changed(self, key: str, old: ServiceCIDR | None, new: ServiceCIDR | None) -> None:
        self.hosts.cidr_changed(key, old, new)

    def _node_changed(self, key: str, old: Node | None, new: Node | None) -> None:
        self.hosts.node_changed(key, old, new)
