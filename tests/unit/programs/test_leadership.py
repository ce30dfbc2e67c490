# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects which watcher acts, where kinds can't be read: what is a reason not to begin, and what only is said."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import leadership
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.leadership import Leadership


class Replica:
    """A database whose lock comes as soon as it is wanted."""

    def __init__(self):
        self.ready, self.connected, self.locked = asyncio.Event(), True, False
        self.ready.set()
        self.remotes = ["one"]

    def want_lock(self, is_wanted):
        """Take the lock, or give it up."""
        self.locked = is_wanted


class Engine:
    """An engine that only knows whether it works."""

    active = False

    def start(self):
        """Begin."""
        self.active = True

    def stop(self):
        """End."""
        self.active = False

    async def take_over(self):
        """Nothing was sent before."""


class Kind:
    """An informer.

    :ivar wrong: what it says; :ivar is_only_said: that is no reason not to act.
    """

    kind, store = "things", ()

    def __init__(self):
        self.synced = asyncio.Event()
        self.synced.set()
        self.wrong, self.is_only_said = None, False

    def problem(self):
        """Return what is wrong."""
        return self.wrong

    def fault(self):
        """Return what is wrong, where nothing may be made of it."""
        return None if self.is_only_said else self.wrong


@pytest.mark.parametrize("is_only_said", [True, False])
def test_a_kind_that_cannot_be_read(monkeypatch, is_only_said):
    """Protects what an account may not read that has rows: no watcher begins before it may. And protects the cluster
    from one optional kind that fails for long: the watcher that acts goes on, and says it.
    """
    monkeypatch.setattr(leadership, "PATIENCE", 0.01)

    async def health():
        return None

    async def main():
        replica, engine, kind, begun = Replica(), Engine(), Kind(), []
        kind.wrong, kind.is_only_said = "may not read", is_only_said
        api = SimpleNamespace(problem=None, now=health)
        one = Leadership(replica, engine, [kind], api, lambda: begun.append(1), lambda: None)
        task = asyncio.create_task(one.run())

        async def acts(does):
            while (engine.active, replica.locked) != (does, does):
                one.update()
                await asyncio.sleep(0.005)

        await asyncio.sleep(0.05)  # it is told nothing meanwhile
        assert one.problem() == "may not read" and bool(begun) == is_only_said == engine.active
        kind.wrong = None
        await acts(True)
        kind.wrong = "interrupted"
        one.update()
        await asyncio.sleep(0.05)
        one.update()
        assert replica.locked == engine.active == is_only_said and one.problem() == "interrupted"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), 20))
