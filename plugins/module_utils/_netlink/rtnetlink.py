# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's links, addresses and routes, read and written by netlink messages (rtnetlink(7)).

Attributes are declared as plain bytes: the library's own declarations know fewer of them the older it is, and a route that is
moved must not lose what nobody here needs to understand.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from functools import lru_cache

from .._common.errors import HostError
from .._host.current import FOREVER, NODAD, FoundAddress, FoundLink, FoundRoute, LinkKind, Nexthop
from .libraries import netlink
from .socket import ACK, Asking

NEWLINK, GETLINK, SETLINK = 16, 18, 19
NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
DUMP = 0x300
UPPER = ("vlan", "macvlan", "macvtap", "ipvlan", "ipvtap")  # rtnetlink(7) kinds that stand on another link
REPLACE, EXCLUSIVE, CREATE, APPEND = 0x100, 0x200, 0x400, 0x800
UP, LOOPBACK, NOARP, PROMISCUOUS = 0x1, 0x8, 0x80, 0x100
LINK_EVENTS = 1  # RTMGRP_LINK

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO, IFLA_LINK_NETNSID, IFLA_INFO_KIND = (
    1,
    3,
    4,
    5,
    10,
    18,
    37,
    1,
)
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS, IFA_RT_PRIORITY = 1, 2, 3, 4, 6, 8, 9
(
    RTA_DST,
    RTA_SRC,
    RTA_OIF,
    RTA_GATEWAY,
    RTA_PRIORITY,
    RTA_PREFSRC,
    RTA_METRICS,
    RTA_MULTIPATH,
    RTA_FLOW,
    RTA_CACHEINFO,
    RTA_TABLE,
    RTA_VIA,
    RTA_PREF,
    RTA_ENCAP_TYPE,
    RTA_ENCAP,
    RTA_EXPIRES,
    RTA_TTL_PROPAGATE,
    RTA_NH_ID,
) = 1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 15, 18, 20, 21, 22, 23, 26, 30
ROUTE_EXTRA = (RTA_METRICS, RTA_PREF, RTA_TTL_PROPAGATE)
HOP_EXTRA = (RTA_FLOW, RTA_ENCAP_TYPE, RTA_ENCAP)
KEPT_HOP_FLAGS = 0x2 | 0x4  # RTNH_F_PERVASIVE, RTNH_F_ONLINK; the others tell a state
SETTABLE_FLAGS = 0x02 | 0x10 | 0x100 | 0x200 | 0x400
CLONED = 0x200  # RTM_F_CLONED: a cache entry
CLOCK = 100  # USER_HZ
FAMILIES = {socket.AF_INET: 4, socket.AF_INET6: 6}
NUMBERS = {4: socket.AF_INET, 6: socket.AF_INET6}


@lru_cache(maxsize=1)
def _messages():
    """The message classes, made once the library is there."""
    nlmsg = netlink().nlmsg
    attributes = tuple((number, str(number), "cdata") for number in range(1, 64))
    link = type(
        "LinkMessage",
        (nlmsg,),
        {
            "nla_map": attributes,
            "fields": (("family", "B"), ("pad", "B"), ("type", "H"), ("index", "i"), ("flags", "I"), ("change", "I")),
        },
    )
    address = type(
        "AddressMessage",
        (nlmsg,),
        {
            "nla_map": attributes,
            "fields": (("family", "B"), ("prefixlen", "B"), ("flags", "B"), ("scope", "B"), ("index", "I")),
        },
    )
    route = type(
        "RouteMessage",
        (nlmsg,),
        {
            "nla_map": attributes,
            "fields": (
                ("family", "B"),
                ("dst_len", "B"),
                ("src_len", "B"),
                ("tos", "B"),
                ("table", "B"),
                ("proto", "B"),
                ("scope", "B"),
                ("type", "B"),
                ("flags", "I"),
            ),
        },
    )
    return link, address, route


