# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Numbers of the kernel's netlink interface by the names of its headers.

Each class names the header that it is from.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

INFINITY = 0xFFFFFFFF  # linux/if_addr.h, INFINITY_LIFE_TIME: the lifetime of an address that never ends
RT_TABLE_COMPAT = 252  # linux/rtnetlink.h: the header's table when the number needs RTA_TABLE
RT_TABLE_MAIN = 254
RT_TABLE_LOCAL = 255
TC_H_ROOT = 0xFFFFFFFF  # linux/pkt_sched.h
IFA_PROTO_STATIC = 4  # of addresses, as RTPROT_STATIC; those below are the kernel's (linux/if_addr.h, IFAPROT_*)
ARPHRD_ETHER = 1  # linux/if_arp.h
NETLINK_NETFILTER = 12  # linux/netlink.h
USER_HZ = 100  # asm-generic/param.h: ticks in a second of times that the kernel reports


class NlMsg(IntEnum):
    """Types of control messages (linux/netlink.h, NLMSG_*)."""

    ERROR = 2
    DONE = 3


class NlFlag(IntFlag):
    """Flags of a message header (linux/netlink.h, NLM_F_*). Requests that read and requests that write share bits."""

    REQUEST = 0x001
    MULTI = 0x002
    ACK = 0x004
    DUMP_INTR = 0x010
    DUMP = 0x300  # pylint: disable=implicit-flag-alias
    REPLACE = 0x100
    EXCL = 0x200
    CREATE = 0x400
    APPEND = 0x800


class Rtm(IntEnum):
    """Types of messages of the route family (linux/rtnetlink.h, RTM_*)."""

    NEWLINK = 16
    DELLINK = 17
    GETLINK = 18
    SETLINK = 19
    NEWADDR = 20
    DELADDR = 21
    GETADDR = 22
    NEWROUTE = 24
    DELROUTE = 25
    GETROUTE = 26
    NEWNEIGH = 28
    DELNEIGH = 29
    GETNEIGH = 30
    NEWRULE = 32
    DELRULE = 33
    GETRULE = 34
    NEWQDISC = 36
    GETQDISC = 38
    NEWADDRLABEL = 72
    GETADDRLABEL = 74
    NEWNSID = 88
    GETNSID = 90


class RtmGrp(IntFlag):
    """Multicast groups of the route family (linux/rtnetlink.h, RTMGRP_*)."""

    LINK = 0x001
    IPV4_IFADDR = 0x010
    IPV6_IFADDR = 0x100


class Iff(IntFlag):
    """Flags of a link (linux/if.h, IFF_*)."""

    UP = 0x001
    LOOPBACK = 0x008
    NOARP = 0x080
    PROMISC = 0x100
    ALLMULTI = 0x200
    MULTICAST = 0x1000


class Ifla(IntEnum):
    """Attributes of a link (linux/if_link.h, IFLA_*)."""

    ADDRESS = 1
    IFNAME = 3
    MTU = 4
    LINK = 5
    MASTER = 10
    LINKINFO = 18
    AF_SPEC = 26
    GROUP = 27
    NET_NS_FD = 28
    LINK_NETNSID = 37


class IflaInfo(IntEnum):
    """Attributes inside ``IFLA_LINKINFO`` (linux/if_link.h, IFLA_INFO_*)."""

    KIND = 1
    DATA = 2


class IflaVxlan(IntEnum):
    """Attributes of a VXLAN (linux/if_link.h, IFLA_VXLAN_*)."""

    LINK = 3


class IflaInet6(IntEnum):
    """Attributes of a link for IPv6, inside ``IFLA_AF_SPEC`` (linux/if_link.h, IFLA_INET6_*)."""

    TOKEN = 7
    ADDR_GEN_MODE = 8


class In6AddrGenMode(IntEnum):
    """How the kernel makes a link-local address (linux/if_link.h, IN6_ADDR_GEN_MODE_*)."""

    NONE = 1


class VethInfo(IntEnum):
    """Attributes of a pair of virtual links (linux/veth.h, VETH_INFO_*)."""

    PEER = 1


class Ifa(IntEnum):
    """Attributes of an address (linux/if_addr.h, IFA_*)."""

    ADDRESS = 1
    LOCAL = 2
    LABEL = 3
    BROADCAST = 4
    CACHEINFO = 6
    FLAGS = 8
    RT_PRIORITY = 9
    PROTO = 11


class Ifal(IntEnum):
    """Attributes of an address label (linux/if_addrlabel.h, IFAL_*)."""

    ADDRESS = 1


class IfaFlag(IntFlag):
    """Flags of an address (linux/if_addr.h, IFA_F_*)."""

    SECONDARY = 0x001
    NODAD = 0x002
    HOMEADDRESS = 0x010
    DEPRECATED = 0x020
    PERMANENT = 0x080
    MANAGETEMPADDR = 0x100
    NOPREFIXROUTE = 0x200
    MCAUTOJOIN = 0x400


