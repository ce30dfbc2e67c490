# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pinned pods: by which of the cluster's gateways they leave, and the routing policies that say so.

A next hop is reached by the gateways whose physical network holds it; a gateway's own address means this gateway alone.
Where several hold it, those that the liveness check has taken out (``ovn-k8s-egress``) are left out while another one
is left. Where no way is left, the packets are dropped: they do not leave by another gateway.

A policy takes only what the cluster router's default routes take, and nothing that is for the gateways themselves. So
pods, services, hosts and probes are reached as before. A next hop that is not the gateway's own gets one policy more,
on the gateway's router.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from .._common import addressing, names
from .._common.addressing import family
from .._common.errors import SettingsError
from .._ovsdb.rows import CurrentRow, Need, Owner, Row
from .._ovsdb.values import as_set
from .._topology.egress_rows import parse_down_mark
from .external_routes import LONGEST, ExternalRoute, NextHop
from .networks import Span, left_of, networks, span

KIND, TABLE = "PinnedPods", "Logical_Router_Policy"
# Above the gateways' shares of the pods (1) and what stays inside (2); below a subnet that the command line pins (100),
# egress addresses (101 to 109), answers to hosts (110) and link-local addresses (120).
PRIORITIES = {"namespace": 60, "node": 50}
MESSAGES = 10  # of a status
HOST_PART = 3  # the first addresses of a node's subnet are its host's and its router's


class Gateway(NamedTuple):
    """A gateway, as the database has it.

    :ivar join_ips, physical_ips: the addresses of its router, with prefix length.
    :ivar next_hops: the external routers that it uses itself.
    :ivar down: IP versions that it carries no traffic of now.
    """

    name: str
    join_ips: tuple[str, ...]
    physical_ips: tuple[str, ...]
    next_hops: tuple[str, ...]
    down: frozenset[int]

    def of(self, texts: Iterable[str], version: int) -> str | None:
        """Return the one address of an IP version."""
        return next((one for one in texts if family(one) == version), None)

    def is_own(self, hop: str) -> bool:
        """Return whether it leads there anyway: to itself, or to its own next hop."""
        return hop in self.next_hops or any(hop == one.split("/")[0] for one in self.physical_ips)

    def leads_to(self, hop: str) -> bool:
        """Return whether its physical network holds an address."""
        near = self.of(self.physical_ips, family(hop))
        if near is None or hop in self.next_hops:
            return near is not None
        network, ip = _network(near), _ip(hop)
        if ip not in network:
            return False
        # Neither the network itself, in IPv6 any router of it (RFC 4291, 2.6.1), nor all of it.
        is_whole = ip == network.network_address or (ip.version == 4 and ip == network.broadcast_address)
        return network.num_addresses <= 2 or not is_whole


@functools.lru_cache(maxsize=4096)
def _network(cidr: str) -> addressing.IPNetwork:
    return addressing.interface(cidr).network


@functools.lru_cache(maxsize=4096)
def _ip(text: str) -> addressing.IPAddress:
    return addressing.address(text)


def gateway(rows: Iterable[CurrentRow]) -> Gateway | None:
    """Return a gateway; None where its rows are not there, or somebody has spoiled them.

    :param rows: its own.
    """
    router = port = None
    for row in rows:
        if row.role == "router" and row.owner is not None and row.name == names.gateway_router(row.owner.name):
            router = row
        elif row.role == "router-to-join":
            port = row
    if router is None or port is None or router.owner is None:
        return None
    join_ips = _interfaces(as_set(port.columns["networks"]))
    if not join_ips:
        return None
    hops = map(addressing.normalized, _split(router.external_id(names.NEXT_HOPS_KEY)))
    return Gateway(
        router.owner.name,
        join_ips,
        _interfaces(_split(router.external_id(names.PHYSICAL_IPS_KEY))),
        tuple(sorted(filter(None, hops))),
        parse_down_mark(router.external_id(names.EGRESS_KEY)),
    )


def _split(text: str | None) -> list[str]:
    return [one for one in (text or "").split(",") if one]


