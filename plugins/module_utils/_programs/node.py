# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-node``: give this node's pods their interfaces, for the CNI plugin that sends requests over a unix socket.

The program is resident, since to start an interpreter and to read everything takes longer than the work. Nothing is
polled: the API server tells of the node's pods, and Open vSwitch's database of their ports. The only state is that
database, the pods' annotations and the kernel's links.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .._common import names
from .._common.errors import KubernetesError, OvnKubernetesError
from .._kube.client import Client
from .._kube.health import HealthCheck
from .._kube.informer import Informer
from .._kube.settings import Settings
from .._kube.token import keep_fresh
from .._pods.cni.endpoint import Endpoint
from .._pods.cni.known_pods import KnownPods
from .._pods.cni.operations import Operations
from .._pods.cni.ports import Ports
from .._pods.cni.readiness import Readiness
from .._pods.model import Pod, pod_of_node
from .._services import nftables
from .._services.health import HealthChecks
from .._services.host_reconcile import HostServices
from . import daemon, telemetry

LOG = logging.getLogger("ovn-k8s-node")
WORKERS = 4
# Seconds from the loss of a link until its port is looked at: the runtime's own DEL usually comes in that time.
SWEEP_DELAY = 1.0
HEARTBEAT = 10.0  # seconds between two signs of life for systemd
NODE_SETTINGS = names.SETTINGS_DIRECTORY + "/node.json"
BUCKETS = [0.001 * 2**step for step in range(16)]  # seconds


class NodeServer:
    """The parts of the program, and what connects them."""

    def __init__(self, options: argparse.Namespace, workers: ThreadPoolExecutor) -> None:
        self._options = options
        self._lost_link = asyncio.Event()
        settings = Settings.read(options.kubernetes)
        self.client = Client(settings, agent="ovn-k8s-node")
        # The node's account may not read endpoint slices and other nodes. The server's own account may.
        self.own_client = Client(dataclasses.replace(settings, user=None, group=None), agent="ovn-k8s-node")
        self.health = HealthChecks()
        self.pods = KnownPods()
        self.informer = Informer(
            self.client, "/api/v1/pods", pod_of_node, self._pod_changed, fields=f"spec.nodeName={options.node}"
        )
        self.pods.store = self.informer.store
        self.services = HostServices(
            options.node,
            options.cluster_subnet or _saved_settings().get("cluster_subnets", ()),
            self.own_client,
            self.pods.store,
            self.health.answer,
        )
        self.ports = Ports(options.local, self._lost_link.set, self._state_changed)
        self.readiness = Readiness(self.ports, self.informer.synced)
        self.operations = Operations(
            self.pods,
            self.ports,
            workers,
            self.readiness,
            options.patience,
            os.path.join(options.run, names.CNI_DELETIONS),
        )
        self._durations = self._make_metrics()
        self.endpoint = Endpoint(self.operations, self._observe)

    def _make_metrics(self) -> Any:
        """Make the metrics; return the histogram of requests."""
        library = telemetry.prometheus()
        ready = library.Gauge("ovnkube_node_ready", "Whether pods can get their interfaces (1) or not (0)")
        ready.set_function(lambda: self.readiness.problem() is None)
        pods = library.Gauge("ovnkube_node_pods", "Pods of this node that have, or want, an interface")
        pods.set_function(lambda: len(self.informer.store))
        return library.Histogram(
            "ovnkube_node_cni_request_duration_seconds",
            "The duration of CNI server requests",
            ["command", "err"],
            buckets=BUCKETS,
        )

    def _observe(self, command: str, failed: bool, seconds: float) -> None:
        self._durations.labels(command, str(failed).lower()).observe(seconds)

    # Events.

    def _pod_changed(self, key: str, old: Pod | None, new: Pod | None) -> None:
        self.pods.changed(key, old, new)
        self.services.pod_changed(old, new)

    def _state_changed(self) -> None:
        """Take in that Open vSwitch's database came or went, or one of the node's own rows changed."""
        if self.ports.replica.connected:
            self._lost_link.set()
        self.readiness.update()

    def problem(self) -> str | None:
        """Return why the program does not do all its work, None when it does."""
        return "; ".join(filter(None, (self.readiness.problem(), self.services.problem()))) or None

    # The loop.

    async def serve(self) -> None:
        """Serve until a signal comes, the program or its settings are replaced, or something fails that only a new
        start can repair.
        """
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        options = self._options
        web = await telemetry.listen(options.listen, self.problem)
        # When one of these ends, the program ends.
        tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(work)
            for work in (
                stop.wait(),
                self.ports.replica.run(),
                self.informer.run(),
                self.readiness.keep_configuration(options.cni_configuration, options.run),
                self._sweep(),
                self.services.run(),
                *(HealthCheck(client).run() for client in (self.client, self.own_client)),
                _keep_alive(),
                _wait_until_replaced(options.kubernetes, self.client.settings.ca_file, NODE_SETTINGS),
            )
        ]
        # These may end before.
        helpers = [asyncio.ensure_future(work) for work in (self._wait_for_pods(), keep_fresh(self.client))]
        await self.endpoint.listen(os.path.join(options.run, names.CNI_SOCKET))
        daemon.ready()
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            await self.endpoint.close()
            for task in [*tasks, *helpers]:
                task.cancel()
            await asyncio.gather(*tasks, *helpers, return_exceptions=True)
            await web.cleanup()
            await self.health.close()
            await self.own_client.close()
            await self.client.close()

    async def _wait_for_pods(self) -> None:
        """Update the readiness when the node's pods are known."""
        await self.informer.synced.wait()
        self.readiness.update()

    async def _sweep(self) -> None:
        """Remove ports that have no sandbox any more: at the start, after each connection to the database, and when a
        port has lost its link.
        """
        while True:
            await self._lost_link.wait()
            await asyncio.sleep(SWEEP_DELAY)
            self._lost_link.clear()
            try:
                await self.operations.sweep()
            except Exception as exc:
                LOG.error("ports that have lost their sandbox can't be removed: %s; trying again", exc)
                await asyncio.sleep(SWEEP_DELAY)
                self._lost_link.set()


