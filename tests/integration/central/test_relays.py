# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects hosts that are connected to the Southbound database through a master's relay: on the way there and back,
and while members go. The servers are real, and so is the command of the relay's unit.

Who may do what through a relay is in tests/integration/topology/test_southbound_access.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import socket

import pytest
from database_server import wait_for
from masters import SOUTHBOUND, Masters
from network_namespace import namespace
from relay import Relay

from ansible_collections.ovn.kubernetes.plugins.module_utils._central.listeners import wanted
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.places import RELAY
from ansible_collections.ovn.kubernetes.plugins.module_utils._central.read import ask_server

HOSTS = 60
PORT, CENTRAL_PORT = 6642, 16642
DATABASE = "OVN_Southbound"


@pytest.fixture
def master():
    """One master, in a network namespace of its own: its listeners are those of a site run."""
    with namespace():
        made = Masters(1)
        relay = made["a"].relay = Relay(folder(made), f"relay:{DATABASE}:tcp:127.0.0.1:{CENTRAL_PORT}")
        yield made
        relay.stop()
        made.remove()


@pytest.fixture
def three():
    """Three masters, and a relay that finds them by their unix sockets."""
    made = Masters(3)
    sources = ",".join(host.folders.socket(SOUTHBOUND) for host in made.hosts.values())
    made.relay = Relay(folder(made), f"relay:{DATABASE}:{sources}")
    yield made
    made.relay.stop()
    made.remove()


def folder(masters):
    """Where a relay has its files."""
    made = masters["a"].folder / "relay"
    made.mkdir()
    return made


def listeners(relays):
    return wanted(1, HOSTS, tls=False, relays=relays)


def served_by():
    """How the database is served at the port of chassis; empty: nobody listens."""
    select = {"op": "select", "table": "Database", "where": [["name", "==", DATABASE]], "columns": ["model"]}
    try:
        with socket.create_connection(("127.0.0.1", PORT), timeout=5) as client:
            client.sendall(json.dumps({"method": "transact", "params": ["_Server", select], "id": 1}).encode())
            found = re.search(r'"model":"(\w+)"', client.recv(65536).decode())
    except OSError:
        return ""
    return found[1] if found else ""


def answers(client):
    """Whether the server of a connection answers."""
    client.sendall(json.dumps({"method": "echo", "params": ["there"], "id": 1}).encode())
    return b'"there"' in client.recv(65536)


@contextlib.contextmanager
def connected():
    """A connection to the port of chassis that its server has accepted."""
    with socket.create_connection(("127.0.0.1", PORT), timeout=5) as client:
        assert answers(client)
        yield client


def test_the_way_to_a_relay_and_back(master):
    """Protects chassis: first the relay is there, then the member leaves the port to it, and back the same way; a run
    that finds all as it should be does nothing."""
    host = master["a"]
    master.site("a", listeners=listeners(False))
    wait_for(lambda: served_by() == "clustered", "the member to listen")
    assert master.decide(master.asked("a", listeners=listeners(True))).steps[0].action == "start"
    host.relay.start()  # as the role does before the steps
    wait_for(lambda: host.facts()["relay"]["running"], "the relay to run")
    done = master.site("a", listeners=listeners(True))
    assert done[:2] == ["listen a relay", "listen a southbound"]
    assert set(done[2:]) <= {"restart a relay"}, "one member over tcp has a port for masters only now"
    wait_for(lambda: served_by() == "relay", "the relay to have the port", 8)
    assert [one["target"] for one in host.state(SOUTHBOUND)["listeners"]] == [f"ptcp:{CENTRAL_PORT}"]
    assert master.site("a", listeners=listeners(True)) == []
    assert master.site("a", listeners=listeners(False)) == ["listen a southbound"]
    assert served_by() == "relay", "it serves until its unit is stopped"
    host.relay.stop()
    wait_for(lambda: served_by() == "clustered", "the member to have the port again", 8)
    assert master.site("a", listeners=listeners(False)) == []


def test_a_standalone_database_and_relays_at_once(master):
    """Protects chassis of an earlier version's master: the cluster that is made from its database has their port, and
    leaves it only when the relay is there."""
    host = master["a"]
    host.standalone(SOUTHBOUND)
    wanted_now = master.asked("a", listeners=listeners(True))
    convert = next(step for step in master.decide(wanted_now).steps if step.database == SOUTHBOUND.key)
    assert convert.action == "convert"
    master.carry_out(convert, wanted_now)
    wait_for(lambda: served_by() == "clustered", "the member to have the port of chassis")
    host.relay.start()
    wait_for(lambda: host.facts()["relay"]["running"], "the relay to run")
    done = [step for step in master.site("a", listeners=listeners(True)) if "northbound" not in step]
    assert done[:2] == ["listen a relay", "listen a southbound"]
    wait_for(lambda: served_by() == "relay", "the relay to have the port", 8)
    assert master.site("a", listeners=listeners(True)) == []


