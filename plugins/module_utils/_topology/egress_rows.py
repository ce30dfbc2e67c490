# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of the cluster router by which default traffic reaches a gateway, and what a gateway's router remembers of
it. Modules and the liveness check write the same.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, NamedTuple

from .._common import addressing, names
from .._ovsdb.rows import Owner, Row
from .._ovsdb.values import as_set
from . import egress_slots

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from typing import Any

    from .._ovsdb.rows import CurrentRow
    from .egress_slots import Share

FLAPS = re.compile(r"IPv([46]) ([0-9]{1,9}) ([0-9]{1,12})")
OWNER = Owner("Egress", "cluster")  # of rows that are about all gateways
SHARE_PRIORITY = 1  # the lowest: policies of others come first
INSIDE_PRIORITY = 2


class Flaps(NamedTuple):
    """How often a gateway went, and when the last time, in seconds since 1970."""

    times: int
    when: int


def down_mark(down: Collection[int], versions: Collection[int]) -> str | None:
    """Return the mark of a gateway's router while its default traffic goes elsewhere; None: no mark.

    :param down: the IP versions whose traffic goes elsewhere.
    :param versions: all IP versions that the gateway has next hops of.
    """
    if not down:
        return None
    if set(down) == set(versions):
        return "down"
    return "down " + " ".join(f"IPv{version}" for version in sorted(down))


def parse_down_mark(text: str | None) -> frozenset[int]:
    """Return the IP versions that a mark names: the inverse of :func:`down_mark`."""
    return frozenset(version for version in (4, 6) if text == "down" or f"IPv{version}" in (text or ""))


def flaps_text(flaps: Mapping[int, Flaps]) -> str | None:
    """Return how often a gateway went, and when the last time, as its router's row remembers it; None: it did not.

    :param flaps: by IP version.
    """
    return ", ".join(f"IPv{version} {one.times} {one.when}" for version, one in sorted(flaps.items())) or None


def parse_flaps(text: str | None) -> dict[int, Flaps]:
    """Return what such a text says: the inverse of :func:`flaps_text`. What it can't mean is left out."""
    found = (FLAPS.fullmatch(part.strip()) for part in (text or "").split(","))
    return {int(one[1]): Flaps(int(one[2]), int(one[3])) for one in found if one}


def egress_rows(owner: Owner, join_ips: Iterable[str], versions: Collection[int]) -> list[Row]:
    """Return the cluster's default routes through one gateway.

    :param join_ips: the gateway's addresses on the join switch, with prefix length.
    :param versions: the IP versions that get a route.
    """
    return [
        Row(
            "Logical_Router_Static_Route",
            owner,
            f"egress-{version}",
            parent=names.CLUSTER_ROUTER,
            columns={"ip_prefix": addressing.ANYWHERE[version], "nexthop": cidr.split("/")[0], "output_port": ()},
        )
        for version, cidr in ((addressing.family(cidr), cidr) for cidr in join_ips)
        if version in versions
    ]


def shares_of(external_ids: Mapping[str, Any]) -> dict[int, Share]:
    """Return IP version -> the share that the row of a gateway's router remembers."""
    shares = {
        version: egress_slots.parse(external_ids.get(key), version) for version, key in names.EGRESS_SLOTS_KEY.items()
    }
    return {version: share for version, share in shares.items() if share is not None and share.slots}


def share_rows(owner: Owner, join_ips: Iterable[str], shares: Mapping[int, Share]) -> list[Row]:
    """Return the policies that send a gateway its share of the pods' default traffic.

    :param join_ips: the gateway's addresses on the join switch, with prefix length.
    :param shares: IP version -> share.
    """
    return [
        Row(
            "Logical_Router_Policy",
            owner,
            f"share-{version}",
            parent=names.CLUSTER_ROUTER,
            columns={
                "priority": SHARE_PRIORITY,
                "match": egress_slots.match(version, shares[version]),
                "action": "reroute",
                "nexthops": (cidr.split("/")[0],),
            },
        )
        for version, cidr in ((addressing.family(cidr), cidr) for cidr in join_ips)
        if version in shares
    ]


def inside_row(version: int, join_ips: Iterable[str], foreign: Iterable[CurrentRow]) -> Row:
    """Return the policy for packets that go to the join switch, and not by a default route: to the gateways themselves,
    and along routes of others.

    :param join_ips: the gateways' addresses on the join switch, with prefix length.
    :param foreign: the static routes of others, on any router.
    """
    nets = {addressing.interface(cidr).network for cidr in join_ips}
    joins = [str(net) for net in nets if net.version == version]
    prefixes: dict[str, set[str]] = {"dst": set(joins), "src": set()}
    for row in foreign:
        prefix, hop = _network(row.columns["ip_prefix"]), addressing.normalized(row.columns["nexthop"])
        if prefix is None or prefix.version != version or not prefix.prefixlen:
            continue
        if hop is not None and addressing.inside(addressing.single(hop), joins):
            prefixes["src" if as_set(row.columns["policy"]) == ("src-ip",) else "dst"].add(str(prefix))
    match = " || ".join(
        f"ip{version}.{side} == {{{', '.join(sorted(found))}}}" for side, found in prefixes.items() if found
    )
    columns = {"priority": INSIDE_PRIORITY, "match": match, "action": "allow"}
    return Row("Logical_Router_Policy", OWNER, f"inside-{version}", parent=names.CLUSTER_ROUTER, columns=columns)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network of a route that somebody else has written; None where it is none."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
