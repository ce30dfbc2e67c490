# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which pod has which address: a table in memory that gives no address twice.

What it is filled from, and in which order, is in :mod:`.beliefs` and in :class:`.pod_addresses.PodAddresses`.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .._common import addressing
from .._common.errors import OvnKubernetesError

FIRST_POD = addressing.HOST + 1  # offset in a node's subnet
# Prefix lengths of an address whose IP version the node has no subnet of any more: the defaults of
# ovn_node_subnet_prefix.
PREFIXES = {4: 24, 6: 64}


class Exhausted(OvnKubernetesError):
    """A node's subnet has no free address."""

    code = "addresses_exhausted"


class _Slot(NamedTuple):
    """An address: its IP version, and its number."""

    version: int
    number: int

    @classmethod
    def of(cls, text: str) -> _Slot:
        """Return the slot of an address without prefix length."""
        return cls(addressing.family(text), int.from_bytes(addressing.packed(text), "big"))

    def __str__(self) -> str:
        if self.version == 4:
            return socket.inet_ntoa(self.number.to_bytes(4, "big"))
        return str(ipaddress.IPv6Address(self.number))


class _Range(NamedTuple):
    """The addresses for pods in a subnet: the numbers from ``first`` to ``end``, without ``end``."""

    version: int
    first: int
    end: int
    prefix: int

    def has(self, slot: _Slot) -> bool:
        """Return whether an address lies in it."""
        return slot.version == self.version and self.first <= slot.number < self.end


@functools.lru_cache(maxsize=4096)
def _range(subnet: str) -> _Range:
    """Return the addresses for pods; the last address of an IPv4 subnet is its broadcast address."""
    net = addressing.network(subnet)
    base = int(net.network_address)
    end = base + net.num_addresses - (1 if net.version == 4 else 0)
    return _Range(net.version, base + FIRST_POD, end, net.prefixlen)


def is_for_pods(address: str, subnets: Iterable[str]) -> bool:
    """Return whether an address is one that pods of a node with these subnets get."""
    slot = _Slot.of(address)
    return any(_range(subnet).has(slot) for subnet in subnets)


