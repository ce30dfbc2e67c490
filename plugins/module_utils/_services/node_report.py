# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell all watchers and node servers what only this host knows, by an annotation of its Node."""

from __future__ import annotations

import asyncio
import logging

from .._common import names
from .._common.errors import KubernetesError
from .._common.retry import Pause
from .._kube.client import Client

LOG = logging.getLogger("ovn-k8s-node")
AGAIN = Pause(1.0, longest=60.0)  # seconds until a request that failed is repeated
PACE = 2.0  # seconds between two changes: a link may come and go
ANNOTATIONS = (names.LINK_LOCAL_ANNOTATION, names.ROUTERS_ANNOTATION)


class NodeReport:
    """One annotation with addresses, kept as the host is.

    :param client: acts as the node.
    :param node: its name in Kubernetes.
    :param annotation: its key.
    :param words: what the addresses are.
    """

    def __init__(self, client: Client, node: str, annotation: str, words: str) -> None:
        self._client = client
        self._node = node
        self._annotation = annotation
        self._words = words
        self._addresses: tuple[str, ...] | None = None  # None: not known yet
        self._told: tuple[str, ...] | None = None  # None: there is no Node
        self._failure = ""
        self._changed = asyncio.Event()

    def replace(self, addresses: tuple[str, ...]) -> None:
        """Take in what is so now."""
        if addresses != self._addresses:
            self._addresses = addresses
            self._changed.set()

    def told(self, addresses: tuple[str, ...] | None) -> None:
        """Take in what the Node says now; None: there is none."""
        self._told = addresses
        self._changed.set()

    def problem(self) -> str | None:
        """Return what others don't know, and why, in one sentence; None: they know all."""
        return self._failure or None

    async def run(self) -> None:
        """Keep it for ever."""
        failures = 0
        while True:
            await self._changed.wait()
            self._changed.clear()
            addresses = self._addresses
            if addresses is None or self._told is None or addresses == self._told:
                failures, self._failure = 0, ""
                continue
            try:
                await write(self._client, self._node, self._annotation, addresses)
                failures, self._failure = 0, ""
                LOG.info("%s: %s", self._words, ", ".join(addresses) or "none")
            except KubernetesError as exc:
                self._failure = f"node {self._node} can't be annotated: {exc}"
                if not failures:
                    LOG.warning("%s", self.problem())
                await asyncio.sleep(AGAIN.seconds(failures))
                failures += 1
                self._changed.set()
            await asyncio.sleep(PACE)


async def write(client: Client, node: str, annotation: str, addresses: tuple[str, ...]) -> None:
    """Annotate the node. :raises KubernetesError: it can't be done."""
    body = {"metadata": {"annotations": {annotation: ",".join(addresses) or None}}}
    # A kubelet writes its Node's annotations by the status too: one right is enough for all that this program writes.
    await client.strategic_patch(f"/api/v1/nodes/{node}/status", body)


async def take_away(client: Client, node: str) -> list[str]:
    """Remove the annotations; return those that were there. :raises KubernetesError: it can't be done."""
    found = ((await client.get(f"/api/v1/nodes/{node}")).get("metadata") or {}).get("annotations") or {}
    there = [one for one in ANNOTATIONS if found.get(one)]
    for one in there:
        await write(client, node, one, ())
    return there
