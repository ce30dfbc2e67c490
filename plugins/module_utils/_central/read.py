# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the state of OVN's databases on this host: a few questions to the servers that run, else the files' own words.

Nothing is started, and no library beside Python's is needed: facts are read before anything is installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import DatabaseError
from .._ovsdb.channel import Channel
from .._ovsdb.values import decode
from .database import (
    CLUSTERED,
    FAILED,
    JOINING,
    LEFT,
    MEMBER,
    RELAYED,
    STANDALONE,
    Database,
    Listener,
    parse_status,
    server_arguments,
)
from .places import FOLDERS, PLACES, RELAY, RELAY_FOLDERS
from .sockets import connected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from .places import Folders, Place

PATIENCE = 3.0  # seconds for an answer
# Tables of which a database that anybody has used has a row.
CONTENT = {names.NORTHBOUND: ("Logical_Switch", "Logical_Router"), names.SOUTHBOUND: ("Chassis", "Datapath_Binding")}


def read_central(folders: Folders = FOLDERS, relay: Folders = RELAY_FOLDERS) -> dict[str, Any]:
    """Return the state of each database, and of the relay, by its key, as :meth:`.database.Database.as_dict` has it,
    and the ``version`` of the Open vSwitch that runs them; empty: none runs.
    """

    async def read() -> dict[str, Any]:
        where = [*((place, folders) for place in PLACES), (RELAY, relay)]
        found = await asyncio.gather(*(read_database(*one) for one in where))
        versions = await asyncio.gather(*(version(place, folders) for place in PLACES))
        return {
            **{place.key: state.as_dict() for (place, _folders), state in zip(where, found)},
            "version": next(filter(None, versions), ""),
        }

    return asyncio.run(read())


async def ask_server(place: Place, folders: Folders, question: str, *arguments: str) -> str:
    """Return the answer of a database's server to a command of ovs-appctl(8).

    :raises OSError, DatabaseError: it does not run, or refuses.
    """
    channel = await Channel.open(folders.control(place), lambda _method, _params: None, PATIENCE)
    try:
        return str(await channel.request(question, list(arguments), PATIENCE))
    finally:
        channel.close()


async def version(place: Place, folders: Folders) -> str:
    """Return the version of the Open vSwitch that runs a database's server; empty: it does not run."""
    try:
        return (await ask_server(place, folders, "version")).split("\n", 1)[0].rpartition(" ")[2]
    except (OSError, DatabaseError):
        return ""


async def read_database(place: Place, folders: Folders = FOLDERS) -> Database:
    """Return the state of one database."""
    state = Database(package_schema=_package_schema(f"{folders.schemas}/{place.schema}"))
    try:
        # A server without this database, or with a standalone one, refuses the question.
        state = replace(state, **parse_status(await ask_server(place, folders, "cluster/status", place.database)))
    except (OSError, DatabaseError):
        state = replace(state, **read_file(folders.file(place)))
        try:
            served = place.database in (await ask_server(place, folders, "ovsdb-server/list-dbs")).split()
        except (OSError, DatabaseError):
            served = False
        if served:
            state = replace(state, running=True, model=STANDALONE)
    if not state.running:
        return state
    if state.status == MEMBER:
        state = replace(state, **_written(state, read_file(folders.file(place))))
    state = replace(state, arguments=server_arguments(_command_line(f"{folders.run}/{place.stem}.pid")))
    if state.model == STANDALONE or (state.status == MEMBER and state.has_leader):
        try:
            state = replace(state, **await _content(place, folders))
        except (OSError, DatabaseError) as error:
            state = replace(state, problem=str(error))
    if place is RELAY:
        return replace(state, model=RELAYED)
    return replace(state, users=_users(place))


