# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The endpoint slices of each service."""

from __future__ import annotations

from collections.abc import Mapping

from .endpoint_slices import EndpointSlice
from .model import Service
from .service_state import ServiceState


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

    def nodes(self, key: str) -> set[str | None]:
        """Return the nodes that the endpoints of a service are on."""
        return {endpoint.node for part in self.of(key) for endpoint in part.endpoints}

    def has_hints(self, key: str) -> bool:
        """Return whether endpoints of a service have hints."""
        return any(part.has_hints() for part in self.of(key))

    def state(self, key: str, service: Service) -> ServiceState:
        """Return the service with its slices."""
        return ServiceState(service, self.of(key))


def nodes_that_differ(old: EndpointSlice | None, new: EndpointSlice | None) -> set[str | None]:
    """Return the nodes whose endpoints a change of a slice concerns."""
    before, after = (set(part.endpoints) if part is not None else set() for part in (old, new))
    is_same = old is not None and new is not None and old._replace(endpoints=()) == new._replace(endpoints=())
    return {endpoint.node for endpoint in (before ^ after if is_same else before | after)}
