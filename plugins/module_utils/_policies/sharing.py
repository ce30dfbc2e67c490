# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Groups and sets of network policies that other kinds of objects use too, such as egress firewalls."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .index import PolicyIndex
from .shared import Key, Shared


class Sharing:
    """What others use.

    :param adopt: looks at the pods of a group or set that nobody used until now.
    :param mark: looks at a group or set again.
    :param on_known: called when it is known what all rows of others name.
    """

    def __init__(
        self,
        index: PolicyIndex,
        adopt: Callable[[Key], object],
        mark: Callable[[Shared], object],
        on_known: Callable[[], object],
    ) -> None:
        self._index = index
        self._adopt = adopt
        self._mark = mark
        self._on_known = on_known
        self._of_before: dict[str, set[str]] = {}  # kind -> objects whose rows an earlier watcher may have written

    @property
    def are_rows_known(self) -> bool:
        """Whether no row of before, of which it is not known what it names, may be left."""
        return not self._of_before

    def begin(self, kind: str, objects: Iterable[str]) -> None:
        """Note which objects of a kind have rows of an earlier watcher: what these name must stay."""
        self._of_before.pop(kind, None)
        found = set(objects)
        if found:
            self._of_before[kind] = found

    def written(self, kind: str, name: str) -> None:
        """Note that the rows of an object are as desired now."""
        left = self._of_before.get(kind)
        if left is not None:
            left.discard(name)
            if not left:
                del self._of_before[kind]
                self._on_known()

    def get(self, key: Key) -> Shared:
        """Return a group or set that is in use. :raises LookupError: it is not."""
        shared = self._index.get(key)
        if shared is None:
            raise LookupError(f"{key} is not in use")
        return shared

    def use(self, key: Key, user: str) -> None:
        """Use a group or a set: pods that are planned from now on are in it.

        :param user: no policy's key.
        """
        if self._index.use(key, user):
            self._adopt(key)

    def release(self, key: Key, user: str) -> None:
        """Undo :meth:`use`, once no row of the user names it."""
        shared = self._index.get(key)
        if shared is None:
            return
        self._index.release(shared, user)
        if not shared.users:
            self._mark(shared)
        self._index.forget(shared)