def _interfaces(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses among texts, in their usual spelling."""
    found = []
    for text in texts:
        with contextlib.suppress(SettingsError):
            found.append(str(addressing.interface(text)))
    return tuple(sorted(found))


class Way(NamedTuple):
    """A way outside.

    :ivar hop: an external router that is not the gateway's own; empty: as the gateway leads everybody.
    """

    version: int
    gateway: str
    hop: str = ""


class Ways(NamedTuple):
    """The ways that an object leaves to its pods.

    :ivar pinned: IP versions that have no others.
    :ivar messages: what becomes of it, in words.
    :ivar is_served: all of it is.
    """

    pinned: frozenset[int]
    ways: tuple[Way, ...] = ()
    messages: tuple[str, ...] = ()
    is_served: bool = True

    def of(self, version: int) -> list[Way]:
        """Return those of an IP version."""
        return [one for one in self.ways if one.version == version]


class Reach:
    """Which gateways lead to which next hop, found once for all objects that name it.

    :param gateways: name -> gateway, as they are now.
    """

    def __init__(self, gateways: Mapping[str, Gateway]) -> None:
        self._gateways = gateways
        self._found: dict[NextHop, tuple[list[Gateway], str]] = {}

    def of(self, hop: NextHop) -> tuple[list[Gateway], str]:
        """Return the gateways that lead to a next hop, and what is wrong with it."""
        if hop not in self._found:
            self._found[hop] = _reached(hop, self._gateways)
        return self._found[hop]

    def changed(self, *forms: Gateway | None) -> None:
        """Forget what a gateway leads to, in the form of before and of now; None: it is, or was, none."""
        self._found = {hop: one for hop, one in self._found.items() if not is_concerned(hop, *forms)}


def is_concerned(hop: NextHop, *forms: Gateway | None) -> bool:
    """Return whether a gateway, in one of these forms, leads to a next hop."""
    return any(one is not None and (one.leads_to(hop.ip) or one.is_own(hop.ip)) for one in forms)


def joined(gateways: Iterable[Gateway]) -> frozenset[addressing.IPNetwork]:
    """Return the join networks, which the policies of all objects leave out."""
    return frozenset(_network(ip) for one in gateways for ip in one.join_ips)


def ways(route: ExternalRoute, gateways: Mapping[str, Gateway], reach: Reach | None = None) -> Ways:
    """Return the ways that an object leaves."""
    reach = reach or Reach(gateways)
    found: set[Way] = set()
    good: list[str] = []
    wrong = list(route.faults)
    for hop in route.hops:
        reached, fault = reach.of(hop)
        found.update(Way(family(hop.ip), one.name, "" if one.is_own(hop.ip) else hop.ip) for one in reached)
        if reached:
            by = ", ".join(one.name for one in reached)
            good.append(f"next hop {hop.ip}: by gateway {by}")
        if fault:
            wrong.append(fault)
    for version in sorted(route.pinned):
        if not any(way.version == version for way in found):
            wrong.append(f"no way is left for IPv{version}: the pods reach nothing outside by it")
    for version in sorted({family(ip) for one in gateways.values() for ip in one.join_ips} - route.pinned):
        good.append(f"IPv{version} is not pinned: no next hop of it")
    messages = tuple(one[:LONGEST] for one in (*wrong, *good))
    if len(messages) > MESSAGES:
        messages = (*messages[: MESSAGES - 1], f"and {len(messages) - MESSAGES + 1} more")
    return Ways(route.pinned, tuple(sorted(found)), messages, not wrong)


def _reached(hop: NextHop, gateways: Mapping[str, Gateway]) -> tuple[list[Gateway], str]:
    """Return the gateways that lead to a next hop, and what is wrong with it."""
    version = family(hop.ip)
    ordered = [gateways[name] for name in sorted(gateways)]
    holds = [one for one in ordered if any(hop.ip == ip.split("/")[0] for ip in one.physical_ips)] or [
        one for one in ordered if one.leads_to(hop.ip)
    ]
    if not holds:
        return [], f"next hop {hop.ip} is in no gateway's network"
    alive = [one for one in holds if version not in one.down]
    if not alive and hop.bfd:
        return [], f"next hop {hop.ip}: {', '.join(one.name for one in holds)} carries no IPv{version} traffic now"
    reached = alive or holds
    if hop.bfd and not all(one.is_own(hop.ip) for one in reached):
        return reached, f"next hop {hop.ip}: bfdEnabled watches the gateway and its own next hop, not this router"
    return reached, ""


class Scope(NamedTuple):
    """Pods that are pinned together.

    :ivar kind: namespace or node.
    """

    kind: str
    name: str

    @property
    def owner(self) -> Owner:
        """The owner of its rows."""
        return Owner(KIND, f"{self.kind}/{self.name}")

    @property
    def need(self) -> Need:
        """What a pod's port needs, so that none of its packets goes another way."""
        return Need(TABLE, self.owner)

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Return the scope of an owner's name, whatever somebody may have written there."""
        kind, _slash, name = text.partition("/")
        return cls(kind, name)


class Sources(NamedTuple):
    """The sources of the packets of pinned pods: IP version -> what a match compares with.

    :ivar needs: the address sets among them.
    """

    texts: Mapping[int, str]
    needs: tuple[Need, ...] = ()


@functools.lru_cache(maxsize=4096)
def sources_of_node(subnets: tuple[str, ...]) -> Sources:
    """Return the addresses of the pods of a node: without its host's, whose traffic is not pinned."""
    texts = {}
    for subnet in subnets:
        whole = span(subnet)
        host = Span(whole.version, whole.first, whole.first + HOST_PART - 1)
        texts[whole.version] = f"{{{', '.join(networks(left_of(whole, [host])))}}}"
    return Sources(texts)


def rows(scope: Scope, sources: Sources, found: Ways, gateways: Mapping[str, Gateway]) -> list[Row]:
    """Return the routing policies of pinned pods, in the order in which a packet meets them."""
    out = []
    for version in sorted(found.pinned & set(sources.texts)):
        left = [one for one in found.of(version) if one.gateway in gateways]
        used = sorted({one.gateway for one in left})
        out.append(_cluster_row(scope, sources, version, [gateways[name] for name in used], gateways))
        for name in used:
            hops = {one.hop for one in left if one.gateway == name}
            if hops != {""}:
                out += _gateway_rows(scope, sources, version, gateways[name], hops)
    return out


def _cluster_row(
    scope: Scope, sources: Sources, version: int, used: Sequence[Gateway], gateways: Mapping[str, Gateway]
) -> Row:
    """Return the policy of the cluster router: to these gateways, or nowhere.

    In the policies' stage ``outport`` is what the routes have chosen (ovn-northd(8), Logical Router Datapaths).
    """
    all_ips = [ip for one in gateways.values() for ip in one.join_ips if family(ip) == version]
    joins = sorted({str(addressing.interface(ip).network) for ip in all_ips})
    match = f"outport == {json.dumps(names.router_to_join(names.CLUSTER_ROUTER))} && " + _from(sources, version)
    if joins:
        match += f" && ip{version}.dst != {joins[0] if len(joins) == 1 else '{' + ', '.join(joins) + '}'}"
    hops = tuple(sorted(ip.split("/")[0] for ip in filter(None, (one.of(one.join_ips, version) for one in used))))
    columns = {
        "priority": PRIORITIES[scope.kind],
        "match": match,
        "action": "reroute" if hops else "drop",
        "nexthops": hops,
    }
    return Row(
        TABLE,
        scope.owner,
        f"pinned-{version}",
        parent=names.CLUSTER_ROUTER,
        columns=columns,
        needs=sources.needs,
    )


def _gateway_rows(scope: Scope, sources: Sources, version: int, one: Gateway, hops: Iterable[str]) -> list[Row]:
    """Return the policy of a gateway's router for next hops that are not its own.

    Neighbours on the physical network are reached directly, and answers to connections from outside go back as they
    do for all pods.
    """
    own = one.of(one.next_hops, version)
    nexthops = tuple(sorted({hop or own or "" for hop in hops} - {""}))
    near = one.of(one.physical_ips, version)
    if not nexthops or near is None:
        return []
    match = (
        f"outport == {json.dumps(names.router_to_external(one.name))} && {_from(sources, version)}"
        f" && ip{version}.dst != {addressing.interface(near).network} && (!ct.trk || !ct.rpl)"
    )
    columns = {"priority": PRIORITIES[scope.kind], "match": match, "action": "reroute", "nexthops": nexthops}
    parent = names.gateway_router(one.name)
    return [Row(TABLE, scope.owner, f"way-{version}-{one.name}", parent=parent, columns=columns, needs=sources.needs)]


def _from(sources: Sources, version: int) -> str:
    return f"ip{version}.src == {sources.texts[version]}"
