# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write pods' annotations by the API server, many at a time, and again after a failure."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol

from .._common.errors import APIRefused, KubernetesError
from .._common.retry import Pause
from .._reconcile.retries import Failure, after
from .annotation import PodAnnotations
from .model import Pod

LOG = logging.getLogger("ovn-k8s-watcher")
CONCURRENT_PATCHES = 32  # requests to the API server at one time
PAUSE = Pause(0.2, longest=5.0)  # between two attempts for one pod
# Where only another change of the pod helps. One that makes room for annotations is heard (Pod.crowding); what else the
# API server may refuse is tried again after the pause.
PAUSE_OF_THE_OBJECT = Pause(0.2, longest=60.0)
ADVICE = "remove annotations of the pod: together they may have 256 KiB"
# The pod is gone, or it is another one of this name: the watch tells that in a moment.
EXPECTED_REFUSALS = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
# What is wrong is the pod's own: its author has to mend it.
OF_THE_OBJECT = (
    *EXPECTED_REFUSALS,
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


class PatchClient(Protocol):
    """What is used of :class:`._kube.client.Client`."""

    async def patch(self, path: str, body: dict[str, Any]) -> object:
        """Send a merge patch. :raises KubernetesError: when it is not done."""


class Annotator:
    """The writer of annotations.

    :param pods: key -> pod, the informer's store. A written pod is updated there, so that the watch's echo is no
        change.
    :param on_written: called with a pod when its annotations are written.
    :param plan_again: called with a pod's key, and seconds: the pod has to be looked at again after that.
    :param on_refused: called with a pod's key and a reason when the API server refuses its object; once for each new
        reason.

    :ivar written: how many pods were annotated.
    :ivar failures: how many attempts failed.
    :ivar failing: key -> failed attempts in a row.
    """

    def __init__(
        self,
        client: PatchClient,
        pods: MutableMapping[str, Pod],
        on_written: Callable[[Pod], object],
        plan_again: Callable[[str, float], object],
        on_refused: Callable[[str, str], object],
    ) -> None:
        self.written = 0
        self.failures = 0
        self.failing: dict[str, Failure] = {}
        self._client = client
        self._pods = pods
        self._on_written = on_written
        self._plan_again = plan_again
        self._on_refused = on_refused
        self._tasks: dict[str, asyncio.Task[None]] = {}  # key of a pod -> the attempt under way
        self._written: dict[str, PodAnnotations] = {}  # key -> what is being written
        self._again: set[str] = set()  # keys for which something else is desired by now
        self._limit = asyncio.Semaphore(CONCURRENT_PATCHES)

    def __len__(self) -> int:
        """How many annotations are being written."""
        return len(self._tasks)

    def __contains__(self, key: str) -> bool:
        """Whether a pod's annotations are being written."""
        return key in self._tasks

    def is_echo(self, key: str, annotations: PodAnnotations) -> bool:
        """Return whether annotations are those that are being written: the watch often tells of them before the reply
        comes.
        """
        written = self._written.get(key)
        return written is not None and annotations.written == written.written

    def forget(self, key: str) -> None:
        """Forget the failures of a pod that was deleted, or is as desired."""
        self.failing.pop(key, None)

    def write(self, pod: Pod, annotations: PodAnnotations) -> None:
        """Begin to write a pod's annotations; where others are being written, look at the pod again afterwards."""
        if pod.key not in self._tasks:
            self._written[pod.key] = annotations
            self._tasks[pod.key] = asyncio.create_task(self._write(pod, annotations))
        elif annotations != self._written[pod.key]:
            self._again.add(pod.key)

    async def _write(self, pod: Pod, annotations: PodAnnotations) -> None:
        key = pod.key
        pause: float | None = None
        try:
            await self._patch(pod, annotations)
            LOG.info("pod %s: annotated %s", key, annotations.network)
            self.forget(key)
            current = self._pods.get(key)
            if current is pod:
                texts = pod.annotations._replace(
                    network=annotations.network, networks=annotations.networks, uid=annotations.uid
                )
                self._pods[key] = pod._replace(annotations=texts)
            elif current is not None and current.annotations.written != annotations.written:
                pause = 0.0  # it has changed meanwhile
            if key in self._again:
                pause = 0.0
        except KubernetesError as exc:
            pause = self._failed(key, exc)
            if pod.is_annotated and _is_refused(exc):
                await self._withdraw(pod)
            current = self._pods.get(key)
            if current is not None and current.crowding != pod.crowding:
                pause = 0.0  # it has changed meanwhile
        finally:
            del self._tasks[key], self._written[key]
            self._again.discard(key)
        if pause is not None and key in self._pods:
            self._plan_again(key, pause)

    async def _patch(self, pod: Pod, annotations: PodAnnotations) -> None:
        """Write annotations."""
        await self._send(pod, annotations)
        self.written += 1
        self._on_written(pod)

    async def _withdraw(self, pod: Pod) -> None:
        """Remove the annotations of a pod that seem to be its own, and can't be replaced: its node would believe what
        its user has written there, when he has filled the others so that there is no room for more.
        """
        with contextlib.suppress(KubernetesError):
            await self._send(pod, PodAnnotations())

    async def _send(self, pod: Pod, annotations: PodAnnotations) -> None:
        """Send the request; with the UID in it the API server refuses it for another pod of this name."""
        body = {"metadata": {"uid": pod.uid, "annotations": annotations.written}}
        async with self._limit:
            await self._client.patch(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/status", body)

    def _failed(self, key: str, error: KubernetesError) -> float:
        """Count a failed attempt, and report a new reason; return the seconds until the next attempt."""
        self.failures += 1
        before, reason = self.failing.get(key), str(error)
        attempts = before.attempts if before else 0
        is_expected = isinstance(error, APIRefused) and error.status in EXPECTED_REFUSALS
        is_of_the_pod = _is_of_the_pod(error)
        if key in self._pods:
            self.failing[key] = after(before, reason, is_of_the_pod)
            if not is_expected and (before is None or before.reason != reason):
                LOG.warning("pod %s: %s", key, reason)
                if is_of_the_pod:
                    self._on_refused(key, f"its annotations can't be written: {reason}; {ADVICE}")
        pause = PAUSE_OF_THE_OBJECT if _is_refused(error) else PAUSE
        return pause.seconds(attempts)


def _is_of_the_pod(error: KubernetesError) -> bool:
    """Return whether the API server refuses this pod's object, for example because its annotations are too large, and
    not the watcher's requests.
    """
    return isinstance(error, APIRefused) and error.status in OF_THE_OBJECT


def _is_refused(error: KubernetesError) -> bool:
    """Return whether the pod is still there, and its own object is refused."""
    return _is_of_the_pod(error) and not (isinstance(error, APIRefused) and error.status in EXPECTED_REFUSALS)
