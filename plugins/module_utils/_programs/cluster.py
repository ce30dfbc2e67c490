# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole Kubernetes cluster converged: informers, the replica of the Northbound database, and the engine between them."""

from __future__ import annotations

import asyncio
import datetime
import logging

from .._common import names
from .._common.errors import KubernetesError
from .._kube.health import HealthCheck
from .._kube.informer import Informer
from .._ovsdb.replica import Replica
from .._pods import northbound as pod_policy
from .._pods.reconcile import Pods
from .._reconcile.engine import Engine
from .._services import northbound as service_policy
from .._services.reconcile import KIND_OF_HOSTS, Hosts, Services

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
HELD = ("Logical_Switch_Port", "Logical_Router_Static_Route", "Logical_Router_Policy", "ACL", "Load_Balancer")
STUCK = 20.0  # seconds in one batch after which the loop is not well


class Cluster:
    """Everything that one watcher does.

    :param client: :class:`._kube.client.Client`.
    :param northbound: where the Northbound database is.
    :param observe: called with (what, seconds) for ``lsp`` and ``annotation``: from the first sight of a pod on; for ``service``: from word of a change
        on, until the load balancers are as wanted.
    :param told: called with (seconds, keys, operations) after each transaction.
    """

    def __init__(self, client, northbound, observe=None, told=None, tls=None):
        self.client = client
        self.replica = Replica(northbound, names.NORTHBOUND, TABLES, self._row_changed, HELD, LOCK, self._state, tls)
        pods = Informer(client, "/api/v1/pods", pod_policy.trim, self._pod_changed, fields=pod_policy.FIELDS)
        services = Informer(
            client, "/api/v1/services", service_policy.trim, self._service_changed, labels=service_policy.LABELS
        )
        slices = Informer(
            client,
            "/apis/discovery.k8s.io/v1/endpointslices",
            service_policy.trim_slice,
            self._slice_changed,
            labels=service_policy.LABELS,
        )
        nodes = Informer(client, "/api/v1/nodes", service_policy.trim_node, self._node_changed)
        self.informers = {"pods": pods, "services": services, "endpointslices": slices, "nodes": nodes}
        observe = observe or (lambda what, seconds: None)
        self.pods = Pods(self.replica, pods.store, client, self._event, observe)
        self.services = Services(services.store, slices.store, observe)
        self.hosts = Hosts(self.replica, nodes.store, self.services, client.settings.service_subnets)
        self.services.hosts = self.hosts
        self.engine = Engine(
            self.replica,
            LOCK,
            {pod_policy.KIND: self.pods, service_policy.KIND: self.services, KIND_OF_HOSTS: self.hosts},
            told,
        )
        self.pods.engine = self.services.engine = self.hosts.engine = self.engine
        self.pulse = HealthCheck(client)
        self.synced = asyncio.Event()
        self._background = set()

    async def run(self):
        """Work for ever; ends only with an exception."""
        tasks = [
            asyncio.create_task(work)
            for work in (
                self.replica.run(),
                self.engine.run(),
                self.pulse.run(),
                self._sync(),
                *(informer.run() for informer in self.informers.values()),
            )
        ]
        try:
            while tasks:
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in (*tasks, *self._background):
                task.cancel()
            await asyncio.gather(*tasks, *self._background, return_exceptions=True)

    async def _sync(self):
        """Begin when everything is known: what is missing then is gone, and not merely not heard of."""
        for informer in self.informers.values():
            await informer.synced.wait()
        await self.replica.ready.wait()
        self.synced.set()
        LOG.info(
            "all is known: %s", ", ".join(f"{len(informer.store)} {kind}" for kind, informer in self.informers.items())
        )
        self._state()

    def _state(self):
        """The replica's connection or the lock came or went."""
        if not (self.replica.connected and self.replica.locked):
            if self.engine.active:
                LOG.warning(
                    "standing by: %s",
                    "another watcher holds the lock" if self.replica.connected else "the Northbound database is away",
                )
            self.engine.stop()
        elif self.synced.is_set() and not self.engine.active:
            LOG.info("this watcher acts")
            self.pods.begin()
            self.services.begin(self.replica.owners(service_policy.KIND))
            self.hosts.mark_all()
            self.engine.start()

    def problem(self):
        """Why this watcher does not do its work, in one sentence; None when it does, or stands by for the one that does."""
        if not self.replica.connected:
            return "there is no connection to the Northbound database"
        for kind, informer in self.informers.items():
            if not informer.synced.is_set():
                return f"the API server has not told its {kind} yet"
            if not informer.current:
                return f"the watch of {kind} is interrupted"
        return self.pulse.problem

    def well(self):
        """Whether the loop goes round."""
        busy = self.engine.busy_since
        return busy is None or asyncio.get_running_loop().time() - busy < STUCK

    # Who hears of what.

    def _row_changed(self, table, before, after):
        if table == "Logical_Switch_Port":
            self.pods.port_changed(before, after)
        elif table == "Load_Balancer":
            self.services.balancer_changed(before, after)
        elif table == "Load_Balancer_Group":
            if after is not None and before is None:
                self.services.mark_all()
        else:
            self.hosts.row_changed(before, after)
            if table == "Logical_Switch":
                for name in {row.name for row in (before, after) if row is not None}:
                    self.pods.switch_changed(name)

    def _pod_changed(self, key, before, after):
        self.pods.changed(key, before, after)

    def _service_changed(self, key, before, after):
        self.services.service_changed(key, before, after)

    def _slice_changed(self, key, before, after):
        self.services.slice_changed(key, before, after)

    def _node_changed(self, key, before, after):
        self.hosts.node_changed(key, before, after)

    def _event(self, pod, reason, sentence):
        """Write a Kubernetes event about a pod, beside the work."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {
            "metadata": {"generateName": f"{pod.name}.", "namespace": pod.namespace},
            "type": "Warning",
            "reason": reason,
            "message": sentence,
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": pod.namespace,
                "name": pod.name,
                "uid": pod.uid,
            },
            "source": {"component": "ovn-k8s-watcher"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }

        async def write():
            try:
                await self.client.create(f"/api/v1/namespaces/{pod.namespace}/events", body)
            except KubernetesError as exc:
                LOG.warning("pod %s: the event could not be written: %s", pod.key, exc)

        task = asyncio.create_task(write())
        self._background.add(task)
        task.add_done_callback(self._background.discard)
