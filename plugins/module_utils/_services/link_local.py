# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Link-local addresses that hosts carry for their pods, as NodeLocal DNSCache does: a pod reaches those of its host.

A host tells which it has by an annotation of its Node, and the API server lets a kubelet write its own Node only
(NodeRestriction). Pods send to them by their router, which must not forward such packets (RFC 3927, 2.7). So a routing
policy for each host leads those of its own pods to its management port, and another one drops all others. Policies are
asked only where a route exists, so one of the hosts has a route: no gateway need be there.

IPv6 has no such addresses: a pod can't name fe80::/10 without its own link (RFC 4007, 6), and a host's other addresses
are no link-local ones.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterable

from .._common import addressing, names
from .._netlink.records import KernelAddress
from .._ovsdb.rows import Row
from .host import Host
from .index import Index

NETWORK = ipaddress.ip_network("169.254.0.0/16")
# No host opens what clouds serve there themselves (169.254.169.254 is their metadata), nor northbound.HAIRPIN.
CLOUDS = ipaddress.ip_network("169.254.169.0/24")
MOST = 8  # of one host
PRIORITY, OTHERS_PRIORITY = 121, 120  # above all other policies of the cluster router
ROLES = (  # (table, role) of the rows; a host may have several routes, whose role begins so
    ("Logical_Router_Static_Route", "link-local-"),
    ("Logical_Router_Policy", "link-local"),
    ("Logical_Router_Policy", "link-local-others"),
)


def usable(texts: Iterable[object]) -> tuple[str, ...]:
    """Return those that a host may carry for its pods, :data:`MOST` at most, in their usual spelling and order."""
    found = {ip for ip in map(addressing.normalized, texts) if ip and ":" not in ip}
    return tuple(map(str, sorted(filter(_is_usable, map(ipaddress.IPv4Address, found)))[:MOST]))


def _is_usable(ip: ipaddress.IPv4Address) -> bool:
    ends = (NETWORK.network_address, NETWORK.broadcast_address)
    return ip in NETWORK and ip not in CLOUDS and ip not in ends


def candidates(addresses: Iterable[KernelAddress]) -> list[str]:
    """Return all that a host carries, those without a network first; :data:`MOST` of them count."""
    ips = dict.fromkeys(one.ip for one in sorted(addresses, key=lambda one: (not one.single, one.ip)))
    return [ip for ip in ips if usable((ip,))]


def parse(annotation: str | None) -> tuple[str, ...]:
    """Return those that an annotation tells."""
    return usable((annotation or "")[: MOST * addressing.LONGEST].split(","))


def rows(host: Host) -> list[Row]:
    """Return the rows of one host: none without IPv4 in its pods' network."""
    subnet = next((one for one in host.subnets if addressing.family(one) == 4), None)
    if subnet is None or not host.link_local:
        return []
    next_hop = addressing.nth(subnet, addressing.HOST, prefix=False)
    port = names.router_to_switch(host.name)
    result = [
        Row(
            "Logical_Router_Static_Route",
            host.owner,
            f"link-local-{ip}",
            parent=names.CLUSTER_ROUTER,
            columns={"ip_prefix": addressing.single(ip), "nexthop": next_hop, "output_port": (port,)},
        )
        for ip in host.leading
    ]
    match = f"inport == {json.dumps(port)} && {_is_for(host.link_local)}"
    columns = {"priority": PRIORITY, "action": "reroute", "nexthops": (next_hop,), "match": match}
    result.append(_policy(host, "link-local", columns))
    if host.leading:
        columns = {"priority": OTHERS_PRIORITY, "action": "drop", "match": _is_for(host.leading)}
        result.append(_policy(host, "link-local-others", columns))
    return result


def _policy(host: Host, role: str, columns: dict[str, object]) -> Row:
    return Row("Logical_Router_Policy", host.owner, role, parent=names.CLUSTER_ROUTER, columns=columns)


def _is_for(addresses: Iterable[str]) -> str:
    return f"ip4.dst == {{{', '.join(addresses)}}}"


class Carriers:
    """Which hosts carry which link-local address, and which of them leads: it has what all of them need once.

    :param is_in_overlay: whether a host can have rows.
    """

    def __init__(self, is_in_overlay: Callable[[str], bool]) -> None:
        self._is_in_overlay = is_in_overlay
        self._addresses: dict[str, tuple[str, ...]] = {}  # host -> its addresses
        self._hosts: Index[str] = Index()  # address -> hosts
        self._leaders: dict[str, str] = {}  # address -> the first of its hosts that is in the overlay

    def of(self, host: str) -> tuple[str, ...]:
        """Return what a host carries."""
        return self._addresses.get(host, ())

    def led_by(self, host: str) -> tuple[str, ...]:
        """Return the addresses that a host leads for."""
        return tuple(ip for ip in self.of(host) if self._leaders.get(ip) == host)

    def replace(self, host: str, addresses: tuple[str, ...]) -> set[str]:
        """Take in what a host carries now; return the hosts that it concerns."""
        old = self.of(host)
        if addresses == old:
            return set()
        self._hosts.replace(host, old, addresses)
        if addresses:
            self._addresses[host] = addresses
        else:
            del self._addresses[host]
        return {host} | self._recheck(host, {*old, *addresses})

    def recheck(self, host: str) -> set[str]:
        """Take in that a host may have joined the overlay, or left it; return the hosts that it concerns."""
        return self._recheck(host, self.of(host))

    def _recheck(self, host: str, addresses: Iterable[str]) -> set[str]:
        concerned = set()
        is_in_overlay = self._is_in_overlay(host)
        for ip in addresses:
            before = after = self._leaders.get(ip)
            if is_in_overlay and ip in self.of(host):
                after = host if before is None else min(before, host)
            elif before == host:
                after = min(filter(self._is_in_overlay, self._hosts.get(ip)), default=None)
            if after is None:
                self._leaders.pop(ip, None)
            else:
                self._leaders[ip] = after
            if after != before:
                concerned |= {before, after}
        return {one for one in concerned if one is not None}
