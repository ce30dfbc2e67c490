# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One watcher of a Kubernetes cluster: informers, a replica of the Northbound database, and the engine between them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

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
from .._pods.reconcile import PodPlanner
from .._reconcile.engine import Engine
from .._services import host as services_host
from .._services import northbound as services_northbound
from .._services.model import LABEL_SELECTOR, EndpointSlice, Node, Service
from .._services.reconcile import HostPlanner, ServicePlanner
from .kubernetes_events import EventWriter

LOG = logging.getLogger("ovn-k8s-watcher")
LOCK = "ovn_kubernetes_watcher"
TABLES = {
    "Logical_Switch": ("name", "external_ids"),
    "Logical_Switch_Port": ("name", "addresses", "port_security", "options", "external_ids"),
    "Logical_Router": ("name", "external_ids"),
    "Logical_Router_Static_Route": ("ip_prefix", "nexthop", "output_port", "external_ids"),
    "Logical_Router_Policy": ("priority", "match", "action", "nexthops", "external_ids"),
    "ACL": ("direction", "priority", "match", "action", "options", "external_ids"),
    "Load_Balancer": ("name", "protocol", "vips", "options", "selection_fields", "external_ids"),
    "Load_Balancer_Group": ("name",),
    "Chassis_Template_Var": ("chassis", "variables", "external_ids"),
}
# Tables for whose rows the replica knows the parent.
WITH_PARENT = ("Logical_Switch_Port", "Logical_Router_Static_Route", "Logical_Router_Policy", "ACL", "Load_Balancer")
LONGEST_BATCH = 20.0  # seconds after which the loop counts as stuck


class Cluster:
    """Everything that one watcher does.

    :param northbound: where the Northbound database is.
    :param observe: called with what was measured, and its seconds: "lsp" and "annotation" from the first sight of a
        pod; "service" from the news of a change until the load balancers are as desired.
    :param on_transaction: called with seconds, objects and operations after each transaction.
    """

    def __init__(
        self,
        client: Client,
        northbound: str,
        observe: Callable[[str, float], object] = lambda what, seconds: None,
        on_transaction: Callable[[float, int, int], None] = lambda seconds, objects, operations: None,
        tls: dict[str, str] | None = None,
    ) -> None:
        self.client = client
        self.replica = Replica(
            northbound, names.NORTHBOUND, TABLES, self._row_changed, WITH_PARENT, LOCK, self._state_changed, tls
        )
        pods = Informer(
            client,
            "/api/v1/pods",
            pods_model.pod_with_port,
            self._pod_changed,
            fields=pods_model.WITH_PORT_SELECTOR,
        )
        services = Informer(
            client, "/api/v1/services", Service.from_object, self._service_changed, labels=LABEL_SELECTOR
        )
        slices = Informer(
            client,
            "/apis/discovery.k8s.io/v1/endpointslices",
            EndpointSlice.from_object,
            self._slice_changed,
            labels=LABEL_SELECTOR,
        )
        nodes = Informer(client, "/api/v1/nodes", Node.from_object, self._node_changed)
        self.informers: dict[str, Informer[Any]] = {
            "pods": pods,
            "services": services,
            "endpointslices": slices,
            "nodes": nodes,
        }
        self.events = EventWriter(client, "ovn-k8s-watcher")
        self.pods = PodPlanner(self.replica, pods.store, client, self.events.write, observe)
        self.services = ServicePlanner(services.store, slices.store, observe)
        self.hosts = HostPlanner(self.replica, nodes.store, self.services, client.settings.service_subnets)
        self.services.hosts = self.hosts
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
        self.api_health = HealthCheck(client)
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """Work for ever; ends only with an exception."""
        tasks = {
            asyncio.create_task(work)
            for work in (
                self.replica.run(),
                self.engine.run(),
                self.api_health.run(),
                self._begin(),
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

    async def _begin(self) -> None:
        """Begin to write when everything is known: what is missing then does not exist."""
        for informer in self.informers.values():
            await informer.synced.wait()
        await self.replica.ready.wait()
        self.synced.set()
        counts = ", ".join(f"{len(informer.store)} {kind}" for kind, informer in self.informers.items())
        LOG.info("everything is known: %s", counts)
        self._state_changed()

    def _state_changed(self) -> None:
        """Take in that the replica's connection or its lock came or went."""
        if not (self.replica.connected and self.replica.locked):
            if self.engine.active:
                reason = (
                    "another watcher holds the lock" if self.replica.connected else "the Northbound database is away"
                )
                LOG.warning("standing by: %s", reason)
            self.engine.stop()
        elif self.synced.is_set() and not self.engine.active:
            LOG.info("this watcher acts")
            self.pods.begin()
            self.services.begin(self.replica.owners(services_northbound.KIND))
            self.hosts.mark_all()
            self.engine.start()

    def problem(self) -> str | None:
        """Return why this watcher does not work, in one sentence; None when it works, or stands by for the one that
        does.
        """
        if not self.replica.connected:
            return "there is no connection to the Northbound database"
        for kind, informer in self.informers.items():
            if not informer.synced.is_set():
                return f"the API server has not sent its {kind} yet"
            if not informer.current:
                return f"the watch of {kind} is interrupted"
        return self.api_health.problem

    def is_alive(self) -> bool:
        """Return whether the loop goes on."""
        busy_since = self.engine.busy_since
        return busy_since is None or asyncio.get_running_loop().time() - busy_since < LONGEST_BATCH

    # Events: which planner has to know.

    def _row_changed(self, table: str, old: CurrentRow | None, new: CurrentRow | None) -> None:
        if table == "Logical_Switch_Port":
            self.pods.port_changed(old, new)
        elif table == "Load_Balancer":
            self.services.balancer_changed(old, new)
        elif table == "Load_Balancer_Group":
            if new is not None and old is None:
                self.services.mark_all()
        else:
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

    def _node_changed(self, key: str, old: Node | None, new: Node | None) -> None:
        self.hosts.node_changed(key, old, new)
