# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ports that are bound to another chassis than the one that they belong to.

OVN lets each chassis write ``chassis`` and some other columns of all rows of Port_Binding (docs/security.md). What a
port belongs to is in rows that no chassis can write: ovn-northd resolves the chassis that a pod's port requests
(``requested_chassis``, ovn-sb(5)), and the Northbound rows of nodes and gateways have their system-ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .._common import names
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import Query
from .._ovsdb.values import as_set
from .chassis import NodeChassis
from .overlay_queries import MAIN_ROWS, query_for_main_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .._ovsdb.connection import Connection
    from .._ovsdb.rows import CurrentRow

MAIN = {(owner_type, role) for owner_type, (_table, role) in MAIN_ROWS.items()}
NODES, GATEWAYS = query_for_main_rows("Node"), query_for_main_rows("Gateway")
NORTHBOUND = (NODES, Query(GATEWAYS.table, GATEWAYS.where, ("options", "external_ids")))
BOUND = ("logical_port", "chassis", "requested_chassis", "additional_chassis", "requested_additional_chassis")
# For those who follow the databases, table -> columns.
NORTHBOUND_TABLES = {query.table: query.columns for query in NORTHBOUND}
SOUTHBOUND_TABLES = {"Chassis": ("name", "hostname"), "Port_Binding": BOUND}
EMPTY = ["set", []]
# Two columns can't be compared by the server (RFC 7047, 5.1): all ports that are bound are read.
SOUTHBOUND = (
    Query("Chassis", (), SOUTHBOUND_TABLES["Chassis"]),
    Query("Port_Binding", (("chassis", "!=", EMPTY),), BOUND),
    Query("Port_Binding", (("chassis", "==", EMPTY), ("additional_chassis", "!=", EMPTY)), BOUND),
)


class Misplaced(NamedTuple):
    """A port that is bound where it does not belong.

    :ivar found: the system-id of the chassis that has it.
    :ivar host: what that chassis calls itself.
    :ivar wanted: the system-id of the chassis that it belongs to.
    """

    port: str
    found: str
    host: str
    wanted: str

    def describe(self) -> str:
        """Return it as a clause."""
        return f"port {self.port} is bound to chassis {self.found} ({self.host}), and belongs to {self.wanted}"


def read(northbound: Connection, southbound: Connection) -> list[Misplaced]:
    """Return the ports that are bound where they do not belong, at this moment: a pod that moves shows for a moment.

    :raises DatabaseError: a database can't be read.
    """
    homes = homes_of(read_rows(northbound, NORTHBOUND))
    return misplaced(read_rows(southbound, SOUTHBOUND), homes)


def homes_of(rows: Iterable[CurrentRow]) -> dict[str, str]:
    """Return port -> system-id, of the ports of hosts and of gateways, from the main rows of nodes and gateways."""
    homes = {}
    for row in rows:
        if row.owner is None or (row.owner.type, row.role) not in MAIN:
            continue
        node = row.owner.name
        if row.table == NODES.table:
            homes[names.management_port(node)] = NodeChassis.from_row(row).system_id
            continue
        router = names.gateway_router(node)
        ports = (
            names.router_to_join(router),
            names.join_to_router(router),
            names.router_to_external(node),
            names.external_to_router(node),
        )
        homes.update(dict.fromkeys(ports, str(row.map_value("options", "chassis") or "")))
    return {port: home for port, home in homes.items() if home}


def misplaced(rows: Iterable[CurrentRow], homes: Mapping[str, str]) -> list[Misplaced]:
    """Return the ports that are bound where they do not belong, sorted.

    :param rows: those of :data:`SOUTHBOUND`.
    :param homes: as :func:`homes_of` returns them.
    """
    rows = list(rows)
    chassis = {row.uuid: row for row in rows if row.table == "Chassis"}
    found: list[Misplaced] = []
    for row in rows:
        if row.table == "Port_Binding":
            found += of_port(row, homes, chassis)
    return sorted(found)


def of_port(row: CurrentRow, homes: Mapping[str, str], chassis: Mapping[str, CurrentRow]) -> Iterator[Misplaced]:
    """Yield a port for each chassis that has it and should not. One that nothing says where it belongs may be anywhere.

    :param row: of Port_Binding.
    :param homes: as :func:`homes_of` returns them.
    :param chassis: UUID -> row of Chassis.
    """
    requested = (chassis[uuid] for uuid in as_set(row.columns["requested_chassis"]) if uuid in chassis)
    wanted = homes.get(str(row.columns["logical_port"])) or next((str(one.name) for one in requested), "")
    if not wanted:
        return
    asked = set(as_set(row.columns["requested_additional_chassis"]))
    bound = [*as_set(row.columns["chassis"]), *(set(as_set(row.columns["additional_chassis"])) - asked)]
    for one in (chassis[uuid] for uuid in bound if uuid in chassis):
        if one.name != wanted:
            yield Misplaced(str(row.columns["logical_port"]), str(one.name), str(one.columns["hostname"]), wanted)
