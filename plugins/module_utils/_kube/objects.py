# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make collections of the API have the desired objects: read, compare, apply, as for rows and host state."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from .._common.errors import APIRefused, KubernetesError
from .._common.retry import Pause, wait_until_async

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Literal

    from .client import Client, Object

    Collections = Mapping[str, Mapping[str, Object]]  # path of the collection -> name -> object

MANAGER = "ovn.kubernetes"  # the field manager of server-side apply
TYPE_FIELDS = ("apiVersion", "kind")  # the items of a list do not have them
DELETION_TIMEOUT = 60.0  # seconds after which a deletion that does not end is an error
DELETION_PAUSE = Pause(0.2)
VERBS = {"insert": "make", "update": "change", "delete": "delete"}


@dataclass(frozen=True)
class Change:
    """The change of one object.

    :ivar collection: path of its collection.
    :ivar current: None: it does not exist.
    :ivar desired: None: it must not exist.
    """

    kind: Literal["insert", "update", "delete"]
    collection: str
    name: str
    current: Object | None
    desired: Object | None

    @property
    def path(self) -> str:
        """Return the object's path."""
        return f"{self.collection}/{self.name}"

    def describe(self) -> str:
        """Return one line of the plan."""
        what = (self.desired or self.current or {}).get("kind") or self.collection.rsplit("/", 1)[-1]
        return f"{VERBS[self.kind]} {what} {self.name}"

    def as_dict(self) -> dict[str, Any]:
        """Return the change as JSON values, for a module's ``plan``."""
        return {"op": self.kind, "collection": self.collection, "name": self.name}

    def before(self) -> list[str]:
        """Return the diff's lines before the change."""
        if self.current is None:
            return []
        return [self._line(_same_fields(self.current, self.desired) if self.desired else {})]

    def after(self) -> list[str]:
        """Return the diff's lines after the change."""
        return [] if self.desired is None else [self._line(_same_fields(self.desired, self.desired))]

    def _line(self, content: Object) -> str:
        return f"{self.path} {json.dumps(content, sort_keys=True)}"


def _same_fields(item: Object, desired: Object) -> Object:
    """Return the fields of an object that the desired one has too, without its type and metadata."""
    return {key: item.get(key) for key in desired if key not in (*TYPE_FIELDS, "metadata")}


def _has_fields(current: Any, desired: Any) -> bool:
    """Return whether ``current`` has all fields of ``desired``; lists are compared as a whole."""
    if isinstance(desired, dict):
        return isinstance(current, dict) and all(_has_fields(current.get(key), desired[key]) for key in desired)
    if isinstance(desired, list):
        return bool((current or []) == desired)
    return bool(current == desired)


def difference(desired: Collections, current: Collections) -> list[Change]:
    """Return the changes: inserts and updates in the collections' order, then deletes in the opposite order."""
    plan = []
    for collection, objects in desired.items():
        existing = current.get(collection, {})
        for name, item in objects.items():
            if name not in existing:
                plan.append(Change("insert", collection, name, None, item))
            elif not _has_fields(existing[name], {key: item[key] for key in item if key not in TYPE_FIELDS}):
                plan.append(Change("update", collection, name, existing[name], item))
    for collection in reversed(list(current)):
        plan += [
            Change("delete", collection, name, item, None)
            for name, item in current[collection].items()
            if name not in desired.get(collection, {})
        ]
    return plan


async def read(client: Client, collections: Iterable[str], selector: str) -> dict[str, dict[str, Object]]:
    """Return the objects of these collections that a label selector selects."""
    out: dict[str, dict[str, Object]] = {}
    for collection in collections:
        out[collection] = {}
        async for page in client.pages(collection, {"labelSelector": selector}):
            out[collection].update((item["metadata"]["name"], item) for item in page.items)
    return out


async def read_remaining(
    client: Client, collections: Sequence[str], selector: str, wait: bool
) -> dict[str, dict[str, Object]]:
    """As :func:`read`, without objects that are being deleted. In a namespace that is being deleted nothing can be
    created.

    :param wait: wait until they are deleted.
    :raises KubernetesError: the deletion does not end.
    """
    current: dict[str, dict[str, Object]] = {}

    async def no_deletion_runs() -> bool:
        nonlocal current
        current = await read(client, collections, selector)
        return not _deletions(current)

    if wait:
        await wait_until_async(no_deletion_runs, DELETION_TIMEOUT, DELETION_PAUSE)
    else:
        await no_deletion_runs()
    for collection, name in _deletions(current):
        if wait:
            raise KubernetesError(
                f"{collection}/{name} is being deleted, and still exists after {DELETION_TIMEOUT:.0f} s: "
                "check what its finalizers wait for"
            )
        del current[collection][name]
    return current


def _deletions(objects: Collections) -> list[tuple[str, str]]:
    """Return (collection, name) of the objects that are being deleted."""
    return [
        (collection, name)
        for collection, items in objects.items()
        for name, item in items.items()
        if item["metadata"].get("deletionTimestamp")
    ]


async def foreign_inserts(client: Client, plan: Iterable[Change]) -> list[Change]:
    """Return the inserts whose object exists already, without the desired labels.

    It belongs to somebody else, and the selector did not select it.
    """

    async def is_foreign(change: Change) -> bool:
        try:
            current = await client.get(change.path)
        except APIRefused as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise
            return False
        desired = change.desired or {}
        return not _has_fields(current["metadata"].get("labels"), desired["metadata"]["labels"])

    inserts = [change for change in plan if change.kind == "insert"]
    results = await asyncio.gather(*map(is_foreign, inserts))
    return [change for change, foreign in zip(inserts, results) if foreign]


async def apply(client: Client, plan: Iterable[Change]) -> None:
    """Apply the changes in order.

    :raises KubernetesError: the changes before it are applied.
    """
    for change in plan:
        if change.desired is None or _must_be_replaced(change):
            try:
                await client.delete(change.path)
            except APIRefused as exc:
                if exc.status != HTTPStatus.NOT_FOUND:
                    raise
        if change.desired is not None:
            await client.apply(change.path, change.desired, MANAGER)


def _must_be_replaced(change: Change) -> bool:
    """Return whether a field differs that can't be changed: ``roleRef`` of a binding."""
    if change.current is None or change.desired is None:
        return False
    return not _has_fields(change.current.get("roleRef"), change.desired.get("roleRef"))
