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
"""

from __future__ import annotations

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
ALL_ROUTES = "/"  # the owner's name of policies for all objects; no object is called like this
ALL = "cluster"  # the owner's name of what all objects share
# On the cluster router: above the subnets that a gateway's settings pin, below the answers to hosts.
INSIDE_PRIORITY, REROUTE_PRIORITY = 106, 105
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


def inside_rows() -> list[Row]:
    """Return the policies by which what stays inside keeps its way, and its source: to pods, services and hosts."""
    out = []
    for version in (4, 6):
        inside, hosts = names.EGRESS_IP_INSIDE[version], names.HOST_ADDRESSES[version]
        field = f"ip{version}.dst"
        match = f"ip{version}.src == ${inside} && ({field} == ${inside} || {field} == ${hosts})"
        columns = {"priority": INSIDE_PRIORITY, "match": match, "action": "allow"}
        owner = Owner(ROUTES_KIND, ALL_ROUTES)
        out.append(Row(POLICY, owner, f"inside-{version}", parent=names.CLUSTER_ROUTER, columns=columns))
    return out


def routes_rows(name: str, pods: str, versions: Iterable[int], places: Iterable[Place], has_match: bool) -> list[Row]:
    """Return the way out of an object's pods.

    :param pods: the digest of the set of its pods.
    :param versions: the IP versions that it names. Where no address of one is held, its pods reach nothing outside by
        it: they are not seen with another address.
    :param places: the holders.
    :param has_match: the schema has NAT.match.
    """
    owner, out = Owner(ROUTES_KIND, name), []
    held = sorted(places)
    for version in sorted(versions):
        hops = sorted({place.join_ip for place in held if family(place.address) == version})
        columns: dict[str, object] = {
            "priority": REROUTE_PRIORITY,
            "match": f"ip{version}.src == ${names.peer_set(pods, version)}",
            "action": "reroute" if hops else "drop",
            "nexthops": tuple(hops),
        }
        out.append(Row(POLICY, owner, f"reroute-{version}", parent=names.CLUSTER_ROUTER, columns=columns))
    for place in held if has_match else ():
        version = family(place.address)
        columns = {
            "type": "snat",
            "logical_ip": "0.0.0.0/0" if version == 4 else "::/0",
            "external_ip": place.address,
            "match": f"ip{version}.src == ${names.peer_set(pods, version)}",
            "priority": NAT_PRIORITY,
        }
        router = names.gateway_router(place.node)
        out.append(Row(NAT, owner, f"snat-{version}-{place.node}", parent=router, columns=columns))
    return out


def pod_rows(key: str, ip: str, places: Iterable[Place]) -> list[Row]:
    """Return the source NAT of one address of a pod, for schemas without NAT.match.

    :param key: the owner's name.
    """
    return [
        Row(
            NAT,
            Owner(POD_KIND, key),
            f"snat-{place.node}",
            parent=names.gateway_router(place.node),
            columns={"type": "snat", "logical_ip": ip, "external_ip": place.address},
        )
        for place in sorted(places)
        if family(place.address) == family(ip)
    ]


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
