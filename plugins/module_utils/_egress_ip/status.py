# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The status of EgressIP objects: who holds which address, and what is refused. It is written where it differs."""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .._common.errors import APIRefused, KubernetesError
from .._common.retry import Pause
from .model import PATH, EgressIP

if TYPE_CHECKING:
    from typing import Any, Protocol

    class PatchClient(Protocol):
        """What is used of the client."""

        async def patch(self, path: str, body: dict[str, Any]) -> object:
            """Send a merge patch. :raises KubernetesError: when it is not done."""


LOG = logging.getLogger("ovn-k8s-watcher")
GATHER = 0.1  # seconds in which further changes of an object are taken along
AGAIN = Pause(1.0, longest=60.0, jitter=0.3)
LONGEST = 1000  # characters of a message
Condition = tuple[str, str, str, str]  # type, status, reason, message


def conditions(refused: str, not_held: str) -> tuple[Condition, ...]:
    """Return the conditions of an object.

    :param refused: what is not served, in words; empty: all is.
    :param not_held: what nobody holds, in words; empty: all is held.
    """
    return (
        ("Accepted", "False", "PartRefused", refused[:LONGEST]) if refused else ("Accepted", "True", "Accepted", ""),
        ("Held", "False", "NotHeld", not_held[:LONGEST]) if not_held else ("Held", "True", "Held", ""),
    )


class StatusWriter:
    """The writer: for each object one attempt at a time, and the newest status only.

    :param acts: returns whether this watcher acts.
    """

    def __init__(self, client: PatchClient, acts: Callable[[], bool]) -> None:
        self._client = client
        self._acts = acts
        self._wanted: dict[str, dict[str, Any]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        """How many statuses are being written."""
        return len(self._tasks)

    def forget(self, name: str) -> None:
        """Write nothing more of an object that was deleted."""
        self._wanted.pop(name, None)

    def write(self, one: EgressIP, items: Sequence[tuple[str, str]], told: Sequence[Condition]) -> None:
        """Begin to write a status, where it is another one than the object has.

        :param items: pairs of address and node.
        """
        if tuple(items) == one.items and tuple(sorted(told)) == one.conditions:
            self._wanted.pop(one.name, None)
            return
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = {
            "items": [{"node": node, "egressIP": ip} for ip, node in items],
            "conditions": [
                {"type": kind, "status": state, "reason": reason, "message": message, "lastTransitionTime": now}
                for kind, state, reason, message in told
            ],
        }
        self._wanted[one.name] = {"metadata": {"uid": one.uid}, "status": status}
        if one.name not in self._tasks:
            self._tasks[one.name] = asyncio.ensure_future(self._write(one.name))

    async def _write(self, name: str) -> None:
        attempt = 0
        try:
            while name in self._wanted and self._acts():
                await asyncio.sleep(GATHER if not attempt else AGAIN.seconds(attempt))
                body = self._wanted.pop(name, None)
                if body is None:
                    return
                try:
                    await self._client.patch(f"{PATH}/{name}/status", body)
                    attempt = 0
                except KubernetesError as exc:
                    attempt += 1
                    LOG.warning("egressip %s: its status can't be written: %s", name, exc)
                    if not isinstance(exc, APIRefused):
                        self._wanted.setdefault(name, body)
        finally:
            self._tasks.pop(name, None)

    async def close(self) -> None:
        """Cancel what is not written."""
        for task in list(self._tasks.values()):
            task.cancel()
