# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which endpoint slices a service has."""

from __future__ import annotations


class Slices:
    """The index.

    :param store: key -> Slice, of the informer.
    """

    def __init__(self, store):
        self._store = store
        self._of = {}  # key of a service -> keys of its slices

    def changed(self, key, before, after):
        """The API server told of a slice."""
        if before is not None:
            self._of.get(before.service, set()).discard(key)
        if after is not None:
            self._of.setdefault(after.service, set()).add(key)

    def of(self, service):
        """The slices of a service."""
        return [self._store[one] for one in sorted(self._of.get(service, ())) if one in self._store]
