# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What a chassis' certificate may do with the rows of another chassis: asked of a real Southbound database, whose roles
ovn-northd has written, table by table and column by column.

The database listens as on a master: 6642 with the role ovn-controller, 16642 without one. Certificates are those of two
authorities, one for masters and one for chassis; the server trusts both.
"""

from __future__ import annotations

import json
import pathlib
import re
import socket
import subprocess
import typing as t

from database_server import PROGRAMS, Server, wait_for
from northd import Northd
from relay import Relay

from ansible_collections.ovn.kubernetes.plugins.module_utils._central.listeners import wanted

OWN, OTHER = "chassis-a", "chassis-b"  # system-ids: of the certificate, and of the rows that it must not touch
PORT, CENTRAL_PORT = 6642, 16642
DATABASE = "OVN_Southbound"
REFUSED, PASSES = (
    "permission error",
    "aborted",
)  # ovsdb-server's errors; RFC 7047, 5.2.9, for a transaction that we abort
ABORT = {"op": "abort"}
# Columns that say whose a row is (ovn-sb(5)).
NAME_COLUMNS = {"Chassis": "name", "Chassis_Private": "name"}
ANY_NAME_COLUMN = "chassis_name"
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "security.md"


def openssl(*arguments):
    """Run openssl(1)."""
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


def listens(address, port):
    """Whether somebody listens."""
    with socket.socket() as sock:
        return sock.connect_ex((address, port)) == 0


class Keys(t.NamedTuple):
    """Files with which a program of Open vSwitch connects or listens: paths of PEM files."""

    private_key: str
    certificate: str
    ca_cert: str

    def options(self):
        """The options of Open vSwitch's programs."""
        return [f"--{name.replace('_', '-')}={value}" for name, value in self._asdict().items()]


