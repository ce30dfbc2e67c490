# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be learnt of this host before anything on it is changed. All raise HostError when the kernel can't be asked."""

from __future__ import annotations

import contextlib
import glob
import ipaddress
import os
import socket

from .._common.errors import HostError
from .._netlink.ethtool import offloads_on
from .._netlink.libraries import netlink
from .._netlink.rtnetlink import Rtnl
from .current import UNICAST
from .desired import MAIN_TABLE, Given, Sysctl
from .sysctl import read_sysctl

ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
DATAPATH = "ovs_datapath"  # linux/openvswitch.h: OVS_DATAPATH_FAMILY
SSH_SERVERS = ("sshd", "sshd-session", "sshd-auth", "dropbear")
ESTABLISHED = "01"  # include/net/tcp_states.h


def default_route_link(family):
    """The link of the default route that is used; :param family: 4 or 6. :returns: its name, or None."""
    hops = _default_hops(family)
    return hops[0].link if hops else None


def next_hop(link, family):
    """The router that a link's default route leads to, None where none goes over it; :param family: 4 or 6."""
    return next((hop.via for hop in _default_hops(family, link) if hop.link == link), None)


def addresses(link):
    """The addresses, with prefix length, that somebody gave to a link; link-local ones of IPv6 are the kernel's own."""
    with _asking() as rtnl:
        return [address.cidr for address in rtnl.addresses({link}) if address.settled]


def belongings(link, offloads=False):
    """What somebody gave to a link: addresses, the routes that lead over it alone, and, where asked for, the offloads that are on."""
    with _asking() as rtnl:
        own = tuple(rtnl.addresses({link}))
        routes = rtnl.routes(lambda route: route.links == {link} and route.nexthop_object is None)
        on = (offloads_on(link) or ()) if offloads else ()
    return Given(
        link,
        tuple(address for address in own if address.settled),
        tuple(route for route in routes if not route.automatic(own)),
        on,
    )


def sysctl(key):
    """A kernel setting's text, None where there is none of that name."""
    try:
        return read_sysctl(Sysctl(key, "").parts)
    except OSError as error:
        raise HostError("the kernel setting %s can't be read: %s" % (key, error.strerror)) from error


def is_promiscuous(name):
    """Whether a link takes in what is for others."""
    with _asking() as rtnl:
        link = rtnl.link(name)
    return bool(link and link.promiscuous)


def link_mtu(name):
    """In bytes, None when there is no such link."""
    with _asking() as rtnl:
        link = rtnl.link(name)
    return link.mtu if link else None


def link_mac(name):
    """As aa:bb:cc:dd:ee:ff, None when there is no such link."""
    with _asking() as rtnl:
        link = rtnl.link(name)
    return link.mac if link else None


def link_of_address(ip):
    """The link that has an address, None when none has it."""
    wanted = ipaddress.ip_address(ip)
    with _asking() as rtnl:
        return next((address.link for address in rtnl.addresses() if ipaddress.ip_address(address.ip) == wanted), None)


def has_kernel_datapath():
    """Whether this kernel has Open vSwitch's datapath; asking makes the kernel load the module where there is one."""
    library = netlink()
    message_class = type(
        "ControlMessage",
        (library.nlmsg,),
        {
            "fields": (("cmd", "B"), ("version", "B"), ("reserved", "H")),
            "nla_map": ((2, "CTRL_ATTR_FAMILY_NAME", "cdata"),),
        },
    )
    message = message_class()
    message["cmd"], message["version"] = 3, 1  # CTRL_CMD_GETFAMILY
    message["attrs"] = [["CTRL_ATTR_FAMILY_NAME", DATAPATH.encode() + b"\0"]]
    control = library.NetlinkSocket(16)  # NETLINK_GENERIC
    try:
        control.register_policy({0x10: message_class})  # GENL_ID_CTRL
        control.bind()
        return bool(tuple(control.nlm_request(message, 0x10, 1)))
    except library.NetlinkError as error:
        if error.code == 2:  # ENOENT
            return False
        raise HostError(
            "the kernel can't be asked for its Open vSwitch datapath: %s" % os.strerror(error.code)
        ) from error
    finally:
        control.close()


def carries_connection(nic):
    """Why a NIC must keep its addresses, as a clause for the user; None when nothing speaks against it."""
    for family in (4, 6):
        if any(hop.link == nic for hop in _default_hops(family)):
            return "the default route (%s) goes through it" % ANYWHERE[family]
    own = {ipaddress.ip_address(cidr.split("/")[0]) for cidr in addresses(nic)}
    session = os.environ.get("SSH_CONNECTION", "").split()
    if len(session) == 4 and _plain(session[2]) in own:
        return "this session's SSH connection ends on its address %s" % session[2]
    try:
        ended = _ssh_addresses() & own
    except OSError as error:
        raise HostError("the SSH connections of this host can't be read: %s" % error) from error
    if ended:
        return "SSH connections end on its address %s" % ", ".join(sorted(map(str, ended)))
    return None


def _default_hops(family, link=None):
    """The next hops of the best default route, of those over one link where it is given."""
    with _asking() as rtnl:
        routes = rtnl.routes(
            lambda route: (
                route.destination == ANYWHERE[family]
                and route.table == MAIN_TABLE
                and route.type == UNICAST
                and (link is None or any(hop.link == link for hop in route.nexthops))
            )
        )
    return min(routes, key=lambda route: route.metric).nexthops if routes else ()


@contextlib.contextmanager
def _asking():
    try:
        with Rtnl() as rtnl:
            yield rtnl
    except OSError as error:
        raise HostError("this host's links, addresses and routes can't be read: %s" % error.strerror) from error


def _ssh_addresses():
    """Own addresses of the established connections of SSH servers."""
    sockets = set()
    for path in glob.glob("/proc/[0-9]*/comm"):
        with contextlib.suppress(OSError):  # a process that ends meanwhile has no connection to lose
            with open(path, encoding="utf-8", errors="replace") as stream:
                if stream.read().strip() not in SSH_SERVERS:
                    continue
            folder = os.path.join(os.path.dirname(path), "fd")
            for handle in os.listdir(folder):
                with contextlib.suppress(OSError):
                    sockets.add(os.readlink(os.path.join(folder, handle)))
    inodes = {name[len("socket:[") : -1] for name in sockets if name.startswith("socket:[")}
    found = set()
    for path in ("/proc/net/tcp", "/proc/net/tcp6") if inodes else ():
        with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as stream:
            for line in stream:
                columns = line.split()
                if len(columns) > 9 and columns[3] == ESTABLISHED and columns[9] in inodes:
                    found.add(_plain(_from_hex(columns[1].split(":")[0])))
    return found


def _from_hex(text):
    """An address of /proc/net/tcp: 32-bit words, each in the byte order of this machine."""
    words = bytes.fromhex(text)
    data = b"".join(
        socket.htonl(int.from_bytes(words[start : start + 4], "big")).to_bytes(4, "big")
        for start in range(0, len(words), 4)
    )
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)


def _plain(text):
    """An address; IPv4 that an IPv6 socket shows as ::ffff:192.0.2.1 is IPv4."""
    address = ipaddress.ip_address(text.split("%")[0])
    return getattr(address, "ipv4_mapped", None) or address
