# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The networks that are the cluster's own: of pods, of services, and between its routers."""

from __future__ import annotations

from collections.abc import Sequence

from .._common import names
from .._common.addressing import family
from .._ovsdb.replica import Replica
from .networks import Spans
from .shared import VERSIONS

KEYS = (names.CLUSTER_SUBNETS_KEY, names.JOIN_SUBNETS_KEY)


class ClusterNetworks:
    """The cluster's networks, as the site play has written them to the join switch.

    :param service_subnets: by the settings.
    """

    def __init__(self, replica: Replica, service_subnets: Sequence[str]) -> None:
        self._replica = replica
        self._service_subnets = tuple(service_subnets)
        self._known: tuple[str, ...] = ()
        self._spans = Spans(())

    def pods(self) -> tuple[str, ...]:
        """Return the networks of pods; none where they are not known yet."""
        return self._of(names.CLUSTER_SUBNETS_KEY)

    def versions(self) -> tuple[int, ...]:
        """Return the IP versions that pods have; both where that is not known yet, so that nothing is left out."""
        return tuple(sorted(set(map(family, self.pods())))) or VERSIONS

    def have(self, address: str) -> bool:
        """Return whether an address is in one of the networks."""
        found = (*self._of(*KEYS), *self._service_subnets)
        if found != self._known:
            self._known, self._spans = found, Spans(found)
        return self._spans.have(address)

    def _of(self, *keys: str) -> tuple[str, ...]:
        join = self._replica.named("Logical_Switch", names.JOIN_SWITCH)
        if join is None:
            return ()
        return tuple(one for key in keys for one in (join.external_id(key) or "").split(",") if one)
