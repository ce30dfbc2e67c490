# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write the ``status`` of objects by the API server: only what is new, the last one of each object, few at a time."""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from .._common.errors import APIRefused, KubernetesError
from .._common.retry import Pause
from .._common.tasks import end

if TYPE_CHECKING:
    from typing import Protocol

    class StatusClient(Protocol):
        """What is used of :class:`.client.Client`."""

        async def patch(self, path: str, body: dict[str, Any]) -> object:
            """Send a merge patch. :raises KubernetesError: when it is not done."""

        async def apply(self, path: str, body: dict[str, Any], manager: str) -> object:
            """Apply an object on the server. :raises KubernetesError: when it is not done."""


LOG = logging.getLogger("kubernetes")
MANAGER = "ovn-k8s-watcher"  # of the fields that are applied
LONGEST = 1000  # characters of a message
CONCURRENT = 4  # requests at one time
APART = 0.05  # seconds from one request of a place to the next
AGAIN = Pause(1.0, longest=60.0, jitter=0.3)  # after an attempt that failed
REFUSED = Pause(600.0, jitter=0.3)  # after many that the API server has refused, for a right that comes later
ATTEMPTS = 10  # that count as many
NOT_ALLOWED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
# The object is gone or was changed, which the watch tells; or it does not take the status, and never will.
GIVEN_UP = (
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
)


def now() -> str:
    """Return the time as objects have it (metav1.Time: RFC 3339, in UTC)."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Desired(NamedTuple):
    says: object
    body: dict[str, Any]
    is_applied: bool


class StatusWriter:
    """The writer of statuses, of all kinds of objects.

    ``path`` is that of an object. ``says`` is what its status is to say, and ``told`` what it says already, both
    without what does not count, such as times: where they are equal nothing is written.

    A status that somebody else changes, such as the program that acted before and was late, is written again: at once,
    and after a pause where it happens again and again.

    :param acts: returns whether this program acts: others write nothing.
    """

    def __init__(self, client: StatusClient, acts: Callable[[], bool]) -> None:
        self._client = client
        self._acts = acts
        self._desired: dict[str, _Desired] = {}  # path -> what is to be written, or is being written
        self._written: dict[str, object] = {}  # path -> what was written, until it is known that the object says so
        self._said: dict[str, _Desired] = {}  # path -> what its status must say as long as this program acts
        self._repeated: dict[str, int] = {}  # path -> how often the same was written again
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._pausing: set[str] = set()  # paths whose task has not begun
        self._ending: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(CONCURRENT)
        self._is_refused = False

    def __len__(self) -> int:
        """How many statuses are being written."""
        return len(self._tasks)

    def merge(self, path: str, uid: str, status: Mapping[str, Any], says: object, told: object) -> None:
        """Merge something into the status of an object (RFC 7386).

        :param uid: of the object: another one with its name gets nothing.
        """
        self._write(path, _Desired(says, {"metadata": {"uid": uid}, "status": dict(status)}, False), told)

    def apply(self, path: str, body: dict[str, Any], says: object, told: object) -> None:
        """Set fields of a status by server-side apply, so that those of others stay.

        :param body: the object, with what is applied.
        """
        self._write(path, _Desired(says, body, True), told)

    def forget(self, path: str) -> None:
        """Do not write to an object that was deleted."""
        for known in (self._desired, self._written, self._said, self._repeated):
            known.pop(path, None)

    def seen(self, path: str, told: object) -> None:
        """Take in what the status of an object says now: where it is not what it must say, it is written again."""
        new = self._said.get(path)
        if new is not None:
            self._write(path, new, told)

    def confirm(self, path: str) -> None:
        """Take in that an object says what was written last: where it says something else later, that is new."""
        self._written.pop(path, None)

    def begin(self) -> None:
        """Forget what was written: another program may have written something else since."""
        self._forget_all()

    def stop(self) -> None:
        """Write nothing more, also of what is on its way: another program may act now."""
        for path in list(self._tasks):
            self._cancel(path)
        self._desired.clear()
        self._forget_all()

    def _cancel(self, path: str) -> None:
        task = self._tasks.pop(path)
        self._pausing.discard(path)
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _forget_all(self) -> None:
        for known in (self._written, self._said, self._repeated):
            known.clear()

    def _write(self, path: str, new: _Desired, told: object) -> None:
        before = self._said.get(path)
        if self._acts():
            self._said[path] = new
        if before is not None and before.says != new.says:
            self._repeated.pop(path, None)
        if path in self._pausing and before is not None and before.says != new.says:
            self._cancel(path)  # something new does not wait
        if path in self._tasks:
            if path not in self._desired or self._desired[path].says != new.says:
                self._desired[path] = new  # also where the object says so: what is on its way may be something else
            return
        if new.says == told:
            self._written.pop(path, None)
        elif self._acts() and self._written.get(path) != new.says:
            self._desired[path] = new
            repeated = 0
            if before is not None and before.says == new.says:
                repeated = self._repeated[path] = self._repeated.get(path, 0) + 1
            self._tasks[path] = asyncio.create_task(self._run(path, AGAIN.seconds(repeated - 2) if repeated > 1 else 0))

    async def _run(self, path: str, pause: float) -> None:
        failures = 0
        try:
            if pause:
                self._pausing.add(path)
                await asyncio.sleep(pause)
                self._pausing.discard(path)
            while self._acts() and path in self._desired:
                new = self._desired[path]
                try:
                    if not await self._send(path, new):
                        return
                except KubernetesError as exc:
                    failures += 1
                    if not isinstance(exc, APIRefused) or exc.status not in GIVEN_UP:
                        self._log(path, exc)
                        is_refused = isinstance(exc, APIRefused) and exc.status in NOT_ALLOWED
                        waits = REFUSED if is_refused and failures >= ATTEMPTS else AGAIN
                        await asyncio.sleep(waits.seconds(failures - 1))
                        continue
                    LOG.info("the status of %s is not written: %s", path, exc)
                else:
                    failures, self._is_refused = 0, False
                    if path in self._desired:
                        self._written[path] = new.says
                if self._desired.get(path) is new:
                    del self._desired[path]
        finally:
            if self._tasks.get(path) is asyncio.current_task():  # else it was stopped, and another may have begun
                del self._tasks[path]
                self._desired.pop(path, None)
                self._pausing.discard(path)

    async def _send(self, path: str, new: _Desired) -> bool:
        """Send a status; return False where this program acts no more."""
        async with self._places:
            if not self._acts():
                return False
            if new.is_applied:
                await self._client.apply(f"{path}/status", new.body, MANAGER)
            else:
                await self._client.patch(f"{path}/status", new.body)
            await asyncio.sleep(APART)
        return True

    def _log(self, path: str, exc: KubernetesError) -> None:
        """Say once that statuses wait, until one is written."""
        if not self._is_refused:
            LOG.warning("statuses wait, of %s for example: %s", path, exc)
        self._is_refused = True

    async def close(self) -> None:
        """Cancel what is not written yet."""
        await end([*self._tasks.values(), *self._ending])
