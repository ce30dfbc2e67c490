# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The server of ``ovn-k8s-node``: its parts, what connects them, and what ends it."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import logging
import os
import signal
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from .._common import names
from .._common.inotify import watch
from .._common.retry import Pause
from .._common.tasks import end, tell_once
from .._kube.client import Client
from .._kube.health import HealthCheck
from .._kube.informer import Informer
from .._kube.settings import Settings
from .._kube.token import keep_fresh
from .._netlink.events import drain, subscribe
from .._pods.cni.attachments import Attachments
from .._pods.cni.condition import Condition
from .._pods.cni.daemons import daemons
from .._pods.cni.endpoint import Endpoint
from .._pods.cni.findings import Finding, Findings
from .._pods.cni.known_pods import KnownPods
from .._pods.cni.operations import Operations
from .._pods.cni.ports import Ports
from .._pods.cni.readiness import Readiness, plugin_problem
from .._pods.cni.records import Records
from .._pods.cni.sweep import Sweep
from .._pods.cni.underlay import Underlay
from .._pods.cni.upkeep import Upkeep
from .._pods.interface import Attachment
from .._pods.model import Pod, pod_of_node
from .._services import default_routers
from .._services.health import HealthChecks
from .._services.host_reconcile import HostServices
from .._services.link_local_report import LinkLocalReport
from .._services.node_report import NodeReport
from .._services.nodes import Node
from . import daemon, node_metrics, telemetry
from .kubernetes_events import EventWriter

LOG = logging.getLogger("ovn-k8s-node")
# Seconds from the loss of a link until its port is looked at: the runtime's own DEL usually comes in that time.
SWEEP_DELAY = 1.0
SWEEP_AGAIN = Pause(1.0, longest=30.0)  # seconds from one that could not do all until the next
LINKS_DELAY = 0.1  # seconds: the kernel tells of one change by several events
HEARTBEAT = 10.0  # seconds between two signs of life for systemd


class Overlay(NamedTuple):
    """The overlay, as a node's settings have it.

    :ivar pod_networks: the networks of all pods.
    :ivar other_networks: the services', and the join network.
    :ivar masters: addresses of the hosts with the Southbound database.
    :ivar routers: IP version -> the router of the node's subnet.
    """

    pod_networks: Sequence[str]
    other_networks: Sequence[str] = ()
    masters: Sequence[str] = ()
    routers: Mapping[int, str] = MappingProxyType({})


