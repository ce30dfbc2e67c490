# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Real ovsdb-servers for tests and measurements, and a reader of theirs that shares no code with what is tested.

The programs are those below $OVN_KUBERNETES_OVS (tests/tools/activate).
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

PROGRAMS = pathlib.Path(
    os.environ.get("OVN_KUBERNETES_OVS", pathlib.Path(__file__).resolve().parents[2] / ".cache" / "ovs")
)
PATIENCE = 30.0  # seconds until a condition that does not come true is a failure


def wait_for(condition, what, patience=PATIENCE):
    """The first true value of ``condition()``; :raises AssertionError: when there is none in time."""
    began = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - began
        if waited > patience:
            raise AssertionError(f"waited {patience:.0f} s in vain for {what}")
        # A question has its price: what takes long is asked for less often.
        time.sleep(min(max(waited / 10, 0.01), 0.1))


def tool(*arguments):
    """Run ovsdb-tool."""
    subprocess.run(
        [str(PROGRAMS / "bin" / "ovsdb-tool"), *map(str, arguments)], check=True, timeout=60, capture_output=True
    )


class Client:
    """The protocol (RFC 7047) in a few lines."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(str(path))
        self._buffer = ""

    def request(self, method, params):
        """The result of one request; :raises AssertionError: when the server answers with an error."""
        self.send(method, params, 1)
        while True:
            message = self.receive()
            if message.get("id") == 1 and "result" in message:
                if message["error"]:
                    raise AssertionError(f"{method} {params}: {message['error']}")
                return message["result"]

    def send(self, method, params, number):
        """Send a request whose answer nobody waits for."""
        self._socket.sendall(json.dumps({"method": method, "params": params, "id": number}).encode())

    def receive(self):
        """The next message. :raises OSError: when none comes in time, or the server ends the connection."""
        while True:
            try:
                message, end = json.JSONDecoder().raw_decode(self._buffer)
            except ValueError:
                data = self._socket.recv(1 << 20)
                if not data:
                    raise ConnectionResetError("the server closed the connection") from None
                self._buffer += data.decode()
                continue
            self._buffer = self._buffer[end:].lstrip()
            return message

    def close(self):
        """End the connection."""
        self._socket.close()


class Server:
    """One ovsdb-server with one database, in a directory of its own.

    :param schema: ``ovn-nb``, ``ovn-sb``, ``vswitch``.
    :param database: its name.
    :param cluster: address of this member (``tcp:127.0.0.1:PORT``) where the database is to be clustered.
    :param join: address of a member to join; None: the first one of its cluster.
    :param flags: further flags of ovsdb-server.
    :param parent: where its directory is made.
    """

    def __init__(self, schema="ovn-nb", database="OVN_Northbound", cluster=None, join=None, flags=(), parent=None):
        self.database = database
        self._flags = flags
        self.directory = pathlib.Path(
            tempfile.mkdtemp(prefix="ovn-test-", dir=parent)
        )  # short: a socket's path has 107 characters at most
        self.socket = self.directory / "db.sock"
        self.log = self.directory / "log"
        self.file = self.directory / "db"
        self.process = self._client = None
        schema_file = PROGRAMS / "schema" / f"{schema}.ovsschema"
        if cluster is None:
            tool("create", self.file, schema_file)
        elif join is None:
            tool("create-cluster", self.file, schema_file, cluster)
        else:
            tool("join-cluster", self.file, database, cluster, join)
        try:
            self.start()
        except BaseException:
            self.remove()
            raise

    @property
    def remote(self):
        """The unix socket as a remote."""
        return f"unix:{self.socket}"

    @property
    def tcp(self):
        """The TCP port on 127.0.0.1 as a remote."""
        return f"tcp:127.0.0.1:{self.port}"

    def start(self):
        """Start (again) and wait until it serves."""
        self.log.unlink(missing_ok=True)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    str(PROGRAMS / "bin" / "ovsdb-server"),
                    f"--remote=p{self.remote}",
                    "--remote=ptcp:0:127.0.0.1",
                    f"--unixctl={self.directory / 'ctl'}",
                    "--no-chdir",
                    *self._flags,
                    str(self.file),
                ],
                stdout=log,
                stderr=log,
                env=dict(os.environ, OVS_RUNDIR=str(self.directory)),
            )
        self.port = int(
            wait_for(
                lambda: self._ended() or re.search(r"listening on port (\d+)", self.log.read_text()),
                "ovsdb-server to listen",
            )[1]
        )
        wait_for(lambda: self._ended() or self._database(), f"{self.database} to be served")

    def _ended(self):
        if self.process.poll() is not None:
            raise AssertionError(f"ovsdb-server ended: {self.log.read_text()}")

    def _database(self):
        """What the server says of its database (ovsdb-server(5), _Server), nothing when it says nothing now."""
        try:
            return self.request(
                "transact", ["_Server", {"op": "select", "table": "Database", "where": [["name", "==", self.database]]}]
            )[0]["rows"]
        except (ConnectionError, FileNotFoundError):
            return []

    def connected(self):
        """Whether the server is in touch with its cluster."""
        return any(row["connected"] for row in self._database())

    def stop(self):
        """End the server; its database stays for the next start."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.socket.unlink(missing_ok=True)

    def remove(self):
        """End the server and remove everything of it."""
        self.stop()
        shutil.rmtree(self.directory)

    def request(self, method, params):
        """The result of a request.

        :raises ConnectionError: when the server ends the connection, as a member does that finds its cluster.
        """
        if self._client is None:
            self._client = Client(self.socket)
        try:
            return self._client.request(method, params)
        except ConnectionError:
            self._client.close()
            self._client = None
            raise

    def transact(self, *operations):
        """The results of one transaction, which must succeed."""
        results = self.request("transact", [self.database, *operations])
        failed = [result for result in results if result and result.get("error")]
        if failed:
            raise AssertionError(f"{operations}: {failed}")
        return results

    def rows(self, table, *where):
        """The rows of a table that meet the conditions, as the wire has them."""
        return self.transact({"op": "select", "table": table, "where": list(where)})[0]["rows"]

    def everything(self):
        """The database to the letter: table -> uuid -> row, with the uuids and versions that any write changes."""
        tables = sorted(self.request("get_schema", [self.database])["tables"])
        answers = self.transact(*({"op": "select", "table": table, "where": []} for table in tables))
        return {table: {row["_uuid"][1]: row for row in answer["rows"]} for table, answer in zip(tables, answers)}

    def content(self):
        """What the database says: table -> rows, without what is empty, with names in place of uuids."""
        raw = self.everything()
        labels = {uuid: _label(table, row) for table, rows in raw.items() for uuid, row in rows.items()}
        out = {}
        for table, rows in raw.items():
            made = []
            for row in rows.values():
                plain = {
                    column: _plain(value, labels)
                    for column, value in row.items()
                    if column not in ("_uuid", "_version")
                }
                made.append(
                    {column: value for column, value in sorted(plain.items()) if value not in ("", [], {}, 0, False)}
                )
            if made:
                out[table] = sorted(made, key=lambda row: json.dumps(row, sort_keys=True))
        return out


def references(value):
    """The uuids in a column of the wire."""
    return [uuid for _kind, uuid in (value[1] if value[0] == "set" else [value])]


def _label(table, row):
    """A row by its name, by the identity in its external_ids, or by what it says."""
    identity = row.get("name") or dict(row.get("external_ids", ["map", []])[1]).get("k8s.ovn.org/id")
    said = {
        column: value
        for column, value in row.items()
        if column not in ("_uuid", "_version") and "uuid" not in json.dumps(value)
    }
    return f"{table} {identity or json.dumps(said, sort_keys=True)}"


def _plain(value, labels):
    """A value of the wire as plain JSON, sets in order."""
    if isinstance(value, list):
        kind, content = value
        if kind == "map":
            return {str(_plain(key, labels)): _plain(item, labels) for key, item in content}
        if kind == "set":
            return sorted((_plain(item, labels) for item in content), key=str)
        return labels.get(content, content)
    return value


def free_port():
    """A TCP port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
