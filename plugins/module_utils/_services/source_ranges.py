# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which clients may reach the addresses that a load balancer has given to a service (``loadBalancerSourceRanges``).

The API server accepts a field, and an older annotation where the field is empty. It has accepted more spellings of
networks than it does now (ValidateServices of Kubernetes' validation). What can't be read admits nobody.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .._common.addressing import ANYWHERE, LONGEST

if TYPE_CHECKING:
    from .._common.addressing import IPNetwork

ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"
MAXIMUM = 256  # networks of one service
LONGEST_ANNOTATION = 4096  # characters
IPV4_MAPPED = 96  # the prefix length of ::ffff:0.0.0.0 (RFC 4291, 2.5.5.2)


class SourceRanges(NamedTuple):
    """The clients that may reach the addresses.

    :ivar networks: sorted, none within another; None: everybody may reach them.
    :ivar problem: why addresses of an IP version without networks have no clients, in words.
    """

    networks: tuple[str, ...] | None
    problem: str = "no source range is of their IP version, so nobody may reach them"


def of(item: Mapping[str, Any]) -> SourceRanges:
    """Return the clients that a service names."""
    texts = item["spec"].get("loadBalancerSourceRanges") or ()
    if not texts:
        annotation = str((item["metadata"].get("annotations") or {}).get(ANNOTATION) or "").strip()
        if not annotation:
            return SourceRanges(None)
        if len(annotation) > LONGEST_ANNOTATION:
            return SourceRanges(
                (), f"nobody may reach them, since {ANNOTATION} has over {LONGEST_ANNOTATION} characters"
            )
        texts = annotation.split(",")
    if len(texts) > MAXIMUM:
        return SourceRanges((), f"nobody may reach them, since more than {MAXIMUM} source ranges are not read")
    networks = []
    for text in texts:
        network = _network(text)
        if network is None:
            return SourceRanges((), "nobody may reach them, since a source range is no network like 192.0.2.0/24")
        networks.append(network)
    return _admitted(tuple(map(str, _collapsed(networks))))


def _admitted(networks: tuple[str, ...]) -> SourceRanges:
    """Return the clients of these networks.

    All addresses of one IP version alone mean everybody, as upstream's IsAllowAll has it.
    """
    return SourceRanges(None) if networks in {(one,) for one in ANYWHERE.values()} else SourceRanges(networks)


def _collapsed(networks: Iterable[IPNetwork]) -> Iterator[IPNetwork]:
    """Yield the networks, sorted, none within another: sets of nft(8) refuse networks that overlap."""
    networks = list(networks)
    yield from ipaddress.collapse_addresses(one for one in networks if isinstance(one, ipaddress.IPv4Network))
    yield from ipaddress.collapse_addresses(one for one in networks if isinstance(one, ipaddress.IPv6Network))


def _network(text: object) -> IPNetwork | None:
    """Return a text as a network; None for anything else.

    Host bits and spaces around it are allowed. An IPv4 network that is mapped to IPv6 is the IPv4 network.
    """
    if not isinstance(text, str) or len(text) > 2 * LONGEST:
        return None
    address, slash, length = text.strip().partition("/")
    if not slash or "%" in address or not (length.isascii() and length.isdecimal()) or len(length) > 3:
        return None
    try:
        network = ipaddress.ip_interface(f"{address}/{length}").network
    except ValueError:
        return None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    return network if mapped is None else ipaddress.ip_network(f"{mapped}/{network.prefixlen - IPV4_MAPPED}")
