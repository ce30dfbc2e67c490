# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the status of cluster network policies: what became of them is written once, and by whoever acts."""

from __future__ import annotations

import asyncio

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import APIRefused, APIUnreachable
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.retry import Pause
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import cluster_status
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.cluster_model import ClusterPolicy
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.cluster_status import StatusWriter


class Api:
    """An API server that keeps what is applied, and fails as it is told."""

    def __init__(self, *failures):
        self.failures, self.objects, self.asked = list(failures), [], 0

    async def apply(self, path, body, manager):
        """Take an object."""
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        assert path == f"/apis/{body['apiVersion']}/clusternetworkpolicies/p/status"
        assert (
            manager == "ovn-k8s-watcher" and body["metadata"] == {"name": "p"} and set(body["status"]) == {"conditions"}
        )
        self.objects.append(body["status"]["conditions"])


def policy(condition=None, generation=3):
    """A policy, with the condition that it has."""
    status = {"conditions": [condition]} if condition else {}
    meta = {"name": "p", "uid": "u", "generation": generation}
    return ClusterPolicy.from_object({"metadata": meta, "spec": {}, "status": status})


def write(api, made, *told, active=True, deleted=False):
    """Tell these problems one after the other, and wait until all is written."""

    async def main():
        writer = StatusWriter(api, {} if deleted else {"p": made}, lambda: active)
        for problem in told:
            writer.tell(made, "PartRefused" if problem else "Enforced", problem, "fine")
        while len(writer):
            await asyncio.sleep(0)
        await writer.close()

    asyncio.run(asyncio.wait_for(main(), 20))
    return api.objects


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """No time between attempts."""
    monkeypatch.setattr(cluster_status, "AWAY", Pause(0.0))
    monkeypatch.setattr(cluster_status, "APART", 0.0)


def test_one_condition_and_no_other():
    """Protects conditions of others, which server-side apply leaves alone; the last word counts, and is bounded."""
    ((condition,),) = write(Api(), policy(), "x", "", "y" * 5000)
    assert (condition["type"], condition["status"], condition["reason"]) == ("Enforced", "False", "PartRefused")
    assert condition["message"] == "y" * 1000 and condition["observedGeneration"] == 3
    assert len(condition["lastTransitionTime"]) == len("2026-01-01T00:00:00Z")


def test_what_is_said_already():
    """Protects the API server: what an object says already is not written again; another generation is. The time is
    that of the last change of the status.
    """
    ((known,),) = write(Api(), policy(), "")
    known = {**known, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    assert write(Api(), policy(known), "") == []
    ((later,),) = write(Api(), policy(known, 4), "")
    assert later["observedGeneration"] == 4 and later["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    ((other,),) = write(Api(), policy(known), "broken")
    assert other["lastTransitionTime"] != "2026-01-01T00:00:00Z"
    assert write(Api(), policy(known), "broken", "") == []


def test_failures(caplog):
    """Protects the word from an outage, and the watcher from a refusal: the first is waited for, the second is said
    where it is not that the object is gone, and no other waits for it.
    """
    away = Api(APIUnreachable("away"), APIUnreachable("away"))
    assert len(write(away, policy(), "x")) == 1 and away.asked == 3
    for status, said in ((403, True), (404, False)):
        caplog.clear()
        refusing = Api(APIRefused("no", status))
        assert write(refusing, policy(), "x") == [] and refusing.asked == 1
        assert ("its condition could not be written" in caplog.text) == said


def test_who_writes():
    """Protects from two writers: a watcher that stands by writes nothing, and nothing about a policy that is gone."""
    for more in ({"active": False}, {"deleted": True}):
        api = Api()
        assert write(api, policy(), "x", **more) == [] and api.asked == 0
