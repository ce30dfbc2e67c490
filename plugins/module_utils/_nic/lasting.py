# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of a NIC's addresses, routes, rules and neighbours is configuration, and may be given again after a boot.

The rest belongs to programs that decide at run time which host has it: the address of keepalived or kube-vip may be
another host's by then. It moves with the NIC, and is not remembered.
"""

from __future__ import annotations

import glob
import ipaddress
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .._common.files import read_file
from .._host.steps.moves import oldest_first
from .._netlink.constants import INFINITY, Fra, IfaFlag, Ntf, RtnhF

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .._host.steps.moves import MoveStep
    from .._netlink.records import KernelAddress, KernelNeighbour, KernelRoute, KernelRule

# Who made a route, a rule or a neighbour: programs that exchange routes, lease addresses or move them
# (linux/rtnetlink.h, RTPROT_*): GateD, RA, MRT, Zebra, BIRD, DECnet, XORP, NTK, DHCP, mrouted, keepalived, Babel, OVN,
# OpenR, BGP, IS-IS, OSPF, RIP, EIGRP.
PROGRAMS = frozenset({*range(8, 19), 42, 84, 99, 186, 187, 188, 189, 192})
LABEL = re.compile(r":.*(vip|vrrp)", re.IGNORECASE)
ADDRESS = re.compile(r"[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]+")
LARGEST_FILE = 1 << 20  # bytes that are searched
# Where distributions and their installers write the addresses of NICs.
CONFIGURATION = (
    "/etc/network/interfaces",
    "/etc/network/interfaces.d/*",
    "/etc/netplan/*.yaml",
    "/etc/systemd/network/*.network",
    "/etc/systemd/network/*.network.d/*.conf",
    "/etc/sysconfig/network-scripts/ifcfg-*",
    "/etc/NetworkManager/system-connections/*",
    "/etc/rc.local",
)
VIRTUAL = re.compile(r"virtual_ipaddress(?:_excluded)?\s*\{([^}]*)\}")
KUBE_VIP = re.compile(r"\A(?=.*kube-vip)(.*)\Z", re.DOTALL)
RESOURCE = re.compile(r'name="ip"\s+value="([^"]*)"')
# Where programs that move addresses between hosts have them (keepalived, kube-vip, Pacemaker), and in what of the text.
MOVERS = (
    ("/etc/keepalived/*.conf", VIRTUAL),
    ("/etc/keepalived/*/*.conf", VIRTUAL),
    ("/etc/kubernetes/manifests/*.y*ml", KUBE_VIP),
    ("/var/lib/rancher/*/server/manifests/*.y*ml", KUBE_VIP),
    ("/var/lib/pacemaker/cib/cib.xml", RESOURCE),
)


@dataclass(frozen=True)
class NamedAddresses:
    """Addresses that files of this host name.

    :ivar configured: those of network managers.
    :ivar moved: those of programs that move addresses between hosts: address to the file.
    """

    configured: frozenset[str] = frozenset()
    moved: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Lasting:
    """What may be given again.

    :ivar move: addresses, routes, rules and neighbours that are added.
    :ivar left_out: the addresses that are not among them, each with the reason in brackets.
    """

    move: MoveStep
    left_out: tuple[str, ...] = ()


def named_addresses(configured: Iterable[str] = ()) -> NamedAddresses:
    """Return the addresses that files of this host name.

    :param configured: more of them, that the NIC's network manager says.
    """
    files = [path for pattern in CONFIGURATION for path in glob.glob(pattern)]
    own = {address for path in files for address in addresses_in(_text(path))} | set(configured)
    moved = {
        address: path
        for pattern, part in MOVERS
        for path in sorted(glob.glob(pattern))
        for text in part.findall(_text(path))
        for address in addresses_in(text)
    }
    return NamedAddresses(frozenset(own), tuple(sorted(moved.items())))


def addresses_in(text: str) -> set[str]:
    """Return the addresses in a text, as the kernel writes them."""
    found = set()
    for word in ADDRESS.findall(text):
        try:
            found.add(str(ipaddress.ip_address(word.strip("."))))
        except ValueError:
            continue
    return found


def lasting(move: MoveStep, named: NamedAddresses) -> Lasting:
    """Return what of a move may be given again, as a step that only adds it.

    What expires is left out: whoever gave it gives it again.
    """
    static = [address for address in move.given_addresses if address.valid == INFINITY]
    reasons = dict(_left_out(move.given_addresses, named))
    kept = tuple(replace(address, protocol=0) for address in static if address not in reasons)
    lost = tuple(address for address in move.given_addresses if address.valid != INFINITY or address in reasons)
    routes = (route for route in move.given_routes if route.expires is None and route.protocol not in PROGRAMS)
    return Lasting(
        replace(
            move,
            source=None,
            taken_addresses=(),
            taken_routes=(),
            taken_rules=(),
            taken_neighbours=(),
            given_addresses=kept,
            given_routes=tuple(route for route in routes if not _needs(route, lost, kept)),
            given_rules=tuple(rule for rule in move.given_rules if _protocol(rule) not in PROGRAMS),
            given_neighbours=tuple(one for one in move.given_neighbours if not _is_learnt(one)),
            set_up=False,
        ),
        tuple(f"{address.cidr} ({reason})" for address, reason in reasons.items()),
    )


def is_configuration(address: KernelAddress, saved: Iterable[KernelAddress], left_out: Iterable[str]) -> bool:
    """Return whether an address that a link has after a boot shows that somebody has configured the link.

    :param saved: the addresses that are to be given again.
    :param left_out: those that are not, as :class:`Lasting` has them.
    """
    if any(address.ip == one.ip for one in saved):
        return True
    is_marked = address.of_program or bool(LABEL.search(address.label or ""))
    is_moved = any(text.partition("/")[0] == address.ip for text in left_out)
    return not (is_marked or is_moved or address.single)


def _left_out(addresses: Sequence[KernelAddress], named: NamedAddresses) -> Iterator[tuple[KernelAddress, str]]:
    """Yield the addresses that a program gave at run time, and what shows it."""
    movers = dict(named.moved)
    for version in (4, 6):
        own = [address for address in oldest_first(addresses) if address.version == version]
        unclear = []
        for address in own:
            if address.ip in named.configured or address.valid != INFINITY:
                continue
            if address.of_program:
                yield address, f"protocol {address.protocol}"
            elif LABEL.search(address.label or ""):
                yield address, f"label {address.label}"
            else:
                unclear.append(address)
        # The host's own address, beside which the others are: the first, and one of a network before one without.
        first = min(unclear, key=lambda address: (address.single, own.index(address)), default=None)
        has_other = any(address.ip in named.configured or address.valid != INFINITY for address in own)
        for address in unclear:
            if address is first and not has_other:
                continue
            if address.ip in movers:
                yield address, f"{movers[address.ip]} names it"
            elif address.single and not address.peer:
                yield address, "it is in no network"


def _needs(route: KernelRoute, lost: Iterable[KernelAddress], kept: Iterable[KernelAddress]) -> bool:
    """Return whether a route can't be there without addresses: its source, or those whose network its router is in."""
    if any(route.source == address.ip for address in lost):
        return True
    routers = [hop.via for hop in route.nexthops if hop.via and not hop.flags & RtnhF.ONLINK]
    return any(_is_in(router, lost) and not _is_in(router, kept) for router in routers)


def _is_in(ip: str, addresses: Iterable[KernelAddress]) -> bool:
    own = ipaddress.ip_address(ip)
    return any(
        own in ipaddress.ip_network(address.network)
        for address in addresses
        if (address.version == own.version and not address.flags & IfaFlag.NOPREFIXROUTE)
    )


def _protocol(rule: KernelRule) -> int:
    return next((value[0] for number, value in rule.extra if number == Fra.PROTOCOL and value), 0)


def _is_learnt(neighbour: KernelNeighbour) -> bool:
    """Return whether a program that exchanges routes told it (EVPN)."""
    return bool(neighbour.flags & Ntf.EXT_LEARNED) or neighbour.protocol in PROGRAMS


def _text(path: str) -> str:
    """Return a file's text; empty where it can't be read, or is too large for one that people write."""
    try:
        file = read_file(path) if os.path.getsize(path) <= LARGEST_FILE else None
    except (OSError, UnicodeError):
        return ""
    return file.content if file else ""