def _written(state: Database, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the file of a member says of its log beside its server, as values of :class:`.database.Database`.

    A server that can't write an entry logs that, and goes on as if it were written. It was read before its file, so
    that the file has all that it says. Of which term its last entry is only the file says.
    """
    if said.get("last", -1) < state.last:
        return {"unwritten": True}
    return {"last": said["last"], "last_term": said["last_term"]}


async def _content(place: Place, folders: Folders) -> dict[str, Any]:
    """Return what the rows say, as values of :class:`.database.Database`."""
    channel = await Channel.open(folders.socket(place), lambda _method, _params: None, PATIENCE)
    try:
        tables = CONTENT.get(place.database, ())
        columns = ["target", "inactivity_probe", "external_ids"]
        columns += [] if place.database == names.NORTHBOUND else ["role"]
        selects: list[dict[str, Any]] = [
            {"op": "select", "table": "Connection", "where": [], "columns": columns},
            *({"op": "select", "table": table, "where": [], "columns": ["_uuid"]} for table in tables),
        ]
        if place.database == names.NORTHBOUND:
            ours = ["map", [[names.OWNER_CONTROLLER, names.CONTROLLER], [names.OWNER_TYPE, "Node"]]]
            where = [["external_ids", "includes", ours]]
            selects.append({"op": "select", "table": "Logical_Switch", "where": where, "columns": ["external_ids"]})
        rows, *others = await channel.request("transact", [place.database, *selects], PATIENCE)
        select = {"op": "select", "table": "Database", "where": [], "columns": ["name", "schema", "connected"]}
        (served,) = await channel.request("transact", ["_Server", select], PATIENCE)
    finally:
        channel.close()
    databases = {decode(row["name"]): row for row in served["rows"]}
    schema = json.loads(decode(databases[place.database]["schema"]))
    nodes = others.pop()["rows"] if place.database == names.NORTHBOUND else None
    return {
        "listeners": tuple(map(_listener, rows["rows"])),
        "chassis": None if nodes is None else _chassis(decode(row["external_ids"]) for row in nodes),
        "empty": not any(found["rows"] for found in others),
        "schema": str(schema.get("version", "")),
        "connected": place is RELAY and bool(databases.get(names.SOUTHBOUND, {}).get("connected")),
    }


def _chassis(nodes: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return node to system-id, from the ``external_ids`` of nodes' rows."""
    return {keys[names.OWNER_NAME]: keys[names.CHASSIS_KEY] for keys in nodes if keys.get(names.CHASSIS_KEY)}


def _listener(row: Mapping[str, Any]) -> Listener:
    said = {column: decode(value) for column, value in row.items()}
    probe = said.get("inactivity_probe")
    return Listener(
        str(said["target"]),
        str(said.get("role") or ""),
        probe if isinstance(probe, int) else None,
        (said.get("external_ids") or {}).get(names.OWNER_CONTROLLER) == names.CONTROLLER,
    )


def read_file(path: str) -> dict[str, Any]:
    """Return what a database's file says of itself (ovsdb(5)), as values of :class:`.database.Database`.

    A log with a gap is ``failed``: no server opens it ("skips past expected index"). A disk that was full for a while
    leaves one, since a server goes on writing once there is room.
    """
    try:
        with open(path, "rb") as file:
            start = file.readline(200)
            if start.startswith(b"OVSDB JSON "):
                return {"model": STANDALONE}
            if not start.startswith(b"OVSDB CLUSTER "):
                return {"problem": f"{path} is no database: its first line is not one of OVSDB"}
            header = json.loads(file.read(int(start.split()[2])))
            found = {
                "model": CLUSTERED,
                "server_id": str(header.get("server_id", "")),
                "address": str(header.get("local_address", "")),
                "cluster_id": str(header.get("cluster_id", "")),
                "status": MEMBER,
            }
            end = int(header.get("prev_index") or 0) + 1  # the index that the next entry of the log may have at most
            term = int(header.get("prev_term") or 0)
            for record in _records(file):
                found["cluster_id"] = str(record.get("cluster_id") or found["cluster_id"])
                index = record.get("index")
                if isinstance(index, int):
                    if index > end:
                        return {**found, "status": FAILED}
                    end, term = index + 1, int(record.get("term") or 0)
                if record.get("note") == "left":
                    found["status"] = LEFT
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, IndexError, TypeError, AttributeError) as error:
        return {"problem": f"{path} can't be read: {error}"}
    # A member's file that was joined has entries, or what they have come to, and no addresses to join through.
    is_joining = not found["cluster_id"] or ("remote_addresses" in header and end == 1)
    return {**found, "status": JOINING if is_joining else found["status"], "last": end - 1, "last_term": term}


def _records(file: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the records of a log. A line that is none ends it, as it does for ovsdb-server."""
    while True:
        line = file.readline(200)
        words = line.split()
        if len(words) != 4 or words[0] != b"OVSDB" or not words[2].isdigit():
            return
        with contextlib.suppress(ValueError):
            record = json.loads(file.read(int(words[2])))
            if isinstance(record, dict):
                yield record


def _package_schema(path: str) -> str:
    """Return the version of the schema that the installed package has; empty: none is installed."""
    try:
        with open(path, encoding="utf-8") as file:
            return str(json.load(file)["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _command_line(pid_file: str) -> list[str]:
    """Return the arguments of a server that runs."""
    try:
        with open(pid_file, encoding="ascii") as file:
            pid = int(file.read(32))
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read().split("\0")
    except (OSError, ValueError):
        return []


def _users(place: Place) -> dict[str, tuple[str, ...]]:
    """Return who is connected to the ports that chassis use."""
    if place.database != names.SOUTHBOUND:
        return {}
    ports = (names.SOUTHBOUND_PORT, names.SOUTHBOUND_SWITCH_PORT)
    return {str(port): found for port, found in connected(ports).items() if found}
