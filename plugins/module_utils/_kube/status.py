# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write the ``status`` of objects by the API server: what is new, one request at a time for each object."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from .._common.errors import APIRefused, KubernetesError
from .._common.retry import Pause
from .._common.tasks import end

if TYPE_CHECKING:
    from typing import Protocol

    class PatchClient(Protocol):
        """What is used of :class:`.client.Client`."""

        async def patch(self, path: str, body: dict[str, Any]) -> object:
            """Send a merge patch. :raises KubernetesError: when it is not done."""


LOG = logging.getLogger("kubernetes")
CONCURRENT = 4  # requests at one time
PAUSE = Pause(0.5, longest=30.0, jitter=0.3)
# The object is gone or was changed, which the watch tells; or it does not take the status, and never will.
GIVEN_UP = (
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
)


class StatusWriter:
    """The writer of statuses.

    :param acts: returns whether this program acts: others write nothing.
    """

    def __init__(self, client: PatchClient, acts: Callable[[], bool]) -> None:
        self._client = client
        self._acts = acts
        self._desired: dict[str, dict[str, Any]] = {}  # path -> what is to be written, or is being written
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._limit = asyncio.Semaphore(CONCURRENT)

    def __len__(self) -> int:
        """How many statuses are being written."""
        return len(self._tasks)

    def write(self, path: str, status: dict[str, Any]) -> None:
        """Write a status.

        :param path: of the object's ``status``.
        """
        self._desired[path] = status
        if path not in self._tasks:
            self._tasks[path] = asyncio.create_task(self._write(path))

    def forget(self, path: str) -> None:
        """Do not write to an object that is gone, or has the status already."""
        self._desired.pop(path, None)

    async def _write(self, path: str) -> None:
        attempt = 0
        try:
            while self._acts() and path in self._desired:
                status = self._desired[path]
                try:
                    async with self._limit:
                        await self._client.patch(path, {"status": status})
                except KubernetesError as exc:
                    if not (isinstance(exc, APIRefused) and exc.status in GIVEN_UP):
                        LOG.warning("%s: %s; trying again", path, exc)
                        await asyncio.sleep(PAUSE.seconds(attempt))
                        attempt += 1
                        continue
                    LOG.info("%s: %s", path, exc)
                if self._desired.get(path) is status:
                    del self._desired[path]
        finally:
            self._tasks.pop(path, None)
            if not self._acts():
                self._desired.pop(path, None)

    async def close(self) -> None:
        """Cancel what is not written yet."""
        await end(list(self._tasks.values()))
