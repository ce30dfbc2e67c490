# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is found on a host. Data only: what the kernel said, in the words of rtnetlink(7), complete enough to say it back."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace

# linux/if_addr.h
SECONDARY, NODAD, MANAGETEMPADDR, PERMANENT, NOPREFIXROUTE = 0x01, 0x02, 0x100, 0x80, 0x200
# linux/rtnetlink.h
LOCAL_TABLE, UNICAST = 255, 1
UNIVERSE, LINK_SCOPE, HOST_SCOPE = 0, 253, 254
REDIRECT, KERNEL, STATIC, ADVERTISED = 1, 2, 4, 9
FOREVER = 0xFFFFFFFF


def family(text):
    """4 or 6, of an address or a prefix."""
    return 6 if ":" in text else 4


def normal_prefix(text):
    """A prefix as the kernel writes it: without host bits, IPv6 in its short form."""
    return str(ipaddress.ip_network(text, strict=False))


def normal_address(cidr):
    """An address with prefix length as the kernel writes it."""
    return str(ipaddress.ip_interface(cidr))


@dataclass(frozen=True)
class FoundLink:
    """A link as it is; ``quiet``: the host's stack does not speak on it."""

    name: str
    up: bool
    mtu: int
    mac: str
    promiscuous: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class LinkKind:
    """What sort of link it is, and which it is part of."""

    loopback: bool
    kind: str | None
    master: str | None
    master_kind: str | None


@dataclass(frozen=True)
class FoundAddress:
    """An address as it is.

    :ivar scope, flags: numbers of rtnetlink(7) and linux/if_addr.h.
    :ivar metric: of the route to its network.
    :ivar preferred, valid: seconds left.
    """

    link: str
    cidr: str
    peer: str | None = None
    broadcast: str | None = None
    scope: int = UNIVERSE
    flags: int = PERMANENT
    label: str | None = None
    metric: int | None = None
    preferred: int = FOREVER
    valid: int = FOREVER

    @property
    def family(self):
        """4 or 6."""
        return family(self.cidr)

    @property
    def ip(self):
        """Without the prefix length."""
        return self.cidr.split("/")[0]

    @property
    def network(self):
        """The prefix that the address makes reachable."""
        return normal_prefix("%s/%s" % (self.peer or self.ip, self.cidr.split("/")[1]))

    @property
    def settled(self):
        """Whether somebody gave it: not the loopback's, not link-local, not made by the kernel out of another address."""
        if self.family == 4:
            return self.scope != HOST_SCOPE
        return self.scope not in (LINK_SCOPE, HOST_SCOPE) and not self.flags & SECONDARY

    @property
    def removable(self):
        """Whether an owned link loses it when it is not wanted: a router's advertisement would only bring it back."""
        return self.settled and (self.family == 4 or bool(self.flags & PERMANENT))

    def on(self, link):
        """The same address on another link; a label names its link."""
        label = self.label
        if label and label.split(":")[0] == self.link:
            label = (link + label[len(self.link) :])[:15]
        return replace(self, link=link, label=label)


@dataclass(frozen=True)
class Nexthop:
    """One way of a route.

    :ivar flags: of struct rtnexthop; only "onlink" and "pervasive" are kept.
    :ivar extra: ((attribute number, bytes), ...) that go along unread.
    """

    link: str
    via: str | None = None
    flags: int = 0
    hops: int = 0
    extra: tuple = ()


