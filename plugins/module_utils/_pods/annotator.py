# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write pods' annotations by the API server, many at a time, and again after a failure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol

from .._common.errors import APIRefused, KubernetesError
from .._common.retry import Pause
from .annotation import PodAnnotations
from .model import Pod

LOG = logging.getLogger("ovn-k8s-watcher")
CONCURRENT_PATCHES = 32  # requests to the API server at one time
PAUSE = Pause(0.2, longest=5.0)  # between two attempts for one pod
# The pod is gone, or it is another one of this name: the watch tells that in a moment.
EXPECTED_REFUSALS = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


class PatchClient(Protocol):
    """What is used of :class:`._kube.client.Client`."""

    async def patch(self, path: str, body: dict[str, Any]) -> Any:
        """Send a merge patch. :raises KubernetesError: when it is not done."""


class Annotator:
    """The writer of annotations.

    :param pods: key -> pod, the informer's store. A written pod is updated there, so that the watch's echo is no
        change.
    :param on_written: called with the key of a pod when its annotations are written.
    :param plan_again: called with a pod's key, and seconds: the pod has to be looked at again after that.

    :ivar written: how many pods were annotated.
    :ivar failures: how many attempts failed.
    """

    def __init__(
        self,
        client: PatchClient,
        pods: MutableMapping[str, Pod],
        on_written: Callable[[str], object],
        plan_again: Callable[[str, float], object],
    ) -> None:
        self.written = 0
        self.failures = 0
        self._client = client
        self._pods = pods
        self._on_written = on_written
        self._plan_again = plan_again
        self._tasks: dict[str, asyncio.Task[None]] = {}  # key of a pod -> the attempt under way
        self._attempts: dict[str, int] = {}  # key -> failed attempts
        self._limit = asyncio.Semaphore(CONCURRENT_PATCHES)

    def __len__(self) -> int:
        """How many annotations are being written."""
        return len(self._tasks)

    def __contains__(self, key: str) -> bool:
        """Whether a pod's annotations are being written."""
        return key in self._tasks

    def forget(self, key: str) -> None:
        """Forget the failures of a pod that was deleted."""
        self._attempts.pop(key, None)

    def write(self, pod: Pod, annotations: PodAnnotations) -> None:
        """Begin to write a pod's annotations."""
        self._tasks[pod.key] = asyncio.create_task(self._write(pod, annotations))

    async def _write(self, pod: Pod, annotations: PodAnnotations) -> None:
        key = pod.key
        attempts = self._attempts.pop(key, 0)
        pause: float | None = None
        try:
            await self._patch(pod, annotations)
            LOG.info("pod %s: annotated %s", key, annotations.network)
            current = self._pods.get(key)
            if current is pod:
                texts = pod.annotations._replace(
                    network=annotations.network, networks=annotations.networks, uid=annotations.uid
                )
                self._pods[key] = pod._replace(annotations=texts)
            elif current is not None:
                pause = 0.0  # it has changed meanwhile
        except APIRefused as exc:
            pause = self._failed(key, exc, attempts, exc.status not in EXPECTED_REFUSALS)
        except KubernetesError as exc:
            pause = self._failed(key, exc, attempts, attempts == 0)
        finally:
            del self._tasks[key]
        if pause is not None and key in self._pods:
            self._plan_again(key, pause)

    async def _patch(self, pod: Pod, annotations: PodAnnotations) -> None:
        """Send the request; with the UID in it the API server refuses it for another pod of this name."""
        body = {"metadata": {"uid": pod.uid, "annotations": annotations.written}}
        async with self._limit:
            await self._client.patch(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/status", body)
        self.written += 1
        self._on_written(pod.key)

    def _failed(self, key: str, error: KubernetesError, attempts: int, report: bool) -> float:
        """Count a failed attempt; return the seconds until the next one."""
        self.failures += 1
        if key in self._pods:
            self._attempts[key] = attempts + 1
        if report:
            LOG.warning("pod %s: %s", key, error)
        return PAUSE.seconds(attempts)
