# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the granter's program: its secret can be replaced, and no error ends it."""

from __future__ import annotations

import threading

import pytest
from database_server import wait_for
from egress_ip_world import play

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip import wire
from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip.lease import Request
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import egress_leases

A = "10.55.0.100"


class Answers:
    """A socket, and what was sent by it."""

    def __init__(self):
        self.sent = []

    def sendto(self, data, address):
        """Keep it."""
        self.sent.append(data)


def is_answered(server, secret):
    """Whether a request with a secret is answered."""
    transport, server._transport = server._transport, Answers()
    try:
        server.datagram_received(wire.pack_request(Request("other", 1, 1, frozenset()), secret), ("", 0))
        return any(wire.parse_answer(one, secret) for one in server._transport.sent)
    finally:
        server._transport = transport


def test_secret_is_replaced(nb):
    """Protects a cluster whose secret somebody knows: when it is removed another one is made at once; hosts that have
    not heard of it yet are answered for a while, and nobody loses an address."""

    async def scene(world):
        world.egress_ip("one", [A], {"team": "x"})
        await world.until(lambda: world.held(), "the address")
        server = world.server
        first, holder = server._secret, world.held()
        mutation = ["options", "delete", ["set", [names.EGRESS_LEASE_SECRET_KEY]]]
        nb.transact({"op": "mutate", "table": "NB_Global", "where": [], "mutations": [mutation]})
        await world.until(lambda: server._secret != first, "another secret")
        (row,) = nb.rows("NB_Global")
        assert dict(row["options"][1])[names.EGRESS_LEASE_SECRET_KEY].encode() == server._secret
        assert is_answered(server, first) and is_answered(server, server._secret)
        assert not is_answered(server, b"guessed") and not is_answered(server, b"")
        assert world.held() == holder
        server._former_until = 0.0
        assert not is_answered(server, first) and is_answered(server, server._secret)

    play(nb, scene)


def test_a_host_that_leaves_takes_no_secret_along(nb):
    """Protects leases from a host that was withdrawn: when its rows are removed the secret is replaced. Where several
    leave, it is replaced again once all others know the one before."""

    async def scene(world):
        world.egress_ip("one", [A], {"team": "x"})
        await world.until(lambda: world.held(), "the address")
        server, found = world.server, [world.server._secret]
        for node in (7, 8):
            nb.node(node, dual=True)
            await world.until(lambda: server._replica.named("Logical_Switch", f"node{node}"), "a node")  # noqa: B023
            nb.transact({"op": "delete", "table": "Logical_Switch", "where": [["name", "==", f"node{node}"]]})
            await world.until(lambda: not server._replica.named("Logical_Switch", f"node{node}"), "its end")  # noqa: B023
        await world.until(lambda: server._secret != found[0], "another secret")
        found.append(server._secret)
        assert is_answered(server, found[0])
        await world.until(lambda: server._has_host_left, "the second one")
        server._former_until = 0.0
        server._changed.set()
        await world.until(lambda: server._secret not in found, "one more")
        assert world.held()

    play(nb, scene)


def test_socket_follows_the_hosts_address(nb):
    """Protects hosts that ask: a master whose address has changed listens at the new one when it begins to act again,
    and says so in the database."""

    async def scene(world):
        world.egress_ip("one", [A], {"team": "x"})
        await world.until(lambda: world.held(), "the address")
        world.server._address = "127.0.0.2"
        world.server._replica.reconnect()
        place = names.EGRESS_LEASE_SERVER_KEY
        await world.until(
            lambda: dict(nb.rows("NB_Global")[0]["options"][1])[place].startswith("127.0.0.2:"), "the new address"
        )

    play(nb, scene)


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("y")])
def test_no_error_ends_the_thread(monkeypatch, error):
    """Protects the leases from an error that nobody has thought of, while the rest of the program looks healthy."""
    made, over = [], threading.Event()

    class Server:
        """The program."""

        def __init__(self, north):
            made.append(north)

        async def run(self):
            """Fail, but not for ever."""
            if len(made) == 3:
                over.set()
                raise SystemExit
            raise error

    monkeypatch.setattr(egress_leases, "LeaseServer", Server)
    monkeypatch.setattr(egress_leases, "RESTART", 0.0)
    monkeypatch.setattr(threading, "excepthook", lambda *of: None)
    egress_leases.start(None)
    wait_for(over.is_set, "the third attempt")
