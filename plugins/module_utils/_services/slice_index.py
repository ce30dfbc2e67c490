# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The endpoint slices of each service."""

from __future__ import annotations

from collections.abc import Mapping

from .model import EndpointSlice, Service, ServiceState


class SliceIndex:
    """An index from services to their endpoint slices.

    :param slices: key -> slice, the informer's store.
    """

    def __init__(self, slices: Mapping[str, EndpointSlice]) -> None:
        self._slices = slices
        self._keys: dict[str, set[str]] = {}  # key of a service -> keys of its slices

    def update(self, key: str, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        """Take in a change of a slice."""
        if old is not None:
            keys = self._keys.get(old.service, set())
            keys.discard(key)
            if not keys:
                self._keys.pop(old.service, None)
        if new is not None:
            self._keys.setdefault(new.service, set()).add(key)

    def of(self, key: str) -> list[EndpointSlice]:
        """Return the slices of a service, by the order of their keys."""
        return [self._slices[one] for one in sorted(self._keys.get(key, ())) if one in self._slices]

    def state(self, key: str, service: Service) -> ServiceState:
        """Return the service with its slices."""
        return ServiceState(service, self.of(key))
