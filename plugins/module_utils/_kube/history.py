# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the API server still has the history of changes that it has told.

A cluster's etcd may be restored from a backup: its resourceVersions go back then, and a watch from a version of the
lost history hears nothing, or not everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .client import Client


class _Witness(NamedTuple):
    """The newest change that was heard, of an object that still exists.

    :ivar version: its resourceVersion.
    """

    name: str
    namespace: str | None
    version: str


def is_older(version: str, than: str) -> bool:
    """Return whether a resourceVersion is older than another one of the same kind; they are numbers (KEP-5504)."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)


class History:
    """The history of one kind of object.

    :param path: of the collection.
    :param query: the selectors.
    """

    def __init__(self, client: Client, path: str, query: Mapping[str, str]) -> None:
        self._client = client
        self._path = path
        self._query = query
        self._witness: _Witness | None = None

    def heard(self, meta: Mapping[str, Any]) -> None:
        """Take in the metadata of an object that was added or changed."""
        name, version = meta.get("name"), meta.get("resourceVersion")
        self._witness = _Witness(name, meta.get("namespace"), version) if name and version else None

    def forget(self) -> None:
        """Take in that no witness is left: the newest change was a deletion, or everything was listed."""
        self._witness = None

    async def is_intact(self, version: str) -> bool:
        """Return whether a watch from this version certainly goes on where the last one ended.

        The newest change that was heard proves it, if the object is still as it was then.

        :raises KubernetesError: the server did not say.
        """
        if self._witness is None:
            return False
        name, namespace, seen = self._witness
        items, now = await self._short_list(self._selector(name, namespace))
        return items == [seen] and not is_older(now, version)

    async def has_lost(self, version: str) -> bool:
        """Return whether the server is not yet, or no more, at a version that it has sent.

        :raises KubernetesError: the server did not say.
        """
        # With a field selector the server would look at all objects until it has found one that matches. It looks at
        # none for a name, whether that exists or not.
        selector = self._selector("none", "default") if "fieldSelector" in self._query else {}
        _items, now = await self._short_list(selector)
        return is_older(now, version)

    def _selector(self, name: str, namespace: str | None) -> Mapping[str, str]:
        """Return the parameters that select one object."""
        names = {"metadata.name": name, "metadata.namespace": namespace}
        selectors = [self._query.get("fieldSelector"), *(f"{key}={value}" for key, value in names.items() if value)]
        return {"fieldSelector": ",".join(filter(None, selectors))}

    async def _short_list(self, selectors: Mapping[str, str]) -> tuple[list[str], str]:
        """Return the version of the first object, where there is one, and the newest version of the server."""
        answer = await self._client.get(self._path, **{**self._query, **selectors, "limit": "1"})
        versions = [(item.get("metadata") or {}).get("resourceVersion", "") for item in answer.get("items") or []]
        return versions, (answer.get("metadata") or {}).get("resourceVersion", "")
