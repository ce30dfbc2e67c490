# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The socket for the plugin is there, whoever removes it and when."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.tasks import end
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni import endpoint


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "cni.sock")


def kept_until_there(path, work):
    """Keep the socket while the work goes on, until it can be connected to; fail after five seconds."""

    async def run():
        one = endpoint.Endpoint(None, lambda *what: None, lambda: None)
        task = asyncio.ensure_future(one.keep(path))
        try:
            await work(one)
            while True:
                try:
                    _reader, writer = await asyncio.open_unix_connection(path)
                    writer.close()
                    return
                except OSError:
                    await asyncio.sleep(0.01)
        finally:
            await end([task])
            await one.close()

    asyncio.run(asyncio.wait_for(run(), 5))


def test_removed_before_it_was_looked_at(path, monkeypatch):
    """Protects all pods of a node: a socket removed between its opening and the first look stayed away for ever."""
    opened = asyncio.start_unix_server

    async def open_and_lose(*arguments, **options):
        server = await opened(*arguments, **options)
        os.unlink(path)
        monkeypatch.setattr(asyncio, "start_unix_server", opened)
        return server

    monkeypatch.setattr(asyncio, "start_unix_server", open_and_lose)
    kept_until_there(path, lambda one: one.listen(path))


def test_replaced_by_a_file_of_the_same_number(path, monkeypatch):
    """Protects against a stranger's socket: a file system gives a removed file's number to the next one."""
    real = os.stat

    def same_number(name, **options):
        found = real(name, **options)
        return os.stat_result((found[0], 7, *found[2:]), {"st_mtime_ns": found.st_mtime_ns}) if name == path else found

    monkeypatch.setattr(os, "stat", same_number)

    async def replace(one):
        await one.listen(path)
        await asyncio.sleep(0)  # it is being kept
        os.unlink(path)
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.bind(path)  # it takes no connections

    kept_until_there(path, replace)
