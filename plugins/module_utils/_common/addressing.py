# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read addresses and subnets, and compute addresses and MACs from them. No I/O.

A *subnet* is CIDR text such as ``192.168.2.0/24`` or ``fd10::/64``. A *CIDR* is an address with its prefix length.
Lists have at most one of each family, in the order in which the user gave them.
What an address may be used for is decided in :mod:`.address_rules`.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import re
import socket
from typing import TYPE_CHECKING, NamedTuple

from .errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Union

    IPAddress = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
    IPNetwork = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
    IPInterface = Union[ipaddress.IPv4Interface, ipaddress.IPv6Interface]

# Bytes by family of the tunnel: outer IP header, UDP 8, Geneve 8 (RFC 8926), OVN's Geneve option 8, inner Ethernet
# header 14.
GENEVE_OVERHEAD = {4: 58, 6: 78}
LONGEST = 64  # characters: an IPv6 address that embeds an IPv4 one, with its prefix length, has 49
ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
# Offsets of addresses in a node subnet. Pods get the addresses from 3 on.
ROUTER, HOST = 1, 2
NETWORK_EXAMPLE = "192.168.0.0/16 or fd10::/48"
# First bytes of IPv4's loopback addresses, and of its multicast and reserved ones.
LOOPBACK, FIRST_MULTICAST = 127, 224
CIDR_EXAMPLE = "10.33.74.138/24"
ADDRESS_EXAMPLE = "10.33.74.253"


def family(text: str) -> int:
    """Return 4 or 6: the IP version of an address or a subnet."""
    return 6 if ":" in text else 4


def network(text: str, setting: str = "subnet") -> IPNetwork:
    """Return ``text`` as a network.

    :param setting: the option that has the value, for the error's text.
    :raises SettingsError: it is no network, has no prefix length or a netmask, or has host bits set.
    """
    try:
        right = ipaddress.ip_interface(_without_scope(text))
    except ValueError:
        raise SettingsError("is not a network", f"write it like {NETWORK_EXAMPLE}", text, setting) from None
    if "/" not in text:
        raise SettingsError("lacks its prefix length", f"write it like {_likely_cidr(right.ip)}", text, setting)
    if not text.rpartition("/")[2].isdigit():
        raise SettingsError("has a netmask", f"write its prefix length, like {right.network}", text, setting)
    if right.ip != right.network.network_address:
        raise SettingsError("has host bits set", f"the network is {right.network}", text, setting)
    return right.network


def interface(text: str, setting: str = "address") -> IPInterface:
    """Return ``text`` as an address with its prefix length.

    :param setting: the option that has the value, for the error's text.
    :raises SettingsError: it is no address, has no prefix length or a netmask.
    """
    try:
        face = ipaddress.ip_interface(_without_scope(text))
    except ValueError:
        problem = "is not an address with a prefix length"
        raise SettingsError(problem, f"write it like {CIDR_EXAMPLE}", text, setting) from None
    if "/" not in text:
        raise SettingsError("lacks its prefix length", f"write it like {_likely_cidr(face.ip)}", text, setting)
    if not text.rpartition("/")[2].isdigit():
        raise SettingsError("has a netmask", f"write its prefix length, like {face}", text, setting)
    return face


def _likely_cidr(ip: IPAddress) -> str:
    """Return an address with the prefix length that a user who left it out most likely meant."""
    if ip.version == 6:
        return f"{ip}/64"
    zeros = len(str(ip)) - len(re.sub(r"(\.0)+$", "", str(ip)))  # characters: two for each byte that is zero
    return f"{ip}/{32 - 4 * zeros if zeros else 24}"


def address(text: str, setting: str = "address") -> IPAddress:
    """Return ``text`` as an address.

    :param setting: the option that has the value, for the error's text.
    :raises SettingsError: it is no address, or has a prefix length.
    """
    try:
        return ipaddress.ip_address(_without_scope(text))
    except ValueError:
        advice = f"write it like {ADDRESS_EXAMPLE}, without a prefix length"
        raise SettingsError("is not an address", advice, text, setting) from None


def _without_scope(text: object) -> str:
    """Return the text.

    :raises ValueError: it is no text, longer than any address, or has a scope (``fe80::1%eth0``, RFC 4007, 11), which
        may be any text.
    """
    if not isinstance(text, str) or len(text) > LONGEST or "%" in text:
        raise ValueError("no address")
    return text


def packed(text: str) -> bytes:
    """Return the bytes of an address. Of IPv4 it takes one spelling only, the usual one (inet_pton(3)).

    :mod:`ipaddress` does the same, and takes ten times as long.

    :raises ValueError: it is no address.
    """
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except OSError:
        raise ValueError("no address") from None


def normalized(text: object) -> str | None:
    """Return an address in its usual spelling; None for anything else.

    For values that other programs and users wrote: host names, addresses with a scope, fragments of a program.
    """
    try:
        if isinstance(text, str) and family(text) == 4:
            packed(text)
            return text
        return str(ipaddress.ip_address(_without_scope(text)))
    except ValueError:
        return None


