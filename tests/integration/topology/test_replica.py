# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the copy of the Northbound database that programs keep.

It is what the server has, through restarts and changes of any kind.
"""

from __future__ import annotations

import asyncio
import random

import pytest
from database_server import free_port, wait_for
from northbound import Northbound

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import Conflict, Disconnected, LockLost
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.replica import Replica
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import Owner
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.values import decode

TABLES = {
    "Logical_Switch": ("name", "other_config", "load_balancer_group", "external_ids"),
    "Logical_Switch_Port": ("name", "addresses", "options", "external_ids", "up"),
    "Load_Balancer_Group": ("name",),
}


async def until(condition, what, patience=20.0):
    """Wait until the condition is true."""
    deadline = asyncio.get_running_loop().time() + patience
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.005)


def follow(remote, scenario, **more):
    """Run ``scenario(replica, told)`` beside a replica."""

    async def main():
        told = []
        replica = Replica(
            remote,
            "OVN_Northbound",
            TABLES,
            lambda table, before, after: told.append((table, before, after)),
            parents_of=("Logical_Switch_Port",),
            **more,
        )
        keeper = asyncio.create_task(replica.run())
        try:
            await asyncio.wait_for(replica.ready.wait(), 20)
            return await scenario(replica, told)
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    return asyncio.run(main())


def same(replica, nb):
    """Whether the copy is what the server has, column for column, and each port's parent is known."""
    parents = {}
    for row in nb.rows("Logical_Switch"):
        for one in decode(["set", [row["ports"]]]) if row["ports"][0] == "uuid" else decode(row["ports"]):
            parents[one] = row["_uuid"][1]
    for table, columns in TABLES.items():
        rows = {row["_uuid"][1]: {column: decode(row[column]) for column in columns} for row in nb.rows(table)}
        copy = {uuid: found.columns for uuid, found in replica.rows[table].items()}
        if {uuid: _plain(row) for uuid, row in rows.items()} != {uuid: _plain(row) for uuid, row in copy.items()}:
            return False
        if table == "Logical_Switch_Port" and {uuid: replica.parent(table, uuid).uuid for uuid in copy} != parents:
            return False
    return True


def _plain(row):
    return {
        column: tuple(sorted(value)) if isinstance(value, tuple) else (value,) if not isinstance(value, dict) else value
        for column, value in row.items()
    }


def test_the_copy_is_the_database_after_any_change(nb):
    """Protects against a copy that differs: sets, maps, optional columns, new parents, deletes, in a seeded order."""
    nb.build()
    chance = random.Random(7)

    def mutate(switch, operation, port):
        return {
            "op": "mutate",
            "table": "Logical_Switch",
            "where": [switch],
            "mutations": [["ports", operation, ["set", [port]]]],
        }

    def update(port, **row):
        return [{"op": "update", "table": "Logical_Switch_Port", "where": [["_uuid", "==", port]], "row": row}]

    def change(number):
        port = chance.choice(nb.rows("Logical_Switch_Port"))["_uuid"]
        switch = ["_uuid", "==", chance.choice(nb.rows("Logical_Switch"))["_uuid"]]
        out = mutate(["ports", "includes", ["set", [port]]], "delete", port)
        new = {"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "p", "row": {"name": f"new{number}"}}
        return chance.choice(
            [
                update(port, addresses=["set", [f"a{chance.randrange(3)}", f"b{number}"]]),
                update(port, up=chance.choice([True, ["set", []]])),
                update(port, options=["map", [["k", str(chance.randrange(3))], [f"n{number}", ""]]]),
                update(port, external_ids=["map", [["k", "v"]]]),
                [out, mutate(switch, "insert", port)],
                [out],
                [new, mutate(switch, "insert", ["named-uuid", "p"])],
            ]
        )

    async def scenario(replica, told):
        assert same(replica, nb)
        assert replica.named("Logical_Switch", "node1").role == "switch"
        assert {row.role for row in replica.owned(Owner("Node", "node1"))} == {
            "switch",
            "management-port",
            "switch-to-router",
        }
        for number in range(150):
            nb.transact(*change(number))
            await until(lambda: same(replica, nb), f"the copy to be the database after change {number}")

    follow(nb.remote, scenario)


def test_a_restart_of_the_server_tells_nothing_new(nb):
    """Protects watchers (W2, W4): any outage ends by itself, and what did not change is no event."""
    nb.build()

    async def scenario(replica, told):
        del told[:]
        nb.stop()
        await until(lambda: not replica.connected, "the loss of the connection to be noticed")
        with pytest.raises(Disconnected):
            await replica.transact([])
        assert replica.named("Logical_Switch", "node1")
        nb.start()
        await until(lambda: replica.connected, "a new connection")
        assert told == []
        assert same(replica, nb)

    follow(nb.remote, scenario)


def test_only_what_changed_while_the_server_was_away_is_told(nb):
    """Protects watchers against missing what happened while they could not look."""
    nb.build()

    async def scenario(replica, told):
        del told[:]
        nb.stop()
        await until(lambda: not replica.connected, "the loss of the connection to be noticed")
        nb.start()
        nb.remove_node("node2")
        await until(lambda: replica.connected and same(replica, nb), "the copy to follow")
        assert {(before or after).name for _table, before, after in told} >= {"node2", "k8s-node2"}
        assert not [
            row for _table, before, after in told for row in (before, after) if row is not None and row.name == "node1"
        ]

    follow(nb.remote, scenario)


def test_one_of_two_holds_the_lock_and_the_other_gets_it(nb):
    """Protects against two that write: the lock is asserted in the transaction itself."""
    nb.build()
    write = [{"op": "assert", "lock": "l"}, {"op": "insert", "table": "Load_Balancer", "row": {}}]

    async def scenario(first, _told):
        assert first.locked

        async def beside(second):
            assert not second.locked
            await first.transact(write)
            with pytest.raises(LockLost):
                await second.transact(write)
            first._channel.close()
            await until(lambda: second.locked, "the lock to pass on")
            await second.transact(write)

        second = Replica(nb.remote, "OVN_Northbound", TABLES, lock="l")
        keeper = asyncio.create_task(second.run())
        await asyncio.wait_for(second.ready.wait(), 20)
        await beside(second)
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)

    follow(nb.remote, scenario, lock="l")


