# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The networks of ``ipBlock``: what is excepted is taken away before, so that sets hold only what is allowed.

A condition on what is not (``ip4.src != {...}``) would make OVN write a flow for each combination of bits, and a rule
that drops the exception would hit what another rule allows.
"""

from __future__ import annotations

import bisect
import re
import socket
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .._common import addressing
from .selectors import Unreadable

MAXIMUM_BLOCKS = 5000  # networks and exceptions of one policy
WIDTH = {4: 32, 6: 128}  # bits of an address
DIGITS = re.compile(r"[0-9]{1,3}")
MAXIMUM_NETWORKS = 10000  # that are left of the blocks of one rule


class Span(NamedTuple):
    """The addresses from the first to the last one, as numbers."""

    version: int
    first: int
    last: int


def span(text: object) -> Span:
    """Return the addresses of a CIDR. The API server takes one with bits of the host; they say nothing.

    :raises Unreadable: it is none.
    """
    if not isinstance(text, str) or len(text) > addressing.LONGEST:
        raise Unreadable("a network that is none")
    address, _slash, prefix = text.rpartition("/")
    version = addressing.family(address)
    try:
        number = int.from_bytes(addressing.packed(address), "big")
        host_bits = WIDTH[version] - int(prefix) if DIGITS.fullmatch(prefix) else -1
    except ValueError:
        host_bits = -1
    if host_bits < 0:
        raise Unreadable(f"{text!r}, which is no network with a prefix length")
    first = number >> host_bits << host_bits
    return Span(version, first, first + (1 << host_bits) - 1)


def left_of(block: Span, exceptions: Iterable[Span]) -> Iterator[Span]:
    """Yield what is left of a block without its exceptions."""
    first = block.first
    for one in sorted(exceptions):
        if one.version != block.version or one.last < first or one.first > block.last:
            continue
        if one.first > first:
            yield Span(block.version, first, one.first - 1)
        first = one.last + 1
    if first <= block.last:
        yield Span(block.version, first, block.last)


def networks(spans: Iterable[Span]) -> tuple[str, ...]:
    """Return the fewest networks that have exactly these addresses, sorted.

    :raises Unreadable: there are too many.
    """
    found: list[str] = []
    for one in merged(spans):
        for network in _split(one):
            found.append(network)
            if len(found) > MAXIMUM_NETWORKS:
                raise Unreadable(f"more than {MAXIMUM_NETWORKS} networks, after what is excepted")
    return tuple(found)


def _split(one: Span) -> Iterator[str]:
    """Yield the networks of a span. :mod:`ipaddress` does the same, and takes ten times as long."""
    version, first, last = one
    kind = socket.AF_INET if version == 4 else socket.AF_INET6
    while first <= last:
        aligned = (first & -first).bit_length() - 1 if first else WIDTH[version]
        bits = min(aligned, (last - first + 1).bit_length() - 1)
        text = socket.inet_ntop(kind, first.to_bytes(WIDTH[version] // 8, "big"))
        yield f"{text}/{WIDTH[version] - bits}"
        first += 1 << bits


def merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield the fewest spans that have these addresses, sorted and apart from each other."""
    current: Span | None = None
    for one in sorted(spans):
        if current is not None and one.version == current.version and one.first <= current.last + 1:
            current = current._replace(last=max(current.last, one.last))
            continue
        if current is not None:
            yield current
        current = one
    if current is not None:
        yield current


class Spans:
    """Networks that do not overlap: whether an address is in one of them costs little for any number of them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._spans = sorted(map(span, texts))

    def have(self, address: str) -> bool:
        """Return whether an address is in one of them."""
        one = span(addressing.single(address))
        place = bisect.bisect_right(self._spans, one._replace(last=1 << 128))
        found = self._spans[place - 1] if place else None
        return found is not None and found.version == one.version and one.last <= found.last
