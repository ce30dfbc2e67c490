# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All that a NIC has, and what becomes of each thing when the NIC goes into its bridge, and back.

A thing that can neither come along nor stay is refused by name before anything is touched. docs/nics.md has the table.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError
from .._host import facts
from .._netlink.address_labels import read_labelled_prefixes
from .._netlink.addresses import read_addresses
from .._netlink.links import read_options
from .._netlink.packet_filters import read_filter_tables
from .._netlink.qdiscs import read_configured_qdiscs
from .._netlink.records import DEFAULT_OPTIONS
from .._netlink.socket import RouteSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._netlink.records import LinkOptions

PROC_NET = "/proc/thread-self/net"


class Fate(Enum):
    """What becomes of a thing."""

    CARRIED = "carried: the bridge has it, and the NIC has it again when it is back"
    STAYS = "stays: it is the NIC's in the bridge too"
    RESTORED = "restored: it is away while the NIC is in its bridge"
    REFUSED = "refused"


@dataclass(frozen=True)
class Part:
    """A thing that a NIC has.

    :ivar how: more about what becomes of it.
    """

    what: str
    fate: Fate
    how: str = ""


PARTS = (
    Part(
        "addresses",
        Fate.CARRIED,
        "with lifetimes (deprecated ones too), flags (home, mngtmpaddr, noprefixroute, nodad, autojoin), scope, label, "
        "broadcast, peer, metric, protocol",
    ),
    Part("link-local and temporary IPv6 addresses", Fate.CARRIED, "the kernel makes them anew from MAC and prefix"),
    Part(
        "routes of all tables and types",
        Fate.CARRIED,
        "with metric, source, scope, protocol, tos, onlink, weights, realms, MTU and other metrics, encapsulation",
    ),
    Part("routes with a nexthop object, MPLS", Fate.REFUSED, "an object belongs to one link"),
    Part("rules by iif or oif", Fate.CARRIED),
    Part(
        "permanent, managed, externally learned and proxy neighbours",
        Fate.CARRIED,
        "before the routes change their link; what the kernel has learnt it learns again",
    ),
    Part("MAC, MTU, promiscuous mode", Fate.CARRIED, "the NIC keeps them too"),
    Part("ARP off, multicast off, allmulticast, group, IPv6 token", Fate.CARRIED, "the NIC keeps them too"),
    Part(
        "kernel settings of the link and of its neighbours, both IP versions (rp_filter, accept_ra, disable_ipv6, "
        "forwarding, proxy_arp, ...)",
        Fate.CARRIED,
        "those that differ from a new link's; what a network manager sets it sets for the bridge itself",
    ),
    Part(
        "name servers of systemd-resolved, LLMNR, mDNS, DNS over TLS, DNSSEC",
        Fate.CARRIED,
        "those that `resolvectl` set; systemd-networkd moves those of its files",
    ),
    Part("name servers that `resolvectl` set on a NIC of systemd-networkd", Fate.REFUSED, "they are in no file"),
    Part("DHCP leases", Fate.CARRIED, "by the network manager, as the same client"),
    Part("offloads for checksums and segments", Fate.RESTORED, "off in the userspace datapath only"),
    Part(
        "name, alternative names, alias, queue length, queues, rings, coalescing, speed, wake on LAN, XDP programs, "
        "link-layer multicast and forwarding entries of the NIC",
        Fate.STAYS,
    ),
    Part("queueing disciplines, and filters at ingress", Fate.REFUSED, "Open vSwitch removes them from its ports"),
    Part("filters of clsact", Fate.STAYS, "in the userspace datapath, which takes packets before them: refused"),
    Part(
        "rules of nftables that name the NIC, also those that iptables has made there",
        Fate.REFUSED,
        "unless the same table names the bridge too; with firewalld: add the bridge to the NIC's zone first",
    ),
    Part(
        "links on top of it, in any network namespace; its master", Fate.REFUSED, "a VLAN stays in the kernel datapath"
    ),
    Part("PPPoE sessions, multicast routing", Fate.REFUSED),
    Part("labels of IPv6 prefixes on this link alone", Fate.REFUSED, "systemd-networkd moves those of its files"),
    Part(
        "groups that programs joined",
        Fate.STAYS,
        "a note names them: the programs join them on the bridge when they are started again",
    ),
)
# Groups that the kernel joins, and those of mDNS and LLMNR, whose programs follow changes of addresses (RFC 6762, RFC
# 4795).
USUAL_GROUPS = {"224.0.0.1", "224.0.0.251", "224.0.0.252"} | {
    f"ff0{scope:x}::{group}" for scope in (1, 2, 5) for group in ("1", "2", "fb", "1:3", "6a")
}
SOLICITED_NODES = ipaddress.ip_network("ff02::1:ff00:0/104")


def markdown_table() -> str:
    """Return the table of docs/nics.md."""
    rows = ["| what the NIC has | what becomes of it | |", "| --- | --- | --- |"]
    rows += [f"| {part.what} | {part.fate.value.split(':')[0]} | {part.how} |" for part in PARTS]
    return "\n".join(rows) + "\n"


