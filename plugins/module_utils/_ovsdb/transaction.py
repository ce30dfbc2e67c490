# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plan becomes the operations of one guarded transaction (RFC 7047, 5.2).

Guards are ``wait`` operations without patience: each row that changes, and each answer that the plan was made from,
must still be what was read. So two controllers can't interleave: the later one fails, reads again and plans again.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from .._common.errors import DatabaseError
from .._common.names import OWNER_CONTROLLER, OWNER_ID
from .difference import Change
from .rows import FIXED_NAMES, HOLDERS, ROOTS, SINGLETON, Ref, SetMembers, encode, includes

# Open vSwitch acts on a new next_cfg and says so in cur_cfg (ovs-vswitchd.conf.db(5), "Configuration").
NEXT_CONFIGURATION = [
    {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 1]]},
    {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["next_cfg"]},
]


def realised(configuration, seconds):
    """The operation that waits until ovs-vswitchd has taken over the configuration of that number."""
    return {
        "op": "wait",
        "table": "Open_vSwitch",
        "where": [["cur_cfg", "<", configuration]],
        "columns": ["cur_cfg"],
        "until": "==",
        "rows": [],
        "timeout": int(seconds * 900),
    }


def operations(plan, named, asked, comment, lock=None):
    """The operations of ``plan``.

    :param named: (table, name) -> row found, for holders and references.
    :param asked: (query, rows of its answer as they came) that the plan depends on.
    :param comment: who asked for it; it is written to the database's log.
    :param lock: an OVSDB lock whose holder alone makes such rows: it is asserted, in place of looking through whole tables for rows of the same name.
    """
    new = {
        index: ["uuid", change.place] if change.place else ["named-uuid", f"row{index}"]
        for index, change in enumerate(plan)
        if change.kind == "insert"
    }
    made = {(plan[index].row.table, plan[index].row.name): reference for index, reference in new.items()}

    def pointer(table, name):
        if (table, name) in made:
            return made[table, name]
        if (table, name) in named:
            return ["uuid", named[table, name].uuid]
        raise DatabaseError(
            "{} {} does not exist: make it first{}".format(
                table, name, " (ovn_master_init)" if table.startswith(("Logical_", "Load_")) else ""
            )
        )

    # A new row holds its new rows from the start: an Open vSwitch port can't be without an interface, not even for an operation.
    held = {}
    for index, change in enumerate(plan):
        if change.kind == "insert" and change.row.holder is not None:
            holder = HOLDERS[change.row.table][0], change.row.holder
            held.setdefault(holder, {}).setdefault(change.row.table, []).append(new[index])
    guards = [{"op": "assert", "lock": lock}] if lock else []
    guards += [_wait(query.table, query.where, query.columns, rows) for query, rows in asked]
    writes = []
    for index, change in enumerate(plan):
        if change.kind == "insert":
            guards += [] if lock else _absent(change.row)
            writes += _insert(
                change, f"row{index}", new[index], held.get((change.row.table, change.row.name), {}), pointer, made
            )
            guards += [guard for guard in _holder_stays(change.row, named, made) if guard not in guards[-1:]]
        elif change.kind == "update":
            guards.append(
                _wait(
                    change.found.table,
                    [_is(change.found.uuid)],
                    sorted(change.columns),
                    [{column: change.found.raw[column] for column in change.columns}],
                )
            )
            writes += _update(change, pointer)
        else:
            writes += _delete(change.found)
    return guards + writes + [{"op": "comment", "comment": comment}]


def placed(plan):
    """The plan whose inserts all ask for a uuid, so that they can be taken back whether their answer comes or not."""
    return [
        replace(change, place=change.place or str(uuid4())) if change.kind == "insert" else change for change in plan
    ]


def undo(plan):
    """The operations that take back a plan's inserts and updates, for when a later part of the same call fails.

    :param plan: one of :func:`placed`.
    """
    made = {(change.row.table, change.row.name) for change in plan if change.kind == "insert"}
    ops = []
    for change in plan:
        if change.kind == "insert" and change.row.table in HOLDERS:
            if (HOLDERS[change.row.table][0], change.row.holder) in made:
                continue  # it goes with its holder
            ops += _delete_by(change.row.table, change.place)
        elif change.kind == "update":
            back = {
                column: (after, before)
                for column, (before, after) in change.columns.items()
                if not isinstance(change.row.wanted()[column], SetMembers)
            }
            ops += _update(Change("update", change.row, change.found, back), None)
    return ops[::-1]


