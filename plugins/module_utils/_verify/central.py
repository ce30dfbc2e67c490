# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what only the first master can: the Northbound database, and the nodes that the API server knows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import KubernetesError, OvnKubernetesError
from .._kube.client import Client
from .._kube.settings import Settings
from .._ovsdb.connection import Connection
from .._topology.northbound import Northbound
from .facts import Compared

if TYPE_CHECKING:
    from .._topology.overlay import Overlay

TIMEOUT = 5.0  # seconds for one answer


def compare_overlay(overlay: Overlay, remote: str) -> Compared:
    """Return what a site run would do to the Northbound database."""
    comment = "ovn.kubernetes: ovn_verify"
    northbound = Northbound(lambda: Connection(remote, names.NORTHBOUND, TIMEOUT), comment, check=True)
    try:
        return Compared(northbound.converge(overlay).plan)
    except (OvnKubernetesError, OSError) as error:
        return Compared(problem=str(error))


def read_kubernetes_nodes(access: str = names.WATCHER_ACCESS) -> frozenset[str] | None:
    """Return the nodes that the API server knows; None when the watcher's access does not show them: its own rows say
    why.
    """
    try:
        return asyncio.run(_nodes(Settings.read(access)))
    except (KubernetesError, OSError):
        return None


async def _nodes(settings: Settings) -> frozenset[str]:
    client = Client(settings, agent="ovn.kubernetes", timeout=TIMEOUT)
    try:
        pages = [page async for page in client.pages("/api/v1/nodes")]
    finally:
        await client.close()
    return frozenset(str(item["metadata"]["name"]) for page in pages for item in page.items)
