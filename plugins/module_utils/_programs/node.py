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
import json
import logging
import os
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .._common import addressing, names
from .._common.errors import KubernetesError, OvnKubernetesError
from .._common.files import read_file
from .._kube.client import Client
from .._kube.settings import Settings
from .._pods.cni import condition, conflist
from .._services import nftables, node_report
from .._services.health import HealthChecks
from . import daemon, log
from .node_server import NodeServer, Overlay

LOG = logging.getLogger("ovn-k8s-node")
WORKERS = 4  # threads
CLEAR_TIMEOUT = 5.0  # seconds for the API server while the overlay is removed
REMOTE = re.compile(r"(?:tcp|ssl):(\[[^\]]*\]|[^:,]+):")  # of a database, ovsdb(7): with its address
NODE_SETTINGS = names.SETTINGS_DIRECTORY + "/node.json"


async def serve(options: argparse.Namespace, health: HealthChecks) -> None:
    """Run the program's server. :raises OvnKubernetesError: when it can't begin, or fails."""
    saved = _saved_settings()
    overlay = Overlay(
        options.cluster_subnet or saved.get("cluster_subnets", ()),
        saved.get("routes", ()),
        [ip.strip("[]") for ip in REMOTE.findall(saved.get("southbound", ""))],
        {
            addressing.family(subnet): addressing.nth(subnet, addressing.ROUTER, prefix=False)
            for subnet in saved.get("subnets", ())
        },
    )
    with ThreadPoolExecutor(WORKERS) as workers:
        await NodeServer(options, NODE_SETTINGS, overlay, workers, health).serve()


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


def say_stopped(options: argparse.Namespace) -> None:
    """Keep new pods away from this node, since its server does not run.

    :raises KubernetesError: the API server does not take it.
    """
    settings = Settings.read(options.kubernetes)
    with contextlib.suppress(OSError):
        os.close(os.open(os.path.join(options.run, names.CNI_UNAVAILABLE), os.O_WRONLY | os.O_CREAT, 0o600))
    wanted = condition.desired(condition.STOPPED_MESSAGE, condition.STOPPED)
    asyncio.run(
        condition.with_client(
            lambda: Client(settings, agent="ovn-k8s-node"), lambda client: condition.write(client, options.node, wanted)
        )
    )


def clear(options: argparse.Namespace) -> None:
    """Remove the rules of services, and the node's condition and annotations; print a line for each that was there, for
    the play that calls this. What the API server does not remove now is left.
    """
    node = _this_node()
    with contextlib.suppress(KubernetesError):
        settings = Settings.read(options.kubernetes)
        work = condition.with_client(
            lambda: Client(settings, agent="ovn-k8s-node", timeout=CLEAR_TIMEOUT),
            lambda client: _clear_node(client, options.node or ""),
        )
        asyncio.run(work)
    if node:
        nftables.set_route_localnet(names.management_link(node), on=False)
    with contextlib.suppress(OSError):
        file = read_file(options.cni_configuration)
        added = ", ".join(conflist.added(file.content)) if file else ""
        if added:
            sys.stdout.write(f"{options.cni_configuration} goes with {added}, which others have added to it\n")
    if nftables.exists():
        nftables.remove()
        sys.stdout.write("the rules of services are removed\n")


async def _clear_node(client: Client, node: str) -> None:
    """Remove what the server has written into the Node. :raises KubernetesError: it can't be done."""
    if await condition.take_away(client, node):
        sys.stdout.write("the node's condition NetworkUnavailable is removed\n")
    for annotation in await node_report.take_away(client, node):
        sys.stdout.write(f"the node's annotation {annotation} is removed\n")


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
    for name, default in (("ovn", names.OVN_RUN_DIRECTORY), ("openvswitch", names.OPENVSWITCH_RUN_DIRECTORY)):
        parser.add_argument(
            f"--{name}-run",
            default=default,
            metavar="DIRECTORY",
            help="directory of pid files and control sockets (default: %(default)s)",
        )
    parser.add_argument(
        "--run",
        default=names.RUN_DIRECTORY,
        metavar="DIRECTORY",
        help="directory of the socket for the CNI plugin (default: %(default)s)",
    )
    parser.add_argument(
        "--cni-configuration",
        default=names.CNI_CONFIGURATION,
        metavar="PATH",
        help="the network configuration for the runtime (default: %(default)s)",
    )
    parser.add_argument(
        "--cni-plugin",
        default=names.CNI_PLUGIN_FILE,
        metavar="PATH",
        help="the plugin that the runtime starts (default: %(default)s)",
    )
    parser.add_argument(
        "--listen",
        default=names.NODE_LISTEN,
        metavar="ADDRESS:PORT",
        help="metrics, /healthz, /readyz and /findings (default: %(default)s)",
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
    parser.add_argument(
        "--clear", action="store_true", help="remove the rules of services and the node's condition, and end"
    )
    parser.add_argument(
        "--say-stopped", action="store_true", help="set the node's condition NetworkUnavailable, and end"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return 1 after an error that only a new start can repair. The log has it."""
    parser = _parser()
    try:
        daemon.add_options(parser)
        options = parser.parse_args(arguments)
        if options.clear:
            clear(options)
            return 0
        if options.say_stopped:
            log.begin()
            say_stopped(options)
            return 0
        daemon.start(options)
        if not options.node:
            raise KubernetesError(
                "this host is not a node of the overlay: run ovn.kubernetes.site, or name the node with --node"
            )
        health = HealthChecks.start()
        try:
            asyncio.run(serve(options, health))
        finally:
            health.close()
    except OvnKubernetesError as exc:
        LOG.error("%s", exc)
        return 1
    return 0
