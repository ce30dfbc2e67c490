# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects large sets of rows that many objects are members of: what a server has is known member by member, and an
object is never there without its memberships.
"""

from __future__ import annotations

import asyncio

import pytest
from database_server import references

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.tasks import end
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.replica import Replica
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import LargeSet, Members, Need, Owner, Ref, Row
from ansible_collections.ovn.kubernetes.plugins.module_utils._reconcile import engine as engine_module
from ansible_collections.ovn.kubernetes.plugins.module_utils._reconcile.engine import Engine

TABLES = {
    "Load_Balancer": ("name", "protocol", "external_ids"),
    "Load_Balancer_Group": ("name",),
    "Logical_Switch_Port": ("name", "external_ids"),
    "Address_Set": ("name", "addresses", "external_ids"),
    "Port_Group": ("name", "ports", "external_ids"),
}
MEMBERS = {"Address_Set": "addresses", "Port_Group": "ports"}


class Boxes:
    """A planner of address sets, each with the things that exist when it is made."""

    tables = ("Address_Set",)

    def __init__(self, replica):
        self.replica, self.plans = replica, 0

    @staticmethod
    def owner(name):
        """Whose rows they are."""
        return Owner("Box", name)

    def desired(self, name):
        """The set; ``bad`` ones the database refuses."""
        self.plans += 1
        columns = {"external_ids": {"k": "v"}}
        if self.replica.named("Address_Set", name) is None:
            columns["addresses"] = LargeSet(())
        if name.startswith("bad"):
            columns["bogus"] = 1
        return [Row("Address_Set", self.owner(name), "box", name, columns=columns)]

    def done(self, name, changes):
        """It is there."""

    def failed(self, name, sentence):
        """It is not."""


class Things:
    """A planner of load balancers, each of which is in the box that its name begins with."""

    tables = ("Load_Balancer",)

    def __init__(self, names):
        self.names, self.made, self.sentences = dict(names), set(), {}

    @staticmethod
    def owner(name):
        """Whose rows they are."""
        return Owner("Thing", name)

    def desired(self, name):
        """One row, and its place in a box; ``odd`` ones the database refuses."""
        box = self.names[name]
        protocol = ("bogus" if name.startswith("odd") else "tcp",)
        return [
            Row("Load_Balancer", self.owner(name), "thing", name, "clusterLBGroup", {"protocol": protocol}),
            Row(
                "Address_Set",
                self.owner(name),
                "member",
                box,
                columns={"addresses": Members((name,))},
                kind="joined",
                needs=(Need("Address_Set", Boxes.owner(box)),),
            ),
        ]

    def done(self, name, changes):
        """It is there."""
        self.made.add(name)

    def failed(self, name, sentence):
        """It is not."""
        self.sentences[name] = sentence


@pytest.mark.parametrize("seconds", [0.03, 0.0])
def test_nothing_parts_a_row_from_its_memberships(nb, monkeypatch, seconds):
    """Protects a pod from being reached before its policies hold: its port comes in one transaction with its groups,
    also those that must be made first, when there is no time for planning, and when others of the batch are refused.
    """
    nb.build()
    monkeypatch.setattr(engine_module, "PLANNING_TIME", seconds)
    good = {f"good{number}": f"box{number % 7}" for number in range(60)}
    bad = {"odd1": "box1", "odd2": "box8", "lost1": "bad1", "lost2": "bad1"}
    things = Things({**good, **bad})

    async def main():
        alone = []

        def changed(table, old, new):
            if table == "Load_Balancer" and old is None:
                asyncio.get_running_loop().call_soon(check, new.name)

        def check(name):
            if [row.name for row in replica.holders("Address_Set", name)] != [things.names[name]]:
                alone.append(name)

        replica = Replica(
            nb.remote,
            "OVN_Northbound",
            TABLES,
            changed,
            parents_of=("Load_Balancer",),
            lock="l",
            member_columns=MEMBERS,
        )
        engine = Engine(replica, "l", {"Thing": things, "Box": Boxes(replica)})
        tasks = [asyncio.create_task(replica.run()), asyncio.create_task(engine.run())]
        await asyncio.wait_for(replica.ready.wait(), 20)
        for name in sorted(things.names):
            engine.mark("Thing", name)
        engine.start()
        while not (set(good) <= things.made and set(bad) <= set(things.sentences)):
            await asyncio.sleep(0.01)
        assert alone == []
        assert "a value breaks a rule" in things.sentences["odd1"]
        await end(tasks)

    asyncio.run(asyncio.wait_for(main(), 60))
    assert {row["name"] for row in nb.rows("Load_Balancer")} == set(good)
    sets = {row["name"]: row["addresses"] for row in nb.rows("Address_Set")}
    assert {name for value in sets.values() for name in value[1]} == set(good) and len(sets) == 7


class Ports:
    """A planner of switch ports, some of which are in the port group ``g``."""

    tables = ("Logical_Switch_Port",)

    def __init__(self):
        self.names, self.inside, self.done_with = set(), set(), set()

    @staticmethod
    def owner(name):
        """Whose rows they are."""
        return Owner("Thing", name)

    def desired(self, name):
        """A port, and its place in the group; nothing of one that is gone."""
        if name not in self.names:
            return []
        members = Members((Ref("Logical_Switch_Port", name),) if name in self.inside else ())
        return [
            Row("Logical_Switch_Port", self.owner(name), "port", name, "node1"),
            Row("Port_Group", self.owner(name), "member", "g", columns={"ports": members}, kind="joined"),
        ]

    def done(self, name, changes):
        """It is there, or gone."""
        self.done_with.add(name)

    def failed(self, name, sentence):
        """It is not."""


def test_who_is_deleted_leaves_what_others_join(nb):
    """Protects port groups from references to ports that are gone: ovsdb-server keeps one in a set that the same
    transaction changes otherwise.
    """
    nb.build()
    nb.transact({"op": "insert", "table": "Port_Group", "row": {"name": "g"}})
    ports = Ports()

    async def main():
        replica = Replica(
            nb.remote,
            "OVN_Northbound",
            {**TABLES, "Logical_Switch": ("name", "external_ids")},
            parents_of=("Logical_Switch_Port",),
            lock="l",
            member_columns=MEMBERS,
        )
        engine = Engine(replica, "l", {"Thing": ports})
        tasks = [asyncio.create_task(replica.run()), asyncio.create_task(engine.run())]
        await asyncio.wait_for(replica.ready.wait(), 20)
        engine.start()
        for names, inside in (("abc", "ab"), ("bc", "bc"), ("cde", "cd"), ("de", "e")):
            changed = set(names) | ports.names
            ports.names, ports.inside, ports.done_with = set(names), set(inside), set()
            for name in sorted(changed):
                engine.mark("Thing", name)
            while ports.done_with != changed:
                await asyncio.sleep(0.005)
            (group,) = nb.rows("Port_Group", ["name", "==", "g"])
            held = {uuid for uuid, row in nb.everything()["Logical_Switch_Port"].items() if row["name"] in inside}
            assert len(held) == len(inside) and held <= set(references(group["ports"]))
            ports_of_switches = {uuid for row in nb.rows("Logical_Switch") for uuid in references(row["ports"])}
            assert set(references(group["ports"])) <= ports_of_switches
        await end(tasks)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_members_are_known_one_by_one(nb):
    """Protects the cost of large sets, and what is known of them: each change is told member by member, whoever makes
    it, also one that came while there was no connection; the row itself is no news then.
    """
    nb.build()
    ports = [row["_uuid"][1] for row in nb.rows("Logical_Switch_Port")][:3]
    nb.transact(
        {"op": "insert", "table": "Address_Set", "row": {"name": "s", "addresses": ["set", ["10.0.0.1", "10.0.0.2"]]}},
        {"op": "insert", "table": "Port_Group", "row": {"name": "g", "ports": ["set", [["uuid", ports[0]]]]}},
    )

    def mutate(table, column, kind, *members):
        mutation = [column, kind, ["set", list(members)]]
        nb.transact({"op": "mutate", "table": table, "where": [], "mutations": [mutation]})

    async def main():
        told, rows = [], []
        replica = Replica(
            nb.remote,
            "OVN_Northbound",
            TABLES,
            lambda table, old, new: rows.append(table) if table in MEMBERS else None,
            member_columns=MEMBERS,
            on_members=lambda row, come, gone: told.append((row.name, sorted(come), sorted(gone))),
        )
        task = asyncio.create_task(replica.run())

        async def until(*expected):
            while told != list(expected):
                await asyncio.sleep(0.005)
            told.clear()

        await replica.ready.wait()
        (held,) = replica.rows["Address_Set"].values()
        assert held.columns["addresses"] == {"10.0.0.1", "10.0.0.2"} and told == []
        assert [row.name for row in replica.holders("Port_Group", ports[0])] == ["g"]
        rows.clear()
        mutate("Address_Set", "addresses", "insert", "10.0.0.3")
        await until(("s", ["10.0.0.3"], []))
        mutate("Address_Set", "addresses", "delete", "10.0.0.1", "10.0.0.3")
        await until(("s", [], ["10.0.0.1", "10.0.0.3"]))
        assert replica.holders("Address_Set", "10.0.0.1") == [] and rows == []
        mutate("Port_Group", "ports", "insert", ["uuid", ports[1]])
        await until(("g", [ports[1]], []))
        # Another column changes: the set stays the same object.
        update = {"op": "update", "table": "Address_Set", "where": [], "row": {"external_ids": ["map", [["a", "b"]]]}}
        nb.transact(update)
        while rows != ["Address_Set"]:
            await asyncio.sleep(0.005)
        (row,) = replica.rows["Address_Set"].values()
        assert row.columns["addresses"] is held.columns["addresses"] and told == []
        # While there is no connection.
        nb.stop()
        while replica.connected:
            await asyncio.sleep(0.005)
        nb.start()
        mutate("Address_Set", "addresses", "insert", "10.0.0.9")
        nb.transact({"op": "delete", "table": "Port_Group", "where": []})
        while [one for one in told if one[0] == "s"] != [("s", ["10.0.0.9"], [])]:
            await asyncio.sleep(0.005)
        while replica.holders("Port_Group", ports[0]):
            await asyncio.sleep(0.005)
        await end([task])

    asyncio.run(asyncio.wait_for(main(), 60))
