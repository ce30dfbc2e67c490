# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From subnets to addresses and MACs: pure arithmetic, written for a list of families.

A *subnet* is CIDR text such as ``192.168.2.0/24`` or ``fd10::/64``; lists hold at most one of each family,
in the order in which the user gave them.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress

from .errors import SettingsError

GENEVE_OVERHEAD = {4: 58, 6: 78}  # outer IP + UDP 8 + Geneve 8 + OVN's option 8 + inner Ethernet 14 (RFC 8926)
ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
ROUTER, HOST = 1, 2  # offsets in a node subnet; pods follow from 3
FIRST_GATEWAY = 2  # offset in the join subnet; 1 is the cluster router


def family(text: str) -> int:
    """4 or 6, of an address or a subnet."""
    return 6 if ":" in text else 4


def network(text, what: str = "subnet"):
    """``text`` as an ``ip_network``, which must carry its prefix length; :raises SettingsError: when it doesn't."""
    try:
        right = ipaddress.ip_interface(_unscoped(text))
    except ValueError:
        raise SettingsError(f"{what} {text!r} is not a network: write it like 192.168.0.0/16 or fd10::/48") from None
    if "/" not in text:
        raise SettingsError(f"{what} {text!r} lacks its prefix length: write it like 192.168.0.0/16 or fd10::/48")
    if not text.rpartition("/")[2].isdigit():
        raise SettingsError(f"{what} {text!r} has a netmask: write its prefix length, like {right.network}")
    if right.ip != right.network.network_address:
        raise SettingsError(f"{what} {text!r} has host bits set: the network is {right.network}")
    return right.network


def interface(text, what: str = "address"):
    """``text`` as an ``ip_interface``, which must carry its prefix length; :raises SettingsError: when it doesn't."""
    if "/" not in text:
        raise SettingsError(f"{what} {text!r} lacks its prefix length: write it like 10.33.74.138/24")
    try:
        face = ipaddress.ip_interface(_unscoped(text))
    except ValueError:
        raise SettingsError(
            f"{what} {text!r} is not an address with a prefix length: write it like 10.33.74.138/24"
        ) from None
    if not text.rpartition("/")[2].isdigit():
        raise SettingsError(f"{what} {text!r} has a netmask: write its prefix length, like {face}")
    return face


def address(text: str, what: str = "address"):
    """``text`` as an ``ip_address``; :raises SettingsError: when it isn't one."""
    try:
        return ipaddress.ip_address(_unscoped(text))
    except ValueError:
        raise SettingsError(
            f"{what} {text!r} is not an address: write it like 10.33.74.253, without a prefix length"
        ) from None


def _unscoped(text):
    """The text; :raises ValueError: when it names a scope (fe80::1%eth0), which may be any text."""
    if isinstance(text, str) and "%" in text:
        raise ValueError(text)
    return text


def plain(text):
    """An address in its usual spelling; None for what is none, whoever wrote it: a host's name, a scope, a piece of a program."""
    try:
        return str(ipaddress.ip_address(_unscoped(text))) if isinstance(text, str) else None
    except ValueError:
        return None


def reachable(text):
    """As :func:`plain`, and None for an address that never is one machine's: nobody's, a loopback's, a group's, everybody's.

    Open vSwitch refuses to translate to nobody's, and with that flow all others of the same installation.
    """
    text = plain(text)
    ip = ipaddress.ip_address(text) if text else None
    odd = (
        ip is None
        or ip.is_unspecified
        or ip.is_loopback
        or ip.is_multicast
        or getattr(ip, "ipv4_mapped", None)
        or text == "255.255.255.255"
    )
    return None if odd else text


@functools.lru_cache(maxsize=8192)  # a program that stays asks for the same ones again and again
def nth(subnet: str, offset: int, prefix: bool = True) -> str:
    """The address at ``offset`` in ``subnet``, with the subnet's prefix length or bare."""
    net = network(subnet)
    if offset >= net.num_addresses:
        raise SettingsError(f"subnet {subnet} is too small: it has no address number {offset}")
    text = str(net.network_address + offset)
    return f"{text}/{net.prefixlen}" if prefix else text


def single(ip: str) -> str:
    """The network of one address."""
    return f"{ip}/{ipaddress.ip_address(ip).max_prefixlen}"


def offset_in(subnet: str, cidr: str) -> int:
    """Which address of ``subnet``'s size ``cidr`` is: the inverse of :func:`nth`, also for an address of another subnet."""
    net = network(subnet)
    return int(ipaddress.ip_interface(cidr).ip) & int(net.hostmask)


@functools.lru_cache(maxsize=8192)
def router_mac(cidr: str) -> str:
    """``0a:58`` and the four bytes of the IPv4 address; for IPv6 four bytes of its hash. Locally administered, stable, not random."""
    ip = ipaddress.ip_interface(cidr).ip
    tail = ip.packed if ip.version == 4 else hashlib.sha256(ip.packed).digest()[:4]
    return ":".join(f"{byte:02x}" for byte in b"\x0a\x58" + tail)


def mac_of(cidrs) -> str:
    """The MAC of a port with these addresses: IPv4 decides where there is one."""
    return router_mac(sorted(cidrs, key=family)[0])


def overlap(one: str, other: str) -> bool:
    """Whether two subnets share an address."""
    return family(one) == family(other) and network(one).overlaps(network(other))


def first_overlap(subnets):
    """The first two of (label, subnet) pairs that share an address, as ((label, subnet), (label, subnet)); None when all are apart."""
    spans = []
    for label, subnet in subnets:
        net = network(subnet)
        spans.append((net.version, int(net.network_address), int(net.broadcast_address), label, subnet))
    spans.sort()
    for one, other in zip(spans, spans[1:]):
        if one[0] == other[0] and other[1] <= one[2]:
            return one[3:], other[3:]
    return None


def inside(subnet: str, networks) -> bool:
    """Whether ``subnet`` lies within one of ``networks``."""
    net = network(subnet)
    return any(net.subnet_of(outer) for outer in map(network, networks) if outer.version == net.version)
