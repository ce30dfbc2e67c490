# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects objects from each other: one that the database refuses, or that can't be planned, stops nobody (W1, W3)."""

from __future__ import annotations

import asyncio
import time

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.replica import Replica
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import Owner, Row
from ansible_collections.ovn.kubernetes.plugins.module_utils._reconcile.engine import Engine
from ansible_collections.ovn.kubernetes.plugins.module_utils._reconcile.planning import NotReady

TABLES = {"Load_Balancer": ("name", "protocol", "external_ids"), "Load_Balancer_Group": ("name",)}


class Things:
    """A planner of load balancers: the database refuses ``bad`` ones, ``odd`` ones are a fault, ``late`` ones wait."""

    tables = ("Load_Balancer",)

    def __init__(self, names):
        self.names = set(names)
        self.sentences = {}
        self.made = set()

    @staticmethod
    def owner(name):
        """Whose rows they are."""
        return Owner("Thing", name)

    def desired(self, name):
        """One row, or trouble."""
        if name not in self.names:
            return []
        if name.startswith("odd"):
            raise ZeroDivisionError("odd")
        if name.startswith("late"):
            raise NotReady("it is too early")
        return [
            Row(
                "Load_Balancer",
                self.owner(name),
                "thing",
                name,
                "clusterLBGroup",
                {"protocol": ("bogus" if name.startswith("bad") else "tcp",)},
            )
        ]

    def done(self, name, changes):
        """It is there."""
        self.made.add(name)

    def failed(self, name, sentence):
        """It is not."""
        self.sentences[name] = sentence


def test_one_object_stops_no_other(nb):
    """Protects 200 good objects from six that can't be made.

    The six are reported, each with its own reason, and tried again.
    """
    nb.build()
    good = {f"good{number}" for number in range(200)}
    things = Things({*good, "bad1", "bad2", "odd1", "odd2", "late1", "late2"})

    async def main():
        replica = Replica(nb.remote, "OVN_Northbound", TABLES, parents_of=("Load_Balancer",), lock="l")
        engine = Engine(replica, "l", {"Thing": things})
        tasks = [asyncio.create_task(replica.run()), asyncio.create_task(engine.run())]
        await asyncio.wait_for(replica.ready.wait(), 20)
        for name in sorted(things.names):
            engine.mark("Thing", name)
        engine.start()
        while not (good <= things.made and len(things.sentences) == 6):
            await asyncio.sleep(0.01)
        assert "a value breaks a rule of the schema" in things.sentences["bad1"]
        assert things.sentences["odd1"] == "ZeroDivisionError: odd" and things.sentences["late1"] == "it is too early"
        things.names.discard("bad1")
        things.names.discard("bad2")
        while not {"bad1", "bad2"} <= things.made:
            await asyncio.sleep(0.01)
        assert {name for _kind, name in engine.failing} == {"odd1", "odd2", "late1", "late2"}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), 60))
    assert {row["name"] for row in nb.rows("Load_Balancer")} == good


class Others(Things):
    """Another kind of object; planning one of its objects costs processor time."""

    @staticmethod
    def owner(name):
        """Whose rows they are."""
        return Owner("Other", name)

    def desired(self, name):
        """One row, after a while."""
        end = time.thread_time() + 0.01
        while time.thread_time() < end:
            pass
        return super().desired(name)


def test_many_objects_that_cost_much_delay_others_for_a_moment_only(nb):
    """Protects a pod beside 100 objects whose planning takes a second, and the loop, which must not be silent."""
    nb.build()
    others, things = Others({f"other{number}" for number in range(100)}), Things({"good"})

    async def main():
        replica = Replica(nb.remote, "OVN_Northbound", TABLES, parents_of=("Load_Balancer",), lock="l")
        engine = Engine(replica, "l", {"Thing": things, "Other": others})
        tasks = [asyncio.create_task(replica.run()), asyncio.create_task(engine.run())]
        await asyncio.wait_for(replica.ready.wait(), 20)
        for name in sorted(others.names):
            engine.mark("Other", name)
        engine.start()
        while not others.made:
            await asyncio.sleep(0.001)
        engine.mark("Thing", "good")
        while not things.made:
            await asyncio.sleep(0.001)
        assert len(others.made) < 60
        while others.made != others.names:
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), 60))
