# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects when gates of egress addresses are opened and closed; the bridge's connection is the test's own."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import FlowError, HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._openflow import connection as openflow
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import egress_bridge
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.egress_bridge import Bridge, Place

A, B = "10.55.0.7", "10.55.0.8"


class Connection:
    """A bridge that takes messages, after a while."""

    def __init__(self):
        self.sent, self.posted, self.after = [], [], 0.0

    async def send(self, messages):
        self.sent += messages
        await asyncio.sleep(self.after)

    def post(self, messages):
        self.posted += messages

    def gates(self):
        """The addresses whose gates are there by now."""
        found = set()
        for one in self.sent:
            body = openflow.FLOW.unpack_from(one, openflow.HEADER.size)
            number = int.from_bytes(one[openflow.HEADER.size + openflow.FLOW.size + 8 :][:4], "big")
            (found.add if body[3] == openflow.ADD else found.discard)(number)
        return found


@pytest.fixture
def bridge():
    made = Bridge(SimpleNamespace(rows={}), "/nonexistent")
    made._place, made._connection = Place("breth1", 1, 2, "52:54:00:00:00:01"), Connection()
    made._registers = {A: 1, B: 2}
    return made


def test_what_may_be_opened_is_asked_when_nobody_else_closes(bridge):
    """Protects against two holders: an answer waits for the bridge while an address is closed for good. What it opens
    is what may be open then, not what was when it began to wait."""
    allowed = frozenset({A})

    async def main():
        nonlocal allowed
        await bridge._lock.acquire()
        opening = asyncio.create_task(bridge.open(lambda: allowed, renew=True))
        await asyncio.sleep(0)
        allowed = frozenset()
        bridge._lock.release()
        assert await opening == frozenset()

    asyncio.run(main())
    assert not bridge._connection.gates() and not bridge.is_open


def test_gate_that_comes_late_is_closed(bridge):
    """Protects against two holders: a bridge that takes a gate later than the granter counts on has it for too long."""

    async def main():
        bridge._connection.after = 0.05
        assert await bridge.open(lambda: frozenset({A}), renew=True, before=time.monotonic() + 0.01) == frozenset()
        assert not bridge._connection.gates() and not bridge.is_open
        assert await bridge.open(lambda: frozenset({A}), renew=True, before=time.monotonic() + 9) == {A}
        assert bridge._connection.gates() == {1}

    asyncio.run(main())


def test_gates_are_renewed_together_and_seldom(bridge, monkeypatch):
    """Protects Open vSwitch: each renewal costs a look at all flows, so all gates have the same one."""

    async def main():
        both = lambda: frozenset({A, B})  # noqa: E731
        await bridge.open(lambda: frozenset({A}), renew=True)
        await bridge.open(both, renew=True)
        del bridge._connection.sent[:]
        for _ in range(5):
            await bridge.open(both, renew=True)
        assert not bridge._connection.sent
        monkeypatch.setattr(egress_bridge, "RENEWAL", 0.0)
        await bridge.open(both, renew=True)
        assert len(bridge._connection.sent) == 2

    asyncio.run(main())


def test_bridge_that_fails_is_told_to_close(bridge):
    """Protects against two holders: what waits in a connection for a bridge that stands still is followed by the
    message that closes all, and nothing counts as open or closed meanwhile."""

    async def main():
        await bridge.open(lambda: frozenset({A}), renew=True)
        connection = bridge._connection
        bridge.forget()
        assert bridge._connection is connection and len(connection.posted) == 1 and not bridge.is_open
        assert await bridge.close_all_but(frozenset({A}), True, 0.0) == frozenset()

    asyncio.run(main())


@pytest.mark.parametrize(("value", "refused"), [("2000", True), ("500", False), ("", False), ("much", False)])
def test_slow_revalidators_are_refused(value, refused):
    """Protects the end of a lease: Open vSwitch removes gates when its revalidators look, so they must look as often
    as leases count on."""
    other_config = {"max-revalidator": value} if value else {}
    row = SimpleNamespace(columns={"external_ids": {}, "other_config": other_config})
    made = Bridge(SimpleNamespace(rows={"Open_vSwitch": {"one": row}}), "/nonexistent")
    if refused:
        with pytest.raises(HostError, match="max-revalidator"):
            asyncio.run(made.look())
    else:
        assert asyncio.run(made.look()) is False


def test_messages_stay_in_order_when_the_bridge_is_late(tmp_path, monkeypatch):
    """Protects the word that all is closed: a bridge that was late has the earlier messages before it, on one
    connection; and answers to those don't count for later ones."""
    monkeypatch.setattr(openflow, "TIMEOUT", 0.2)
    got, goes_on = [], asyncio.Event()

    async def serve(reader, writer):
        got.append("connection")
        while True:
            head = await reader.readexactly(openflow.HEADER.size)
            _version, kind, length, number = openflow.HEADER.unpack(head)
            body = await reader.readexactly(length - openflow.HEADER.size)
            if kind != openflow.BARRIER_REQUEST:
                got.append(body)
                continue
            await goes_on.wait()
            writer.write(openflow.HEADER.pack(4, openflow.BARRIER_REPLY, openflow.HEADER.size, number))

    async def main():
        path = str(tmp_path / "breth1.mgmt")
        server = await asyncio.start_unix_server(serve, path)
        connection = openflow.BridgeConnection(path)
        for _ in range(2):
            with pytest.raises(FlowError, match="no answer"):
                await connection.send([openflow.gate(1, 20, 1, 21, 1)])
        asyncio.get_running_loop().call_later(0.1, goes_on.set)
        await connection.send([openflow.no_gate(1, 20, None)])
        assert got.count("connection") == 1
        commands = [openflow.FLOW.unpack_from(one)[3] for one in got[2:]]
        assert commands == [openflow.ADD, openflow.ADD, openflow.DELETE]
        connection.close()
        server.close()

    asyncio.run(main())
