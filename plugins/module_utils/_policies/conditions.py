# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Matches of ACLs that ovn-controller makes few flows of: each is about one IP version, and ports of one protocol.

ovn-controller makes as many flows as a match has addresses, ports of switches and ports of protocols **in sum**
(conjunctive matches, ovs-fields(7)), as long as each of its parts compares one field. A part with alternatives of two
fields, ``ip4.src == $a || ip6.src == $b`` or ``tcp || udp``, makes it write the product, also where a set is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .model import LAST_PORT, PortRange, merged


def of_ports(ranges: Iterable[PortRange]) -> list[str]:
    """Return the conditions that a packet has one of these ports: one for each protocol, sorted."""
    by_protocol: dict[str, list[PortRange]] = {}
    for one in merged(ranges):
        by_protocol.setdefault(one.protocol, []).append(one)
    return [_of_protocol(protocol, found) for protocol, found in sorted(by_protocol.items())]


def _of_protocol(protocol: str, ranges: Sequence[PortRange]) -> str:
    """Return the condition that a packet has one of these ports, which are of one protocol."""
    field = f"{protocol}.dst"
    single = [one.first for one in ranges if one.first == one.last]
    parts = [equals(field, list(map(str, single)))] if single else []
    for _protocol, first, last in ranges:
        if (first, last) == (0, LAST_PORT):
            return protocol
        if first == last:
            continue
        if first == 0:
            parts.append(f"{field} <= {last}")
        else:
            parts.append(f"{field} >= {first}" if last == LAST_PORT else f"{first} <= {field} <= {last}")
    return parts[0] if len(parts) == 1 else f"({' || '.join(parts)})"


def equals(field: str, values: Sequence[str]) -> str:
    """Return the condition that a field has one of these values."""
    return f"{field} == {values[0] if len(values) == 1 else '{' + ', '.join(values) + '}'}"


def matches(
    port: str, sets: Mapping[int, Sequence[str]] | None = None, field: str = "", ports: Sequence[str] = ()
) -> list[str]:
    """Return the matches of the ACLs that say one thing together.

    :param port: the condition of the pods' ports at their switch.
    :param sets: IP version -> names of address sets, of which one has the address of the other end; a version without
        an entry gets no match. None: any address.
    :param field: of that address, ``src`` or ``dst``.
    :param ports: conditions of :func:`of_ports`; none: all packets.
    """
    if sets is None:
        return [f"{port} && {one}" for one in ports or ("ip",)]
    others = [equals(f"ip{version}.{field}", [f"${one}" for one in found]) for version, found in sorted(sets.items())]
    ends = [f" && {one}" for one in ports] or [""]
    return [f"{port} && {other}{end}" for other in others for end in ends]
