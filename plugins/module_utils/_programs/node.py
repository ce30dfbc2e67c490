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
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .._common import names
from .._common.errors import KubernetesError, OvnKubernetesError
from .._services import nftables
from . import daemon
from .node_server import NodeServer

LOG = logging.getLogger("ovn-k8s-node")
WORKERS = 4  # threads
NODE_SETTINGS = names.SETTINGS_DIRECTORY + "/node.json"


async def serve(options: argparse.Namespace) -> None:
    """Run the program's server. :raises OvnKubernetesError: when it can't begin, or fails."""
    pod_networks = options.cluster_subnet or _saved_settings().get("cluster_subnets", ())
    with ThreadPoolExecutor(WORKERS) as workers:
        await NodeServer(options, NODE_SETTINGS, pod_networks, workers).serve()


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
        default="127.0.0.1:9410",
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
