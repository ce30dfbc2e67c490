# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-node``: gives this node's pods their interfaces, for the CNI plugin that asks over a unix socket.

It stays, since starting an interpreter and reading everything costs more than the work. Nothing is polled: the API server tells of the
node's pods, Open vSwitch's database of their ports. There is no state but that database, the pods' annotations and the kernel's links.
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
from concurrent.futures import ThreadPoolExecutor

from .._common import names
from .._common.errors import DatabaseError, HostError, KubernetesError
from .._kube.client import Client
from .._kube.health import HealthCheck
from .._kube.informer import Informer
from .._kube.settings import Settings
from .._kube.token import keep_fresh
from .._pods.cni.operations import Operations
from .._pods.cni.pods import Pods, trimmed
from .._pods.cni.ports import Ports
from .._pods.cni.readiness import Readiness
from .._pods.cni.server_socket import Endpoint
from .._services import nftables as service_rules
from .._services.health import HealthChecks
from .._services.host_reconcile import HostServices
from . import daemon, telemetry

LOG = logging.getLogger("ovn-k8s-node")
WORKERS = 4
SETTLING = (
    1.0  # seconds from the loss of a link until its port is looked at: the runtime's own DEL is mostly on its way
)
HEARTBEAT = 10.0
NODE_SETTINGS = names.SETTINGS_DIRECTORY + "/node.json"
BUCKETS = [0.001 * 2**step for step in range(16)]


async def serve(options):
    """Serve until a signal comes, or something fails that only a new start can mend."""
    stop, lost = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    library = telemetry.prometheus()
    durations = library.Histogram(
        "ovnkube_node_cni_request_duration_seconds",
        "The duration of CNI server requests",
        ["command", "err"],
        buckets=BUCKETS,
    )
    ready_state = library.Gauge("ovnkube_node_ready", "Whether pods can get their interfaces (1) or not (0)")
    known = library.Gauge("ovnkube_node_pods", "Pods of this node that have, or want, an interface")

    settings = Settings.read(options.kubernetes)
    client = Client(settings, agent="ovn-k8s-node")
    # The node may not read endpoint slices and other nodes, the server's own account may.
    own = Client(dataclasses.replace(settings, user=None, group=None), agent="ovn-k8s-node")
    health = HealthChecks()
    pods = Pods()

    def pod_changed(key, before, after):
        pods.changed(key, before, after)
        services.pod_changed(before, after)

    informer = Informer(client, "/api/v1/pods", trimmed, pod_changed, fields=f"spec.nodeName={options.node}")
    pods.store = informer.store
    services = HostServices(
        options.node, options.cluster_subnet or _kept().get("cluster_subnets", ()), own, pods.store, health.answer
    )
    readiness = None

    def state():
        if ports.replica.connected:
            lost.set()
        if readiness is not None:
            readiness.update()

    ports = Ports(options.local, lost.set, state)
    readiness = Readiness(ports, informer.synced)
    ready_state.set_function(lambda: readiness.problem() is None)
    known.set_function(lambda: len(informer.store))
    with ThreadPoolExecutor(WORKERS) as workers:
        operations = Operations(
            pods, ports, workers, readiness, options.patience, os.path.join(options.run, names.CNI_DELETIONS)
        )
        endpoint = Endpoint(
            operations, lambda command, failed, seconds: durations.labels(command, str(failed).lower()).observe(seconds)
        )
        web = await telemetry.listen(
            options.listen, lambda: "; ".join(filter(None, (readiness.problem(), services.problem()))) or None
        )
        tasks = [
            asyncio.ensure_future(work)
            for work in (
                stop.wait(),
                ports.replica.run(),
                informer.run(),
                readiness.keep_configuration(options.cni_configuration, options.run),
                _sweep(operations, lost),
                services.run(),
                *(HealthCheck(one).run() for one in (client, own)),
                _beat(),
                _replaced(options.kubernetes, client.settings.ca_file, NODE_SETTINGS),
            )
        ]
        beside = [
            asyncio.ensure_future(work) for work in (_synced(informer, readiness), keep_fresh(client))
        ]  # these may end
        await endpoint.listen(os.path.join(options.run, names.CNI_SOCKET))
        daemon.ready()
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and task.exception():
                    raise task.exception()
        finally:
            await endpoint.close()
            for task in tasks + beside:
                task.cancel()
            await asyncio.gather(*tasks, *beside, return_exceptions=True)
            await web.cleanup()
            await health.close()
            await own.close()
            await client.close()


async def _synced(informer, readiness):
    """Tell when the node's pods are known."""
    await informer.synced.wait()
    readiness.update()


async def _sweep(operations, lost):
    """At the start, after each connection to the database, and whenever a port has lost its link: take away what has no sandbox any more."""
    while True:
        await lost.wait()
        await asyncio.sleep(SETTLING)
        lost.clear()
        try:
            await operations.sweep()
        except Exception as exc:
            LOG.error("ports of sandboxes that are gone can't be taken away: %s; trying again", exc)
            await asyncio.sleep(SETTLING)
            lost.set()


async def _replaced(*files):
    """End when a new program or new settings are there."""
    LOG.info("%s was replaced: ending, to be started anew", await daemon.replaced(*files))


async def _beat():
    """Tell systemd that the loop runs."""
    while True:
        daemon.alive()
        await asyncio.sleep(HEARTBEAT)


def _kept():
    """The node's settings as this host has them, nothing where there are none."""
    with contextlib.suppress(OSError, ValueError), open(NODE_SETTINGS, encoding="utf-8") as kept:
        return json.load(kept)
    return {}


def _this_node():
    """The node's name as the settings of this host have it, None where there are none."""
    name = _kept().get("name")
    return names.node_name(name) if name else None


def clear():
    """Take the rules of services away; what it printed says whether there were any."""
    node = _this_node()
    if node:
        service_rules.carry_loopback(names.management_link(node), may=False)
    if service_rules.there():
        service_rules.write(None)
        sys.stdout.write("the rules of services are taken away\n")


def main(arguments=None):
    """The program; ends with 1 and a sentence when only a new start can help."""
    parser = argparse.ArgumentParser(
        prog="ovn-k8s-node", description="Give this node's pods their interfaces, for the CNI plugin."
    )
    parser.add_argument("--node", default=_this_node(), help="Kubernetes' name of this node (default: %(default)s)")
    parser.add_argument(
        "--kubernetes",
        default=names.NODE_ACCESS,
        metavar="FILE",
        help="where the API server is and what to say to it (default: %(default)s)",
    )
    parser.add_argument(
        "--local",
        default=names.LOCAL_SOCKET,
        metavar="REMOTE",
        help="where Open vSwitch's database is (default: %(default)s)",
    )
    parser.add_argument(
        "--run", default=names.RUN_DIRECTORY, metavar="DIRECTORY", help="where the plugin asks (default: %(default)s)"
    )
    parser.add_argument(
        "--cni-configuration",
        default=names.CNI_CONFIGURATION,
        metavar="PATH",
        help="what tells the runtime (default: %(default)s)",
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
    parser.add_argument("--clear", action="store_true", help="take the rules of services away, and end")
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
    except (DatabaseError, HostError, KubernetesError) as exc:
        LOG.error("%s", exc)
        return 1
    return 0