class Rta(IntEnum):
    """Attributes of a route (linux/rtnetlink.h, RTA_*)."""

    DST = 1
    SRC = 2
    OIF = 4
    GATEWAY = 5
    PRIORITY = 6
    PREFSRC = 7
    METRICS = 8
    MULTIPATH = 9
    FLOW = 11
    CACHEINFO = 12
    TABLE = 15
    VIA = 18
    PREF = 20
    ENCAP_TYPE = 21
    ENCAP = 22
    EXPIRES = 23
    TTL_PROPAGATE = 26
    NH_ID = 30


class Rtax(IntEnum):
    """Metrics of a route, inside ``RTA_METRICS`` (linux/rtnetlink.h, RTAX_*)."""

    MTU = 2


class Rtn(IntEnum):
    """Types of routes (linux/rtnetlink.h, RTN_*)."""

    UNICAST = 1
    LOCAL = 2
    BLACKHOLE = 6
    UNREACHABLE = 7
    PROHIBIT = 8
    THROW = 9


class RtScope(IntEnum):
    """How far away a route's destination or an address is (linux/rtnetlink.h, RT_SCOPE_*)."""

    UNIVERSE = 0
    LINK = 253
    HOST = 254


class RtProt(IntEnum):
    """Who made a route (linux/rtnetlink.h, RTPROT_*)."""

    REDIRECT = 1
    KERNEL = 2
    STATIC = 4
    RA = 9
    SERVICES = 87  # ours: the node server's, to further networks of services; no number of iproute2's rt_protos


class RtmF(IntFlag):
    """Flags of a route (linux/rtnetlink.h, RTM_F_*)."""

    CLONED = 0x200
    FIB_MATCH = 0x2000


class RtnhF(IntFlag):
    """Flags of a next hop (linux/rtnetlink.h, RTNH_F_*)."""

    PERVASIVE = 0x2
    ONLINK = 0x4


class Fra(IntEnum):
    """Attributes of a rule (linux/fib_rules.h, FRA_*)."""

    IIFNAME = 3
    PRIORITY = 6
    TABLE = 15
    OIFNAME = 17
    PAD = 18
    L3MDEV = 19
    PROTOCOL = 21


class FibRule(IntFlag):
    """Flags of a rule (linux/fib_rules.h, FIB_RULE_*)."""

    INVERT = 0x2


class Nda(IntEnum):
    """Attributes of a neighbour (linux/neighbour.h, NDA_*)."""

    DST = 1
    LLADDR = 2
    PROTOCOL = 12
    FLAGS_EXT = 15


class Ntf(IntFlag):
    """Flags of a neighbour (linux/neighbour.h, NTF_*)."""

    PROXY = 0x08
    EXT_LEARNED = 0x10
    STICKY = 0x40
    ROUTER = 0x80


class NtfExt(IntFlag):
    """More flags of a neighbour (linux/neighbour.h, NTF_EXT_*)."""

    MANAGED = 0x1


class Nud(IntFlag):
    """States of a neighbour (linux/neighbour.h, NUD_*)."""

    REACHABLE = 0x02
    STALE = 0x04
    DELAY = 0x08
    PROBE = 0x10
    NOARP = 0x40
    PERMANENT = 0x80


class Tca(IntEnum):
    """Attributes of a queueing discipline (linux/rtnetlink.h, TCA_*)."""

    KIND = 1
    OPTIONS = 2


class TcaTbf(IntEnum):
    """Attributes of a token bucket (linux/pkt_sched.h, TCA_TBF_*)."""

    PARMS = 1
    RATE64 = 4
    BURST = 6


class TcLinkLayer(IntEnum):
    """How a rate counts bytes (linux/pkt_sched.h, TC_LINKLAYER_*)."""

    ETHERNET = 1


class Netnsa(IntEnum):
    """Attributes of a network namespace (linux/net_namespace.h, NETNSA_*)."""

    NSID = 1
    FD = 3


class Ethtool(IntEnum):
    """Commands of ``SIOCETHTOOL`` (linux/ethtool.h, ETHTOOL_*)."""

    GTXCSUM = 0x16
    STXCSUM = 0x17
    GTSO = 0x1E
    STSO = 0x1F


class Genl(IntEnum):
    """The controller of generic netlink (linux/genetlink.h): its message type and its command."""

    ID_CTRL = 0x10
    CTRL_CMD_GETFAMILY = 3


class GenlCtrlAttr(IntEnum):
    """Attributes of the controller of generic netlink (linux/genetlink.h, CTRL_ATTR_*)."""

    FAMILY_NAME = 2
