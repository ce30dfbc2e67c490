# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Groups and sets of network policies that other kinds of objects use too, such as egress firewalls."""

from __future__ import annotations

from collections.abc import Callable

from .index import PolicyIndex
from .shared import Key, Shared


class Sharing:
    """What others use.

    :param adopt: looks at the pods of a group or set that nobody used until now.
    :param mark: looks at a group or set again.
    """

    def __init__(self, index: PolicyIndex, adopt: Callable[[Key], object], mark: Callable[[Shared], object]) -> None:
        self._index = index
        self._adopt = adopt
        self._mark = mark

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
