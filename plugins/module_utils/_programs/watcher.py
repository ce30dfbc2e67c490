# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-watcher``: make Kubernetes' pods and services ports and load balancers of the overlay.

It runs on every master. An OVSDB lock elects the one that acts; the others know everything already and wait. Its state
is the Northbound database and the pods' annotations. It has no file, and a restart with nothing changed writes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from collections.abc import Sequence

from .._common import names
from .._common.errors import OvnKubernetesError
from .._common.tasks import end
from .._kube.client import Client
from .._kube.settings import Settings
from .._kube.token import keep_fresh
from .._ovsdb import access as database_access
from . import daemon, log, telemetry
from .cluster import Cluster
from .watcher_metrics import WatcherMetrics

LOG = logging.getLogger("ovn-k8s-watcher")
HEARTBEAT = 5.0  # seconds between two signs of life for systemd


async def watch(access: str, northbound: str | None, listen: str, southbound: str | None = "") -> None:
    """Work until a signal comes, or the program or its settings are replaced.

    :param access: file that says how to reach the API server.
    :param northbound: where the Northbound database is; None: where this master finds it.
    :param listen: ``ADDRESS:PORT`` for metrics and health; empty: nowhere.
    :param southbound: where the Southbound database is; None: where this master finds it; empty: it is not read.
    :raises OvnKubernetesError: when it can't begin.
    """
    loop = asyncio.get_running_loop()
    settings = Settings.read(access)
    client = Client(settings, "ovn-k8s-watcher", spread=True)
    metrics = WatcherMetrics()
    north, south = database_access.northbound(northbound), database_access.southbound(southbound)
    cluster = Cluster(
        client,
        north.remote,
        metrics.observe,
        metrics.observe_transaction,
        north.tls or south.tls,
        southbound=south.remote,
    )
    metrics.follow(cluster)
    pages = {"/findings": cluster.findings}
    web = await telemetry.listen(listen, cluster.problem, pages) if listen else None
    work = asyncio.ensure_future(cluster.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    helpers = [
        asyncio.ensure_future(task)
        for task in (
            _keep_alive(cluster),
            keep_fresh(client),
            _end_when_replaced(work, access, settings.ca_file),
        )
    ]
    try:
        await work
    except asyncio.CancelledError:
        LOG.info("ended in order")
    finally:
        await end(helpers)
        if web is not None:
            web.close()
        await client.close()


async def _end_when_replaced(work: asyncio.Future[None], *files: str | None) -> None:
    """End the work when the program or one of the files is replaced; systemd starts it again."""
    LOG.info("%s was replaced: ending, to be started anew", await daemon.replaced(*files, lasting=names.CENTRAL_ACCESS))
    work.cancel()


async def _keep_alive(cluster: Cluster) -> None:
    """Tell systemd when everything is known for the first time, and from then on that the loop goes on."""
    await cluster.synced.wait()
    daemon.ready()
    while True:
        if cluster.is_alive():
            daemon.alive()
        await asyncio.sleep(HEARTBEAT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return 1 after an error, which the log has. systemd then starts it again."""
    parser = argparse.ArgumentParser(
        prog="ovn-k8s-watcher",
        description="Make Kubernetes' pods and services ports and load balancers of the overlay.",
    )
    parser.add_argument("--overlay", action="store_true", help="the overlay is OVN's own: the only mode that there is")
    parser.add_argument(
        "--northbound",
        help=f"where the Northbound database is (default: as {names.CENTRAL_ACCESS} says, or else "
        f"{names.NORTHBOUND_SOCKET})",
    )
    parser.add_argument(
        "--southbound",
        help="where the Southbound database is, which tells of hosts' datapaths; empty: it is not read "
        f"(default: as {names.CENTRAL_ACCESS} says, or else {names.SOUTHBOUND_SOCKET})",
    )
    parser.add_argument(
        "--kubernetes",
        default=names.WATCHER_ACCESS,
        metavar="FILE",
        help="where the API server is (default: %(default)s)",
    )
    parser.add_argument(
        "--listen",
        default=names.WATCHER_LISTEN,
        metavar="ADDRESS:PORT",
        help="where /healthz, /readyz and /metrics are; empty: nowhere (default: %(default)s)",
    )
    try:
        daemon.add_options(parser)
        options = parser.parse_args(arguments)
        if not options.overlay:
            parser.error("say --overlay: it is the only mode")
        Settings.read(options.kubernetes)  # report errors before the program goes to the background
        daemon.start(options)
        asyncio.run(watch(options.kubernetes, options.northbound, options.listen, options.southbound))
    except OvnKubernetesError as exc:
        log.begin()
        LOG.error("%s", exc)
        return 1
    return 0
