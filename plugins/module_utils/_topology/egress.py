# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the Northbound database holds of the cluster's default traffic: which gateways carry it, and which pods' each.

A gateway that carries traffic (:mod:`.egress_health`) has a default route of the cluster router, and slots of the pods'
addresses (:mod:`.egress_slots`), which its router's row remembers. The policies come after the routes, and take only
packets that a default route takes. A router without a policy for a packet selects one of the default routes by a hash.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .._common import addressing, names
from .._ovsdb.converge import converge_rows, read_rows
from .._ovsdb.rows import Owner, Query, Row, includes
from .._ovsdb.values import as_set
from . import egress_slots
from .egress_rows import (
    OWNER,
    Flaps,
    down_mark,
    egress_rows,
    flaps_text,
    inside_row,
    parse_down_mark,
    parse_flaps,
    share_rows,
    shares_of,
)
from .egress_slots import Share
from .overlay_queries import COLUMNS, query_for_main_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .._common.result import Result
    from .._ovsdb.converge import DatabaseConnection
    from .._ovsdb.rows import CurrentRow

    Reads = Mapping[str, Sequence[CurrentRow]]

GATEWAYS = {names.OWNER_CONTROLLER: names.CONTROLLER, names.OWNER_TYPE: "Gateway"}
ROUTES = Query(
    "Logical_Router_Static_Route",
    (includes("external_ids", GATEWAYS),),
    COLUMNS["Logical_Router_Static_Route"],
)
POLICIES = tuple(
    Query("Logical_Router_Policy", (includes("external_ids", keys),), COLUMNS["Logical_Router_Policy"])
    for keys in (GATEWAYS, OWNER.keys())
)
ROUTERS = Query("Logical_Router", (includes("external_ids", GATEWAYS),), ("name", "external_ids"))
QUERIES = (
    ROUTERS,
    Query(
        "Logical_Router_Port",
        (includes("external_ids", dict(GATEWAYS, **{names.JOIN_MARK: "yes"})),),
        ("name", "networks", "external_ids"),
    ),
    ROUTES,
)
OURS = ["map", [[names.OWNER_CONTROLLER, names.CONTROLLER]]]
# Names of the reads.
HELD, FOREIGN, NODES = "routers of gateways", "routes of others", "nodes"


@dataclass(frozen=True)
class EgressGateway:
    """A gateway that default traffic may go through.

    :ivar name: its node.
    :ivar join_ips: its addresses on the join switch, with prefix length.
    :ivar versions: the IP versions that it has next hops of.
    :ivar probe_ips: the addresses that it translates to its next hops, at most one of each family.
    :ivar down: the IP versions that the mark of its router names (:func:`.egress_rows.down_mark`).
    :ivar slots: IP version -> how many slots of the pods' addresses it has.
    :ivar flaps: IP version -> how often it went, as its router's row remembers it.
    """

    name: str
    join_ips: tuple[str, ...]
    versions: frozenset[int]
    probe_ips: tuple[str, ...] = ()
    down: frozenset[int] = frozenset()
    slots: Mapping[int, int] = field(default_factory=dict)
    flaps: Mapping[int, Flaps] = field(default_factory=dict)

    @property
    def owner(self) -> Owner:
        """Return the owner of its routes."""
        return Owner("Gateway", self.name)

    @property
    def router_ips(self) -> tuple[str, ...]:
        """Return the addresses at which its router answers."""
        return tuple(cidr.split("/")[0] for cidr in self.join_ips)

    def probe_ip(self, version: int) -> str | None:
        """Return the address that it translates to its next hop; None where there is none."""
        return next((address for address in self.probe_ips if addressing.family(address) == version), None)

    def all_ips(self) -> tuple[str, ...]:
        """Return all addresses to probe."""
        return (*self.router_ips, *self.probe_ips)


class Selected(NamedTuple):
    """A gateway, and the IP versions whose default traffic goes through it.

    :ivar flaps: IP version -> how often it went; None: as the database has it.
    """

    gateway: EgressGateway
    versions: frozenset[int]
    flaps: Mapping[int, Flaps] | None = None


def egress_gateways(rows: Iterable[CurrentRow]) -> list[EgressGateway]:
    """Return the gateways in the database, by name.

    :param rows: what :data:`QUERIES` find.
    """
    join_ips: dict[str, tuple[str, ...]] = {}
    versions: dict[str, set[int]] = {}
    probe_ips: dict[str, list[str]] = {}
    down: dict[str, frozenset[int]] = {}
    slots: dict[str, dict[int, int]] = {}
    flaps: dict[str, dict[int, Flaps]] = {}
    for row in rows:
        if row.owner is None:
            continue
        name, role = row.owner.name, row.role or ""
        if role == "router-to-join":
            join_ips[name] = as_set(row.columns["networks"])
        elif role.startswith("outside-"):
            versions.setdefault(name, set()).add(addressing.family(row.columns["nexthop"]))
        elif role.startswith("probe-"):
            probe_ips.setdefault(name, []).append(row.columns["ip_prefix"].split("/")[0])
        elif role == "router":
            down[name] = parse_down_mark(row.external_id(names.EGRESS_KEY))
            flaps[name] = parse_flaps(row.external_id(names.EGRESS_FLAPS_KEY))
            slots[name] = {
                version: len(share.slots) for version, share in shares_of(row.columns["external_ids"]).items()
            }
    return [
        EgressGateway(
            name,
            join_ips[name],
            frozenset(versions.get(name, ())),
            tuple(sorted(probe_ips.get(name, ()), key=addressing.family)),
            down[name],
            slots[name],
            flaps[name],
        )
        for name in sorted(down)
        if name in join_ips
    ]


