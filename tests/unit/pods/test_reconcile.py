# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects pods that change while the transaction with their ports is under way."""

from __future__ import annotations

import asyncio

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import CurrentRow
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.annotation import PodAnnotations
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.model import Pod
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.northbound import TABLE
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.reconcile import PodPlanner

KEY = "ns/web-0"


class Replica:
    """A database with two nodes' switches, and the ports that were written to it."""

    def __init__(self):
        self.switches = {
            name: CurrentRow("Logical_Switch", name, {"name": name, "external_ids": {names.SUBNETS_KEY: subnet}}, {})
            for name, subnet in (("node1", "192.168.1.0/24"), ("node2", "192.168.2.0/24"))
        }
        self.rows = {TABLE: {}, "Logical_Switch": self.switches}
        self.parents = {}

    def named(self, _table, name):
        """A switch."""
        return self.switches.get(name)

    def parent(self, _table, uuid):
        """The switch of a port."""
        return self.switches[self.parents[uuid]]

    def owned(self, owner, _tables):
        """The ports of a pod."""
        return [row for row in self.rows[TABLE].values() if row.owner == owner]

    def write(self, desired):
        """Have these ports and no others."""
        self.rows[TABLE] = {
            row.role: CurrentRow(TABLE, row.role, {**row.all_columns(), "up": ()}, {}) for row in desired
        }
        self.parents = {row.role: row.parent for row in desired}


class World:
    """A planner, and what it asks for."""

    def __init__(self):
        self.replica, self.pods, self.patches, self.observed = Replica(), {}, [], []
        self.planner = PodPlanner(self.replica, self.pods, self, lambda *_event: None, self.observe)
        self.planner.engine = self
        self.mark = self.mark_later = lambda *_key: None

    def observe(self, what, _seconds):
        """Take in what was measured."""
        self.observed.append(what)

    async def patch(self, _path, body):
        """Take an annotation."""
        self.patches.append(body["metadata"]["uid"])

    def put(self, uid, node):
        """Make the pod, or with empty values delete it."""
        old = self.pods.pop(KEY, None)
        if uid:
            self.pods[KEY] = Pod("ns", "web-0", uid, node, PodAnnotations())
        self.planner.pod_changed(KEY, old, self.pods.get(KEY))

    async def done(self):
        """End the transaction."""
        self.planner.done(KEY, [])
        while len(self.planner.annotator):
            await asyncio.sleep(0)


def test_a_pod_that_is_made_anew_meanwhile():
    """Protects a pod of a StatefulSet that comes back on another node: its node is told of its network when its port is
    there, and not when that of the one before it is.
    """

    async def main():
        world = World()
        world.put("u1", "node1")
        world.replica.write(world.planner.desired(KEY))
        world.put("u2", "node2")
        await world.done()
        assert world.patches == []
        world.replica.write(world.planner.desired(KEY))
        await world.done()
        assert world.patches == ["u2"] and world.planner.addresses.table.of(KEY) == ("192.168.2.3",)

    asyncio.run(main())


def test_a_pod_that_is_deleted_meanwhile():
    """Protects the next pod: nobody gets an address while a port has it."""

    async def main():
        world = World()
        world.put("u1", "node1")
        world.replica.write(world.planner.desired(KEY))
        world.put("", "")
        await world.done()
        assert world.planner.addresses.table.has(KEY)
        world.replica.write(world.planner.desired(KEY))
        await world.done()
        assert not len(world.planner.addresses) and world.patches == []

    asyncio.run(main())


def test_room_for_annotations_is_heard():
    """Protects a pod whose annotations were full: it is looked at as soon as its user has removed some, and not for
    what its kubelet reports.
    """
    world, marked = World(), []
    world.put("u1", "node1")
    world.mark = lambda *key: marked.append(key)
    full = world.pods[KEY]._replace(crowding=9)
    world.planner.pod_changed(KEY, full, full._replace(status_ips=("192.168.1.3",)))
    assert marked == []
    world.planner.pod_changed(KEY, full, full._replace(crowding=0))
    assert len(marked) == 1


def test_the_watch_tells_of_what_this_watcher_writes():
    """Protects the rate of many pods: the news of an annotation that this watcher writes, which often comes before the
    reply, has the pod looked at no more; another change at the same time has.
    """
    world, marked = World(), []

    async def main():
        world.put("u1", "node1")
        desired = world.planner.desired(KEY)
        world.replica.write(desired)

        async def patch(_path, body):
            texts = PodAnnotations.from_mapping(body["metadata"]["annotations"])
            for uid, old in (("u1", world.pods[KEY]), ("other", world.pods[KEY])):
                world.mark = lambda *key, uid=uid: marked.append(uid)
                new = old._replace(uid=uid, annotations=texts)
                if uid == "u1":
                    world.pods[KEY] = new
                world.planner.pod_changed(KEY, old, new)

        world.patch = patch
        world.mark_later = lambda *key: marked.append("later")
        await world.done()

    asyncio.run(main())
    assert marked == ["other"]


def test_each_annotation_is_measured_once():
    """Protects the metric of how long pods wait: the watch tells of an annotation before the reply comes, and the pod
    is looked at meanwhile.
    """
    world = World()

    async def main():
        world.put("u1", "node1")
        world.replica.write(world.planner.desired(KEY))

        async def patch(_path, body):
            texts = PodAnnotations.from_mapping(body["metadata"]["annotations"])
            old = world.pods[KEY]
            world.pods[KEY] = old._replace(annotations=texts)
            world.planner.pod_changed(KEY, old, world.pods[KEY])
            world.planner.done(KEY, [])

        world.patch = patch
        await world.done()
        await world.done()
        assert world.observed == ["annotation"]

    asyncio.run(main())
