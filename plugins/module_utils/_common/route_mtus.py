# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What fits through the links to a destination: routes as pairs of a network and an MTU, few enough for a fact of
Ansible."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from .addressing import ANYWHERE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .addressing import IPAddress

    Route = tuple[str, int]

MOST = 500  # routes of one IP version


def compact(routes: Iterable[Route]) -> list[Route]:
    """Return as few routes as say the same: one in a wider network with the same MTU is left out.

    Where there are still more than :data:`MOST`, one route with their least MTU stands for all of its IP version.
    """
    kept: dict[int, dict[tuple[int, int], Route]] = {4: {}, 6: {}}  # version -> (prefix length, network) -> route
    networks = sorted(((ipaddress.ip_network(text), mtu) for text, mtu in routes), key=lambda one: one[0].prefixlen)
    for network, mtu in networks:
        of_version = kept[network.version]
        wider = _longest(of_version, int(network.network_address), network.prefixlen, network.max_prefixlen)
        if wider is None or wider[1] != mtu:
            key = (network.prefixlen, int(network.network_address))
            of_version[key] = (str(network), mtu)
    found: list[Route] = []
    for version, of_version in kept.items():
        if len(of_version) > MOST:
            found.append((ANYWHERE[version], min(mtu for _network, mtu in of_version.values())))
        else:
            found += of_version.values()
    return found


def ways(routes: Iterable[Route], destinations: Iterable[IPAddress]) -> list[tuple[int, IPAddress]]:
    """Return the MTU on the way to each destination, the least first; without those that no route leads to."""
    table: dict[int, list[tuple[int, int, int]]] = {4: [], 6: []}  # (bits of the host's part, network, MTU)
    for text, mtu in routes:
        network = ipaddress.ip_network(text)
        shift = network.max_prefixlen - network.prefixlen
        table[network.version].append((shift, int(network.network_address) >> shift, mtu))
    for of_version in table.values():
        of_version.sort()
    found = ((_mtu(table[one.version], int(one)), one) for one in destinations)
    return sorted(((mtu, one) for mtu, one in found if mtu is not None), key=lambda way: way[0])


def _mtu(routes: Sequence[tuple[int, int, int]], destination: int) -> int | None:
    """Return the MTU of the longest prefix that has the destination.

    :param routes: the longest prefixes first.
    """
    return next((mtu for shift, network, mtu in routes if destination >> shift == network), None)


def _longest(routes: dict[tuple[int, int], Route], number: int, length: int, width: int) -> Route | None:
    """Return the route of the longest prefix, of at most ``length`` bits, that has the address."""
    for bits in range(length, -1, -1):
        found = routes.get((bits, number >> (width - bits) << (width - bits)))
        if found is not None:
            return found
    return None
