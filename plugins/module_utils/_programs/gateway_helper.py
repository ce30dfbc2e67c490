# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-gateway-helper``: keep the flows of a NIC that host and pods share (:mod:`.flow_keeper`), or delete
them."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import BridgeIncomplete, OvnKubernetesError
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import Query
from . import daemon
from .flow_keeper import LOG, FlowKeeper, delete_flows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

EXAMPLES = """examples:
  ovn-k8s-gateway-helper --physical-bridge=breth0 --physical-interface=eth0 --pidfile --detach
  ovn-k8s-gateway-helper          in the foreground, for the gateway in this host's settings
  ovn-k8s-gateway-helper --clear  delete the flows; stop the program before
"""


def read_settings(path: str) -> dict[str, Any]:
    """Return the settings that the modules have saved on this host; {} where there are none."""
    try:
        with open(path, encoding="utf-8") as stream:
            settings: dict[str, Any] = json.load(stream)
            return settings
    except FileNotFoundError:
        return {}


def overlay_networks(node: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the networks that only the overlay uses, from the node's settings; None where there are no settings."""
    return (*node.get("cluster_subnets", ()), *(node.get("routes") or ())) if node else None


async def keep_flows(bridge: str, options: argparse.Namespace) -> None:
    """Keep a bridge's flows. The keeper's events belong to the event loop in which it is made."""
    networks = overlay_networks(read_settings(names.NODE_SETTINGS))
    await FlowKeeper(bridge, options.physical_interface, options.open_vswitch, networks).run()


async def clear(remote: str) -> None:
    """Delete our flows from every bridge of the host."""
    connection = Connection(remote, names.LOCAL)
    try:
        bridges = [str(row.name) for row in read_rows(connection, [Query("Bridge", (), ("name",))])]
    finally:
        connection.close()
    for bridge in bridges:
        count = await delete_flows(bridge)
        if count:
            sys.stdout.write(f"{bridge}: {count} flows deleted\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ovn-k8s-gateway-helper",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Steer incoming packets of a NIC that host and pods share to the one that they are for.",
    )
    parser.add_argument(
        "--physical-bridge",
        metavar="BRIDGE",
        help="the bridge that leads to the physical network; by default the gateway's",
    )
    parser.add_argument(
        "--physical-interface", metavar="NIC", help="the NIC in it; by default the one that the bridge was made for"
    )
    parser.add_argument("--clear", action="store_true", help="delete the flows from all bridges, and exit")
    parser.add_argument(
        "--open-vswitch",
        default=names.LOCAL_SOCKET,
        metavar="REMOTE",
        help="the host's Open_vSwitch database (default: %(default)s)",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return 1 after one sentence on an error that lasts, so that systemd starts it again."""
    parser = _parser()
    try:
        daemon.add_options(parser)
        options = parser.parse_args(arguments)
        if options.clear:
            asyncio.run(clear(options.open_vswitch))
            return 0
        bridge = options.physical_bridge or read_settings(names.GATEWAY_SETTINGS).get("bridge")
        if not bridge:
            raise BridgeIncomplete(
                f"no gateway of this host shares a NIC ({names.GATEWAY_SETTINGS}): "
                "give --physical-bridge and --physical-interface"
            )
        daemon.start(options)
        asyncio.run(keep_flows(bridge, options))
    except (OvnKubernetesError, OSError, ValueError) as exc:
        # Before the log is set up, the terminal gets the sentence.
        if logging.getLogger().handlers:
            LOG.error("%s", exc)
        else:
            os.write(2, f"{exc}\n".encode())
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
