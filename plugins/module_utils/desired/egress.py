# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which gateways carry the cluster's default traffic: those that answer, and all of them when none does."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .. import addressing, names
from ..ovsdb.rows import Owner, Query, Row, as_set, includes
from .gateway import egress_rows

GATEWAYS = {names.OWNER_CONTROLLER: names.CONTROLLER, names.OWNER_TYPE: "Gateway"}
QUERIES = (
    Query("Logical_Router", (includes("external_ids", GATEWAYS),), ("name", "external_ids")),
    Query("Logical_Router_Port", (includes("external_ids", dict(GATEWAYS, **{names.JOIN_MARK: "yes"})),), ("name", "networks", "external_ids")),
    Query("Logical_Router_Static_Route", (includes("external_ids", GATEWAYS),), ("ip_prefix", "nexthop", "output_port", "external_ids")),
)
DEAD_AFTER, ALIVE_AFTER = 3, 3  # probes in a row without, and with, an answer


@dataclass(frozen=True)
class Candidate:
    """A gateway that default traffic may go through.

    :ivar join_ips: its addresses on the join switch, with prefix.
    :ivar versions: the families that it has a way out for.
    """

    name: str
    join_ips: tuple
    versions: frozenset

    @property
    def owner(self):
        """Whose rows its routes are."""
        return Owner("Gateway", self.name)


@dataclass(frozen=True)
class Health:
    """What the probes of a gateway have shown: a verdict, and how many answers in a row speak against it."""

    alive: bool = True
    against: int = 0

    def after(self, answered):
        """The health after one more probe."""
        if answered == self.alive:
            return replace(self, against=0)
        against = self.against + 1
        if against >= (DEAD_AFTER if self.alive else ALIVE_AFTER):
            return Health(not self.alive)
        return replace(self, against=against)


def candidates(rows):
    """The gateways in the database, by name, from the rows that QUERIES find."""
    ports, versions, marked = {}, {}, {}
    for row in rows:
        name, role = row.key(names.OWNER_NAME), row.role() or ""
        if role == "router-to-join":
            ports[name] = as_set(row.columns["networks"])
        elif role.startswith("outside-"):
            versions.setdefault(name, set()).add(addressing.family(row.columns["nexthop"]))
        elif role == "router":
            marked[name] = row.key(names.EGRESS_KEY) == "down"
    return {name: (Candidate(name, ports[name], frozenset(versions.get(name, ()))), down) for name, down in sorted(marked.items()) if name in ports}


@dataclass(frozen=True)
class Egress:
    """The default routes and the marks of all gateways, in the shape that the loop takes.

    :ivar gateways: (candidate, alive) pairs.
    """

    gateways: tuple
    near = None  # it is about all gateways

    @staticmethod
    def columns(table):
        """What is read of a row that is looked up by its name."""
        return ("name", "external_ids")

    def own(self, _owners=None):
        """The queries for all routes of gateways."""
        return [QUERIES[2]]

    def aliases(self, own):
        """Gateways are taken by the names they have."""
        return {}

    def mine(self, own, aliases):
        """Only default routes of gateways that are known: others are on their way in or out."""
        known = {candidate.name for candidate, _alive in self.gateways}
        return [row for row in own if (row.role() or "").startswith("egress-") and row.key(names.OWNER_NAME) in known]

    def questions(self, own, aliases):
        """Nothing else must be known."""
        return {}

    def rows(self, own, aliases, answers):
        """A route through each gateway that is alive, and the mark on the others, which modules heed too."""
        nobody = not any(alive and candidate.versions for candidate, alive in self.gateways)
        out = []
        for candidate, alive in self.gateways:
            usable = alive or nobody
            out.append(Row("Logical_Router", candidate.owner, "router", names.gateway_router(candidate.name), kind="shared",
                           columns={"external_ids": {names.EGRESS_KEY: None if usable else "down"}}))
            out += egress_rows(candidate.owner, candidate.join_ips, candidate.versions) if usable else []
        return out
