# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which pod has which address: a table in memory that gives no address twice.

It is filled from the ports of the Northbound database, and from the annotations of pods whose port was lost.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .._common import addressing
from .._common.errors import OvnKubernetesError

FIRST_POD = addressing.HOST + 1  # offset in a node's subnet


class Exhausted(OvnKubernetesError):
    """A node's subnet has no free address."""

    code = "addresses_exhausted"


class _Slot(NamedTuple):
    """An address: its IP version, and its number."""

    version: int
    number: int


class _Range(NamedTuple):
    """The addresses for pods in a subnet: the numbers from ``first`` to ``end``, without ``end``."""

    version: int
    first: int
    end: int
    prefix: int

    def has(self, slot: _Slot) -> bool:
        """Return whether an address lies in it."""
        return slot.version == self.version and self.first <= slot.number < self.end

    def cidr(self, slot: _Slot) -> str:
        """Return an address with the subnet's prefix length."""
        ip = ipaddress.IPv4Address(slot.number) if self.version == 4 else ipaddress.IPv6Address(slot.number)
        return f"{ip}/{self.prefix}"


@functools.lru_cache(maxsize=4096)
def _range(subnet: str) -> _Range:
    """Return the addresses for pods; the last address of an IPv4 subnet is its broadcast address."""
    net = addressing.network(subnet)
    base = int(net.network_address)
    end = base + net.num_addresses - (1 if net.version == 4 else 0)
    return _Range(net.version, base + FIRST_POD, end, net.prefixlen)


class Addresses:
    """The addresses of all node subnets, and their holders.

    A holder is named by a key: of a pod, or of a port that is not a pod's.
    Addresses are given in turn, not the lowest first. So a freed one is not in use at once, and packets for its last
    holder don't reach the next one.
    """

    def __init__(self) -> None:
        self._holder: dict[_Slot, str] = {}
        self._slots: dict[str, list[_Slot]] = {}  # key -> what it holds
        self._claims: dict[
            _Slot, list[str]
        ] = {}  # keys that have an address too that another key holds, in their order
        self._next: dict[str, int] = {}  # subnet -> number at which the next search starts

    def __len__(self) -> int:
        return len(self._holder)

    def has(self, key: str) -> bool:
        """Return whether this key holds addresses."""
        return key in self._slots

    def fit(self, key: str, subnets: Sequence[str]) -> bool:
        """Return whether all addresses that this key holds are in these subnets."""
        return all(any(_range(subnet).has(slot) for subnet in subnets) for slot in self._slots.get(key, ()))

    def reserve(self, key: str, addresses: Iterable[str]) -> bool:
        """Note that ``key`` has these addresses already.

        Of an address that another key holds, ``key`` becomes the holder when the other one is released.

        :returns: whether it holds all of them now.
        """
        held, complete = self._slots.setdefault(key, []), True
        for text in addresses:
            ip = ipaddress.ip_address(text)
            slot = _Slot(ip.version, int(ip))
            if self._holder.setdefault(slot, key) != key:
                complete = False
                claims = self._claims.setdefault(slot, [])
                claims += [key] if key not in claims else []
            elif slot not in held:
                held.append(slot)
        if not held:
            del self._slots[key]
        return complete

    def release(self, key: str) -> bool:
        """Free all addresses of ``key``; return whether it had any."""
        self._drop_claims(key)
        slots = self._slots.pop(key, [])
        for slot in slots:
            self._free(slot)
        return bool(slots)

    def take(self, key: str, subnets: Sequence[str]) -> tuple[str, ...]:
        """Return an address with prefix length in each of ``subnets``: those that ``key`` holds there, else free ones.

        What it holds elsewhere becomes free.

        :raises Exhausted: when a subnet has none; ``key`` then holds nothing.
        """
        held = self._slots.get(key, [])
        cidrs: list[str] = []
        taken: list[_Slot] = []
        for subnet in subnets:
            span = _range(subnet)
            slot = next(filter(span.has, held), None)
            if slot is None:
                slot = self._find_free(subnet, span)
                if slot is None:
                    self._slots.pop(key, None)
                    for one in {*taken, *held}:
                        self._free(one)
                    raise Exhausted(
                        f"subnet {subnet} has no free address: give the node a larger one, or delete a pod there"
                    )
                self._holder[slot] = key
            taken.append(slot)
            cidrs.append(span.cidr(slot))
        for slot in held:
            if slot not in taken:
                self._free(slot)
        self._slots[key] = taken
        self._drop_claims(key)
        return tuple(cidrs)

    def _free(self, slot: _Slot) -> None:
        """Take an address from its holder; the first key that claims it becomes the holder."""
        claims = self._claims.pop(slot, [])
        if not claims:
            del self._holder[slot]
            return
        heir, *others = claims
        self._holder[slot] = heir
        self._slots.setdefault(heir, []).append(slot)
        if others:
            self._claims[slot] = others

    def _drop_claims(self, key: str) -> None:
        for slot in [slot for slot, keys in self._claims.items() if key in keys]:
            self._claims[slot].remove(key)
            if not self._claims[slot]:
                del self._claims[slot]

    def _find_free(self, subnet: str, span: _Range) -> _Slot | None:
        """Return the next address that nobody holds, None: all are held."""
        start = self._next.get(subnet, span.first)
        for begin, stop in ((start, span.end), (span.first, start)):
            for number in range(begin, stop):
                if (span.version, number) not in self._holder:
                    self._next[subnet] = number + 1 if number + 1 < span.end else span.first
                    return _Slot(span.version, number)
        return None
