# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who configures a NIC, as found on a host. Data only."""

from __future__ import annotations

from dataclasses import dataclass

NETWORKD, NETWORK_MANAGER, IFUPDOWN = "systemd-networkd", "NetworkManager", "ifupdown"


@dataclass(frozen=True)
class Lease:
    """What a DHCP server gave the NIC.

    :ivar ip: IPv4 address.
    :ivar client_id: the client identifier that was sent, in hexadecimal; empty: none was sent, or it is not known.
    :ivar six: whether it gave IPv6 addresses too.
    """

    ip: str
    client_id: str = ""
    six: bool = False


@dataclass(frozen=True)
class Managed:
    """A NIC and who configures it.

    :ivar by: NETWORKD, NETWORK_MANAGER, IFUPDOWN, or None: nobody that we know, the addresses are just there.
    :ivar files: :class:`.state.File`s with its configuration; networkd: the .network file, then its drop-ins; ifupdown: every file that is read.
    :ivar lease: of DHCP, None: there is none.
    :ivar leased: addresses (with prefix length) that end unless somebody renews them.
    :ivar running: the managers that run on this host, whether they configure this NIC or not.
    :ivar awaited: whether a boot waits for this very NIC to be online, as netplan has systemd-networkd-wait-online do.
    :ivar dns: lines of /etc/resolv.conf that the manager wrote there.
    :ivar profile: NetworkManager: the uuid of the profile by which it configures the NIC.
    :ivar metric: NetworkManager: of the routes of a profile that says none.
    :ivar helper: a DHCP client that the manager runs, None: it is one itself.
    """

    nic: str
    mac: str
    by: str | None = None
    files: tuple = ()
    lease: Lease | None = None
    leased: tuple = ()
    running: tuple = ()
    awaited: bool = False
    dns: tuple = ()
    profile: str | None = None
    metric: int = -1
    helper: str | None = None


@dataclass(frozen=True)
class Profile:
    """NetworkManager's profile of a NIC.

    :ivar uuid: its identity.
    :ivar on_bridge: whether NetworkManager configures the bridge by a copy of it. False: it leaves the bridge alone.
    :ivar client_id: the DHCP client identifier that the copy has, bytes as 01:02, so that the bridge is the same DHCP client. Empty: none.
    :ivar token: the IPv6 interface identifier that the copy has, as ::1. Empty: none.
    :ivar metric: of its routes, where the NIC's profile has none: NetworkManager has one for each type of device. -1: none.
    """

    uuid: str
    on_bridge: bool = False
    client_id: str = ""
    token: str = ""
    metric: int = -1


@dataclass(frozen=True)
class LinkResolver:
    """Name servers of a link, as systemd-resolved has them (org.freedesktop.resolve1(5)).

    :ivar servers: ((family, address as bytes, port, name), ...). Port 0 and an empty name are the defaults.
    :ivar domains: ((domain, whether it is for routing queries only), ...).
    :ivar default: whether queries go there that match no link's domains.
    :ivar modes: ((property, value), ...) of the other settings, such as LLMNR and DNSSEC.
    """

    servers: tuple
    domains: tuple = ()
    default: bool = False
    modes: tuple = ()
