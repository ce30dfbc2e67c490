# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Definitions of kinds (CustomResourceDefinition), which the API server gets as their authors have written them.

What the API server would make of one is asked by a dry run: its defaults are no difference. Definitions are never
deleted: all objects of their kinds would go with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from .._common.errors import APIRefused
from .objects import MANAGER, Change

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .client import Client, Object

COLLECTION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True)
class DefinitionChange(Change):
    """The change of a definition. Its diff has the annotations, which name its version, and the kind's versions."""

    def before(self) -> list[str]:
        """Return the diff's lines before the change."""
        return [] if self.current is None else self._lines(self.current)

    def after(self) -> list[str]:
        """Return the diff's lines after the change."""
        return [] if self.desired is None else self._lines(self.desired)

    def _lines(self, item: Object) -> list[str]:
        versions = [
            f"{one.get('name')}{' served' if one.get('served') else ''}{' stored' if one.get('storage') else ''}"
            for one in item["spec"].get("versions") or ()
        ]
        annotations = item["metadata"].get("annotations") or {}
        return [
            *(f"{self.path} {key}: {annotations[key]}" for key in sorted(annotations)),
            f"{self.path} versions: {', '.join(versions)}",
        ]


async def difference(client: Client, definitions: Iterable[Object]) -> list[Change]:
    """Return the changes by which the API server has these definitions.

    :raises KubernetesError: it can't be asked, or refuses one.
    """
    plan: list[Change] = []
    for item in definitions:
        desired = _desired(item)
        name = desired["metadata"]["name"]
        current = await _get(client, f"{COLLECTION}/{name}")
        would = await client.apply(f"{COLLECTION}/{name}", desired, MANAGER, dry=True)
        if current is None:
            plan.append(DefinitionChange("insert", COLLECTION, name, None, desired))
        elif _content(current) != _content(would):
            plan.append(DefinitionChange("update", COLLECTION, name, current, desired))
    return plan


def _desired(item: Object) -> Object:
    """Return what is applied of a file's object: its status is the API server's."""
    meta = {key: item["metadata"][key] for key in ("name", "annotations", "labels") if item["metadata"].get(key)}
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": meta, "spec": item["spec"]}


def _content(item: Object) -> tuple[Any, ...]:
    meta = item["metadata"]
    return item["spec"], meta.get("annotations") or {}, meta.get("labels") or {}


async def _get(client: Client, path: str) -> Object | None:
    try:
        return await client.get(path)
    except APIRefused as exc:
        if exc.status != HTTPStatus.NOT_FOUND:
            raise
        return None
