# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Matches of the packets by which somebody has an address, as ovs-fields(7) writes them."""

from __future__ import annotations

from .._common.addressing import family
from .._common.icmp import Icmpv6Type

UNTAGGED = "vlan_tci=0x0000/0x1fff"


def from_holder(address: str) -> tuple[str, str]:
    """Return the matches of what leaves whoever has an address: its packets, and what tells of it."""
    if family(address) == 4:
        return f"ip,nw_src={address}", f"arp,arp_spa={address}"
    tells = Icmpv6Type.NEIGHBOUR_ADVERTISEMENT
    return f"ipv6,ipv6_src={address}", f"icmp6,icmp_type={tells:d},nd_target={address}"


def to_holder(address: str) -> tuple[str, str]:
    """Return the matches of what comes to whoever has an address: its packets, and what asks for it."""
    if family(address) == 4:
        return f"ip,nw_dst={address}", asks(address)
    return f"ipv6,ipv6_dst={address}", asks(address)


def asks(address: str) -> str:
    """Return the match of ARP and neighbour solicitations for an address."""
    if family(address) == 4:
        return f"arp,arp_tpa={address}"
    return f"icmp6,icmp_type={Icmpv6Type.NEIGHBOUR_SOLICITATION:d},nd_target={address}"
