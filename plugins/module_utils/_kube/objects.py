# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes collections of objects hold what is wanted: read, difference, apply, as for rows and host state."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

from .._common.errors import APIRefused, KubernetesError

MANAGER = "ovn.kubernetes"  # of the fields that are applied
KIND = ("apiVersion", "kind")  # the items of a list leave them out
PATIENCE = 60.0  # seconds until a deletion that does not end is an error


@dataclass(frozen=True)
class Change:
    """One object that is made, changed, or taken away.

    :ivar kind: insert, update, delete.
    :ivar found: the object as it was; None: there was none.
    :ivar wanted: as it is to be; None: it goes.
    """

    kind: str
    collection: str
    name: str
    found: dict | None
    wanted: dict | None

    @property
    def path(self):
        """Of the object."""
        return f"{self.collection}/{self.name}"

    def describe(self):
        """In words."""
        what = (self.wanted or self.found or {}).get("kind") or self.collection.rsplit("/", 1)[-1]
        return f"{ {'insert': 'make', 'update': 'change', 'delete': 'delete'}[self.kind] } {what} {self.name}"

    def as_dict(self):
        """For results."""
        return {"op": self.kind, "collection": self.collection, "name": self.name}

    def before(self):
        """Lines of the diff."""
        return [] if self.found is None else [_line(self.path, _shared(self.found, self.wanted) if self.wanted else {})]

    def after(self):
        """Lines of the diff."""
        return [] if self.wanted is None else [_line(self.path, _shared(self.wanted, self.wanted))]


def _line(path, content):
    return f"{path} {json.dumps(content, sort_keys=True)}"


def _shared(found, wanted):
    """What an object says of that which is wanted, without what tells objects apart."""
    return {key: found.get(key) for key in wanted if key not in (*KIND, "metadata")}


def _holds(found, wanted):
    """Whether all of ``wanted`` is in ``found``; lists are whole."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_holds(found.get(key), value) for key, value in wanted.items())
    return (found or []) == wanted if isinstance(wanted, list) else found == wanted


def difference(wanted, found):
    """What is to be done, in order: made and changed from the first collection to the last, taken away from the last to the first.

    :param wanted: :param found: collection -> name -> object.
    """
    plan = []
    for collection, objects in wanted.items():
        there = found.get(collection, {})
        for name, item in objects.items():
            if name not in there:
                plan.append(Change("insert", collection, name, None, item))
            elif not _holds(there[name], {key: value for key, value in item.items() if key not in KIND}):
                plan.append(Change("update", collection, name, there[name], item))
    for collection in reversed(list(found)):
        plan += [
            Change("delete", collection, name, item, None)
            for name, item in found[collection].items()
            if name not in wanted.get(collection, {})
        ]
    return plan


async def read(client, collections, selector):
    """collection -> name -> object, of those that the label selector takes."""
    found = {}
    for collection in collections:
        found[collection] = {}
        async for items, _version in client.pages(collection, {"labelSelector": selector}):
            found[collection].update((item["metadata"]["name"], item) for item in items)
    return found


async def settled(client, collections, selector, wait):
    """As :func:`read`, without objects that are on their way out; a namespace takes a moment, in which nothing can be made in it.

    :param wait: until they are gone.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        found = await read(client, collections, selector)
        going = [
            (collection, name)
            for collection, items in found.items()
            for name, item in items.items()
            if item["metadata"].get("deletionTimestamp")
        ]
        if not going or not wait:
            break
        if time.monotonic() > deadline:
            raise KubernetesError(
                "%s/%s is being deleted, and still there after %d s: look at what its finalizers wait for"
                % (*going[0], PATIENCE)
            )
        await asyncio.sleep(0.2)
    for collection, name in going:
        del found[collection][name]
    return found


async def strangers(client, plan):
    """The plan's inserts whose name an object without their labels has: it is somebody else's, and the selector did not take it."""

    async def strange(change):
        try:
            found = await client.get(change.path)
        except APIRefused as exc:
            if exc.status != 404:
                raise
            return False
        return not _holds(found["metadata"].get("labels"), change.wanted["metadata"]["labels"])

    inserts = [change for change in plan if change.kind == "insert"]
    return [change for change, found in zip(inserts, await asyncio.gather(*map(strange, inserts))) if found]


async def apply(client, plan):
    """Carry a plan out, in order."""
    for change in plan:
        renewed = change.kind == "update" and not _holds(
            change.found.get("roleRef"), change.wanted.get("roleRef")
        )  # it can't be changed
        if change.kind == "delete" or renewed:
            try:
                await client.delete(change.path)
            except APIRefused as exc:
                if exc.status != 404:
                    raise
        if change.kind != "delete":
            await client.apply(change.path, change.wanted, MANAGER)
