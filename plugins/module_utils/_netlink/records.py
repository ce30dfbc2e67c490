# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Links, addresses, routes and rules as the kernel reports them, complete enough to make them again. Data only.

The fields are named as in rtnetlink(7). Attributes that nothing here reads are kept as bytes.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .constants import (
    IFA_PROTO_STATIC,
    INFINITY,
    RT_TABLE_LOCAL,
    RT_TABLE_MAIN,
    IfaFlag,
    Ntf,
    NtfExt,
    Nud,
    Rta,
    Rtax,
    Rtn,
    RtProt,
    RtScope,
)
from .messages import nested, unpack_number

if TYPE_CHECKING:
    from collections.abc import Iterable

# ((attribute number, value), ...)
Attributes = tuple[tuple[int, bytes], ...]

# The metric of a route that names none. IPv6: IP6_RT_PRIO_USER of linux/ipv6_route.h.
DEFAULT_METRIC = {4: 0, 6: 1024}
# The metric of the route that the kernel makes for an address that names none. IPv6: IP6_RT_PRIO_ADDRCONF.
PREFIX_METRIC = {4: 0, 6: 256}
LABEL_BYTES = 15  # IFNAMSIZ - 1, for labels too


def ip_version(text: str) -> int:
    """Return 4 or 6, the version of an address or a prefix."""
    return 6 if ":" in text else 4


def normal_prefix(text: str) -> str:
    """Return a prefix as the kernel writes it: without host bits, IPv6 in its short form."""
    return str(ipaddress.ip_network(text, strict=False))


def normal_address(cidr: str) -> str:
    """Return an address with its prefix length as the kernel writes it."""
    return str(ipaddress.ip_interface(cidr))


@dataclass(frozen=True)
class KernelLink:
    """A link.

    :ivar mtu: in bytes.
    :ivar mac: as aa:bb:cc:dd:ee:ff.
    :ivar promiscuous: the link accepts packets for other MACs too.
    :ivar no_arp: the host's stack sends neither ARP nor neighbour discovery on the link (IFF_NOARP).
    """

    name: str
    up: bool
    mtu: int
    mac: str
    promiscuous: bool = False
    no_arp: bool = False


@dataclass(frozen=True)
class LinkKind:
    """What a link is, and what it is a port of.

    :ivar ethernet: it has Ethernet frames (linux/if_arp.h, ARPHRD_ETHER).
    :ivar kind: such as ``vlan`` or ``bond`` (ip-link(8)). None: hardware.
    :ivar master: the name of the bridge, bond or other link that has this link as a port.
    :ivar master_kind: the kind of the master.
    """

    loopback: bool
    ethernet: bool
    kind: str | None
    master: str | None
    master_kind: str | None


@dataclass(frozen=True)
class LinkOptions:
    """Settings of a link that are neither kernel settings nor its state (ip-link(8), ip-token(8)).

    :ivar arp: the host's stack sends ARP and neighbour discovery on it.
    :ivar multicast, all_multicast: it can send multicast packets; it receives those of all groups.
    :ivar group: the number of its group, for packet filters.
    :ivar token: the interface identifier of addresses that the kernel makes of router advertisements. None: its MAC's.
    """

    arp: bool = True
    multicast: bool = True
    all_multicast: bool = False
    group: int = 0
    token: str | None = None


DEFAULT_OPTIONS = LinkOptions()  # those of a new link


