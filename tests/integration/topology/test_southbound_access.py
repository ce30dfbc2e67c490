# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what the Southbound database lets a compromised node do: with its certificate, with none, and with others.

ovsdb-server, ovn-northd, the relay and the clients are those of the release that is installed, and the page must be
true for it. The ports are those of a master.
"""

from __future__ import annotations

import json
import socket
import ssl
import subprocess

import pytest
from database_server import PROGRAMS, wait_for
from network_namespace import ip, namespace, router
from northd import Northd
from southbound_access import (
    ABORT,
    CENTRAL_PORT,
    OTHER,
    OWN,
    PAGE,
    PORT,
    REFUSED,
    RelayOf,
    Southbound,
    access,
    markdown,
    section,
    transact,
)

from ansible_collections.ovn.kubernetes.plugins.module_utils._central.places import RELAY as RELAY_PLACE
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify.central import northd_status

MASTER, RELAY = "10.9.0.1", "10.9.0.2"
NB_CFG = {"op": "update", "table": "Chassis", "row": {"nb_cfg": 7}}
DELETE = {"op": "delete", "table": "Chassis"}
FAILED = r"ovsdb-client: (transaction failed|failed to connect)"
READ = {"op": "select", "table": "Chassis", "where": [], "columns": ["name"]}


@pytest.fixture(scope="module")
def southbound(tmp_path_factory):
    """The database of a master, in a network namespace of its own with a second one beside it."""
    with namespace():
        ip("link add m0 type veth peer name n0")
        with router("n0") as pid:
            ip("link set m0 up")
            ip(f"addr add {MASTER}/24 dev m0")
            ip(f"addr add {RELAY}/24 dev n0", f"/proc/{pid}/ns/net")
            made = Southbound(tmp_path_factory.mktemp("southbound"), MASTER)
            made.beside = pid
            yield made
            made.remove()


@pytest.fixture(scope="module")
def relay(southbound, tmp_path_factory):
    """A relay of it, whose own connection goes to the masters' port with a master's certificate."""
    directory = tmp_path_factory.mktemp("relay")
    made = RelayOf(directory, southbound, southbound.beside, RELAY, southbound.remote(CENTRAL_PORT))
    yield made
    made.remove()


@pytest.fixture(params=["directly", "through a relay"])
def asked(request, southbound):
    """Whom the chassis ask."""
    return southbound if request.param == "directly" else request.getfixturevalue("relay")


def of(name, operation):
    """An operation on the row of a chassis."""
    return {**operation, "where": [["name", "==", name]]}


def test_the_page_says_what_passes(southbound, asked):
    """Protects whoever trusts the page: each table, each column, insert, update and delete of another chassis' row,
    directly and through a relay, which judges the role itself."""
    found = markdown(southbound, access(southbound, asked.remote(), southbound.own))
    _before, table, _after = section(PAGE.read_text(encoding="utf-8"), southbound.version)
    assert found == table


def test_the_own_row_passes(southbound, asked):
    """Protects the test above from refusing everything: with the other certificate, the row is one's own."""
    assert transact(asked.remote(), southbound.other, of(OTHER, NB_CFG), ABORT)[0] == {"count": 1}
    assert transact(asked.remote(), southbound.own, of(OTHER, NB_CFG), ABORT)[0]["error"] == REFUSED


def test_what_passes_is_done(southbound, asked):
    """Protects the page from a check that is only one of words: what passes stays in the database, also through a
    relay, and what is refused changes nothing."""
    where = [["_uuid", "==", ["uuid", southbound.rows.uuids["Port_Binding"]]]]
    virtual = f"by {asked.address}"
    claim = {"op": "update", "table": "Port_Binding", "where": where, "row": {"virtual_parent": virtual}}
    assert transact(asked.remote(), southbound.own, claim) == [{"count": 1}]
    assert southbound.server.rows("Port_Binding", *where)[0]["virtual_parent"] == virtual
    answer = transact(asked.remote(), southbound.own, of(OTHER, DELETE))
    assert answer[0] == {
        "error": REFUSED,
        "details": f'RBAC rules for client "{OWN}" role "ovn-controller" prohibit row deletion from table "Chassis".',
    }
    assert [row["name"] for row in southbound.server.rows("Chassis")] == [OTHER]


def test_the_port_of_masters_has_no_role(southbound, relay):
    """Protects the reason for the masters' nftables table: on their port each certificate that the server takes may do
    everything, a node's too. A relay has no such port."""
    for keys in (southbound.central, southbound.own):
        assert transact(southbound.remote(CENTRAL_PORT), keys, of(OTHER, DELETE), ABORT)[0] == {"count": 1}
    assert not relay.listens(CENTRAL_PORT)


