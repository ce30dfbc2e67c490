# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The objects of one kind in memory, kept up to date: list, then watch, for ever (Kubernetes, "Efficient detection of
changes").

Objects are reduced to what is used as they come. An object that can't be used is reported and left out; the others are
kept.
After an outage only what differs is reported as a change.

After each lost connection, and now and then, it is checked that the server still has the history of the last watch
(:mod:`.history`); else everything is listed anew.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Generic, TypeVar

from .._common.errors import APIRefused, APIUnreachable, KubernetesError
from .._common.retry import Pause
from .._common.tasks import end
from .client import SHORT_WATCH
from .history import History
from .servers import LONGEST_RETRY_AFTER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    from .client import Client

LOG = logging.getLogger("kubernetes")
T = TypeVar("T")

RETRY_PAUSE = Pause(0.2, longest=10.0, jitter=0.5)
LONG_WATCH = 10.0  # seconds after which a failed watch counts as one that worked
WATCH_SECONDS = (300, 600)  # a random time between them, so that watches do not end together
COMPARE_SECONDS = (45.0, 75.0)  # a random time between them, between two comparisons of versions
OPTIONAL_PAUSE = Pause(60.0, jitter=0.5)  # until a kind is asked for again that the server does not show
SHOWN = 300  # characters of what is wrong with an object, which may have a user's text
NOT_ALLOWED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
NOT_SHOWN = (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN)
EXPIRED = ("Expired", "Gone")  # reasons of a Status with which a watch ends when its version is too old


