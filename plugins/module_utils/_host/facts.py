# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facts about this host, read before anything on it is changed.

Each function raises HostError when the kernel can't be read.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .._netlink.addresses import read_addresses
from .._netlink.constants import RT_TABLE_MAIN, Rtn
from .._netlink.ethtool import offloads_on
from .._netlink.generic import has_generic_family
from .._netlink.links import read_kind, read_link
from .._netlink.records import KernelLink, KernelRoute, Nexthop, ip_version
from .._netlink.routes import look_up, read_routes
from .._netlink.rules import read_tables
from .._netlink.socket import RouteSocket
from .desired import SavedNic, Sysctl
from .ssh import session_address, ssh_server_addresses
from .sysctl import read_sysctl

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

DEFAULT_ROUTE = {4: "0.0.0.0/0", 6: "::/0"}
DATAPATH_FAMILY = "ovs_datapath"  # linux/openvswitch.h, OVS_DATAPATH_FAMILY


def default_route_link(version: int) -> str | None:
    """Return the link of the default route that is used, or None.

    :param version: 4 or 6.
    """
    hops = _default_hops(version)
    return hops[0].link if hops else None


def next_hop(link: str, version: int) -> str | None:
    """Return the router of a link's own default route. None: no default route uses the link, or it names no router.

    :param version: 4 or 6.
    """
    return next((ip for ip in routers().get(link, ()) if ip_version(ip) == version), None)


def routers() -> dict[str, list[str]]:
    """Return link -> the routers of its default routes, one of each IP version.

    Of the main table the one with the lowest metric counts, whether or not another link's is better; then those of
    other tables that rules of policy routing use.
    """
    with _kernel() as kernel:
        tables = read_tables(kernel)
        routes = read_routes(
            kernel,
            lambda route: (
                route.destination == DEFAULT_ROUTE[route.version]
                and route.type == Rtn.UNICAST
                and (tables is None or route.table in tables)
            ),
        )
    found: dict[str, dict[int, str]] = {}
    for route in sorted(routes, key=lambda route: (route.table != RT_TABLE_MAIN, route.metric)):
        for hop in route.nexthops:
            if hop.via and ip_version(hop.via) == route.version:
                found.setdefault(hop.link, {}).setdefault(route.version, hop.via)
    return {link: [by_version[version] for version in sorted(by_version)] for link, by_version in found.items()}


def configured_addresses(link: str) -> list[str]:
    """Return the addresses of a link with their prefix lengths, without those that the kernel made itself.

    The host's own come first. Addresses that programs move between hosts may be older.
    """
    with _kernel() as kernel:
        addresses = [address for address in read_addresses(kernel, {link}) if address.configured]
    return [address.cidr for address in sorted(addresses, key=lambda one: (one.of_program, one.single))]


def saved_nic(link: str, offloads: bool = False) -> SavedNic:
    """Return what was configured on a link: its addresses, the routes that use no other link, its offloads.

    :param offloads: whether to read the offloads that are on.
    """
    with _kernel() as kernel:
        addresses = read_addresses(kernel, {link})
        routes = read_routes(kernel, lambda route: route.links == {link} and route.nexthop_id is None)
        on = (offloads_on(link) or ()) if offloads else ()
    return SavedNic(
        link,
        tuple(address for address in addresses if address.configured),
        tuple(route for route in routes if not route.made_by_kernel(addresses)),
        on,
    )


def sysctl(key: str) -> str | None:
    """Return the value of a kernel setting, None where there is no such setting."""
    try:
        return read_sysctl(Sysctl(key, "").parts)
    except OSError as error:
        raise HostError(f"the kernel setting {key} can't be read: {error.strerror}") from error


def is_promiscuous(name: str) -> bool:
    """Return whether a link accepts packets for other MACs."""
    link = _link(name)
    return bool(link and link.promiscuous)


def link_mtu(name: str) -> int | None:
    """Return the MTU of a link in bytes, None when there is no such link."""
    link = _link(name)
    return link.mtu if link else None


def outgoing_mtu(ip: str, peers: Iterable[str]) -> int | None:
    """Return the least MTU, in bytes, of the links through which packets from an address leave this host; None where
    that is not known.

    :param peers: addresses of other hosts; those of another IP version don't count.
    """
    version = ip_version(ip)
    mtu = way_mtu((peer for peer in peers if ip_version(peer) == version), ip)
    if mtu is not None:
        return mtu
    link = link_of_address(ip)
    if link is None or not leads_out(link):
        link = default_route_link(version)
    return link_mtu(link) if link else None


