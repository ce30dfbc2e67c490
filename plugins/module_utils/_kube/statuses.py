# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write the status of objects: the last one counts, and one that is written already is not written again."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from .._common.errors import APIRefused, KubernetesError
from .._common.retry import Pause
from .._common.tasks import end

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .client import Client

LOG = logging.getLogger("kubernetes")
AGAIN = Pause(1.0, longest=60.0, jitter=0.3)  # after an attempt that failed
ATTEMPTS = 10  # of one that the API server refuses
GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)  # the object was deleted, or another one has its name


class ObjectStatuses:
    """The writer: one object after the other."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: dict[str, dict[str, Any]] = {}  # path -> patch
        self._written: dict[str, dict[str, Any]] = {}
        self._task: asyncio.Task[None] | None = None  # ends when nothing waits

    def __len__(self) -> int:
        """How many statuses wait or are being written."""
        return len(self._waiting) + (self._task is not None and not self._task.done())

    def write(self, path: str, uid: str, status: dict[str, Any], current: Mapping[str, Any]) -> None:
        """Begin to write the status of an object.

        :param path: of the object.
        :param uid: of the object: another one with its name gets nothing.
        :param status: what is merged into it (RFC 7386).
        :param current: what it has, of the same keys.
        """
        body = {"metadata": {"uid": uid}, "status": status}
        if status == current and path not in self._waiting:
            self._written[path] = body
        if self._waiting.get(path, self._written.get(path)) == body:
            return
        self._waiting[path] = body
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def forget(self, path: str) -> None:
        """Forget an object that was deleted."""
        self._waiting.pop(path, None)
        self._written.pop(path, None)

    def forget_all(self) -> None:
        """Forget what was written: another program may have written something else."""
        self._written.clear()

    async def _run(self) -> None:
        failures: dict[str, int] = {}
        while self._waiting:
            path = next(iter(self._waiting))
            body = self._waiting.pop(path)
            try:
                await self._client.patch(f"{path}/status", body)
            except KubernetesError as exc:
                count = failures[path] = failures.get(path, 0) + 1
                if isinstance(exc, APIRefused) and (exc.status in GONE or count >= ATTEMPTS):
                    LOG.warning("the status of %s could not be written: %s", path, exc)
                    continue
                self._waiting.setdefault(path, body)
                await asyncio.sleep(AGAIN.seconds(count - 1))
                continue
            failures.pop(path, None)
            self._written[path] = body

    async def close(self) -> None:
        """Cancel what is not written yet."""
        if self._task is not None:
            await end([self._task])
