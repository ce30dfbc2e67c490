# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The node's condition NetworkUnavailable: what is written, and that a failure is tried again."""

from __future__ import annotations

import asyncio

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import APIUnreachable
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.tasks import end
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni import condition

OTHERS = [{"type": "Ready", "status": "True"}]
BEFORE = "2026-01-01T00:00:00Z"


def merged(current, wanted):
    """The condition of a patch; None: nothing differs."""
    patch = condition.change(current, wanted)
    if patch is None:
        return None
    (only,) = patch["status"]["conditions"]
    return only


def test_what_is_written():
    """Protects the API server from writes that change nothing, and the time since when a node is as it is."""
    down = merged(OTHERS, condition.desired("x" * 5000))
    assert (down["type"], down["status"], len(down["message"])) == ("NetworkUnavailable", "True", 1000)
    assert merged([*OTHERS, down], condition.desired("x" * 5000)) is None
    other = merged([*OTHERS, {**down, "lastTransitionTime": BEFORE}], condition.desired("y"))
    assert (other["message"], other["lastTransitionTime"]) == ("y", BEFORE)
    up = merged([{**down, "lastTransitionTime": BEFORE}], condition.desired(None))
    assert up["status"] == "False" and up["lastTransitionTime"] != BEFORE
    # A cloud's controller sets it for a node without routes: a node that serves pods has a network.
    assert merged(
        [{"type": "NetworkUnavailable", "status": "True", "reason": "NoRouteCreated"}], condition.desired(None)
    )


class Client:
    """An API server that is away at first."""

    def __init__(self, failures=2):
        self.failures, self.conditions, self.reads = failures, {}, 0

    async def get(self, path):
        """Return the node."""
        if self.failures:
            self.failures -= 1
            raise APIUnreachable("away")
        self.reads += 1
        return {"status": {"conditions": list(self.conditions.values())}}

    async def strategic_patch(self, path, body):
        """Take a patch."""
        assert path == "/api/v1/nodes/node1/status"
        self.conditions.update({one["type"]: one for one in body["status"]["conditions"]})


def test_it_is_kept(monkeypatch):
    """Protects the condition from an API server that is away, and from somebody who writes another one."""
    monkeypatch.setattr(condition, "AGAIN", condition.Pause(0.01))
    for name in ("PACE", "SOON", "LATER"):
        monkeypatch.setattr(condition, name, 0.01)

    async def work():
        client = Client()
        kept = condition.Condition(client, "node1")
        task = asyncio.ensure_future(kept.run())

        async def until(status):
            while client.conditions.get("NetworkUnavailable", {}).get("status") != status:
                await asyncio.sleep(0.01)

        try:
            kept.set("down")
            await asyncio.wait_for(until("True"), 5)
            kept.set(None)
            await asyncio.wait_for(until("False"), 5)
            client.conditions.clear()
            await asyncio.wait_for(until("False"), 5)
        finally:
            await end([task])

    asyncio.run(work())


def test_a_program_that_says_too_late_that_the_server_is_stopped(monkeypatch):
    """Protects a node whose server has come back from a taint of ten minutes: the program that stands in for it was
    under way, and wrote after the server had found nothing to change.
    """
    for name, seconds in (("PACE", 0.01), ("SOON", 0.01), ("LATER", 600)):
        monkeypatch.setattr(condition, name, seconds)

    async def work():
        client = Client(failures=0)
        client.conditions["NetworkUnavailable"] = condition.desired(None)
        kept = condition.Condition(client, "node1")
        task = asyncio.ensure_future(kept.run())

        async def until(holds):
            while not holds():
                await asyncio.sleep(0.001)

        try:
            kept.set(None)
            await asyncio.wait_for(until(lambda: client.reads), 5)
            client.conditions["NetworkUnavailable"] = condition.desired("stopped", condition.STOPPED)
            await asyncio.wait_for(until(lambda: client.conditions["NetworkUnavailable"]["status"] == "False"), 5)
        finally:
            await end([task])

    asyncio.run(work())


def test_a_condition_of_others_goes_at_once(monkeypatch):
    """Protects new pods from a cloud's controller, which says that a node has no network when it finds no route of its
    own to it: what the node server knows counts as soon as that is heard; and the API server from more than that.
    """
    monkeypatch.setattr(condition, "PACE", 0.0)
    monkeypatch.setattr(condition, "SOON", 600.0)
    cloud = {"type": "NetworkUnavailable", "status": "True", "reason": "NoRouteCreated"}

    async def work():
        client = Client(failures=0)
        kept = condition.Condition(client, "node1")
        kept.look({"status": {"conditions": [cloud]}})  # nothing is known yet
        task = asyncio.ensure_future(kept.run())

        async def until(reason):
            while client.conditions.get("NetworkUnavailable", {}).get("reason") != reason:
                await asyncio.sleep(0)

        try:
            kept.set(None)
            await asyncio.wait_for(until(condition.READY), 5)
            reads = client.reads
            kept.look({"status": {"conditions": list(client.conditions.values())}})
            for _turn in range(100):
                await asyncio.sleep(0)
            assert client.reads == reads
            client.conditions["NetworkUnavailable"] = cloud
            kept.look({"metadata": {"name": "node1"}, "status": {"conditions": [cloud]}})
            await asyncio.wait_for(until(condition.READY), 5)
        finally:
            await end([task])

    asyncio.run(work())