class Authority:
    """A certificate authority, and certificates that it signs."""

    NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2)

    def __init__(self, directory, name):
        self._directory, self._name = directory, name
        self._key, self.certificate = directory / f"{name}.key", directory / f"{name}.crt"
        openssl("req", "-x509", *self.NEW, "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.certificate)

    def keys(self, name, ca_cert):
        """The files of somebody who trusts ``ca_cert``; key and certificate are one file, as on the hosts."""
        key, certificate, both = (self._directory / f"{self._name}-{name}.{end}" for end in ("key", "crt", "pem"))
        signed = ("-CA", self.certificate, "-CAkey", self._key)
        openssl("req", "-x509", *self.NEW, "-subj", f"/CN={name}", *signed, "-keyout", key, "-out", certificate)
        both.write_bytes(key.read_bytes() + certificate.read_bytes())
        return Keys(str(both), str(both), str(ca_cert))


class Southbound:
    """The database, and who asks it.

    :ivar own: the certificate of :data:`OWN`.
    :ivar central: that of a master.
    :ivar version: the release of OVN, such as ``23.03``.
    """

    def __init__(self, directory, address):
        self.address = address
        central, chassis = Authority(directory, "central-ca"), Authority(directory, "chassis-ca")
        trusted = directory / "southbound-ca.crt"
        trusted.write_bytes(central.certificate.read_bytes() + chassis.certificate.read_bytes())
        self.own = chassis.keys(OWN, central.certificate)
        self.other = chassis.keys(OTHER, central.certificate)
        self.central = central.keys("master1", central.certificate)
        self.foreign = Authority(directory, "foreign-ca").keys(OWN, central.certificate)
        self.server_keys = self.central._replace(ca_cert=str(trusted))
        flags = (f"--remote=db:{DATABASE},SB_Global,connections", *self.server_keys.options())
        self.northbound = Server()
        self.server = Server("ovn-sb", DATABASE, flags=flags)
        try:
            self._fill()
        except BaseException:
            self.remove()
            raise

    def _fill(self):
        """Let ovn-northd write the roles, open the listeners, and make the rows."""
        northd = Northd(self.northbound, self.server)
        try:
            listeners = [f"pssl:{CENTRAL_PORT}", "role=ovn-controller", f"pssl:{PORT}"]
            northd.run("ovn-sbctl", f"--db={self.server.remote}", "set-connection", *listeners)
            wait_for(lambda: self.server.rows("RBAC_Permission"), "the roles")
            wait_for(lambda: listens(self.address, PORT) and listens(self.address, CENTRAL_PORT), "the listeners")
            self.version = re.search(r"ovn-northd (\d+\.\d+)", northd.run("ovn-northd", "--version"))[1]
        finally:
            northd.stop()  # it would delete the rows that stand for those of the other chassis
        self.schema = self.server.request("get_schema", [DATABASE])
        self.rows = Rows(self.server, self.schema)

    def remote(self, port=PORT):
        """Where it listens."""
        return f"ssl:{self.address}:{port}"

    def remove(self):
        """End all."""
        self.server.remove()
        self.northbound.remove()


class RelayOf:
    """A master's relay of the database, with the listeners that a site run gives it, in the network namespace of a
    process.

    :param source: the remote of the database.
    """

    def __init__(self, directory, southbound, pid, address, source):
        self.address = address
        options = [*southbound.server_keys.options(), f"relay:{DATABASE}:{source}"]
        self._relay = Relay(directory, " ".join(options), pid)
        self.log, self.request = self._relay.log, self._relay.request
        self._relay.listen(wanted(1, 60, tls=True, relays=True)["relay"])
        wait_for(lambda: self.listens(PORT), "the relay to listen")

    def listens(self, port):
        """Whether it listens at the port."""
        return listens(self.address, port)

    def remote(self, port=PORT):
        """Where it listens."""
        return f"ssl:{self.address}:{port}"

    def remove(self):
        """End it."""
        self._relay.stop()


def transact(remote, keys, *operations, database=DATABASE):
    """The results of a transaction by ovsdb-client(1). :raises AssertionError: with its words, when there are none."""
    options = keys.options() if keys else []
    command = [str(PROGRAMS / "bin" / "ovsdb-client"), *options, "--timeout=20", "transact", remote]
    done = subprocess.run(
        [*command, json.dumps([database, *operations])], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise AssertionError(done.stderr.strip() or done.stdout.strip())
    return json.loads(done.stdout)


class Rows:
    """A row of :data:`OTHER` in each table, made as the schema says; those that a table has already are used where it
    may have one only."""

    def __init__(self, server, schema):
        self._server, self._tables = server, schema["tables"]
        self._number = 100
        self.uuids = {}
        for table in self._tables:
            self.uuid(table)

    def uuid(self, table):
        """The UUID of the row."""
        if table not in self.uuids:
            owner = self._owner(table)  # with some tables' rows comes one that they refer to
            rows = self._server.rows(table) if owner or self._tables[table].get("maxRows") == 1 else []
            if not rows:
                self._server.transact(*self.insertion(table), *owner)
                rows = self._server.rows(table)
                assert rows, f"no row stays in {table}"
            self.uuids[table] = rows[-1]["_uuid"][1]
        return self.uuids[table]

    def insertion(self, table, name="new"):
        """The operations that insert one more row, with the other chassis as its owner where it has one, and rows that
        it can't be without."""
        row, more = {}, []
        for column, kind in self._tables[table]["columns"].items():
            key, small = _base(kind, "key"), kind["type"].get("min", 1) if isinstance(kind["type"], dict) else 1
            child = key.get("refTable", "")
            if column in (NAME_COLUMNS.get(table), ANY_NAME_COLUMN):
                row[column] = self._unique() if table.startswith("Chassis") and table in self.uuids else OTHER
            elif child == "Chassis" and column == "chassis":
                row[column] = ["uuid", self.uuid("Chassis")]
            elif small and child and not self._tables[child].get("isRoot"):
                row[column] = ["named-uuid", f"{name}_{column}"]
                more += self.insertion(child, f"{name}_{column}")
            elif small:
                row[column] = self._value(key)
        return [{"op": "insert", "table": table, "row": row, "uuid-name": name}, *more]

    def _owner(self, table):
        """The operation that keeps a row of a table that is no root (RFC 7047, 3.2): one of its own refers to it."""
        if self._tables[table].get("isRoot"):
            return []
        for parent, definition in self._tables.items():
            for column, kind in definition["columns"].items():
                key, value = _base(kind, "key"), _base(kind, "value")
                refers = [part for part in (key, value) if part and part.get("refTable") == table]
                if refers and refers[0].get("refType", "strong") == "strong" and parent != table:
                    where = [["_uuid", "==", ["uuid", self.uuid(parent)]]]
                    reference = ["named-uuid", "new"]
                    new = ["map", [["x", reference]]] if value else ["set", [reference]]
                    return [{"op": "update", "table": parent, "where": where, "row": {column: new}}]
        raise AssertionError(f"nothing refers to {table}")

    def _unique(self):
        self._number += 1
        return f"name-{self._number}"

    def _value(self, key):
        """A value of a column that must have one."""
        if "enum" in key:
            return key["enum"][1][0] if isinstance(key["enum"], list) else key["enum"]
        if "refTable" in key:
            return ["uuid", self.uuid(key["refTable"])]
        if key["type"] == "integer":
            self._number += 1
            return max(min(self._number, key.get("maxInteger", self._number)), key.get("minInteger", 0))
        return {"string": self._unique(), "boolean": False, "real": 0.0}[key["type"]]


def _base(kind, part):
    """The type of a column's keys or values, as a dictionary; None where it has no values."""
    found = kind["type"].get(part) if isinstance(kind["type"], dict) else kind["type"] if part == "key" else None
    return {"type": found} if isinstance(found, str) else found


class Access(t.NamedTuple):
    """What a certificate may do with the other chassis' row of a table."""

    insert: bool
    update: tuple[str, ...]
    delete: bool

    def as_cells(self, columns):
        """The access as cells of a row of the table."""
        update = "all columns" if columns and len(self.update) == columns else ", ".join(self.update) or REFUSED_CELL
        return ["passes" if self.insert else REFUSED_CELL, update, "passes" if self.delete else REFUSED_CELL]


REFUSED_CELL = "refused"


def access(southbound, remote, keys):
    """Table -> :class:`Access`, as the server answers. Each transaction is aborted at its end: nothing is changed."""
    found = {}
    for table, definition in sorted(southbound.schema["tables"].items()):
        where = [["_uuid", "==", ["uuid", southbound.rows.uuids[table]]]]
        (row,) = southbound.server.rows(table, *where)
        columns = sorted(name for name, kind in definition["columns"].items() if kind.get("mutable", True))
        updates = [{"op": "update", "table": table, "where": where, "row": {name: row[name]}} for name in columns]
        found[table] = Access(
            insert=_passes(remote, keys, *southbound.rows.insertion(table)),
            update=tuple(name for name, update in zip(columns, updates) if _passes(remote, keys, update)),
            delete=_passes(remote, keys, {"op": "delete", "table": table, "where": where}),
        )
    return found


def _passes(remote, keys, *operations):
    """Whether operations pass; the server must give one of its two answers."""
    results = transact(remote, keys, *operations, ABORT)
    error = next(result["error"] for result in results if result and "error" in result)
    assert error in (REFUSED, PASSES), results
    return error == PASSES


def section(text, version):
    """The table of a release in the text of the page, between its two markers: what is before, the table, and what is
    after. :raises AssertionError: there is none."""
    begin, end = (f"<!-- {word}: written by tests/tools/access-table {version} -->\n" for word in ("begin", "end"))
    before, found, rest = text.partition(begin)
    table, ends, after = rest.partition(end)
    assert found and ends, f"docs/security.md has no table of OVN {version}: run tests/tools/access-table"
    return before + begin, table.strip() + "\n", end + after


def markdown(southbound, found):
    """The tables in which something passes, and how many refuse everything."""
    lines = ["| table | insert | update | delete |", "| --- | --- | --- | --- |"]
    closed = []
    for table, one in found.items():
        columns = sum(kind.get("mutable", True) for kind in southbound.schema["tables"][table]["columns"].values())
        if one == Access(False, (), False):
            closed.append(table)
        else:
            lines.append("| " + " | ".join([f"`{table}`", *one.as_cells(columns)]) + " |")
    lines += ["", f"Everything is refused in the other {len(closed)} tables: {', '.join(closed)}."]
    return "\n".join(lines) + "\n"
