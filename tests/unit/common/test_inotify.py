# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""What changes on the file system is seen at once."""

from __future__ import annotations

import asyncio
import errno
import logging
import selectors

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import inotify
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.tasks import end


def watch(path, on_change, enough):
    """Watch a file until there is enough, and touch it once it is watched."""

    async def work():
        watched, found = asyncio.Event(), asyncio.Event()

        def changed():
            if not watched.is_set():
                watched.set()
                return
            on_change()
            if enough():
                found.set()

        task = asyncio.ensure_future(inotify.watch([str(path)], changed))
        await asyncio.wait_for(watched.wait(), 5)  # what has changed before that is looked at now
        path.touch()
        try:
            await asyncio.wait_for(found.wait(), 5)
        finally:
            await end([task])

    asyncio.run(work())


def test_a_change_that_comes_while_the_caller_looks(tmp_path):
    """Protects against what changes just after the caller has looked: it was seen half a minute later."""
    path, calls = tmp_path / "a" / "file", []
    path.parent.mkdir()

    def look():
        calls.append(1)
        if len(calls) == 1:
            path.unlink()

    watch(path, look, lambda: len(calls) == 2)


def test_several_events_are_one_change(tmp_path):
    """Protects the caller from looking at each of the events that one write of a file makes."""
    calls = []
    watch(tmp_path / "file", lambda: calls.append(1), lambda: True)
    assert len(calls) == 1


def test_a_refusal_is_said_once_and_the_files_are_still_looked_at(tmp_path, monkeypatch, caplog):
    """Protects a host that has no watches left: nothing said so, and changes were never seen."""
    monkeypatch.setattr(inotify, "AGAIN", 0.01)
    monkeypatch.setattr(inotify, "_add", lambda *_arguments: errno.ENOSPC)
    calls = []
    with caplog.at_level(logging.WARNING):
        watch(tmp_path / "file", lambda: calls.append(1), lambda: len(calls) == 3)
    (record,) = caplog.records
    assert "can't be watched: No space left on device" in record.getMessage()


def test_the_loop_rests_while_more_events_may_come(tmp_path, monkeypatch):
    """Protects the processor: while a watch waits for the other events of a change, which nobody has read yet, the loop
    does not ask again and again whether there is one.
    """
    looks, select = [], selectors.DefaultSelector.select

    def counted(*arguments):
        looks.append(1)
        return select(*arguments)

    monkeypatch.setattr(selectors.DefaultSelector, "select", counted)
    watch(tmp_path / "file", lambda: None, lambda: True)
    assert len(looks) < 50, len(looks)