class Rtnl(Asking):
    """A netlink socket of the route family, in the network namespace of whoever makes it. Use it as a context.

    Errors of the kernel come as OSError with its errno.
    """

    def __init__(self):
        self._link, self._address, self._route = _messages()
        super().__init__({NEWLINK: self._link, NEWADDR: self._address, NEWROUTE: self._route})
        self._names = {}

    # Links.

    def link(self, name):
        """A :class:`.found.FoundLink`, or None."""
        reply = self._get_link(name)
        if reply is None:
            return None
        attributes, flags = attributes_of(reply), reply["flags"]
        return FoundLink(
            name,
            bool(flags & UP),
            _number(attributes[IFLA_MTU]),
            attributes.get(IFLA_ADDRESS, b"").hex(":"),
            bool(flags & PROMISCUOUS),
            bool(flags & NOARP),
        )

    def kind(self, name):
        """A :class:`.found.LinkKind`, or None."""
        reply = self._get_link(name)
        if reply is None:
            return None
        master = _number(attributes_of(reply).get(IFLA_MASTER))
        name_of_master = self.name(master) if master else None
        above = self._get_link(name_of_master) if name_of_master else None
        return LinkKind(bool(reply["flags"] & LOOPBACK), _kind(reply), name_of_master, _kind(above) if above else None)

    def standing_on(self, name):
        """Name -> kind of the links that take their packets from this one: its VLANs, and copies of it."""
        lower, found = index_of(name), {}
        for reply in self.ask(self._link(), GETLINK, DUMP):
            attributes = attributes_of(reply)
            if (
                _kind(reply) in UPPER
                and _number(attributes.get(IFLA_LINK)) == lower
                and IFLA_LINK_NETNSID not in attributes
            ):
                found[attributes[IFLA_IFNAME].rstrip(b"\0").decode()] = _kind(reply)
        return found

    def _get_link(self, name):
        message = self._link()
        message["attrs"] = [[str(IFLA_IFNAME), name.encode() + b"\0"]]
        try:
            (reply,) = self.ask(message, GETLINK, 0)
        except OSError as error:
            if error.errno in (19, 34):  # ENODEV, ERANGE: no link can have so long a name
                return None
            raise
        return reply

    def set_link(self, name, up=None, mtu=None, mac=None, promiscuous=None):
        """Change what is not None."""
        message = self._link()
        message["index"] = index_of(name)
        for flag, wish in ((UP, up), (PROMISCUOUS, promiscuous)):
            if wish is not None:
                message["flags"] |= flag if wish else 0
                message["change"] |= flag
        message["attrs"] = [[str(IFLA_MTU), struct.pack("I", mtu)]] if mtu is not None else []
        if mac is not None:
            message["attrs"].append([str(IFLA_ADDRESS), bytes.fromhex(mac.replace(":", ""))])
        self.ask(message, SETLINK, ACK)

    def name(self, index):
        """A link's name; ``#index`` for one that has gone meanwhile."""
        if index not in self._names:
            try:
                self._names[index] = socket.if_indextoname(index)
            except OSError:
                return "#%d" % index
        return self._names[index]

    # Addresses.

    def addresses(self, wanted=None):
        """All :class:`.found.FoundAddress` of the links named (None: of all)."""
        found = []
        for reply in self.ask(self._address(), GETADDR, DUMP):
            link = self.name(reply["index"])
            if reply["family"] in FAMILIES and (wanted is None or link in wanted):
                found.append(_found_address(link, reply))
        return found

    def add_address(self, address):
        """Give it to its link; :returns: False when the link has it already."""
        flags = address.flags & SETTABLE_FLAGS
        try:
            # The kernel tests an IPv6 address for a second or two before it uses it; one that comes from a link in use is no duplicate.
            self.ask(
                self._address_message(address, flags | NODAD if address.family == 6 else flags),
                NEWADDR,
                ACK | CREATE | EXCLUSIVE,
            )
        except OSError as error:
            if error.errno == 17:  # EEXIST
                return False
            raise
        if address.family == 6 and not flags & NODAD:
            self.ask(self._address_message(address, flags), NEWADDR, ACK | REPLACE)
        return True

    def remove_address(self, address):
        """Take it from its link; :returns: False when the link hasn't it."""
        try:
            self.ask(self._address_message(address, 0), DELADDR, ACK)
        except OSError as error:
            if error.errno in (19, 99):  # ENODEV, EADDRNOTAVAIL
                return False
            raise
        return True

    def _address_message(self, address, flags):
        message = self._address()
        ip, prefix = address.cidr.split("/")
        message["family"], message["prefixlen"] = NUMBERS[address.family], int(prefix)
        message["scope"], message["index"], message["flags"] = address.scope, index_of(address.link), flags & 0xFF
        attributes = {
            IFA_LOCAL: _packed(ip),
            IFA_ADDRESS: _packed(address.peer or ip),
            IFA_FLAGS: struct.pack("I", flags),
        }
        if address.broadcast:
            attributes[IFA_BROADCAST] = _packed(address.broadcast)
        if address.label:
            attributes[IFA_LABEL] = address.label.encode() + b"\0"
        if address.metric:
            attributes[IFA_RT_PRIORITY] = struct.pack("I", address.metric)
        if address.valid != FOREVER:
            attributes[IFA_CACHEINFO] = struct.pack("IIII", address.preferred, address.valid, 0, 0)
        message["attrs"] = [[str(number), value] for number, value in sorted(attributes.items())]
        return message

    # Routes.

    def routes(self, wanted):
        """All :class:`.found.FoundRoute` for which ``wanted(route)`` is true."""
        found = []
        for reply in self.ask(self._route(), GETROUTE, DUMP):
            if reply["family"] in FAMILIES and not reply["flags"] & CLONED:
                route = self._found_route(reply)
                if route.nexthops and wanted(route):
                    found.append(route)
        return found

    def _found_route(self, reply):
        attributes = attributes_of(reply)
        version = FAMILIES[reply["family"]]
        anywhere = "::" if version == 6 else "0.0.0.0"
        if RTA_MULTIPATH in attributes:
            hops = tuple(self._hops(attributes[RTA_MULTIPATH]))
        elif RTA_OIF in attributes:
            hops = (self._hop(_number(attributes[RTA_OIF]), reply["flags"], 0, attributes),)
        else:
            hops = ()
        expires = struct.unpack_from("i", attributes[RTA_CACHEINFO], 8)[0] if RTA_CACHEINFO in attributes else 0
        return FoundRoute(
            "%s/%d" % (_text(attributes[RTA_DST]) if RTA_DST in attributes else anywhere, reply["dst_len"]),
            hops,
            table=_number(attributes.get(RTA_TABLE), reply["table"]),
            metric=_number(attributes.get(RTA_PRIORITY), 0),
            source=_text(attributes[RTA_PREFSRC]) if RTA_PREFSRC in attributes else None,
            origin="%s/%d" % (_text(attributes[RTA_SRC]), reply["src_len"]) if RTA_SRC in attributes else None,
            type=reply["type"],
            scope=reply["scope"],
            protocol=reply["proto"],
            tos=reply["tos"],
            extra=_some(attributes, ROUTE_EXTRA),
            expires=max(1, expires // CLOCK) if expires > 0 else None,
            nexthop_object=_number(attributes.get(RTA_NH_ID), None),
        )

    def _hop(self, index, flags, hops, attributes):
        via = None
        if RTA_GATEWAY in attributes:
            via = _text(attributes[RTA_GATEWAY])
        elif RTA_VIA in attributes:  # struct rtvia: a next hop of the other family (RFC 5549)
            via = _text(attributes[RTA_VIA][2:])
        return Nexthop(self.name(index), via, flags & KEPT_HOP_FLAGS, hops, _some(attributes, HOP_EXTRA))

    def _hops(self, data):
        """struct rtnexthop, one after the other."""
        while len(data) >= 8:
            length, flags, hops, index = struct.unpack_from("HBBi", data)
            yield self._hop(index, flags, hops, dict(_chain(data[8:length])))
            data = data[(length + 3) & ~3 :]

    def add_route(self, route):
        """Add it beside whatever has the same destination; :returns: False when it is there already."""
        try:
            self.ask(self._route_message(route), NEWROUTE, ACK | CREATE | APPEND)
        except OSError as error:
            if error.errno == 17:  # EEXIST
                return False
            raise
        return True

    def remove_route(self, route):
        """Remove exactly this one; :returns: False when it is not there."""
        try:
            self.ask(self._route_message(route), DELROUTE, ACK)
        except OSError as error:
            if error.errno in (3, 19):  # ESRCH, ENODEV
                return False
            raise
        return True

    def _route_message(self, route):
        message = self._route()
        version = route.family
        prefix, message["dst_len"] = _split(route.destination)
        message["family"], message["tos"], message["proto"], message["scope"], message["type"] = (
            NUMBERS[version],
            route.tos,
            route.protocol,
            route.scope,
            route.type,
        )
        message["table"] = route.table if route.table < 256 else 252  # RT_TABLE_COMPAT
        attributes = dict(route.extra)
        attributes[RTA_TABLE] = struct.pack("I", route.table)
        if message["dst_len"]:
            attributes[RTA_DST] = _packed(prefix)
        if route.origin:
            origin, message["src_len"] = _split(route.origin)
            attributes[RTA_SRC] = _packed(origin)
        if route.metric:
            attributes[RTA_PRIORITY] = struct.pack("I", route.metric)
        if route.source:
            attributes[RTA_PREFSRC] = _packed(route.source)
        if route.expires:
            attributes[RTA_EXPIRES] = struct.pack("I", route.expires)
        if len(route.nexthops) == 1:
            hop = route.nexthops[0]
            message["flags"] = hop.flags
            attributes[RTA_OIF] = struct.pack("I", index_of(hop.link))
            attributes.update(_hop_attributes(hop, version))
        else:
            attributes[RTA_MULTIPATH] = b"".join(_rtnexthop(hop, version) for hop in route.nexthops)
        message["attrs"] = [[str(number), value] for number, value in sorted(attributes.items())]
        return message


def index_of(name):
    """A link's number; :raises OSError: ENODEV when there is no such link."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        raise OSError(19, "there is no link %s" % name) from None


def wait_for_link(name, patience):
    """Wait until a link exists; :param patience: seconds. :raises HostError: when it does not appear."""
    deadline = time.monotonic() + patience
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as events:
        events.bind((0, LINK_EVENTS))
        while True:
            try:
                index_of(name)
                return
            except OSError:
                left = deadline - time.monotonic()
            if left <= 0:
                raise HostError(
                    "link %s did not appear within %g s: look at what should make it (ovs-vswitchd's log, ovs-vsctl show)"
                    % (name, patience)
                )
            if select.select([events], [], [], left)[0]:
                try:
                    events.recv(1 << 16)
                except OSError as error:
                    if error.errno != 105:  # ENOBUFS: so many events that some were lost; one is enough to look again
                        raise


def _kind(reply):
    """The kind that rtnetlink(7) names, None for hardware."""
    kind = dict(_chain(attributes_of(reply).get(IFLA_LINKINFO, b""))).get(IFLA_INFO_KIND)
    return kind.rstrip(b"\0").decode() if kind else None


def _found_address(link, reply):
    attributes = attributes_of(reply)
    address, local = attributes.get(IFA_ADDRESS), attributes.get(IFA_LOCAL)
    own = local or address
    preferred, valid = (
        struct.unpack_from("II", attributes[IFA_CACHEINFO]) if IFA_CACHEINFO in attributes else (FOREVER, FOREVER)
    )
    return FoundAddress(
        link,
        "%s/%d" % (_text(own), reply["prefixlen"]),
        peer=_text(address) if address and local and address != local else None,
        broadcast=_text(attributes[IFA_BROADCAST]) if IFA_BROADCAST in attributes else None,
        scope=reply["scope"],
        flags=_number(attributes.get(IFA_FLAGS), reply["flags"]),
        label=attributes[IFA_LABEL].rstrip(b"\0").decode() if IFA_LABEL in attributes else None,
        metric=_number(attributes.get(IFA_RT_PRIORITY), None),
        preferred=preferred,
        valid=valid,
    )


def attributes_of(message):
    """Attribute number -> bytes."""
    return {int(name): value for name, value in message["attrs"] if name.isdigit()}


def _chain(data):
    """(attribute number, bytes) of a chain of struct rtattr."""
    while len(data) >= 4:
        length, kind = struct.unpack_from("HH", data)
        if length < 4:
            return
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]


def attribute(number, value):
    """One attribute as struct rtattr, padded; nested ones are those of its value."""
    return struct.pack("HH", 4 + len(value), number) + value + bytes(-len(value) % 4)


def _rtnexthop(hop, version):
    chain = b"".join(attribute(number, value) for number, value in sorted(_hop_attributes(hop, version).items()))
    return struct.pack("HBBi", 8 + len(chain), hop.flags, hop.hops, index_of(hop.link)) + chain


def _hop_attributes(hop, version):
    attributes = dict(hop.extra)
    if hop.via:
        via = _packed(hop.via)
        if (":" in hop.via) == (version == 6):
            attributes[RTA_GATEWAY] = via
        else:
            attributes[RTA_VIA] = struct.pack("H", NUMBERS[6 if ":" in hop.via else 4]) + via
    return attributes


def _some(attributes, numbers):
    return tuple((number, bytes(attributes[number])) for number in numbers if number in attributes)


def _number(data, default=None):
    return struct.unpack("I", data)[0] if data is not None else default


def _text(data):
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, bytes(data))


def _packed(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def _split(prefix):
    address, length = prefix.split("/")
    return address, int(length)