@dataclass(frozen=True)
class Egress:
    """The default routes, the shares and the marks of all gateways, as :class:`.._ovsdb.converge.DesiredRows`.

    :ivar begins: deal the slots also when no gateway has any yet.
    :ivar rebalance: give all gateways that carry traffic equally many slots.
    """

    gateways: tuple[Selected, ...]
    begins: bool = True
    rebalance: bool = False

    @property
    def fast_path(self) -> None:
        """Return None: it is about all gateways."""
        return None

    @staticmethod
    def columns(table: str) -> tuple[str, ...]:
        """Return the columns to read of a row that is found by its name."""
        return ("name", "external_ids")

    def owned_queries(self, owners: Iterable[Owner] | None = None) -> list[Query]:
        """Return the queries for all routes and policies of gateways."""
        return [ROUTES, *POLICIES]

    def renamed_owners(self, current: Sequence[CurrentRow]) -> dict[Owner, str]:
        """Return none: gateways are known by the names that their rows have."""
        return {}

    def owned_rows(self, current: Sequence[CurrentRow], renamed: Mapping[Owner, str]) -> list[CurrentRow]:
        """Return the default routes and shares of the gateways that are known, since others are being added or removed,
        and the policies about all gateways."""
        known = {selected.gateway.owner for selected in self.gateways}
        return [
            row
            for row in current
            if row.owner == OWNER or (row.owner in known and (row.role or "").startswith(("egress-", "share-")))
        ]

    def reads(self, current: Sequence[CurrentRow], renamed: Mapping[Owner, str]) -> dict[str, Query]:
        """Return what else the rows depend on: name -> query. Only the first slots depend on the nodes."""
        reads = {
            HELD: ROUTERS,
            FOREIGN: Query(
                "Logical_Router_Static_Route",
                (("external_ids", "excludes", OURS),),
                ("ip_prefix", "policy", "nexthop"),
            ),
        }
        if self.gateways and not any((row.role or "").startswith("share-") for row in current):
            reads[NODES] = query_for_main_rows("Node")
        return reads

    def rows(self, current: Sequence[CurrentRow], renamed: Mapping[Owner, str], reads: Reads) -> list[Row]:
        """Return a route through each selected gateway and its share, the policies for what stays inside, and the mark
        of the other gateways, which modules heed too."""
        shares = {version: self._shares(version, reads) for version in (4, 6)}
        out = []
        for gateway, versions, flaps in self.gateways:
            remembered = flaps_text(gateway.flaps if flaps is None else flaps)
            mark = down_mark(gateway.versions - versions, gateway.versions)
            own = {version: shares[version][gateway.name] for version in (4, 6) if gateway.name in shares[version]}
            texts = {
                names.EGRESS_SLOTS_KEY[version]: str(own[version]) if version in own else None for version in (4, 6)
            }
            out.append(
                Row(
                    "Logical_Router",
                    gateway.owner,
                    "router",
                    names.gateway_router(gateway.name),
                    kind="shared",
                    columns={"external_ids": {names.EGRESS_KEY: mark, names.EGRESS_FLAPS_KEY: remembered, **texts}},
                )
            )
            out += egress_rows(gateway.owner, gateway.join_ips, versions)
            out += share_rows(gateway.owner, gateway.join_ips, own)
        join_ips = [cidr for selected in self.gateways for cidr in selected.gateway.join_ips]
        return out + [inside_row(version, join_ips, reads.get(FOREIGN, ())) for version in (4, 6) if shares[version]]

    def _shares(self, version: int, reads: Reads) -> dict[str, Share]:
        """Return gateway -> its share of a version; gateways without slots are left out."""
        held = egress_slots.consistent(
            {
                row.owner.name: share
                for row in reads.get(HELD, ())
                if row.owner is not None and row.role == "router"
                for share in [shares_of(row.columns.get("external_ids", {})).get(version)]
                if share is not None
            }
        )
        if not held and not self.begins:
            return {}
        carriers = [selected.gateway.name for selected in self.gateways if version in selected.versions]
        divide = egress_slots.rebalance if self.rebalance else egress_slots.deal
        subnets = [
            subnet
            for row in reads.get(NODES, ())
            for subnet in (row.external_id(names.SUBNETS_KEY) or "").split(",")
            if subnet
        ]
        shift = next((share.shift for share in held.values()), None) or egress_slots.shift_for(subnets, version)
        dealt = divide({name: share.slots for name, share in held.items()}, carriers)
        return {name: Share(shift, slots) for name, slots in dealt.items() if slots}


def rebalance(connect: Callable[[], DatabaseConnection], comment: str, check: bool = False) -> Result:
    """Give all gateways that carry traffic equally many slots of the pods' addresses.

    Who carries traffic is what the routers' marks say. Connections that move to another gateway are cut.

    :param connect: opens a connection, which is closed at the end.
    :param comment: the program and its purpose, for the database's log.
    :param check: plan only.
    :raises DatabaseError: nothing was changed.
    """
    connection = connect()
    try:
        gateways = egress_gateways(read_rows(connection, QUERIES))
    finally:
        connection.close()
    selected = tuple(Selected(gateway, gateway.versions - gateway.down) for gateway in gateways)
    return converge_rows(connect, Egress(selected, rebalance=True), comment, check)
