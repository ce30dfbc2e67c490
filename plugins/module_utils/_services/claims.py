# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which service gets a port of an address outside that several of them name.

Thousands of services may name the same one, so the first of them must be known without a look at the others.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from typing import NamedTuple

from .model import Claim, Service


class Claimant(NamedTuple):
    """A service that names an address outside. The least one gets it: what a balancer has given comes before what a
    user has written, and then the older service.

    :ivar by_user: no balancer has given the address.
    """

    by_user: bool
    created: str
    key: str


def claimants(service: Service | None) -> dict[Claim, Claimant]:
    """Return what a service names, and as whom."""
    if service is None:
        return {}
    as_whom = {
        ip: Claimant(ip not in service.balancer_ips, service.created, service.key) for ip in service.external_ips
    }
    return {claim: as_whom[claim.address] for claim in service.claims()}


class Claims:
    """Claim -> claimants, the first one first."""

    def __init__(self) -> None:
        self._claimants: dict[Claim, list[Claimant]] = {}

    def __len__(self) -> int:
        return len(self._claimants)

    def first(self, claim: Claim) -> Claimant | None:
        """Return who gets it; None: nobody names it."""
        found = self._claimants.get(claim)
        return found[0] if found else None

    def replace(self, old: Mapping[Claim, Claimant], new: Mapping[Claim, Claimant]) -> set[str]:
        """Replace what one service names; return the keys of the services that get something by it, or lose it."""
        concerned: set[str] = set()
        for claim in {**old, **new}:
            left, added = old.get(claim), new.get(claim)
            if left == added:
                continue
            before = self.first(claim)
            found = self._claimants.setdefault(claim, [])
            if left is not None:
                found.remove(left) if found[0] == left else found.pop(bisect.bisect_left(found, left))
            if added is not None:
                bisect.insort(found, added)
            if not found:
                del self._claimants[claim]
            after = self.first(claim)
            if before != after:
                concerned.update(one.key for one in (before, after) if one is not None)
        return concerned
