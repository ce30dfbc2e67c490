# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-watcher``: Kubernetes' pods and services become ports and load balancers of the overlay.

It runs on every master; an OVSDB lock elects the one that acts, the others know everything already and wait. Its state is the
Northbound database and the pods' annotations: there is no file, and a restart with nothing changed writes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal

from .._common import names
from .._common.errors import DatabaseError, KubernetesError
from .._kube.client import Client
from .._kube.settings import Settings
from .._kube.token import keep_fresh
from . import daemon, telemetry
from .cluster import Cluster

LOG = logging.getLogger("ovn-k8s-watcher")
PULSE = 5.0  # seconds between two signs of life


def metrics(cluster):
    """The figures of a watcher: (observe, told) for those that are counted as they happen; the others are looked up when asked for.

    Names are those of today's ovn-kubernetes where it has them.
    """
    library = telemetry.prometheus()
    buckets = [0.005 * 2**step for step in range(14)]
    lsp = library.Histogram(
        "ovnkube_controller_pod_first_seen_lsp_created_duration_seconds",
        "From the first sight of a pod to its port",
        buckets=buckets,
    )
    annotation = library.Histogram(
        "ovn_k8s_watcher_pod_first_seen_annotated_duration_seconds",
        "From a pod's first sight to its annotation",
        buckets=buckets,
    )
    service = library.Histogram(
        "ovnkube_controller_sync_service_latency_seconds",
        "From word of a service to its load balancers",
        buckets=buckets,
    )
    batch = library.Histogram(
        "ovn_k8s_watcher_transaction_duration_seconds", "One transaction with the Northbound database", buckets=buckets
    )
    keys = library.Histogram(
        "ovn_k8s_watcher_transaction_objects",
        "Objects in one transaction",
        buckets=[1, 2, 5, 10, 20, 50, 100, 200, 500],
    )

    def gauge(name, text, function):
        library.Gauge(name, text).set_function(function)

    engine = cluster.engine
    gauge("ovn_k8s_watcher_queue_depth", "Objects that wait to be looked at", lambda: len(engine))
    gauge("ovn_k8s_watcher_busy", "1 while a batch is planned and written", lambda: int(engine.busy_since is not None))
    gauge(
        "ovn_k8s_watcher_failing_objects",
        "Objects that can't be made as they are wanted now",
        lambda: len(engine.failing),
    )
    gauge("ovn_k8s_watcher_retries", "Times that an object was tried again", lambda: engine.retries)
    gauge("ovn_k8s_watcher_leader", "1 when this watcher acts", lambda: int(engine.active))
    gauge("ovn_k8s_watcher_addresses", "Addresses that are given away", lambda: len(cluster.pods.addresses))
    gauge("ovn_k8s_watcher_annotations_under_way", "Annotations that are being written", lambda: cluster.pods.patching)
    gauge("ovn_k8s_watcher_annotations", "Annotations written", lambda: cluster.pods.patches)
    gauge(
        "ovn_k8s_watcher_annotation_failures",
        "Annotations that could not be written",
        lambda: cluster.pods.patch_errors,
    )
    gauge(
        "ovnkube_controller_northbound_database_connected",
        "1 when the Northbound database is connected",
        lambda: int(cluster.replica.connected),
    )
    objects = library.Gauge("ovn_k8s_watcher_cached_objects", "Objects of the API server in memory", ["resource"])
    restarts = library.Gauge("ovn_k8s_watcher_watch_restarts", "Times that a watch failed", ["resource"])
    for kind, informer in cluster.informers.items():
        objects.labels(kind).set_function(lambda informer=informer: len(informer.store))
        restarts.labels(kind).set_function(lambda informer=informer: informer.restarts)
    rows = library.Gauge("ovn_k8s_watcher_cached_rows", "Rows of the Northbound database in memory", ["table"])
    for table, content in cluster.replica.rows.items():
        rows.labels(table).set_function(lambda content=content: len(content))

    def told(seconds, objects_, _operations):
        batch.observe(seconds)
        keys.observe(objects_)

    sinks = {"lsp": lsp, "annotation": annotation, "service": service}
    return (lambda what, seconds: sinks[what].observe(seconds)), told


async def watch(access, northbound, where):
    """Work until a signal, or until the program's files are replaced; :raises KubernetesError: :raises DatabaseError: when it can't begin."""
    loop = asyncio.get_running_loop()
    settings = Settings.read(access)
    client = Client(settings, "ovn-k8s-watcher")
    sinks = {}  # the figures are of the cluster, and it tells them what it sees

    def observe(what, seconds):
        sinks["observe"](what, seconds)

    def told(*figures):
        sinks["told"](*figures)

    cluster = Cluster(client, northbound, observe, told)
    sinks["observe"], sinks["told"] = metrics(cluster)
    web = await telemetry.listen(where, cluster.problem) if where else None
    work = asyncio.ensure_future(cluster.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    beside = [
        asyncio.ensure_future(task)
        for task in (_pulse(cluster), keep_fresh(client), _replaced(work, access, settings.ca_file))
    ]
    try:
        await work
    except asyncio.CancelledError:
        LOG.info("ended in order")
    finally:
        for task in beside:
            task.cancel()
        if web is not None:
            await web.cleanup()
        await client.close()


async def _replaced(work, *files):
    """End when a new program or new settings are there."""
    LOG.info("%s was replaced: ending, to be started anew", await daemon.replaced(*files))
    work.cancel()


async def _pulse(cluster):
    """Tell systemd when everything is known for the first time, and that the loop goes round from then on."""
    await cluster.synced.wait()
    daemon.ready()
    while True:
        if cluster.well():
            daemon.alive()
        await asyncio.sleep(PULSE)


def main(arguments=None):
    """The program; exits with 1 and a sentence when it can't work, and systemd starts it again."""
    parser = argparse.ArgumentParser(
        prog="ovn-k8s-watcher",
        description="Make Kubernetes' pods and services ports and load balancers of the overlay.",
    )
    parser.add_argument("--overlay", action="store_true", help="the overlay is OVN's own: the only mode that there is")
    parser.add_argument(
        "--northbound", default=names.NORTHBOUND_SOCKET, help="where the Northbound database is (default: %(default)s)"
    )
    parser.add_argument(
        "--kubernetes",
        default=names.WATCHER_ACCESS,
        metavar="FILE",
        help="where the API server is (default: %(default)s)",
    )
    parser.add_argument(
        "--listen",
        default="127.0.0.1:9409",
        metavar="ADDRESS:PORT",
        help="where /healthz, /readyz and /metrics are; empty: nowhere (default: %(default)s)",
    )
    try:
        daemon.add_options(parser)
        options = parser.parse_args(arguments)
        if not options.overlay:
            parser.error("say --overlay: it is the only mode")
        Settings.read(options.kubernetes)  # what is wrong there is said before the program goes to the background
        daemon.start(options)
        asyncio.run(watch(options.kubernetes, options.northbound, options.listen))
    except (DatabaseError, KubernetesError) as exc:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        LOG.error("%s", exc)
        return 1
    return 0
