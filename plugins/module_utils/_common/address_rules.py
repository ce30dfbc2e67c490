# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What addresses, networks and MTUs can be used for: the only place that decides it, for inventory, modules and
commands.

Each function returns the value as read, or raises a :class:`.errors.SettingsError` whose parts the caller can put
behind its own words.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from . import addressing
from .errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .addressing import IPAddress, IPInterface, IPNetwork

# Networks whose addresses no pod, service or router can have, and what they are for (RFC 6890; RFC 1112, 4; RFC 4291,
# 2.4).
SPECIAL_NETWORKS = {
    "0.0.0.0/8": '"this network"',
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "224.0.0.0/3": "multicast and reserved",
    "::/127": "unspecified and loopback",
    "fe80::/10": "link-local",
    "ff00::/8": "multicast",
}
_SPECIAL = tuple((ipaddress.ip_network(text), use) for text, use in SPECIAL_NETWORKS.items())

LOWEST_MTU = {4: 576, 6: 1280}  # what each host accepts: RFC 791, 3.2 (datagrams of 576 octets); RFC 8200, 5
HIGHEST_MTU = 65535  # the length field of IP, RFC 791, 3.1

FIRST_GATEWAY = 2  # offset of the first gateway router in a join network; 1 is the cluster router
# Addresses that a join network must have so that a part of it is left for probes of next hops.
SIZE_WITH_PROBES = 64


def overlay_network(text: str, setting: str = "subnet") -> IPNetwork:
    """Return a network for pods, services or routers of the overlay.

    :raises SettingsError: it is no network, or it overlaps a special one.
    """
    net = addressing.network(text, setting)
    for special, use in _SPECIAL:
        if addressing.networks_overlap(special, net):
            example = {4: "192.168.0.0/16", 6: "fd10::/48"}[net.version]
            problem = f"overlaps {special} ({use} addresses)"
            raise SettingsError(problem, f"choose a private network, like {example}", text, setting)
    return net


def host_interface(text: str, setting: str = "address") -> IPInterface:
    """Return an address with its prefix length that a host, or a gateway router, can have on a physical network.

    :raises SettingsError: it is no such address, or the first or last one of its network.
    """
    face = addressing.interface(text, setting)
    _check_use(face.ip, "a host's address", addressing.CIDR_EXAMPLE, text, setting)
    net = face.network
    if net.num_addresses > 2:  # RFC 3021: both addresses of a /31 are hosts'
        likely = f"write an address in it, like {net.network_address + 1}/{net.prefixlen}"
        if face.ip == net.network_address:
            raise SettingsError("is the network's own address, not a host's", likely, text, setting)
        if face.version == 4 and face.ip == net.broadcast_address:
            raise SettingsError("is the network's broadcast address, not a host's", likely, text, setting)
    return face


def host_address(text: str, setting: str = "address") -> IPAddress:
    """Return an address that other hosts can reach, for example a tunnel's end.

    :raises SettingsError: it is no such address.
    """
    ip = addressing.address(text, setting)
    _check_use(ip, "an address that other hosts reach", addressing.ADDRESS_EXAMPLE, text, setting)
    return ip


def next_hop(text: str, setting: str = "next hop") -> IPAddress:
    """Return the address of a router. It may be a link-local IPv6 address.

    :raises SettingsError: it is no such address.
    """
    ip = addressing.address(text, setting)
    _check_use(ip, "a router's address", addressing.ADDRESS_EXAMPLE, text, setting, link_local=True)
    return ip


def _check_use(ip: IPAddress, purpose: str, example: str, text: str, setting: str, link_local: bool = False) -> None:
    """Refuse an address of a kind that can't serve the purpose.

    :param link_local: a link-local IPv6 address can.
    """
    kinds = {
        "multicast": ip.is_multicast,
        "loopback": ip.is_loopback,
        "unspecified": ip.is_unspecified,
        "link-local": ip.version == 6 and ip.is_link_local and not link_local,
    }
    for kind, applies in kinds.items():
        if applies:
            article = "an" if kind[0] in "aeiou" else "a"
            problem = f"can't be {purpose}: it is {article} {kind} address"
            raise SettingsError(problem, f"write it like {example}", text, setting)


def mtu(value: int, versions: Iterable[int] = (4,), setting: str = "mtu") -> int:
    """Return an MTU of the pods' network.

    :param value: in bytes, without the encapsulation.
    :param versions: IP versions of the network.
    :raises SettingsError: it is too small for one of the versions, or no packet can be so large.
    """
    lowest = max((LOWEST_MTU[version] for version in versions), default=LOWEST_MTU[4])
    if LOWEST_MTU[4] <= value < lowest:
        raise SettingsError("is too small for IPv6", f"give it at least {lowest}", value, setting)
    if not lowest <= value <= HIGHEST_MTU:
        raise SettingsError("is out of range", f"write a number from {lowest} to {HIGHEST_MTU}", value, setting)
    return value


def gateway_offsets(join: str) -> range:
    """Return the offsets in a join network that gateway routers can have.

    In a network of at least :data:`SIZE_WITH_PROBES` addresses they end in the middle: the other half is for probes of
    their next hops.
    Else they end before the last address.
    """
    size = addressing.network(join).num_addresses
    return range(FIRST_GATEWAY, max(size // 2 if size >= SIZE_WITH_PROBES else size - 1, FIRST_GATEWAY))


def probe_address(join: str, offset: int) -> str | None:
    """Return the address in the join network whose packets the gateway at this offset forwards to its next hop, for
    probes of it.

    :returns: None when the network is too small for such addresses.
    """
    size = addressing.network(join).num_addresses
    if size < SIZE_WITH_PROBES or offset >= gateway_offsets(join).stop:
        return None
    return addressing.nth(join, size - 1 - offset, prefix=False)


def join_network(text: str, gateways: int, setting: str = "join_subnet") -> IPNetwork:
    """Return a network between the cluster router and the gateway routers.

    :param gateways: the number of gateways that it must have addresses for.
    :raises SettingsError: it is no network for the overlay, or it is too small.
    """
    net = overlay_network(text, setting)
    if len(gateway_offsets(text)) < gateways or net.num_addresses <= FIRST_GATEWAY:
        plural = "" if gateways == 1 else "s"
        problem = f"is too small for the cluster router and {gateways} gateway{plural}"
        raise SettingsError(problem, f"give it /{_join_prefix(net, gateways)} or wider", text, setting)
    return net


def _join_prefix(net: IPNetwork, gateways: int) -> int:
    """Return the longest prefix of a join network for so many gateways."""
    for prefix in range(net.prefixlen, -1, -1):
        wider = net.supernet(new_prefix=prefix)
        if wider.num_addresses > FIRST_GATEWAY and len(gateway_offsets(str(wider))) >= gateways:
            return prefix
    raise AssertionError(f"no network has {gateways} addresses")
