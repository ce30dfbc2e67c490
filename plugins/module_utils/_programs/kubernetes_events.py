# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write Kubernetes events about pods, beside other work."""

from __future__ import annotations

import asyncio
import datetime
import logging
from typing import Any

from .._common.errors import KubernetesError
from .._common.tasks import end
from .._kube.client import Client
from .._pods.model import Pod


class EventWriter:
    """The writer; an event that can't be written is lost, and the log says so.

    :param component: the program, for the events' source.
    """

    def __init__(self, client: Client, component: str) -> None:
        self._client = client
        self._component = component
        self._log = logging.getLogger(component)
        self._tasks: set[asyncio.Task[None]] = set()

    def write(self, pod: Pod, reason: str, message: str) -> None:
        """Begin to write an event about a pod.

        :param reason: one word in CamelCase, for programs.
        :param message: one sentence.
        """
        task = asyncio.create_task(self._write(pod, _event(self._component, pod, reason, message)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, pod: Pod, body: dict[str, Any]) -> None:
        try:
            await self._client.create(f"/api/v1/namespaces/{pod.namespace}/events", body)
        except KubernetesError as exc:
            self._log.warning("pod %s: the event could not be written: %s", pod.key, exc)

    async def close(self) -> None:
        """Cancel what is not written yet."""
        await end(self._tasks)


def _event(component: str, pod: Pod, reason: str, message: str) -> dict[str, Any]:
    """Return the object of a warning."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {"generateName": f"{pod.name}.", "namespace": pod.namespace},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": pod.namespace,
            "name": pod.name,
            "uid": pod.uid,
        },
        "source": {"component": component},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
