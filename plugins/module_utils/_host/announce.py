# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Have the kernel announce the addresses of a link to its neighbours, as it does when a link's MAC changes.

It sends the frames itself, so that no program needs packet sockets, by which it could send any frame.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from .._common import addressing
from .._netlink.links import set_link
from .._netlink.socket import RouteSocket
from .sysctl import read_sysctl, write_sysctl

if TYPE_CHECKING:
    from collections.abc import Iterable

# By IP version: the kernel announces a link's addresses when its MAC is set, also to the one that it has
# (Documentation/networking/ip-sysctl.rst; NETDEV_CHANGEADDR in net/ipv4/devinet.c and net/ipv6/ndisc.c).
SETTINGS = {4: "arp_notify", 6: "ndisc_notify"}
ON, OFF = "1", "0"


def announce(link: str, mac: str, cidrs: Iterable[str]) -> None:
    """Announce all addresses of a link that is up, of the IP versions that these addresses have: IPv4 by gratuitous ARP
    (RFC 5227, 3), IPv6 by unsolicited neighbour advertisements (RFC 4861, 7.2.6).

    The kernel forgets the neighbours of the link, also those that somebody configured. The settings are afterwards as
    they were before.

    :param mac: the link's own.
    :param cidrs: addresses with their prefix lengths.
    :raises OSError: the kernel refuses.
    """
    with contextlib.ExitStack() as settings:
        for version in sorted({addressing.family(cidr) for cidr in cidrs}):
            parts = ("net", f"ipv{version}", "conf", link, SETTINGS[version])
            before = read_sysctl(parts) or OFF
            write_sysctl(parts, ON)
            settings.callback(write_sysctl, parts, before)
        with RouteSocket() as kernel:
            set_link(kernel, link, mac=mac)