def test_who_is_no_chassis(southbound, asked):
    """Protects the database from everybody else (W13), with the words that an operator finds at both ends: a
    certificate of another authority, although it has the right name, plain tcp, and no certificate."""
    with pytest.raises(AssertionError, match=FAILED):
        transact(asked.remote(), southbound.foreign, READ)
    with pytest.raises(AssertionError, match=FAILED):
        transact(asked.remote().replace("ssl:", "tcp:"), None, READ)
    context = ssl.create_default_context(cafile=southbound.own.ca_cert)
    context.check_hostname = False
    with (
        socket.create_connection((asked.address, PORT), timeout=20) as plain,
        context.wrap_socket(plain) as sock,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        sock.sendall(b'{"method": "list_dbs", "params": [], "id": 1}')
        sock.recv(1)
    log = (southbound.server if asked is southbound else asked).log
    for words in ("certificate verify failed", "wrong version number", "peer did not return a certificate"):
        wait_for(lambda: words in log.read_text(), f"{words} in the server's log")  # noqa: B023


OPEN = {"target": "ptcp:17777", "role": "", "external_ids": ["map", []]}
CONNECTION = {"table": "Connection", "where": []}
# What would let a chassis listen for itself, in the relay's own database.
CHANGES = {
    "insert": [{"op": "insert", "table": "Connection", "row": OPEN, "uuid-name": "row"}],
    "update": [{"op": "update", **CONNECTION, "row": {"role": ""}}],
    "delete": [{"op": "delete", **CONNECTION}],
    "mutate": [{"op": "mutate", **CONNECTION, "mutations": [["inactivity_probe", "+=", 1]]}],
    "the row of the listeners": [{"op": "update", "table": "Config", "where": [], "row": {"connections": ["set", []]}}],
    "no more listeners": [
        {"op": "mutate", "table": "Config", "where": [], "mutations": [["connections", "delete", ["set", []]]]}
    ],
    "another row of listeners": [{"op": "insert", "table": "Config", "row": {}}],
    "a role": [{"op": "insert", "table": "RBAC_Role", "row": {"name": "ovn-controller"}}],
    "a permission": [{"op": "insert", "table": "RBAC_Permission", "row": {"table": "Connection"}}],
}


@pytest.mark.parametrize("change", CHANGES)
def test_where_a_relay_listens_is_no_chassis_to_say(southbound, relay, change):
    """Protects the whole Southbound database: a relay's clients reach its own database too, and who can write there
    opens a port without a role, behind which the relay writes as a master."""

    def rows():
        # The server itself writes into a Connection who is connected, with a new version.
        own = ("_version", "is_connected", "status")
        tables = ("Connection", "Config", "RBAC_Role", "RBAC_Permission")
        selects = [{"op": "select", "table": table, "where": []} for table in tables]
        answers = relay.request("transact", [RELAY_PLACE.database, *selects])
        return [[{k: v for k, v in row.items() if k not in own} for row in answer["rows"]] for answer in answers]

    before = rows()
    assert [row["target"] for row in before[0]] == [f"pssl:{PORT}"], "the listener that the operations are for"
    answer = transact(relay.remote(), southbound.own, *CHANGES[change], database=RELAY_PLACE.database)
    assert answer[0]["error"] == REFUSED
    assert rows() == before
    # The role alone is in the way: an operation that nobody may do would be no test.
    own = relay.request("transact", [RELAY_PLACE.database, *CHANGES[change], ABORT])
    assert "error" not in own[0], own


def test_a_relay_s_schema_is_no_chassis_to_change(southbound, relay):
    """Protects the tables of roles that stand in the way above: a chassis takes them from no database, and those of
    the server itself are nobody's to write."""
    schema = relay.request("get_schema", [RELAY_PLACE.database])
    del schema["tables"]["RBAC_Role"]
    file = relay.log.parent / "other.ovsschema"
    file.write_text(json.dumps(schema))
    command = [PROGRAMS / "bin" / "ovsdb-client", *southbound.own.options(), "--timeout=20", "convert", relay.remote()]
    done = subprocess.run([*map(str, command), str(file)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "permission error" in done.stderr
    assert "RBAC_Role" in relay.request("get_schema", [RELAY_PLACE.database])["tables"]
    change = {"op": "update", "table": "Database", "where": [], "row": {"connected": False}}
    (answer,) = transact(relay.remote(), southbound.own, change, database="_Server")
    assert answer["error"] == "not allowed"


def test_the_lock_of_northd(southbound, relay):
    """Protects the page's word on ovn-northd: roles are for rows, and each client may take each lock of the server that
    it is connected to (RFC 7047, 4.1.8). A chassis of a relay takes that of the relay, which nobody needs.

    It is the last test: ovn-northd removes the rows of the others.
    """
    northd = Northd(southbound.northbound, southbound.server)
    folder = southbound.northbound.directory
    # As on a host, where verify asks it.
    (folder / "ovn-northd.pid").write_text(f"{northd.pid}\n")
    (folder / f"ovn-northd.{northd.pid}.ctl").symlink_to(folder / "northd.ctl")

    def status():
        return northd_status(str(folder))

    try:
        wait_for(lambda: status() == "active", "an active ovn-northd")
        for remote, expected in ((relay.remote(), "active"), (southbound.remote(), "standby")):
            command = [PROGRAMS / "bin" / "ovsdb-client", *southbound.own.options(), "steal", remote, "ovn_northd"]
            with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as thief:
                assert thief.stdout.readline()  # it has the lock
                if expected == "active":
                    northd.sync()
                wait_for(lambda: status() == expected, f"ovn-northd that is {expected}")  # noqa: B023
                thief.kill()
        wait_for(lambda: status() == "active", "ovn-northd to act again")
    finally:
        northd.stop()
    assert status() == ""
