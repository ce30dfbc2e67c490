# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An index from values to the objects that have them."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import Generic, TypeVar

Value = TypeVar("Value", bound=Hashable)


class Index(Generic[Value]):
    """Value -> keys of the objects that have it. A value that no object has costs no memory."""

    def __init__(self) -> None:
        # Most values have one object: a tuple is smaller. One that has thousands costs no more for each change.
        self._keys: dict[Value, tuple[str, ...] | dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, value: Value) -> Collection[str]:
        """Return the keys of the objects that have a value."""
        return self._keys.get(value, ())

    def of(self, values: Iterable[Value]) -> set[str]:
        """Return the keys of the objects that have one of these values."""
        return {key for value in values for key in self.get(value)}

    def replace(self, key: str, old: Collection[Value], new: Collection[Value]) -> None:
        """Replace the values that an object has."""
        for value in old:
            if value not in new:
                self._remove(key, value)
        for value in new:
            known = self._keys.get(value, ())
            if isinstance(known, dict):
                known[key] = None
            elif key not in known:
                self._keys[value] = dict.fromkeys((*known, key)) if known else (key,)

    def _remove(self, key: str, value: Value) -> None:
        known = self._keys.get(value, ())
        if isinstance(known, dict):
            known.pop(key, None)
            if len(known) == 1:
                self._keys[value] = tuple(known)
        elif key in known:
            del self._keys[value]