def unicast(text: object) -> str | None:
    """Return the unicast address of a machine in its usual spelling; None for anything else.

    That is no unspecified, loopback, multicast or reserved address, and none that maps IPv4 to IPv6.
    Open vSwitch refuses a flow that translates to an unspecified address, together with all others of the same bundle.
    """
    normal = normalized(text)
    if normal is None:
        return None
    if family(normal) == 4:
        first = packed(normal)[0]
        return normal if 0 < first < FIRST_MULTICAST and first != LOOPBACK else None  # RFC 6890
    ip = ipaddress.IPv6Address(normal)
    return None if ip.is_unspecified or ip.is_loopback or ip.is_multicast or ip.ipv4_mapped else normal


@functools.lru_cache(maxsize=8192)  # the programs that run for ever ask for the same addresses again and again
def nth(subnet: str, offset: int, prefix: bool = True) -> str:
    """Return the address at ``offset`` in ``subnet``.

    :param prefix: with the subnet's prefix length.
    :raises SettingsError: the subnet has no such address.
    """
    net = network(subnet)
    if offset >= net.num_addresses:
        raise SettingsError(f"subnet {subnet} is too small: it has no address number {offset}")
    text = str(net.network_address + offset)
    return f"{text}/{net.prefixlen}" if prefix else text


def router_of(cidr: str) -> str:
    """Return the router's address in the subnet that an address with prefix length is in.

    :raises SettingsError: it is no such address, or its subnet has no router's address.
    """
    text, _slash, prefix = cidr.rpartition("/")
    try:
        number, length = int.from_bytes(packed(text), "big"), int(prefix)
    except ValueError:
        interface(cidr)  # says what is wrong
        raise
    bits = (128 if family(text) == 6 else 32) - length
    if bits < 0:
        interface(cidr)
    return _router_in(family(text), number >> bits, bits)


@functools.lru_cache(maxsize=8192)
def _router_in(version: int, upper: int, bits: int) -> str:
    """Return the router's address in the subnet of these upper bits."""
    ip: IPAddress = (ipaddress.IPv6Address if version == 6 else ipaddress.IPv4Address)(upper << bits)
    return nth(f"{ip}/{ip.max_prefixlen - bits}", ROUTER, prefix=False)


def single(ip: str) -> str:
    """Return the network of one address."""
    return f"{ip}/{ipaddress.ip_address(ip).max_prefixlen}"


def offset_in(subnet: str, cidr: str) -> int:
    """Return the offset of an address in its subnet: the inverse of :func:`nth`.

    :param subnet: gives the size; the address may be in another subnet.
    """
    net = network(subnet)
    return int(ipaddress.ip_interface(cidr).ip) & int(net.hostmask)


def router_mac(cidr: str) -> str:
    """Return the MAC of a port with this address: locally administered, stable, not random.

    It is ``0a:58`` and the four bytes of an IPv4 address, or four bytes of the hash of an IPv6 address.
    """
    ip = packed(cidr.split("/")[0])
    tail = ip if len(ip) == 4 else hashlib.sha256(ip).digest()[:4]
    return (b"\x0a\x58" + tail).hex(":")


def mac_of(cidrs: Iterable[str]) -> str:
    """Return the MAC of a port with these addresses: of the IPv4 address when there is one."""
    return router_mac(sorted(cidrs, key=family)[0])


def overlap(one: str, other: str) -> bool:
    """Return whether two subnets share an address."""
    return family(one) == family(other) and networks_overlap(network(one), network(other))


def networks_overlap(one: IPNetwork, other: IPNetwork) -> bool:
    """Return whether two networks share an address."""
    return one.version == other.version and one.overlaps(other)


class Labelled(NamedTuple):
    """A subnet, and what it belongs to."""

    label: str
    subnet: str


def first_overlap(subnets: Iterable[tuple[str, str]]) -> tuple[Labelled, Labelled] | None:
    """Return the first two of (label, subnet) pairs that share an address; None when no two do."""
    spans = []
    for label, subnet in subnets:
        net = network(subnet)
        span = (net.version, int(net.network_address), int(net.broadcast_address))
        spans.append((span, Labelled(label, subnet)))
    spans.sort()
    for ((version, _first, last), one), ((other_version, other_first, _last), other) in zip(spans, spans[1:]):
        if version == other_version and other_first <= last:
            return one, other
    return None


def inside(subnet: str, networks: Iterable[str]) -> bool:
    """Return whether ``subnet`` lies within one of ``networks``."""
    return any(_contains(network(outer), network(subnet)) for outer in networks)


def _contains(outer: IPNetwork, net: IPNetwork) -> bool:
    if isinstance(outer, ipaddress.IPv4Network):
        return isinstance(net, ipaddress.IPv4Network) and net.subnet_of(outer)
    return isinstance(net, ipaddress.IPv6Network) and net.subnet_of(outer)
