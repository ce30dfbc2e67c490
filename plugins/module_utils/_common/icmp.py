# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Types of ICMP messages, by the names that the kernel gives them."""

from __future__ import annotations

import enum


class IcmpType(enum.IntEnum):
    """RFC 792; include/uapi/linux/icmp.h."""

    ECHOREPLY = 0
    DEST_UNREACH = 3
    SOURCE_QUENCH = 4
    TIME_EXCEEDED = 11
    PARAMETERPROB = 12


class Icmpv6Type(enum.IntEnum):
    """RFC 4443 and, for neighbour discovery, RFC 4861; include/uapi/linux/icmpv6.h and include/net/ndisc.h."""

    DEST_UNREACH = 1
    PKT_TOOBIG = 2
    TIME_EXCEED = 3
    PARAMPROB = 4
    ECHO_REPLY = 129
    ROUTER_SOLICITATION = 133
    ROUTER_ADVERTISEMENT = 134
    NEIGHBOUR_SOLICITATION = 135
    NEIGHBOUR_ADVERTISEMENT = 136
    REDIRECT = 137