async def serve(options: argparse.Namespace) -> None:
    """Run the program's server. :raises OvnKubernetesError: when it can't begin, or fails."""
    with ThreadPoolExecutor(WORKERS) as workers:
        await NodeServer(options, workers).serve()


async def _wait_until_replaced(*files: str | None) -> None:
    """Wait until the program or one of the files is replaced."""
    LOG.info("%s was replaced: ending, to be started anew", await daemon.replaced(*files))


async def _keep_alive() -> None:
    """Tell systemd that the loop goes on."""
    while True:
        daemon.alive()
        await asyncio.sleep(HEARTBEAT)


def _saved_settings() -> dict[str, Any]:
    """Return the node's settings as this host has them, nothing where there are none."""
    with contextlib.suppress(OSError, ValueError), open(NODE_SETTINGS, encoding="utf-8") as file:
        settings: dict[str, Any] = json.load(file)
        return settings
    return {}


def _this_node() -> str | None:
    """Return the node's name as the settings of this host have it, None where there are none."""
    name = _saved_settings().get("name")
    return names.node_name(name) if name else None


def clear() -> None:
    """Remove the rules of services; print a line when there were any, for the play that calls this."""
    node = _this_node()
    if node:
        nftables.set_route_localnet(names.management_link(node), on=False)
    if nftables.exists():
        nftables.remove()
        sys.stdout.write("the rules of services are removed\n")


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the program's options."""
    parser = argparse.ArgumentParser(
        prog="ovn-k8s-node", description="Give this node's pods their interfaces, for the CNI plugin."
    )
    parser.add_argument("--node", default=_this_node(), help="Kubernetes' name of this node (default: %(default)s)")
    parser.add_argument(
        "--kubernetes",
        default=names.NODE_ACCESS,
        metavar="FILE",
        help="how to reach the API server (default: %(default)s)",
    )
    parser.add_argument(
        "--local",
        default=names.LOCAL_SOCKET,
        metavar="REMOTE",
        help="where Open vSwitch's database is (default: %(default)s)",
    )
    parser.add_argument(
        "--run", default=names.RUN_DIRECTORY, metavar="DIRECTORY", help="directory of the socket for the CNI plugin (default: %(default)s)"
    )
    parser.add_argument(
        "--cni-configuration",
        default=names.CNI_CONFIGURATION,
        metavar="PATH",
        help="the network configuration for the runtime (default: %(default)s)",
    )
    parser.add_argument(
        "--listen",
        default="127.0.0.1:9410",
        metavar="ADDRESS:PORT",
        help="metrics, /healthz and /readyz (default: %(default)s)",
    )
    parser.add_argument(
        "--patience", type=float, default=100.0, metavar="SECONDS", help="until an ADD gives up (default: %(default)s)"
    )
    parser.add_argument(
        "--cluster-subnet",
        action="append",
        metavar="CIDR",
        help="a network of the cluster's pods (default: as this host's settings say)",
    )
    parser.add_argument("--clear", action="store_true", help="remove the rules of services, and end")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return 1 after an error that only a new start can repair. The log has it."""
    parser = _parser()
    try:
        daemon.add_options(parser)
        options = parser.parse_args(arguments)
        if options.clear:
            clear()
            return 0
        daemon.start(options)
        if not options.node:
            raise KubernetesError(
                "this host is not a node of the overlay: run ovn.kubernetes.site, or name the node with --node"
            )
        asyncio.run(serve(options))
    except OvnKubernetesError as exc:
        LOG.error("%s", exc)
        return 1
    return 0
