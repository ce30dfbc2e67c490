# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the servers of the databases, and relays, listen: rows of the table Connection (ovn-nb(5), ovn-sb(5)).

Rows of others stay as they are, but one of the same target becomes ours. In a relay's own database nobody else has a
reason to have rows: there they are removed.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import DatabaseError
from .._ovsdb.rows import Owner
from .._ovsdb.values import decode
from .database import Listener
from .places import RELAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from .places import Place

    Operation = dict[str, Any]

OWNER = Owner("Master", "central")
ROLE = "ovn-controller"
# Milliseconds of silence after which a server asks a client whether it is there. Masters' own programs compute for
# seconds; chassis are asked the less often the more there are.
CENTRAL_PROBE = 60000
LEAST_PROBE, PROBE_FOR_HOST, LARGEST_PROBE = 10000, 200, 180000


def wanted(
    masters: int, hosts: int, tls: bool, version: int = 4, switching: bool = False, relays: bool = False
) -> dict[str, tuple[Listener, ...]]:
    """Return the listeners of each database, and of each master's relay, by its key.

    :param masters, hosts: how many there are.
    :param version: 6 where tunnel addresses are IPv6: the IPv6 wildcard takes IPv4 connections too, unless
        net.ipv6.bindv6only is set (ipv6(7)).
    :param switching: chassis are on their way from the other protocol: its listener stays, and they use another port.
    :param relays: chassis go through relays, so that the members listen for masters alone; without it there are none.
    """
    everywhere = ":[::]" if version == 6 else ""
    method, other = ("pssl", "ptcp") if tls else ("ptcp", "pssl")
    probe = max(LEAST_PROBE, min(PROBE_FOR_HOST * hosts, LARGEST_PROBE))
    northbound, southbound, chassis = [], [], []
    if masters > 1:
        northbound.append(Listener(f"{method}:{names.NORTHBOUND_PORT}{everywhere}", "", CENTRAL_PROBE))
    if masters > 1 or tls or relays:
        southbound.append(Listener(f"{method}:{names.SOUTHBOUND_CENTRAL_PORT}{everywhere}", "", CENTRAL_PROBE))
    for kind, port in (
        ((other, names.SOUTHBOUND_PORT), (method, names.SOUTHBOUND_SWITCH_PORT))
        if switching
        else ((method, names.SOUTHBOUND_PORT),)
    ):
        chassis.append(Listener(f"{kind}:{port}{everywhere}", ROLE if kind == "pssl" else "", probe))
    if relays:
        return {"northbound": tuple(northbound), "southbound": tuple(southbound), RELAY.key: tuple(chassis)}
    return {"northbound": tuple(northbound), "southbound": (*southbound, *chassis)}


def operations(place: Place, listeners: Iterable[Listener], rows: Sequence[Any], roots: Sequence[Any]) -> list[Any]:
    """Return the transaction after which the listeners that are ours are these.

    :param rows: all of the table Connection, with ``_uuid``, as they are on the wire.
    :param roots: the one row of NB_Global, SB_Global or Config; none in a new database.
    """
    roles = place.database != names.NORTHBOUND
    desired = {listener.target: listener for listener in listeners}
    out: list[Any] = [_guard("Connection", rows), _guard(place.root_table, roots)]
    added, removed = [], []
    for row in rows:
        found = decode(row["target"])
        is_ours = place is RELAY or (decode(row["external_ids"]) or {}).get(names.OWNER_CONTROLLER) == names.CONTROLLER
        where = [["_uuid", "==", row["_uuid"]]]
        listener = desired.pop(found, None)
        if listener is not None:
            out.append({"op": "update", "table": "Connection", "where": where, "row": _row(listener, roles)})
        elif is_ours:
            removed.append(row["_uuid"])
    for listener in desired.values():
        name = f"row{uuid.uuid4().hex}"
        out.append(
            {"op": "insert", "table": "Connection", "uuid-name": name, "row": _row(listener, roles)},
        )
        added.append(["named-uuid", name])
    if not roots:
        # ovn-ctl(8) makes the row of new databases that it has made, and ovn-northd where it is missing.
        out.append({"op": "insert", "table": place.root_table, "row": {"connections": ["set", added]}})
        return out
    mutations = [["connections", "delete", ["set", removed]]] if removed else []
    mutations += [["connections", "insert", ["set", added]]] if added else []
    if mutations:
        out.append({"op": "mutate", "table": place.root_table, "where": [], "mutations": mutations})
    return out


def _guard(table: str, rows: Sequence[Any]) -> Operation:
    """Return the operation that fails when somebody has changed the rows in the meantime."""
    columns = sorted(column for column in (rows[0] if rows else {"_uuid": None}) if column != "_version")
    plain = [{column: row[column] for column in columns} for row in rows]
    return {"op": "wait", "timeout": 0, "table": table, "where": [], "columns": columns, "until": "==", "rows": plain}


def _row(listener: Listener, roles: bool) -> Operation:
    """Return the columns of a row, as they go over the wire."""
    keys = sorted(OWNER.keys(f"listener-{listener.target.replace(':', '-')}").items())
    row: Operation = {
        "target": listener.target,
        "inactivity_probe": ["set", []] if listener.probe is None else listener.probe,
        "external_ids": ["map", [list(pair) for pair in keys]],
    }
    if roles:
        row["role"] = listener.role
    return row


def check(place: Place, results: Sequence[Any]) -> None:
    """Check the results of the transaction.

    :raises DatabaseError: it was refused.
    """
    for result in results:
        if result and result.get("error"):
            raise DatabaseError(
                f"{place.database} refused its listeners: {result['error']} ({result.get('details', '')}): run it again"
            )