def options(nic: str) -> LinkOptions:
    """Return the options of the NIC.

    A token is left out where the kernel accepts no router advertisements: it has no use there, and can't be set.
    """
    with RouteSocket() as kernel:
        found = read_options(kernel, nic) or DEFAULT_OPTIONS
    accepts = facts.sysctl(f"/net/ipv6/conf/{nic}/accept_ra")
    forwards = facts.sysctl(f"/net/ipv6/conf/{nic}/forwarding")
    if found.token and not (accepts == "2" or (accepts == "1" and forwards == "0")):
        return replace(found, token=None)
    return found


def long_labels(nic: str, bridge: str) -> dict[str, str]:
    """Return the labels of the NIC's addresses that are too long with the bridge's name: CIDR to label."""
    with RouteSocket() as kernel:
        addresses = [one for one in read_addresses(kernel, {nic}) if one.configured]
    return {one.cidr: one.label for one in addresses if one.label and one.moved_to(bridge).moved_to(nic) != one}


def refuse_lost(nic: str, datapath: str, alone: bool = False) -> None:
    """Check that nothing of the NIC would be lost.

    :param alone: whether the host does not use the NIC in its bridge; then its packet filter sees none of its packets.
    :raises HostError: something would, which it names.
    """
    try:
        reason = next(_losses(nic, datapath, alone), None)
    except OSError as error:
        raise HostError(f"what {nic} has can't be read: {error.strerror}") from error
    if reason:
        raise HostError(reason)


def refuse_labelled_prefixes(nic: str) -> None:
    """Check that no IPv6 prefix has a label on the NIC alone. systemd-networkd gives the bridge those of its files.

    :raises HostError: one has.
    """
    with RouteSocket() as kernel:
        prefixes = read_labelled_prefixes(kernel, nic)
    if prefixes:
        raise HostError(
            f"{', '.join(prefixes)} has an address label on {nic} alone, which would be lost: give it the label "
            "without a link (ip addrlabel)"
        )


def notes(nic: str) -> list[str]:
    """Return sentences about what stays with the NIC, and that somebody has to see to."""
    groups = [group for group in _joined_groups(nic) if not _is_usual(group)]
    if not groups:
        return []
    return [
        f"programs of this host have joined {', '.join(groups)} on {nic}: start them again with "
        f"{names.uplink_bridge(nic)} as their interface"
    ]


def _losses(nic: str, datapath: str, alone: bool) -> Iterator[str]:
    with RouteSocket() as kernel:
        qdiscs = read_configured_qdiscs(kernel, nic)
    for kind in qdiscs:
        if kind != "clsact":
            yield (
                f"the queueing discipline {kind} of {nic} would be lost, since Open vSwitch removes it: take it away "
                f"(tc qdisc del dev {nic} {'ingress' if kind == 'ingress' else 'root'})"
            )
        elif datapath == "netdev":
            yield (
                f"filters of {nic} (clsact) would see no packets before Open vSwitch's userspace datapath: take them "
                f"away (tc qdisc del dev {nic} clsact)"
            )
    bridge = names.uplink_bridge(nic)
    for table in () if alone else read_filter_tables():
        if table.names(nic) and not table.names(bridge):
            yield (
                f"{table.name} has rules for {nic}, whose packets belong to {bridge} afterwards: let the rules name "
                f"{bridge} beside it, such as iifname {{ {nic}, {bridge} }}"
            )
        elif datapath == "netdev" and nic in table.ingress:
            yield (
                f"{table.name} filters packets at the ingress of {nic}, and would see none before Open vSwitch's "
                "userspace datapath: take that chain away"
            )
    for version in (4, 6):
        if facts.sysctl(f"/net/ipv{version}/conf/{nic}/mc_forwarding") not in (None, "0"):
            yield f"a program routes IPv{version} multicast over {nic}, and would go on with it there: end it first"
    if facts.sysctl(f"/net/mpls/conf/{nic}/input") not in (None, "0"):
        yield f"{nic} takes MPLS packets, and its bridge would not: switch that off (net.mpls.conf.{nic}.input)"
    if any(nic in line.split() for line in _lines("pppoe")):
        yield f"a PPPoE session uses {nic}, and would get no packets any more: end it first"


def _joined_groups(nic: str) -> Iterator[str]:
    """Yield the multicast groups that are joined on the link."""
    link = ""
    for line in _lines("igmp"):
        words = line.split()
        if not line.startswith("\t"):
            link = words[1].rstrip(":") if len(words) > 1 else ""
        elif link == nic and words:
            yield str(ipaddress.ip_address(bytes.fromhex(words[0])[::-1]))
    for line in _lines("igmp6"):
        words = line.split()
        if len(words) > 2 and words[1] == nic:
            yield str(ipaddress.ip_address(bytes.fromhex(words[2])))


def _is_usual(group: str) -> bool:
    return group in USUAL_GROUPS or ipaddress.ip_address(group) in SOLICITED_NODES


def _lines(name: str) -> list[str]:
    """Return the lines of a file of this thread's network namespace; none where there is no such file."""
    path = os.path.join(PROC_NET, name)
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read().splitlines()
    except FileNotFoundError:
        return []
