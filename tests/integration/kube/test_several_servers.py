# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects programs from the loss of one of several API servers: two ways to a real one, which are cut, and two
stand-ins, which drop replies.
"""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import APIUnreachable, KubernetesError
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.tasks import end
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import health
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.client import Client
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.health import HealthCheck
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.informer import Informer
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.settings import Settings

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


class Way:
    """A way to a real server, as one of several has it: it can be cut, and it can swallow all that comes."""

    def __init__(self, url):
        self._target = int(url.rpartition(":")[2])
        self._writers = []
        self._goes_on = asyncio.Event()
        self._goes_on.set()

    async def open(self):
        """Listen; return the URL."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, far_writer]
        await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer), return_exceptions=True)

    async def _pass(self, reader, writer):
        while True:
            data = await reader.read(1 << 16)
            await self._goes_on.wait()
            if not data:
                writer.close()
                return
            writer.write(data)

    def hang(self):
        """Nothing comes through any more, and no connection ends."""
        self._goes_on.clear()

    async def cut(self):
        """Nobody can connect any more, and all connections end."""
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()


def name_of(item):
    """What a store keeps of an object."""
    return item["metadata"]["name"]


@pytest.mark.parametrize("goes", ["cut", "hang"])
def test_the_loss_of_one_server(kubernetes, tmp_path, goes, monkeypatch):
    """Protects the watcher and the nodes' servers: they go on with the other one, and miss nothing."""
    monkeypatch.setattr(health, "PERIOD", 0.5)
    monkeypatch.setattr(health, "TIMEOUT", 1.0)
    token = tmp_path / "token"
    token.write_text(kubernetes.admin)

    async def main():
        ways = [Way(kubernetes.url) for _ in range(2)]
        urls = [await way.open() for way in ways]
        client = Client(Settings(",".join(urls), str(kubernetes.ca_file), str(token)))
        informer = Informer(client, CONFIG_MAPS, name_of, lambda *_change: None)
        check = HealthCheck(client)
        tasks = [asyncio.ensure_future(work) for work in (informer.run(), check.run())]
        try:
            await until(informer.synced.is_set)
            assert client.server == urls[0]
            began = time.monotonic()
            if goes == "cut":
                await ways[0].cut()
            else:
                ways[0].hang()
            thing = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"after-{goes}"}}
            await asyncio.get_running_loop().run_in_executor(None, kubernetes.client().create, CONFIG_MAPS, thing)
            await until(lambda: f"after-{goes}" in informer.store.values())
            took = time.monotonic() - began
            assert client.server == urls[1]
            assert (await client.get("/version"))["major"] == "1"
            await until(lambda: check.problem is None)
            print(f"{goes}: an object is known {took:.2f} s later")
        finally:
            await end(tasks)
            await client.close()
            await ways[1].cut()

    asyncio.run(asyncio.wait_for(main(), 60))


async def until(condition):
    """Wait until the condition is true."""
    while not condition():
        await asyncio.sleep(0.01)


class Stub:
    """A server that counts what it is asked for, and answers it, or drops the connection instead."""

    def __init__(self, answers=True):
        self.answers, self.asked = answers, []

    async def __call__(self, request):
        """One request."""
        self.asked.append(request.method)
        if not self.answers:
            request.transport.abort()
        return web.json_response({"from": id(self)})

    async def open(self):
        """Listen; return the URL."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.__call__)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await self._site.start()
        return f"http://127.0.0.1:{self._site._server.sockets[0].getsockname()[1]}"

    async def close(self):
        """Listen no more."""
        await self._runner.cleanup()


def test_what_may_have_been_done_is_not_done_twice():
    """Protects against an object that is made twice: a request whose reply was lost is not sent to the other server,
    unless it only reads. One that could not even be sent is.
    """

    async def main():
        first, second = Stub(answers=False), Stub()
        urls = [await first.open(), await second.open()]
        client = Client(Settings(",".join(urls)))
        try:
            assert (await client.get("/x"))["from"] == id(second)
            assert client.server == urls[1] and set(first.asked) == {"GET"} and second.asked == ["GET"]
            first.asked.clear()
            second.answers, first.answers = False, True
            with pytest.raises(APIUnreachable, match=urls[1]):
                await client.create("/x", {})
            assert client.server == urls[0] and (first.asked, second.asked) == ([], ["GET", "POST"])
            await first.close()
            second.answers = True
            assert (await client.create("/x", {}))["from"] == id(second)
            await second.close()
            with pytest.raises(APIUnreachable, match="can't be reached for /x"):
                await client.get("/x")
        finally:
            await client.close()

    asyncio.run(asyncio.wait_for(main(), 30))


def test_addresses_of_several():
    """Protects the file that programs read: one URL stays one, and what is not right is said of the one that it is."""
    assert Settings("https://a:6443/").servers == ("https://a:6443",)
    assert Settings("https://a:6443, https://b:6443").servers == ("https://a:6443", "https://b:6443")
    for text, words in (
        ("https://a:6443,b", "the API server 'b' is not a URL"),
        ("https://a:6443,http://b", "have https and http"),
        ("https://a:6443,https://x@b", "has a user"),
        ("", "is not a URL"),
    ):
        with pytest.raises(KubernetesError, match=words):
            Settings(text)
