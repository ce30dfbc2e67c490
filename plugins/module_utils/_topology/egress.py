# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which gateways carry the cluster's default traffic: those that reach their next hops.

Each gateway gets two kinds of probes. One goes to its router, at its join address. The other goes to an address that
the gateway translates to its next hop (:func:`.._common.address_rules.probe_address`).
Many routers do not answer an echo, so a probe of a next hop counts only when the next hop of another gateway answers.
When nobody answers, more likely this host itself is cut off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .._common import addressing, names
from .._ovsdb.rows import Owner, Query, Row, includes
from .._ovsdb.values import as_set
from .gateway import egress_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from .._ovsdb.rows import CurrentRow

    HealthByAddress = Mapping[str, "Health"]

GATEWAYS = {names.OWNER_CONTROLLER: names.CONTROLLER, names.OWNER_TYPE: "Gateway"}
ROUTES = Query(
    "Logical_Router_Static_Route",
    (includes("external_ids", GATEWAYS),),
    ("ip_prefix", "nexthop", "output_port", "external_ids"),
)
QUERIES = (
    Query("Logical_Router", (includes("external_ids", GATEWAYS),), ("name", "external_ids")),
    Query(
        "Logical_Router_Port",
        (includes("external_ids", dict(GATEWAYS, **{names.JOIN_MARK: "yes"})),),
        ("name", "networks", "external_ids"),
    ),
    ROUTES,
)
DEAD_AFTER, ALIVE_AFTER = 3, 3  # probes in a row without, and with, a reply


@dataclass(frozen=True)
class EgressGateway:
    """A gateway that default traffic may go through.

    :ivar name: its node.
    :ivar join_ips: its addresses on the join switch, with prefix length.
    :ivar versions: the IP versions that it has next hops of.
    :ivar probe_ips: the addresses that it translates to its next hops, at most one of each family.
    :ivar down: the IP versions that the mark of its router names (:func:`down_mark`).
    """

    name: str
    join_ips: tuple[str, ...]
    versions: frozenset[int]
    probe_ips: tuple[str, ...] = ()
    down: frozenset[int] = frozenset()

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
    """A gateway, and the IP versions whose default traffic goes through it."""

    gateway: EgressGateway
    versions: frozenset[int]


@dataclass(frozen=True)
class Health:
    """What the probes of an address have shown.

    :ivar alive: the verdict.
    :ivar against: the last probes in a row that contradict the verdict.
    :ivar answered: whether there was ever a reply.
    """

    alive: bool = True
    against: int = 0
    answered: bool = False

    def after(self, reply: bool) -> Health:
        """Return the health after one more probe."""
        answered = self.answered or reply
        if reply == self.alive:
            return Health(self.alive, 0, answered)
        against = self.against + 1
        if against >= (DEAD_AFTER if self.alive else ALIVE_AFTER):
            return Health(not self.alive, 0, answered)
        return Health(self.alive, against, answered)


def select(gateways: Sequence[EgressGateway], health: HealthByAddress) -> dict[str, frozenset[int]]:
    """Return gateway's name -> the IP versions whose default traffic goes through it.

    :param health: of all addresses of the gateways.
    """
    selected: dict[str, set[int]] = {gateway.name: set() for gateway in gateways}
    for version in (4, 6):
        for gateway in _select_version(gateways, health, version):
            selected[gateway.name].add(version)
    return {name: frozenset(versions) for name, versions in selected.items()}


def _select_version(
    gateways: Sequence[EgressGateway], health: HealthByAddress, version: int
) -> Sequence[EgressGateway]:
    """Return the gateways for one IP version: those whose next hops answer, else all that answer, else all."""
    able = [gateway for gateway in gateways if version in gateway.versions]
    # Of a router with both families one reply is enough: the same Open vSwitch forwards both.
    alive = [gateway for gateway in able if any(health[address].alive for address in gateway.router_ips)]
    hops = {}
    for gateway in able:
        address = gateway.probe_ip(version)
        if address:
            hops[gateway.name] = health[address]
    leading: list[EgressGateway] = []
    if any(hop.alive and hop.answered for hop in hops.values()):
        leading = [gateway for gateway in alive if gateway.name not in hops or hops[gateway.name].alive]
    return leading or alive or able


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


def egress_gateways(rows: Iterable[CurrentRow]) -> list[EgressGateway]:
    """Return the gateways in the database, by name.

    :param rows: what :data:`QUERIES` find.
    """
    join_ips: dict[str, tuple[str, ...]] = {}
    versions: dict[str, set[int]] = {}
    probe_ips: dict[str, list[str]] = {}
    down: dict[str, frozenset[int]] = {}
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
    return [
        EgressGateway(
            name,
            join_ips[name],
            frozenset(versions.get(name, ())),
            tuple(sorted(probe_ips.get(name, ()), key=addressing.family)),
            down[name],
        )
        for name in sorted(down)
        if name in join_ips
    ]


@dataclass(frozen=True)
class Egress:
    """The default routes and the marks of all gateways, as :class:`.._ovsdb.converge.DesiredRows`."""

    gateways: tuple[Selected, ...]

    @property
    def fast_path(self) -> None:
        """Return None: it is about all gateways."""
        return None

    @staticmethod
    def columns(table: str) -> tuple[str, ...]:
        """Return the columns to read of a row that is found by its name."""
        return ("name", "external_ids")

    def owned_queries(self, owners: Iterable[Owner] | None = None) -> list[Query]:
        """Return the query for all routes of gateways."""
        return [ROUTES]

    def renamed_owners(self, current: Sequence[CurrentRow]) -> dict[Owner, str]:
        """Return none: gateways are known by the names that their rows have."""
        return {}

    def owned_rows(self, current: Sequence[CurrentRow], renamed: Mapping[Owner, str]) -> list[CurrentRow]:
        """Return the default routes of the gateways that are known: others are being added or removed."""
        known = {selected.gateway.owner for selected in self.gateways}
        return [row for row in current if (row.role or "").startswith("egress-") and row.owner in known]

    def reads(self, current: Sequence[CurrentRow], renamed: Mapping[Owner, str]) -> dict[str, Query]:
        """Return none: the rows depend on nothing else."""
        return {}

    def rows(
        self,
        current: Sequence[CurrentRow],
        renamed: Mapping[Owner, str],
        reads: Mapping[str, Sequence[CurrentRow]],
    ) -> list[Row]:
        """Return a route through each selected gateway, and the mark of the others, which modules heed too."""
        out = []
        for gateway, versions in self.gateways:
            mark = down_mark(gateway.versions - versions, gateway.versions)
            out.append(
                Row(
                    "Logical_Router",
                    gateway.owner,
                    "router",
                    names.gateway_router(gateway.name),
                    kind="shared",
                    columns={"external_ids": {names.EGRESS_KEY: mark}},
                )
            )
            out += egress_rows(gateway.owner, gateway.join_ips, versions)
        return out
