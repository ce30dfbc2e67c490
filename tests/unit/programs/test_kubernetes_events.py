# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the API server, and other work, from events: few at a time, after that work, each once."""

from __future__ import annotations

import asyncio

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import APIRefused, APIUnreachable
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.retry import Pause
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube import reference
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.reference import Reference
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import kubernetes_events
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.kubernetes_events import EventWriter, Queue


def pod(number, namespace="ns"):
    return Reference("Pod", namespace, f"p{number}", f"u{number}")


class Server:
    """An API server; it keeps events by their names."""

    def __init__(self):
        self.requests, self.events = [], {}

    async def create(self, path, body):
        """Make an event."""
        name = body["metadata"]["name"]
        self.requests.append((path, name))
        if name in self.events:
            raise APIRefused("exists already", 409, "AlreadyExists")
        self.events[name] = body

    async def patch(self, path, body):
        """Change an event."""
        self.events[path.rpartition("/")[2]].update(body)


def write(server, *events, is_busy=lambda: False):
    """Write events with one program."""

    async def main():
        writer = EventWriter(server, "ovn-k8s-watcher", is_busy)
        for event in events:
            writer.write(*event)
        while len(writer):
            await asyncio.sleep(0.001)

    asyncio.run(main())
    return server


def test_one_thing_is_said_once():
    """Protects whoever reads events from a thing that each start, and each watcher that takes over, says again."""
    server = Server()
    for _start in range(2):
        write(server, (pod(1), "NetworkNotReady", "no switch"), (pod(1), "NetworkOutdated", "old"))
    write(server, (pod(1), "NetworkNotReady", "no address"))
    assert sorted(one["message"] for one in server.events.values()) == ["no address", "no switch", "old"]


@pytest.mark.parametrize(
    ("about", "name", "path"),
    [
        (pod(1), "p1.", "/api/v1/namespaces/ns/events"),
        (reference.node("n"), "n.", "/api/v1/namespaces/default/events"),
        (Reference("NetworkPolicy", "ns", "a" * 253, "u", "networking.k8s.io/v1"), "a" * 236 + ".", None),
        (Reference("Pod", "ns", "a" * 235 + "." + "b" * 17, "u"), "a" * 235 + ".", None),
    ],
)
def test_the_object_of_an_event(about, name, path):
    """Protects events about any object that the API server has: of another group, without a namespace, with a name
    that has no room for more.
    """
    server = write(Server(), (about, "Reason", "text"))
    ((where, made),) = server.requests
    involved = server.events[made]["involvedObject"]
    assert made.startswith(name) and len(made) <= 253 and len(made) == len(name) + 16
    assert (involved["apiVersion"], involved["kind"], involved["name"]) == (about.api_version, about.kind, about.name)
    assert path in (None, where) and involved.get("namespace", "") == about.namespace


def test_events_come_after_other_work(monkeypatch):
    """Protects a pod's annotation from the events of thousands of others; and an event from a program that is always
    busy.
    """
    monkeypatch.setattr(kubernetes_events, "PATIENCE", 0.05)
    server, asked = Server(), []

    def is_busy():
        asked.append(len(server.requests))
        return len(asked) < 3

    write(server, (pod(1), "R", "text"), is_busy=is_busy)
    assert asked == [0, 0, 0] and len(server.requests) == 1
    assert len(write(Server(), (pod(1), "R", "text"), is_busy=lambda: True).events) == 1


def test_thousands_of_objects(monkeypatch, caplog):
    """Protects memory, log and API server from one user's thousands of objects, and the event of another user's object
    from them. Who reads the last one learns how many they are.
    """
    monkeypatch.setattr(kubernetes_events, "BURST", 10_000)
    server = Server()
    flood = [(pod(number, "crowd"), "NetworkNotReady", "x" * 2000) for number in range(5000)]
    write(server, *flood, (pod(1, "quiet"), "NetworkNotReady", "no switch"), (reference.node("n"), "Other", "text"))
    paths = [path for path, _name in server.requests]
    assert paths[1:3] == ["/api/v1/namespaces/quiet/events", "/api/v1/namespaces/default/events"]
    assert len(paths) == 250 + 2 and len(caplog.records) < 20
    texts = [one["message"] for one in server.events.values()]
    assert texts[-1].endswith("x (and so for 4750 more of these objects)") and max(map(len, texts)) == 1000


def test_the_longest_line_makes_room():
    """Protects the event of one object where the lines of others fill the queue."""
    queue = Queue()
    for number in range(1000):
        queue.put(pod(number, f"crowd{number % 4}"), "R", "text")
    assert len(queue) == 1000 and queue.put(pod(1, "quiet"), "R", "text") and len(queue) == 1000
    taken = [queue.take() for _ in range(1000)]
    assert not queue and "quiet" in [one.about.namespace for one in taken[:5]]
    assert [one.others for one in taken if one.others] == [1]


def test_events_wait_for_an_api_server_that_is_away(monkeypatch, caplog):
    """Protects what is said from an outage: it is said afterwards, once, with the number of those that had no place."""
    monkeypatch.setattr(kubernetes_events, "AWAY", Pause(0.001))
    monkeypatch.setattr(kubernetes_events, "BURST", 10_000)
    monkeypatch.setattr(kubernetes_events, "LONGEST_LINE", 2)

    class Away(Server):
        """An API server that answers every third request."""

        async def create(self, path, body):
            """Make an event, at times."""
            self.requests.append((path, None))
            if len(self.requests) % 3:
                raise APIUnreachable("it is away")
            self.events[body["metadata"]["name"]] = body

    server = write(Away(), *[(pod(number), "R", "text") for number in range(5)])
    texts = sorted(one["message"] for one in server.events.values())
    assert texts == ["text", "text (and so for 3 more of these objects)"] and len(server.requests) == 6
    assert [one.message for one in caplog.records if one.message.startswith("events wait")] == [
        "events wait: it is away"
    ] * 2


def test_as_many_lines_as_there_is_room_for():
    """Protects memory from events about objects of as many namespaces as somebody likes."""
    queue = Queue()
    assert [queue.put(pod(1, f"ns{number}"), "R", "text") for number in range(1001)] == [True] * 1000 + [False]
    assert len(queue) == 1000 and queue.left_out == 1


def test_events_have_a_rate(monkeypatch):
    """Protects the API server: a few events come at once, the others one after the other."""
    monkeypatch.setattr(kubernetes_events, "BURST", 5)
    monkeypatch.setattr(kubernetes_events, "RATE", 1.0)
    pauses, sleep = [], asyncio.sleep

    async def note(seconds):
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(kubernetes_events.asyncio, "sleep", note)
    server = Server()
    write(server, *[(pod(number), "R", "text") for number in range(20)])
    assert len([one for one in pauses if one > 0.1]) == 15 and len(server.events) == 20
