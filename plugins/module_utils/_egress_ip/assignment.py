# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which node is to hold which address of the EgressIP objects: who has it keeps it while it can.

An address can be held where a gateway's own network has it. Of one object a node holds one address of each IP version
at most, so that its pods have as many ways out as it has addresses. The gateway with fewest addresses gets the next.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from .._common.addressing import family
from .lease import MOST_OF_NODE


@dataclass(frozen=True)
class Candidate:
    """A node that may hold addresses: it has the label, and a gateway.

    :ivar networks: its gateway's addresses on the physical network, with prefix length.
    :ivar versions: the IP versions whose way out works.
    :ivar is_alive: its program asks for leases.
    """

    node: str
    networks: tuple[str, ...]
    versions: frozenset[int] = frozenset({4, 6})
    is_alive: bool = True

    def has_network_of(self, address: str) -> bool:
        """Return whether its network has an address, beside those that mean all of it."""
        ip = ipaddress.ip_address(address)
        for cidr in self.networks:
            face = ipaddress.ip_interface(cidr)
            if face.version != ip.version or ip not in face.network or ip == face.ip:
                continue
            if face.network.num_addresses > 2 and ip in (face.network[0], face.network[-1]):
                continue
            return True
        return False

    def can_hold(self, address: str) -> bool:
        """Return whether it can hold an address now."""
        return self.is_alive and family(address) in self.versions and self.has_network_of(address)


def assign(
    wanted: Mapping[str, Iterable[str]], current: Mapping[str, str], candidates: Collection[Candidate]
) -> dict[str, str]:
    """Return address -> node; an address that nobody can hold stays where it is, as long as that node may hold some.

    :param wanted: object -> its addresses.
    :param current: address -> node, as it is now.
    """
    by_name = {one.node: one for one in candidates}
    count: Counter[str] = Counter()
    found: dict[str, str] = {}
    used: set[tuple[str, str, int]] = set()  # object, node, version
    waiting: list[tuple[str, str]] = []
    for name in sorted(wanted):
        for address in sorted(wanted[name]):
            node = current.get(address)
            place = (name, node or "", family(address))
            if node in by_name and by_name[node or ""].can_hold(address) and place not in used:
                found[address] = node or ""
                used.add(place)
                count[node or ""] += 1
            else:
                waiting.append((name, address))
    for name, address in waiting:
        free = [
            one
            for one in candidates
            if one.can_hold(address)
            and (name, one.node, family(address)) not in used
            and count[one.node] < MOST_OF_NODE
        ]
        best = min(free, key=lambda one: (count[one.node], _luck(address, one.node)), default=None)
        node = best.node if best is not None else current.get(address)
        if node is None or node not in by_name or (name, node, family(address)) in used:
            continue
        if best is None and not by_name[node].has_network_of(address):
            continue
        found[address] = node
        used.add((name, node, family(address)))
        count[node] += 1
    return found


def _luck(address: str, node: str) -> bytes:
    """Return by what equal nodes come for an address: others for each, the same on each master."""
    return hashlib.sha256(f"{address} {node}".encode()).digest()
