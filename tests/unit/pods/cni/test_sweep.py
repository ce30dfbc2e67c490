# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a node's attachments from one that can't be removed."""

from __future__ import annotations

import asyncio

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import DatabaseError, HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni.concurrency import AttachmentLocks
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni.known_pods import KnownPods
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni.sweep import Sweep, remove_each
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.interface import Attachment

ONE, BAD, TWO, BUSY = (Attachment(name, "eth0") for name in ("one", "bad", "two", "busy"))


class Attachments:
    """Attachments of which one can't be removed, and a database that refuses to take ports from older sandboxes."""

    def __init__(self):
        self.locks, self.removed = AttachmentLocks(), []

    async def remove(self, attachment, _what):
        """Remove one."""
        if attachment == BAD:
            raise HostError("the kernel refuses")
        self.removed.append(attachment)

    async def keep_newest(self, _pods):
        """Take ports away."""
        raise DatabaseError("no")

    def rebuild(self, _pods):
        """Nothing is missing."""

    async def without_sandbox(self, _are_pods_known):
        """All of them."""
        return [ONE, BAD, TWO]


def test_gc_goes_on_after_an_error():
    """Protects what comes after it (CNI 1.1.0, "GC": a plugin goes on after an error, removes as much as possible, and
    reports the error), and what is worked on.
    """
    attachments = Attachments()

    async def work():
        async with attachments.locks.hold(BUSY):
            await remove_each(attachments, [ONE, BUSY, BAD, TWO], "GC of network n")

    with pytest.raises(HostError, match="the kernel refuses"):
        asyncio.run(work())
    assert attachments.removed == [ONE, TWO]


def test_a_sweep_does_all_that_can_be_done(tmp_path):
    """Protects the node from ports that are never swept because something before them fails each time."""
    attachments, told = Attachments(), []
    with pytest.raises(HostError):
        asyncio.run(Sweep(KnownPods(), attachments, str(tmp_path), told.append).run())
    assert attachments.removed == [ONE, TWO] and told == [ONE, BAD, TWO]
