# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Northbound rows of EgressIP objects.

The watcher writes what an object asks for: an address set with its addresses, which names the set of its pods, and one
row for all objects that names the nodes that may hold addresses. Sets of the overlay's own networks tell what stays
inside.

The granter writes who holds what (of a gateway's router a key in external_ids), and the way out: one policy of the
cluster router for each object and IP version that leads its pods to the holders' gateways, and a source NAT there. The
policy names the set of the pods, so a pod that comes or goes touches that set alone. So does the NAT where its table
has a column for a match (OVN 24.03); with an older schema each pod has rows of its own there.

A way and the NAT at its end are carried out by different hosts, which don't wait for each other. So each gateway that
has no NAT for an object drops what its pods send outside. The drop goes, or comes back, in the transaction that writes
or deletes the NAT, and one host carries out both at once (ovn-controller changes flows in one bundle).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from .._common import names
from .._common.addressing import family, normalized
from .._ovsdb.rows import CurrentRow, LargeSet, Need, Owner, Row
from .lease import Held

KIND, SHARED_KIND = "EgressIP", "EgressIPs"  # of the watcher
ROUTES_KIND, HELD_KIND, POD_KIND = "EgressIPRoutes", "EgressIPHeld", "EgressIPPod"  # of the granter
PROOF_KIND = "EgressIPLeases"  # of the granter: the row of its proofs
SET, ROUTER, POLICY, NAT = "Address_Set", "Logical_Router", "Logical_Router_Policy", "NAT"
ALL = "cluster"  # the owner's name of what all objects share
# On the cluster router: above the subnets that a gateway's settings pin, below the answers to hosts.
INSIDE_PRIORITY, REROUTE_PRIORITY = 106, 105
# On gateways' routers, above the ways of pinned pods: addresses of pods with NAT, hosts, and all else of an object.
POD_PRIORITY, HOSTS_PRIORITY, NO_NAT_PRIORITY = 107, 106, 105
NAT_PRIORITY = 1000  # of rows with a match, which come before the gateway's own
PENDING = "?"  # after an address that another node may still answer for


class Place(NamedTuple):
    """A holder of an address.

    :ivar join_ip: of its gateway, of the same IP version, without prefix length.
    """

    address: str
    node: str
    join_ip: str


def request_row(
    name: str, addresses: Collection[str], versions: Iterable[int], pods: str, selectors: str, need: Need
) -> Row:
    """Return what the watcher writes for an object.

    :param addresses: those that are served.
    :param versions: the IP versions of all that it names: without an address the pods reach nothing outside by them.
    :param pods: the digest of the set of its pods.
    :param selectors: that set, and those of before, by :func:`.model.packed`.
    :param need: that set.
    """
    told = {
        names.EGRESS_IP_PODS_KEY: pods,
        names.EGRESS_IP_VERSIONS_KEY: " ".join(map(str, sorted(versions))),
        names.EGRESS_IP_SELECTORS_KEY: selectors,
    }
    columns = {"addresses": LargeSet(sorted(addresses)), "external_ids": told}
    return Row(SET, Owner(KIND, name), "addresses", names.egress_ip_set(name), columns=columns, needs=(need,))


def versions_of(request: CurrentRow) -> set[int]:
    """Return the IP versions that an object names, by its row."""
    told = (request.external_id(names.EGRESS_IP_VERSIONS_KEY) or "").split()
    return {version for version in (4, 6) if str(version) in told} | {
        family(one) for one in request.columns["addresses"]
    }


def shared_rows(nodes: Iterable[str], networks: Iterable[str]) -> list[Row]:
    """Return what the watcher writes for all objects.

    :param nodes: those that may hold addresses.
    :param networks: the overlay's own: of pods, routers and services.
    """
    owner, networks = Owner(SHARED_KIND, ALL), sorted(set(networks))
    rows = [
        Row(
            SET,
            owner,
            f"inside-{version}",
            name,
            columns={"addresses": LargeSet(one for one in networks if family(one) == version)},
        )
        for version, name in names.EGRESS_IP_INSIDE.items()
    ]
    told = {names.EGRESS_IP_NODES_KEY: " ".join(sorted(nodes))}
    return [*rows, Row(SET, owner, "nodes", names.EGRESS_IP_NODES, columns={"external_ids": told})]


def routes_rows(
    name: str, pods: str, versions: Iterable[int], places: Iterable[Place], gateways: Iterable[str], has_match: bool
) -> list[Row]:
    """Return the way out of an object's pods.

    :param pods: the digest of the set of its pods.
    :param versions: the IP versions that it names. Where no address of one is held, its pods reach nothing outside by
        it: they are not seen with another address.
    :param places: the holders.
    :param gateways: the nodes of all gateways.
    :param has_match: the schema has NAT.match.
    """
    held, nodes, out = sorted(places), sorted(gateways), []
    for version in sorted(versions):
        here = [place for place in held if family(place.address) == version]
        out += _cluster_rows(name, pods, version, here)
        for place in here if has_match else ():
            out.append(_nat_row(name, pods, version, place))
        served = {place.node for place in here} if has_match else set()
        for node in nodes:
            if node not in served:
                out += _guard_rows(name, pods, version, node)
    return out


def _cluster_rows(name: str, pods: str, version: int, places: Iterable[Place]) -> list[Row]:
    """Return the policies of the cluster router. What its routes don't lead to the gateways keeps its way, and so does
    what goes to pods, services, routers and hosts.

    In the policies' stage ``outport`` is what the routes have chosen (ovn-northd(8), Logical Router Datapaths).
    """
    owner, destination = Owner(ROUTES_KIND, name), f"ip{version}.dst"
    leaves = f"outport == {json.dumps(names.router_to_join(names.CLUSTER_ROUTER))} && {_from(pods, version)}"
    inside = (
        f"({destination} == ${names.EGRESS_IP_INSIDE[version]} || {destination} == ${names.HOST_ADDRESSES[version]})"
    )
    hops = sorted({place.join_ip for place in places})
    allow: dict[str, object] = {"priority": INSIDE_PRIORITY, "match": f"{leaves} && {inside}", "action": "allow"}
    reroute: dict[str, object] = {
        "priority": REROUTE_PRIORITY,
        "match": leaves,
        "action": "reroute" if hops else "drop",
        "nexthops": tuple(hops),
    }
    return [
        Row(POLICY, owner, f"{role}-{version}", parent=names.CLUSTER_ROUTER, columns=columns)
        for role, columns in (("inside", allow), ("reroute", reroute))
    ]


def _nat_row(name: str, pods: str, version: int, place: Place) -> Row:
    """Return the source NAT of a set of pods. What goes on to the overlay, from a service of the router, keeps that
    service's own.
    """
    columns = {
        "type": "snat",
        "logical_ip": "0.0.0.0/0" if version == 4 else "::/0",
        "external_ip": place.address,
        "match": f"{_out(place.node)} && {_from(pods, version)}",
        "priority": NAT_PRIORITY,
    }
    role, router = f"snat-{version}-{place.node}", names.gateway_router(place.node)
    return Row(NAT, Owner(ROUTES_KIND, name), role, parent=router, columns=columns)


def _guard_rows(name: str, pods: str, version: int, node: str) -> list[Row]:
    """Return the policies of a gateway's router that has no NAT for a set of pods: nothing of them leaves but what goes
    to hosts, and answers to connections from outside.
    """
    owner, router = Owner(ROUTES_KIND, name), names.gateway_router(node)
    leaves = f"{_out(node)} && {_from(pods, version)}"
    hosts = f"{leaves} && ip{version}.dst == ${names.HOST_ADDRESSES[version]}"
    allow = {"priority": HOSTS_PRIORITY, "match": hosts, "action": "allow"}
    drop = {"priority": NO_NAT_PRIORITY, "match": f"{leaves} && (!ct.trk || !ct.rpl)", "action": "drop"}
    return [
        Row(POLICY, owner, f"{role}-{version}-{node}", parent=router, columns=columns)
        for role, columns in (("hosts", allow), ("no-nat", drop))
    ]


def _out(node: str) -> str:
    """Return the match of what leaves by a gateway."""
    return f"outport == {json.dumps(names.router_to_external(node))}"


def _from(pods: str, version: int) -> str:
    """Return the match of what pods send."""
    return f"ip{version}.src == ${names.peer_set(pods, version)}"


def pod_rows(key: str, ip: str, places: Iterable[Place]) -> list[Row]:
    """Return the source NAT of one address of a pod, for schemas without NAT.match, and what lets it out.

    :param key: the owner's name.
    """
    owner, out = Owner(POD_KIND, key), []
    for place in sorted(places):
        if family(place.address) != family(ip):
            continue
        router = names.gateway_router(place.node)
        nat = {"type": "snat", "logical_ip": ip, "external_ip": place.address}
        match = f"{_out(place.node)} && ip{family(ip)}.src == {ip}"
        allow = {"priority": POD_PRIORITY, "match": match, "action": "allow"}
        out.append(Row(NAT, owner, f"snat-{place.node}", parent=router, columns=nat))
        out.append(Row(POLICY, owner, f"has-nat-{place.node}", parent=router, columns=allow))
    return out


def held_row(node: str, held: Mapping[str, bool]) -> Row:
    """Return what the row of a gateway's router has of the addresses that its node is to hold.

    :param held: address -> whether nobody else can answer for it any more.
    """
    text = " ".join(f"{address}{'' if settled else PENDING}" for address, settled in sorted(held.items()))
    columns = {"external_ids": {names.EGRESS_IPS_KEY: text or None}}
    return Row(ROUTER, Owner(HELD_KIND, node), "held", names.gateway_router(node), columns=columns, kind="shared")


def proof_row() -> Row:
    """Return the row that a granter changes to prove that it acts.

    It is an address set, since ovn-northd looks at nothing else when one changes (seen with 23.03); a change of
    NB_Global would let it compute all logical flows anew.
    """
    return Row(SET, Owner(PROOF_KIND, ALL), "proof", names.EGRESS_LEASE_PROOF, columns={"addresses": ()})


def held_of(router: CurrentRow) -> dict[str, bool]:
    """Return what a router's row says: the inverse of :func:`held_row`."""
    found = {}
    for word in (router.external_id(names.EGRESS_IPS_KEY) or "").split():
        address = normalized(word.rstrip(PENDING))
        if address is not None:
            found[address] = not word.endswith(PENDING)
    return found


def all_held(routers: Iterable[CurrentRow]) -> dict[str, Held]:
    """Return address -> who is to hold it, as the routers' rows say. Of one that two rows name nobody is settled."""
    found: dict[str, Held] = {}
    for router in routers:
        if router.owner is None or router.owner.type != "Gateway":
            continue
        for address, settled in held_of(router).items():
            known = address in found
            found[address] = Held(router.owner.name, settled and not known)
    return found
