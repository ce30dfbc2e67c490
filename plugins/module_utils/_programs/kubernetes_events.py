# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write Kubernetes events, after other work and at a limited rate.

Of one thing said about one object there is one event: its name follows from what it says, so that a program which
starts anew or takes over repeats none. Of objects of one kind in one namespace about which the same is to be said, some
get events at once; an event about one of them has the number of the others.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from .._common.errors import APIRefused, APIUnreachable, KubernetesError
from .._common.retry import Pause, wait_until_async
from .._common.tasks import end
from .._kube.client import Client
from .._kube.reference import Reference

NAMESPACE = "default"  # of events about objects that have none
LONGEST_LINE = 250  # events that wait in one line
LONGEST_QUEUE = 1000  # events that wait
BURST, RATE = 25, 20.0  # events at once, and then in a second
PATIENCE = 1.0  # seconds for which one event waits for other work, at most
LOOK = Pause(0.02)  # between two looks whether that is done
AWAY = Pause(1.0, longest=30.0, jitter=0.3)  # after an attempt that the API server did not answer
LONGEST = 1000  # characters of a message; kubectl shows 1,024 (NoteLengthLimit of events.k8s.io)
LONGEST_NAME = 253  # characters of an object's name (RFC 1123 subdomain)


class Line(NamedTuple):
    """Events of one reason about objects of one kind in one namespace."""

    namespace: str
    kind: str
    reason: str


class Event(NamedTuple):
    """An event that is to be written."""

    about: Reference
    reason: str
    message: str
    others: int = 0

    @property
    def text(self) -> str:
        """Return the message with the number of other objects."""
        if not self.others:
            return self.message[:LONGEST]
        end_of_text = f" (and so for {self.others} more of these objects)"
        return self.message[: LONGEST - len(end_of_text)] + end_of_text


class Queue:
    """Events that wait. The lines have turns: thousands of objects of one namespace hold up no other's event.

    :ivar left_out: events that had no place.
    """

    def __init__(self) -> None:
        self.left_out = 0
        self._lines: dict[Line, dict[Reference, str]] = {}  # the one whose turn it is comes first
        self._others: dict[Line, int] = {}  # line -> objects whose events had no place
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, about: Reference, reason: str, message: str) -> bool:
        """Add an event; return whether there is a place for it. Of one object and reason the last message counts."""
        line = Line(about.namespace, about.kind, reason)
        waiting = self._lines.get(line, {})
        if about not in waiting and not self._has_place(waiting):
            self.left_out += 1
            if waiting:
                self._others[line] = self._others.get(line, 0) + 1
            return False
        self._length += about not in waiting
        self._lines.setdefault(line, waiting)[about] = message
        return True

    def _has_place(self, waiting: Mapping[Reference, str]) -> bool:
        """Return whether a line may get one more event. In a full queue the longest line makes room."""
        if len(waiting) >= LONGEST_LINE:
            return False
        if len(self) < LONGEST_QUEUE:
            return True
        longest = max(self._lines, key=lambda line: len(self._lines[line]))
        if len(self._lines[longest]) == 1:
            return False
        self._lines[longest].popitem()
        self._others[longest] = self._others.get(longest, 0) + 1
        self._length -= 1
        self.left_out += 1
        return True

    def take(self) -> Event:
        """Return the next event. The last one of a line tells how many had no place in it."""
        line = next(iter(self._lines))
        waiting = self._lines.pop(line)
        about = next(iter(waiting))
        message = waiting.pop(about)
        self._length -= 1
        if waiting:
            self._lines[line] = waiting
            return Event(about, line.reason, message)
        return Event(about, line.reason, message, self._others.pop(line, 0))

    def put_back(self, event: Event) -> None:
        """Add an event that was taken, and could not be written, where nothing newer is to be said."""
        about, reason, message, others = event
        line = Line(about.namespace, about.kind, reason)
        if about not in self._lines.get(line, {}):
            self.put(about, reason, message)
        if others and line in self._lines:
            self._others[line] = self._others.get(line, 0) + others


class EventWriter:
    """The writer. An event waits while the API server is away; one that it refuses is lost, and the log says so.

    :param component: the program, for the events' source.
    :param is_busy: returns whether other work comes first.
    """

    def __init__(self, client: Client, component: str, is_busy: Callable[[], bool] = lambda: False) -> None:
        self.queue = Queue()
        self._client = client
        self._component = component
        self._is_busy = is_busy
        self._log = logging.getLogger(component)
        self._task: asyncio.Task[None] | None = None  # ends when no event waits
        self._credit = float(BURST)
        self._credited = 0.0

    def __len__(self) -> int:
        """How many events wait or are being written."""
        return len(self.queue) + (self._task is not None and not self._task.done())

    def write(self, about: Reference, reason: str, message: str) -> None:
        """Begin to write an event.

        :param reason: one word in CamelCase, for programs.
        :param message: one sentence; its end is cut off where it is too long.
        """
        if not self.queue.put(about, reason, message) and self.queue.left_out & (self.queue.left_out - 1) == 0:
            # At 1, 2, 4, 8, ... of them.
            self._log.warning("%s: too many events wait: %s is left out", about, reason)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        failures = 0
        while self.queue:
            await self._wait_for_turn()
            event = self.queue.take()
            try:
                await self._write(event)
                failures = 0
            except APIUnreachable as exc:
                if not failures:
                    self._log.warning("events wait: %s", exc)
                self.queue.put_back(event)
                await asyncio.sleep(AWAY.seconds(failures))
                failures += 1
            except KubernetesError as exc:
                self._log.warning("%s: the event %s could not be written: %s", event.about, event.reason, exc)

    async def _wait_for_turn(self) -> None:
        """Wait until other work is done, or has taken long, and the rate allows one more event."""
        now = asyncio.get_running_loop().time
        self._credit = min(BURST, self._credit + (now() - self._credited) * RATE)
        self._credited = now()
        if self._credit < 1:
            await asyncio.sleep((1 - self._credit) / RATE)
        self._credit -= 1

        async def is_idle() -> bool:
            return not self._is_busy()

        await asyncio.sleep(0)  # what has asked for the event goes on first
        await wait_until_async(is_idle, PATIENCE, LOOK)

    async def _write(self, event: Event) -> None:
        """Write an event; where it was written before, its time becomes new.

        :raises KubernetesError: it can't be done.
        """
        body = _event(self._component, event)
        path = f"/api/v1/namespaces/{body['metadata']['namespace']}/events"
        try:
            await self._client.create(path, body)
        except APIRefused as exc:
            if exc.status != HTTPStatus.CONFLICT:
                raise
            times = {"lastTimestamp": body["lastTimestamp"], "message": body["message"]}
            await self._client.patch(f"{path}/{body['metadata']['name']}", times)

    async def close(self) -> None:
        """Cancel what is not written yet."""
        if self._task is not None:
            await end([self._task])


def _event(component: str, event: Event) -> dict[str, Any]:
    """Return the object of a warning."""
    about = event.about
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    involved = {"apiVersion": about.api_version, "kind": about.kind, "name": about.name, "uid": about.uid}
    if about.namespace:
        involved["namespace"] = about.namespace
    said = "\n".join((*about, event.reason, event.message))
    end_of_name = "." + hashlib.sha256(said.encode()).hexdigest()[:16]
    return {
        "metadata": {
            "name": about.name[: LONGEST_NAME - len(end_of_name)].rstrip(".-") + end_of_name,
            "namespace": about.namespace or NAMESPACE,
        },
        "type": "Warning",
        "reason": event.reason,
        "message": event.text,
        "involvedObject": involved,
        "source": {"component": component},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
