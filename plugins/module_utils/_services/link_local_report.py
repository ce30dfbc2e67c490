# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell the watcher which link-local addresses this host carries, by an annotation of its Node."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from .._common import names
from .._common.errors import KubernetesError
from .._common.retry import Pause
from .._kube.client import Client
from .._netlink.records import KernelAddress
from . import link_local
from .model import Node

LOG = logging.getLogger("ovn-k8s-node")
AGAIN = Pause(1.0, longest=60.0)  # seconds until a request that failed is repeated
PACE = 2.0  # seconds between two changes: a link may come and go


class LinkLocalReport:
    """The annotation, kept as the host is.

    :param client: acts as the node.
    :param node: its name in Kubernetes.
    """

    def __init__(self, client: Client, node: str) -> None:
        self._client = client
        self._node = node
        self._carried: tuple[str, ...] | None = None  # None: not known yet
        self._told: tuple[str, ...] | None = None  # None: there is no Node
        self._left_out: list[str] = []
        self._failure = ""
        self._changed = asyncio.Event()

    def set(self, addresses: Iterable[KernelAddress]) -> None:
        """Take in the addresses that the host has now."""
        found = link_local.candidates(addresses)
        carried, left_out = link_local.usable(found[: link_local.MOST]), found[link_local.MOST :]
        is_new, self._left_out = left_out != self._left_out, left_out
        if left_out and is_new:
            LOG.warning("%s", self._too_many())
        if carried != self._carried:
            self._carried = carried
            self._changed.set()

    def problem(self) -> str | None:
        """Return which addresses pods don't reach, and why, in one sentence; None: they reach all."""
        if self._failure:
            return f"pods don't reach {', '.join(self._carried or ())}, or where it was: {self._failure}"
        return self._too_many()

    def _too_many(self) -> str | None:
        if not self._left_out:
            return None
        shown, most = ", ".join(self._left_out[: link_local.MOST]), link_local.MOST
        return f"pods don't reach {shown}: {most} link-local addresses of a host count"

    def node_changed(self, node: Node | None) -> None:
        """Take in what the Node says now."""
        self._told = node.link_local if node else None
        self._changed.set()

    async def run(self) -> None:
        """Keep it for ever."""
        failures = 0
        while True:
            await self._changed.wait()
            self._changed.clear()
            carried = self._carried
            if carried is None or self._told is None or carried == self._told:
                failures, self._failure = 0, ""
                continue
            try:
                await write(self._client, self._node, carried)
                failures, self._failure = 0, ""
                LOG.info("link-local addresses that this node's pods reach: %s", ", ".join(carried) or "none")
            except KubernetesError as exc:
                self._failure = f"node {self._node} can't be annotated: {exc}"
                if not failures:
                    LOG.warning("%s", self.problem())
                await asyncio.sleep(AGAIN.seconds(failures))
                failures += 1
                self._changed.set()
            await asyncio.sleep(PACE)


async def write(client: Client, node: str, carried: tuple[str, ...]) -> None:
    """Annotate the node. :raises KubernetesError: it can't be done."""
    text = ",".join(carried) or None
    body = {"metadata": {"annotations": {names.LINK_LOCAL_ANNOTATION: text}}}
    # A kubelet writes its Node's annotations by the status too: one right is enough for all that this program writes.
    await client.strategic_patch(f"/api/v1/nodes/{node}/status", body)


async def take_away(client: Client, node: str) -> bool:
    """Remove the annotation; return whether it was there. :raises KubernetesError: it can't be done."""
    found = (await client.get(f"/api/v1/nodes/{node}")).get("metadata") or {}
    if not link_local.parse((found.get("annotations") or {}).get(names.LINK_LOCAL_ANNOTATION)):
        return False
    await write(client, node, ())
    return True
