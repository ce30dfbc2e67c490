# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the condition of cluster network policies: it is the watcher's own, bounded, and says since when."""

from __future__ import annotations

import asyncio

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import statuses
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.statuses import StatusWriter
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.cluster_model import ClusterPolicy
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.reports import Reports


class Api:
    """An API server that keeps what is applied."""

    def __init__(self):
        self.objects = []

    async def apply(self, path, body, manager):
        """Take an object."""
        assert path == f"/apis/{body['apiVersion']}/clusternetworkpolicies/p/status"
        assert manager == "ovn-k8s-watcher" and body["metadata"] == {"name": "p", "uid": "u"}
        assert set(body["status"]) == {"conditions"}
        self.objects.append(body["status"]["conditions"])


def policy(condition=None, generation=3):
    """A policy, with the condition that it has."""
    status = {"conditions": [condition]} if condition else {}
    meta = {"name": "p", "uid": "u", "generation": generation}
    return ClusterPolicy.from_object({"metadata": meta, "spec": {}, "status": status})


def write(made, *told):
    """Tell these faults one after the other, and wait until all is written."""
    api = Api()

    async def main():
        writer = StatusWriter(api, lambda: True)
        reports = Reports(lambda *_about: None, writer)
        for fault in told:
            reports.written(made, [fault] if fault else [])
        while len(writer):
            await asyncio.sleep(0)
        await writer.close()

    asyncio.run(asyncio.wait_for(main(), 20))
    return api.objects


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """No time between requests."""
    monkeypatch.setattr(statuses, "APART", 0.0)


def test_one_condition_and_no_other():
    """Protects conditions of others, which server-side apply leaves alone; the last word counts, and is bounded."""
    ((condition,),) = write(policy(), "x", "", "y" * 5000)
    assert (condition["type"], condition["status"], condition["reason"]) == ("Enforced", "False", "PartRefused")
    assert len(condition["message"]) == 1000 and condition["observedGeneration"] == 3
    assert len(condition["lastTransitionTime"]) == len("2026-01-01T00:00:00Z")


def test_what_is_said_already():
    """Protects the API server: what an object says already is not written again; another generation is. The time is
    that of the last change of the status.
    """
    ((known,),) = write(policy(), "")
    known = {**known, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    assert write(policy(known), "") == []
    ((later,),) = write(policy(known, 4), "")
    assert later["observedGeneration"] == 4 and later["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    ((other,),) = write(policy(known), "broken")
    assert other["lastTransitionTime"] != "2026-01-01T00:00:00Z"


def test_a_condition_that_comes_back():
    """Protects the watcher from its own words: an object that comes back with the condition that was said last is told
    apart from one in whose condition somebody else has written.
    """
    api = Api()

    async def main():
        writer = StatusWriter(api, lambda: True)
        reports = Reports(lambda *_about: None, writer)

        async def says(one, count):
            reports.written(one, [])
            while len(writer):
                await asyncio.sleep(0)
            assert len(api.objects) == count

        assert not reports.is_told(policy())
        await says(policy(), 1)
        (known,) = api.objects[0]
        other = {**known, "status": "False"}
        assert reports.is_told(policy(known)) and not reports.is_told(policy(other)) and not reports.is_told(policy())
        await says(policy(other), 2)  # it is written again
        reports.forget("p", policy(known))
        assert not reports.is_told(policy(known))
        await writer.close()

    asyncio.run(asyncio.wait_for(main(), 20))