class Networks:
    """Networks, of few sizes: whether an address is in one of them costs the same for any number of them."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._numbers: dict[
            tuple[int, int], set[int]
        ] = {}  # (IP version, bits for hosts) -> networks, without these bits
        for one in networks:
            net = addressing.network(one)
            bits = net.max_prefixlen - net.prefixlen
            self._numbers.setdefault((net.version, bits), set()).add(int(net.network_address) >> bits)

    def have(self, address: str) -> bool:
        """Return whether an address is in one of them."""
        slot = _Slot.of(address)
        return any(
            version == slot.version and slot.number >> bits in numbers
            for (version, bits), numbers in self._numbers.items()
        )


class Addresses:
    """The addresses of all pods, and those of other ports.

    A pod is named by its key; no two pods have the same address. A port that is not a pod's is named by its row's UUID,
    and may have an address that a pod has too.
    Addresses are given in turn, not the lowest first. So a freed one is not in use at once, and packets for its last
    holder don't reach the next one.
    """

    def __init__(self) -> None:
        self._holder: dict[_Slot, str] = {}  # address -> pod
        self._slots: dict[str, tuple[_Slot, ...]] = {}  # pod -> its addresses
        self._others: dict[_Slot, set[str]] = {}  # address -> ports that are not pods'
        self._of_other: dict[str, set[_Slot]] = {}  # port that is not a pod's -> its addresses
        self._next: dict[str, int] = {}  # subnet -> number at which the next search starts

    def __len__(self) -> int:
        return len(self._holder) + sum(slot not in self._holder for slot in self._others)

    # Pods.

    def has(self, key: str) -> bool:
        """Return whether this pod has addresses."""
        return key in self._slots

    def of(self, key: str) -> tuple[str, ...]:
        """Return the pod's addresses, without prefix length."""
        return tuple(map(str, self._slots.get(key, ())))

    def fit(self, key: str, subnets: Sequence[str]) -> bool:
        """Return whether all addresses of this pod are in these subnets."""
        return all(any(_range(subnet).has(slot) for subnet in subnets) for slot in self._slots.get(key, ()))

    def reserve(self, key: str, addresses: Iterable[str], alone: bool = False) -> bool:
        """Note that a pod has these addresses already; it gets all of them or none.

        :param alone: it gets none that a port has that is not a pod's.
        :returns: whether it has them now. It has not when another pod has one, when there is none, or when there are
            two of one IP version, which no pod needs.
        """
        slots = list(map(_Slot.of, addresses))
        taken = any(self._holder.get(slot, key) != key or (alone and slot in self._others) for slot in slots)
        if taken or not slots or len({slot.version for slot in slots}) != len(slots):
            return False
        self._set(key, slots)
        return True

    def release(self, key: str) -> bool:
        """Free all addresses of a pod; return whether it had any."""
        had = key in self._slots
        self._set(key, [])
        return had

    def take(self, key: str, subnets: Sequence[str]) -> tuple[str, ...]:
        """Return an address with prefix length in each of ``subnets``: those that the pod has there, and no other port,
        else free ones.

        What it has elsewhere becomes free.

        :raises Exhausted: when a subnet has none; the pod then has nothing.
        """
        held = self._slots.get(key, ())
        taken: list[_Slot] = []
        for subnet in subnets:
            span = _range(subnet)
            own = (slot for slot in held if span.has(slot) and slot not in self._others)
            slot = next(own, None) or self._find_free(subnet, span)
            if slot is None:
                self._set(key, [])
                raise Exhausted(
                    f"subnet {subnet} has no free address: give the node a larger one, or delete a pod there"
                )
            taken.append(slot)
        self._set(key, taken)
        return self.cidrs(key, subnets)

    def cidrs(self, key: str, subnets: Sequence[str]) -> tuple[str, ...]:
        """Return the addresses of a pod with prefix length, in the order of ``subnets``.

        One that is in none of them has the prefix length of that of its IP version: nodes' subnets are of one size.
        """
        ranges = [_range(subnet) for subnet in subnets]

        def rank(slot: _Slot) -> int:
            return next((place for place, span in enumerate(ranges) if span.version == slot.version), len(ranges))

        def prefix(slot: _Slot) -> int:
            fitting = [span for span in ranges if span.has(slot)]
            alike = [span for span in ranges if span.version == slot.version]
            return next((span.prefix for span in (*fitting, *alike)), PREFIXES[slot.version])

        return tuple(f"{slot}/{prefix(slot)}" for slot in sorted(self._slots.get(key, ()), key=rank))

    def _set(self, key: str, slots: list[_Slot]) -> None:
        """Give a pod these addresses, and no others."""
        for slot in self._slots.pop(key, ()):
            del self._holder[slot]
        if slots:
            self._slots[key] = tuple(slots)
            self._holder.update(dict.fromkeys(slots, key))

    # Ports that are not pods'.

    def set_other(self, port: str, addresses: Iterable[str]) -> None:
        """Note the addresses of a port that is not a pod's; pods get none of them."""
        for slot in self._of_other.pop(port, ()):
            self._others[slot].discard(port)
            if not self._others[slot]:
                del self._others[slot]
        slots = set(map(_Slot.of, addresses))
        if slots:
            self._of_other[port] = slots
        for slot in slots:
            self._others.setdefault(slot, set()).add(port)

    def pods_with_addresses_of(self, port: str) -> set[str]:
        """Return the pods that have an address of a port that is not a pod's."""
        return {self._holder[slot] for slot in self._of_other.get(port, ()) if slot in self._holder}

    def others_of(self, key: str) -> list[str]:
        """Return the ports, not pods', that have an address of this pod, sorted."""
        return sorted({port for slot in self._slots.get(key, ()) for port in self._others.get(slot, ())})

    def _find_free(self, subnet: str, span: _Range) -> _Slot | None:
        """Return the next address that nobody has, None: all are in use."""
        start = self._next.get(subnet, span.first)
        for begin, stop in ((start, span.end), (span.first, start)):
            for number in range(begin, stop):
                slot = _Slot(span.version, number)
                if slot not in self._holder and slot not in self._others:
                    self._next[subnet] = number + 1 if number + 1 < span.end else span.first
                    return slot
        return None
