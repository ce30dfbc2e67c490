# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write to cluster network policies what became of them: the condition ``Enforced`` of their status.

One condition of an object is written at a time, and only where it says something else. It is set by server-side apply,
so that conditions of others stay.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

from .._common.errors import APIRefused, APIUnreachable, KubernetesError
from .._common.retry import Pause
from .._common.tasks import end
from .cluster_model import COLLECTION, CONDITION, GROUP, KIND, ClusterPolicy, Condition

LOG = logging.getLogger("ovn-k8s-watcher")
MANAGER = "ovn-k8s-watcher"
LONGEST = 1000  # characters of a message
AWAY = Pause(1.0, longest=30.0, jitter=0.3)  # after an attempt that the API server did not answer
APART = 0.05  # seconds between two of them


class ApplyClient(Protocol):
    """What is used of :class:`._kube.client.Client`."""

    async def apply(self, path: str, body: dict[str, Any], manager: str) -> object:
        """Apply an object. :raises KubernetesError: when it is not done."""


class StatusWriter:
    """The writer.

    :param policies: name -> policy, the informer's store.
    :param is_active: returns whether this program acts; else it writes nothing.
    """

    def __init__(
        self, client: ApplyClient, policies: Mapping[str, ClusterPolicy], is_active: Callable[[], bool]
    ) -> None:
        self._client = client
        self._policies = policies
        self._is_active = is_active
        self._wanted: dict[str, Condition] = {}
        self._task: asyncio.Task[None] | None = None  # ends when nothing waits

    def __len__(self) -> int:
        """How many conditions wait or are being written."""
        return len(self._wanted) + (self._task is not None and not self._task.done())

    def tell(self, policy: ClusterPolicy, reason: str, problem: str, success: str) -> None:
        """Say what became of a policy.

        :param reason: of the problem, or of the success.
        :param problem: what is not as it says; empty: all is.
        """
        text = (problem or success)[:LONGEST]
        found = Condition("False" if problem else "True", reason, text, policy.generation)
        if found.says_the_same(policy.condition):
            self._wanted.pop(policy.name, None)
            return
        self._wanted[policy.name] = found
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        failures = 0
        while self._wanted and self._is_active():
            name, found = next(iter(self._wanted.items()))
            policy = self._policies.get(name)
            try:
                if policy is not None:
                    await self._write(policy, found)
                failures = 0
            except APIUnreachable as exc:
                if not failures:
                    LOG.warning("conditions of policies wait: %s", exc)
                await asyncio.sleep(AWAY.seconds(failures))
                failures += 1
                continue
            except KubernetesError as exc:
                if not (isinstance(exc, APIRefused) and exc.status == HTTPStatus.NOT_FOUND):
                    LOG.warning("clusternetworkpolicy %s: its condition could not be written: %s", name, exc)
            if self._wanted.get(name) is found:
                del self._wanted[name]
            await asyncio.sleep(APART)
        self._wanted.clear()

    async def _write(self, policy: ClusterPolicy, found: Condition) -> None:
        await self._client.apply(
            f"/apis/{GROUP}/{policy.version}/{COLLECTION}/{policy.name}/status", body_of(policy, found), MANAGER
        )

    async def close(self) -> None:
        """Cancel what is not written yet."""
        if self._task is not None:
            await end([self._task])


def body_of(policy: ClusterPolicy, found: Condition) -> dict[str, Any]:
    """Return the part of an object that is applied. The time changes with the condition's status only
    (metav1.Condition).
    """
    known = policy.condition
    since = known.since if known is not None and known.status == found.status else ""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": f"{GROUP}/{policy.version}",
        "kind": KIND,
        "metadata": {"name": policy.name},
        "status": {
            "conditions": [
                {
                    "type": CONDITION,
                    "status": found.status,
                    "reason": found.reason,
                    "message": found.message,
                    "observedGeneration": found.generation,
                    "lastTransitionTime": since or now,
                }
            ]
        },
    }
