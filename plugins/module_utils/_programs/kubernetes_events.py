# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write Kubernetes events about pods, services and nodes, beside other work."""

from __future__ import annotations

import asyncio
import datetime
import logging
from typing import Any

from .._common.errors import KubernetesError
from .._common.tasks import end
from .._kube.client import Client
from .._kube.reference import Reference

NAMESPACE = "default"  # of events about nodes, which have none
AT_ONCE = 4  # requests: pods' annotations use the same connections
LONGEST_QUEUE = 1000  # events that wait
LONGEST = 1000  # characters of a message; kubectl shows 1,024 (NoteLengthLimit of events.k8s.io)


class EventWriter:
    """The writer; an event that can't be written is lost, and the log says so.

    :param component: the program, for the events' source.

    :ivar lost: events that were not written because too many waited.
    """

    def __init__(self, client: Client, component: str) -> None:
        self.lost = 0
        self._client = client
        self._component = component
        self._log = logging.getLogger(component)
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(AT_ONCE)

    def write(self, about: Reference, reason: str, message: str) -> None:
        """Begin to write an event.

        :param reason: one word in CamelCase, for programs.
        :param message: one sentence; its end is cut off where it is too long.
        """
        if len(self._tasks) >= LONGEST_QUEUE:
            self.lost += 1
            if self.lost == 1:
                self._log.warning("%s: %d events wait to be written: further ones are left out", about, LONGEST_QUEUE)
            return
        task = asyncio.create_task(self._write(about, _event(self._component, about, reason, message[:LONGEST])))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, about: Reference, body: dict[str, Any]) -> None:
        try:
            async with self._places:
                await self._client.create(f"/api/v1/namespaces/{about.namespace or NAMESPACE}/events", body)
        except KubernetesError as exc:
            self._log.warning("%s: the event could not be written: %s", about, exc)

    async def close(self) -> None:
        """Cancel what is not written yet."""
        await end(self._tasks)


def _event(component: str, about: Reference, reason: str, message: str) -> dict[str, Any]:
    """Return the object of a warning."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    involved = {"apiVersion": "v1", "kind": about.kind, "name": about.name, "uid": about.uid}
    if about.namespace:
        involved["namespace"] = about.namespace
    return {
        "metadata": {"generateName": f"{about.name}.", "namespace": about.namespace or NAMESPACE},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "involvedObject": involved,
        "source": {"component": component},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