def committed(plan):
    """The guard that holds when a plan of :func:`placed` was committed: one change shows it, since a transaction is all or nothing."""
    change = next((change for change in plan if change.kind == "insert"), plan[0])
    uuid = change.place or change.found.uuid
    where = [_is(uuid)]
    for column, (before, after) in change.columns.items() if change.kind == "update" else ():
        if isinstance(after, dict):
            where.append(includes(column, {key: value for key, value in after.items() if value is not None}))
            gone = {key: before[key] for key, value in after.items() if value is None}
            where += [[column, "excludes", encode(gone)]] if gone else []
        elif not isinstance(change.row.wanted()[column], SetMembers):
            where.append([column, "==", encode(after)])
    return _wait(change.row.table, where, ["_uuid"], [{"_uuid": ["uuid", uuid]}])


def _is(uuid):
    return ["_uuid", "==", ["uuid", uuid]]


def _wait(table, where, columns, rows):
    return {
        "op": "wait",
        "timeout": 0,
        "table": table,
        "where": [list(clause) for clause in where],
        "columns": list(columns),
        "until": "==",
        "rows": rows,
    }


def _absent(row):
    """Nobody else has made the row meanwhile, nor one of its name."""
    waits = []
    if row.stamped and row.table not in FIXED_NAMES:  # there the old row of this role goes in the same transaction
        keys = row.owner.keys(row.role)
        waits.append(
            _wait(
                row.table,
                [includes("external_ids", {key: keys[key] for key in (OWNER_CONTROLLER, OWNER_ID)})],
                ["_uuid"],
                [],
            )
        )
    if row.name is not None and row.table != SINGLETON:
        waits.append(_wait(row.table, [["name", "==", row.name]], ["_uuid"], []))
    return waits


def _holder_stays(row, named, made):
    """The row that will hold it is still there."""
    if row.holder is None:
        return []
    table = HOLDERS[row.table][0]
    if (table, row.holder) in made:
        return []
    uuid = named[table, row.holder].uuid
    return [_wait(table, [_is(uuid)], ["_uuid"], [{"_uuid": ["uuid", uuid]}])]


def _value(value, pointer):
    """A planned value for the wire."""
    if isinstance(value, tuple) and any(isinstance(item, Ref) for item in value):
        return ["set", [pointer(ref.table, ref.name) for ref in value]]
    return encode(value)


def _insert(change, uuid_name, reference, held, pointer, made):
    row = change.row
    content = {column: _value(after, pointer) for column, (_before, after) in change.columns.items()}
    for table, (holder, column) in HOLDERS.items():
        if holder == row.table and table in held:
            content[column] = ["set", held[table]]
    place = {"uuid": change.place} if change.place else {}  # ovsdb-server(7), 5.2.1
    ops = [dict(place, op="insert", table=row.table, row=content, **{"uuid-name": uuid_name})]
    if row.holder is not None:
        table, column = HOLDERS[row.table]
        if (table, row.holder) not in made:
            ops.append(
                {
                    "op": "mutate",
                    "table": table,
                    "where": [["_uuid", "==", pointer(table, row.holder)]],
                    "mutations": [[column, "insert", ["set", [reference]]]],
                }
            )
    return ops


def _update(change, pointer):
    exact, mutations = {}, []
    wanted = change.row.wanted()
    for column, (before, after) in sorted(change.columns.items()):
        if isinstance(wanted[column], SetMembers):
            mutations.append([column, "insert", _value(after, pointer)])
        elif isinstance(after, dict):
            # A map's "insert" keeps a key that is there, so the old one goes first.
            drop = sorted(key for key, value in before.items() if value is not None)
            keep = {key: value for key, value in after.items() if value is not None}
            mutations += [[column, "delete", ["set", drop]]] if drop else []
            mutations += [[column, "insert", encode(keep)]] if keep else []
        else:
            exact[column] = encode(after)
    where = [_is(change.found.uuid)]
    ops = [{"op": "update", "table": change.found.table, "where": where, "row": exact}] if exact else []
    return ops + (
        [{"op": "mutate", "table": change.found.table, "where": where, "mutations": mutations}] if mutations else []
    )


def _delete(found):
    if found.table not in HOLDERS or found.table in ROOTS:
        return [{"op": "delete", "table": found.table, "where": [_is(found.uuid)]}]
    if found.table == "Interface":
        return []  # it goes with its port, which can't be without (ovs-vswitchd.conf.db(5), Port:interfaces)
    return _delete_by(found.table, found.uuid)


def _delete_by(table_of_row, uuid):
    """A row goes when the row that holds it lets it go."""
    table, column = HOLDERS[table_of_row]
    one = ["set", [["uuid", uuid]]]
    return [
        {"op": "mutate", "table": table, "where": [[column, "includes", one]], "mutations": [[column, "delete", one]]}
    ]