@dataclass(frozen=True)
class KernelAddress:
    """An address of a link.

    :ivar cidr: with its prefix length, such as 192.168.2.2/24.
    :ivar scope: of :class:`.constants.RtScope`.
    :ivar flags: of :class:`.constants.IfaFlag`.
    :ivar metric: of the route to its network. None: the kernel's default.
    :ivar preferred, valid: seconds that are left, or INFINITY. One that is not preferred any more (0) is deprecated.
    :ivar protocol: who added it, as its program says (linux/if_addr.h, IFA_PROTO). 0: nobody says it.
    """

    link: str
    cidr: str
    peer: str | None = None
    broadcast: str | None = None
    scope: int = RtScope.UNIVERSE
    flags: int = IfaFlag.PERMANENT
    label: str | None = None
    metric: int | None = None
    preferred: int = INFINITY
    valid: int = INFINITY
    protocol: int = 0

    @property
    def version(self) -> int:
        """4 or 6."""
        return ip_version(self.cidr)

    @property
    def ip(self) -> str:
        """The address without its prefix length."""
        return self.cidr.split("/")[0]

    @property
    def network(self) -> str:
        """The prefix that the address makes reachable."""
        prefix_length = self.cidr.split("/")[1]
        return normal_prefix(f"{self.peer or self.ip}/{prefix_length}")

    @property
    def configured(self) -> bool:
        """Whether a program or a person configured it.

        The kernel itself made loopback, link-local and temporary addresses.
        """
        if self.version == 4:
            return self.scope != RtScope.HOST
        return self.scope not in (RtScope.LINK, RtScope.HOST) and not self.flags & IfaFlag.SECONDARY

    @property
    def removable(self) -> bool:
        """Whether it can be removed for good. An address of a router advertisement comes back with the next one."""
        return self.configured and (self.version == 4 or bool(self.flags & IfaFlag.PERMANENT))

    @property
    def single(self) -> bool:
        """Whether it has no network beside itself."""
        return self.cidr.endswith("/32" if self.version == 4 else "/128")

    @property
    def of_program(self) -> bool:
        """Whether it says that a program added it, neither the kernel nor a person."""
        return self.protocol > IFA_PROTO_STATIC

    def moved_to(self, link: str) -> KernelAddress:
        """Return the same address on another link. A label begins with the name of its link."""
        label = self.label
        if label and label.split(":")[0] == self.link:
            label = (link + label[len(self.link) :])[:LABEL_BYTES]
        return replace(self, link=link, label=label)


@dataclass(frozen=True)
class Nexthop:
    """One next hop of a route.

    :ivar via: the address of the router. None: the destination is on the link.
    :ivar flags: of :class:`.constants.RtnhF`. Flags that report a state are left out.
    :ivar hops: ``rtnh_hops``, the weight minus 1.
    :ivar extra: attributes that are kept unread.
    """

    link: str
    via: str | None = None
    flags: int = 0
    hops: int = 0
    extra: Attributes = ()


@dataclass(frozen=True)
class RouteKey:
    """What is unique among the unicast routes of one type of service: the kernel has one route with it."""

    table: int
    destination: str
    metric: int


@dataclass(frozen=True)
class KernelRoute:
    """A route.

    :ivar destination: CIDR.
    :ivar source: the preferred source address (``src`` of ip-route(8)).
    :ivar source_prefix: the prefix of the senders that the route is for (``from`` of ip-route(8), IPv6 only).
    :ivar type: of :class:`.constants.Rtn`.
    :ivar scope: of :class:`.constants.RtScope`.
    :ivar protocol: of :class:`.constants.RtProt`.
    :ivar extra: attributes that are kept unread: metrics, realms, preference, encapsulation.
    :ivar expires: seconds that are left. None: it does not expire.
    :ivar nexthop_id: the kernel's nexthop object (ip-nexthop(8)) that the route uses. Such an object belongs to one
        link.
    """

    destination: str
    nexthops: tuple[Nexthop, ...]
    table: int = RT_TABLE_MAIN
    metric: int = 0
    source: str | None = None
    source_prefix: str | None = None
    type: int = Rtn.UNICAST
    scope: int = RtScope.UNIVERSE
    protocol: int = RtProt.STATIC
    tos: int = 0
    extra: Attributes = field(default=(), repr=False)
    expires: int | None = None
    nexthop_id: int | None = None

    @property
    def version(self) -> int:
        """4 or 6."""
        return ip_version(self.destination)

    @property
    def key(self) -> RouteKey:
        """What no other route may have."""
        return RouteKey(self.table, self.destination, self.metric)

    @property
    def links(self) -> set[str]:
        """The links of its next hops."""
        return {hop.link for hop in self.nexthops}

    @property
    def mtu(self) -> int | None:
        """The MTU that somebody has given the route itself."""
        metrics = dict(nested(dict(self.extra).get(Rta.METRICS, b"")))
        return unpack_number(metrics[Rtax.MTU]) if Rtax.MTU in metrics else None

    @property
    def direct(self) -> bool:
        """Whether the destination is on the links themselves, so that no other route is needed to reach a router."""
        return all(hop.via is None for hop in self.nexthops)

    def moved(self, source: str, target: str) -> KernelRoute:
        """Return the same route with the link ``target`` instead of ``source``."""
        hops = tuple(replace(hop, link=target) if hop.link == source else hop for hop in self.nexthops)
        return replace(self, nexthops=hops)

    def made_by_kernel(self, addresses: Iterable[KernelAddress]) -> bool:
        """Return whether the kernel makes and removes the route along with the addresses of the link."""
        if self.protocol == RtProt.REDIRECT or (self.version == 6 and _is_on_every_link(self.destination)):
            return True
        if self.type != Rtn.UNICAST or self.table == RT_TABLE_LOCAL:
            return self.protocol == RtProt.KERNEL
        # A network manager marks its own routes as the kernel's too. Its addresses then have IFA_F_NOPREFIXROUTE.
        return self.protocol == RtProt.KERNEL and any(
            address.network == self.destination
            and not address.flags & IfaFlag.NOPREFIXROUTE
            and address.link in self.links
            and (address.metric or PREFIX_METRIC[self.version]) == self.metric
            for address in addresses
        )


