# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The node's condition ``NetworkUnavailable``, for whose taint the scheduler keeps new pods away.

The runtime's own sign, a missing network configuration, can't be used: without it containerd refuses DEL too, and pods
that are deleted hang (go-cni, ``Remove``). Kubernetes' node lifecycle controller makes the taint
``node.kubernetes.io/network-unavailable:NoSchedule`` from the condition; nobody else writes the condition of a node of
ours (KEP 382). Running pods stay, and stay in their Services.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
from typing import TYPE_CHECKING

from ..._common.errors import KubernetesError
from ..._common.retry import Pause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from ..._kube.client import Client, Object

TYPE = "NetworkUnavailable"
READY, NOT_READY, STOPPED = "OVNKubernetesReady", "OVNKubernetesNotReady", "OVNKubernetesStopped"
STOPPED_MESSAGE = "ovn-k8s-node does not run: look at systemctl status ovn-k8s-node"
LONGEST = 1000  # characters of a message
AGAIN = Pause(1.0, longest=60.0)  # seconds until a request that failed is repeated
# Seconds until the condition is read again, if nothing is heard of another one, or of a Node object made anew. Soon
# after the first reading and after a change, since the program that stands in for a server that is stopped may have
# been under way.
SOON, LATER = 20.0, 600.0
PACE = 2.0  # seconds between two changes
LOG = logging.getLogger("ovn-k8s-node")


def desired(problem: str | None, reason: str = NOT_READY) -> dict[str, str]:
    """Return the condition without its times.

    :param problem: why the node can't serve new pods, in one sentence; None: it can.
    """
    if problem is None:
        return {"type": TYPE, "status": "False", "reason": READY, "message": "ovn-k8s-node serves pods"}
    return {"type": TYPE, "status": "True", "reason": reason, "message": problem[:LONGEST]}


def change(current: Iterable[Mapping[str, Any]], wanted: Mapping[str, str]) -> Object | None:
    """Return the strategic merge patch of a node's status; None: its condition is as desired.

    :param current: the node's conditions.
    """
    found: Mapping[str, Any] = next((one for one in current if one.get("type") == TYPE), {})
    if all(found.get(key) == value for key, value in wanted.items()):
        return None
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    began = found.get("lastTransitionTime") if found.get("status") == wanted["status"] else None
    times = {"lastHeartbeatTime": now, "lastTransitionTime": began or now}
    return {"status": {"conditions": [{**wanted, **times}]}}


async def write(client: Client, node: str, wanted: Mapping[str, str]) -> bool:
    """Make the node have the condition; return whether it was changed.

    :raises KubernetesError: it can't be done.
    """
    path = f"/api/v1/nodes/{node}"
    patch = change((await client.get(path)).get("status", {}).get("conditions") or (), wanted)
    if patch is not None:
        await client.strategic_patch(f"{path}/status", patch)
    return patch is not None


async def take_away(client: Client, node: str) -> bool:
    """Remove the condition where it is ours; return whether it was.

    :raises KubernetesError: it can't be done.
    """
    path = f"/api/v1/nodes/{node}"
    conditions = (await client.get(path)).get("status", {}).get("conditions") or ()
    if not any(one.get("type") == TYPE and one.get("reason") in (READY, NOT_READY, STOPPED) for one in conditions):
        return False
    await client.strategic_patch(f"{path}/status", {"status": {"conditions": [{"$patch": "delete", "type": TYPE}]}})
    return True


class Condition:
    """The condition, kept as it was last set."""

    def __init__(self, client: Client, node: str) -> None:
        self._client = client
        self._node = node
        self._wanted: dict[str, str] | None = None
        self._changed = asyncio.Event()

    def set(self, problem: str | None) -> None:
        """Set why the node can't serve new pods; None: it can."""
        wanted = desired(problem)
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed.set()

    def look(self, node: Mapping[str, Any]) -> None:
        """Take in the Node object as the API server has it now: another one may have come with another condition, as a
        cloud's controller sets it on a node that it has no routes for.
        """
        conditions = (node.get("status") or {}).get("conditions") or ()
        if self._wanted is not None and change(conditions, self._wanted) is not None:
            self._changed.set()

    async def run(self) -> None:
        """Keep it for ever, once it is set."""
        await self._changed.wait()
        attempt, said, is_first = 0, "", True
        while True:
            self._changed.clear()
            try:
                wait = SOON if await write(self._client, self._node, self._wanted or {}) or is_first else LATER
                attempt, said, is_first = 0, "", False
            except KubernetesError as exc:
                if str(exc) != said:
                    said = str(exc)
                    LOG.warning("the condition %s of node %s can't be set: %s; trying again", TYPE, self._node, exc)
                wait = AGAIN.seconds(attempt)
                attempt += 1
            await asyncio.sleep(PACE)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), wait)


async def with_client(make: Callable[[], Client], work: Callable[[Client], Any]) -> bool:
    """Return what some work with a client of its own returns."""
    client = make()
    try:
        return bool(await work(client))
    finally:
        await client.close()