@dataclass(frozen=True)
class FoundRoute:
    """A route as it is.

    :ivar destination: CIDR.
    :ivar source: the preferred source address; ``origin``: the prefix of senders that it is for (IPv6).
    :ivar type, scope, protocol, tos: numbers of rtnetlink(7).
    :ivar extra: ((attribute number, bytes), ...) that go along unread: metrics, realms, preference, encapsulation.
    :ivar expires: seconds left, None: for ever.
    :ivar nexthop_object: number of the kernel's nexthop object that it uses, which belongs to a link and can't be said anew.
    """

    destination: str
    nexthops: tuple
    table: int = 254
    metric: int = 0
    source: str | None = None
    origin: str | None = None
    type: int = UNICAST
    scope: int = UNIVERSE
    protocol: int = STATIC
    tos: int = 0
    extra: tuple = field(default=(), repr=False)
    expires: int | None = None
    nexthop_object: int | None = None

    @property
    def family(self):
        """4 or 6."""
        return family(self.destination)

    @property
    def key(self):
        """What makes it the one route to choose."""
        return self.table, self.destination, self.metric

    @property
    def links(self):
        """The links that it uses."""
        return {hop.link for hop in self.nexthops}

    @property
    def direct(self):
        """Whether it needs no other route to be resolved first."""
        return all(hop.via is None for hop in self.nexthops)

    def on(self, old, new):
        """The same route with one link in the place of another."""
        return replace(
            self, nexthops=tuple(replace(hop, link=new) if hop.link == old else hop for hop in self.nexthops)
        )

    def automatic(self, addresses):
        """Whether the kernel makes and removes it by itself, along with the link's addresses."""
        if self.protocol == REDIRECT or (self.family == 6 and _every_link_has(self.destination)):
            return True
        if self.type != UNICAST or self.table == LOCAL_TABLE:
            return self.protocol == KERNEL
        # A network manager marks its own routes as the kernel's too, and then has told the kernel not to make any.
        return self.protocol == KERNEL and any(
            address.network == self.destination
            and not address.flags & NOPREFIXROUTE
            and address.link in self.links
            and (address.metric or (256 if self.family == 6 else 0)) == self.metric
            for address in addresses
        )


def _every_link_has(destination):
    """Whether it is IPv6's link-local or multicast network."""
    address = ipaddress.ip_network(destination).network_address
    return address.is_link_local or address.is_multicast


@dataclass(frozen=True)
class FoundRule:
    """A rule of policy routing that is bound to a link.

    :ivar version: 4 or 6.
    :ivar header: fields of struct fib_rule_hdr, ((name, number), ...), and ``extra``: ((attribute number, bytes), ...); both go along unread.
    """

    version: int
    priority: int
    iif: str | None = None
    oif: str | None = None
    header: tuple = ()
    extra: tuple = field(default=(), repr=False)

    @property
    def links(self):
        """The links that it is bound to."""
        return {self.iif, self.oif} - {None}

    def on(self, old, new):
        """The same rule with one link in the place of another."""
        return replace(self, iif=new if self.iif == old else self.iif, oif=new if self.oif == old else self.oif)


@dataclass(frozen=True)
class FoundResolver:
    """Name servers of a link, as systemd-resolved has them.

    :ivar servers: ((family, address as bytes, port, name), ...); port 0 and no name are the usual.
    :ivar domains: ((domain, whether it only says which questions go there), ...).
    :ivar default: whether questions go there that no link's domain is for.
    :ivar modes: ((property, value), ...) of what else can be set: how names are asked for, and what of the answers is believed.
    """

    servers: tuple
    domains: tuple = ()
    default: bool = False
    modes: tuple = ()


@dataclass(frozen=True)
class Have:
    """What was found of what a :class:`.state.HostState` talks about.

    :ivar links: name -> FoundLink, or None where there is no such link.
    :ivar addresses: of those links, primary ones before their secondaries.
    :ivar routes: over those links, and every route that a wanted one would collide with.
    :ivar sysctls: Sysctl -> text, or None where the kernel has no such setting.
    :ivar files: path -> FileContent, or None.
    :ivar offloads: link -> tuple of the offloads that are on, or None where there is no such link.
    :ivar drops: names of the NICs that have our drop.
    :ivar rules: those that are bound to one of the links that addresses move from or to.
    :ivar resolvers: link -> FoundResolver, of links that addresses move from and that have one.
    """

    links: dict = field(default_factory=dict)
    addresses: tuple = ()
    routes: tuple = ()
    sysctls: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)
    offloads: dict = field(default_factory=dict)
    drops: frozenset = frozenset()
    rules: tuple = ()
    resolvers: dict = field(default_factory=dict)