def test_a_guard_that_fails_writes_nothing(nb):
    """Protects against a plan from rows that have changed meanwhile: the server compares a row's wire form."""
    nb.build()

    async def scenario(replica, told):
        row = replica.named("Logical_Switch", "node1")
        guard = {
            "op": "wait",
            "timeout": 0,
            "table": "Logical_Switch",
            "where": [["_uuid", "==", ["uuid", row.uuid]]],
            "until": "==",
            "columns": ["other_config", "load_balancer_group"],
            "rows": [{column: row.raw[column] for column in ("other_config", "load_balancer_group")}],
        }
        await replica.transact([guard])
        nb.transact(
            {
                "op": "update",
                "table": "Logical_Switch",
                "where": [["name", "==", "node1"]],
                "row": {"other_config": ["map", []]},
            }
        )
        with pytest.raises(Conflict):
            await replica.transact([guard])

    follow(nb.remote, scenario)


def test_a_member_that_does_not_lead_is_passed_over():
    """Protects masters with a clustered database: the copy follows the leader."""
    address = f"tcp:127.0.0.1:{free_port()}"
    first = Northbound(cluster=address)
    second = Northbound(cluster=f"tcp:127.0.0.1:{free_port()}", join=address)
    try:
        wait_for(second.connected, "the cluster to be whole")

        async def scenario(replica, told):
            await replica.transact([{"op": "insert", "table": "Load_Balancer_Group", "row": {"name": "g"}}])
            await until(lambda: replica.named("Load_Balancer_Group", "g"), "the new row")

        follow(f"{second.remote},{first.remote}", scenario)
    finally:
        second.remove()
        first.remove()


def test_whoever_lost_the_connection_waits_for_the_next_one(nb):
    """Protects a program that writes again as soon as there is a connection: it never finds the one that it has just
    lost, and so can't keep the event loop from making another one."""

    async def scenario(replica, _told):
        lost = 0
        replica._channel.closed.set()  # as asyncio does it; the copy will notice as soon as it may run
        while lost < 100:
            await replica.ready.wait()
            try:
                await replica.transact([{"op": "comment", "comment": "again"}])
                break
            except Disconnected:
                lost += 1
        assert lost == 1

    follow(nb.remote, scenario)


def test_a_lock_is_given_back_and_asked_for_again(nb):
    """Protects a failover that a program asks for itself: it knows at once that it has no lock, the other one gets it,
    and the last wish counts, however fast it changes.
    """

    async def scenario(first, _told):
        second = Replica(nb.remote, "OVN_Northbound", TABLES, lock="l")
        keeper = asyncio.create_task(second.run())
        await asyncio.wait_for(second.ready.wait(), 20)
        first.want_lock(False)
        assert not first.locked
        await until(lambda: second.locked, "the lock to pass on")
        for wanted in (True, False, True, False, True):
            first.want_lock(wanted)
        second.want_lock(False)
        await until(lambda: first.locked, "the lock to come back")
        await first.transact([{"op": "assert", "lock": "l"}])
        assert not second.locked
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)

    follow(nb.remote, scenario, lock="l")
