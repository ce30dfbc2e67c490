# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects programs from the loss of one of several API servers: two ways to a real one, which are cut, and two
stand-ins, which drop replies.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import re
import time

import pytest
from aiohttp import web

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.verify import servers_findings
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import (
    APIRefused,
    APIUnreachable,
    KubernetesError,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.retry import Pause
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.tasks import end
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import health
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import informer as informer_module
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
    monkeypatch.setattr(health, "TIMEOUT", 5.0)
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
            await until(lambda: informer.current)
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
            await until(lambda: client.server == urls[1])
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


class Bad:
    """A server whose watches and other replies are what the test says: a status, or "close": a watch that ends at once,
    "hang": nothing comes, or "well".
    """

    def __init__(self, reads="well", watches="well", writes="well", retry_after=None):
        self.reads, self.watches, self.writes = reads, watches, writes
        self.headers = {} if retry_after is None else {"Retry-After": retry_after}
        self.asked = []

    async def __call__(self, request):
        """One request."""
        is_watch = "watch" in request.query
        how = self.watches if is_watch else self.reads if request.method == "GET" else self.writes
        self.asked.append((request.method, request.path, time.monotonic()))
        if isinstance(how, int):
            return web.json_response({"message": "scripted"}, status=how, headers=self.headers)
        if how == "hang":
            await asyncio.sleep(60)
        if not is_watch:
            meta = {"resourceVersion": "10"}
            thing = {"metadata": {"namespace": "ns", "name": "a", "resourceVersion": "9"}}
            return web.json_response({"metadata": meta, "items": [thing]})
        response = web.StreamResponse()
        await response.prepare(request)
        if how == "well":
            await asyncio.sleep(60)
        return response

    open, close = Stub.open, Stub.close


def beside(scenario, *servers, timeout=2.0):
    """Run ``scenario(client, urls)`` with a client of these servers."""

    async def main():
        urls = [await server.open() for server in servers]
        client = Client(Settings(",".join(urls)), timeout=timeout)
        try:
            await scenario(client, urls)
        finally:
            await client.close()
            for server in servers:
                await server.close()

    asyncio.run(asyncio.wait_for(main(), 40))


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_read_is_served_by_who_can(status):
    """Protects a run, and a program, from a server that refuses for ever: the next one serves the same request, and is
    asked from now on.
    """

    async def scenario(client, urls):
        assert (await client.get("/x"))["items"] and client.server == urls[1]
        await client.create("/x", {})
        assert [request[:2] for request in second.asked] == [("GET", "/x"), ("POST", "/x")] and len(first.asked) == 1

    first, second = Bad(status, status, status), Bad()
    beside(scenario, first, second)


@pytest.mark.parametrize(("status", "says"), [(404, "(404)"), (403, "(403)"), (409, "(409)")])
def test_a_refusal_is_an_answer(status, says):
    """Protects against asking all servers for what is not there."""

    async def scenario(client, urls):
        with pytest.raises(APIRefused, match=re.escape(says)):
            await client.get("/x")
        assert client.server == urls[0] and second.asked == []

    second = Bad()
    beside(scenario, Bad(status), second)


@pytest.mark.parametrize("watches", [500, 502, 503, 429, "close", "hang"])
def test_a_server_without_watches_is_left(watches):
    """Protects programs from a server that lists well, and then sends nothing: refuses each watch, ends it at once, or
    never begins it.
    """

    async def scenario(client, urls):
        informer = Informer(client, "/things", name_of)
        task = asyncio.ensure_future(informer.run())
        try:
            began = time.monotonic()
            await until(lambda: client.server == urls[1] and informer.current)
            print(f"{watches}: left after {time.monotonic() - began:.1f} s and {len(first.asked)} requests")
            assert len(first.asked) < 20
        finally:
            await end([task])

    first = Bad(watches=watches)
    beside(scenario, first, Bad())


def test_watches_that_are_begun_anew_stay_at_their_server():
    """Protects the way back after an outage: all watches are closed when a server answers again, and that is no reason
    to leave it for one that may still be away.
    """

    async def scenario(client, urls):
        informer = Informer(client, "/things", name_of)
        task = asyncio.ensure_future(informer.run())
        try:
            await until(lambda: informer.current)
            client.end_watches()
            await until(lambda: informer.restarts == 1 and informer.current)
            assert client.server == urls[0] and second.asked == []
        finally:
            await end([task])

    second = Bad()
    beside(scenario, Bad(), second)


def test_a_server_that_can_no_longer_write_is_left():
    """Protects annotations: each write is refused, and is not sent twice, but after some the next server is asked."""

    async def scenario(client, urls):
        tries = 0
        while client.server == urls[0]:
            with pytest.raises(APIRefused):
                await client.patch("/x", {})
            tries += 1
            await asyncio.sleep(0.2)
        assert len(first.asked) == tries and second.asked == []
        await client.patch("/x", {})
        assert len(second.asked) == 1

    first, second = Bad(writes=503), Bad()
    beside(scenario, first, second)


def test_a_server_that_has_lost_its_database_is_left(monkeypatch):
    """Protects a program whose watches stay open at a server that hears nothing any more: it says so by /readyz, which
    is asked now and then.
    """
    monkeypatch.setattr(health, "PERIOD", 0.1)

    async def scenario(client, urls):
        informer, check = Informer(client, "/things", name_of), HealthCheck(client)
        tasks = [asyncio.ensure_future(work) for work in (informer.run(), check.run())]
        try:
            await until(lambda: informer.current)
            first.reads = 500
            await until(lambda: client.server == urls[1] and informer.restarts == 1 and informer.current)
            assert ("GET", "/readyz") in [request[:2] for request in second.asked] and check.problem is None
            second.reads = 500  # now none is ready: nothing is better elsewhere, and the watch stays
            asked = len(second.asked)
            await until(lambda: len(second.asked) > asked + 3)
            assert client.server == urls[1] and informer.current and informer.restarts == 1
        finally:
            await end(tasks)

    first, second = Bad(), Bad()
    beside(scenario, first, second)


def test_all_servers_refuse():
    """Protects servers that are all down from a storm, and the log: the refusal is told, each is asked once for a read,
    and pauses grow.
    """

    async def scenario(client, urls):
        with pytest.raises(APIRefused, match="503"):
            await client.get("/x")
        assert client.server == urls[0] and [len(server.asked) for server in servers] == [1, 1]
        informer = Informer(client, "/things", name_of)
        task = asyncio.ensure_future(informer.run())
        try:
            await until(lambda: informer.restarts >= 5)
            assert max(len(server.asked) for server in servers) <= 7
            servers[1].reads = "well"
            await until(lambda: informer.current)
            assert client.server == urls[1]
        finally:
            await end([task])

    servers = [Bad(503, 503, 503), Bad(503)]
    beside(scenario, *servers)


def test_a_busy_server_is_asked_again_when_it_says(monkeypatch):
    """Protects a busy server, and what is asked of it: after the time that it names it is asked again, for a write too,
    since a busy server has done nothing (429); not later than a reply may come, and a watch also waits.
    """
    monkeypatch.setattr(informer_module, "RETRY_PAUSE", Pause(0.01))

    async def scenario(client, urls):
        server.writes = 429
        asyncio.get_running_loop().call_later(0.5, setattr, server, "writes", "well")
        await client.create("/x", {})
        posts = [when for method, _path, when in server.asked if method == "POST"]
        assert len(posts) == 2 and posts[1] - posts[0] >= 1
        server.writes, server.headers = 429, {"Retry-After": "60"}
        with pytest.raises(APIRefused, match="429") as caught:
            await client.create("/x", {})
        assert caught.value.retry_after == 60
        server.watches, server.headers = 503, {"Retry-After": "1"}
        task = asyncio.ensure_future(Informer(client, "/things", name_of).run())
        try:
            await until(lambda: len([path for _method, path, _when in server.asked if path == "/things"]) >= 4)
            watches = [when for _method, path, when in server.asked if path == "/things"][1:]
            assert watches[1] - watches[0] >= 1
        finally:
            await end([task])

    server = Bad(retry_after="1")
    beside(scenario, server)


def test_verify_names_the_servers_that_cannot_serve():
    """Protects an operator who would not know that the next failure ends all service: one finding for each server that
    is away or has lost its database; one that only refuses to say it counts as well, and one alone is not asked.
    """

    async def main():
        servers = [Bad(), Bad(403), Bad(503)]
        urls = [await server.open() for server in servers]
        params = dict.fromkeys(("ca", "token", "certificate", "key"))
        listed = ",".join([*urls, "http://127.0.0.1:9"])
        found = await asyncio.to_thread(servers_findings, {**params, "server": listed})
        assert [finding.wrong.partition(" for ")[0] for finding in found] == [
            f"the API server {urls[2]} can't serve: its /readyz says 503",
            "the API server http://127.0.0.1:9 can't be reached",
        ]
        assert await asyncio.to_thread(servers_findings, {**params, "server": urls[2]}) == []
        for server in servers:
            await server.close()

    asyncio.run(asyncio.wait_for(main(), 30))


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


def test_programs_of_many_hosts_have_equal_shares():
    """Protects one API server from all hosts, which have the same list, also when another one fails."""

    async def main():
        urls = [f"http://127.0.0.1:{port}" for port in (11, 12, 13)]
        settings, orders = Settings(",".join(urls)), collections.Counter()
        for _ in range(300):
            client = Client(settings, spread=True)
            orders[tuple(client._servers.in_turn())] += 1
            await client.close()
        assert set(orders) == set(itertools.permutations(urls)) and max(orders.values()) < 100
        client = Client(settings)
        assert client.server == urls[0]
        await client.close()

    asyncio.run(main())


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
