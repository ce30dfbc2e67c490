# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
from __future__ import annotations

import asyncio
import contextlib
import socket

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import tasks


async def loses_a_cancellation(pause):
    """Go on after the first cancellation, as asyncio.wait_for does when its result comes at the same moment."""
    with contextlib.suppress(asyncio.CancelledError):
        await pause
    await asyncio.Event().wait()


async def fails():
    raise ValueError


def test_a_lost_cancellation_is_repeated(monkeypatch):
    """Protects the end of our programs: systemd, and who replaces a program, would wait for one that never ends."""
    monkeypatch.setattr(tasks, "AGAIN", 0.01)

    async def run():
        all_tasks = [
            asyncio.ensure_future(work)
            for work in (loses_a_cancellation(asyncio.Event().wait()), fails(), asyncio.Event().wait())
        ]
        await asyncio.sleep(0)
        await asyncio.wait_for(tasks.end(all_tasks), 10)
        return [task.done() for task in all_tasks]

    assert asyncio.run(run()) == [True, True, True]


def test_nothing_to_end():
    """Protects programs that have started no tasks yet."""
    asyncio.run(tasks.end([]))


def test_long_work_leaves_turns_to_others(monkeypatch):
    """Protects pods on a host: thousands of services are looked at in the loop that gives pods their interfaces."""
    monkeypatch.setattr(tasks, "PIECE", -1)
    seen = []

    async def other():
        while True:
            seen.append("other")
            await asyncio.sleep(0)

    def numbers():
        for number in range(3):
            seen.append(number)
            yield number

    async def run():
        task = asyncio.ensure_future(other())
        try:
            return await tasks.collect(numbers())
        finally:
            await tasks.end([task])

    assert asyncio.run(run()) == [0, 1, 2]
    assert seen[:5] == [0, "other", 1, "other", 2]


def test_who_waits_is_told_once():
    """Protects the processor: a file that can be read, and is read later, is no work until then; what comes after that
    is told of too.
    """
    ours, theirs = socket.socketpair()
    told = []

    class Event(asyncio.Event):
        """An event that counts."""

        def set(self):
            told.append(1)
            super().set()

    async def main():
        event = Event()
        for number in (1, 2):
            tasks.tell_once(ours, event)
            theirs.send(b"x")
            await asyncio.wait_for(event.wait(), 5)
            for _time in range(20):
                await asyncio.sleep(0)
            event.clear()
            assert ours.recv(9) == b"x" and len(told) == number

    with ours, theirs:
        asyncio.run(main())
