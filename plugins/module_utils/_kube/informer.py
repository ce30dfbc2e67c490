# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The objects of one kind, kept in memory as the API server tells of them: list, then watch, for ever.

Objects are trimmed as they come, so that memory holds what is used. An object that can't be trimmed is reported and left
out; the others go on. After an outage only what differs is told.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time

from .._common.errors import APIRefused, KubernetesError

LOG = logging.getLogger("kubernetes")
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
GONE = 410  # the version is too old to watch from: list again


def key_of(item):
    """``namespace/name``, or ``name`` of an object without a namespace."""
    meta = item["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else meta["name"]


class Informer:
    """The objects of one kind.

    :param path: of the collection, e.g. ``/api/v1/pods``.
    :param trim: makes of an object what is to be kept; None: leave it out. What it raises counts as an object that can't be used.
    :param changed: called with (key, before, after) for each object that came (before is None), changed or went (after is None).
    :param fields: :param labels: selectors, as the API server takes them.
    :param spoiled: called with (key, exception) for an object that can't be used.

    :ivar store: key -> trimmed object.
    :ivar synced: set once the first list is in.
    :ivar current: a watch is open, or was until a moment ago.
    """

    def __init__(self, client, path, trim, changed=None, fields=None, labels=None, spoiled=None):
        self.path = path
        self.store = {}
        self.synced = asyncio.Event()
        self.current = False
        self.restarts = 0
        self._client = client
        self._trim = trim
        self._changed = changed or (lambda key, before, after: None)
        self._spoiled = spoiled or (lambda key, exc: None)
        self._query = {name: value for name, value in (("fieldSelector", fields), ("labelSelector", labels)) if value}

    async def run(self):
        """Keep the store for ever; after a failure again, after a pause that grows, with jitter."""
        pause, version = FIRST_PAUSE, None
        while True:
            started = time.monotonic()
            try:
                if version is None:
                    version = await self._list()
                    pause = FIRST_PAUSE
                self.current = True
                async for event in self._client.watch(
                    self.path, version, self._query, seconds=random.randint(300, 600)
                ):
                    version = self._take(event, version)
                    if version is None:
                        break
                if time.monotonic() - started < 1.0:
                    raise KubernetesError(f"the API server ends each watch of {self.path} at once")
                pause = FIRST_PAUSE
                continue
            except APIRefused as exc:
                self.current = False
                if exc.status == GONE:
                    version = None
                LOG.warning("%s; trying again", exc)
            except KubernetesError as exc:
                self.current = False
                LOG.warning("%s; trying again", exc)
            self.restarts += 1
            if time.monotonic() - started > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _list(self):
        """Read everything; tell what differs from the store. The version to watch from."""
        seen, version = set(), ""
        async for items, page_version in self._client.pages(self.path, self._query):
            version = version or page_version
            for item in items:
                seen.add(self._put(item))
            await asyncio.sleep(0)
        for key in [key for key in self.store if key not in seen]:
            self._tell(key, self.store.pop(key), None)
        self.synced.set()
        return version

    def _take(self, event, version):
        """One event of a watch; the version to go on from, None to list again."""
        kind, item = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            LOG.info(
                "the watch of %s ended: %s", self.path, item.get("message") or item.get("reason") or item.get("code")
            )
            return None if item.get("code") == GONE or item.get("reason") in ("Expired", "Gone") else version
        if kind == "DELETED":
            try:
                key = key_of(item)
            except (KeyError, TypeError):
                key = None
            before = self.store.pop(key, None)
            if before is not None:
                self._tell(key, before, None)
        elif kind != "BOOKMARK":
            self._put(item)
        return (item.get("metadata") or {}).get("resourceVersion") or version

    def _put(self, item):
        """Take over an object; its key."""
        key = None
        try:
            key = key_of(item)
            after = self._trim(item)
        except Exception as exc:
            self._spoiled(key, exc)
            LOG.error("%s %s can't be used: %s: %s", self.path, key, type(exc).__name__, exc)
            return key
        before = self.store.get(key)
        if after is None:
            self.store.pop(key, None)
        else:
            self.store[key] = after
        if before != after:
            self._tell(key, before, after)
        return key

    def _tell(self, key, before, after):
        try:
            self._changed(key, before, after)
        except Exception:
            LOG.exception("a change of %s %s could not be used", self.path, key)