def way_mtu(peers: Iterable[str], source: str | None = None) -> int | None:
    """Return the least MTU, in bytes, of the ways by which the kernel sends packets to other hosts; None: there is no
    way to any of them.

    :param peers: their addresses, of one IP version; this host's own don't count.
    :param source: the packets' own address; one that this host does not have yet counts as none.
    """
    mtus: dict[str, int | None] = {}  # of links
    found: list[int | None] = []
    with _kernel() as kernel:
        for peer in peers:
            route = look_up(kernel, peer, source, whole=True) or look_up(kernel, peer, whole=True)
            if route is None or route.type == Rtn.LOCAL:
                continue
            for name in route.links.difference(mtus):
                link = read_link(kernel, name)
                mtus[name] = link.mtu if link else None
            found += [route.mtu, *(mtus[name] for name in route.links)]
    return min((mtu for mtu in found if mtu is not None), default=None)


def way_mtus(addresses: Collection[str]) -> dict[int, int]:
    """Return IP version -> the least MTU, in bytes, of the ways to other hosts; without versions that have none.

    :param addresses: of all hosts' tunnels. The packets come from that which this host has.
    """
    with _kernel() as kernel:
        own = {address.ip for address in read_addresses(kernel)}
    found = {}
    for version in (4, 6):
        peers = [ip for ip in addresses if ip_version(ip) == version]
        mtu = way_mtu(peers, next((ip for ip in peers if ip in own), None))
        if mtu is not None:
            found[version] = mtu
    return found


def leads_out(link: str) -> bool:
    """Return whether packets leave this host through a link: not through the loopback, nor through links like it."""
    with _kernel() as kernel:
        kind = read_kind(kernel, link)
    return kind is not None and not kind.loopback and kind.kind != "dummy"


def link_mac(name: str) -> str | None:
    """Return the MAC of a link as aa:bb:cc:dd:ee:ff, None when there is no such link."""
    link = _link(name)
    return link.mac if link else None


def link_of_address(ip: str) -> str | None:
    """Return the link that has an address, None when no link has it."""
    own = ipaddress.ip_address(ip)
    with _kernel() as kernel:
        addresses = read_addresses(kernel)
    return next((address.link for address in addresses if ipaddress.ip_address(address.ip) == own), None)


def has_kernel_datapath() -> bool:
    """Return whether this kernel has Open vSwitch's datapath. The kernel loads the module when it has one."""
    try:
        return has_generic_family(DATAPATH_FAMILY)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise HostError(f"the kernel can't be asked for its Open vSwitch datapath: {reason}") from error


def connection_over(nic: str) -> str | None:
    """Return why a NIC must keep its addresses, as a clause for the user. None: nothing needs them."""
    for version, destination in DEFAULT_ROUTE.items():
        if any(hop.link == nic for hop in _default_hops(version)):
            return f"the default route ({destination}) goes through it"
    own = {ipaddress.ip_address(cidr.split("/")[0]) for cidr in configured_addresses(nic)}
    session = session_address()
    if session is not None and session.address in own:
        return f"this session's SSH connection ends on its address {session.text}"
    used = ssh_server_addresses() & own
    if used:
        return f"SSH connections end on its address {', '.join(sorted(map(str, used)))}"
    return None


def _link(name: str) -> KernelLink | None:
    with _kernel() as kernel:
        return read_link(kernel, name)


def _default_hops(version: int) -> tuple[Nexthop, ...]:
    """Return the next hops of the default route with the lowest metric."""

    def is_default(route: KernelRoute) -> bool:
        return (
            route.destination == DEFAULT_ROUTE[version] and route.table == RT_TABLE_MAIN and route.type == Rtn.UNICAST
        )

    with _kernel() as kernel:
        routes = read_routes(kernel, is_default)
    return min(routes, key=lambda route: route.metric).nexthops if routes else ()


@contextlib.contextmanager
def _kernel() -> Iterator[RouteSocket]:
    try:
        with RouteSocket() as kernel:
            yield kernel
    except OSError as error:
        raise HostError(f"this host's links, addresses and routes can't be read: {error.strerror}") from error
