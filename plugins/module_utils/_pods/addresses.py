# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which pod has which address: one table in memory, filled from what is there, that gives nothing away twice."""

from __future__ import annotations

import functools
import ipaddress

from .._common import addressing

FIRST_POD = addressing.HOST + 1


class Exhausted(Exception):
    """A node's subnet has no free address; the text is one sentence."""


@functools.lru_cache(maxsize=4096)
def _span(subnet):
    """(version, number of the first address for pods, number after the last one, prefix length)."""
    net = addressing.network(subnet)
    base = int(net.network_address)
    return net.version, base + FIRST_POD, base + net.num_addresses - (1 if net.version == 4 else 0), net.prefixlen


class Addresses:
    """The addresses of all node subnets, and who has them.

    Addresses are given in turn, not the lowest first, so that one that was freed rests before somebody else gets it.
    """

    def __init__(self):
        self._holder = {}  # (version, number) -> key
        self._held = {}  # key -> [(version, number)]
        self._wanted = {}  # (version, number) -> keys that have it too, though it was given to another one
        self._next = {}  # subnet -> number at which the next search starts

    def __len__(self):
        return len(self._holder)

    def held(self, key):
        """Whether this key has addresses."""
        return key in self._held

    def reserve(self, key, addresses):
        """Note that ``key`` has these addresses. Whether it got all: one that somebody else has it gets when that one goes."""
        mine, whole = self._held.setdefault(key, []), True
        for text in addresses:
            ip = ipaddress.ip_address(text)
            slot = (ip.version, int(ip))
            if self._holder.setdefault(slot, key) != key:
                whole = False
                heirs = self._wanted.setdefault(slot, [])
                heirs += [key] if key not in heirs else []
            elif slot not in mine:
                mine.append(slot)
        if not mine:
            del self._held[key]
        return whole

    def release(self, key):
        """Free what ``key`` has; whether that was anything."""
        self._forget_wishes(key)
        slots = self._held.pop(key, ())
        for slot in slots:
            self._let_go(slot)
        return bool(slots)

    def take(self, key, subnets):
        """An address with prefix in each of ``subnets``: those that ``key`` has there, else free ones.

        :raises Exhausted: when there is none; ``key`` has nothing then.
        """
        have, out, kept = self._held.get(key, ()), [], []
        for subnet in subnets:
            version, first, end, prefix = _span(subnet)
            slot = next((slot for slot in have if slot[0] == version and first <= slot[1] < end), None)
            if slot is None:
                slot = self._free(subnet, version, first, end)
                if slot is None:
                    self._held.pop(key, None)
                    for one in {*kept, *have}:
                        self._let_go(one)
                    raise Exhausted(
                        f"subnet {subnet} has no free address: give the node a larger one, or wait until a pod there goes"
                    )
                self._holder[slot] = key
            kept.append(slot)
            ip = ipaddress.IPv4Address(slot[1]) if version == 4 else ipaddress.IPv6Address(slot[1])
            out.append(f"{ip}/{prefix}")
        for slot in have:
            if slot not in kept:
                self._let_go(slot)
        self._held[key] = kept
        self._forget_wishes(key)
        return tuple(out)

    def _let_go(self, slot):
        """Its holder has it no longer: who has it too does, or nobody."""
        heirs = self._wanted.pop(slot, ())
        if not heirs:
            del self._holder[slot]
            return
        self._holder[slot], *others = heirs
        self._held.setdefault(heirs[0], []).append(slot)
        if others:
            self._wanted[slot] = others

    def _forget_wishes(self, key):
        for slot in [slot for slot, keys in self._wanted.items() if key in keys]:
            self._wanted[slot].remove(key)
            if not self._wanted[slot]:
                del self._wanted[slot]

    def _free(self, subnet, version, first, end):
        start = self._next.get(subnet, first)
        for begin, stop in ((start, end), (first, start)):
            for number in range(begin, stop):
                if (version, number) not in self._holder:
                    self._next[subnet] = number + 1 if number + 1 < end else first
                    return version, number
        return None