def key_of(item: Mapping[str, Any]) -> str:
    """Return ``namespace/name``, or ``name`` of an object without a namespace."""
    meta = item["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else str(meta["name"])


class Informer(Generic[T]):
    """The objects of one kind.

    :param path: of the collection, for example ``/api/v1/pods``.
    :param from_object: returns what is kept of an object; None: nothing. An exception means that the object can't be
        used.
    :param on_change: called with (key, before, after) for each object that was added (before is None), changed or
        deleted (after is None).
    :param fields: field selector.
    :param labels: label selector.
    :param on_invalid: called with (key or None, exception) for an object that can't be used.
    :param on_state: called without arguments whenever :attr:`current` changed.
    :param is_optional: a server that does not have this kind (404), or an account that may not read it (403), is no
        fault. It is asked for again now and then.

    :ivar store: key -> what is kept of the object.
    :ivar synced: an event that is set after the first list.
    :ivar current: a watch is open, or was until a moment ago.
    :ivar restarts: how often a list or watch has failed.
    """

    def __init__(
        self,
        client: Client,
        path: str,
        from_object: Callable[[Mapping[str, Any]], T | None],
        on_change: Callable[[str, T | None, T | None], None] | None = None,
        fields: str | None = None,
        labels: str | None = None,
        on_invalid: Callable[[str | None, Exception], None] | None = None,
        on_state: Callable[[], object] | None = None,
        is_optional: bool = False,
    ) -> None:
        self.path = path
        self.store: dict[str, T] = {}
        self.synced = asyncio.Event()
        self.current = False
        self.restarts = 0
        self._version: str | None = None  # the resourceVersion to watch from; None: list first
        self._in_doubt = False  # the connection was lost since the last list or watch
        self._error: KubernetesError | None = None
        self._client = client
        self._from_object = from_object
        self._on_change = on_change or (lambda _key, _before, _after: None)
        self._on_invalid = on_invalid or (lambda _key, _exception: None)
        self._on_state = on_state or (lambda: None)
        selectors = {"fieldSelector": fields, "labelSelector": labels}
        self._query = {name: value for name, value in selectors.items() if value}
        self._history = History(client, path, self._query)
        self._is_optional = is_optional
        self._missing = ""  # why an optional kind is not shown, as the log has it

    @property
    def kind(self) -> str:
        """Return what the objects are called, in the plural."""
        return self.path.rpartition("/")[2]

    def problem(self) -> str | None:
        """Return why the store may not be what the API server has, in one sentence; None when it is."""
        reason = f": {self._error}" if self._error is not None else ""
        if not self.synced.is_set():
            return f"the API server has not sent its {self.kind} yet{reason}"
        return None if self.current else f"the watch of {self.kind} is interrupted{reason}"

    def lasting_problem(self) -> str | None:
        """Return what of :meth:`problem` is no outage: nothing has come yet, or this program may not read it."""
        is_outage = not (isinstance(self._error, APIRefused) and self._error.status in NOT_ALLOWED)
        return None if self.synced.is_set() and is_outage else self.problem()

    async def run(self) -> None:
        """Keep the store up to date for ever; after a failure try again, after a pause that grows."""
        failures = 0
        while True:
            started, server = time.monotonic(), self._client.server
            try:
                if self._version is not None and self._in_doubt and not await self._history.is_intact(self._version):
                    LOG.warning("%s: what the API server has may not follow from what it had: listing anew", self.path)
                    self._version = None
                if self._version is None:
                    self._version = await self._list()
                    failures = 0
                self._in_doubt = False
                await self._follow(self._version)
                if time.monotonic() - started < SHORT_WATCH:
                    raise KubernetesError(f"the API server ends each watch of {self.path} at once")
                failures = 0
                continue
            except KubernetesError as exc:
                if self._is_optional and isinstance(exc, APIRefused) and exc.status in NOT_SHOWN:
                    failures = 0
                    await self._do_without(exc)
                    continue
                self._set_current(exc)
                self._in_doubt = self._in_doubt or isinstance(exc, APIUnreachable)
                if isinstance(exc, APIRefused) and exc.status == HTTPStatus.GONE:
                    self._version = None
                LOG.warning("%s; trying again", exc)
                asked = min(exc.retry_after, LONGEST_RETRY_AFTER) if isinstance(exc, APIRefused) else 0.0
            self.restarts += 1
            if time.monotonic() - started > LONG_WATCH:
                failures = 0
            if self._client.server != server and not self._in_doubt:  # it was left since it can't serve
                failures, asked = 0, 0.0
            await asyncio.sleep(max(RETRY_PAUSE.seconds(failures), asked))
            failures += 1

    async def _do_without(self, error: APIRefused) -> None:
        """Take in that an optional kind is not shown, and wait. Where the server does not have it there are no
        objects; where only the right to read them is missing, those stay that were read.
        """
        if error.status == HTTPStatus.NOT_FOUND:
            self._keep_only(())
        if str(error) != self._missing:
            level = logging.INFO if error.status == HTTPStatus.NOT_FOUND else logging.WARNING
            LOG.log(level, "going on without %s: %s", self.kind, error)
        self._missing, self._version = str(error), None
        self.synced.set()
        self._set_current(None)
        await asyncio.sleep(OPTIONAL_PAUSE.seconds(0))

    def _set_current(self, error: KubernetesError | None) -> None:
        was, self.current, self._error = self.current, error is None, error
        if was != self.current:
            self._on_state()

    async def _follow(self, version: str) -> None:
        """Watch, and compare versions now and then; return when the watch has ended, or the versions went back."""
        watch = asyncio.ensure_future(self._watch(version))
        try:
            while not (await asyncio.wait({watch}, timeout=random.uniform(*COMPARE_SECONDS)))[0]:
                if await self._went_back():
                    LOG.warning("%s: the API server's versions went back: listing anew", self.path)
                    self._version = None
                    return
            watch.result()
        finally:
            await end([watch])

    async def _went_back(self) -> bool:
        """Return whether the server has lost a version that it has sent; False when it does not say."""
        try:
            return self._version is not None and await self._history.has_lost(self._version)
        except KubernetesError:
            return False  # the health check and the watch see that too

    async def _list(self) -> str:
        """Read all objects, report what differs from the store, and return the version to watch from."""
        keys, version = set(), ""
        async for page in self._client.pages(self.path, self._query):
            version = version or page.version
            for item in page.items:
                keys.add(self._put(item))
            await asyncio.sleep(0)
        self._keep_only(keys)
        self._missing = ""
        self._history.forget()
        self.synced.set()
        return version

    def _keep_only(self, keys: Collection[str | None]) -> None:
        """Delete all objects but these."""
        for key in [key for key in self.store if key not in keys]:
            self._report(key, self.store.pop(key), None)

    async def _watch(self, version: str) -> None:
        """Watch until the server ends it, or an event says that the list must be read again."""
        seconds = random.randint(*WATCH_SECONDS)
        # A watch that is refused again and again is not current in between.
        opened = functools.partial(self._set_current, None)
        async for event in self._client.watch(self.path, version, self._query, seconds, opened):
            self._version = self._handle(event, self._version or version)
            if self._version is None:
                break

    def _handle(self, event: Mapping[str, Any], version: str) -> str | None:
        """Handle an event of a watch; return the version to go on from, None to list again."""
        kind, item = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            code, reason = item.get("code"), item.get("reason")
            LOG.info("the watch of %s ended: %s", self.path, item.get("message") or reason or code)
            return None if code == HTTPStatus.GONE or reason in EXPIRED else version
        meta = item.get("metadata") or {}
        if kind == "DELETED":
            self._history.forget()
            self._delete(item)
        elif kind != "BOOKMARK":
            self._put(item)
            self._history.heard(meta)
        return meta.get("resourceVersion") or version

    def _delete(self, item: Mapping[str, Any]) -> None:
        try:
            key = key_of(item)
        except (KeyError, TypeError):
            return
        before = self.store.pop(key, None)
        if before is not None:
            self._report(key, before, None)

    def _put(self, item: Mapping[str, Any]) -> str | None:
        """Take over an object, and return its key."""
        key = None
        try:
            key = key_of(item)
            after = self._from_object(item)
        except Exception as exc:
            self._on_invalid(key, exc)
            LOG.error("%s %s can't be used: %s: %.*s", self.path, key, type(exc).__name__, SHOWN, exc)
            return key
        before = self.store.get(key)
        if after is None:
            self.store.pop(key, None)
        else:
            self.store[key] = after
        if before != after:
            self._report(key, before, after)
        return key

    def _report(self, key: str, before: T | None, after: T | None) -> None:
        try:
            self._on_change(key, before, after)
        except Exception:
            LOG.exception("a change of %s %s could not be handled", self.path, key)