class NodeServer:
    """The parts of the program, and what connects them.

    :param options: the program's options.
    :param settings_file: the node's settings; when they are replaced, the program ends.
    :param overlay: what the node's settings say of the whole overlay.
    :param workers: threads for what blocks.
    :param health: answers the health checks of services.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        settings_file: str,
        overlay: Overlay,
        workers: ThreadPoolExecutor,
        health: HealthChecks,
    ) -> None:
        self._options = options
        self._settings_file = settings_file
        self._lost_link = asyncio.Event()
        self._could_repair = False
        settings = Settings.read(options.kubernetes)
        self.client = Client(settings, agent="ovn-k8s-node", spread=True)
        # The node's account may not read endpoint slices and other nodes. The server's own account may.
        own_settings = dataclasses.replace(settings, user=None, group=None)
        self.own_client = Client(own_settings, agent="ovn-k8s-node", spread=True)
        self.events = EventWriter(self.client, "ovn-k8s-node")
        self._health = health
        self.pods = KnownPods()
        self.informer = Informer(
            self.client, "/api/v1/pods", pod_of_node, self._pod_changed, fields=f"spec.nodeName={options.node}"
        )
        self.pods.store, self.pods.synced = self.informer.store, self.informer.synced
        self.link_local = LinkLocalReport(self.client, options.node)
        self.routers = NodeReport(
            self.client, options.node, names.ROUTERS_ANNOTATION, "routers that no service may have"
        )
        self.condition = Condition(self.client, options.node)
        self.services = HostServices(
            options.node,
            overlay.pod_networks,
            self.own_client,
            self.pods.store,
            health.answer,
            overlay.other_networks,
            dataclasses.replace(
                settings, host_addresses={**dict.fromkeys(overlay.masters, ""), **settings.host_addresses}
            ),
            self.events.write,
            health.tell,
            overlay.routers,
            self._own_node_changed,
            self.condition.look,
            lambda found: self.routers.replace(default_routers.usable(found)),
        )
        self.ports = Ports(options.local, self._lost_link.set, self._port_changed, self._state_changed)
        self.daemons = daemons(options.openvswitch_run, options.ovn_run, self._state_changed)
        self.underlay = Underlay(self.ports.replica, names.management_link(options.node))
        self.readiness = Readiness(
            self.ports,
            self.informer.synced,
            [
                *(one.own_problem for one in self.daemons),
                self.underlay.problem,
                partial(plugin_problem, options.cni_plugin),
                self._socket_problem,
            ],
            [one.remote_problem for one in self.daemons],
            self.condition.set,
        )
        records = Records(os.path.join(options.run, names.CNI_ATTACHMENTS))
        records.read()
        self.attachments = Attachments(self.ports, workers, records)
        self.upkeep = Upkeep(self.attachments, self.pods, self._can_repair, self.events.write)
        self.findings = Findings(self.attachments, self.pods, self.upkeep, self.underlay)
        self.operations = Operations(
            self.pods,
            self.attachments,
            self.readiness,
            options.patience,
            os.path.join(options.run, names.CNI_DELETIONS),
        )
        self.sweep = Sweep(self.pods, self.attachments, options.run, self.upkeep.lost_sandbox)
        self._durations = node_metrics.make(lambda: self.readiness.problem() is None, lambda: len(self.informer.store))
        self.endpoint = Endpoint(self.operations, self._observe, self.readiness.update)

    def _observe(self, command: str, failed: bool, seconds: float) -> None:
        self._durations.labels(command, str(failed).lower()).observe(seconds)

    # Events.

    def _pod_changed(self, key: str, old: Pod | None, new: Pod | None) -> None:
        self.pods.changed(key, old, new)
        self.services.pod_changed(old, new)
        if old is None and new is not None:
            self.upkeep.pod_came(key)

    def _own_node_changed(self, node: Node | None) -> None:
        self.link_local.told(node.link_local if node else None)
        self.routers.told(node.routers if node else None)

    def _state_changed(self) -> None:
        """Take in that Open vSwitch's database or a daemon came or went, or one of the node's own rows changed."""
        if self.ports.replica.connected:
            self._lost_link.set()
        can_repair = self._can_repair()
        if can_repair and not self._could_repair:
            self.upkeep.everything_changed()
        self._could_repair = can_repair
        self.readiness.update()

    def _can_repair(self) -> bool:
        """Return whether pods' ports can be made: the database is there, the bridge, and the daemons."""
        return self.ports.can_change() and not any(one.own_problem() for one in self.daemons)

    def _socket_problem(self) -> str | None:
        return self.endpoint.problem()

    def _port_changed(self, attachment: Attachment) -> None:
        self.upkeep.port_changed(attachment)

    async def _links_changed(self, links: Collection[str] | None) -> None:
        """Take in that links or addresses of this host changed.

        :param links: their names; None: of all.
        """
        await self.underlay.read()
        if links is None or names.management_link(self._options.node) in links:
            self.services.links_changed()
        self.link_local.set(self.underlay.addresses)
        self.upkeep.links_changed(links)
        self.readiness.update()

    def problem(self) -> str | None:
        """Return why the program does not do all its work, None when it does."""
        pods = self.readiness.report() or self.informer.lasting_problem()
        return "; ".join(filter(None, (pods, self.services.problem()))) or None

    # The loop.

    async def serve(self) -> None:
        """Serve until a signal comes, the program or its settings are replaced, or something fails that only a new
        start can repair.
        """
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        options = self._options
        web = await telemetry.listen(options.listen, self.problem, {"/findings": self._findings})
        socket = os.path.join(options.run, names.CNI_SOCKET)
        await self.endpoint.listen(socket)
        # When one of these ends, the program ends.
        tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(work)
            for work in (
                stop.wait(),
                self.ports.replica.run(),
                self.informer.run(),
                self.readiness.keep_configuration(options.cni_configuration, options.run),
                self.condition.run(),
                self.link_local.run(),
                self.routers.run(),
                self._sweep(),
                self._follow_links(),
                self.upkeep.run(),
                self.endpoint.keep(socket),
                watch([options.cni_plugin], self.readiness.update),
                *(one.run() for one in self.daemons),
                self.services.run(),
                self._health.ended(),
                *(HealthCheck(client).run() for client in (self.client, self.own_client)),
                _keep_alive(),
                _wait_until_replaced(options.kubernetes, self.client.settings.ca_file, self._settings_file),
            )
        ]
        # These may end before.
        helpers = [asyncio.ensure_future(work) for work in (self._wait_for_pods(), keep_fresh(self.client))]
        daemon.ready()
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            await self.endpoint.close()
            await end([*tasks, *helpers])
            self.findings.close()
            await self.events.close()
            web.close()
            await self.own_client.close()
            await self.client.close()

    async def _wait_for_pods(self) -> None:
        """Update the readiness when the node's pods are known."""
        await self.informer.synced.wait()
        self.readiness.update()
        self.upkeep.everything_changed()
        self._lost_link.set()  # what has no record and no link is removed now

    async def _follow_links(self) -> None:
        """Take in the kernel's events, several at once."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        events = subscribe()
        try:
            await self._links_changed(None)
            while True:
                tell_once(events, changed)
                await changed.wait()
                await asyncio.sleep(LINKS_DELAY)
                changed.clear()
                await self._links_changed(drain(events))
        finally:
            loop.remove_reader(events)
            events.close()

    async def _findings(self) -> list[dict[str, str]]:
        """Return what is wrong with this node's pods now; ``/readyz`` says what is wrong with the node."""
        found = await self.findings.read()
        for problem, causes in (
            (self.link_local.problem(), "no name resolution, where NodeLocal DNSCache has such an address"),
            (
                self.routers.problem(),
                "other hosts and pods take a service for this host's router that names its address",
            ),
        ):
            if problem:
                found = [*found, Finding(f"node {self._options.node}", problem, causes, "journalctl -u ovn-k8s-node")]
        return [finding._asdict() for finding in found]

    async def _sweep(self) -> None:
        """Remove ports that have no sandbox any more: at the start, after each connection to the database, and when a
        port has lost its link.
        """
        failures = 0
        while True:
            await self._lost_link.wait()
            await asyncio.sleep(SWEEP_DELAY)
            self._lost_link.clear()
            try:
                await self.sweep.run()
                failures = 0
            except Exception as exc:
                LOG.error("ports that have lost their sandbox can't be removed: %s; trying again", exc)
                await asyncio.sleep(SWEEP_AGAIN.seconds(failures))
                failures += 1
                self._lost_link.set()


async def _wait_until_replaced(*files: str | None) -> None:
    """Wait until the program or one of the files is replaced."""
    LOG.info("%s was replaced: ending, to be started anew", await daemon.replaced(*files))


async def _keep_alive() -> None:
    """Tell systemd that the loop goes on."""
    while True:
        daemon.alive()
        await asyncio.sleep(HEARTBEAT)
