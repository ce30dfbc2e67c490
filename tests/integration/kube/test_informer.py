# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the way in which objects are followed.

A scripted server stands in here for the API server, because a real one sends no invalid events and expires no
versions on request.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import (
    APIRefused,
    APIUnreachable,
    KubernetesError,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.retry import Pause
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import client as client_module
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import informer as informer_module
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.client import Client
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.informer import Informer
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.settings import Settings


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    """Tests don't wait for seconds."""
    monkeypatch.setattr(informer_module, "RETRY_PAUSE", Pause(0.01, longest=0.05, jitter=0.5))


def thing(name, version="1", **more):
    """An object."""
    return dict({"metadata": {"namespace": "ns", "name": name, "resourceVersion": version}}, **more)


class Script:
    """A server whose lists and watches are scripted; the last entry of each goes on for ever, and a number is the
    status with which each is refused."""

    def __init__(self, lists, watches=()):
        self.lists, self.watches, self.asked = list(lists), list(watches), []

    async def __call__(self, request):
        self.asked.append((dict(request.query), request.headers.get("Authorization")))
        if "watch" not in request.query:
            answer = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
            if isinstance(answer, int):
                return web.json_response({"message": "no", "reason": "Scripted"}, status=answer)
            return web.json_response(answer)
        if self.watches and isinstance(self.watches[0], int):
            return web.json_response({"message": "no", "reason": "Scripted"}, status=self.watches[0])
        response = web.StreamResponse()
        await response.prepare(request)
        if not self.watches:
            await asyncio.sleep(60)
        for event in self.watches.pop(0):
            # In pieces: a line may come in any number of them.
            line = (event if isinstance(event, str) else json.dumps(event)).encode() + b"\n"
            for piece in (line[:7], line[7:]):
                await response.write(piece)
                await asyncio.sleep(0)
        return response


def test_a_page_that_is_too_large_is_requested_with_fewer_objects(monkeypatch):
    """Protects memory, and the loop, from a list of objects that somebody has made as large as they may be."""
    monkeypatch.setattr(client_module, "LARGEST_PAGE", 5000)
    things = [thing(f"t{number}", padding="x" * 1000) for number in range(9)]

    class Large(Script):
        """A server with these objects."""

        async def __call__(self, request):
            if "watch" in request.query:
                return await super().__call__(request)
            limit, begin = int(request.query["limit"]), int(request.query.get("continue", 0))
            self.asked.append(limit)
            more = str(begin + limit) if begin + limit < len(things) else None
            return web.json_response(page(*things[begin : begin + limit], more=more))

    script = Large([], [])

    async def scenario(informer, told):
        await until(informer.synced.is_set)
        assert len(informer.store) == len(things)
        limits = [limit for limit in script.asked if isinstance(limit, int)]
        assert limits[:4] == [500, 62, 7, 1] and max(limits[4:]) < 8

    follow(script, scenario)


def page(*items, version="10", more=None):
    """One page of a list."""
    return {"metadata": {"resourceVersion": version, **({"continue": more} if more else {})}, "items": list(items)}


def follow(script, scenario, trim=lambda item: item["metadata"]["resourceVersion"], token_file=None, **more):
    """Run ``scenario(informer, told)`` beside an informer of the scripted server."""

    async def main():
        application = web.Application()

        async def handle(request):
            return await script(request)

        application.router.add_get("/things", handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        client = Client(Settings(f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}", token_file=token_file))
        told = []
        informer = Informer(client, "/things", trim, lambda *change: told.append(change), **more)
        keeper = asyncio.create_task(informer.run())
        try:
            await asyncio.wait_for(scenario(informer, told), 20)
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await client.close()
            await runner.cleanup()

    asyncio.run(main())


async def until(condition):
    """Wait until the condition is true."""
    while not condition():
        await asyncio.sleep(0.005)


def test_lists_come_in_pages_and_watches_go_on_from_their_version():
    """Protects against a gap between list and watch, and against a list that is cut off."""
    script = Script(
        [page(thing("a"), more="rest"), page(thing("b"))],
        [
            [
                {"type": "ADDED", "object": thing("c", "11")},
                {"type": "MODIFIED", "object": thing("a", "12")},
                {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "20"}}},
                {"type": "DELETED", "object": thing("b", "21")},
            ]
        ],
    )

    async def scenario(informer, told):
        await until(lambda: "ns/b" not in informer.store and "ns/c" in informer.store)
        assert informer.store == {"ns/a": "12", "ns/c": "11"}
        assert told == [
            ("ns/a", None, "1"),
            ("ns/b", None, "1"),
            ("ns/c", None, "11"),
            ("ns/a", "1", "12"),
            ("ns/b", "1", None),
        ]
        watches = [query["resourceVersion"] for query, _token in script.asked if "watch" in query]
        assert watches[0] == "10"
        await until(lambda: [query for query, _token in script.asked if query.get("resourceVersion") == "21"])

    follow(script, scenario)


@pytest.mark.parametrize("error", [{"code": 410, "reason": "Expired"}, {"reason": "Gone"}])
def test_an_expired_version_lists_again_and_tells_only_what_differs(error):
    """Protects against replays (W4): after 410 the list is read again, and what is as before is no event."""
    script = Script(
        [page(thing("a"), thing("b")), page(thing("a"), thing("c"))], [[{"type": "ERROR", "object": error}]]
    )

    async def scenario(informer, told):
        await until(lambda: len(told) == 4)
        assert sorted(told[2:], key=lambda change: change[0]) == [("ns/b", "1", None), ("ns/c", None, "1")]
        await until(lambda: informer.current)
        assert len(told) == 4

    follow(script, scenario)


def test_errors_of_the_server_are_outlived():
    """Protects against informers that die (W2): 500, 403, 429, and lines that are no JSON."""
    script = Script(
        [500, 403, 429, page(thing("a")), page(thing("a"), thing("b"))],
        [["nonsense"], [{"type": "ERROR", "object": {"code": 410}}]],
    )

    async def scenario(informer, told):
        await until(lambda: "ns/b" in informer.store)
        assert informer.restarts >= 4

    follow(script, scenario)


def test_an_odd_object_stops_no_other():
    """Protects against one object that stops all (W1): it is reported by its key, and left out."""
    spoiled = []
    script = Script(
        [page(thing("a"), {"metadata": {}}, {}, thing("b"))],
        [
            [
                {"type": "ADDED", "object": thing("odd", None)},
                {"type": "DELETED", "object": {}},
                {},
                {"type": "ADDED", "object": thing("c")},
            ]
        ],
    )

    def trim(item):
        return item["metadata"]["resourceVersion"].strip()

    async def scenario(informer, told):
        await until(lambda: "ns/c" in informer.store)
        assert set(informer.store) == {"ns/a", "ns/b", "ns/c"}
        assert "ns/odd" in spoiled and None in spoiled

    follow(script, scenario, trim, on_invalid=lambda key, exc: spoiled.append(key))


def test_selectors_and_a_renewed_token_are_sent(tmp_path):
    """Protects least privilege (a node sees its own pods only) and tokens that are renewed beside a running program."""
    token = tmp_path / "token"
    token.write_text("first\n")
    script = Script([page(thing("a"))], [[{"type": "ADDED", "object": thing("b", "11")}]])

    async def scenario(informer, told):
        await until(lambda: "ns/b" in informer.store)
        assert script.asked[0] == (
            {"fieldSelector": "spec.nodeName=n1", "labelSelector": "l", "limit": "500"},
            "Bearer first",
        )
        token.write_text("second, longer\n")
        await until(lambda: script.asked[-1][1] == "Bearer second, longer")

    follow(script, scenario, token_file=str(token), fields="spec.nodeName=n1", labels="l")


def test_errors_are_sentences(tmp_path):
    """Protects whoever reads the log: what, where, and nothing of the token."""

    async def main():
        client = Client(Settings("http://127.0.0.1:1", token_file=str(tmp_path / "none")))
        with pytest.raises(KubernetesError, match=r"the token in .*none can't be read: No such file or directory"):
            await client.get("/api")
        (tmp_path / "none").write_text("s3cret")
        with pytest.raises(
            APIUnreachable, match=r"the API server http://127.0.0.1:1 can't be reached for /api"
        ) as caught:
            await client.get("/api")
        assert "s3cret" not in str(caught.value)
        await client.close()

    asyncio.run(main())
    for server in ("host:6443", "https://[::1:6443", 6443):
        with pytest.raises(KubernetesError, match="is not a URL"):
            Settings(server)
    for server in ("https://me:s3cret@host:6443", "me:s3cret@host:6443"):
        with pytest.raises(KubernetesError, match="has a user") as caught:
            Settings(server)
        assert "s3cret" not in str(caught.value)
    with pytest.raises(KubernetesError, match="can't be read"):
        Settings.read(str(tmp_path / "missing"))
    (tmp_path / "bad").write_text('{"server": "http://a", "token": "s3cret"}')
    with pytest.raises(KubernetesError, match="unknown key token") as caught:
        Settings.read(str(tmp_path / "bad"))
    assert "s3cret" not in str(caught.value)


def test_a_refusal_says_what_the_server_said():
    """Protects callers that must tell a missing object from a missing right."""

    async def scenario(informer, told):
        with pytest.raises(APIRefused) as caught:
            await informer._client.get("/things")
        assert (caught.value.status, caught.value.reason) == (409, "Scripted")

    follow(Script([409]), scenario)


def test_a_lost_connection_goes_on_only_where_the_history_is_the_same():
    """Protects against a cluster that was restored from a backup: a watch from a version of the lost history hears
    nothing. The newest object that was heard is the witness; without it everything is listed anew.
    """
    heard = [{"type": "ADDED", "object": thing("c", "21")}, "nonsense"]
    intact, restored = page(thing("c", "21"), version="30"), page(version="5")
    script = Script([page(thing("a")), intact, restored, page(thing("b"), version="6")], [heard, ["nonsense"]])

    async def scenario(informer, told):
        await until(lambda: set(informer.store) == {"ns/b"})
        await until(lambda: len([query for query, _token in script.asked if "watch" in query]) == 3)
        queries = [query for query, _token in script.asked]
        assert [query["resourceVersion"] for query in queries if "watch" in query] == ["10", "21", "6"]
        short = {"limit": "1", "fieldSelector": "spec.nodeName=n1,metadata.name=c,metadata.namespace=ns"}
        assert [query for query in queries if query.get("limit") == "1"] == [short, short]
        assert told[1:] == [("ns/c", None, "21"), ("ns/b", None, "1"), ("ns/a", "1", None), ("ns/c", "21", None)]

    follow(script, scenario, fields="spec.nodeName=n1")


def test_a_deletion_has_no_witness():
    """Protects against an object that a backup brings back: after a deletion everything is listed anew."""
    deleted = [{"type": "DELETED", "object": thing("a", "21")}, "nonsense"]
    script = Script([page(thing("a")), page(thing("a", "5"), version="40")], [deleted])

    async def scenario(informer, told):
        await until(lambda: informer.store == {"ns/a": "5"})

    follow(script, scenario)


@pytest.mark.parametrize("versions", [("10", "9"), ("9", "7")])
def test_versions_that_went_back_are_noticed_in_silence(monkeypatch, versions):
    """Protects a watch that stays open and hears nothing: its version is compared with the server's now and then."""
    monkeypatch.setattr(informer_module, "COMPARE_SECONDS", (0.02, 0.03))
    script = Script([page(thing("a"), version=versions[0]), page(thing("b"), version=versions[1])])

    async def scenario(informer, told):
        await until(lambda: set(informer.store) == {"ns/b"})
        listed = len([query for query, _token in script.asked if query.get("limit") == "500"])
        await until(lambda: len(script.asked) > 8)
        assert (listed, informer.problem()) == (2, None)
        assert len([query for query, _token in script.asked if query.get("limit") == "500"]) == 2

    follow(script, scenario)


def test_what_never_came_is_named_with_its_reason():
    """Protects whoever waits for a program that is not ready: what the API server refuses is in the sentence."""

    async def scenario(informer, told):
        await until(lambda: "(403)" in (informer.problem() or ""))
        assert informer.problem().startswith("the API server has not sent its things yet: the API server refused /thi")

    follow(Script([403]), scenario)


@pytest.mark.parametrize(("status", "lasts"), [(403, True), (401, True), (503, False)])
def test_a_watch_that_is_refused_is_never_current(status, lasts):
    """Protects standbys from a watcher that is deaf and keeps the lock, since each attempt looked like a watch; and
    who asks whether a node's server is ready: it may not read, where in an outage nothing new comes anyway."""
    script = Script([page(thing("a"))], [status])
    states = []

    async def scenario(informer, told):
        await until(lambda: informer.restarts > 3)
        assert not informer.current and states == [] and f"({status})" in informer.problem()
        assert (informer.lasting_problem() is not None) == lasts
        script.watches.clear()
        await until(lambda: informer.current)
        assert states == ["changed"] and informer.problem() is None and informer.lasting_problem() is None

    follow(script, scenario, on_state=lambda: states.append("changed"))


@pytest.mark.parametrize(("status", "kept"), [(404, []), (403, ["ns/a"])])
def test_an_optional_kind(monkeypatch, caplog, status, kept):
    """Protects a program from a server that does not have a kind, and from an account of before: neither is a fault,
    it is said once, and the kind is read when it is there.
    """
    monkeypatch.setattr(informer_module, "OPTIONAL_PAUSE", Pause(0.01))
    monkeypatch.setattr(informer_module, "SHORT_WATCH", 0.0)
    caplog.set_level("INFO")
    gone = [{"type": "ERROR", "object": {"code": 410}}]
    script = Script([status, status, page(thing("a")), status, status, page(thing("b"))], [gone])

    async def scenario(informer, told):
        await until(lambda: len(script.asked) >= 2 and informer.synced.is_set())
        assert informer.problem() is informer.lasting_problem() is None and informer.restarts == 0
        await until(lambda: sum("watch" not in query for query, _token in script.asked) == 5)
        assert list(informer.store) == kept and informer.problem() is None
        await until(lambda: list(informer.store) == ["ns/b"])

    follow(script, scenario, is_optional=True)
    said = [one for one in caplog.records if "going on without things" in one.message]
    assert [one.levelname for one in said] == ["INFO" if status == 404 else "WARNING"] * 2
