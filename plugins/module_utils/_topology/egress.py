# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which gateways carry the cluster's default traffic: those that lead outside.

Each gateway gets two kinds of probes. One goes to its router, at its join address. The other goes to an address that the gateway
translates to its next hop (:func:`._common.address_rules.probe_address`).
Many routers do not answer an echo, so a probe of a next hop counts only when the next hop of another gateway answers.
When nobody answers, more likely this host itself is cut off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import addressing, names
from .._ovsdb.rows import Owner, Query, Row, includes
from .._ovsdb.values import as_set
from .gateway import egress_rows

if TYPE_CHECKING:
    from collections.abc import Collection

GATEWAYS = {names.OWNER_CONTROLLER: names.CONTROLLER, names.OWNER_TYPE: "Gateway"}
QUERIES = (
    Query("Logical_Router", (includes("external_ids", GATEWAYS),), ("name", "external_ids")),
    Query(
        "Logical_Router_Port",
        (includes("external_ids", dict(GATEWAYS, **{names.JOIN_MARK: "yes"})),),
        ("name", "networks", "external_ids"),
    ),
    Query(
        "Logical_Router_Static_Route",
        (includes("external_ids", GATEWAYS),),
        ("ip_prefix", "nexthop", "output_port", "external_ids"),
    ),
)
DEAD_AFTER, ALIVE_AFTER = 3, 3  # probes in a row without, and with, an answer


@dataclass(frozen=True)
class Candidate:
    """A gateway that default traffic may go through.

    :ivar join_ips: its addresses on the join switch, with prefix.
    :ivar versions: the families that it has a way out for.
    :ivar probes: the addresses that lead to its next hops, at most one of each family.
    """

    name: str
    join_ips: tuple
    versions: frozenset
    probes: tuple = ()

    @property
    def owner(self):
        """Whose rows its routes are."""
        return Owner("Gateway", self.name)

    @property
    def routers(self):
        """The addresses at which its router answers."""
        return [cidr.split("/")[0] for cidr in self.join_ips]

    def probe(self, version):
        """The address that leads to its next hop, None where there is none."""
        return next((address for address in self.probes if addressing.family(address) == version), None)


@dataclass(frozen=True)
class Health:
    """What the probes of an address have shown: a verdict, how many answers in a row speak against it, and whether there was any answer."""

    alive: bool = True
    against: int = 0
    heard: bool = False

    def after(self, answered):
        """The health after one more probe."""
        heard = self.heard or answered
        if answered == self.alive:
            return Health(self.alive, 0, heard)
        against = self.against + 1
        if against >= (DEAD_AFTER if self.alive else ALIVE_AFTER):
            return Health(not self.alive, 0, heard)
        return Health(self.alive, against, heard)


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


def usable(gateways, health):
    """Gateway's name -> the families whose default traffic goes through it.

    :param gateways: candidates.
    :param health: address -> :class:`Health`, of all routers' and probes' addresses.
    """
    out = {one.name: set() for one in gateways}
    for version in (4, 6):
        able = [one for one in gateways if version in one.versions]
        # With both families one answer of the router is enough: the same switch forwards both.
        routers = [one for one in able if any(health[address].alive for address in one.routers)]
        hops = {one.name: health[one.probe(version)] for one in able if one.probe(version)}
        leading = (
            [one for one in routers if one.name not in hops or hops[one.name].alive]
            if any(hop.alive and hop.heard for hop in hops.values())
            else []
        )
        for one in leading or routers or able:
            out[one.name].add(version)
    return {name: frozenset(versions) for name, versions in out.items()}


def candidates(rows):
    """The gateways in the database from the rows that QUERIES find: name -> (candidate, the families that it is marked as down for)."""
    ports, versions, probes, down = {}, {}, {}, {}
    for row in rows:
        name, role = row.external_id(names.OWNER_NAME), row.role or ""
        if role == "router-to-join":
            ports[name] = as_set(row.columns["networks"])
        elif role.startswith("outside-"):
            versions.setdefault(name, set()).add(addressing.family(row.columns["nexthop"]))
        elif role.startswith("probe-"):
            probes.setdefault(name, []).append(row.columns["ip_prefix"].split("/")[0])
        elif role == "router":
            down[name] = parse_down_mark(row.external_id(names.EGRESS_KEY))
    return {
        name: (
            Candidate(
                name,
                ports[name],
                frozenset(versions.get(name, ())),
                tuple(sorted(probes.get(name, ()), key=addressing.family)),
            ),
            families,
        )
        for name, families in sorted(down.items())
        if name in ports
    }


@dataclass(frozen=True)
class Egress:
    """The default routes and the marks of all gateways: desired rows (:class:`._ovsdb.converge.DesiredRows`).

    :ivar gateways: (candidate, the families whose default traffic goes through it) pairs.
    """

    gateways: tuple
    fast_path = None  # it is about all gateways

    @staticmethod
    def columns(table):
        """What is read of a row that is looked up by its name."""
        return ("name", "external_ids")

    def owned_queries(self, _owners=None):
        """The queries for all routes of gateways."""
        return [QUERIES[2]]

    def renamed_owners(self, current):
        """Gateways are known by the names that their rows have."""
        return {}

    def owned_rows(self, current, renamed):
        """Return the default routes of the gateways that are known: others are being added or removed."""
        known = {candidate.name for candidate, _versions in self.gateways}
        return [
            row
            for row in current
            if (row.role or "").startswith("egress-") and row.external_id(names.OWNER_NAME) in known
        ]

    def reads(self, current, renamed):
        """The rows depend on nothing else."""
        return {}

    def rows(self, current, renamed, reads):
        """A route through each gateway that leads outside, and the mark on the others, which modules heed too."""
        out = []
        for candidate, versions in self.gateways:
            out.append(
                Row(
                    "Logical_Router",
                    candidate.owner,
                    "router",
                    names.gateway_router(candidate.name),
                    kind="shared",
                    columns={
                        "external_ids": {names.EGRESS_KEY: down_mark(candidate.versions - versions, candidate.versions)}
                    },
                )
            )
            out += egress_rows(candidate.owner, candidate.join_ips, versions)
        return out
