# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Objects that fail, and what counts as failing for long."""

from __future__ import annotations

import asyncio

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.retry import Pause
from ansible_collections.ovn.kubernetes.plugins.module_utils._reconcile import retries
from ansible_collections.ovn.kubernetes.plugins.module_utils._reconcile.retries import Key, Retries

A, B = Key("Pod", "ns/a"), Key("Pod", "ns/b")


def test_what_fails_for_long_is_stuck_and_what_waits_is_not(monkeypatch):
    """Protects whoever asks for health: a failure counts from its first attempt; who only waits has an event."""

    async def main():
        known = Retries(lambda _key: None)
        assert known.failed(A, "the disk is full", waits=False) and known.failed(B, "no node yet", waits=True)
        assert not known.failed(A, "the disk is full", waits=False) and known.failing[A].attempts == 2
        assert known.stuck() == {}
        monkeypatch.setattr(retries, "STUCK", -1.0)
        assert list(known.stuck()) == [A]
        known.done(A)
        assert known.stuck() == {} and list(known.failing) == [B]
        known.clear()
        assert not known.failing

    asyncio.run(main())


def test_one_timer_a_key_and_none_after_the_end(monkeypatch):
    """Protects memory, and a program that stands by: it is not woken for what another one does."""
    monkeypatch.setattr(retries, "RETRY_PAUSE", Pause(0.001))

    async def main():
        marked = []
        known = Retries(marked.append)
        for _attempt in range(5):
            known.failed(A, "no", waits=False)
        while not marked:
            await asyncio.sleep(0.001)
        known.failed(B, "no", waits=False)
        known.clear()
        assert (marked, known.count, known._timers) == ([A], 1, {})

    asyncio.run(main())
