# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the writing of annotations: what is desired last is written last."""

from __future__ import annotations

import asyncio

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import APIRefused, KubernetesError
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.annotation import PodAnnotations
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.annotator import ADVICE, Annotator
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.model import Pod

POD = Pod("ns", "web", "u1", "node1", PodAnnotations())


def run(*later, fails=False):
    """Write "first", then each of ``later`` while that is under way; what was planned again."""
    planned = []

    async def main():
        started, answered = asyncio.Event(), asyncio.Event()

        class Server:
            """An API server that answers when it may."""

            async def patch(self, _path, _body):
                started.set()
                await answered.wait()
                if fails:
                    raise KubernetesError("no")

        annotator = Annotator(
            Server(),
            {POD.key: POD},
            lambda _pod: None,
            lambda key, seconds: planned.append((key, seconds == 0)),
            lambda _key, _reason: None,
        )
        annotator.write(POD, PodAnnotations("first"))
        await started.wait()
        for text in later:
            annotator.write(POD, PodAnnotations(text))
        answered.set()
        while len(annotator):
            await asyncio.sleep(0)

    asyncio.run(main())
    return planned


def test_a_change_while_a_patch_is_under_way():
    """Protects against an annotation that is old for ever: the pod is looked at again after the answer."""
    assert run("second") == [("ns/web", True)]
    assert run("second", "first") == [("ns/web", True)]


def test_no_change_while_a_patch_is_under_way():
    """Protects the API server from patches that change nothing."""
    assert run() == run("first") == []


def test_a_patch_that_fails_is_sent_again():
    """Protects pods from an API server that refuses for a moment."""
    assert run("second", fails=True) == [("ns/web", False)]


def test_a_pod_whose_object_is_refused(caplog):
    """Protects log, events and the API server from pods that their users have made too large to be annotated, and
    such a user from looking for the reason in a log that he may not read.
    """
    pauses, told = [], []

    class Server:
        """An API server that takes no more annotations."""

        async def patch(self, _path, _body):
            raise APIRefused("metadata.annotations: Too long", 422, "Invalid")

    async def main():
        annotator = Annotator(
            Server(),
            {POD.key: POD},
            lambda _pod: None,
            lambda _key, seconds: pauses.append(seconds),
            lambda key, reason: told.append((key, reason)),
        )
        for _time in range(12):
            annotator.write(POD, PodAnnotations("first"))
            while len(annotator):
                await asyncio.sleep(0)

    asyncio.run(main())
    reason = f"its annotations can't be written: metadata.annotations: Too long; {ADVICE}"
    assert told == [("ns/web", reason)]
    assert len(caplog.records) == 1 and pauses[0] < 1 and pauses[-1] == 60


def test_room_that_is_made_while_a_patch_is_under_way():
    """Protects a pod whose user removes annotations in that moment from the pause that follows."""
    pods, pauses = {POD.key: POD}, []

    class Server:
        """An API server that refuses what has changed meanwhile."""

        async def patch(self, _path, _body):
            pods[POD.key] = POD._replace(crowding=1)
            raise APIRefused("metadata.annotations: Too long", 422, "Invalid")

    async def main():
        annotator = Annotator(
            Server(), pods, lambda _pod: None, lambda _key, seconds: pauses.append(seconds), lambda *_values: None
        )
        annotator.write(POD, PodAnnotations("first"))
        while len(annotator):
            await asyncio.sleep(0)

    asyncio.run(main())
    assert pauses == [0.0]


@pytest.mark.parametrize(("uid", "removed"), [("u1", True), ("another", False), (None, False)])
def test_annotations_that_can_not_be_replaced(uid, removed):
    """Protects a node from what a user has written as if it were the watcher's, when he has left no room for that."""
    forged, sent = POD._replace(annotations=PodAnnotations(networks="forged", uid=uid)), []

    class Server:
        """An API server that takes only less annotations."""

        async def patch(self, _path, body):
            sent.append(set(body["metadata"]["annotations"].values()))
            if sent[-1] != {None}:
                raise APIRefused("metadata.annotations: Too long", 422, "Invalid")

    async def main():
        annotator = Annotator(Server(), {POD.key: forged}, *[lambda *_values: None] * 3)
        annotator.write(forged, PodAnnotations("first"))
        while len(annotator):
            await asyncio.sleep(0)
        return annotator

    annotator = asyncio.run(main())
    assert (({None} in sent), annotator.written, list(annotator.failing)) == (removed, 0, [POD.key])
