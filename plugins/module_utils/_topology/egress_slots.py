# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which gateway a pod's packets leave through: the pods' addresses are divided into slots, and each slot has a gateway.

A slot is a number of eight bits. The low four are the lowest bits of the pod's address, which tell pods of a node
apart; the high four are the lowest bits of the number of the node's subnet, which tell nodes apart. So pods of one
node, and equal addresses of neighbouring nodes, have different slots, and nodes may come and go.

A slot changes its gateway only when that gateway carries no traffic any more, or when somebody asks for a rebalance:
the gateway translates the pod's address to its own, so a connection that moves is cut.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import TYPE_CHECKING, NamedTuple

from .._common import addressing, names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

BITS = 4  # of a pod's address in its node's subnet, and as many of the subnet's number
SLOTS = 1 << 2 * BITS
MASK = (1 << BITS) - 1
SHIFTS = {4: 8, 6: 64}  # of the default node subnets, /24 and /64
LARGEST_SHIFT = {4: 32 - BITS, 6: 128 - BITS}
RUN = r"\d{1,3}(?:-\d{1,3})?"
TEXT = re.compile(rf"(\d{{1,3}}):({RUN}(?:,{RUN})*)", re.ASCII)


class Share(NamedTuple):
    """The slots of one gateway, of one IP version.

    :ivar shift: the position of the lowest bit of the subnet's number, which is the number of host bits.
    """

    shift: int
    slots: frozenset[int]

    def __str__(self) -> str:
        """Return the text in the database, such as ``8:0-84,120``."""
        runs: list[list[int]] = []
        for slot in sorted(self.slots):
            if runs and runs[-1][1] == slot - 1:
                runs[-1][1] = slot
            else:
                runs.append([slot, slot])
        return f"{self.shift}:" + ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def parse(text: str | None, version: int) -> Share | None:
    """Return the share that a text says; None for no text, and for one that says none."""
    whole = TEXT.fullmatch(text or "")
    if whole is None or not BITS <= int(whole[1]) <= LARGEST_SHIFT[version]:
        return None
    slots: set[int] = set()
    for part in whole[2].split(","):
        first, _dash, last = part.partition("-")
        slots.update(range(int(first), min(int(last or first), SLOTS) + 1))
    return Share(int(whole[1]), frozenset(slot for slot in slots if slot < SLOTS))


def shift_for(node_subnets: Iterable[str], version: int) -> int:
    """Return the number of host bits that most node subnets of a version have."""
    sizes = [addressing.network(subnet) for subnet in node_subnets if addressing.family(subnet) == version]
    counts: dict[int, int] = {}
    for net in sizes:
        counts[net.max_prefixlen - net.prefixlen] = counts.get(net.max_prefixlen - net.prefixlen, 0) + 1
    shift = min(counts, key=lambda bits: (-counts[bits], bits)) if counts else SHIFTS[version]
    return min(max(shift, BITS), LARGEST_SHIFT[version])


def consistent(shares: Mapping[str, Share]) -> dict[str, Share]:
    """Return shares that have one shift, the most frequent one, and no slot twice: the first gateway by name has it."""
    shifts = [share.shift for share in shares.values()]
    taken: set[int] = set()
    out = {}
    for name in sorted(shares):
        share = shares[name]
        if share.shift == max(shifts, key=lambda shift: (shifts.count(shift), shift)):
            out[name] = Share(share.shift, share.slots - taken)
            taken |= share.slots
    return out


def deal(held: Mapping[str, Collection[int]], carriers: Sequence[str]) -> dict[str, frozenset[int]]:
    """Return carrier -> its slots: those that it has, and its part of those that no carrier has.

    :param held: gateway -> the slots that it has.
    :param carriers: the gateways that carry traffic.
    """
    dealt = {name: set(held.get(name, ())) for name in carriers}
    free = set(range(SLOTS)).difference(*dealt.values()) if carriers else set()
    for slot in sorted(free):
        # Along a row (pods of a node) and along a column (the same address in each node) gateways take turns.
        start = (slot >> BITS) + (slot & MASK)
        turn = [carriers[(start + number) % len(carriers)] for number in range(len(carriers))]
        dealt[min(turn, key=lambda name: len(dealt[name]))].add(slot)
    return {name: frozenset(slots) for name, slots in dealt.items()}


def rebalance(held: Mapping[str, Collection[int]], carriers: Sequence[str]) -> dict[str, frozenset[int]]:
    """Return carrier -> its slots, as many for each as for any other (or one more), with as few moves as possible.

    The parameters are those of :func:`deal`.
    """
    shares = {name: set(slots) for name, slots in deal(held, carriers).items()}
    if not shares:
        return {}
    least, more = divmod(SLOTS, len(carriers))
    by_size = sorted(carriers, key=lambda name: (-len(shares[name]), name))
    quota = {name: least + (number < more) for number, name in enumerate(by_size)}
    owner = {slot: name for name, slots in shares.items() for slot in slots}
    even = {slot: name for name, slots in deal({}, carriers).items() for slot in slots}
    for by_pattern in (True, False):
        for slot in sorted(owner):
            name = owner[slot]
            short = [other for other in carriers if len(shares[other]) < quota[other]]
            if by_pattern:
                short = [other for other in short if other == even[slot]]
            if short and len(shares[name]) > quota[name]:
                shares[name].remove(slot)
                shares[short[0]].add(slot)
                owner[slot] = short[0]
    return {name: frozenset(slots) for name, slots in shares.items()}


@functools.lru_cache(maxsize=256)
def match(version: int, share: Share) -> str:
    """Return the match of a policy of the cluster router for packets of these slots that its default routes take.

    In the policies' stage ``outport`` is what the routes have chosen (ovn-northd(8), Logical Router Datapaths).
    """
    default = f'outport == "{names.router_to_join(names.CLUSTER_ROUTER)}"'
    if len(share.slots) == SLOTS:
        return f"{default} && ip{version}"
    ip = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    mask = ip(MASK << share.shift | MASK)
    sources = [f"{ip((slot >> BITS) << share.shift | slot & MASK)}/{mask}" for slot in sorted(share.slots)]
    return f"{default} && ip{version}.src == {{{', '.join(sources)}}}"


def slot_of(ip: str, shift: int) -> int:
    """Return the slot of an address."""
    number = int(addressing.address(ip))
    return (number >> shift & MASK) << BITS | number & MASK
