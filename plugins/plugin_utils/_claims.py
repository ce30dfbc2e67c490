# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Claims of node subnets, and which of them share addresses. Private to the collection.

Subnets either contain each other or share no address. So it is enough to sort them by their first address to find
overlaps: planning takes no noticeable time for a thousand hosts.
"""

from __future__ import annotations

import bisect
import typing as t
from collections.abc import Iterable

if t.TYPE_CHECKING:
    from ..module_utils._common.addressing import IPNetwork


class Claim(t.NamedTuple):
    """A node subnet, and its owner: a host of the inventory, or a node that only the database knows."""

    network: IPNetwork
    owner: str


def first(network: IPNetwork) -> int:
    """Return the first address as a number."""
    return int(network.network_address)


def last(network: IPNetwork) -> int:
    """Return the last address as a number."""
    return int(network.broadcast_address)


def contains(outer: IPNetwork, inner: IPNetwork) -> bool:
    """Return whether one network contains the other."""
    return outer.version == inner.version and first(outer) <= first(inner) and last(inner) <= last(outer)


def clashes(claims: Iterable[Claim]) -> list[tuple[Claim, Claim]]:
    """Return pairs of claims that share addresses: each claim at most once, with one before it in the order of
    addresses."""
    pairs = []
    furthest: dict[int, Claim] = {}  # IP version -> the claim so far that ends last
    for claim in sorted(claims, key=lambda claim: (claim.network.version, first(claim.network), -last(claim.network))):
        other = furthest.get(claim.network.version)
        if other is not None and first(claim.network) <= last(other.network):
            pairs.append((other, claim))
        if other is None or last(claim.network) > last(other.network):
            furthest[claim.network.version] = claim
    return pairs


class Claims:
    """Claims of one IP version that share no address."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._claims: list[Claim] = []

    def overlapping(self, network: IPNetwork) -> Claim | None:
        """Return a claim that shares an address with the network."""
        index = bisect.bisect_right(self._firsts, last(network))
        if index and last(self._claims[index - 1].network) >= first(network):
            return self._claims[index - 1]
        return None

    def add(self, network: IPNetwork, owner: str) -> Claim | None:
        """Add a claim; return the existing claim that it overlaps, if there is one, and add nothing then."""
        other = self.overlapping(network)
        if other is None:
            index = bisect.bisect(self._firsts, first(network))
            self._firsts.insert(index, first(network))
            self._claims.insert(index, Claim(network, owner))
        return other