def _is_on_every_link(destination: str) -> bool:
    """Return whether the prefix is IPv6's link-local or multicast network."""
    address = ipaddress.ip_network(destination).network_address
    return address.is_link_local or address.is_multicast


@dataclass(frozen=True)
class KernelRule:
    """A rule of policy routing (ip-rule(8)) that is bound to a link.

    :ivar version: 4 or 6.
    :ivar iif, oif: the incoming and the outgoing link.
    :ivar header: members of ``struct fib_rule_hdr`` with their values, kept unread.
    :ivar extra: attributes that are kept unread.
    """

    version: int
    priority: int
    iif: str | None = None
    oif: str | None = None
    header: tuple[tuple[str, int], ...] = ()
    extra: Attributes = field(default=(), repr=False)

    @property
    def links(self) -> set[str]:
        """The links that it is bound to."""
        return {link for link in (self.iif, self.oif) if link is not None}

    def moved(self, source: str, target: str) -> KernelRule:
        """Return the same rule with the link ``target`` instead of ``source``."""
        return replace(
            self,
            iif=target if self.iif == source else self.iif,
            oif=target if self.oif == source else self.oif,
        )


@dataclass(frozen=True)
class KernelNeighbour:
    """A neighbour (ip-neighbour(8)).

    :ivar mac: as aa:bb:cc:dd:ee:ff. None: it has none, such as an address for which the host answers (a proxy).
    :ivar state: of :class:`.constants.Nud`.
    :ivar flags: of :class:`.constants.Ntf`. Flags that report a state are left out.
    :ivar more_flags: of :class:`.constants.NtfExt`.
    :ivar protocol: who added it, as its program says (:class:`.constants.RtProt`).
    """

    link: str
    ip: str
    mac: str | None = None
    state: int = Nud.PERMANENT
    flags: int = 0
    more_flags: int = 0
    protocol: int = 0

    @property
    def proxy(self) -> bool:
        """Whether the host answers for the address."""
        return bool(self.flags & Ntf.PROXY)

    @property
    def configured(self) -> bool:
        """Whether a program or a person configured it. The kernel learnt the others, and learns them again.

        The kernel itself asks nobody about groups and broadcasts (NOARP).
        """
        if self.proxy or self.more_flags & NtfExt.MANAGED:
            return True
        if self.mac is None:
            return False
        asks_nobody = self.state & Nud.NOARP and not ipaddress.ip_address(self.ip).is_multicast
        is_group = bool(int(self.mac[:2], 16) & 1) or not int(self.mac.replace(":", ""), 16)
        return bool(self.state & Nud.PERMANENT or self.flags & Ntf.EXT_LEARNED or (asks_nobody and not is_group))

    def moved_to(self, link: str) -> KernelNeighbour:
        """Return the same neighbour on another link."""
        return replace(self, link=link)
