# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the status of objects: the last one is written once, by the program that acts, and again after an outage."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

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
                raise APIRefused("no", 500)
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
    assert run(Api(), merge("a"), None, lambda writer: writer.confirm("/o"), merge("a", told="x")) == ["a", "a"]
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
    for status in (404, 409, 422):
        api = Api(*[APIRefused("no", status)] * 50)
        assert run(api, merge("a")) == [] and api.asked == 1


@pytest.mark.parametrize("status", [500, 429, 403])
def test_refusals_that_end(monkeypatch, status):
    """Protects a status from an API server that can't take it for long: it is written in the end. What an account may
    not write is tried seldom, after many attempts.
    """
    pauses, api = [], Api(*[APIRefused("no", status)] * 30)
    monkeypatch.setattr(statuses, "REFUSED", SimpleNamespace(seconds=lambda attempt: pauses.append(attempt) or 0.0))
    assert run(api, merge("a")) == ["a"] and api.asked == 31
    assert len(pauses) == (31 - statuses.ATTEMPTS if status == 403 else 0)


def test_others_do_not_wait():
    """Protects other objects from one that the API server refuses, and the API server from all at once."""
    api = Api(refusing=("/bad/status",))
    good = [merge("a", path=f"/{number}") for number in range(100)]
    run(api, merge("a", path="/bad"), *good, lambda writer: writer.forget("/bad"))
    assert len(api.written) == 100 and api.most <= statuses.CONCURRENT


def test_who_stands_by_writes_nothing():
    """Protects the status that the acting program has written."""
    assert run(Api(), merge("a"), acts=False) == []


class SlowApi(Api):
    """An API server that answers when it is told to."""

    def __init__(self):
        super().__init__()
        self.answers = asyncio.Event()

    async def patch(self, path, body):
        """Take a status."""
        self.asked += 1
        await self.answers.wait()
        await super().patch(path, body)


def test_the_lock_is_lost():
    """Protects the status that the next program writes: what is on its way is ended, what waits for a place is not
    sent, and a program that acts again writes what counts then.
    """

    async def main():
        api, acts = SlowApi(), True
        writer = StatusWriter(api, lambda: acts)
        for number in range(10):
            writer.merge(f"/{number}", "u", {"text": "old"}, "old", "")
        await asyncio.sleep(0.01)
        assert api.asked == statuses.CONCURRENT
        acts = False
        writer.stop()
        assert not len(writer)
        writer.seen("/1", "x")
        api.answers.set()
        await asyncio.sleep(0.01)
        assert api.written == []
        acts = True
        writer.begin()
        writer.merge("/1", "u", {"text": "new"}, "new", "old")
        while len(writer):
            await asyncio.sleep(0.001)
        assert [text for _path, text, _uid in api.written] == ["new"]
        await writer.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_acting_ends_without_a_word():
    """Protects the same where nobody has called stop yet: whoever has waited for a place looks again."""

    async def main():
        api, acts = SlowApi(), True
        writer = StatusWriter(api, lambda: acts)
        for number in range(10):
            writer.merge(f"/{number}", "u", {"text": "old"}, "old", "")
        await asyncio.sleep(0.01)
        acts = False
        api.answers.set()
        while len(writer):
            await asyncio.sleep(0.001)
        assert len(api.written) == statuses.CONCURRENT
        await writer.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_somebody_else_writes():
    """Protects from a status that is wrong for ever: what a program that acted before has written late, or a user, is
    written again as it must be; what the object says after one's own write is not.
    """

    def seen(told, path="/o"):
        return lambda writer: writer.seen(path, told)

    assert run(Api(), merge("a"), None, seen("a"), seen("x"), None, seen("a")) == ["a", "a"]
    assert run(Api(), merge("a"), None, seen("before"), seen("a")) == ["a"]
    assert run(Api(), merge("a", told="a"), seen("a"), seen("x")) == ["a"]
    assert run(Api(), seen("x")) == []
    assert run(Api(), merge("a", told="a"), lambda writer: writer.forget("/o"), seen("x")) == []
    assert run(Api(), merge("a", told="a"), seen("x"), acts=False) == []


def test_somebody_else_writes_for_ever(monkeypatch):
    """Protects the API server from two programs that each write their own: pauses grow; what is new waits not."""
    pauses = []

    class Pauses:
        """Pauses that are noted."""

        @staticmethod
        def seconds(attempt):
            """Note a pause: longer than the test."""
            pauses.append(attempt)
            return 0.001 if attempt < 3 else 60.0

    monkeypatch.setattr(statuses, "AGAIN", Pauses)
    steps = [step for _n in range(4) for step in (lambda w: w.seen("/o", "a"), lambda w: w.seen("/o", "x"), None)]

    async def main():
        api = Api()
        writer = StatusWriter(api, lambda: True)
        writer.merge("/o", "u", {"text": "a"}, "a", "a")
        for step in (*steps, *steps[:2]):
            if step is None:
                while len(writer):
                    await asyncio.sleep(0.001)
            else:
                step(writer)
        await asyncio.sleep(0.01)
        assert pauses == [0, 1, 2, 3] and len(api.written) == 4 and len(writer) == 1
        writer.merge("/o", "u", {"text": "b"}, "b", "x")
        while len(writer):
            await asyncio.sleep(0.001)
        assert api.written[-1][1] == "b"
        await writer.close()

    asyncio.run(asyncio.wait_for(main(), 20))