def test_a_relay_that_was_away(master):
    """Protects its rows: they are in its file, and hosts find it where it was. One that does not run is started."""
    host = master["a"]
    host.relay.start()
    master.site("a", listeners=listeners(True))
    wait_for(lambda: served_by() == "relay", "the relay to listen")
    host.relay.stop()
    assert served_by() == ""
    assert master.site("a", listeners=listeners(True)) == ["start a relay"]
    wait_for(lambda: served_by() == "relay", "the relay to listen again")


def test_more_hosts(master):
    """Protects connections of hosts: another inactivity probe is another row, and no restart."""
    host = master["a"]
    host.relay.start()
    master.site("a", listeners=listeners(True))
    wait_for(lambda: served_by() == "relay", "the relay to listen")
    with connected() as client:
        more = wanted(1, 2 * HOSTS, tls=False, relays=True)
        assert master.site("a", listeners=more) == ["listen a relay"]
        assert [one["probe"] for one in host.facts()["relay"]["listeners"]] == [24000]
        assert answers(client)


def test_a_listener_of_somebody_else(master):
    """Protects what a relay has: a row of others in its own database opens a port for nobody knows whom, so that the
    next run removes it, whatever it says of itself; the listener of chassis stays."""
    host = master["a"]
    host.relay.start()
    master.site("a", listeners=listeners(True))
    wait_for(lambda: served_by() == "relay", "the relay to listen")
    for keys in ([], [["ovn-kubernetes-owner", "somebody"]]):
        row = {"target": "ptcp:17777", "external_ids": ["map", keys]}
        insert = {"op": "insert", "table": "Connection", "row": row, "uuid-name": "other"}
        mutations = [["connections", "insert", ["set", [["named-uuid", "other"]]]]]
        refer = {"op": "mutate", "table": "Config", "where": [], "mutations": mutations}
        host.relay.request("transact", [RELAY.database, insert, refer])
        assert len(host.facts()["relay"]["listeners"]) == 2
        assert master.site("a", listeners=listeners(True)) == ["listen a relay"]
        assert [one["target"] for one in host.facts()["relay"]["listeners"]] == [f"ptcp:{PORT}"]
    assert served_by() == "relay"


def test_connections_are_ended(master):
    """Protects against certificates of an authority that leaves: the relay ends hosts' connections when told to, as
    the other servers do, and takes new ones."""
    host = master["a"]
    host.relay.start()
    master.site("a", listeners=listeners(True))
    wait_for(lambda: served_by() == "relay", "the relay to listen")
    with connected() as client:
        asyncio.run(ask_server(RELAY, host.relay.folders, "ovsdb-server/reconnect"))
        assert client.recv(1) == b""
    assert served_by() == "relay"


def test_a_cluster_that_is_made_anew(master):
    """Protects hosts after a master got another address, or its databases were lost: the log of the new cluster begins
    anew, and the relay takes what it says for old news until it is started again."""
    host = master["a"]
    host.relay.start()
    master.site("a", listeners=listeners(True))
    for number in range(20):  # what the new cluster does not reach
        host.transact(SOUTHBOUND, {"op": "insert", "table": "Datapath_Binding", "row": {"tunnel_key": number + 1}})
    select = {"op": "select", "table": "Datapath_Binding", "where": [], "columns": ["tunnel_key"]}

    def rows():
        (found,) = host.relay.request("transact", [DATABASE, select])
        return len(found.get("rows", ()))

    wait_for(lambda: rows() == 20, "the rows at the relay")
    host.address = "127.0.0.2"
    assert "readdress a southbound" in master.site("a", listeners=listeners(True))
    host.transact(SOUTHBOUND, {"op": "insert", "table": "Datapath_Binding", "row": {"tunnel_key": 21}})
    wait_for(lambda: "stale data" in host.relay.log.read_text(), "the relay to refuse it")
    assert rows() == 20
    assert host.relay.executor().start_again()
    wait_for(lambda: host.facts()["relay"]["running"], "the relay to be back")
    wait_for(lambda: rows() == 21, "the relay to have what is new")


def test_members_that_go(three):
    """Protects a relay's hosts from the end of a member: it goes to another one, and has what was written since."""
    three.site()
    relay = three.relay
    relay.start()
    names = []

    def has_all():
        select = {"op": "select", "table": "Datapath_Binding", "where": [], "columns": ["tunnel_key"]}
        (found,) = relay.request("transact", [DATABASE, select])
        return sorted(row["tunnel_key"] for row in found.get("rows", ())) == names

    def write():
        names.append(len(names) + 1)
        row = {"tunnel_key": names[-1]}
        three.leader(SOUTHBOUND).transact(SOUTHBOUND, {"op": "insert", "table": "Datapath_Binding", "row": row})

    wait_for(lambda: "connected" in relay.log.read_text(), "the relay to be connected")
    write()
    wait_for(has_all, "the row at the relay")
    for _round in range(2):
        source = re.findall(r"/([abc])/ovnsb_db.sock: connected", relay.log.read_text())[-1]
        three[source].stop(SOUTHBOUND, signal.SIGKILL)
        write()
        wait_for(has_all, f"the row at the relay, without {source}")
        three[source].start(SOUTHBOUND)
        wait_for(lambda: three[source].state(SOUTHBOUND)["leader"] not in ("", "unknown"), f"{source} to be back")  # noqa: B023
