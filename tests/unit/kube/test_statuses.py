# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the status of objects: the last one is written once, by the program that acts, and again after an outage."""

from __future__ import annotations

import asyncio

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import APIRefused, APIUnreachable
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.retry import Pause
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import statuses
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.statuses import StatusWriter


class Api:
    """An API server that first answers these errors, and refuses some paths always."""

    def __init__(self, *errors, refusing=()):
        self.errors, self.refusing = list(errors), refusing
        self.written, self.asked, self.busy, self.most = [], 0, 0, 0

    async def patch(self, path, body):
        """Take a status."""
        self.asked += 1
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            await asyncio.sleep(0)
            if path in self.refusing:
                raise APIRefused("no", 403)
            if self.errors:
                raise self.errors.pop(0)
        finally:
            self.busy -= 1
        self.written.append((path, body["status"]["text"], body["metadata"]["uid"]))

    async def apply(self, path, body, manager):
        """Take a status."""
        self.written.append((path, body["text"], manager))


def run(api, *steps, acts=True):
    """Call methods of a writer, and wait; the texts that were written."""

    async def main():
        writer = StatusWriter(api, lambda: acts)
        for step in steps:
            if step is None:
                await done(writer)
            else:
                step(writer)
                await asyncio.sleep(0)
        await done(writer)
        await writer.close()

    async def done(writer):
        while len(writer):
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(main(), 20))
    return [text for _path, text, _by in api.written]


def merge(text, told="", path="/o"):
    """A step: write a status."""
    return lambda writer: writer.merge(path, "u", {"text": text}, text, told)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Attempts follow at once."""
    monkeypatch.setattr(statuses, "AGAIN", Pause(0.001))
    monkeypatch.setattr(statuses, "APART", 0.0)


def test_the_last_one_counts():
    """Protects from a status of before, also where it is on its way while the object says what it should."""
    api = Api()
    assert run(api, merge("a"), merge("b"), merge("c"))[-1] == "c" and len(api.written) <= 2
    assert api.written[-1] == ("/o/status", "c", "u")
    assert run(Api(), merge("a", told="b"), merge("b", told="b"))[-1] == "b"


def test_on_change_only():
    """Protects the API server: what an object says is not written, and neither is what was written while the object
    that is known is that of before. Where somebody else has changed it since, it is.
    """
    assert run(Api(), merge("a", told="a")) == []
    assert run(Api(), merge("a"), None, merge("a"), None, merge("b"), None, merge("b")) == ["a", "b"]
    assert run(Api(), merge("a"), None, merge("a", told="a"), merge("a", told="x")) == ["a", "a"]
    begin, forget = lambda writer: writer.begin(), lambda writer: writer.forget("/o")
    assert run(Api(), merge("a"), None, begin, merge("a")) == ["a", "a"]
    assert run(Api(), merge("a"), None, forget, merge("a")) == ["a", "a"]
    assert run(Api(APIUnreachable("away")), merge("a"), forget) == []


def test_server_side_apply():
    """Protects conditions of others: what is applied has this program's name."""
    api = Api()
    run(api, lambda writer: writer.apply("/o", {"text": "a"}, "a", ""))
    assert api.written == [("/o/status", "a", "ovn-k8s-watcher")]


def test_an_outage_and_an_object_that_is_gone(caplog):
    """Protects from a status that is lost, from endless attempts, and from a log that is full of them."""
    assert run(Api(APIUnreachable("away"), APIUnreachable("away"), APIRefused("busy", 503)), merge("a")) == ["a"]
    assert caplog.text.count("statuses wait") == 1
    for busy in (429, 500, 503):  # for as long as it takes
        assert run(Api(*[APIRefused("busy", busy)] * (statuses.ATTEMPTS + 2)), merge("a")) == ["a"]
    for status, attempts in ((404, 1), (409, 1), (422, 1), (403, statuses.ATTEMPTS)):
        api = Api(*[APIRefused("no", status)] * 50)
        assert run(api, merge("a")) == [] and api.asked == attempts


def test_others_do_not_wait():
    """Protects other objects from one that the API server refuses, and the API server from all at once."""
    api = Api(refusing=("/bad/status",))
    run(api, merge("a", path="/bad"), *(merge("a", path=f"/{number}") for number in range(100)))
    assert len(api.written) == 100 and api.most <= statuses.CONCURRENT


def test_who_stands_by_writes_nothing():
    """Protects the status that the acting program has written."""
    assert run(Api(), merge("a"), acts=False) == []
